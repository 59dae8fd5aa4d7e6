"""Books attempts before they are sent, and settles them after the answer. Commit 1 and commit 2.

"Can it be sent twice?" is answered here, in carry_out.py and in leftovers.py.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import transaction

from psaltery.adapters.contract import Prepared
from psaltery.audit.service import Decision as Told
from psaltery.audit.service import record_decisions
from psaltery.connections.models import Organisation
from psaltery.desk.models import Company, Document
from psaltery.kit.clock import now
from psaltery.mapping.service import link_contact, source
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.plan import Planned
from psaltery.records.books import Status
from psaltery.records.drafts import Action, Draft, Outcome
from psaltery.records.money import cents
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release

# While one of these exists nothing else is sent of its document; the database has the same rule
# as a partial unique index, so that a second process can't book it either.
OPEN = (Attempt.State.BOOKED, Attempt.State.UNCERTAIN)


class Write(msgspec.Struct):
    """One document that is to be written: what, exactly how, and why."""

    planned: Planned
    action: Action
    draft: Draft
    element: Prepared
    trace: dict[str, Any]


class Booked(msgspec.Struct):
    """A batch that may be sent now."""

    key: str
    writes: list[Write]
    attempts: list[Attempt]


def book(organisation: Organisation, writes: Sequence[Write]) -> Booked | None:
    """Commit 1, "about to": rows with the exact elements and one key for the batch.

    Only documents that still wait, unchanged since they were decided about, and without an open
    attempt are booked; None when none is left.
    """
    # New for each batch: the books keep refusals under a key as well, and would repeat them.
    key = str(uuid.uuid4())
    with transaction.atomic():
        # Only under the lock is it certain: the decision was made outside of any transaction.
        ready = _still_ready(writes)
        attempts = [
            Attempt(
                organisation=organisation,
                document=write.planned.row,
                kind=write.element.kind,
                action=write.action,
                number=write.draft.number,
                key=key,
                position=position,
                payload=write.element.body,
                draft=msgspec.to_builtins(write.draft),
                # As it was decided about: a change since then is seen after the answer.
                fingerprint=write.planned.situation.fingerprint,
                booked_at=now(),
            )
            for position, write in enumerate(ready)
        ]
        Attempt.objects.bulk_create(attempts)
        _stand(ready, Posting.State.POSTING, "It is being sent.")
    return Booked(key, ready, attempts) if ready else None


def _still_ready(writes: Sequence[Write]) -> list[Write]:
    ids = [write.planned.row.pk for write in writes]
    waiting = set(
        # Locked until commit 1: a person who skips it now waits, and finds it being sent.
        Posting.objects.select_for_update(of=("self",))
        .filter(pk__in=ids, state=Posting.State.WAITING)
        .values_list("pk", flat=True)
    )
    marks = dict(Document.objects.filter(pk__in=waiting).values_list("pk", "fingerprint"))
    busy = set(
        Attempt.objects.filter(document_id__in=ids, state__in=OPEN).values_list(
            "document_id", flat=True
        )
    )
    return [
        # Decided about an older state of it, or under way already: it comes again by itself.
        write
        for write in writes
        if marks.get(write.planned.row.pk) == write.planned.situation.fingerprint
        and write.planned.row.pk not in busy
    ]


def _stand(writes: Sequence[Write], state: str, why: str) -> None:
    Posting.objects.filter(pk__in=[write.planned.row.pk for write in writes]).update(
        state=state, why=why, changed_at=now()
    )


def unbook(booked: Booked, why: str) -> None:
    """Nothing was carried out: the documents wait again, as if nothing had been booked.

    The rows go: they would read as requests that got lost. The audit log has every call.
    """
    with transaction.atomic():
        mine = Attempt.objects.filter(
            pk__in=[attempt.pk for attempt in booked.attempts], state=Attempt.State.BOOKED
        )
        # The documents before the rows that name them: afterwards `mine` is empty.
        Posting.objects.filter(pk__in=list(mine.values_list("document_id", flat=True))).update(
            state=Posting.State.WAITING, why=why, changed_at=now()
        )
        mine.delete()


def doubt(booked: Booked, why: str) -> None:
    """It may have arrived: nothing is sent again before it was looked up."""
    with transaction.atomic():
        ids = [attempt.pk for attempt in booked.attempts]
        # Only those still booked: another process may have found one in the books meanwhile, and
        # nothing would ever take a document out of doubt that has no open attempt.
        open_ = Attempt.objects.select_for_update().filter(pk__in=ids, state=Attempt.State.BOOKED)
        documents = list(open_.values_list("document_id", flat=True))
        open_.update(state=Attempt.State.UNCERTAIN)
        Posting.objects.filter(pk__in=documents).update(
            state=Posting.State.UNCERTAIN, why=why, changed_at=now()
        )


def settle(
    attempt: Attempt, outcome: Outcome, *, how: str, trace: dict[str, Any] | None = None
) -> bool:
    """Commit 2 for one accepted element: link it, close its cards, tell the audit log.

    False when another process has settled the attempt already. Must run inside a transaction.
    """
    state = Attempt.State.SETTLED if how == "posted" else Attempt.State.FOUND
    # The update itself decides who settles: of two processes only one changes an open row.
    taken = Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
        state=state,
        settled_at=now(),
        books_id=outcome.external_id,
        warnings=list(outcome.warnings),
    )
    if not taken or attempt.document is None:
        return bool(taken)
    take_in(attempt, attempt.document, outcome, how=how, trace=trace)
    return True


def take_in(
    attempt: Attempt,
    document: Document,
    outcome: Outcome,
    *,
    how: str,
    trace: dict[str, Any] | None = None,
) -> None:
    """Link a document to what a write of ours made of it in the books, and say where it stands.

    Must run inside a transaction.
    """
    draft = msgspec.convert(attempt.draft, Draft, strict=False)
    _link(attempt, document, draft, outcome, how)
    _after_write(attempt, document, draft, outcome, trace)


def _link(attempt: Attempt, document: Document, draft: Draft, outcome: Outcome, how: str) -> None:
    void = attempt.action == Action.VOID
    # Not every answer names a status; then what we asked for stands until the books are read.
    status = outcome.status if outcome.status is not Status.UNKNOWN else draft.status
    Link.objects.update_or_create(
        document=document,
        defaults={
            "organisation": attempt.organisation,
            "books_kind": draft.kind,
            "books_id": outcome.external_id or draft.external_id,
            "number": outcome.number or draft.number,
            # A void settles no sums: what was posted stays on record.
            "total": draft.total if void else outcome.total,
            "tax": draft.tax if void else outcome.tax,
            "status": status,
            "fingerprint": attempt.fingerprint,
            "draft": attempt.draft,
            "rounding": draft.rounding,
            "tax_rounding": draft.tax_rounding,
            "written_at": now(),
            # Who edits a posted document in ConnectWise deletes its batch first.
            "psa_marked_at": None,
            "revert": False,
            "accepted": [],
        },
        create_defaults={
            "organisation": attempt.organisation,
            "books_kind": draft.kind,
            "books_id": outcome.external_id,
            "number": outcome.number or draft.number,
            "total": outcome.total,
            "tax": outcome.tax,
            "status": status,
            "fingerprint": attempt.fingerprint,
            "draft": attempt.draft,
            "rounding": draft.rounding,
            "tax_rounding": draft.tax_rounding,
            "how": how,
            "written_at": now(),
        },
    )


CHANGED = "It changed while it was sent."
_DONE = {Action.CREATE: "posted to", Action.UPDATE: "updated in", Action.VOID: "removed from"}


def _after_write(
    attempt: Attempt,
    document: Document,
    draft: Draft,
    outcome: Outcome,
    trace: dict[str, Any] | None,
) -> None:
    organisation = attempt.organisation
    name = organisation.name
    sentence = f"{document.number} was {_DONE[Action(attempt.action)]} {name}."
    # Accepted is not the same as right: to the cent, or a person sees it.
    if attempt.action != Action.VOID and _differs(draft, outcome):
        _flag_difference(document, organisation, draft, outcome)
        if _changed_since(attempt, document):
            _wait_again(document)
        sentence += f" The books show {outcome.total}, the PSA {draft.total}."
    else:
        # The document may have changed while it was sent: then it waits for the next decision.
        changed = _changed_since(attempt, document)
        Posting.objects.filter(pk=document.pk).update(
            state=Posting.State.WAITING if changed else Posting.State.IN_STEP,
            why=CHANGED if changed else sentence,
            urgent=False,
            changed_at=now(),
            **({"trace": trace} if trace is not None else {}),
        )
        release([document.pk], "The document was posted.")
    tell(organisation, document, sentence, f"post.{attempt.action}", detail=attempt.payload)


def _differs(draft: Draft, outcome: Outcome) -> bool:
    return (cents(outcome.total), cents(outcome.tax)) != (cents(draft.total), cents(draft.tax))


def _flag_difference(
    document: Document, organisation: Organisation, draft: Draft, outcome: Outcome
) -> None:
    reason = Reason(
        code="total_mismatch",
        about=f"document:{document.pk}",
        subject=document.number,
        sentence=f"{document.number} is in {organisation.name} with {outcome.total:,.2f} "
        f"(tax {outcome.tax:,.2f}); the PSA has {draft.total:,.2f} (tax {draft.tax:,.2f}).",
        details={"books_id": outcome.external_id},
    )
    hold([Held(document, organisation, [reason])])
    # FAILED, not HELD: it is in the books already, and only its amounts are wrong.
    Posting.objects.filter(pk=document.pk).update(
        state=Posting.State.FAILED, why=reason.sentence, changed_at=now()
    )


def refuse(attempt: Attempt, reasons: Sequence[Reason]) -> None:
    """Commit 2 for one refused element: hold the document. Must run inside a transaction."""
    taken = Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
        state=Attempt.State.REJECTED,
        settled_at=now(),
        problems=[{"code": r.code, "message": r.sentence} for r in reasons],
    )
    if not taken or attempt.document is None:
        return
    document, organisation = attempt.document, attempt.organisation
    if _changed_since(attempt, document):
        # What was refused is the version of yesterday, and reads of the PSA leave a document alone
        # while it is sent: nobody else would look at the new one.
        _wait_again(document)
    else:
        keep_on_hold(document, organisation, reasons)
    tell(
        organisation,
        document,
        f"{organisation.name} refused {document.number}: {reasons[0].sentence}",
        f"post.{attempt.action}",
        detail=attempt.payload,
        failed=True,
    )


def _changed_since(attempt: Attempt, document: Document) -> bool:
    """Whether the PSA's side changed while it was sent; `document` must have been read anew."""
    return document.fingerprint != attempt.fingerprint


def _wait_again(document: Document) -> None:
    Posting.objects.filter(pk=document.pk).update(
        state=Posting.State.WAITING, why=CHANGED, urgent=False, changed_at=now()
    )


def keep_on_hold(
    document: Document, organisation: Organisation | None, reasons: Sequence[Reason]
) -> None:
    """Cards for the reasons, and the document's state. Must run inside a transaction."""
    hold([Held(document, organisation, reasons)])
    Posting.objects.filter(pk=document.pk).update(
        state=Posting.State.HELD, why=" ".join(r.sentence for r in reasons), changed_at=now()
    )


def tell(
    organisation: Organisation,
    document: Document,
    sentence: str,
    operation: str,
    *,
    detail: str = "",
    failed: bool = False,
) -> None:
    """One decision into the audit log."""
    told = Told(
        sentence=sentence,
        operation=operation,
        # Money on a document is a record of its own, and is looked for as such.
        document_kind="payment" if operation.startswith("payment.") else document.kind,
        documents=(document.number,),
        customer=document.company_name,
        detail=detail,
        failed=failed,
    )
    record_decisions([(source(organisation), told)])


def settle_contact(attempt: Attempt, outcome: Outcome, *, how: str) -> bool:
    """Commit 2 for a contact that was made. Must run inside a transaction."""
    state = Attempt.State.SETTLED if how == "created" else Attempt.State.FOUND
    taken = Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
        state=state, settled_at=now(), books_id=outcome.external_id
    )
    if taken and attempt.company is not None:
        link_contact(
            attempt.organisation, attempt.company, outcome.external_id, attempt.number, how=how
        )
    return bool(taken)


def book_contacts(
    organisation: Organisation, wanted: Sequence[tuple[Company, Prepared, str]]
) -> tuple[str, list[Attempt]]:
    """Commit 1 for contacts: (company, exact element, name). Those under way are left."""
    key = str(uuid.uuid4())
    with transaction.atomic():
        busy = set(
            Attempt.objects.filter(
                organisation=organisation,
                kind="contact",
                state__in=OPEN,
                company__in=[company for company, _, _ in wanted],
            ).values_list("company_id", flat=True)
        )
        free = [one for one in wanted if one[0].pk not in busy]
        attempts = [
            Attempt(
                organisation=organisation,
                company=company,
                kind="contact",
                action=element.action,
                number=name,
                key=key,
                position=position,
                payload=element.body,
                booked_at=now(),
            )
            for position, (company, element, name) in enumerate(free)
        ]
        Attempt.objects.bulk_create(attempts)
    return key, attempts
