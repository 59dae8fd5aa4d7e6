"""Pages of a big table that stay put while rows arrive: by the last row seen, not by number.

An offset makes PostgreSQL read all rows before the page; a key makes it start at the right place of
the index (https://use-the-index-luke.com/no-offset). The order is always (field, primary key), so a
big table wants an index on that pair for each column it can be sorted by.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.fields import Field
from django.db.models.lookups import GreaterThan, LessThan

Rows = QuerySet[Any]


@dataclass(frozen=True)
class Order:
    """How rows are ordered: a field (lookups with __ allowed), and the primary key behind it."""

    field: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Order:
        """`-date` is descending by date."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field

    def reversed(self) -> Order:
        return Order(self.field, not self.descending)

    def apply(self, rows: Rows) -> Rows:
        sign = "-" if self.descending else ""
        # The key behind the field makes the order total: without it equal rows could be shown
        # twice, or never.
        if self.field == "pk":
            return rows.order_by(f"{sign}pk")
        return rows.order_by(f"{sign}{self.field}", f"{sign}pk")


@dataclass(frozen=True)
class Window:
    """Some rows in order, and whether there are others on either side."""

    rows: list[Any]
    has_before: bool
    has_after: bool


def field_of(rows: Rows, path: str) -> Field[Any, Any]:
    """The model field (or annotation's field) that a path of lookups leads to."""
    annotation = rows.query.annotations.get(path)
    if annotation is not None:
        field: Field[Any, Any] = annotation.output_field
        return field
    model = rows.model
    *parents, last = path.split("__")
    for name in parents:
        model = model._meta.get_field(name).related_model
    found = model._meta.pk if last == "pk" else model._meta.get_field(last)
    if not isinstance(found, Field):
        raise FieldDoesNotExist(path)
    return found


def value_at(row: Any, path: str) -> Any:
    """The value at a path of lookups or attributes, in a model's instance or a dictionary."""
    for name in path.replace("__", ".").split("."):
        if row is None:
            return None
        row = row[name] if isinstance(row, dict) else getattr(row, name)
    return row


def mark(row: Any, order: Order) -> str:
    """The place of a row in the order, as text for an address."""
    value = value_at(row, order.field)
    key = value_at(row, "pk" if not isinstance(row, dict) else "id")
    # str keeps the microseconds of a time, which Django's JSON encoder cuts.
    place = [None if value is None else str(value), str(key)]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_mark(text: str, rows: Rows, order: Order) -> tuple[Any, Any] | None:
    """The place that a mark tells, or None where the address was damaged."""
    try:
        place = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        value, key = place
        return field_of(rows, order.field).to_python(value), field_of(rows, "pk").to_python(key)
    except (ValueError, TypeError, binascii.Error, ValidationError):
        return None


def _pair(field: Any, key: Any) -> Func:
    # Compared as one row value, which PostgreSQL answers from an index on the pair.
    return Func(field, key, function="ROW", output_field=BooleanField())


def beyond(rows: Rows, order: Order, place: tuple[Any, Any]) -> Rows:
    """The rows after a place. Nulls are where PostgreSQL puts them: last, or first descending."""
    value, key = place
    further = LessThan if order.descending else GreaterThan
    side = "lt" if order.descending else "gt"
    if order.field == "pk":
        return rows.filter(**{f"pk__{side}": key})
    if value is None:
        after = Q(**{f"{order.field}__isnull": True, f"pk__{side}": key})
        return rows.filter(
            after | Q(**{f"{order.field}__isnull": False}) if order.descending else after
        )
    typed = Value(value, output_field=field_of(rows, order.field))
    typed_key = Value(key, output_field=field_of(rows, "pk"))
    after = Q(further(_pair(F(order.field), F("pk")), _pair(typed, typed_key)))
    if field_of(rows, order.field).null and not order.descending:
        after |= Q(**{f"{order.field}__isnull": True})
    return rows.filter(after)


def window(rows: Rows, order: Order, size: int, after: str = "", before: str = "") -> Window:
    """One page of `size` rows after or before a mark; the first page where there is no mark."""
    if before and (place := read_mark(before, rows, order)):
        back = order.reversed()
        found = list(back.apply(beyond(rows, back, place))[: size + 1])
        return Window(found[:size][::-1], len(found) > size, True)
    start = read_mark(after, rows, order) if after else None
    wanted = beyond(rows, order, start) if start else rows
    # One more than is shown tells whether there is a next page, without a count.
    found = list(order.apply(wanted)[: size + 1])
    return Window(found[:size], start is not None, len(found) > size)


def chunks(rows: Rows, order: Order, size: int) -> Iterator[list[Any]]:
    """All rows in order, some at a time, in constant memory and without a long transaction."""
    after = ""
    while True:
        # A statement for each chunk: a long cursor would hold its snapshot, and keep PostgreSQL
        # from clearing up.
        page = window(rows, order, size, after=after)
        if page.rows:
            yield page.rows
        if not page.has_after:
            return
        after = mark(page.rows[-1], order)
