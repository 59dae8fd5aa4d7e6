"""Reads of the mapping pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import msgspec
from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Sum

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.audit.models import Entry as AuditEntry
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Company, Document, Lookup
from psaltery.kit.text import comparable_name
from psaltery.ledger.models import Customer
from psaltery.mapping.facts import RoutingFacts
from psaltery.mapping.lookup import (
    ACCOUNT_KEYS,
    PAYMENTS,
    PURCHASE_LISTS,
    Entry,
    Key,
    Mappings,
    what_of,
)
from psaltery.mapping.models import ContactLink, Mapping
from psaltery.mapping.routing import FIELDS, Rule, custom_value, needs_more, route
from psaltery.records.psa import Document as Record
from psaltery.records.psa import DocumentKind, DocumentLine

CHANGES_SHOWN = 8
CANDIDATES = 8
FOUND_SHOWN = 20
VALUES_OFFERED = 500

# The kinds of line that adapters make, in words; a PSA of another kind may bring its own.
SOURCES = {
    "product": "products",
    "time": "time",
    "expense": "expenses",
    "agreement": "agreement fees",
    "adjustment": "adjustments",
    "down_payment": "down payments",
    "document": "invoices without parts",
    "freight": "freight",
}


SOLD = ("product", "time", "expense", "agreement", "adjustment")
PURCHASED = ("product", "freight", "expense")


def books_organisations() -> QuerySet[Organisation]:
    """The organisations that documents can go to."""
    kinds = [manifest.kind for manifest in registry.manifests(Role.BOOKS)]
    rows = Organisation.objects.filter(connection__kind__in=kinds, chosen=True)
    return rows.select_related("connection").order_by("name", "pk")


def psa_connections() -> QuerySet[Connection]:
    """The connections whose documents are routed."""
    kinds = [manifest.kind for manifest in registry.manifests(Role.PSA)]
    return Connection.objects.filter(kind__in=kinds).order_by("name")


def mappings_of(organisation: Organisation) -> Mappings:
    """All mappings of an organisation, as decisions read them."""
    rows = Mapping.objects.filter(organisation=organisation)
    return Mappings(
        (row.list, row.key_kind, row.key, Entry(row.pk, row.version, row.target)) for row in rows
    )


def known_keys(organisation: Organisation, list_: str) -> list[Key]:
    """The keys that the PSA's lists name and those that are mapped, whether used or not."""
    mapped = Mapping.objects.filter(organisation=organisation, list=list_)
    keys = [Key(kind, value) for kind, value in mapped.values_list("key_kind", "key")]
    what = what_of(list_)
    if what == "account":
        sources = PURCHASED if list_ in PURCHASE_LISTS else SOLD
        return [*_account_keys(sources), Key("any", ""), *keys]
    if what == "tax":
        codes = _lookups("tax_codes").values_list("code", flat=True)
        return [*(Key("tax_code", code) for code in codes if code), Key("exempt", ""), *keys]
    if what == PAYMENTS:
        return [Key("any", ""), *keys]
    places = _lookups("locations", "departments").values_list("list", "name")
    return [*(Key(name.removesuffix("s"), value) for name, value in places), *keys]


def _lookups(*lists: str) -> QuerySet[Lookup]:
    return Lookup.objects.filter(list__in=lists, active=True).exclude(name="")


_NAMED_BY = {
    "work_types": "work_type",
    "work_roles": "work_role",
    "expense_types": "expense_type",
    "agreement_types": "agreement_type",
}


def _account_keys(sources: Sequence[str]) -> Iterable[Key]:
    for kind in sources:
        yield Key("source", kind)
    for name, value in _lookups(*_NAMED_BY).values_list("list", "name"):
        yield Key(_NAMED_BY[name], value)
    items = _lookups("catalog_items").values_list("code", "name", "details__category")
    for code, name, category in items:
        yield Key("product", code or name)
        if category:
            yield Key("category", category)


def key_words(key: Key) -> str:
    """A key's value as people read it."""
    if key.kind == "source":
        return SOURCES.get(key.value, key.value).capitalize()
    if key.kind == "exempt":
        return "Lines without tax"
    return key.value or ACCOUNT_KEYS.get(key.kind, key.kind)


def changes(organisation: Organisation) -> list[AuditEntry]:
    """The last changes of an organisation's mappings, newest first."""
    rows = AuditEntry.objects.filter(
        kind=AuditEntry.Kind.CHANGE,
        organisation_id=organisation.pk,
        operation__in=("mapping.set", "mapping.remove"),
    )
    return list(rows.defer("request", "response").order_by("-at", "-id")[:CHANGES_SHOWN])


# Routes


def occurring(connection: Connection) -> dict[str, list[str]]:
    """For each field of a rule the values that its documents have, the most frequent first."""
    columns = {name: _COLUMNS[name] for name in FIELDS if name in _COLUMNS}
    documents = Document.objects.filter(connection=connection).order_by()
    found: dict[str, list[str]] = {}
    for name, column in columns.items():
        # The most frequent first: with a cap those that rules are made for must be among them.
        rows = documents.exclude(**{column: ""}).values(column).annotate(count=Count("pk"))
        ordered = rows.order_by("-count", column)[:VALUES_OFFERED]
        found[name] = [row[column] for row in ordered]
    for name in ("location", "department"):
        lookups = _lookups(f"{name}s").filter(connection=connection)
        more = lookups.values_list("name", flat=True)
        found[name] += [value for value in more if value not in found[name]]
    return found | _beyond(connection)


def _beyond(connection: Connection) -> dict[str, list[str]]:
    """Values of the fields that are no column of a document."""
    own = Company.objects.filter(connection=connection).order_by()
    tags = {tag for tags in own.exclude(tags=[]).values_list("tags", flat=True) for tag in tags}
    customs = [
        *own.exclude(custom={}).values_list("custom", flat=True)[:VALUES_OFFERED],
        *Document.objects.filter(connection=connection)
        .exclude(custom={})
        .order_by("-pk")
        .values_list("custom", flat=True)[:VALUES_OFFERED],
    ]
    fields = {custom_value(*item) for custom in customs for item in custom.items()}
    people = _lookups("members").filter(connection=connection)
    members = [code or name for code, name in people.values_list("code", "name")]
    boards = _lookups("boards").filter(connection=connection).values_list("name", flat=True)
    return {
        "tag": sorted(tags)[:VALUES_OFFERED],
        "custom_field": sorted(fields)[:VALUES_OFFERED],
        "member": members[:VALUES_OFFERED],
        "board": list(boards[:VALUES_OFFERED]),
    }


_COLUMNS = {
    "location": "location",
    "department": "department",
    "territory": "territory",
    "company": "company_name",
    "currency": "currency",
    "agreement_type": "agreement_type",
    "type": "type",
}


@dataclass
class Bench:
    """Where some documents would go: one organisation, or None for those without a rule."""

    organisation: Organisation | None
    documents: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)


@dataclass
class Trial:
    """How documents would be routed, and how many each rule of the list would take."""

    benches: list[Bench]
    by_rule: list[int]
    since: date


def trial(connection: Connection, rules: Sequence[tuple[str, str, int]], since: date) -> Trial:
    """Route the documents issued since a day by rules (field, value, organisation); two queries.

    Documents with the same values are routed once, so that a year costs what a day does. Where a
    rule goes by more than columns (tags, staff, boards), each is looked at, two queries a slice.
    """
    ordered = [Rule(place, *rule) for place, rule in enumerate(rules)]
    names = {row.pk: row for row in books_organisations()}
    found: dict[int | None, Bench] = {pk: Bench(row) for pk, row in names.items()}
    # What no rule takes is shown as well: those documents would be held.
    found[None] = Bench(None)
    by_rule = [0] * len(ordered)
    # The quick way where columns say all: the page tries the rules with each change.
    routable = _each if needs_more(ordered) else _routable
    for document, count, money in routable(connection, since):
        rule = route(document, ordered).rule
        bench = found.get(rule.organisation if rule else None, found[None])
        bench.documents += count
        bench.money[document.currency] = bench.money.get(document.currency, Decimal(0)) + money
        if rule is not None:
            by_rule[rule.id] += count
    unrouted = found.pop(None)
    return Trial([*found.values(), unrouted], by_rule, since)


def _routable(connection: Connection, since: date) -> Iterable[tuple[Record, int, Decimal]]:
    columns = list(_COLUMNS.values())
    rows = Document.objects.filter(
        connection=connection, kind=DocumentKind.INVOICE, issued_on__gte=since, gone=False
    ).order_by()
    for row in rows.values(*columns).annotate(count=Count("pk"), money=Sum("total")):
        values = {column: row[column] for column in columns}
        record = Record(
            external_id="",
            kind=DocumentKind.INVOICE,
            number="",
            company_id="",
            issued_on=since,
            **values,
        )
        yield record, row["count"], row["money"]


SLICE = 500


def _each(connection: Connection, since: date) -> Iterable[tuple[Record, int, Decimal]]:
    rows = Document.objects.filter(
        connection=connection, kind=DocumentKind.INVOICE, issued_on__gte=since, gone=False
    ).order_by("pk")
    last = 0
    # By the key, so that a year of documents is never in memory at once.
    while some := list(rows.filter(pk__gt=last)[:SLICE]):
        facts = RoutingFacts(some, needed=True)
        for row in some:
            yield facts.of(row, _record(row)), 1, row.total
        last = some[-1].pk


def _record(row: Document) -> Record:
    """As much of a document as rules go by."""
    values = {column: getattr(row, column) for column in _COLUMNS.values()}
    return Record(
        external_id=row.external_id,
        kind=DocumentKind(row.kind),
        number=row.number,
        company_id=row.company_external_id,
        issued_on=row.issued_on,
        custom=row.custom,
        lines=msgspec.convert(row.lines, tuple[DocumentLine, ...], strict=False),
        **values,
    )


# Contacts


def companies(organisation: Organisation) -> QuerySet[Company]:
    """Companies that are linked in an organisation, or have documents that go there.

    Annotated with the link: `link_name`, `link_how`, `linked_at` (None where there is none).
    """
    documents = Document.objects.filter(
        connection=OuterRef("connection"),
        company_external_id=OuterRef("external_id"),
        posting__organisation=organisation,
    )
    own = FilteredRelation("contact_links", condition=Q(contact_links__organisation=organisation))
    rows = Company.objects.annotate(
        own=own,
        link_name=F("own__contact_name"),
        link_how=F("own__how"),
        linked_at=F("own__linked_at"),
    )
    return rows.filter(Q(linked_at__isnull=False) | Exists(documents))


def waiting_money(organisation: Organisation, company: Company) -> list[tuple[str, int, Decimal]]:
    """Held documents of a company in an organisation: currency, how many, their money."""
    rows = Document.objects.filter(
        connection=company.connection,
        company_external_id=company.external_id,
        posting__organisation=organisation,
        posting__state="held",
    )
    sums = rows.order_by().values("currency").annotate(count=Count("pk"), money=Sum("total"))
    return [(row["currency"], row["count"], row["money"]) for row in sums.order_by("currency")]


def likely_contacts(organisation: Organisation, company: Company) -> list[Customer]:
    """Contacts that may be the company: same name, account number or e-mail address, then alike."""
    rows = Customer.objects.filter(organisation=organisation)
    same = Q(name_key=comparable_name(company.name))
    if company.account_number:
        same |= Q(account_number=company.account_number)
    if company.email:
        same |= Q(email__iexact=company.email)
    found = list(rows.filter(same).order_by("state", "name")[:CANDIDATES])
    # Last, and only as many as there is room for: resemblance is a hint, equal fields are a reason.
    alike = rows.filter(name__trigram_similar=company.name).exclude(pk__in=[c.pk for c in found])
    return found + list(alike.order_by("state", "name")[: CANDIDATES - len(found)])


def found_contacts(organisation: Organisation, text: str) -> list[Customer]:
    """Contacts whose name has all words of a text, active ones first."""
    rows = Customer.objects.filter(organisation=organisation)
    for word in text.replace("\x00", "").split()[:6]:
        rows = rows.filter(name__icontains=word)
    return list(rows.order_by("state", "name")[:FOUND_SHOWN])


def owners(organisation: Organisation, contacts: Iterable[Customer]) -> dict[str, str]:
    """Which of these contacts are linked already: contact id → company's name."""
    ids = [contact.external_id for contact in contacts]
    rows = ContactLink.objects.filter(organisation=organisation, contact_external_id__in=ids)
    return dict(rows.values_list("contact_external_id", "company__name"))


def linked_contact(link: ContactLink | None) -> Customer | None:
    """The contact of a link, as the mirror has it."""
    if link is None:
        return None
    rows = Customer.objects.filter(organisation_id=link.organisation_id)
    return rows.filter(external_id=link.contact_external_id).first()
