"""Which open invoices some money may be for, the likeliest first. Pure.

A candidate is never taken by itself: number and amount only put it higher on the list.
"""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.records.money import cents

# In this order of weight: customers name the number for what they pay, and round amounts often.
NUMBER, AMOUNT = "number", "amount"
_WORDS = {NUMBER: "its number is in the reference", AMOUNT: "exactly this amount"}


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of an overpayment or prepayment, in its own currency."""

    left: Decimal
    currency: str
    reference: str = ""


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that is open in the books and linked to a document of the PSA."""

    invoice: str  # its id in the books
    document: int
    number: str
    due: Decimal
    currency: str
    issued_on: date | None = None
    due_on: date | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice, what speaks for it (NUMBER, AMOUNT), and what would be applied to it."""

    open: Open
    speaks: tuple[str, ...]
    amount: Decimal

    @property
    def why(self) -> str:
        """In words; "" when nothing but the customer is the same."""
        return ", ".join(_WORDS[one] for one in self.speaks)


def rank(money: Money, invoices: Iterable[Open]) -> list[Candidate]:
    """The invoices of the money's currency; those that agree in most first, then the oldest."""
    fit = [one for one in invoices if one.currency == money.currency and one.due > 0]
    return sorted((_candidate(money, one) for one in fit), key=_order)


def _candidate(money: Money, invoice: Open) -> Candidate:
    speaks = [NUMBER] if _names(money.reference, invoice.number) else []
    if cents(invoice.due) == cents(money.left):
        speaks.append(AMOUNT)
    return Candidate(open=invoice, speaks=tuple(speaks), amount=cents(min(money.left, invoice.due)))


def _names(reference: str, number: str) -> bool:
    """Whether the reference has the number by itself, not as a part of a longer one."""
    if not number:
        return False
    alone = rf"(?<![0-9A-Za-z]){re.escape(number)}(?![0-9A-Za-z])"
    return re.search(alone, reference, re.IGNORECASE) is not None


def _order(one: Candidate) -> tuple[bool, bool, date, str]:
    return (
        NUMBER not in one.speaks,
        AMOUNT not in one.speaks,
        one.open.issued_on or date.max,
        one.open.number,
    )
