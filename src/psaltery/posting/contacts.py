"""Contacts of the books that documents need: made before them, booked and settled like them."""

import uuid
from collections.abc import Iterable, Sequence

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.contract import Books
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.audit.service import Decision as Told
from psaltery.audit.service import record_decisions
from psaltery.connections.models import Organisation
from psaltery.desk.models import Company, Document
from psaltery.kit.clock import now
from psaltery.ledger.service import prepare, remember
from psaltery.mapping.contacts import changes
from psaltery.mapping.models import ContactLink
from psaltery.mapping.service import facts_of, source
from psaltery.posting.attempts import OPEN, book_contacts, keep_on_hold, settle_contact
from psaltery.posting.decide import Decision, NewContact, contact_draft
from psaltery.posting.models import Attempt, Posting
from psaltery.posting.plan import Planned, company_record
from psaltery.posting.policy import read_policy
from psaltery.records.drafts import Action, ContactDraft, Outcome, Problem
from psaltery.review.reasons import Reason
from psaltery.review.service import close_about, open_card


def make_contacts(
    organisation: Organisation, decided: Iterable[tuple[Planned, Decision]], books: Books
) -> list[int]:
    """Make the contacts that decisions ask for; returns the documents to decide about again."""
    needed: dict[int, tuple[Company, ContactDraft]] = {}
    documents: list[int] = []
    for planned, decision in decided:
        if isinstance(decision, NewContact) and planned.company is not None:
            # By company: ten invoices of a new customer make one contact.
            needed[planned.company.pk] = (planned.company, decision.draft)
            documents.append(planned.row.pk)
    wanted = list(needed.values())
    for start in range(0, len(wanted), books.batch_size):
        _send_contacts(organisation, wanted[start : start + books.batch_size], books)
    return documents


def make_contact(organisation: Organisation, company: Company, name: str, books: Books) -> str:
    """Make the contact of one company now, under `name` ("" for the company's own).

    Returns the name. Raises BadSettings with the books' own words when they refuse it.
    """
    draft = contact_draft(company_record(company))
    if name.strip():
        draft = msgspec.structs.replace(draft, name=name.strip())
    _send_contacts(organisation, [(company, draft)], books)
    last = Attempt.objects.filter(
        organisation=organisation, company=company, kind="contact"
    ).latest("pk")
    if last.state in (Attempt.State.SETTLED, Attempt.State.FOUND):
        return draft.name
    words = " ".join(problem["message"] for problem in last.problems)
    raise BadSettings(
        words or f"{company.name} is being created; its answer is awaited.", which="name"
    )


def restore_contact(contact_id: str, books: Books) -> str:
    """Take a contact out of the archive; repeating it does no harm. Returns its name.

    Raises BadSettings when the books refuse.
    """
    known = books.get_contact(contact_id)
    if known is None:
        raise BadSettings("The books do not know the contact any more.", which="contact")
    draft = ContactDraft(name=known.name, external_id=contact_id, restore=True)
    (outcome,) = books.send([books.prepare(Action.UPDATE, draft)], str(uuid.uuid4()))
    if not outcome.accepted:
        words = " ".join(problem.message for problem in outcome.problems)
        raise BadSettings(words or "The books refused it.", which="contact")
    return str(known.name)


def keep_in_step(organisation: Organisation, books: Books) -> int:
    """Bring contacts whose company changed in the PSA up to date; how many were written.

    To write the same twice does no harm, so that nothing is booked before. What the books refuse
    opens a card and is tried again when the company changes or somebody says so.
    """
    if read_policy(organisation.settings).contacts != "keep":
        return 0
    rows = ContactLink.objects.filter(organisation=organisation, stale=True)
    found: list[tuple[ContactLink, ContactDraft]] = []
    for link in rows.select_related("company", "organisation__connection"):
        draft = changes(link.written, facts_of(link.company), link.contact_external_id)
        # The company changed in something that the contact does not show.
        if draft is None:
            _kept(link)
        else:
            found.append((link, draft))
    for start in range(0, len(found), books.batch_size):
        _update(found[start : start + books.batch_size], books)
    return len(found)


def _update(some: Sequence[tuple[ContactLink, ContactDraft]], books: Books) -> None:
    elements = [books.prepare(Action.UPDATE, draft) for _, draft in some]
    try:
        outcomes = books.send(elements, str(uuid.uuid4()))
    except Rejected as failure:
        if len(some) > 1:
            # One bad address must not keep the others from being written.
            for one in some:
                _update([one], books)
            return
        outcomes = (Outcome(accepted=False, problems=failure.problems),)
    for (link, _), element, outcome in zip(some, elements, outcomes, strict=True):
        with transaction.atomic():
            _updated(link, outcome, element.body)


def _updated(link: ContactLink, outcome: Outcome, body: str) -> None:
    name, books = link.company.name, link.organisation.name
    words = " ".join(problem.message for problem in outcome.problems)
    sentence = f"The contact {link.contact_name} was brought in step with {name} in {books}."
    if not outcome.accepted:
        sentence = f"{books} refused to bring {link.contact_name} in step with {name}: {words}"
    told = Told(
        sentence=sentence,
        operation="contact.update",
        customer=name,
        detail=body,
        failed=not outcome.accepted,
    )
    record_decisions([(source(link.organisation), told)])
    if outcome.accepted:
        _kept(link)
        return
    # Not tried again with each pass: the same words would be refused in the same way.
    _settle(link)
    problem = outcome.problems[0] if outcome.problems else Problem(code="rejected", message=words)
    open_card(
        link.organisation,
        Reason(
            code=problem.code, about=_card_about(link), subject=link.contact_name, sentence=sentence
        ),
    )


def _card_about(link: ContactLink) -> str:
    return f"keep:{link.company_id}"


def _settle(link: ContactLink, **values: object) -> None:
    """It is in step with the company as it was decided about, which may have changed since."""
    # Locked first: a page that changes the company and is not committed yet is waited for.
    ContactLink.objects.select_for_update().filter(pk=link.pk).first()
    company = Company.objects.get(pk=link.company_id)
    changed = facts_of(company) != facts_of(link.company)
    ContactLink.objects.filter(pk=link.pk).update(**values, stale=changed)


@transaction.atomic
def _kept(link: ContactLink) -> None:
    _settle(link, written=facts_of(link.company))
    close_about(link.organisation, _card_about(link), "The contact is in step.")


def _send_contacts(
    organisation: Organisation, wanted: Sequence[tuple[Company, ContactDraft]], books: Books
) -> None:
    elements = [(c, books.prepare(Action.CREATE, draft), draft.name) for c, draft in wanted]
    key, attempts = book_contacts(organisation, elements)
    if not attempts:
        return
    by_company = {company.pk: element for company, element, _ in elements}
    # Exactly what was booked, in its order: answers are matched to attempts by their place.
    batch = [by_company[attempt.company_id or 0] for attempt in attempts]
    try:
        outcomes = books.send(batch, key)
    except TryLater as failure:
        (_doubt if failure.uncertain else _withdraw)(attempts)
        raise
    except (NeedsReconnect, BadSettings):
        _withdraw(attempts)
        raise
    except Rejected as failure:
        outcomes = tuple(Outcome(accepted=False, problems=failure.problems) for _ in attempts)
    for attempt, outcome in zip(attempts, outcomes, strict=True):
        _contact_answered(organisation, attempt, outcome, books)


def _booked(attempts: Sequence[Attempt]) -> QuerySet[Attempt]:
    ids = [attempt.pk for attempt in attempts]
    return Attempt.objects.filter(pk__in=ids, state=Attempt.State.BOOKED)


def _doubt(attempts: Sequence[Attempt]) -> None:
    _booked(attempts).update(state=Attempt.State.UNCERTAIN)


def _withdraw(attempts: Sequence[Attempt]) -> None:
    """Nothing was carried out: as if nothing had been booked."""
    _booked(attempts).delete()


def _contact_answered(
    organisation: Organisation, attempt: Attempt, outcome: Outcome, books: Books
) -> None:
    if outcome.accepted:
        with transaction.atomic():
            settle_contact(attempt, outcome, how="created")
        return
    # A name or number in use: read who has it, so that the next decision can link or ask.
    found = books.find_contacts(names=[attempt.number])
    with transaction.atomic():
        remember(organisation, prepare(organisation, found))
        Attempt.objects.filter(pk=attempt.pk, state__in=OPEN).update(
            state=Attempt.State.REJECTED,
            settled_at=now(),
            problems=[{"code": p.code, "message": p.message} for p in outcome.problems],
        )
        # Somebody who has the name is a question or a link for the next decision, not a refusal.
        if not found:
            _hold_company(organisation, attempt, outcome.problems)


def _hold_company(
    organisation: Organisation, attempt: Attempt, problems: Sequence[Problem]
) -> None:
    company = attempt.company
    if company is None:
        return
    reasons = [
        Reason(
            code=problem.code,
            about=f"company:{company.external_id}",
            subject=company.name,
            sentence=f"{organisation.name} refused the contact {company.name}: {problem.message}",
            details={"company_id": company.external_id},
        )
        for problem in problems
    ]
    waiting = Document.objects.filter(
        connection=company.connection,
        company_external_id=company.external_id,
        posting__organisation=organisation,
        posting__state=Posting.State.WAITING,
    )
    for document in waiting:
        keep_on_hold(document, organisation, reasons)
