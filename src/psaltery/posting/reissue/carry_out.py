"""Carries re-issues out, step by step; every write is booked before and settled after.

What was done already is read from the books before each step. So a step that was cut off, or whose
answer was lost, is seen there, and never simply sent again.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.contract import Books
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.audit.actor import about
from psaltery.connections.models import Organisation
from psaltery.desk import models as desk
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.posting.attempts import OPEN, keep_on_hold, take_in, tell
from psaltery.posting.decide import Trace
from psaltery.posting.draft import build, explain
from psaltery.posting.models import Attempt, Link, Posting, Reissue
from psaltery.posting.plan import Planned, gather
from psaltery.posting.reissue import steps
from psaltery.posting.reissue.adopted import as_in_books
from psaltery.posting.reissue.steps import (
    Allocate,
    Done,
    Facts,
    MakeCredit,
    MakeNew,
    Rename,
    Step,
    Stop,
    VoidOld,
    Way,
)
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import Action, BooksKind, Draft, Outcome, Problem
from psaltery.records.money import ZERO, cents
from psaltery.review.reasons import Reason
from psaltery.review.service import release

replace = msgspec.structs.replace
GRACE = timedelta(seconds=5)  # a request still under way must have landed
# The longest way has four writes and a retry or two; more would be going round in circles.
MOST_STEPS = 10
ALLOCATION = "allocation"
_READY = (Posting.State.WAITING, Posting.State.POSTING, Posting.State.UNCERTAIN)
Address = Callable[[desk.Document], str]


def ready() -> QuerySet[Reissue]:
    """Open re-issues that nothing holds."""
    return Reissue.objects.filter(done_at=None, document__posting__state__in=_READY)


def carry_on(organisation: Organisation, books: Books, address: Address) -> list[int]:
    """Bring every re-issue of an organisation as far as it goes; the documents that are through.

    Raises the failures of the books after everything certain is stored.
    """
    rows = ready().filter(organisation=organisation).select_related("document__connection")
    return [row.document_id for row in rows if _carry_on(row, books, address)]


def _carry_on(row: Reissue, books: Books, address: Address) -> bool:
    # Too young to be judged: its request may be on the line, and would be sent a second time.
    if row.attempts.filter(state__in=OPEN, booked_at__gte=now() - GRACE).exists():
        return False
    _stand(row, Posting.State.POSTING, f"It is being {row.get_way_display()}.")
    document = row.document
    with about(
        document_kind=document.kind, documents=[document.number], customer=document.company_name
    ):
        for _ in range(MOST_STEPS):
            facts = read(row, books)
            step = steps.next_step(facts)
            # Before the next write, since a document has at most one open attempt.
            _judge_open(row, step)
            if isinstance(step, Done):
                _finish(row, facts, step)
                return True
            if isinstance(step, Stop):
                _hold(row, step.why)
                return False
            if not _do(row, step, facts, books, address):
                return False
    return False


def read(row: Reissue, books: Books) -> Facts:
    """What the books have now: two or three calls."""
    way = Way(row.way)
    credit = _ours(row, books, BooksKind.CREDIT_NOTE) if way is not Way.VOID else None
    return Facts(
        way=way,
        number=row.number,
        old=books.get_document(BooksKind.INVOICE, row.old_id),
        credit=credit,
        new=_ours(row, books, BooksKind.INVOICE) if way is not Way.CREDIT_ONLY else None,
        rename_refused=row.rename_refused,
    )


_MADE_BY = {BooksKind.CREDIT_NOTE: "credit", BooksKind.INVOICE: "create"}


def _ours(row: Reissue, books: Books, kind: BooksKind) -> Outcome | None:
    """The document that a step of this re-issue made: by what the attempt was to make, never by
    its number alone."""
    tried = row.attempts.filter(action=_MADE_BY[kind]).order_by("-pk").first()
    # We never tried to make it: one of that number is not ours, whoever made it.
    if tried is None:
        return None
    draft = msgspec.convert(tried.draft, Draft, strict=False)
    live = [
        one
        for one in books.find_documents(kind, [draft.number])
        if one.status not in (Status.VOIDED, Status.DELETED)
        and one.external_id != row.old_id
        # A person may have used the number meanwhile: contact and total must be ours as well.
        and one.contact_id == draft.contact_id
        and cents(one.total) == cents(draft.total)
    ]
    # A number that is unique: the list tells less than the document itself, such as what is due.
    return books.get_document(kind, live[0].external_id) if live else None


def _judge_open(row: Reissue, step: Step) -> None:
    """What was booked and never settled: done when the books are a step further."""
    for attempt in row.attempts.filter(state__in=OPEN):
        # If it had not arrived, the books would still ask for the same step.
        arrived = attempt.action != _name(step)
        state = Attempt.State.FOUND if arrived else Attempt.State.ABANDONED
        Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(state=state, settled_at=now())


def _name(step: Step) -> str:
    """The action of a step's attempt."""
    match step:
        case Rename():
            return "rename"
        case VoidOld():
            return "void"
        case MakeCredit():
            return "credit"
        case MakeNew():
            return "create"
        case Allocate(to_new=to_new):
            return "move" if to_new else "settle"
        case _:
            return ""


def _do(row: Reissue, step: Step, facts: Facts, books: Books, address: Address) -> bool:
    """One write; False when it waits for a person."""
    if isinstance(step, Allocate):
        return _allocate(row, step, books)
    action = _ACTIONS[_name(step)]
    draft = _draft(row, step, facts, address)
    if isinstance(draft, Draft):
        return _send(row, _name(step), action, draft, books)
    keep_on_hold(row.document, row.organisation, draft)
    return False


_ACTIONS = {
    "rename": Action.UPDATE,
    "void": Action.VOID,
    "credit": Action.CREATE,
    "create": Action.CREATE,
}


def _draft(row: Reissue, step: Step, facts: Facts, address: Address) -> Draft | Sequence[Reason]:
    """What the step writes, or why it can't."""
    posted = _posted(row)
    if isinstance(step, MakeNew):
        return _new(row, address)
    if isinstance(step, Rename) and posted is not None:
        number = steps.retired_number(row.old_number)
        return replace(posted, number=number, external_id=row.old_id)
    if isinstance(step, MakeCredit):
        return _credit_note(row, posted, facts, address)
    return _void(row, posted, facts)


def _posted(row: Reissue) -> Draft | None:
    """The invoice as it is in the books: as we wrote it, else as the mirror has it."""
    link = Link.objects.select_related("organisation").get(document=row.document)
    return msgspec.convert(link.draft, Draft, strict=False) if link.draft else as_in_books(link)


def _planned(row: Reissue, address: Address) -> Planned:
    posting = Posting.objects.select_related("document__connection").get(pk=row.document_id)
    (planned,) = gather(row.organisation, [posting], address)
    planned.situation = replace(planned.situation, reissue=True, books_number=row.number)
    return planned


def _new(row: Reissue, address: Address) -> Draft | Sequence[Reason]:
    situation = _planned(row, address).situation
    if situation.gone or not situation.document.closed:
        return [_reason(row, "It was deleted or reopened in the PSA meanwhile.")]
    if situation.document.total <= ZERO:
        return [_reason(row, "The PSA's total is zero or less: there is nothing to issue.")]
    shaped = build(situation)
    if not isinstance(shaped, Draft):
        return shaped
    trace: Trace = explain(situation, shaped)
    Posting.objects.filter(pk=row.document_id).update(trace=trace)
    # It takes the place of an approved one; and to a draft no credit can be applied.
    return replace(shaped, status=Status.AUTHORISED)


def _credit_note(
    row: Reissue, posted: Draft | None, facts: Facts, address: Address
) -> Draft | Sequence[Reason]:
    """The mirror image of what the books have: the same lines, accounts and tax."""
    old = facts.old
    same = old is not None and posted is not None and _sums(old) == (posted.total, posted.tax)
    if posted is None or not same:
        why = "The books have other amounts than we know of: accept or revert that change first."
        return [_reason(row, why)]
    return replace(
        posted,
        kind=BooksKind.CREDIT_NOTE,
        number=row.credit_number,
        status=Status.AUTHORISED,
        issued_on=_first_day(row, posted, address),
        due_on=None,
        moved_from=None,
        reference=f"Takes back {row.old_number}",
        url="",
        external_id="",
    )


def _sums(outcome: Outcome) -> tuple[object, object]:
    return cents(outcome.total), cents(outcome.tax)


def _first_day(row: Reissue, posted: Draft, address: Address) -> date:
    """Today, and never in a locked period."""
    until = _planned(row, address).situation.book.locked_until
    day = max(now().date(), posted.issued_on)
    return max(day, until + timedelta(days=1)) if until else day


def _void(row: Reissue, posted: Draft | None, facts: Facts) -> Draft:
    document = row.document
    return Draft(
        kind=BooksKind.INVOICE,
        number=facts.old.number if facts.old else row.old_number,
        contact_id=posted.contact_id if posted else "",
        status=Status.VOIDED,
        issued_on=document.issued_on,
        due_on=None,
        currency=document.currency,
        tax_mode=TaxMode(document.tax_mode),
        lines=(),
        external_id=row.old_id,
    )


# One write: booked, sent, settled.


@transaction.atomic
def _book(
    row: Reissue, action: str, kind: str, number: str, body: str, draft: object
) -> Attempt | None:
    """Commit 1: what is about to be sent, exactly. None when a person has ended it meanwhile."""
    # Locked: whoever ends it now waits, and finds this step booked.
    mine = Reissue.objects.select_for_update().filter(pk=row.pk, done_at=None, way=row.way)
    if not mine.exists():
        return None
    return Attempt.objects.create(
        organisation=row.organisation,
        document=row.document,
        reissue=row,
        kind=kind,
        action=action,
        number=number,
        key=str(uuid.uuid4()),
        position=0,
        payload=body,
        draft=draft,
        fingerprint=Document.objects.values_list("fingerprint", flat=True).get(pk=row.document_id),
        booked_at=now(),
    )


def _send(row: Reissue, name: str, action: Action, draft: Draft, books: Books) -> bool:
    element = books.prepare(action, draft)
    plain = msgspec.to_builtins(draft)
    attempt = _book(row, name, draft.kind.value, draft.number, element.body, plain)
    if attempt is None:
        return False
    try:
        (outcome,) = books.send([element], attempt.key)
    except TryLater as failure:
        _not_settled(row, attempt, failure)
        raise
    except (NeedsReconnect, BadSettings) as failure:
        _not_settled(row, attempt, failure)
        raise
    except Rejected as failure:
        return _refused(row, attempt, failure.problems)
    if not outcome.accepted:
        return _refused(row, attempt, outcome.problems)
    _settled(row, attempt, f"{draft.number}: {_SAID[name]}.", outcome.external_id)
    return True


_SAID = {
    "rename": "gave its number free",
    "void": "voided, to be issued anew",
    "credit": "credits the invoice",
    "create": "issued anew",
}


def _allocate(row: Reissue, step: Allocate, books: Books) -> bool:
    body = msgspec.json.encode({"invoice": step.invoice_id, "amount": str(step.amount)}).decode()
    target = row.number if step.to_new else row.old_number
    attempt = _book(row, _name(step), ALLOCATION, target, body, {})
    if attempt is None:
        return False
    try:
        books.allocate(step.credit_id, step.invoice_id, step.amount, attempt.key)
    except (TryLater, NeedsReconnect, BadSettings) as failure:
        _not_settled(row, attempt, failure)
        raise
    except Rejected as failure:
        return _refused(row, attempt, failure.problems)
    said = f"{step.amount:,.2f} of {row.credit_number} was applied to {target}."
    _settled(row, attempt, said, step.credit_id)
    return True


def _not_settled(row: Reissue, attempt: Attempt, failure: Exception) -> None:
    """It may have arrived: kept, and looked up. It did not: as if nothing had been booked."""
    uncertain = isinstance(failure, TryLater) and failure.uncertain
    with transaction.atomic():
        if uncertain:
            Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
                state=Attempt.State.UNCERTAIN
            )
        else:
            attempt.delete()
        state = Posting.State.UNCERTAIN if uncertain else Posting.State.WAITING
        _stand(row, state, str(failure))


def _settled(row: Reissue, attempt: Attempt, sentence: str, books_id: str) -> None:
    with transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
            state=Attempt.State.SETTLED, settled_at=now(), books_id=books_id
        )
        name = f"reissue.{attempt.action}"
        tell(row.organisation, row.document, sentence, name, detail=attempt.payload)


def _refused(row: Reissue, attempt: Attempt, problems: Sequence[Problem]) -> bool:
    """Where the number is the trouble it goes on with another one; else a person looks."""
    words = [{"code": one.code, "message": one.message} for one in problems]
    Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
        state=Attempt.State.REJECTED, settled_at=now(), problems=words
    )
    # Not needed to void it: then the new invoice takes another number, if it must.
    if attempt.action == "rename":
        row.rename_refused = True
        row.save(update_fields=["rename_refused"])
        return True
    taken = any(one.code == "number_taken" for one in problems)
    if taken and attempt.action == "create" and row.number == row.old_number:
        _renumber(row)
        return True
    _hold(row, " ".join(one.message for one in problems) or "The books gave no reason.")
    return False


def _renumber(row: Reissue) -> None:
    """A voided invoice keeps its number where it could not be renamed and Xero counts it."""
    row.number = steps.next_number(row.document.number, row.old_number)
    with transaction.atomic():
        row.save(update_fields=["number"])
        Posting.objects.filter(pk=row.document_id).update(books_number=row.number)


def _reason(row: Reissue, why: str) -> Reason:
    number = row.document.number
    return Reason(
        code="reissue_stopped",
        about=f"reissue:{row.pk}",
        subject=number,
        sentence=f"{number} could not be {row.get_way_display()} to its end: {why}",
    )


def _hold(row: Reissue, why: str) -> None:
    with transaction.atomic():
        keep_on_hold(row.document, row.organisation, [_reason(row, why)])


def _stand(row: Reissue, state: str, why: str) -> None:
    Posting.objects.filter(pk=row.document_id, state__in=_READY).update(
        state=state, why=why, changed_at=now()
    )


# The end.


def _finish(row: Reissue, facts: Facts, done: Done) -> None:
    """The document is the new invoice from now on; or, credited only, it is done with."""
    with transaction.atomic():
        document = Document.objects.select_for_update().get(pk=row.document_id)
        if facts.new is not None:
            _move_link(row, document, facts.new)
        else:
            why = f"{row.old_number} was credited by {row.credit_number}."
            Link.objects.filter(document=document).update(fingerprint=document.fingerprint)
            _stand(row, Posting.State.IN_STEP, why)
            release([document.pk], why)
        row.credit_id = facts.credit.external_id if facts.credit else ""
        row.new_id = facts.new.external_id if facts.new else ""
        moved = facts.new is not None and facts.credit is not None
        row.moved = cents(facts.new.total - facts.new.amount_due) if moved and facts.new else ZERO
        row.done_at = now()
        row.save()
        tell(row.organisation, document, _summary(row, done), "reissue.done")


def _move_link(row: Reissue, document: Document, new: Outcome) -> None:
    # By no state: one that was taken for lost may have arrived after all, and its successor been
    # refused for it. `new` is what the last of them was to make.
    attempt = row.attempts.filter(action="create").latest("pk")
    row.number = new.number or row.number
    Posting.objects.filter(pk=document.pk).update(books_number=row.number)
    take_in(attempt, document, new, how="posted")


def _summary(row: Reissue, done: Done) -> str:
    number = row.document.number
    said = f"{number} was {row.get_way_display()}"
    if row.new_id:
        said += f" as {row.number}"
    left = f"; {done.left:,.2f} of {row.credit_number} is left with the customer"
    return f"{said}{left if done.left else ''}."
