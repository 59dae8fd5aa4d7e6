"""Writes payments of the books to the PSA: booked before, settled after, looked up in doubt."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.contract import Psa
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import begin_writes_within
from psaltery.audit.actor import about
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.desk.service import note_balance
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice, BillingPayment
from psaltery.matching.decide import (
    ApplyCredit,
    CreatePayment,
    Decision,
    DeletePayment,
    InStep,
    Part,
    RemoveCredit,
    UpdatePayment,
    decide,
)
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.matching.shown import (
    drop_credit,
    follow_part,
    is_single,
    keep_credit,
    keep_part,
    records,
    remember,
    shown_by_us,
)
from psaltery.matching.taken import service as taken
from psaltery.matching.taken.service import reference
from psaltery.posting.attempts import tell
from psaltery.posting.models import Link
from psaltery.posting.policy import Policy, read_policy
from psaltery.posting.reissue.service import moving
from psaltery.records.drafts import BooksKind
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import PsaPayment
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release

# The PSA refuses no second payment of the same amount. So a write is begun at once or not at all,
# and its absence means something only when no server would still be at it (an ASP.NET request ends
# after 110 s; our own time-out is 60 s).
BEGIN_WITHIN = timedelta(seconds=10)
GRACE = timedelta(minutes=3)
TOPIC = "payment"
# A bound, so that one document whose sides never meet can't use up the calls of all others.
MOST_WRITES = 25  # for one document in one go; the rest waits for the next
_State = PaymentBack.State


class Report(msgspec.Struct):
    written: int = 0
    held: int = 0
    seen: int = 0


def waiting(organisation: Organisation, limit: int) -> list[PaymentBack]:
    """Documents whose payments are to be written or looked up, oldest first."""
    rows = due().filter(organisation=organisation)
    rows = rows.select_related("document", "document__link", "organisation")
    return list(rows.order_by("changed_at")[:limit])


def due() -> QuerySet[PaymentBack]:
    """What is to be written, and what is in doubt for long enough to be looked up."""
    # Younger ones are left alone: their writes may still be on the way.
    doubtful = PaymentBack.objects.filter(
        state__in=(_State.WRITING, _State.UNCERTAIN), booked_at__lt=now() - GRACE
    )
    # What somebody entered in the PSA is settled first: it may be the same money.
    free = PaymentBack.objects.exclude(document__payments_taken__state__in=taken.OPEN)
    # Not before the PSA's own payments are known: one of them may be the money to be written.
    free = free.exclude(document__payments_to_read__isnull=False)
    # During a re-issue the money lies on no invoice for a moment; the PSA must not see it go.
    free = free.exclude(document__in=moving(now()).values("document"))
    return doubtful | free.filter(state=_State.WAITING)


def carry_out(back: PaymentBack, psa: Psa, report: Report) -> None:
    """Bring the PSA's payments of one document in step.

    Raises TryLater and NeedsReconnect, and Rejected (its card is open then) where the PSA does not
    even say what is paid on the document.
    """
    report.seen += 1
    document = back.document
    with about(document_kind=TOPIC, documents=[document.number], customer=document.company_name):
        try:
            _bring_in_step(back, psa, report)
        except Rejected as failure:
            report.held += 1
            _unread(back, failure)
            raise


def _bring_in_step(back: PaymentBack, psa: Psa, report: Report) -> None:
    doubtful = back.state in (_State.WRITING, _State.UNCERTAIN)
    # ConnectWise has no idempotency key: only what it shows tells whether it arrived.
    if doubtful and not _look_up(back, psa):
        return
    for step in range(MOST_WRITES):
        # Cleared before the money is read: what moves after this line shows as dirty.
        PaymentBack.objects.filter(pk=back.pk).update(dirty=False)
        policy = _policy(back)
        waits, touches = _touches(back, policy)
        parts = _parts(back, touches)
        decision = decide(parts, shown_by_us(back), each=policy.payments_each)
        if isinstance(decision, InStep):
            why = _unreconciled(waits) or decision.why
            _in_step(back, why, parts, psa if step else None)
            report.written += bool(step)
            return
        if not _book(back, decision) or not _write(back, decision, psa, report):
            return


def _policy(back: PaymentBack) -> Policy:
    # Read anew, after the mark of a change was cleared: a setting may have changed since the row
    # was chosen, and nobody would look again.
    rows = Organisation.objects.filter(pk=back.organisation_id)
    return read_policy(rows.values_list("settings", flat=True).get())


def _touches(
    back: PaymentBack, policy: Policy
) -> tuple[list[BillingPayment], list[BillingPayment]]:
    """The money of the books on the document: what waits for the bank, and what counts now."""
    entered = list(PaymentTaken.objects.filter(document=back.document))
    rows = BillingPayment.objects.filter(
        organisation=back.organisation,
        invoice_external_id=back.document.link.books_id,
        state="active",
    ).order_by("paid_on", "id")
    # What came from the PSA is shown there already: written back it would be paid twice.
    ours = [row for row in rows if not _from_psa(row, entered)]
    waits = [row for row in ours if policy.payments_reconciled and _waits(row)]
    return waits, [row for row in ours if row not in waits]


def _waits(row: BillingPayment) -> bool:
    return row.touch == "payment" and not row.reconciled


def _unreconciled(waits: Sequence[BillingPayment]) -> str:
    """Why the PSA shows less than the books have; "" when it does not."""
    if not waits:
        return ""
    amount = sum((row.amount for row in waits), ZERO)
    return f"{amount:,.2f} is paid in the books and waits to be reconciled with the bank."


def _parts(back: PaymentBack, touches: Sequence[BillingPayment]) -> list[Part]:
    """What settles the document in the books; credit notes with the credit memo that they are."""
    memos = _credit_memos(back, [row.touch_external_id for row in touches])
    return [
        Part(
            external_id=row.external_id,
            touch=row.touch,
            amount=row.amount,
            paid_on=row.paid_on,
            reference=row.reference,
            credit_memo=memos.get(row.touch_external_id, "") if row.touch == "credit_note" else "",
        )
        for row in touches
    ]


def _from_psa(row: BillingPayment, entered: Sequence[PaymentTaken]) -> bool:
    """Whether it stands for a payment of the PSA: known by id, or (while an answer is awaited) by
    the reference that we gave it."""
    return any(
        row.external_id == one.books_payment_id or row.reference == reference(one)
        for one in entered
    )


def _credit_memos(back: PaymentBack, credit_notes: list[str]) -> dict[str, str]:
    """Credit note of the books → the PSA's id of the credit memo that it was posted from."""
    links = Link.objects.filter(
        organisation=back.organisation,
        books_kind=BooksKind.CREDIT_NOTE,
        books_id__in=credit_notes,
        document__connection=back.document.connection,
    )
    return dict(links.values_list("books_id", "document__external_id"))


def _book(back: PaymentBack, decision: Decision) -> bool:
    """Commit 1: the intent. False when another process has it."""
    # The moment is the booking's name: by it we know afterwards whether the row is still ours.
    back.booked_at = now()
    # A compare-and-set without a lock: none may be held while the PSA is called.
    waiting_row = PaymentBack.objects.filter(pk=back.pk, state=_State.WAITING)
    return bool(
        waiting_row.update(
            state=_State.WRITING,
            intent=_intent(decision),
            booked_at=back.booked_at,
            why="It is being written.",
        )
    )


def _intent(decision: Decision) -> dict[str, Any]:
    return {"action": type(decision).__name__, **msgspec.to_builtins(decision)}


def _write(back: PaymentBack, decision: Decision, psa: Psa, report: Report) -> bool:
    """One booked write; False when the PSA refused it, or another process had taken it over."""
    try:
        with begin_writes_within(BEGIN_WITHIN):
            shown = _call(back, decision, psa)
    except TryLater as failure:
        state = _State.UNCERTAIN if failure.uncertain else _State.WAITING
        _stand(back, state, str(failure))
        raise
    except (NeedsReconnect, BadSettings) as failure:
        _stand(back, _State.WAITING, str(failure))
        raise
    except Rejected as failure:
        report.held += _refused(back, failure)
        return False
    if not _keep(back, decision, shown):
        _overtaken(back, decision, shown, psa)
        return False
    return True


def _call(back: PaymentBack, decision: Decision, psa: Psa) -> PsaPayment | None:
    """Make one write; what the PSA shows for it afterwards."""
    document_id = back.document.external_id
    match decision:
        case ApplyCredit(memo, amount, paid_on):
            return _applied(psa, document_id, memo, amount, paid_on)
        case CreatePayment(amount, paid_on, note):
            return psa.create_payment(document_id, amount, paid_on, note)
        case UpdatePayment(payment_id, amount, paid_on):
            return psa.update_payment(_record(back, payment_id), amount, paid_on)
        case RemoveCredit(payment_id) | DeletePayment(payment_id):
            psa.delete_payment(_record(back, payment_id))
    return None


def _keep(back: PaymentBack, decision: Decision, shown: PsaPayment | None) -> bool:
    """Keep at once what the PSA has from us; False where another process took the row over."""
    with transaction.atomic():
        if not _stand(back, _State.WAITING, "Written; looking whether anything is left."):
            return False
        match decision:
            case ApplyCredit() if shown is not None:
                keep_credit(back, shown)
            case RemoveCredit(payment_id):
                drop_credit(back, payment_id)
            case CreatePayment(part=part) if part and shown is not None:
                keep_part(back, shown, part)
            case UpdatePayment(payment_id) | DeletePayment(payment_id) if is_single(
                back, payment_id
            ):
                follow_part(back, payment_id, shown)
            case _:
                remember(back, shown)
    return True


def _overtaken(back: PaymentBack, decision: Decision, shown: PsaPayment | None, psa: Psa) -> None:
    """We stood still for so long that another process looked the write up, and went on.

    What we created too late is taken back; what else we wrote is looked at again.
    """
    back.refresh_from_db(fields=["psa_payment_id", "payments"])
    created = shown if isinstance(decision, CreatePayment) else None
    if created and created.external_id not in records(back):
        psa.delete_payment(created)
        return
    calm = PaymentBack.objects.filter(pk=back.pk).exclude(state=_State.WRITING)
    calm.update(state=_State.UNCERTAIN, intent=_intent(decision), booked_at=now() - GRACE)


def _record(back: PaymentBack, payment_id: str) -> PsaPayment:
    return PsaPayment(
        external_id=payment_id,
        document_id=back.document.external_id,
        amount=back.amount,
        paid_on=back.paid_on,
    )


def _applied(psa: Psa, document_id: str, memo: str, amount: Decimal, paid_on: date) -> PsaPayment:
    """The record that applies a credit memo; the one that a person made by hand is taken over."""
    # To apply it a second time would exceed the memo's balance, and be refused.
    for payment in psa.payments(document_id):
        if payment.credit_id == memo and cents(payment.amount) == amount:
            return payment
    return psa.apply_credit(document_id, memo, amount, paid_on)


def _stand(back: PaymentBack, state: str, why: str) -> bool:
    """False when another process took the row over since it was booked: what it found stands."""
    back.state = state
    mine = PaymentBack.objects.filter(pk=back.pk, booked_at=back.booked_at)
    return bool(mine.update(state=state, why=why, changed_at=now()))


def _in_step(back: PaymentBack, why: str, parts: Sequence[Part], written_to: Psa | None) -> None:
    """Commit 2: in step and, when something was written, told and the balances compared."""
    document = back.document
    # Asked only after a write, and outside of the transaction. The balance is the PSA's own sum.
    balance = written_to.balance(document.external_id) if written_to is not None else None
    with transaction.atomic():
        _settled(back, why, parts)
        if balance is None:
            return
        note_balance(document, balance)
        paid = back.amount + sum((Decimal(one["amount"]) for one in back.credits), ZERO)
        sentence = f"{document.number}: the PSA shows {paid:,.2f} settled, {balance:,.2f} open."
        tell(back.organisation, document, sentence, "payment.back")
        _compare(back, document, balance, paid)


def _settled(back: PaymentBack, why: str, parts: Sequence[Part]) -> None:
    """In step, unless money moved again meanwhile: then it waits for the next look."""
    row = PaymentBack.objects.filter(pk=back.pk, booked_at=back.booked_at)
    # Asked and settled in one statement: between two of them money could move unseen.
    settled = row.filter(dirty=False).update(
        state=_State.IN_STEP,
        why=why,
        parts=msgspec.to_builtins(list(parts)),
        intent={},
        changed_at=now(),
    )
    if not settled:
        row.update(state=_State.WAITING, dirty=False, changed_at=now())
        return
    release([back.document_id], why, topic=TOPIC)


def _compare(back: PaymentBack, document: Document, balance: Decimal, paid: Decimal) -> None:
    """The promise: the PSA's open balance is the books' (when the mirror is of the same moment)."""
    row = BillingInvoice.objects.filter(
        organisation=back.organisation, external_id=document.link.books_id
    ).first()
    # To the cent: a difference here is what customers are reminded of in error.
    if row is None or cents(row.amount_due) == cents(balance):
        return
    entered = PaymentTaken.objects.filter(document=document).exclude(books_payment_id="")
    paid += sum(entered.values_list("posted_amount", flat=True), ZERO)
    if cents(row.amount_paid + row.amount_credited) != cents(paid):
        return  # invoices and payments of the mirror are of different moments; the next pull tells
    sentence = (
        f"{document.number}: {balance:,.2f} is open in the PSA, {row.amount_due:,.2f} in "
        f"{back.organisation.name}."
    )
    reason = Reason(
        code="balance_differs",
        about=f"balance:{document.pk}",
        subject=document.number,
        sentence=sentence,
    )
    hold([Held(document, back.organisation, [reason])], topic=TOPIC)


def _refused(back: PaymentBack, failure: Rejected) -> bool:
    """Held with its card; False where that says nothing: it is decided about again."""
    document = back.document
    sentence = f"{document.number}: the PSA refused the payment: {failure}"
    reason = _of_the_psa("payment_refused", f"payment:{back.pk}", document, sentence, failure)
    with transaction.atomic():
        if not _stand(back, _State.HELD, sentence):
            return False
        # Money moved while it was being refused: what was refused is not what is wanted now.
        moved = PaymentBack.objects.filter(pk=back.pk, dirty=True)
        if moved.update(state=_State.WAITING):
            return False
        hold([Held(document, back.organisation, [reason])], topic=TOPIC)
        tell(back.organisation, document, sentence, "payment.back", failed=True)
    return True


def _unread(back: PaymentBack, failure: Rejected) -> None:
    """Told with the document and its money. Its state stays: what is in doubt must stay so."""
    document = back.document
    sentence = f"{document.number}: the PSA does not say what is paid on it: {failure}"
    reason = _of_the_psa("payment_unread", f"unread:{back.pk}", document, sentence, failure)
    with transaction.atomic():
        PaymentBack.objects.filter(pk=back.pk).update(why=sentence)
        hold([Held(document, back.organisation, [reason])], topic=TOPIC)
        tell(back.organisation, document, sentence, "payment.back", failed=True)


def _of_the_psa(
    code: str, about: str, document: Document, sentence: str, failure: Rejected
) -> Reason:
    details = {"problems": [problem.message for problem in failure.problems]}
    return Reason(
        code=code, about=about, subject=document.number, sentence=sentence, details=details
    )


# A write whose answer never came.


def _look_up(back: PaymentBack, psa: Psa) -> bool:
    """Learn from the PSA whether the booked write arrived; afterwards the row waits again.

    False when another process looked it up as well: that one goes on with it.
    """
    shown = psa.payments(back.document.external_id)
    with transaction.atomic():
        if not _stand(back, _State.WAITING, "Its last write was looked up."):
            return False
        _learn(back, shown)
    return True


def _learn(back: PaymentBack, shown: Sequence[PsaPayment]) -> None:
    there = {payment.external_id for payment in shown}
    match back.intent.get("action"):
        case "CreatePayment":
            _adopt_created(back, shown, back.intent)
        case "ApplyCredit":
            _adopt_credit(back, shown, back.intent)
        case "RemoveCredit" if back.intent["payment_id"] not in there:
            drop_credit(back, back.intent["payment_id"])
        case "UpdatePayment" | "DeletePayment":
            payment_id = back.intent["payment_id"]
            found = next((p for p in shown if p.external_id == payment_id), None)
            if is_single(back, payment_id):
                follow_part(back, payment_id, found)
            else:
                remember(back, found)


def _adopt_created(back: PaymentBack, shown: Sequence[PsaPayment], intent: dict[str, Any]) -> None:
    amount, paid_on = Decimal(intent["amount"]), date.fromisoformat(intent["paid_on"])
    # A person's payment of the same amount and day is none of ours, nor is one of another part.
    others = records(back) | set(
        PaymentTaken.objects.filter(document=back.document).values_list("psa_payment_id", flat=True)
    )
    for payment in shown:
        # Amount and day are all that a payment in the PSA can be known by.
        same = cents(payment.amount) == amount and payment.paid_on == paid_on
        if not same or payment.credit_id or payment.external_id in others:
            continue
        if part := intent.get("part", ""):
            keep_part(back, payment, part)
        else:
            remember(back, payment)
        return


def _adopt_credit(back: PaymentBack, shown: Sequence[PsaPayment], intent: dict[str, Any]) -> None:
    for payment in shown:
        same = cents(payment.amount) == Decimal(intent["amount"])
        if same and payment.credit_id == intent["credit_memo"]:
            keep_credit(back, payment)
            return
