"""A document as the PSA and the books show it, line by line, with why each value was chosen.

Pure: what to compare is read by queries.py.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.mapping.lookup import KEYS
from psaltery.records.drafts import DraftLine
from psaltery.records.psa import DocumentLine


class BooksLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line as the books have it, or as it is going to be."""

    description: str
    quantity: Decimal
    unit_amount: Decimal
    line_amount: Decimal | None
    tax_amount: Decimal | None
    account: str
    tax: str
    tracking: tuple[str, ...]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One chosen value: what it became, by which mapping, and which keys were tried before."""

    label: str
    list: str
    chosen: str  # "" when nothing answered
    by: str
    mapping: int | None
    version: int | None
    tried: tuple[str, ...]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the PSA beside its line in the books; one of the two may be missing."""

    psa: DocumentLine | None
    books: BooksLine | None
    whys: tuple[Why, ...] = ()
    note: str = ""

    def psa_quantity(self) -> str:
        """The PSA's quantity without idle zeros."""
        return _plain(self.psa.quantity) if self.psa else ""

    def books_quantity(self) -> str:
        """The books' quantity without idle zeros."""
        return _plain(self.books.quantity) if self.books else ""


def _plain(number: Decimal) -> str:
    return f"{number.normalize():,f}"


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The books' own names for codes and ids."""

    accounts: Mapping[str, str] = {}
    taxes: Mapping[str, str] = {}
    options: Mapping[str, str] = {}

    def of(self, list_: str, target: str) -> str:
        """The name that people know the target of a mapping by."""
        names = {"account": self.accounts, "tax": self.taxes, "tracking": self.options}[list_]
        return names.get(target, target)


_LABELS = {"account": "Account", "tax": "Tax", "tracking": "Tracking"}


def pairs(
    psa: Sequence[DocumentLine],
    books: Sequence[BooksLine],
    traced: Sequence[Mapping[str, Any]],
    names: Names,
) -> list[Pair]:
    """Every line of both sides once: those of the PSA in its order, then what only the books have.

    `traced` are the lines of a decision's trace, in the books' order. Without one (an adopted
    document) lines are laid beside each other by their place.
    """
    # By key, not by place: the PSA's lines may stand in another order since it was posted.
    keys = [str(line.get("key", "")) for line in traced] or [line.key for line in psa]
    places = {key: place for place, key in enumerate(keys[: len(books)]) if key}
    reasons = {str(line.get("key", "")): line for line in traced}
    found = [
        Pair(
            psa=line,
            books=books[places[line.key]] if line.key in places else None,
            whys=whys(reasons.get(line.key, {}), names),
        )
        for line in psa
    ]
    used = {places[line.key] for line in psa if line.key in places}
    rest = [place for place in range(len(books)) if place not in used]
    return found + [Pair(psa=None, books=books[at], note=_note(traced, at)) for at in rest]


def _note(traced: Sequence[Mapping[str, Any]], place: int) -> str:
    account = traced[place].get("account", {}) if place < len(traced) else {}
    return str(account.get("why", "")) or "Only in the books."


def whys(traced: Mapping[str, Any], names: Names) -> tuple[Why, ...]:
    """The reasons in one line of a trace, in words."""
    chosen = [(list_, traced[list_]) for list_ in ("account", "tax") if list_ in traced]
    chosen += [("tracking", choice) for choice in traced.get("tracking", [])]
    return tuple(_why(list_, choice, names) for list_, choice in chosen if "tried" in choice)


def _why(list_: str, choice: Mapping[str, Any], names: Names) -> Why:
    target = str(choice.get("target", ""))
    return Why(
        label=_LABELS[list_],
        list=list_,
        chosen=names.of(list_, target) if target else "",
        by=key_words(list_, choice.get("key_kind", ""), choice.get("key", "")),
        mapping=choice.get("mapping"),
        version=choice.get("version"),
        tried=tuple(key_words(list_, kind, value) for kind, value in choice["tried"]),
    )


def key_words(list_: str, kind: str, value: str) -> str:
    """A mapping's key as people say it: Product “FW-100”."""
    label = KEYS[list_].get(kind, kind)
    return f"{label} “{value}”" if value else label


def drafted(line: DraftLine, names: Names) -> BooksLine:
    """A line of a draft as the page shows it."""
    return BooksLine(
        description=line.description,
        quantity=line.quantity,
        unit_amount=line.unit_amount,
        line_amount=line.line_amount,
        tax_amount=line.tax_amount,
        account=names.of("account", line.account_code),
        tax=names.of("tax", line.tax_type),
        tracking=tuple(f"{choice.category}: {choice.option}" for choice in line.tracking),
    )
