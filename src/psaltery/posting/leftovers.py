"""Attempts that were booked and never settled: a crash, a time-out, an answer that was lost.

Nothing is ever simply sent again. The books are asked; what is there is adopted as ours, what is
not there waits for a new decision (whose number the books refuse if the first one still arrives).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet

from psaltery.adapters.contract import Books
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.mapping.contacts import reference
from psaltery.posting.attempts import OPEN, settle, settle_contact, tell
from psaltery.posting.carry_out import NOT_UNIQUE, is_linked, is_ours
from psaltery.posting.models import Attempt, Posting
from psaltery.records.books import Status
from psaltery.records.drafts import Action, BooksKind, Draft, Outcome

# A request that is still under way must have landed before its absence means anything.
GRACE = timedelta(seconds=5)
# The books take a second bill of the same number: its absence means something only when no server
# would still be at it (we begin within 20 s, and give up after 60 s more).
BILL_GRACE = timedelta(minutes=4)
_NEW_BILLS = Q(kind__in=NOT_UNIQUE, action=Action.CREATE)


def ripe() -> QuerySet[Attempt]:
    """Open attempts that can be judged now."""
    return _lost().exclude(_NEW_BILLS, booked_at__gte=now() - BILL_GRACE)


def _lost() -> QuerySet[Attempt]:
    """Open attempts that are looked up: what is found is settled, however young."""
    return Attempt.objects.filter(state__in=OPEN, booked_at__lt=now() - GRACE, reissue__isnull=True)


def settle_leftovers(organisation: Organisation, books: Books) -> list[int]:
    """Look up every open attempt of an organisation; returns the documents that were found."""
    mine = _lost().filter(organisation=organisation)
    attempts = list(mine.select_related("document", "company", "organisation"))
    contacts = [attempt for attempt in attempts if attempt.kind == "contact"]
    _contacts(contacts, books)
    by_kind: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.kind != "contact":
            by_kind[attempt.kind].append(attempt)
    found: list[int] = []
    for kind, group in by_kind.items():
        found += _documents(BooksKind(kind), group, books)
    return found


def unripe(organisation: Organisation) -> bool:
    """Whether an attempt is open that can't be judged yet."""
    return Attempt.objects.filter(
        organisation=organisation, state__in=OPEN, booked_at__gte=now() - GRACE
    ).exists()


def _contacts(attempts: Sequence[Attempt], books: Books) -> None:
    if not attempts:
        return
    numbers = {a.pk: reference(a.company.external_id) for a in attempts if a.company}
    there = {
        found.contact_number: found
        for found in books.find_contacts(contact_numbers=list(numbers.values()))
    }
    for attempt in attempts:
        found = there.get(numbers.get(attempt.pk, ""))
        with transaction.atomic():
            if found is None:
                _abandon(attempt)
            else:
                outcome = Outcome(accepted=True, external_id=found.external_id)
                settle_contact(attempt, outcome, how="found")


def _documents(kind: BooksKind, attempts: Sequence[Attempt], books: Books) -> list[int]:
    there: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in books.find_documents(kind, [attempt.number for attempt in attempts]):
        # A list: vendors' bills may share a number, and only one of them is ours.
        there[outcome.number].append(outcome)
    found: list[int] = []
    for attempt in attempts:
        with transaction.atomic():
            if _judge(attempt, there[attempt.number]) and attempt.document_id:
                found.append(attempt.document_id)
    return found


def _judge(attempt: Attempt, outcomes: Sequence[Outcome]) -> bool:
    """Whether the attempt had arrived; settles or abandons it."""
    if attempt.document_id is None:
        return False
    # Locked, so that a read of the PSA can't change it between this judgement and its storing.
    attempt.document = Document.objects.select_for_update().get(pk=attempt.document_id)
    draft = msgspec.convert(attempt.draft, Draft, strict=False)
    for outcome in outcomes:
        # Two documents of one number and amount must not both take the same one for theirs.
        if _arrived(attempt, draft, outcome) and not is_linked(attempt, outcome):
            return settle(attempt, outcome, how="found")
    if not _may_still_arrive(attempt):
        _abandon(attempt)
    return False


def _may_still_arrive(attempt: Attempt) -> bool:
    is_new_bill = attempt.kind in NOT_UNIQUE and attempt.action == Action.CREATE
    return is_new_bill and attempt.booked_at >= now() - BILL_GRACE


def _arrived(attempt: Attempt, draft: Draft, outcome: Outcome) -> bool:
    if attempt.action == Action.CREATE:
        return is_ours(draft, outcome)
    if outcome.external_id != draft.external_id:
        return False
    if attempt.action == Action.VOID:
        return outcome.status in (Status.VOIDED, Status.DELETED)
    # An update is harmless to repeat, so only the plain sign that it arrived is taken.
    return is_ours(draft, outcome) and outcome.tax == draft.tax and outcome.status == draft.status


def _abandon(attempt: Attempt) -> None:
    taken = Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
        state=Attempt.State.ABANDONED, settled_at=now()
    )
    if taken and attempt.document is not None:
        why = "The request never arrived; it is decided about again."
        Posting.objects.filter(pk=attempt.document_id).update(
            state=Posting.State.WAITING, why=why, changed_at=now()
        )
        sentence = f"{attempt.document.number}: {why}"
        tell(attempt.organisation, attempt.document, sentence, "post.look_up")
