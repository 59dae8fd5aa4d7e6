"""Writes: pair what is sure, keep what to ask, settle, split, set aside, follow, undo."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.audit.actor import actor
from psaltery.audit.service import record_change
from psaltery.connections.models import Organisation
from psaltery.contacts import gather
from psaltery.contacts.models import Decision, Suggestion
from psaltery.contacts.resemble import Candidate, Contact, Firms, Judged, decide
from psaltery.desk.models import Company
from psaltery.kit.clock import now
from psaltery.kit.text import cut
from psaltery.ledger.models import Customer
from psaltery.mapping.models import ContactLink
from psaltery.mapping.service import facts_of, link_contact, source, unlink_contact

BY_ITSELF = "Psaltery"
_MERGES = 10  # a contact merged into one that was merged, and so on
State = Suggestion.State
Action = Decision.Action


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass did: links made, contacts to ask about, links that followed a merge."""

    linked: int = 0
    open: int = 0
    followed: int = 0


def pair(organisation: Organisation) -> Paired:
    """Link what is sure and keep suggestions for the rest; what a person decided stays.

    Nothing but merges is done before contacts and companies have been read to their end.
    """
    with transaction.atomic():
        followed = follow(organisation)
        # A company that is read later may be the better match of a contact.
        if not gather.is_read(organisation):
            return Paired(followed=followed)
        wanted, judged = _judged(organisation)
        linked = _link_sure(organisation, wanted, judged.sure)
        _keep(organisation, wanted, judged)
    return Paired(linked=linked, open=len(judged.open), followed=followed)


def _judged(organisation: Organisation) -> tuple[list[Contact], Judged]:
    """Everybody judged: first by what two share exactly, then the rest by similar names as well."""
    wanted, known = gather.contacts(organisation), gather.firms(organisation)
    never = gather.taken_apart(organisation)
    # In two passes: who is found exactly needs no comparison with all names, which is dear.
    exact = decide(wanted, Firms(known), {}, never).sure
    taken = {one.company for one in exact.values()}
    rest = [contact for contact in wanted if contact.id not in exact]
    free = [firm for firm in known if firm.id not in taken]
    judged = decide(rest, Firms(free), gather.alike(rest, free), never)
    return wanted, Judged(sure={**exact, **judged.sure}, open=judged.open)


def _link_sure(
    organisation: Organisation, contacts: Sequence[Contact], sure: Mapping[str, Candidate]
) -> int:
    """Links for all of these at once, each a decision that can be undone."""
    if not sure:
        return 0
    names = {contact.id: contact.name for contact in contacts}
    firms = Company.objects.in_bulk([one.company for one in sure.values()])
    ContactLink.objects.bulk_create(
        [
            ContactLink(
                organisation=organisation, company_id=one.company, contact_external_id=contact,
                contact_name=names[contact], how=one.why[0], linked_by=BY_ITSELF,
                # As it is now: what differs already is the bookkeeper's, and is not overwritten.
                written=facts_of(firms[one.company]),
            )
            for contact, one in sure.items()
        ],
        # A person may link the same company at this moment: theirs stays.
        ignore_conflicts=True,
    )  # fmt: skip
    sure = _linked_by_us(organisation, sure)
    Decision.objects.bulk_create(
        Decision(
            organisation=organisation, company_id=one.company, action=Action.LINKED,
            contact_external_id=contact, contact_name=names[contact], why=", ".join(one.why),
            by=BY_ITSELF,
        )
        for contact, one in sure.items()
    )  # fmt: skip
    record_change(
        f"{len(sure)} contacts of {organisation.name} were linked by themselves.",
        source=source(organisation),
        operation="contact.pair",
        documents=[f"{names[contact]} = {one.name}" for contact, one in sure.items()][:100],
    )
    return len(sure)


def _linked_by_us(
    organisation: Organisation, sure: Mapping[str, Candidate]
) -> dict[str, Candidate]:
    """Of these pairs, those that are links now: a person may have been quicker."""
    wanted = [one.company for one in sure.values()]
    rows = ContactLink.objects.filter(organisation=organisation, company__in=wanted)
    made = set(rows.values_list("contact_external_id", "company_id"))
    return {contact: one for contact, one in sure.items() if (contact, one.company) in made}


def _keep(organisation: Organisation, contacts: Sequence[Contact], judged: Judged) -> None:
    """Store the suggestions in the place of the open ones."""
    rows = [
        Suggestion(
            organisation=organisation,
            contact_external_id=contact.id,
            contact_name=contact.name,
            detail=cut(_detail(contact), 500),
            candidates=msgspec.to_builtins(judged.open.get(contact.id, ())),
            best=max((one.score for one in judged.open.get(contact.id, ())), default=0),
            state=State.OPEN,
            found_at=now(),
        )
        for contact in contacts
        if contact.id not in judged.sure
    ]
    Suggestion.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organisation", "contact_external_id"],
        update_fields=["contact_name", "detail", "candidates", "best", "state", "found_at"],
    )
    kept = [row.contact_external_id for row in rows]
    waiting = Suggestion.objects.filter(organisation=organisation, state=State.OPEN)
    # Only open ones: what was set aside or settled is a decision, and stays.
    waiting.exclude(contact_external_id__in=kept).delete()


def _detail(contact: Contact) -> str:
    parts = (contact.email, contact.tax_number, contact.account_number)
    return " · ".join(part for part in parts if part)


def follow(organisation: Organisation) -> int:
    """Move links of contacts that were merged in the books to the survivor; how many."""
    links = ContactLink.objects.filter(organisation=organisation).select_related("company")
    merged = Customer.objects.filter(organisation=organisation).exclude(merged_into="")
    lost = links.filter(contact_external_id__in=merged.values("external_id"))
    moved = 0
    for link in lost:
        survivor = _survivor(organisation, link.contact_external_id)
        if survivor is None:
            continue  # it has not been read yet: the next pass finds it
        _note(link, Action.FOLLOWED, survivor, by=BY_ITSELF)
        # Xero keeps the loser of a merge readable but takes no documents on it.
        # https://developer.xero.com/documentation/api/accounting/contacts
        link_contact(organisation, link.company, survivor.external_id, survivor.name, how="merged")
        moved += 1
    return moved


def _survivor(organisation: Organisation, contact_id: str) -> Customer | None:
    """The contact that this one ended in."""
    rows = Customer.objects.filter(organisation=organisation)
    # A bound, should two of them name each other.
    for _ in range(_MERGES):
        found = rows.filter(external_id=contact_id).first()
        if found is None or not found.merged_into:
            return found
        contact_id = found.merged_into
    return None


def _note(
    link: ContactLink, action: Decision.Action, contact: Customer, *, by: str, why: str = ""
) -> Decision:
    """Remember a decision about a company, with the link that it had."""
    return Decision.objects.create(
        organisation=link.organisation, company=link.company, action=action,
        contact_external_id=contact.external_id, contact_name=contact.name,
        before_external_id=link.contact_external_id, before_name=link.contact_name,
        before_how=link.how, why=why, by=by,
    )  # fmt: skip


def settle(organisation: Organisation, contact_id: str, company: Company) -> Decision:
    """A person says: this contact is that company.

    Several companies may be one contact (merged). A company that was another contact leaves it.
    Raises BadSettings for a contact that is not there or is archived.
    """
    contact = Customer.objects.filter(organisation=organisation, external_id=contact_id).first()
    if contact is None:
        raise BadSettings("The books have no such contact any more.", which="contact")
    if contact.state != "active" or contact.merged_into:
        raise BadSettings(
            f"{contact.name} is archived or merged in the books; restore it there first.",
            which="contact",
        )
    with transaction.atomic():
        # Locked: of two people at once the second decides about the first one's link, so that
        # an undo puts back what was there.
        company = Company.objects.select_for_update().get(pk=company.pk)
        before = ContactLink.objects.filter(organisation=organisation, company=company).first()
        # Not saved: it only stands for "none before", so that an undo takes the link away.
        held = before or ContactLink(organisation=organisation, company=company)
        decision = _note(held, Action.LINKED, contact, by=actor(), why="person")
        link_contact(organisation, company, contact.external_id, contact.name, how="person")
        Suggestion.objects.filter(organisation=organisation, contact_external_id=contact_id).update(
            state=State.DONE
        )
    return decision


def split(link: ContactLink) -> Decision:
    """A person says: this company is not that contact. The pair is never sure again."""
    with transaction.atomic():
        decision = Decision.objects.create(
            organisation=link.organisation, company=link.company, action=Action.SPLIT,
            contact_external_id=link.contact_external_id, contact_name=link.contact_name,
            before_external_id=link.contact_external_id, before_name=link.contact_name,
            before_how=link.how, by=actor(),
        )  # fmt: skip
        unlink_contact(link)
    return decision


def set_aside(row: Suggestion) -> Decision:
    """A person says: this contact is no customer of the PSA.

    Raises BadSettings where somebody, or Psaltery, linked it meanwhile.
    """
    with transaction.atomic():
        waiting = Suggestion.objects.filter(pk=row.pk).exclude(state=State.DONE)
        if not waiting.update(state=State.ASIDE):
            told = f"{row.contact_name} was linked meanwhile; split it off first."
            raise BadSettings(told, which="contact")
        record_change(
            f"{row.contact_name} of {row.organisation.name} is no customer of the PSA.",
            source=source(row.organisation),
            operation="contact.aside",
        )
        return Decision.objects.create(
            organisation=row.organisation, action=Action.ASIDE, by=actor(),
            contact_external_id=row.contact_external_id, contact_name=row.contact_name,
        )  # fmt: skip


def accept(rows: Iterable[Suggestion]) -> list[Decision]:
    """Settle each suggestion by its best candidate; a company is given to the best one only."""
    done: list[Decision] = []
    taken: set[int] = set()
    with transaction.atomic():
        # The surest first: a company that two contacts want goes to the better one.
        for row in sorted(rows, key=lambda row: -row.best):
            best = int(row.candidates[0]["company"]) if row.candidates else 0
            company = Company.objects.filter(pk=best).first() if best not in taken else None
            if company is not None:
                taken.add(company.pk)
                done.append(settle(row.organisation, row.contact_external_id, company))
    return done


def undo(decision: Decision) -> None:
    """Put back what was there before a decision.

    Raises BadSettings when it was undone already, or something was decided since.
    """
    with transaction.atomic():
        # Locked: two people who press undo at once must not put it back twice.
        row = Decision.objects.select_for_update(of=("self",)).get(pk=decision.pk)
        if row.undone_at is not None:
            raise BadSettings("This was undone already.", which="decision")
        _put_back(row)
        row.undone_at, row.undone_by = now(), actor()
        row.save(update_fields=["undone_at", "undone_by"])
        record_change(
            f"{row.contact_name} of {row.organisation.name}: “{row.get_action_display()}” was "
            "undone.",
            source=source(row.organisation),
            operation="contact.undo",
        )


def _put_back(row: Decision) -> None:
    if row.action == Action.ASIDE or row.company is None:
        _ask_again(row)
        return
    link = ContactLink.objects.filter(organisation=row.organisation, company=row.company).first()
    now_at = link.contact_external_id if link else ""
    after = "" if row.action == Action.SPLIT else row.contact_external_id
    # Undone out of order it would bring back a link that was replaced for a reason.
    if now_at != after:
        raise BadSettings(
            f"{row.company.name} was linked otherwise since then; undo that first.",
            which="decision",
        )
    if row.before_external_id:
        link_contact(
            row.organisation, row.company, row.before_external_id, row.before_name,
            how=row.before_how,
        )  # fmt: skip
    elif link is not None:
        unlink_contact(link)
    _ask_again(row)


def _ask_again(row: Decision) -> None:
    """The contact waits for a company again, unless it has one."""
    own = {"organisation": row.organisation, "contact_external_id": row.contact_external_id}
    if not ContactLink.objects.filter(**own).exists():
        Suggestion.objects.filter(**own).update(state=State.OPEN)
