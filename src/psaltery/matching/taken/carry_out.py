"""Enters payments of the PSA in the books: booked before, settled after, looked up in doubt."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.contract import Books, Psa
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import begin_writes_within
from psaltery.audit.actor import about
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.matching.models import PaymentBack, PaymentsToRead, PaymentTaken
from psaltery.matching.taken import credits
from psaltery.matching.taken.credits import Apply, CreditFacts
from psaltery.matching.taken.decide import (
    Ask,
    Decision,
    Done,
    Enter,
    Found,
    Remove,
    Taken,
    Wait,
    decide,
)
from psaltery.matching.taken.facts import credit_facts, invoice_facts
from psaltery.matching.taken.service import OPEN, reference
from psaltery.posting.attempts import tell
from psaltery.records.books import Settlement
from psaltery.records.drafts import Action, PaymentDraft
from psaltery.records.money import ZERO
from psaltery.records.psa import PsaPayment
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release

# The books refuse no second payment. So one is begun at once or not at all: its absence then means
# something when no server would still be at it (our own time-out is 60 s).
BEGIN_WITHIN = timedelta(seconds=20)
GRACE = timedelta(minutes=4)
TOPIC = "taken"
STEPS = 3  # to remove, to enter again, to see that it is so
_State = PaymentTaken.State
_DOUBTFUL = (_State.WRITING, _State.UNCERTAIN)


def due() -> QuerySet[PaymentTaken]:
    """Payments that can be decided about, or looked up, now."""
    doubtful = PaymentTaken.objects.filter(state__in=_DOUBTFUL, booked_at__lt=now() - GRACE)
    return doubtful | PaymentTaken.objects.filter(state=_State.WAITING)


def documents(organisation: Organisation, limit: int) -> list[Document]:
    """Documents of an organisation with something to read or to do, oldest first."""
    rows = Document.objects.filter(link__organisation=organisation)
    ids = set(PaymentsToRead.objects.filter(organisation=organisation).values_list("pk", flat=True))
    moving = PaymentTaken.objects.filter(
        organisation=organisation, state__in=(_State.WAITING, *_DOUBTFUL)
    )
    ids |= set(moving.values_list("document_id", flat=True))
    rows = rows.filter(pk__in=ids).select_related("link__organisation", "connection")
    return list(rows.order_by("issued_on", "pk")[:limit])


# Reading the PSA.


def read(document: Document, psa: Psa) -> bool:
    """Learn the document's payments of the PSA, if that is asked for.

    False while a write of ours to the PSA is in doubt: it could be mistaken for a person's.
    """
    asked = PaymentsToRead.objects.filter(pk=document.pk).first()
    if document.gone:
        # The PSA has nothing to show of it any more; a person decides about what is in the books.
        PaymentsToRead.objects.filter(pk=document.pk).delete()
        return False
    if asked is None:
        return True
    if _in_doubt(PaymentBack.objects.filter(pk=document.pk).first()):
        return False
    shown = psa.payments(document.external_id)
    # Looked at again after the list was read: whatever of it is ours is known by then.
    back = PaymentBack.objects.filter(pk=document.pk).first()
    if _in_doubt(back):
        return False
    # What we wrote to the PSA is the books' money: taken over it would be paid twice there.
    own = _ours(back) if back else set()
    # A person's record of a credit that the books have by now counts as ours too, and stays known.
    own -= set(document.payments_taken.values_list("psa_payment_id", flat=True))
    with transaction.atomic():
        _remember(document, [one for one in shown if one.amount and one.external_id not in own])
        # By its moment: what was asked for again while we read stays.
        PaymentsToRead.objects.filter(pk=document.pk, asked_at=asked.asked_at).delete()
    return True


def _ours(back: PaymentBack) -> set[str]:
    single = (one["payment_id"] for one in (*back.credits, *back.payments))
    return {back.psa_payment_id, *single}


def _in_doubt(back: PaymentBack | None) -> bool:
    doubtful = (PaymentBack.State.WRITING, PaymentBack.State.UNCERTAIN)
    return back is not None and back.state in doubtful


def _remember(document: Document, shown: Sequence[PsaPayment]) -> None:
    # Locked: another process may be about to book one of them.
    rows = PaymentTaken.objects.select_for_update().filter(document=document)
    known = {row.psa_payment_id: row for row in rows}
    for payment in shown:
        row = known.pop(payment.external_id, None)
        if row is None:
            row = PaymentTaken(
                document=document,
                organisation_id=document.link.organisation_id,
                psa_payment_id=payment.external_id,
                credit_memo=payment.credit_id,
            )
        _update(row, payment)
    # Listed before and not now: somebody removed it in the PSA.
    for row in known.values():
        if not row.gone:
            row.gone = True
            _wake(row)


def _update(row: PaymentTaken, payment: PsaPayment) -> None:
    row.amount, row.paid_on, row.gone = payment.amount, payment.paid_on, False
    row.method = "Credit memo" if payment.credit_id else payment.method[:128]
    row.taken_by = payment.source[:64]
    _wake(row)


def _wake(row: PaymentTaken) -> None:
    """Decide about it (again); one that is being written is looked at when it is settled."""
    if row.state not in _DOUBTFUL:
        row.state = _State.WAITING
    if row.pk is None:
        row.save()
        return
    row.save(
        update_fields=["amount", "paid_on", "gone", "method", "taken_by", "state", "changed_at"]
    )


# Deciding and writing.


def carry_out(document: Document, books: Books) -> int:
    """Bring the books' payments of one document in step; how many writes were made.

    Raises TryLater, NeedsReconnect and BadSettings after everything certain is stored.
    """
    rows = list(
        PaymentTaken.objects.filter(document=document, state__in=OPEN)
        .select_related("organisation")
        .order_by("paid_on", "pk")
    )
    if not rows:
        release([document.pk], "The payment was removed in the PSA.", topic=TOPIC)
        return 0
    written = 0
    asks: list[Ask] = []
    with about(
        document_kind="payment", documents=[document.number], customer=document.company_name
    ):
        for row in rows:
            row.document = document
            for _ in range(STEPS):
                decision = _step(row, books)
                if isinstance(decision, Ask):
                    asks.append(decision)
                if not isinstance(decision, Enter | Remove | Apply):
                    break
                written += 1
    _cards(document, rows[0].organisation, asks)
    return written


def _step(row: PaymentTaken, books: Books) -> Decision | Apply | None:
    """One decision, carried out; None where it must be looked up later or was refused."""
    if row.credit_memo:
        return _credit_step(row, books)
    # Asked each time, never from the mirror: the books refuse no second payment, so that this look
    # is all that keeps one from being entered twice.
    payments = books.payments_on(row.document.link.books_id)
    if row.state in _DOUBTFUL and not _looked_up(row, payments):
        return None
    facts = invoice_facts(row, payments, books)
    decision = decide(_taken(row), facts)
    match decision:
        case Enter() | Remove():
            return _write(row, decision, facts.account_id, books)
        case Found(payment, ours, why):
            row.books_payment_id, row.ours = payment.external_id, ours
            row.posted_amount, row.posted_on = payment.amount, payment.paid_on
            if not _settle(row, _State.IN_STEP, why):
                return None
            _tell(row, f"{row.document.number}: {why}")
            # What the books have may be of another amount: then ours is replaced.
            return _step(row, books) if ours else decision
    return decision if _stands(row, decision) else None


def _credit_step(row: PaymentTaken, books: Books) -> Decision | Apply | None:
    """The same for a credit memo that was applied."""
    facts = credit_facts(row, books)
    if row.state in _DOUBTFUL and not _credit_looked_up(row, facts):
        return None
    decision = credits.decide(_taken(row), facts)
    if isinstance(decision, Apply):
        return _write(row, decision, "", books)
    if isinstance(decision, Done):
        # From now on the books lead, as they do with every other credit.
        row.posted_amount = row.amount
    return decision if _stands(row, decision) else None


def _stands(row: PaymentTaken, decision: Done | Wait | Ask) -> bool:
    """Nothing is to be written: kept with its reason; False when the payment changed meanwhile."""
    match decision:
        case Done(why):
            return _settle(row, _State.REMOVED if row.gone else _State.IN_STEP, why)
        case Wait(why):
            # It waits for the books: what changes there has it decided about again.
            return _settle(row, _State.HELD, why)
        case Ask(_, sentence):
            return _settle(row, _State.HELD, sentence)


def _taken(row: PaymentTaken) -> Taken:
    return Taken(
        number=row.document.number,
        amount=row.amount,
        paid_on=row.paid_on,
        reference=reference(row),
        gone=row.gone,
        apart=row.apart,
        same=row.same,
        books_payment_id=row.books_payment_id,
        posted_amount=row.posted_amount,
        posted_on=row.posted_on,
        ours=row.ours,
    )


def _write(
    row: PaymentTaken, decision: Enter | Remove | Apply, account_id: str, books: Books
) -> Decision | Apply | None:
    with begin_writes_within(BEGIN_WITHIN):
        # Inside the time limit, which counts from before the booking.
        key = str(uuid.uuid4())
        if not _book(row, decision, key):
            return None
        try:
            if isinstance(decision, Enter):
                _enter(row, decision, account_id, key, books)
            elif isinstance(decision, Apply):
                _apply(row, decision, key, books)
            else:
                books.remove_payment(decision.payment_id, key)
                _removed(row)
        except TryLater as failure:
            _stand(row, _State.UNCERTAIN if failure.uncertain else _State.WAITING, str(failure))
            raise
        except (NeedsReconnect, BadSettings) as failure:
            _stand(row, _State.WAITING, str(failure))
            raise
        except Rejected as failure:
            return _refused(row, failure)
    return decision


def _book(row: PaymentTaken, decision: Enter | Remove | Apply, key: str) -> bool:
    """Commit 1: the intent. False when another process has it."""
    intent = {"action": type(decision).__name__, "key": key, **msgspec.to_builtins(decision)}
    # Of two processes only one changes the row; the other one finds it being written. And nothing
    # is written of a payment that was changed since it was decided about.
    as_decided = PaymentTaken.objects.filter(pk=row.pk, changed_at=row.changed_at)
    row.state, row.intent, row.booked_at = _State.WRITING, intent, now()
    row.changed_at = row.booked_at
    booked = as_decided.exclude(state__in=_DOUBTFUL).update(
        state=row.state,
        intent=intent,
        booked_at=row.booked_at,
        changed_at=row.changed_at,
        why="It is being written.",
    )
    return bool(booked)


def _enter(row: PaymentTaken, decision: Enter, account_id: str, key: str, books: Books) -> None:
    draft = PaymentDraft(
        invoice_id=row.document.link.books_id,
        account_id=account_id,
        amount=decision.amount,
        paid_on=decision.paid_on,
        reference=reference(row),
    )
    (outcome,) = books.send([books.prepare(Action.CREATE, draft)], key)
    if not outcome.accepted:
        raise Rejected(list(outcome.problems))
    row.books_payment_id, row.ours = outcome.external_id, True
    row.posted_amount, row.posted_on = decision.amount, decision.paid_on
    sentence = (
        f"{row.document.number}: the payment of {decision.amount:,.2f} on {decision.paid_on} was "
        f"entered in {row.organisation.name}."
    )
    if not _stand(row, _State.WAITING, "Written; looking whether anything is left.", sentence):
        _overtaken(row, outcome.external_id, books)


def _apply(row: PaymentTaken, decision: Apply, key: str, books: Books) -> None:
    books.allocate(decision.credit_id, row.document.link.books_id, decision.amount, key)
    sentence = (
        f"{row.document.number}: {decision.amount:,.2f} of the credit memo that was applied in the "
        f"PSA was applied in {row.organisation.name}."
    )
    _stand(row, _State.WAITING, "Written; looking whether anything is left.", sentence)


def _overtaken(row: PaymentTaken, payment_id: str, books: Books) -> None:
    """We stood still for so long that another process looked for our payment, and went on.

    Where it found nothing and entered its own, ours came too late and is taken back.
    """
    row.refresh_from_db(fields=["books_payment_id"])
    if row.books_payment_id not in ("", payment_id):
        books.remove_payment(payment_id, str(uuid.uuid4()))


def _removed(row: PaymentTaken) -> bool:
    gone = row.posted_amount
    row.books_payment_id, row.posted_amount, row.posted_on = "", ZERO, None
    sentence = (
        f"{row.document.number}: the payment of {gone:,.2f} was removed from "
        f"{row.organisation.name}: the PSA has it otherwise, or no more."
    )
    return _stand(row, _State.WAITING, "Removed; looking whether anything is left.", sentence)


def _refused(row: PaymentTaken, failure: Rejected) -> Ask | None:
    """A code that the catalogue has, or the plain refusal."""
    code = failure.problems[0].code if failure.problems else "rejected"
    known = ("payment_exceeds_due", "payment_locked", "payment_account_invalid", "reconciled")
    sentence = f"{row.document.number}: {row.organisation.name} refused the payment: {failure}"
    with transaction.atomic():
        if not _settle(row, _State.HELD, sentence):
            # What was refused is no longer what is wanted.
            _stand(row, _State.WAITING, "It changed while it was being written.")
            return None
        _tell(row, sentence, failed=True)
    return Ask(code if code in known else "payment_taken_refused", sentence)


def _looked_up(row: PaymentTaken, payments: Sequence[Settlement]) -> bool:
    """Whether the booked write's fate is known; the row then stands as it is in the books."""
    alive = {one.external_id: one for one in payments if one.state == "active"}
    if row.intent.get("action") == "Remove":
        if row.books_payment_id not in alive:
            return _removed(row)
    elif any(one.reference == reference(row) for one in alive.values()):
        return _stand(row, _State.WAITING, "It had arrived.")
    # Not there yet proves nothing while a server may still be at it.
    if row.booked_at is not None and row.booked_at > now() - GRACE:
        return False
    sentence = f"{row.document.number}: the payment never arrived; it is decided about again."
    return _stand(row, _State.WAITING, "It never arrived; it is decided about again.", sentence)


def _credit_looked_up(row: PaymentTaken, facts: CreditFacts) -> bool:
    """The same for an allocation: it arrived where more lies on the invoice than before it."""
    if facts.applied > Decimal(row.intent.get("before", 0)):
        return _stand(row, _State.WAITING, "It had arrived.")
    if row.booked_at is not None and row.booked_at > now() - GRACE:
        return False
    sentence = f"{row.document.number}: the credit never arrived; it is decided about again."
    return _stand(row, _State.WAITING, "It never arrived; it is decided about again.", sentence)


# What is stored and told.


def _stand(row: PaymentTaken, state: str, why: str, sentence: str = "") -> bool:
    """What became of a booked write; False when another process took the row over meanwhile."""
    with transaction.atomic():
        stored = _store(row, PaymentTaken.objects.filter(booked_at=row.booked_at), state, why)
        if stored and sentence:
            _tell(row, sentence)
    # The PSA may have been read again while it was written: the next decision needs that.
    row.refresh_from_db(fields=["amount", "paid_on", "gone", "state", "changed_at"])
    return stored


def _settle(row: PaymentTaken, state: str, why: str) -> bool:
    """What was decided; False when the payment changed meanwhile: it is decided about again."""
    return _store(row, PaymentTaken.objects.filter(changed_at=row.changed_at), state, why)


def _store(row: PaymentTaken, as_known: QuerySet[PaymentTaken], state: str, why: str) -> bool:
    moment = now()
    # Not `amount` and `gone`: the PSA may have been read again meanwhile.
    stored = as_known.filter(pk=row.pk).update(
        state=state,
        why=why,
        books_payment_id=row.books_payment_id,
        posted_amount=row.posted_amount,
        posted_on=row.posted_on,
        ours=row.ours,
        settled_at=moment,
        changed_at=moment,
    )
    row.state, row.why, row.settled_at, row.changed_at = state, why, moment, moment
    return bool(stored)


def _tell(row: PaymentTaken, sentence: str, *, failed: bool = False) -> None:
    tell(row.organisation, row.document, sentence, "payment.taken", failed=failed)


def _cards(document: Document, organisation: Organisation, asks: Sequence[Ask]) -> None:
    with transaction.atomic():
        if asks:
            # Two payments may ask the same: they share its card.
            reasons = {(a.code, a.subject): _reason(document, a) for a in asks}
            hold([Held(document, organisation, list(reasons.values()))], topic=TOPIC)
        elif not PaymentTaken.objects.filter(document=document, state=_State.HELD).exists():
            release([document.pk], "The payment is in the books.", topic=TOPIC)


def _reason(document: Document, ask: Ask) -> Reason:
    details: dict[str, Any] = {}
    about_ = f"taken:{document.pk}"
    if ask.code == "payment_account_unmapped":
        # One card for all payments that wait for the same mapping.
        about_ = f"payment_method:{ask.subject.casefold()}"
        kind = "payment_method" if ask.subject else "any"
        tried = [["payment_method", ask.subject]] if ask.subject else []
        details = {"key_kind": kind, "key": ask.subject, "list": "payment"}
        details["tried"] = [*tried, ["any", ""]]
    return Reason(
        code=ask.code,
        about=about_,
        subject=ask.subject or document.number,
        sentence=ask.sentence,
        details=details,
    )
