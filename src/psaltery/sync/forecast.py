"""How many calls a day will take, and a back-fill: reckoned, nothing asked. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from psaltery.adapters.budget import BACKFILL_SHARE

HOUR_SECONDS = 3600
DAY_HOURS = 24
# Both vendors give at most so many records a page.
PAGE = 1000


def day_end(
    used: int, second_of_day: int, past: Mapping[int, int], days: int, scheduled: Sequence[int]
) -> int:
    """The calls of the whole day, by now and by habit.

    `used`: calls so far. `past`: calls by hour of the last `days` days. Without a past, `scheduled`
    has the seconds between the runs of each feed, one call a run.
    """
    left = DAY_HOURS * HOUR_SECONDS - second_of_day
    if days == 0:
        return used + sum(left // seconds for seconds in scheduled if seconds > 0)
    hour = second_of_day // HOUR_SECONDS
    # Of the hour that runs, the part that is left.
    this_hour = past.get(hour, 0) * (left % HOUR_SECONDS) // HOUR_SECONDS
    later = sum(calls for at, calls in past.items() if at > hour)
    # Rounded up: a forecast that is short by one lets the day's cap come unforeseen.
    return used + -(-(this_hour + later) // days)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one feed of a back-fill takes. `records` None: not known, so `calls` is the least."""

    name: str
    label: str
    records: int | None
    calls: int


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What reading everything of one organisation takes."""

    parts: tuple[Part, ...]
    calls: int
    minutes: int
    days: int  # until the day's cap lets the last call through; 1: today
    is_least: bool


def calls_for(records: int | None, fixed: int = 0) -> int:
    """The calls of one feed: a page for each thousand, and one that finds the list empty."""
    return fixed or max(1, -(-(records or 0) // PAGE))


def estimate(
    parts: Sequence[Part], *, per_minute: int, day_cap: int | None, day_left: int | None
) -> Estimate:
    """A back-fill of these feeds within the budget.

    `day_cap` and `day_left` are the vendor's; None where there is no cap or none was heard of.
    """
    calls = sum(part.calls for part in parts)
    return Estimate(
        parts=tuple(parts),
        calls=calls,
        minutes=-(-calls // max(per_minute, 1)),
        days=_days(calls, day_cap, day_left),
        is_least=any(part.records is None for part in parts),
    )


def _days(calls: int, cap: int | None, left: int | None) -> int:
    if cap is None:
        return 1
    # The rest of a day is kept for what people ask for.
    a_day = max(cap * BACKFILL_SHARE // 100, 1)
    today = max((cap if left is None else left) - (cap - a_day), 0)
    return 1 if calls <= today else 1 + -(-(calls - today) // a_day)
