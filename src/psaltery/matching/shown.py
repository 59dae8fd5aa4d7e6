"""What the PSA shows from us for one document: kept the moment it is known, whatever follows."""

from collections.abc import Sequence
from typing import Any

import msgspec

from psaltery.kit.clock import now
from psaltery.matching.decide import Shown, ShownCredit, ShownPart
from psaltery.matching.models import PaymentBack
from psaltery.records.money import ZERO
from psaltery.records.psa import PsaPayment


def shown_by_us(back: PaymentBack) -> Shown:
    """For the decision."""
    return Shown(
        payment_id=back.psa_payment_id,
        amount=back.amount,
        paid_on=back.paid_on,
        credits=msgspec.convert(back.credits, tuple[ShownCredit, ...], strict=False),
        parts=_single(back),
    )


def _single(back: PaymentBack) -> tuple[ShownPart, ...]:
    return msgspec.convert(back.payments, tuple[ShownPart, ...], strict=False)


def records(back: PaymentBack) -> set[str]:
    """The PSA's payment records that hold cash from us, by id."""
    return {back.psa_payment_id, *(one["payment_id"] for one in back.payments)} - {""}


def is_single(back: PaymentBack, payment_id: str) -> bool:
    """Whether this record stands for one part alone."""
    return any(one["payment_id"] == payment_id for one in back.payments)


def keep_part(back: PaymentBack, payment: PsaPayment, part: str) -> None:
    """The record that stands for one part of the books' money."""
    others = [one for one in _single(back) if one.part != part]
    _save_parts(back, [*others, _shown_part(payment, part)])


def follow_part(back: PaymentBack, payment_id: str, payment: PsaPayment | None) -> None:
    """It stands in the PSA like this now; None: it is gone."""
    kept: list[ShownPart] = []
    for one in _single(back):
        if one.payment_id != payment_id:
            kept.append(one)
        elif payment is not None:
            kept.append(_shown_part(payment, one.part))
    _save_parts(back, kept)


def _shown_part(payment: PsaPayment, part: str) -> ShownPart:
    return ShownPart(
        payment_id=payment.external_id, part=part, amount=payment.amount, paid_on=payment.paid_on
    )


def _save_parts(back: PaymentBack, parts: Sequence[ShownPart]) -> None:
    """With their sum and latest day, which stand for all of it on pages and in the tie-out."""
    back.payments = msgspec.to_builtins(list(parts))
    back.amount = sum((one.amount for one in parts), ZERO)
    back.paid_on = max((one.paid_on for one in parts if one.paid_on), default=None)
    PaymentBack.objects.filter(pk=back.pk).update(
        payments=back.payments, amount=back.amount, paid_on=back.paid_on, settled_at=now()
    )


def remember(back: PaymentBack, shown: PsaPayment | None) -> None:
    """The one record of the sum; None: there is none any more."""
    back.psa_payment_id = shown.external_id if shown else ""
    back.amount = shown.amount if shown else ZERO
    back.paid_on = shown.paid_on if shown else None
    PaymentBack.objects.filter(pk=back.pk).update(
        psa_payment_id=back.psa_payment_id,
        amount=back.amount,
        paid_on=back.paid_on,
        settled_at=now(),
    )


# Credit memos.


def keep_credit(back: PaymentBack, payment: PsaPayment) -> None:
    """The record that applies a credit memo."""
    shown = ShownCredit(
        payment_id=payment.external_id, credit_memo=payment.credit_id, amount=payment.amount
    )
    others = [one for one in back.credits if one["credit_memo"] != payment.credit_id]
    _save_credits(back, [*others, msgspec.to_builtins(shown)])


def drop_credit(back: PaymentBack, payment_id: str) -> None:
    """The credit memo is applied no more."""
    _save_credits(back, [one for one in back.credits if one["payment_id"] != payment_id])


def _save_credits(back: PaymentBack, credits: list[Any]) -> None:
    back.credits = credits
    PaymentBack.objects.filter(pk=back.pk).update(credits=credits, settled_at=now())
