"""The shared budget of an organisation: one row that all processes draw from."""

from time import monotonic, sleep

from django.db import connection

from psaltery.adapters.budget import (
    Go,
    Heard,
    Priority,
    State,
    decide,
    is_new_day,
    learned_cap,
)
from psaltery.adapters.contract import Limits, Manifest
from psaltery.adapters.errors import TryLater
from psaltery.connections import locks
from psaltery.connections.models import Budget, Organisation
from psaltery.kit.clock import now

# How long a call may wait in place rather than go back to the queue.
_PATIENCE_SECONDS = {
    Priority.INTERACTIVE: 10.0,
    Priority.WEBHOOK: 5.0,
    Priority.SCHEDULE: 5.0,
    Priority.BACKFILL: 5.0,
}
_SLOT_PAUSE_SECONDS = 0.05
_SENTENCES = {
    "day": "The day's calls of this organisation are nearly used up; it goes on by itself.",
    "minute": "The calls of this minute are used up; it goes on by itself.",
    "concurrent": "Too many calls of this organisation are under way; it goes on by itself.",
}
_READ = """
    SELECT per_minute, theoretical_at, blocked_until, blocked_why,
           CASE WHEN day = %s THEN day_used ELSE 0 END, day_cap, day_remaining, heard_at
    FROM connections_budget WHERE organisation_id = %s
"""
# Compare and swap: the row is only moved on from the state that was judged.
# `synchronous_commit` is off in this one statement: after a crash of the server a few calls would
# be uncounted, which the vendor's own headers put right.
_TAKE = """
    UPDATE connections_budget SET theoretical_at = %s
    FROM (SELECT set_config('synchronous_commit', 'off', true) AS to) AS relaxed
    WHERE organisation_id = %s AND theoretical_at IS NOT DISTINCT FROM %s
    RETURNING relaxed.to
"""
# One round trip: count the call, keep what was heard, free the slot. Not worth a wait for the disk.
_LEARN = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true)),
    counted AS (
        INSERT INTO connections_usage AS u
            (organisation_id, day, hour, calls, failed, bytes_in, bytes_out)
        SELECT %(id)s, %(day)s, %(hour)s, 1, %(failed)s, %(bytes_in)s, %(bytes_out)s FROM relaxed
        ON CONFLICT (organisation_id, day, hour) DO UPDATE SET
            calls = u.calls + 1, failed = u.failed + EXCLUDED.failed,
            bytes_in = u.bytes_in + EXCLUDED.bytes_in, bytes_out = u.bytes_out + EXCLUDED.bytes_out
    )
    UPDATE connections_budget SET
        day_used = CASE WHEN day = %(day)s THEN day_used + 1 ELSE 1 END,
        day = %(day)s,
        day_remaining = COALESCE(%(remaining)s, day_remaining),
        day_cap = COALESCE(%(cap)s, day_cap),
        heard_at = %(at)s,
        blocked_until = CASE WHEN %(fresh)s THEN NULL
                             ELSE GREATEST(%(blocked_until)s, blocked_until) END,
        blocked_why = CASE WHEN %(blocked_until)s::timestamptz IS NULL THEN blocked_why
                           ELSE %(blocked_why)s END
    WHERE organisation_id = %(id)s
    RETURNING pg_advisory_unlock(%(slots)s, %(slot)s)
"""


def make_budget(organisation: Organisation, manifest: Manifest) -> None:
    """The budget row of an organisation, as the manifest says; an existing one is kept."""
    Budget.objects.get_or_create(
        organisation=organisation,
        defaults={
            "per_minute": manifest.limits.per_minute,
            "day_cap": manifest.limits.per_day,
        },
    )


class SharedBudget:
    """The right to call, for one organisation and priority (port BudgetPort)."""

    def __init__(self, organisation_id: int, limits: Limits, priority: Priority) -> None:
        self._id = organisation_id
        self._limits = limits
        self._priority = priority
        self._state = State(per_minute=limits.per_minute)
        self._slot: int | None = None

    def take(self) -> None:
        """One call's right: its place in the minute, then one of the concurrent slots."""
        until = monotonic() + _PATIENCE_SECONDS[self._priority]
        # The rate first, since a slot that is held while waiting would be idle for the others.
        while not self._take_rate(until):
            pass
        self._slot = locks.take_slot(self._id, self._limits.concurrent)
        while self._slot is None:
            if monotonic() > until:
                raise TryLater(_SENTENCES["concurrent"], at=now(), limit="concurrent")
            sleep(_SLOT_PAUSE_SECONDS)
            self._slot = locks.take_slot(self._id, self._limits.concurrent)

    def learn(self, heard: Heard) -> None:
        """Count the call, keep what the vendor said, free the slot."""
        at, remaining = now(), heard.day_remaining
        slot, self._slot = self._slot, None
        # Xero's day begins at a time of its own: what it says is left tells when.
        fresh = remaining is not None and is_new_day(self._state, remaining)
        with connection.cursor() as cursor:
            cursor.execute(
                _LEARN,
                {
                    "id": self._id,
                    "day": at.date(),
                    "hour": at.hour,
                    "failed": int(not 0 < heard.status < 400),
                    "bytes_in": heard.bytes_in,
                    "bytes_out": heard.bytes_out,
                    "remaining": remaining,
                    "cap": None if remaining is None else learned_cap(self._state, remaining),
                    "at": at,
                    "fresh": fresh,
                    "blocked_until": heard.blocked_until,
                    "blocked_why": heard.blocked_why,
                    "slots": locks.SLOTS,
                    # Unlocking what is not held only warns, and keeps the statement the same.
                    "slot": -1 if slot is None else slot,
                },
            )

    def _take_rate(self, until: float) -> bool:
        self._state = self._read()
        at = now()
        decision = decide(self._state, self._limits, self._priority, at)
        if isinstance(decision, Go):
            return self._swap(decision)
        wait = (decision.at - at).total_seconds()
        # Nobody waits in place for a new day, whatever the patience.
        if decision.limit == "day" or monotonic() + wait > until:
            sentence = _SENTENCES.get(decision.limit, _SENTENCES["minute"])
            raise TryLater(sentence, at=decision.at, limit=decision.limit)
        # Never zero: the loop would spin until the clock has moved on.
        sleep(max(wait, 0.001))
        return False

    def _read(self) -> State:
        with connection.cursor() as cursor:
            cursor.execute(_READ, [now().date(), self._id])
            row = cursor.fetchone()
        if row is None:
            raise Budget.DoesNotExist(f"Organisation {self._id} has no budget.")
        return State(
            per_minute=row[0],
            theoretical_at=row[1],
            blocked_until=row[2],
            blocked_why=row[3],
            day_used=row[4],
            day_cap=row[5],
            day_remaining=row[6],
            heard_at=row[7],
        )

    def _swap(self, decision: Go) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [decision.theoretical_at, self._id, self._state.theoretical_at])
            return cursor.fetchone() is not None
