"""Gathers what decisions need, in bulk: a fixed number of queries for any number of documents."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.desk import models as desk
from psaltery.kit.text import comparable_name
from psaltery.ledger.models import (
    BillingInvoice,
    Customer,
    LedgerAccount,
    LedgerTaxRate,
    LedgerTrackingOption,
)
from psaltery.mapping.contacts import Candidate, reference
from psaltery.mapping.lookup import Entry, Mappings
from psaltery.mapping.models import ContactLink, Mapping
from psaltery.posting.counterparts import Counterparts
from psaltery.posting.models import Attempt, Item, Link, Posting
from psaltery.posting.orders import billed
from psaltery.posting.policy import read_policy
from psaltery.posting.situation import (
    AccountFact,
    Book,
    OptionFact,
    Situation,
    TaxFact,
)
from psaltery.posting.twins import twins
from psaltery.records.books import Status, TaxMode
from psaltery.records.psa import Company, Document, DocumentKind, DocumentLine


class Planned(msgspec.Struct):
    """One document with its rows and its situation."""

    posting: Posting
    row: desk.Document
    company: desk.Company | None
    situation: Situation


def read_book(organisation: Organisation) -> Book:
    """One organisation as decisions need it; four queries, five with items."""
    # Lines name accounts by code; bank accounts in Xero may have none and can't be on a line.
    accounts = LedgerAccount.objects.filter(organisation=organisation).exclude(code="")
    rates = LedgerTaxRate.objects.filter(organisation=organisation)
    options = LedgerTrackingOption.objects.filter(organisation=organisation)
    mappings = Mapping.objects.filter(organisation=organisation)
    locks = [day for day in (organisation.period_lock_on, organisation.year_lock_on) if day]
    policy = read_policy(organisation.settings)
    chosen = Item.objects.filter(organisation=organisation, how="chosen")
    return Book(
        id=organisation.pk,
        name=organisation.name,
        base_currency=organisation.base_currency,
        currencies=frozenset(organisation.currencies),
        accounts={
            a.code: AccountFact(a.code, a.name, a.account_class, a.active, a.system)
            for a in accounts
        },
        tax_rates={
            r.tax_type: TaxFact(r.tax_type, r.name, r.rate, r.active, tuple(r.classes))
            for r in rates
        },
        options={
            o.external_id: OptionFact(
                o.external_id, o.name, o.category_external_id, o.category, o.active
            )
            for o in options
        },
        mappings=Mappings(
            (m.list, m.key_kind, m.key, Entry(m.pk, m.version, m.target)) for m in mappings
        ),
        policy=policy,
        items=dict(chosen.values_list("product", "code")) if policy.items else {},
        locked_until=max(locks, default=None),
    )


def gather(
    organisation: Organisation,
    postings: Sequence[Posting],
    source_url: Callable[[desk.Document], str],
) -> list[Planned]:
    """The situations of these documents; six queries beside the book's, seven with bills.

    `postings` must have been selected with their documents; `source_url` gives a document's deep
    link into the PSA.
    """
    book = read_book(organisation)
    rows = [posting.document for posting in postings]
    companies = _companies(rows)
    contact_links = _contact_links(organisation, companies.values())
    links = {link.document_id: link for link in Link.objects.filter(document__in=rows)}
    counterparts = Counterparts(organisation, rows, links.values())
    people = _Contacts(organisation, companies.values(), contact_links.values())
    same_numbers = twins(organisation, rows)
    billed_orders = billed(organisation, rows)
    newcomers = _newcomers(organisation, book, contact_links.values())
    ours = _exported_by_us([row for row in rows if row.posted and row.pk not in links])
    # From here on no query: it has the same cost for one document and for a thousand.
    planned = []
    for posting, row in zip(postings, rows, strict=True):
        company = companies.get((row.connection_id, row.company_external_id))
        linked = contact_links.get(company.pk) if company else None
        link = links.get(row.pk)
        situation = Situation(
            document_id=row.pk,
            document=read_document(row),
            fingerprint=row.fingerprint,
            gone=row.gone,
            book=book,
            company=company_record(company) if company else None,
            contact=people.by_id(linked.contact_external_id) if linked else None,
            contact_link_id=linked.contact_external_id if linked else "",
            # A link is never questioned by resemblance: names change, ids don't.
            candidates=people.like(company) if company and not linked else (),
            link=counterparts.of(link) if link else None,
            # A person who chose another number has said that the one there is not this one.
            existing=None if link or posting.books_number else counterparts.unlinked(row),
            books_number=posting.books_number,
            source_url=source_url(row),
            route=posting.trace.get("route", {}),
            twin=same_numbers.get(row.pk),
            first=linked is not None and linked.contact_external_id in newcomers,
            billed=row.pk in billed_orders,
            waived=frozenset(posting.waived),
            exported_by_us=row.pk in ours,
        )
        planned.append(Planned(posting, row, company, situation))
    return planned


def _newcomers(organisation: Organisation, book: Book, links: Iterable[ContactLink]) -> set[str]:
    """Contacts of which the books have no approved invoice; asked only where it matters."""
    if not book.policy.draft_first:
        return set()
    ids = {link.contact_external_id for link in links}
    approved = BillingInvoice.objects.filter(
        organisation=organisation,
        kind="receivable",
        status__in=(Status.AUTHORISED, Status.PAID),
        customer_external_id__in=ids,
    )
    return ids - set(approved.values_list("customer_external_id", flat=True))


def _exported_by_us(rows: Sequence[desk.Document]) -> set[int]:
    """Those of these that a person has unlinked: the mark in the PSA is from our own first write.

    Costs no query where there are none, which is nearly always.
    """
    if not rows:
        return set()
    done = (Attempt.State.SETTLED, Attempt.State.FOUND)
    found = Attempt.objects.filter(document__in=rows, state__in=done)
    return set(found.values_list("document_id", flat=True))


def read_document(row: desk.Document) -> Document:
    """The record that was stored in a row."""
    return Document(
        external_id=row.external_id, kind=DocumentKind(row.kind), type=row.type, number=row.number,
        company_id=row.company_external_id, company_name=row.company_name, currency=row.currency,
        issued_on=row.issued_on, due_on=row.due_on, closed=row.closed, status=row.status,
        location=row.location, department=row.department, territory=row.territory,
        reference=row.reference, customer_po=row.customer_po, tax_code=row.tax_code,
        tax_mode=TaxMode(row.tax_mode), tax_mode_known=row.tax_mode_known,
        subtotal=_money(row.subtotal), tax=_money(row.tax), total=_money(row.total),
        payments=_money(row.payments), credits=_money(row.credits), balance=_money(row.balance),
        agreement=row.agreement, agreement_type=row.agreement_type, ticket_id=row.ticket_id,
        applied_to=row.applied_to, posted=row.posted, vendor_number=row.vendor_number,
        custom=row.custom,
        lines=msgspec.convert(row.lines, tuple[DocumentLine, ...], strict=False),
        updated_at=row.updated_at,
    )  # fmt: skip


def _money(amount: Decimal) -> Decimal:
    """Columns hold four decimals; documents are in cents."""
    return amount.quantize(Decimal("0.01")) if amount == round(amount, 2) else amount


def _companies(rows: Iterable[desk.Document]) -> dict[tuple[int, str], desk.Company]:
    wanted: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        wanted[row.connection_id].add(row.company_external_id)
    found = Q(pk__in=[])
    for connection, ids in wanted.items():
        found |= Q(connection_id=connection, external_id__in=ids)
    return {(c.connection_id, c.external_id): c for c in desk.Company.objects.filter(found)}


def company_record(row: desk.Company) -> Company:
    """The record that was stored in a row."""
    return Company(
        external_id=row.external_id, identifier=row.identifier, name=row.name,
        status=row.status, account_number=row.account_number, tax_number=row.tax_number,
        email=row.email, phone=row.phone, website=row.website, address=tuple(row.address),
        city=row.city, region=row.region, postcode=row.postcode, country=row.country,
        currency=row.currency, tax_code=row.tax_code, territory=row.territory,
        types=tuple(row.types), tags=tuple(row.tags), custom=row.custom,
        is_vendor=row.is_vendor, deleted=row.deleted,
    )  # fmt: skip


def _contact_links(
    organisation: Organisation, companies: Iterable[desk.Company]
) -> dict[int, ContactLink]:
    links = ContactLink.objects.filter(organisation=organisation, company__in=list(companies))
    return {link.company_id: link for link in links}


class _Contacts:
    """The contacts of the books that may matter for these companies; two queries."""

    def __init__(
        self,
        organisation: Organisation,
        companies: Iterable[desk.Company],
        links: Iterable[ContactLink],
    ) -> None:
        companies = list(companies)
        ids = [link.contact_external_id for link in links]
        wanted = (
            Q(external_id__in=ids)
            | Q(contact_number__in=[reference(c.external_id) for c in companies])
            | Q(account_number__in=[c.account_number for c in companies if c.account_number])
            | Q(name_key__in=[comparable_name(c.name) for c in companies])
            | Q(email__in=[c.email for c in companies if c.email])
        )
        found = list(Customer.objects.filter(wanted, organisation=organisation))
        taken = ContactLink.objects.filter(
            organisation=organisation, contact_external_id__in=[c.external_id for c in found]
        ).values_list("contact_external_id", "company__name")
        owners = dict(taken)
        self._found = [_candidate(c, owners.get(c.external_id, "")) for c in found]
        self._by_id = {candidate.external_id: candidate for candidate in self._found}

    def by_id(self, external_id: str) -> Candidate | None:
        return self._by_id.get(external_id)

    def like(self, company: desk.Company) -> tuple[Candidate, ...]:
        key, number = comparable_name(company.name), reference(company.external_id)
        return tuple(
            c
            for c in self._found
            # The query found those of all companies; here only those that are like this one.
            if c.contact_number == number
            or c.name_key == key
            or (company.account_number and c.account_number == company.account_number)
            or (company.email and c.email.casefold() == company.email.casefold())
        )


def _candidate(row: Customer, owner: str) -> Candidate:
    return Candidate(
        external_id=row.external_id, name=row.name, name_key=row.name_key, email=row.email,
        account_number=row.account_number, contact_number=row.contact_number, state=row.state,
        merged_into=row.merged_into, linked_to=owner, currency=row.currency,
    )  # fmt: skip
