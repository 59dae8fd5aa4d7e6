"""Charts as data: what `{% chart %}` draws. Colours and fonts come from the page's own theme."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

Figures = Sequence[int | Decimal | None]
Series = Sequence[tuple[str, Figures]]


def _plain(figures: Figures) -> list[int | str | None]:
    # Text keeps an amount exact on its way into the page; the chart reads it as a figure.
    return [str(figure) if isinstance(figure, Decimal) else figure for figure in figures]


def bars(categories: Sequence[str], series: Series, *, stacked: bool = False) -> dict[str, Any]:
    """Bars a category: one colour for each of the series, beside or on top of one another."""
    drawn = [
        {"type": "bar", "name": name, "data": _plain(figures), "barMaxWidth": 28}
        | ({"stack": "all"} if stacked else {})
        for name, figures in series
    ]
    return _axes(categories, drawn)


def lines(categories: Sequence[str], series: Series, *, filled: bool = False) -> dict[str, Any]:
    """A line for each of the series."""
    drawn = [
        {"type": "line", "name": name, "data": _plain(figures), "showSymbol": False}
        | ({"areaStyle": {"opacity": 0.08}} if filled else {})
        for name, figures in series
    ]
    return _axes(categories, drawn)


def shares(labels: Sequence[str], used: Figures, limits: Figures) -> dict[str, Any]:
    """Lying bars of how much of a limit is used: what is used, and what is left of it."""
    left = [
        # Never below zero: other programs may have used more of the vendor's limit than we counted.
        None if limit is None else max(limit - (spent or 0), 0)
        for spent, limit in zip(used, limits, strict=True)
    ]
    drawn: list[dict[str, Any]] = [
        {"type": "bar", "name": "Used", "stack": "all", "data": _plain(used), "barMaxWidth": 16},
        {"type": "bar", "name": "Left", "stack": "all", "data": _plain(left), "faint": True},
    ]
    return {
        "yAxis": {"type": "category", "data": list(labels), "inverse": True},
        "xAxis": {"type": "value"},
        "series": drawn,
    }


# So few have room for all their names; of months and weeks some may be left out.
_ALL_NAMED = 5


def _axes(categories: Sequence[str], series: list[dict[str, Any]]) -> dict[str, Any]:
    few = len(categories) <= _ALL_NAMED
    labels = {"interval": 0, "hideOverlap": False} if few else {}
    return {
        "xAxis": {"type": "category", "data": list(categories), "axisLabel": labels},
        "yAxis": {"type": "value"},
        "series": series,
    }
