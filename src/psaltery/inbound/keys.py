"""Signing keys of webhooks: pasted by a person, sealed, two at once while one is rotated."""

import threading
from math import inf
from time import monotonic

import msgspec
from django.db import transaction
from django.db.models import Q

from psaltery.adapters.errors import BadSettings
from psaltery.audit import actor
from psaltery.audit.service import record_change
from psaltery.connections.models import Connection
from psaltery.connections.opening import connection_source
from psaltery.connections.vault import key_ring
from psaltery.inbound.models import SigningKey
from psaltery.kit.clock import now
from psaltery.kit.sealing import Place

# The old one and the new one: while Xero rotates a key, deliveries are signed with either.
MOST = 2
SHORTEST = 16
# How long a key that was taken out may still be believed by another process.
_KNOWN_SECONDS = 2.0
_NOTED_SECONDS = 60.0


class Key(msgspec.Struct, frozen=True):
    """An opened key."""

    id: int
    connection_id: int
    secret: str


def _place(pk: int) -> Place:
    return Place(SigningKey._meta.db_table, str(pk), "sealed")


def of(connection: Connection) -> list[SigningKey]:
    """The keys of a connection, oldest first."""
    return list(SigningKey.objects.filter(connection=connection).order_by("added_at", "pk"))


def add(connection: Connection, secret: str) -> SigningKey:
    """Store a pasted key. Raises BadSettings for a third one, a known one, or none at all."""
    secret = secret.strip()
    if len(secret) < SHORTEST or not secret.isascii() or not secret.isprintable():
        raise BadSettings(
            "This does not look like a signing key: copy it from the Webhooks page of your app.",
            which="key",
        )
    with transaction.atomic():
        # Locked, so that two people at once can't store a third key.
        Connection.objects.select_for_update().get(pk=connection.pk)
        known = of(connection)
        if any(key_ring().open(one.sealed, _place(one.pk)) == secret for one in known):
            raise BadSettings("This key is stored already.", which="key")
        if len(known) >= MOST:
            raise BadSettings(
                "There are two keys already. Remove the one that is not used any more first.",
                which="key",
            )
        row = _stored(connection, secret)
    forget_known()
    return row


def _stored(connection: Connection, secret: str) -> SigningKey:
    row = SigningKey.objects.create(
        connection=connection, hint=secret[-4:], added_by=actor.actor(), added_at=now()
    )
    # Sealed for its own row, whose number is known only now: moved to another row it does not open.
    row.sealed = key_ring().seal(secret, _place(row.pk))
    row.save(update_fields=["sealed"])
    record_change(
        f"A webhook signing key ending in {row.hint} was added to {connection.name}.",
        source=connection_source(connection),
        operation="webhooks.key",
    )
    return row


def remove(row: SigningKey) -> None:
    """Believe deliveries signed with this key no longer."""
    with transaction.atomic():
        SigningKey.objects.filter(pk=row.pk).delete()
        record_change(
            f"The webhook signing key ending in {row.hint} was removed from {row.connection.name}.",
            source=connection_source(row.connection),
            operation="webhooks.key",
        )
    forget_known()


def open_key(row: SigningKey) -> str:
    """The key itself. Raises SealBroken."""
    return key_ring().open(row.sealed, _place(row.pk))


def reseal_all() -> int:
    """Seal all keys under the installation's current key; how many were changed."""
    changed = 0
    with transaction.atomic():
        # All or none: after this the old seal key may be thrown away.
        for row in SigningKey.objects.select_for_update():
            if not key_ring().is_current(row.sealed):
                row.sealed = key_ring().reseal(row.sealed, _place(row.pk))
                row.save(update_fields=["sealed"])
                changed += 1
    return changed


class _Known:
    """The opened keys of one kind, as this process last read them."""

    def __init__(self) -> None:
        self.read_at = -inf
        self.keys: tuple[Key, ...] = ()


_known: dict[str, _Known] = {}
_noted: dict[int, float] = {}
_reading = threading.Lock()


def known(kind: str, *, fresh: bool = False) -> tuple[Key, ...]:
    """All keys that may sign deliveries of a kind of system; a pasted key counts at once.

    One app's webhooks carry the events of every organisation, so each key is tried.
    """
    with _reading:
        one = _known.setdefault(kind, _Known())
        if fresh or monotonic() - one.read_at > _KNOWN_SECONDS:
            one.keys, one.read_at = _read(kind), monotonic()
        return one.keys


def _read(kind: str) -> tuple[Key, ...]:
    rows = SigningKey.objects.filter(connection__kind=kind).exclude(
        Q(connection__state=Connection.State.DISCONNECTED) | Q(sealed="")
    )
    return tuple(Key(row.pk, row.connection_id, open_key(row)) for row in rows)


def forget_known() -> None:
    """Read the keys again when they are next needed."""
    with _reading:
        _known.clear()


def note_use(key: Key) -> None:
    """A delivery was signed with this key: kept to the minute, for the end of a rotation."""
    moment = monotonic()
    # To the minute: a write for each delivery would cost more than storing its events.
    if moment - _noted.get(key.id, -inf) > _NOTED_SECONDS:
        _noted[key.id] = moment
        SigningKey.objects.filter(pk=key.id).update(used_at=now())
