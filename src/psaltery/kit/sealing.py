"""Secrets at rest: AES-256-GCM, with the key's id in the value and the place as associated data.

A sealed value reads `v1:KEY_ID:BASE64`, where the base64 holds a nonce of 12 bytes, then the
ciphertext with its tag. Because table, row and column are associated data, a value that is copied
to another row does not open there.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "v1"
# The length that GCM is made for.
_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealBroken(Exception):
    """A sealed value could not be opened: its key is gone, or it was altered or moved."""


@dataclass(frozen=True)
class Place:
    """Where a sealed value lives."""

    table: str
    row: str
    column: str

    def associated_data(self) -> bytes:
        """The bytes that bind a value to this place."""
        # A separator that no name has: else "a", "bc" and "ab", "c" would be one place.
        return "\x1f".join((self.table, self.row, self.column)).encode()


class KeyRing:
    """The keys of an installation: the first seals, all of them open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: id → 32 bytes, the current key first. Raises ValueError for unusable ones."""
        if not keys:
            raise ValueError("At least one sealing key is needed.")
        for key_id, key in keys.items():
            if len(key) != _KEY_BYTES or not key_id or ":" in key_id:
                raise ValueError(
                    f"Sealing key {key_id!r} must be 32 bytes, its id without a colon."
                )
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))

    def seal(self, secret: str, place: Place) -> str:
        """`secret` sealed for `place` with the current key; "" stays ""."""
        if not secret:
            return ""
        # Fresh each time: two values under one key and nonce would give each other away.
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self.current]
        sealed = nonce + cipher.encrypt(nonce, secret.encode(), place.associated_data())
        return f"{_VERSION}:{self.current}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, place: Place) -> str:
        """The secret in `sealed`; raises SealBroken, whose text says why."""
        if not sealed:
            return ""
        version, key_id, encoded = (*sealed.split(":", 2), "", "")[:3]
        if version != _VERSION or key_id not in self._ciphers:
            raise SealBroken(f"Sealing key {key_id!r} is not among the keys of this installation.")
        raw = _decode(encoded)
        try:
            cipher = self._ciphers[key_id]
            opened = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.associated_data())
        except InvalidTag as wrong:
            raise SealBroken(
                "A sealed value was altered, moved, or sealed by another key."
            ) from wrong
        return opened.decode()

    def is_current(self, sealed: str) -> bool:
        """True when `sealed` is empty or was sealed with the current key."""
        return not sealed or sealed.startswith(f"{_VERSION}:{self.current}:")

    def reseal(self, sealed: str, place: Place) -> str:
        """`sealed` under the current key, for rotation; the same text when it already is."""
        return sealed if self.is_current(sealed) else self.seal(self.open(sealed, place), place)


def _decode(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as wrong:
        raise SealBroken("A sealed value is damaged.") from wrong
    if len(raw) <= _NONCE_BYTES:
        raise SealBroken("A sealed value is damaged.")
    return raw
