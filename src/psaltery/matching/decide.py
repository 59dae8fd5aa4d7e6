"""What the PSA is to show as paid on one document. Pure.

ConnectWise is safest with one payment record an invoice (reference/connectwise.md 8), so all that
settles the document in the books is summed into one record; its parts are named in the note.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.records.money import ZERO, cents


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One touch of money or credit on the invoice in the books."""

    external_id: str
    touch: str
    amount: Decimal
    paid_on: date | None
    reference: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the PSA shows from us now; `payment_id` "" when nothing."""

    payment_id: str
    amount: Decimal
    paid_on: date | None


class CreatePayment(msgspec.Struct, frozen=True):
    amount: Decimal
    paid_on: date
    note: str


class UpdatePayment(msgspec.Struct, frozen=True):
    payment_id: str
    amount: Decimal
    paid_on: date


class DeletePayment(msgspec.Struct, frozen=True):
    payment_id: str


class InStep(msgspec.Struct, frozen=True):
    why: str


Decision = CreatePayment | UpdatePayment | DeletePayment | InStep

_WORDS = {
    "payment": "payment",
    "credit_note": "credit note",
    "overpayment": "overpayment",
    "prepayment": "prepayment",
}


def decide(parts: Sequence[Part], shown: Shown) -> Decision:
    """The one write that makes the PSA show the sum of `parts`, dated by the latest of them."""
    amount = cents(sum((part.amount for part in parts), ZERO))
    dates = [part.paid_on for part in parts if part.paid_on is not None]
    if amount == ZERO or not dates:
        if shown.payment_id:
            return DeletePayment(shown.payment_id)
        return InStep("Nothing is paid in the books.")
    paid_on = max(dates)
    if not shown.payment_id:
        return CreatePayment(amount, paid_on, note(parts))
    if (cents(shown.amount), shown.paid_on) != (amount, paid_on):
        return UpdatePayment(shown.payment_id, amount, paid_on)
    return InStep("The PSA shows what the books have.")


def note(parts: Sequence[Part]) -> str:
    """The parts in words, for the people who read the PSA's payment."""
    words = [
        f"{_WORDS.get(part.touch, part.touch)} {part.amount:,.2f}"
        + (f" on {part.paid_on:%Y-%m-%d}" if part.paid_on else "")
        + (f" ({part.reference})" if part.reference else "")
        for part in parts
    ]
    return "From the books: " + "; ".join(words)
