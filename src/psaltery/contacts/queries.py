"""Reads of the pairing pages."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from psaltery.connections.models import Organisation
from psaltery.contacts import gather
from psaltery.contacts.models import Decision, Suggestion
from psaltery.contacts.resemble import Contact as Record
from psaltery.contacts.resemble import Firm, judge
from psaltery.desk.models import Company
from psaltery.kit.text import comparable_name
from psaltery.ledger.models import Customer
from psaltery.mapping.models import ContactLink

FOUND = 8
WHY = {
    "number": "same number",
    "tax": "same tax number",
    "domain": "same e-mail domain",
    "name": "same name",
    "alike": "similar name",
}
# From here on the best suggestion is worth accepting without a look at each.
GOOD = 60


@dataclass(frozen=True)
class Standing:
    """How far the contacts of an organisation are."""

    open: int
    good: int
    aside: int
    linked: int


def standing(organisation: Organisation) -> Standing:
    """Counts for the head of the page. Two queries."""
    rows = Suggestion.objects.filter(organisation=organisation)
    waiting = Q(state=Suggestion.State.OPEN)
    counted = rows.aggregate(
        open=Count("pk", filter=waiting),
        good=Count("pk", filter=waiting & Q(best__gte=GOOD)),
        aside=Count("pk", filter=Q(state=Suggestion.State.ASIDE)),
    )
    linked = ContactLink.objects.filter(organisation=organisation).count()
    return Standing(**counted, linked=linked)


def suggestions(
    organisation: Organisation, state: str = Suggestion.State.OPEN, text: str = ""
) -> QuerySet[Suggestion]:
    """The contacts to ask about, the surest first."""
    rows = Suggestion.objects.filter(organisation=organisation, state=state)
    for word in text.replace("\x00", "").split()[:6]:
        rows = rows.filter(contact_name__icontains=word)
    return rows.select_related("organisation__connection").order_by("-best", "contact_name", "pk")


def companies(row: Suggestion, text: str) -> list[dict[str, object]]:
    """Companies found by name, shaped like candidates; `linked` names the contact they have."""
    rows = Company.objects.filter(deleted=False)
    for word in text.replace("\x00", "").split()[:6]:
        rows = rows.filter(name__icontains=word)
    found = list(rows.order_by("name", "pk")[:FOUND])
    links = ContactLink.objects.filter(organisation=row.organisation_id, company__in=found)
    linked = dict(links.values_list("company_id", "contact_name"))
    contact = Customer.objects.filter(
        organisation=row.organisation_id, external_id=row.contact_external_id
    ).first()
    return [
        {
            "company": company.pk,
            "name": company.name,
            "linked": linked.get(company.pk, ""),
            "why": judge(_record(contact), _firm(company)).why if contact else (),
        }
        for company in found
    ]


def _record(row: Customer) -> Record:
    return Record(
        id=row.external_id, name=row.name, key=row.name_key, email=row.email,
        tax_number=row.tax_number, account_number=row.account_number,
    )  # fmt: skip


def _firm(row: Company) -> Firm:
    return Firm(id=row.pk, name=row.name, key=comparable_name(row.name), tax_number=row.tax_number)


def decisions() -> QuerySet[Decision]:
    """Every decision, for the list."""
    return Decision.objects.select_related("organisation__connection", "company")


def shared(organisation: Organisation) -> list[tuple[str, list[ContactLink]]]:
    """Contacts that are several companies, with their links: what was merged."""
    rows = ContactLink.objects.filter(organisation=organisation)
    several = rows.values("contact_external_id").annotate(n=Count("pk")).filter(n__gt=1)
    found: dict[str, list[ContactLink]] = {}
    links = rows.filter(contact_external_id__in=several.values("contact_external_id"))
    for link in links.select_related("company").order_by("contact_name", "company__name"):
        found.setdefault(link.contact_external_id, []).append(link)
    return [(links[0].contact_name, links) for links in found.values()]


@dataclass(frozen=True)
class Resting:
    """A link to a contact that takes no documents: why not, and what to do about it."""

    link: ContactLink
    why: str
    advice: str


def resting(organisation: Organisation) -> list[Resting]:
    """Links to contacts that are archived, merged or gone in the books. Three queries."""
    links = ContactLink.objects.filter(organisation=organisation, company__deleted=False)
    books = Customer.objects.filter(organisation=organisation)
    well = books.filter(state="active", merged_into="")
    rows = links.exclude(contact_external_id__in=well.values("external_id"))
    # Before all contacts were read, one that is not there may only be on a later page.
    if not gather.has_read(organisation, "contacts"):
        rows = rows.filter(contact_external_id__in=books.values("external_id"))
    found = list(rows.select_related("company").order_by("contact_name", "company__name"))
    wanted = books.filter(external_id__in=[row.contact_external_id for row in found])
    known = {row.external_id: row for row in wanted}
    return [_resting(row, known.get(row.contact_external_id)) for row in found]


def _resting(link: ContactLink, contact: Customer | None) -> Resting:
    if contact is None:
        return Resting(link, "is not in the books any more", "Link the company to another contact.")
    if contact.merged_into:
        return Resting(
            link,
            "was merged into another contact, which was not read yet or is archived too",
            "Link the company to the contact that is left.",
        )
    return Resting(
        link,
        "is archived in the books",
        "Restore it there, or link the company to another contact.",
    )
