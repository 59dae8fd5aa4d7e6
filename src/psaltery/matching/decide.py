"""What the PSA is to show as paid on one document. Pure.

ConnectWise is safest with one payment record an invoice (reference/connectwise.md 8), so all that
settles the document in the books is summed into one record; its parts are named in the note. Sites
that take several records may have one for each payment instead, with its own date.
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


class ShownPart(msgspec.Struct, frozen=True, kw_only=True):
    """A payment record of the PSA that stands for one part alone; `part` is the part's id."""

    payment_id: str
    part: str
    amount: Decimal
    paid_on: date | None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the PSA shows from us now; `payment_id` of the one summed record, "" when there is none.

    `parts`: the records that stand for one part each.
    """

    payment_id: str
    amount: Decimal
    paid_on: date | None
    credits: tuple[ShownCredit, ...] = ()
    parts: tuple[ShownPart, ...] = ()


class ApplyCredit(msgspec.Struct, frozen=True):
    credit_memo: str
    amount: Decimal
    paid_on: date


class RemoveCredit(msgspec.Struct, frozen=True):
    payment_id: str


class CreatePayment(msgspec.Struct, frozen=True):
    """`part`: the one that it stands for alone; "" for the sum of all."""

    amount: Decimal
    paid_on: date
    note: str
    part: str = ""


class UpdatePayment(msgspec.Struct, frozen=True):
    payment_id: str
    amount: Decimal
    paid_on: date


class DeletePayment(msgspec.Struct, frozen=True):
    payment_id: str


class InStep(msgspec.Struct, frozen=True):
    why: str


Decision = ApplyCredit | RemoveCredit | CreatePayment | UpdatePayment | DeletePayment | InStep

ALL_SHOWN = "The PSA shows what the books have."
_WORDS = {
    "payment": "payment",
    "credit_note": "credit note",
    "overpayment": "overpayment",
    "prepayment": "prepayment",
}


def decide(parts: Sequence[Part], shown: Shown, *, each: bool = False) -> Decision:
    """The next write that brings the PSA nearer to `parts`; InStep when there is none.

    Credits go before cash, removals before what may need their room. A credit note that is no
    credit memo of the PSA counts as cash there: nothing else can lower its balance. `each`: a
    record for each part of the cash, not one for their sum.
    """
    credit = _credits([part for part in parts if part.credit_memo], shown)
    cash = [part for part in parts if not part.credit_memo]
    return credit or (_each(cash, shown) if each else _cash(cash, shown))


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
    # Records of single parts go first: with the sum beside them the money would be there twice.
    for one in shown.parts:
        return DeletePayment(one.payment_id)
    amount = cents(sum((part.amount for part in parts), ZERO))
    dates = [part.paid_on for part in parts if part.paid_on is not None]
    # Removed, not set to zero: the books have no payment there any more either.
    if amount == ZERO or not dates:
        if shown.payment_id:
            return DeletePayment(shown.payment_id)
        return InStep(ALL_SHOWN)
    paid_on = max(dates)
    if not shown.payment_id:
        return CreatePayment(amount, paid_on, note(parts))
    if (cents(shown.amount), shown.paid_on) != (amount, paid_on):
        return UpdatePayment(shown.payment_id, amount, paid_on)
    return InStep(ALL_SHOWN)


def _each(parts: Sequence[Part], shown: Shown) -> Decision:
    """A record for each part, with its own amount and date; removals before the others."""
    if shown.payment_id:
        return DeletePayment(shown.payment_id)
    wanted = {part.external_id: part for part in parts if cents(part.amount) and part.paid_on}
    there = {one.part: one for one in shown.parts}
    for one in shown.parts:
        if one.part not in wanted:
            return DeletePayment(one.payment_id)
    for name, part in wanted.items():
        if (decision := _one(part, there.get(name))) is not None:
            return decision
    return InStep(ALL_SHOWN)


def _one(part: Part, shown: ShownPart | None) -> CreatePayment | UpdatePayment | None:
    amount, paid_on = cents(part.amount), part.paid_on
    assert paid_on is not None  # the caller leaves out what has no date
    if shown is None:
        return CreatePayment(amount, paid_on, note([part]), part.external_id)
    if (cents(shown.amount), shown.paid_on) != (amount, paid_on):
        return UpdatePayment(shown.payment_id, amount, paid_on)
    return None


def note(parts: Sequence[Part]) -> str:
    """The parts in words, for the people who read the PSA's payment."""
    words = [
        f"{_WORDS.get(part.touch, part.touch)} {part.amount:,.2f}"
        + (f" on {part.paid_on:%Y-%m-%d}" if part.paid_on else "")
        + (f" ({part.reference})" if part.reference else "")
        for part in parts
    ]
    return "From the books: " + "; ".join(words)
