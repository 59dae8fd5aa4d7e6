"""How long money is outstanding. Pure; formulas: reference/signals.md, section C."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)


def dso_countback(
    receivables: Decimal, sales: Sequence[tuple[date, Decimal]], today: date
) -> Decimal | None:
    """Days of sales outstanding by counting back, steady when sales swing.

    `sales`: the first day of each month and its sales with tax, the newest first. Whole months
    that the receivables exceed count with all their days, the last one in part. None where the
    receivables exceed everything that was sold, or nothing was.
    """
    days, left = ZERO, receivables
    if left <= 0:
        return ZERO
    for month, sold in sales:
        length = _days(month, today)
        if sold >= left > 0:
            return (days + left / sold * length).quantize(Decimal("0.1"))
        days, left = days + length, left - max(sold, ZERO)
    return None


def _days(month: date, today: date) -> int:
    if (month.year, month.month) == (today.year, today.month):
        # The month under way has only had these days to sell in.
        return today.day
    return monthrange(month.year, month.month)[1]
