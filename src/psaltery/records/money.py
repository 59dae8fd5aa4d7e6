"""Money: a Decimal with its currency, and the rounding that the books use."""

from decimal import ROUND_HALF_UP, Decimal

import msgspec

CENT = Decimal("0.01")
ZERO = Decimal("0")


def cents(amount: Decimal) -> Decimal:
    """`amount` rounded to two decimals, halves away from zero, as Xero and ConnectWise do."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def decimals(amount: Decimal, places: int) -> Decimal:
    """`amount` rounded half up to `places` decimals."""
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


class Money(msgspec.Struct, frozen=True):
    """An amount in one currency (ISO 4217 code)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.currency} {self.amount:,.2f}"
