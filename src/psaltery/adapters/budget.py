"""How many calls an organisation may make: a pure decision, and the port that adapters see.

The rate is GCRA: each call moves a "theoretical arrival time" on by one interval; a call may go
while that time is not further ahead than the burst. With `burst = most - per_minute`, no sixty
seconds ever hold more than the vendor's own limit, wherever their fixed window begins.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Protocol

import msgspec

from psaltery.adapters.contract import Limits


class Priority(IntEnum):
    """Who goes first; the lower number."""

    INTERACTIVE = 0
    WEBHOOK = 1
    SCHEDULE = 2
    BACKFILL = 3


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What one call taught: its sizes and the vendor's counters, None where nothing was said."""

    status: int  # 0: no answer came
    bytes_out: int = 0
    bytes_in: int = 0
    day_remaining: int | None = None
    blocked_until: datetime | None = None
    blocked_why: str = ""  # "minute", "day", "concurrent"


class BudgetPort(Protocol):
    """The shared budget of one organisation, as a `Caller` uses it."""

    def take(self) -> None:
        """Take the right to one call, waiting for moments only.

        Raises TryLater(at, limit) when it would take longer. After it returned, `learn` is called
        once, whatever happened.
        """

    def learn(self, heard: Heard) -> None:
        """Count the call, keep what the vendor said of its limits, free the concurrency slot."""


class NoBudget:
    """For calls that no budget covers: sign-in servers, probes."""

    def take(self) -> None:
        """Always granted."""

    def learn(self, heard: Heard) -> None:
        """Nothing to count."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The shared row of an organisation."""

    per_minute: int
    theoretical_at: datetime | None = None
    blocked_until: datetime | None = None
    blocked_why: str = ""
    day_used: int = 0
    day_cap: int | None = None
    day_remaining: int | None = None
    heard_at: datetime | None = None


class Go(msgspec.Struct, frozen=True):
    """The call may go; store this arrival time."""

    theoretical_at: datetime


class Wait(msgspec.Struct, frozen=True):
    """Not before `at`, because of `limit`."""

    at: datetime
    limit: str


# Low priorities leave the rest of the burst to a person who is waiting.
_BURST_SHARE = {
    Priority.INTERACTIVE: 1.0,
    Priority.WEBHOOK: 0.9,
    Priority.SCHEDULE: 0.75,
    Priority.BACKFILL: 0.5,
}
# Share of the day that must be left for a call of this priority: design section 6, 90 %.
_DAY_RESERVE = {
    Priority.INTERACTIVE: 0,
    Priority.WEBHOOK: 5,
    Priority.SCHEDULE: 10,
    Priority.BACKFILL: 10,
}
# What a back-fill may take of a day, in per cent.
BACKFILL_SHARE = 100 - _DAY_RESERVE[Priority.BACKFILL]
# When the vendor's day ends isn't told: one call an hour asks.
ASK_AGAIN = timedelta(hours=1)
_RESET_JUMP = 50  # answers arrive out of order, so a small rise of "remaining" is no new day


def decide(state: State, limits: Limits, priority: Priority, now: datetime) -> Go | Wait:
    """Whether a call of this priority may go at `now`, and if not, when to ask again."""
    if state.blocked_until and state.blocked_until > now:
        return Wait(state.blocked_until, state.blocked_why or "minute")
    if (again := _day_pause(state, priority, now)) is not None:
        return Wait(again, "day")
    interval = timedelta(minutes=1) / max(state.per_minute, 1)
    arrival = max(state.theoretical_at or now, now)
    if arrival > now + interval * (_burst(state, limits) + 1):
        arrival = now  # no call leads there: the clock was set back, and nothing waits for that
    earliest = arrival - _tolerance(state, limits, priority, interval)
    return Wait(earliest, "minute") if earliest > now else Go(arrival + interval)


def _tolerance(state: State, limits: Limits, priority: Priority, interval: timedelta) -> timedelta:
    return interval * max(int(_burst(state, limits) * _BURST_SHARE[priority]) - 1, 0)


def _burst(state: State, limits: Limits) -> int:
    return max(limits.per_minute_most - state.per_minute, 0)


def _day_pause(state: State, priority: Priority, now: datetime) -> datetime | None:
    left = state.day_remaining
    if left is None and state.day_cap is not None:
        left = state.day_cap - state.day_used
    if left is None or state.day_cap is None:
        return None
    if left > state.day_cap * _DAY_RESERVE[priority] // 100:
        return None
    again = (state.heard_at or now) + ASK_AGAIN
    return again if again > now else None


def learned_cap(state: State, remaining: int) -> int:
    """The day's cap after the vendor said `remaining`: 1,000 or 5,000 with Xero, never told.

    The cap is the most that was ever seen; a jump upwards is a new day and counts afresh, so that a
    cheaper plan is noticed on its first day.
    """
    if is_new_day(state, remaining) or state.day_cap is None:
        return remaining + 1
    return max(state.day_cap, remaining + 1)


def is_new_day(state: State, remaining: int) -> bool:
    """True when the vendor's own day began since we last heard."""
    return state.day_remaining is not None and remaining > state.day_remaining + _RESET_JUMP


def counter(headers: Mapping[str, str], name: str) -> int | None:
    """A header that counts, or None when it is missing or no number."""
    with suppress(KeyError, ValueError):
        return int(headers[name])
    return None
