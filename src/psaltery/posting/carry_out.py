"""Carries decisions out: quiet ones in the database, writes as booked batches.

No transaction is open while the books are called. What happens when the process dies at any line
is in leftovers.py: every booked attempt is looked up before anything is sent again.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from itertools import groupby
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Count

from psaltery.adapters.contract import Books
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import begin_writes_within
from psaltery.audit.actor import about
from psaltery.audit.service import Decision as Told
from psaltery.audit.service import record_decisions
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.mapping.lookup import list_for
from psaltery.mapping.service import link_contact, source
from psaltery.posting.attempts import (
    Booked,
    Write,
    book,
    doubt,
    refuse,
    settle,
    tell,
    unbook,
)
from psaltery.posting.bills import apart, ask_books
from psaltery.posting.contacts import make_contacts
from psaltery.posting.decide import (
    Adopt,
    Create,
    Decision,
    Hold,
    LinkContact,
    Nothing,
    Skip,
    Update,
    Void,
    decide,
)
from psaltery.posting.items import forget, with_items
from psaltery.posting.kinds import kind_of
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.plan import Planned
from psaltery.posting.reissue.steps import Way, plan
from psaltery.records.books import Status
from psaltery.records.drafts import Action, BooksKind, Draft, Outcome, Problem
from psaltery.records.money import cents
from psaltery.records.psa import DocumentKind
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release

# The books refuse no second bill of the same number. So one is begun at once or not at all: its
# absence then means something after leftovers.BILL_GRACE.
BEGIN_WITHIN = timedelta(seconds=20)
NOT_UNIQUE = (BooksKind.BILL, BooksKind.SPEND)


class Report(msgspec.Struct):
    """What came of a batch. `again`: documents to decide about once more, now with contacts."""

    written: list[int] = msgspec.field(default_factory=list)
    held: int = 0
    quiet: int = 0
    again: list[int] = msgspec.field(default_factory=list)


def carry_out(organisation: Organisation, planned: Sequence[Planned], books: Books) -> Report:
    """Decide and do. Raises the failures of the books after everything certain is stored."""
    report = Report()
    mirrored, bills = apart(planned)
    # What is sold first: the mirror has it, so that no question to the books stands in its way.
    _carry_out(organisation, mirrored, books, report)
    if bills:
        ask_books(organisation, bills, books)
        _carry_out(organisation, bills, books, report)
    return report


def _carry_out(
    organisation: Organisation, planned: Sequence[Planned], books: Books, report: Report
) -> None:
    decided = [(one, decide(one.situation)) for one in planned]
    # Quiet ones first: they are certain whatever the calls below end in. Then contacts, since a
    # document needs its contact's id; then items, which lines name by their code.
    _quiet(organisation, decided, report)
    # Those documents are not written now: their decision knew no contact.
    report.again += make_contacts(organisation, decided, books)
    writes = [write for one, what in decided if (write := _write(one, what, books)) is not None]
    writes, without_items = with_items(organisation, writes, books)
    report.held += without_items
    for batch in _batches(writes, books.batch_size):
        _send(organisation, batch, books, report)


def _batches(writes: Sequence[Write], size: int) -> Iterable[Sequence[Write]]:
    """Batches of one kind and action; what got lost twice goes alone, it may be to blame."""
    suspects = _lost_twice(writes)
    for _, group in groupby(sorted(writes, key=_order), key=_order):
        same = list(group)
        together = [write for write in same if write.planned.row.pk not in suspects]
        for start in range(0, len(together), size):
            yield from _numbers_apart(together[start : start + size])
        for write in same:
            if write.planned.row.pk in suspects:
                yield [write]


def _numbers_apart(batch: Sequence[Write]) -> Iterable[Sequence[Write]]:
    """Answers are matched by number: two vendors' bills of one number go in two requests."""
    rest = list(batch)
    while rest:
        # Reversed twice: the first of each number is kept, in the order in which they came.
        first = {write.draft.number.casefold(): write for write in reversed(rest)}
        yield list(reversed(first.values()))
        chosen = {id(write) for write in first.values()}
        rest = [write for write in rest if id(write) not in chosen]


def _lost_twice(writes: Sequence[Write]) -> set[int]:
    # Once is bad luck on the line. Twice may be the element's own doing, and would take a whole
    # batch with it each time.
    lost = Attempt.objects.filter(
        document__in=[write.planned.row for write in writes], state=Attempt.State.ABANDONED
    )
    counted = lost.values("document_id").annotate(times=Count("pk")).filter(times__gte=2)
    return set(counted.values_list("document_id", flat=True))


def _order(write: Write) -> tuple[str, str]:
    return write.action.value, write.element.kind


def _write(planned: Planned, decision: Decision, books: Books) -> Write | None:
    if isinstance(decision, Create):
        action, draft, trace = Action.CREATE, decision.draft, decision.trace
    elif isinstance(decision, Update):
        action, draft, trace = Action.UPDATE, decision.draft, decision.trace
    elif isinstance(decision, Void):
        action, draft, trace = Action.VOID, _void_draft(planned, decision), {}
    else:
        return None
    return Write(planned, action, draft, books.prepare(action, draft), trace)


def _void_draft(planned: Planned, decision: Void) -> Draft:
    """What was posted, with the status it is to end in."""
    link = Link.objects.get(document=planned.row)
    posted = msgspec.convert(link.draft, Draft, strict=False) if link.draft else None
    document = planned.situation.document
    return Draft(
        kind=BooksKind(link.books_kind),
        number=link.number,
        contact_id=posted.contact_id if posted else "",
        status=Status.DELETED if decision.delete else Status.VOIDED,
        issued_on=document.issued_on,
        due_on=document.due_on,
        currency=document.currency,
        tax_mode=document.tax_mode,
        lines=(),
        external_id=decision.books_id,
        tax=link.tax,
        total=link.total,
    )


# Quiet decisions: nothing leaves the house.


def _quiet(
    organisation: Organisation, decided: Iterable[tuple[Planned, Decision]], report: Report
) -> None:
    held: list[Held] = []
    with transaction.atomic():
        for planned, decision in decided:
            match decision:
                case Hold(reasons):
                    why = " ".join(reason.sentence for reason in reasons)
                    # Somebody may have skipped it since: a card must not hold what is left out.
                    if _stand(planned, Posting.State.HELD, why):
                        held.append(Held(planned.row, organisation, reasons))
                        report.held += 1
                case Nothing(why, settles):
                    if settles:
                        # Otherwise the same change would be compared again with each pass.
                        mark = planned.situation.fingerprint
                        Link.objects.filter(document=planned.row).update(fingerprint=mark)
                    _let_go(planned, Posting.State.IN_STEP, why, report)
                case Skip(why):
                    _let_go(planned, Posting.State.SKIPPED, why, report)
                case Adopt():
                    _adopt(organisation, planned, decision, report)
                case LinkContact():
                    _link_contact(organisation, planned, decision)
                    report.again.append(planned.row.pk)
                case _:
                    pass
        hold(held)
        _tell_held(organisation, held)


def _tell_held(organisation: Organisation, held: Sequence[Held]) -> None:
    """Why documents are held, into the audit log."""
    record_decisions(
        [
            (
                source(organisation),
                Told(
                    sentence=" ".join(reason.sentence for reason in one.reasons),
                    operation="post.hold",
                    document_kind=one.document.kind,
                    documents=(one.document.number,),
                    customer=one.document.company_name,
                    failed=True,
                ),
            )
            for one in held
        ]
    )


def _stand(planned: Planned, state: str, why: str) -> bool:
    """Write down where the document stands; False where it changed meanwhile or is being sent."""
    # Whoever changed it or books it meanwhile is right: this decision is then of yesterday.
    waiting = Posting.objects.filter(
        pk=planned.row.pk,
        state=Posting.State.WAITING,
        document__fingerprint=planned.situation.fingerprint,
    )
    return bool(waiting.update(state=state, why=why, urgent=False, changed_at=now()))


def _let_go(planned: Planned, state: str, why: str, report: Report) -> None:
    _stand(planned, state, why)
    release([planned.row.pk], why)
    report.quiet += 1


def _adopt(organisation: Organisation, planned: Planned, decision: Adopt, report: Report) -> None:
    found, kind = decision.existing, kind_of(planned.situation)
    # Another document of this batch was decided to be it: the next look finds it linked.
    links = Link.objects.filter(organisation=organisation, books_kind=kind)
    if links.filter(books_id=found.books_id).exists():
        return
    Link.objects.create(
        document=planned.row,
        organisation=organisation,
        books_kind=kind,
        books_id=found.books_id,
        number=found.number,
        total=found.total,
        tax=found.tax,
        status=found.status,
        fingerprint=planned.situation.fingerprint,
        how="adopted",  # without a draft: there is nothing of ours to compare it with
    )
    _stand(planned, Posting.State.IN_STEP, decision.why)
    release([planned.row.pk], decision.why)
    tell(organisation, planned.row, f"{found.number}: {decision.why}", "post.adopt")
    report.written.append(planned.row.pk)


def _link_contact(organisation: Organisation, planned: Planned, decision: LinkContact) -> None:
    if planned.company is not None:
        link_contact(
            organisation, planned.company, decision.contact_id, decision.name, how=decision.how
        )


# Documents.


def _in_time(writes: Sequence[Write]) -> AbstractContextManager[None]:
    """Counted from before the booking: a process may be stopped on any line, for any time."""
    bills = any(write.draft.kind in NOT_UNIQUE for write in writes)
    return begin_writes_within(BEGIN_WITHIN) if bills else nullcontext()


def _send(
    organisation: Organisation, writes: Sequence[Write], books: Books, report: Report
) -> None:
    with _in_time(writes):
        _book_and_send(organisation, writes, books, report)


def _about(writes: Sequence[Write]) -> AbstractContextManager[None]:
    """What the log says the request is about; whose it is, where a batch is of one customer."""
    customers = {write.planned.row.company_name for write in writes}
    return about(
        document_kind=writes[0].planned.row.kind,  # a batch is of one kind
        documents=[write.draft.number for write in writes],
        customer=customers.pop() if len(customers) == 1 else "",
    )


def _book_and_send(
    organisation: Organisation, writes: Sequence[Write], books: Books, report: Report
) -> None:
    booked = book(organisation, writes)
    if booked is None:
        return
    elements = [write.element for write in booked.writes]
    try:
        with _about(booked.writes):
            outcomes = books.send(elements, booked.key)
    except TryLater as failure:
        # Certain only if the request never left or was turned away before it was read.
        (doubt if failure.uncertain else unbook)(booked, str(failure))
        raise
    except (NeedsReconnect, BadSettings) as failure:
        unbook(booked, str(failure))
        raise
    except Rejected as failure:
        _refused_whole(organisation, booked, failure, books, report)
        return
    _answered(booked, outcomes, books, report)


def _refused_whole(
    organisation: Organisation, booked: Booked, failure: Rejected, books: Books, report: Report
) -> None:
    """The request was refused as one: a document alone is to blame for its own refusal only."""
    if len(booked.writes) == 1:
        refused = Outcome(accepted=False, problems=failure.problems)
        _answered(booked, (refused,), books, report)
        return
    # A batch is no transaction: some may have been made all the same, without a word of it in the
    # answer (https://github.com/XeroAPI/xero-ruby/issues/247). Look before sending one by one.
    numbers = [write.draft.number for write in booked.writes]
    kind = booked.writes[0].draft.kind
    found = books.find_documents(kind, numbers)
    # The number of a bill says nothing: other vendors have the same.
    if found and (kind not in NOT_UNIQUE or _any_ours(booked, found)):
        doubt(booked, "The batch was refused, but part of it is in the books.")
        return
    unbook(booked, "The batch was refused as a whole; each document is sent alone.")
    for write in booked.writes:
        _send(organisation, [write], books, report)


def _any_ours(booked: Booked, found: Sequence[Outcome]) -> bool:
    return any(is_ours(write.draft, one) for write in booked.writes for one in found)


def _answered(booked: Booked, outcomes: Sequence[Outcome], books: Books, report: Report) -> None:
    # Asked before the transactions below: none is open while the books are called.
    taken = _numbers_taken(booked, outcomes, books)
    for write, attempt, outcome in zip(booked.writes, booked.attempts, outcomes, strict=True):
        with transaction.atomic():
            # Read anew and locked: the PSA's side may have changed it while it was sent.
            attempt.document = Document.objects.select_for_update().get(pk=write.planned.row.pk)
            if outcome.accepted:
                settle(attempt, outcome, how="posted", trace=write.trace)
                report.written.append(write.planned.row.pk)
                continue
            # Our own number refused as taken may mean that an earlier request of ours had arrived.
            mine = taken.get(write.draft.number)
            if mine is not None and is_ours(write.draft, mine) and not is_linked(attempt, mine):
                settle(attempt, mine, how="found", trace=write.trace)
                report.written.append(write.planned.row.pk)
                continue
            # An item deleted in the books is made again next time, not refused for ever.
            forget(attempt.organisation, outcome.problems)
            refuse(attempt, reasons_of(write, outcome, mine))
            report.held += 1


def _numbers_taken(booked: Booked, outcomes: Sequence[Outcome], books: Books) -> dict[str, Outcome]:
    """What the books have under the numbers that they refused as taken."""
    numbers = [
        write.draft.number
        for write, outcome in zip(booked.writes, outcomes, strict=True)
        if any(problem.code == "number_taken" for problem in outcome.problems)
    ]
    if not numbers:
        return {}
    kind = booked.writes[0].draft.kind
    return {found.number: found for found in books.find_documents(kind, numbers)}


def is_ours(draft: Draft, found: Outcome) -> bool:
    """Whether a document of the books is the one that we tried to make."""
    # To take a voided one for ours would leave the document without a live invoice.
    if found.status in (Status.VOIDED, Status.DELETED):
        return False
    same_money = cents(found.total) == cents(draft.total)
    same_contact = found.contact_id == draft.contact_id
    # A bill's number is the vendor's: only the link says that it is this document's.
    unmarked = not found.url and draft.kind not in NOT_UNIQUE
    return same_money and same_contact and (unmarked or found.url == draft.url)


def is_linked(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether a document of the books is another document's already."""
    links = Link.objects.filter(organisation=attempt.organisation, books_kind=attempt.kind)
    return links.filter(books_id=outcome.external_id).exclude(document=attempt.document).exists()


def reasons_of(write: Write, outcome: Outcome, taken: Outcome | None) -> list[Reason]:
    """The refusals of the books as reasons; those about the document alone name it."""
    return [_reason(write, problem, taken) for problem in outcome.problems] or [
        _reason(write, Problem(code="rejected", message="It was refused without a message."), None)
    ]


# One cause, one card: a hundred documents that lack the same account ask a person once.
_SHARED = {
    "account_archived": "account",
    "account_missing": "account",
    "account_invalid": "account",
    "tax_invalid": "tax",
    "tax_not_for_account": "pair",
    "tracking_invalid": "tracking",
    "currency_not_subscribed": "currency",
    "period_locked": "lock",
    "plan_limit": "plan",
    "permission_denied": "permission",
}


def _reason(write: Write, problem: Problem, taken: Outcome | None) -> Reason:
    document = write.planned.row
    bill = write.draft.kind is BooksKind.BILL
    about_ = f"document:{document.pk}"
    sentence = f"{document.number}: {problem.message}"
    if problem.code == "contact_archived":
        about_ = f"contact:{write.draft.contact_id}"
    elif problem.code in _SHARED:
        about_, sentence = f"{_SHARED[problem.code]}:{problem.subject}", problem.message
        about_ = f"purchase:{about_}" if bill else about_
    details: dict[str, Any] = {
        "message": problem.message,
        "contact_id": write.draft.contact_id,
        "company_id": document.company_external_id,
    }
    if problem.code.startswith(("account_", "tax_")):
        what = problem.code.partition("_")[0]
        details["list"] = list_for(what, DocumentKind(document.kind))
    if write.action is Action.UPDATE and write.draft.kind is BooksKind.INVOICE:
        details["plan"] = _ways(write, problem.code)
    if taken is not None:
        details |= {
            "books_id": taken.external_id,
            "books_total": str(taken.total),
            "books_status": taken.status.value,
        }
    return Reason(
        code=problem.code,
        about=about_,
        subject=problem.subject or document.number,
        sentence=sentence,
        details=details,
    )


def _ways(write: Write, code: str) -> dict[str, str]:
    """What a person may have done where the books refused to edit an invoice."""
    ways = {
        "has_payments": ("credit_anew", Way.CREDIT),
        "status_not_editable": ("void_anew", Way.VOID),
    }
    link = write.planned.situation.link
    if code not in ways or link is None:
        return {}
    (name, way), number = ways[code], write.planned.row.number
    _, current = link.as_posted()
    words = plan(way, number, current, cents(link.total), write.draft.total)
    return {name: words}
