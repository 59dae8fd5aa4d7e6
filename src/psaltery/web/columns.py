"""A list's columns: which value a row shows, how it is written on the page and in a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from psaltery.web import format as write
from psaltery.web.keyset import value_at

Kind = Literal["text", "money", "number", "day", "when", "state", "yes_no", "code"]

RIGHT_ALIGNED = frozenset({"money", "number"})


@dataclass(frozen=True)
class Column:
    """One column of a list.

    `name` is the attribute that holds the value (a path such as `customer.name` is followed; fetch
    it with select_related). `link` is the attribute, or a function of the row, that gives the
    address the value leads to. `currency` is the attribute with the currency of an amount, `detail`
    one whose text stands small below the value. `sort` is the database field to sort by. `html`
    draws the cell itself, from the row; `value` computes the value instead of reading `name`.
    """

    name: str
    label: str
    kind: Kind = "text"
    link: str | Callable[[Any], str] = ""
    currency: str = ""
    detail: str | Callable[[Any], str] = ""
    sort: str = ""
    value: Callable[[Any], Any] | None = None
    html: Callable[[Any], SafeString | str] | None = None
    places: int | None = None
    phone: bool = True
    csv: bool = True

    @property
    def css(self) -> str:
        """The classes of the column's cells."""
        classes = ["cell-end"] if self.kind in RIGHT_ALIGNED else []
        if not self.phone:
            classes.append("d-none d-md-table-cell")
        return " ".join(classes)

    def value_of(self, row: Any) -> Any:
        """The row's value, before it is written."""
        return self.value(row) if self.value else value_at(row, self.name)

    def currency_of(self, row: Any) -> str:
        return str(value_at(row, self.currency) or "") if self.currency else ""

    def cell(self, row: Any) -> SafeString:
        """The cell's content on the page."""
        # Escaped unless the function says that it is safe: names come from other systems.
        if self.html:
            return format_html("{}", self.html(row))
        shown = self._written(row)
        address = _from(row, self.link)
        if address:
            shown = format_html('<a href="{}">{}</a>', address, shown)
        detail = _from(row, self.detail)
        return (
            format_html('{}<div class="cell-detail">{}</div>', shown, detail) if detail else shown
        )

    def _written(self, row: Any) -> SafeString:
        value = self.value_of(row)
        # A dash, never a zero: that nothing is known must not read as nothing owed.
        if value is None or value == "":
            return write.NOTHING
        if self.kind == "money":
            return write.money(value, self.currency_of(row), self.places)
        return WRITERS[self.kind](value)

    def text(self, row: Any) -> str:
        """The value in a CSV file: what a spreadsheet can reckon with."""
        value = self.value_of(row)
        if value is None:
            return ""
        # With its offset: a file leaves the page, and with it the reader's time zone.
        if isinstance(value, datetime):
            return timezone.localtime(value).isoformat(sep=" ", timespec="seconds")
        if self.kind == "state":
            return write.STATES[write.state_key(value)].label
        if isinstance(value, str):
            return _harmless(value)
        return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _from(row: Any, source: str | Callable[[Any], str]) -> str:
    if callable(source):
        return source(row)
    return str(value_at(row, source) or "") if source else ""


def _harmless(text: str) -> str:
    # A spreadsheet would run a text from outside that begins like a formula.
    # https://owasp.org/www-community/attacks/CSV_Injection
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _number(value: Any) -> SafeString:
    return format_html('<span class="figure">{}</span>', write.count_text(value))


def _yes_no(value: Any) -> SafeString:
    if value:
        return write.icon("check", "text-green", label="yes")
    return write.icon("minus", "text-secondary", label="no")


WRITERS: dict[str, Callable[[Any], SafeString]] = {
    "text": lambda value: format_html("{}", value),
    "code": lambda value: format_html("<code>{}</code>", value),
    "number": _number,
    "day": write.day,
    "when": write.when,
    "state": write.state,
    "yes_no": _yes_no,
}
