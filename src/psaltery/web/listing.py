"""What a list's templates show: one page of rows, written, with the addresses that lead on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.safestring import SafeString

from psaltery.web.columns import Column
from psaltery.web.keyset import Order


def address(query: QueryDict, **changes: str | None) -> str:
    """The address of this page with some parameters changed; None takes one away."""
    changed = query.copy()
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    # Without empty parameters, so that an address can be read, and shared.
    for name in [name for name, value in changed.items() if value == ""]:
        del changed[name]
    return f"?{changed.urlencode()}"


@dataclass(frozen=True)
class Header:
    """A column's heading: where it leads when it sorts, and how it sorts now."""

    label: str
    css: str
    url: str = ""
    direction: str = ""

    @classmethod
    def of(cls, column: Column, order: Order, query: QueryDict) -> Header:
        if not column.sort:
            return cls(column.label, column.css)
        is_sorted = column.sort == order.field
        # Figures and dates are looked for from the biggest and newest; texts from A.
        first_down = column.kind in ("money", "number", "day", "when")
        descending = not order.descending if is_sorted else first_down
        # A mark belongs to one order: in another it would point to nowhere, so it goes.
        url = address(query, sort=str(Order(column.sort, descending)), after=None, before=None)
        direction = ("descending" if order.descending else "ascending") if is_sorted else ""
        return cls(column.label, column.css, url, direction)


@dataclass(frozen=True)
class Row:
    """A row's cells, each with its column."""

    cells: list[tuple[Column, SafeString]]


@dataclass
class Listing:
    """One page of a list, ready to show."""

    headers: list[Header]
    filters: list[tuple[str, dict[str, Any]]]
    query: str
    sort: str
    filtered: bool
    narrowed: bool
    csv_url: str
    clear_url: str
    refresh_url: str
    rows: list[Row] = field(default_factory=list)
    count: str = "0"
    next_url: str = ""
    previous_url: str = ""
    too_slow: bool = False
