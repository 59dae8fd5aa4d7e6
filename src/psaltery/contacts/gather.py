"""Reads contacts and companies for pairing; the database finds similar names by trigrams."""

from collections import defaultdict
from collections.abc import Iterable

from django.db import connection
from django.db.models import QuerySet

from psaltery.connections.models import Feed, Organisation
from psaltery.contacts.models import Decision, Suggestion
from psaltery.contacts.resemble import SHOWN, Contact, Firm, domain_of
from psaltery.desk.models import Company
from psaltery.desk.models import Contact as Person
from psaltery.kit.text import comparable_name
from psaltery.ledger.models import Customer
from psaltery.mapping.contacts import reference
from psaltery.mapping.models import ContactLink

# Below, names have too little in common to be worth a look.
_THRESHOLD = "0.4"
_SIMILAR = """
    SELECT wanted.id, near.id
    FROM unnest(%s::text[], %s::text[]) AS wanted(id, key)
    CROSS JOIN LATERAL (
        SELECT id FROM paired_names
        WHERE key %% wanted.key ORDER BY similarity(key, wanted.key) DESC LIMIT %s
    ) AS near
"""


def is_read(organisation: Organisation) -> bool:
    """Whether contacts and companies have been read to their end: what is missing misleads."""
    whole = Feed.objects.filter(full_pass_at__isnull=False)
    return (
        has_read(organisation, "contacts")
        and whole.filter(name="companies", organisation__chosen=True).exists()
    )


def has_read(organisation: Organisation, feed: str) -> bool:
    """Whether a feed of an organisation was read to its end once."""
    rows = Feed.objects.filter(organisation=organisation, name=feed)
    return rows.filter(full_pass_at__isnull=False).exists()


def open_customers(organisation: Organisation) -> QuerySet[Customer]:
    """Active contacts flagged as customers that no company is linked to."""
    linked = ContactLink.objects.filter(organisation=organisation)
    rows = Customer.objects.filter(
        organisation=organisation, is_customer=True, state="active", merged_into=""
    )
    return rows.exclude(external_id__in=linked.values("contact_external_id"))


def contacts(organisation: Organisation) -> list[Contact]:
    """The contacts that wait for a company; those set aside are left out."""
    # A person's answer is not asked for a second time.
    aside = Suggestion.objects.filter(organisation=organisation, state=Suggestion.State.ASIDE)
    rows = open_customers(organisation).exclude(external_id__in=aside.values("contact_external_id"))
    return [
        Contact(
            id=row.external_id, name=row.name, key=row.name_key, email=row.email,
            tax_number=row.tax_number, account_number=row.account_number,
            contact_number=row.contact_number,
        )
        for row in rows.order_by("name", "pk")
    ]  # fmt: skip


def firms(organisation: Organisation) -> list[Firm]:
    """The companies without a contact in this organisation. Two queries."""
    linked = ContactLink.objects.filter(organisation=organisation)
    rows = Company.objects.filter(deleted=False, is_vendor=False)
    domains = _domains_of_people()
    return [
        Firm(
            id=row.pk,
            name=row.name,
            key=comparable_name(row.name),
            numbers=_numbers(row),
            tax_number=row.tax_number,
            domains=frozenset(
                {domain_of(row.email), domain_of(row.website)} - {""}
                | domains[row.connection_id, row.external_id]
            ),
        )
        for row in rows.exclude(pk__in=linked.values("company"))
    ]


def _numbers(row: Company) -> frozenset[str]:
    known = (reference(row.external_id), row.account_number, row.identifier)
    return frozenset(number.casefold() for number in known if number)


def _domains_of_people() -> dict[tuple[int, str], set[str]]:
    """The domains of the people of each company."""
    found: dict[tuple[int, str], set[str]] = defaultdict(set)
    people = Person.objects.filter(active=True).exclude(email="")
    for connection_id, company, email in people.values_list(
        "connection_id", "company_external_id", "email"
    ):
        if domain := domain_of(email):
            found[connection_id, company].add(domain)
    return found


def alike(wanted: Iterable[Contact], known: Iterable[Firm]) -> dict[str, set[int]]:
    """Companies of a similar name, by contact. Must run inside a transaction.

    A table of its own, because what is compared are names without their legal forms.
    """
    named = [(one.id, one.key) for one in wanted if one.key]
    pairs = [(firm.id, firm.key) for firm in known if firm.key]
    found: dict[str, set[int]] = defaultdict(set)
    if not named or not pairs:
        return found
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE paired_names (id bigint, key text) ON COMMIT DROP")
        cursor.execute(
            "INSERT INTO paired_names SELECT * FROM unnest(%s::bigint[], %s::text[])",
            [list(column) for column in zip(*pairs, strict=True)],
        )
        # After the rows, and analysed: else the planner compares each name with all others.
        cursor.execute("CREATE INDEX ON paired_names USING gin (key gin_trgm_ops)")
        cursor.execute("ANALYZE paired_names")
        # LOCAL: what runs on this connection later has the usual threshold again.
        cursor.execute("SET LOCAL pg_trgm.similarity_threshold = " + _THRESHOLD)
        ids, keys = (list(column) for column in zip(*named, strict=True))
        cursor.execute(_SIMILAR, [ids, keys, SHOWN])
        for contact, firm in cursor.fetchall():
            found[contact].add(firm)
    return found


def taken_apart(organisation: Organisation) -> frozenset[tuple[str, int]]:
    """Pairs that a person has undone or split: never sure again."""
    rows = Decision.objects.filter(organisation=organisation, company__isnull=False)
    undone = rows.filter(action=Decision.Action.LINKED, undone_at__isnull=False)
    split = rows.filter(action=Decision.Action.SPLIT, undone_at__isnull=True)
    pairs = (undone | split).values_list("contact_external_id", "company_id")
    return frozenset((contact, company) for contact, company in pairs if company is not None)
