"""Recurring revenue: what agreements promise a month, and what was invoiced for one. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

ZERO = Decimal(0)
# Months that one period of a billing cycle covers. Names are the tenant's own; these are how the
# options of a PSA begin: longer names first.
_MONTHS = {
    "bimonth": Decimal(2),
    "month": Decimal(1),
    "quarter": Decimal(3),
    "semi": Decimal(6),
    "halfyear": Decimal(6),
    "year": Decimal(12),
    "annual": Decimal(12),
    "biweek": Decimal(24) / Decimal(52),
    "week": Decimal(12) / Decimal(52),
}
_PREPAID = ("prepaid", "prepay", "block", "retainer")


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement with what its additions bill a period."""

    id: str
    name: str
    currency: str
    amount: Decimal  # the fee and the additions of one period, net of tax
    cycle: str = ""
    type: str = ""
    state: str = "active"
    starts_on: date | None = None
    ends_on: date | None = None
    next_invoice_on: date | None = None


class RecurringInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that an agreement made, or a credit on one (negative)."""

    agreement: str  # by name: the PSA's documents tell no more
    currency: str
    amount: Decimal
    issued_on: date


def months_of(cycle: str) -> Decimal | None:
    """How many months a billing cycle covers; None for one that does not recur or is unknown."""
    plain = "".join(sign for sign in cycle.casefold() if sign.isalpha())
    return next((months for name, months in _MONTHS.items() if plain.startswith(name)), None)


def is_prepaid(contract: Contract) -> bool:
    """Hours bought beforehand: worked off without an invoice of their own."""
    words = f"{contract.type} {contract.name}".casefold()
    return any(word in words for word in _PREPAID)


def is_active(contract: Contract, day: date) -> bool:
    """Whether the agreement runs on a day."""
    return (
        contract.state == "active"
        and (contract.starts_on is None or contract.starts_on <= day)
        and (contract.ends_on is None or contract.ends_on >= day)
    )


def monthly(contract: Contract) -> Decimal:
    """What it promises a month: quarterly ÷ 3, yearly ÷ 12; 0 where it does not recur."""
    months = months_of(contract.cycle)
    return contract.amount / months if months else ZERO


def contracted(contracts: Iterable[Contract], day: date) -> dict[str, Decimal]:
    """The monthly value of the agreements that run on a day, by currency."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in contracts:
        if is_active(one, day) and (worth := monthly(one)):
            sums[one.currency] += worth
    return {currency: cents(sum_) for currency, sum_ in sums.items()}


def invoiced(
    invoices: Iterable[RecurringInvoice], cycles: Mapping[str, str], month: date
) -> dict[str, Decimal]:
    """What was invoiced for the month that begins on `month`, by currency, credits taken off.

    A yearly invoice counts a twelfth in each month that it covers. `cycles`: of agreements by name.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in invoices:
        covers = months_of(cycles.get(one.agreement, "")) or Decimal(1)
        # Shorter cycles bill several times within the month, each in full.
        covers = max(covers, Decimal(1))
        if 0 <= months_between(one.issued_on, month) < covers:
            sums[one.currency] += one.amount / covers
    return {currency: cents(sum_) for currency, sum_ in sums.items()}


def months_between(earlier: date, later: date) -> int:
    """Calendar months from one day's month to another's."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def month_start(day: date, back: int = 0) -> date:
    """The first day of the month, or of one some months before."""
    number = day.year * 12 + day.month - 1 - back
    return date(number // 12, number % 12 + 1, 1)


def cents(amount: Decimal) -> Decimal:
    """Rounded to what the columns keep."""
    return amount.quantize(Decimal("0.0001"))
