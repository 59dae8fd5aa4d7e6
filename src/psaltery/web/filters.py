"""A list's filters: what the address asks for, applied to the rows. Pure but for the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Protocol

from django.db.models import DateTimeField, QuerySet
from django.http import QueryDict
from django.utils import timezone

from psaltery.web.keyset import field_of

Options = Sequence[tuple[str, str]]
Rows = QuerySet[Any]


class Filter(Protocol):
    """What a list asks of a filter."""

    template: ClassVar[str]

    def names(self) -> tuple[str, ...]:
        """The parameters of the address that belong to this filter."""

    def prepared(self) -> Filter:
        """This filter with its options fetched, so that one answer asks for them once."""

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        """The rows that the address asks for; a value that means nothing is left out."""

    def shown(self, query: QueryDict) -> dict[str, Any]:
        """What the filter's template needs."""


@dataclass(frozen=True)
class Choice:
    """One of some values. `options` is a list of (value, label), or a function that fetches it.

    The field is `name` unless `field` says another; `narrow` replaces the plain comparison.
    """

    name: str
    label: str = ""
    options: Options | Callable[[], Iterable[tuple[str, str]]] = ()
    field: str = ""
    anything: str = ""
    narrow: Callable[[Rows, str], Rows] | None = None

    template: ClassVar[str] = "web/lists/choice.html"

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def prepared(self) -> Choice:
        return replace(self, options=tuple(self.choices()))

    def choices(self) -> list[tuple[str, str]]:
        found = self.options() if callable(self.options) else self.options
        return [(str(value), label) for value, label in found]

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        value = query.get(self.name, "")
        # The address is anybody's to write: only a value that was offered reaches the database.
        if not value or value not in dict(self.choices()):
            return rows
        if self.narrow:
            return self.narrow(rows, value)
        return rows.filter(**{self.field or self.name: value})

    def shown(self, query: QueryDict) -> dict[str, Any]:
        label = self.label or self.name.replace("_", " ").capitalize()
        return {
            "name": self.name,
            "label": label,
            "anything": self.anything or f"Any {label.lower()}",
            "chosen": query.get(self.name, ""),
            "choices": self.choices(),
        }


@dataclass(frozen=True)
class DateRange:
    """From one day to another, both included, in the person's time zone."""

    name: str
    label: str = "Date"
    field: str = ""

    template: ClassVar[str] = "web/lists/date_range.html"

    def names(self) -> tuple[str, ...]:
        return (f"{self.name}_from", f"{self.name}_to")

    def prepared(self) -> DateRange:
        return self

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        field = self.field or self.name
        is_moment = isinstance(field_of(rows, field), DateTimeField)
        first, last = (read_day(query.get(name, "")) for name in self.names())
        if first:
            rows = rows.filter(**{f"{field}__gte": _midnight(first) if is_moment else first})
        if last:
            # The day after, so that the whole of the last day is within.
            end = last + timedelta(days=1)
            rows = rows.filter(**{f"{field}__lt": _midnight(end) if is_moment else end})
        return rows

    def shown(self, query: QueryDict) -> dict[str, Any]:
        start, end = self.names()
        return {
            "label": self.label,
            "start_name": start,
            "end_name": end,
            "start": query.get(start, ""),
            "end": query.get(end, ""),
        }


@dataclass(frozen=True)
class Toggle:
    """Something to show or leave out: `narrow` is applied while the box is ticked."""

    name: str
    label: str
    narrow: Callable[[Rows], Rows]

    template: ClassVar[str] = "web/lists/toggle.html"

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def prepared(self) -> Toggle:
        return self

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        return self.narrow(rows) if query.get(self.name) == "1" else rows

    def shown(self, query: QueryDict) -> dict[str, Any]:
        return {"name": self.name, "label": self.label, "on": query.get(self.name) == "1"}


def read_day(text: str) -> date | None:
    """A day as browsers send it, 2026-11-21; None where it is none, or beyond what fits."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # Nothing here is older; the years 1 and 9999 overflow once a day or a time zone is added.
    return day if 1900 <= day.year <= 2200 else None


def _midnight(day: date) -> datetime:
    # The person's own midnight: a range of days is meant where they live.
    return timezone.make_aware(datetime.combine(day, time.min))
