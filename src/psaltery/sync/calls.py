"""Reads of the pages of calls: by organisation and day, what waits, what is coming."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import BigIntegerField, Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from psaltery.connections.models import Budget, Feed, Organisation, Usage
from psaltery.kit.clock import now
from psaltery.sync.forecast import day_end

# A whole week: weekends and the days of the big invoice runs take other numbers of calls.
HABIT_DAYS = 7
SHOWN_DAYS = 30
LIMITS = ("day", "minute", "concurrent")
_NUMBERS = ("calls", "failed", "bytes_in", "bytes_out")


@dataclass(frozen=True)
class Pause:
    """An organisation that waits for a limit: which one, and until when."""

    limit: str
    until: datetime | None


@dataclass(frozen=True)
class Day:
    """What one UTC day took."""

    day: date
    calls: int
    failed: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True)
class DayOf:
    """A day of one organisation."""

    organisation_id: int
    organisation: str
    day: Day


def organisations(day: date | None = None) -> QuerySet[Organisation]:
    """The synced organisations with `calls`, `failed`, `bytes_in`, `bytes_out` of a UTC day."""
    wanted = day or now().date()
    return (
        Organisation.objects.filter(chosen=True)
        .select_related("budget", "connection")
        .annotate(**{name: _summed(name, wanted) for name in _NUMBERS})
    )


def _summed(name: str, day: date) -> Coalesce:
    rows = Usage.objects.filter(organisation=OuterRef("pk"), day=day).values("organisation")
    summed = rows.annotate(sum=Sum(name)).values("sum")
    return Coalesce(Subquery(summed, output_field=BigIntegerField()), Value(0))


def used_today(organisation: Organisation) -> int:
    """The calls of the present UTC day."""
    rows = Usage.objects.filter(organisation=organisation, day=now().date())
    return rows.aggregate(sum=Sum("calls"))["sum"] or 0


def budget_of(organisation: Organisation) -> Budget | None:
    """Its budget; None for one that was never started."""
    return getattr(organisation, "budget", None)


def left_of_day(budget: Budget | None) -> int | None:
    """What the vendor's day has left; None where no cap is known."""
    if budget is None or budget.day_cap is None:
        return None
    # The vendor's number counts what other programs of the same app took as well; ours can't.
    # https://developer.xero.com/documentation/guides/oauth2/limits/
    if budget.day_remaining is not None:
        return budget.day_remaining
    return budget.day_cap - (budget.day_used if budget.day == now().date() else 0)


def forecasts(ids: Iterable[int]) -> dict[int, int]:
    """Calls by the end of the UTC day, by organisation. Three queries."""
    moment, keys = now(), list(ids)
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    used = _used_today(keys, moment.date())
    past, days = _habit(keys, moment.date())
    seconds = _intervals(keys)
    return {
        key: day_end(used.get(key, 0), second, past[key], days.get(key, 0), seconds[key])
        for key in keys
    }


def _used_today(keys: list[int], day: date) -> dict[int, int]:
    rows = Usage.objects.filter(organisation__in=keys, day=day).values_list("organisation_id")
    return dict(rows.annotate(Sum("calls")))


def _habit(keys: list[int], today: date) -> tuple[dict[int, dict[int, int]], dict[int, int]]:
    """Calls by hour of the last days, and how many days there were, by organisation."""
    first = today - timedelta(days=HABIT_DAYS)
    rows = Usage.objects.filter(organisation__in=keys, day__gte=first, day__lt=today)
    by_hour: dict[int, dict[int, int]] = defaultdict(dict)
    summed = rows.values_list("organisation_id", "hour").annotate(Sum("calls"))
    for organisation, hour, calls in summed:
        by_hour[organisation][hour] = calls
    days = rows.values_list("organisation_id").annotate(Count("day", distinct=True))
    return by_hour, dict(days)


def _intervals(keys: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    feeds = Feed.objects.filter(organisation__in=keys)
    for organisation, seconds in feeds.values_list("organisation_id", "seconds"):
        found[organisation].append(seconds)
    return found


def pauses(ids: Iterable[int] | None = None) -> dict[int, Pause]:
    """The organisations that wait for a limit now. Two queries."""
    chosen = {"organisation__chosen": True}
    if ids is not None:
        chosen["organisation__in"] = list(ids)  # type: ignore[assignment]
    found: dict[int, Pause] = {}
    waiting = Feed.objects.filter(**chosen, state=Feed.State.PAUSED, failure_code__in=LIMITS)
    for organisation, limit, until in waiting.values_list(
        "organisation_id", "failure_code", "due_at"
    ).order_by("due_at"):
        found.setdefault(organisation, Pause(limit, until))
    # A block of the whole organisation wins over those of its feeds: nothing goes on before its
    # end.
    blocked = Budget.objects.filter(**chosen, blocked_until__gt=now())
    for organisation, limit, until in blocked.values_list(
        "organisation_id", "blocked_why", "blocked_until"
    ):
        found[organisation] = Pause(limit or "minute", until)
    return found


def days(organisation: Organisation | None = None, count: int = SHOWN_DAYS) -> list[Day]:
    """The last days with their calls and bytes, the newest first; of all where none is given."""
    first = now().date() - timedelta(days=count - 1)
    rows = Usage.objects.filter(day__gte=first, organisation__chosen=True)
    if organisation is not None:
        rows = rows.filter(organisation=organisation)
    sums = [Sum(name) for name in _NUMBERS]
    return [Day(*row) for row in rows.order_by("-day").values_list("day").annotate(*sums)]


def hours(organisation: Organisation) -> list[int]:
    """The calls of each hour of this UTC day."""
    rows = Usage.objects.filter(organisation=organisation, day=now().date())
    calls = dict(rows.values_list("hour", "calls"))
    return [calls.get(hour, 0) for hour in range(24)]


def by_day(first: date, organisation: Organisation | None = None) -> Iterator[DayOf]:
    """One row for each organisation and day since `first`, for files."""
    rows = Usage.objects.filter(day__gte=first)
    if organisation is not None:
        rows = rows.filter(organisation=organisation)
    names = ("organisation_id", "organisation__name", "day")
    sums = [Sum(name) for name in _NUMBERS]
    summed = rows.order_by("-day", "organisation__name").values_list(*names).annotate(*sums)
    return (DayOf(key, name, Day(*numbers)) for key, name, *numbers in summed.iterator())
