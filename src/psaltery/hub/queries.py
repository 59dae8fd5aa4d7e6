"""Reads of the customer pages: each in a fixed number of queries, whatever the tables hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import CharField, Count, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat

from psaltery.desk.models import Addition, Agreement, Contact, Document, Ticket
from psaltery.ledger.models import BillingInvoice, BillingPayment
from psaltery.ledger.models import Customer as BooksContact
from psaltery.portfolio import recurring
from psaltery.portfolio.gather import BUCKETS
from psaltery.portfolio.models import Customer, CustomerContact, CustomerMoney
from psaltery.portfolio.service import money_rows
from psaltery.review.models import Blocked, Card
from psaltery.signals.models import Alert

SHOWN = 10
LIVE = (Alert.State.OPEN, Alert.State.ACKNOWLEDGED, Alert.State.SNOOZED)
# Under the bars of a chart, whose title says that these are days: longer ones would be left out.
BAR_LABELS = ("Not due", "1–30", "31–60", "61–90", "Over 90")
BUCKET_LABELS = ("Not due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")


def customers() -> QuerySet[Customer]:
    """All customers, with the number of their open alerts and what they owe by currency."""
    # Subqueries, because joins of two one-to-many tables would count each row several times.
    open_alerts = (
        Alert.objects.filter(customer=OuterRef("pk"), state=Alert.State.OPEN)
        .order_by()
        .values("customer")
        .annotate(n=Count("pk"))
    )
    return Customer.objects.select_related("company").annotate(
        open_alerts=Coalesce(Subquery(open_alerts.values("n")), 0),
        owed=_by_currency(_OWED),
        promised=_by_currency(F("contracted_mrr")),
    )


_OWED = F("not_due") + F("days_30") + F("days_60") + F("days_90") + F("older")


def _by_currency(amount: Any) -> ArraySubquery:
    mine = CustomerMoney.objects.filter(customer=OuterRef("pk")).order_by("currency")
    # As text: amount and currency travel together in one element of the array.
    text = Concat(Cast(amount, CharField()), Value(" "), "currency")
    return ArraySubquery(mine.annotate(text=text).values("text"))


def sums_of(texts: list[str]) -> list[tuple[Decimal, str]]:
    """What `_by_currency` gave: amount and currency, the largest first, without zeros."""
    pairs = [text.partition(" ") for text in texts]
    found = [(Decimal(amount), currency) for amount, _, currency in pairs]
    return sorted((pair for pair in found if pair[0]), reverse=True)


@dataclass(frozen=True)
class Money:
    """A customer's money in one currency, as it is now."""

    currency: str
    row: dict[str, Decimal]

    @property
    def outstanding(self) -> Decimal:
        return sum((self.row[name] for name in BUCKETS), Decimal(0))

    @property
    def overdue(self) -> Decimal:
        return self.outstanding - self.row["not_due"]

    @property
    def gap(self) -> Decimal:
        """Contracted less invoiced, its sign kept."""
        return self.row["contracted_mrr"] - self.row["invoiced_mrr"]

    @property
    def buckets(self) -> list[tuple[str, Decimal]]:
        return [(label, self.row[name]) for label, name in zip(BUCKET_LABELS, BUCKETS, strict=True)]


def money_of(customer: Customer, today: date) -> list[Money]:
    """A customer's money now, the currency in which most is owed first. Four queries."""
    # Worked out now, not read from the list's figures: those are some minutes old.
    rows = money_rows(today, customer.pk)
    found = [Money(currency, row) for (_, currency), row in rows.items()]
    return sorted(found, key=lambda one: (-one.outstanding, -one.row["contracted_mrr"]))


@dataclass(frozen=True)
class Link:
    """A customer's contact in one organisation's books."""

    organisation: Any
    external_id: str
    contact: BooksContact | None


def links_of(customer: Customer) -> list[Link]:
    """The contacts of the books that are this customer. Two queries."""
    rows = list(
        CustomerContact.objects.filter(customer=customer).select_related("organisation__connection")
    )
    found = {
        (row.organisation_id, row.external_id): row
        for row in BooksContact.objects.filter(
            # No rows means no condition, and no condition would mean every contact there is.
            Q(*(_is(row) for row in rows), _connector=Q.OR) if rows else Q(pk__in=[])
        )
    }
    return [
        Link(row.organisation, row.external_id, found.get((row.organisation_id, row.external_id)))
        for row in rows
    ]


def _is(row: CustomerContact) -> Q:
    return Q(organisation=row.organisation_id, external_id=row.external_id)


def of_contacts(links: list[Link]) -> Q:
    """Documents of the books that belong to these contacts."""
    each = (Q(organisation=one.organisation, customer_external_id=one.external_id) for one in links)
    # Ids are unique within one organisation only, so both must fit.
    return Q(*each, _connector=Q.OR) if links else Q(pk__in=[])


def invoices(links: list[Link]) -> QuerySet[BillingInvoice]:
    """What the customer was invoiced, the newest first."""
    # The books have bills in the same list (ACCPAY); what the customer sold us is no debt of
    # theirs.
    # https://developer.xero.com/documentation/api/accounting/invoices
    rows = BillingInvoice.objects.filter(of_contacts(links), kind="receivable")
    return rows.select_related("organisation").order_by(F("issued_on").desc(nulls_last=True), "-pk")


def payments(links: list[Link]) -> QuerySet[BillingPayment]:
    """What was paid or credited on the customer's invoices, the newest first."""
    mine = BillingInvoice.objects.filter(of_contacts(links), kind="receivable")
    organisations = {link.organisation.pk for link in links}
    # By organisation first: without it the ids of invoices would be looked up in all books.
    rows = BillingPayment.objects.filter(
        organisation__in=organisations,
        state="active",
        invoice_external_id__in=mine.values("external_id"),
    ).annotate(
        invoice_number=Subquery(_paid().values("number")[:1]),
        invoice_pk=Subquery(_paid().values("pk")[:1]),
    )
    return rows.select_related("organisation").order_by(F("paid_on").desc(nulls_last=True), "-pk")


def _paid() -> QuerySet[BillingInvoice]:
    return BillingInvoice.objects.filter(
        organisation=OuterRef("organisation"), external_id=OuterRef("invoice_external_id")
    )


def in_the_desk(customer: Customer, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Of records of the PSA, those of this customer's company; none where it has no company."""
    # A customer of the books alone must not get the records of companies without an id.
    if customer.company is None:
        return rows.none()
    return rows.filter(
        connection=customer.company.connection_id,
        company_external_id=customer.company.external_id,
    )


@dataclass(frozen=True)
class Contracted:
    """An agreement, its additions, and what it is worth a month."""

    agreement: Agreement
    additions: list[Addition]
    monthly: Decimal
    currency: str
    active: bool


def agreements(customer: Customer, today: date) -> list[Contracted]:
    """The agreements of a customer with their additions, those that run first. Two queries."""
    rows = list(in_the_desk(customer, Agreement.objects.order_by("name")))
    additions: dict[str, list[Addition]] = defaultdict(list)
    if rows:
        wanted = Addition.objects.filter(
            connection=rows[0].connection_id,
            agreement_external_id__in=[row.external_id for row in rows],
        )
        for one in wanted.order_by("product", "pk"):
            additions[one.agreement_external_id].append(one)
    found = [_contracted(customer, row, additions[row.external_id], today) for row in rows]
    return sorted(found, key=lambda one: not one.active)


def _contracted(
    customer: Customer, row: Agreement, additions: list[Addition], today: date
) -> Contracted:
    # An addition that ended, or is not charged, is no revenue though it stands in the agreement.
    running = [one for one in additions if one.billable and _runs(one, today)]
    amount = row.bill_amount + sum((one.quantity * one.unit_price for one in running), Decimal(0))
    # An agreement without a currency is billed in its company's.
    currency = row.currency or (customer.company.currency if customer.company else "")
    contract = recurring.Contract(
        id=row.external_id,
        name=row.name,
        currency=currency,
        amount=amount,
        cycle=row.billing_cycle,
        state=row.state,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
    )
    active = recurring.is_active(contract, today)
    return Contracted(row, additions, recurring.monthly(contract), currency, active)


def _runs(one: Addition, today: date) -> bool:
    # Days that are missing set no limit.
    return (one.effective_on or today) <= today <= (one.cancelled_on or today)


def tickets(customer: Customer) -> QuerySet[Ticket]:
    """The customer's tickets, the newest first."""
    rows: QuerySet[Ticket] = in_the_desk(customer, Ticket.objects.all())
    return rows.order_by(F("opened_at").desc(nulls_last=True), "-pk")


def people(customer: Customer) -> QuerySet[Contact]:
    """Whom to talk to: active contacts, the one for bills first."""
    rows: QuerySet[Contact] = in_the_desk(customer, Contact.objects.filter(active=True))
    return rows.order_by("-is_billing", "-is_default", "last_name", "pk")


def cards(customer: Customer) -> QuerySet[Card]:
    """Open exceptions that hold the customer's documents."""
    documents = in_the_desk(customer, Document.objects.all()).values("pk")
    held = Blocked.objects.filter(document__in=documents).values("card")
    return Card.objects.filter(pk__in=held, state=Card.State.OPEN).order_by("-opened_at", "pk")


def alerts(customer: Customer) -> QuerySet[Alert]:
    """Alerts about the customer that are not resolved, the gravest first."""
    rows = Alert.objects.filter(customer=customer, state__in=LIVE)
    return rows.defer("evidence").order_by("-severity", "-pk")
