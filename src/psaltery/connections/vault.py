"""Opens and seals the secrets of connections with the installation's keys."""

from collections.abc import Mapping
from functools import cache

import msgspec
from django.conf import settings
from django.db import transaction

from psaltery.connections.models import Connection, ConsentRequest, TokenSet
from psaltery.kit.sealing import KeyRing, Place

_TOKENS = TokenSet._meta.db_table
_CONNECTIONS = Connection._meta.db_table
_CONSENTS = ConsentRequest._meta.db_table
TOKEN_COLUMNS = ("access", "refresh", "previous_refresh")


@cache
def key_ring() -> KeyRing:
    """The installation's keys, from the settings."""
    return KeyRing(settings.SEAL_KEYS)


def seal_token(token_set_id: int, column: str, token: str) -> str:
    """A token, sealed for its row and column."""
    return key_ring().seal(token, Place(_TOKENS, str(token_set_id), column))


def open_token(tokens: TokenSet, column: str) -> str:
    """The token in a column; "" when there is none. Raises SealBroken."""
    return key_ring().open(getattr(tokens, column), Place(_TOKENS, str(tokens.pk), column))


def seal_secrets(connection_id: int, secrets: Mapping[str, str]) -> str:
    """The secret fields of a connection as one sealed text."""
    kept = {name: value for name, value in secrets.items() if value}
    text = msgspec.json.encode(kept).decode() if kept else ""
    return key_ring().seal(text, Place(_CONNECTIONS, str(connection_id), "secrets"))


def open_secrets(connection: Connection) -> dict[str, str]:
    """The secret fields of a connection. Raises SealBroken."""
    place = Place(_CONNECTIONS, str(connection.pk), "secrets")
    text = key_ring().open(connection.secrets, place)
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def seal_verifier(state_hash: str, verifier: str) -> str:
    """A PKCE verifier, sealed for the consent it belongs to."""
    return key_ring().seal(verifier, Place(_CONSENTS, state_hash, "verifier"))


def open_verifier(request: ConsentRequest) -> str:
    """The PKCE verifier of a consent."""
    return key_ring().open(request.verifier, Place(_CONSENTS, request.state_hash, "verifier"))


def reseal_all() -> int:
    """Seal everything under the current key, after a rotation; the number of rows changed.

    Afterwards older keys may be taken out of the settings. Safe to repeat.
    """
    changed = 0
    with transaction.atomic():
        # Locked, so that a token renewed meanwhile is not overwritten by the one that was read.
        for connection in Connection.objects.select_for_update():
            place = Place(_CONNECTIONS, str(connection.pk), "secrets")
            changed += _reseal(connection, {"secrets": place})
        for tokens in TokenSet.objects.select_for_update():
            places = {name: Place(_TOKENS, str(tokens.pk), name) for name in TOKEN_COLUMNS}
            changed += _reseal(tokens, places)
        ConsentRequest.objects.all().delete()  # minutes old at most; a person begins again
    return changed


def _reseal(row: Connection | TokenSet, places: Mapping[str, Place]) -> int:
    ring = key_ring()
    stale = [name for name in places if not ring.is_current(getattr(row, name))]
    for name in stale:
        setattr(row, name, ring.reseal(getattr(row, name), places[name]))
    if stale:
        row.save(update_fields=stale)
    return bool(stale)
