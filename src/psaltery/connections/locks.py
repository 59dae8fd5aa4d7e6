"""Locks between processes that no transaction holds: PostgreSQL's advisory locks of the session.

They end by themselves when a process dies, and may be held while a network call is made.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from django.db import connection

from psaltery.adapters.errors import TryLater

# The first number of each pair of our advisory locks: what kind of thing is locked.
SLOTS = 41_001
TOKENS = 41_002
_SLOTS_MOST = 64  # slots an organisation can have, to keep the numbers of two apart
_PAUSE_SECONDS = 0.05


def inside_transaction() -> bool:
    """Whether a transaction of this thread is open: no network call may be made then."""
    return connection.in_atomic_block


@contextmanager
def only_one(kind: int, number: int, *, patience_seconds: float) -> Iterator[None]:
    """Within, no other process or thread is within for the same thing.

    Raises TryLater when it can't be had in `patience_seconds`.
    """
    until = monotonic() + patience_seconds
    # Tried again and again instead of waited for: a blocking lock would know no patience.
    while not _try("SELECT pg_try_advisory_lock(%s, %s)", kind, number):
        if monotonic() > until:
            raise TryLater("Another process is renewing this consent and takes long.")
        sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        _try("SELECT pg_advisory_unlock(%s, %s)", kind, number)


def take_slot(organisation_id: int, slots: int) -> int | None:
    """One of the `slots` of an organisation, or None when all are in use."""
    first = organisation_id * _SLOTS_MOST
    with connection.cursor() as cursor:
        # LIMIT stops the scan at the first slot that could be locked: no other one is touched.
        cursor.execute(
            "SELECT slot FROM generate_series(%s::int, %s::int) slot"
            " WHERE pg_try_advisory_lock(%s, slot) LIMIT 1",
            [first, first + min(slots, _SLOTS_MOST) - 1, SLOTS],
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def free_slot(slot: int) -> None:
    """Give a slot back."""
    _try("SELECT pg_advisory_unlock(%s, %s)", SLOTS, slot)


def _try(sql: str, kind: int, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [kind, number])
        row = cursor.fetchone()
    return bool(row and row[0])
