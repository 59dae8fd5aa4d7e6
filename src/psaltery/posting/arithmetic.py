"""The books' arithmetic, so that a document can be shaped to come out at the PSA's total and tax.

Source: reference/xero.md 3.15 (https://developer.xero.com/documentation/api-guides/rounding-in-xero).
Price to 4 decimals first, quantity keeps 4; line to 2; tax a line to 2, halves up; then the sums.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from psaltery.records.books import TaxMode
from psaltery.records.drafts import DraftLine
from psaltery.records.money import ZERO, cents, decimals

# Four decimals hold only while every call says unitdp=4; else the price is cut to two before it
# is multiplied: https://developer.xero.com/documentation/api-guides/rounding-in-xero
PLACES = 4
HUNDRED = Decimal(100)


class Totals(msgspec.Struct, frozen=True):
    """What a document adds up to; `subtotal` is without tax."""

    subtotal: Decimal
    tax: Decimal
    total: Decimal


def line_amount(quantity: Decimal, unit_amount: Decimal) -> Decimal:
    """The amount that the books compute for a line."""
    return cents(decimals(quantity, PLACES) * decimals(unit_amount, PLACES))


def line_tax(amount: Decimal, rate: Decimal, mode: TaxMode) -> Decimal:
    """The tax of one line; `rate` in per cent. Inclusive: the tax inside `amount`."""
    if mode is TaxMode.NO_TAX or not rate:
        return ZERO
    if mode is TaxMode.INCLUSIVE:
        # The net is rounded and the tax is what is left: to round the tax itself can be a cent off.
        return amount - cents(amount / (1 + rate / HUNDRED))
    return cents(amount * rate / HUNDRED)


def tax_of(line: DraftLine, rates: Mapping[str, Decimal], mode: TaxMode) -> Decimal:
    """The tax of a draft's line: the one given, or the computed one."""
    if mode is TaxMode.NO_TAX:
        return ZERO
    if line.tax_amount is not None:
        return line.tax_amount
    amount = line_amount(line.quantity, line.unit_amount)
    return line_tax(amount, rates.get(line.tax_type, ZERO), mode)


def totals(lines: Sequence[DraftLine], rates: Mapping[str, Decimal], mode: TaxMode) -> Totals:
    """What the books will show for these lines. `rates`: tax type → per cent."""
    amount = sum((line_amount(line.quantity, line.unit_amount) for line in lines), ZERO)
    # Tax is rounded line by line; tax on the sum differs by cents from what the books will show.
    tax = sum((tax_of(line, rates, mode) for line in lines), ZERO)
    if mode is TaxMode.INCLUSIVE:
        return Totals(amount - tax, tax, amount)
    return Totals(amount, tax, amount + tax)


def fit(quantity: Decimal, unit_price: Decimal, amount: Decimal) -> tuple[Decimal, Decimal]:
    """Quantity and price of at most 4 decimals whose line comes out at `amount` (in cents).

    The PSA's own where they do; else its quantity with the price that fits; else one times the
    amount (Xero's advice for more than 4 decimals).
    """
    for candidate in (unit_price, amount / quantity if quantity else ZERO):
        # Tried as the books will compute it: a price that was cut may miss the amount by a cent.
        pair = decimals(quantity, PLACES), decimals(candidate, PLACES)
        if line_amount(*pair) == amount:
            return pair
    return Decimal(1), amount
