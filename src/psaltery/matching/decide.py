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
    credit_memo: str = ""  # the PSA's credit memo that this credit note is, by its id there


class ShownCredit(msgspec.Struct, frozen=True, kw_only=True):
    """A credit memo that the PSA shows as applied, from us."""

    payment_id: str
    credit_memo: str
    amount: Decimal


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the PSA shows from us now; `payment_id` "" when nothing."""

    payment_id: str
    amount: Decimal
    paid_on: date | None
    credits: tuple[ShownCredit, ...] = ()


class ApplyCredit(msgspec.Struct, frozen=True):
    credit_memo: str
    amount: Decimal
    paid_on: date


class RemoveCredit(msgspec.Struct, frozen=True):
    payment_id: str


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


Decision = ApplyCredit | RemoveCredit | CreatePayment | UpdatePayment | DeletePayment | InStep

_WORDS = {
    "payment": "payment",
    "credit_note": "credit note",
    "overpayment": "overpayment",
    "prepayment": "prepayment",
}


def decide(parts: Sequence[Part], shown: Shown) -> Decision:
    """The next write that brings the PSA nearer to `parts`; InStep when there is none.

    Credits go before cash, removals before what may need their room. A credit note that is no
    credit memo of the PSA counts as cash there: nothing else can lower its balance.
    """
    credit = _credits([part for part in parts if part.credit_memo], shown)
    return credit or _cash([part for part in parts if not part.credit_memo], shown)


def _credits(parts: Sequence[Part], shown: Shown) -> ApplyCredit | RemoveCredit | None:
    wanted = {memo: _summed(parts, memo) for memo in {part.credit_memo for part in parts}}
    there = {credit.credit_memo: credit for credit in shown.credits}
    # Removals first: the PSA refuses more than the memo's balance, and this frees it.
    for memo, credit in there.items():
        if memo not in wanted or wanted[memo].amount != cents(credit.amount):
            return RemoveCredit(credit.payment_id)
    # In a fixed order: the same state of both sides always gives the same next write.
    for memo in sorted(wanted):
        if memo not in there:
            return wanted[memo]
    return None


def _summed(parts: Sequence[Part], memo: str) -> ApplyCredit:
    mine = [part for part in parts if part.credit_memo == memo]
    dates = [part.paid_on for part in mine if part.paid_on is not None]
    amount = cents(sum((part.amount for part in mine), ZERO))
    return ApplyCredit(memo, amount, max(dates, default=date.min))


def _cash(parts: Sequence[Part], shown: Shown) -> Decision:
    """One record: the sum, dated by the latest part."""
    amount = cents(sum((part.amount for part in parts), ZERO))
    dates = [part.paid_on for part in parts if part.paid_on is not None]
    # Removed, not set to zero: the books have no payment there any more either.
    if amount == ZERO or not dates:
        if shown.payment_id:
            return DeletePayment(shown.payment_id)
        return InStep("The PSA shows what the books have.")
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
