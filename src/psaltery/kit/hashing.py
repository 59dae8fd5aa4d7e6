"""Hashes of content that stay the same from process to process and from release to release."""

import hashlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="string")


def content_hash(record: Any) -> str:
    """32 hex digits that change when, and only when, the content of a struct, dict or list does."""
    return hashlib.blake2b(_ENCODER.encode(record), digest_size=16).hexdigest()


def bytes_hash(content: bytes) -> str:
    """32 hex digits for these bytes; other threads go on meanwhile, as they may be many."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def secret_hash(secret: str) -> str:
    """SHA-256 in hex, for looking up a random secret without storing it.

    Only for secrets of 128 random bits or more: it is fast on purpose.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
