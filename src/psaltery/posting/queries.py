"""Reads for the pages and commands of documents: a fixed number of queries each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.ledger.models import (
    BillingCreditMemo,
    BillingInvoice,
    BillingInvoiceLine,
    BillingPayment,
    LedgerAccount,
    LedgerTaxRate,
    LedgerTrackingOption,
)
from psaltery.mapping.routing import FIELDS
from psaltery.posting.draft import build, explain_line
from psaltery.posting.models import Link, Posting
from psaltery.posting.plan import gather, read_document
from psaltery.posting.sides import BooksLine, Names, Pair, drafted, pairs
from psaltery.records.drafts import BooksKind, Draft
from psaltery.records.psa import DocumentLine
from psaltery.review.models import Card

# Counting further takes longer than the page; the figure then says "and more".
COUNT_CAP = 100_000
MONEY_CAP = 20_000
# The PSA's own types are read off its newest documents.
TYPES_FROM = 5_000

_ON_THE_WAY = (Posting.State.WAITING, Posting.State.POSTING, Posting.State.UNCERTAIN)
_STOPPED = (Posting.State.HELD, Posting.State.FAILED)
# What the figures and the filter count as one.
STATES_TOGETHER = {
    "moving": _ON_THE_WAY,
    "stopped": _STOPPED,
    "open": (*_ON_THE_WAY, *_STOPPED),
}
# Not while it is being sent: what is on its way would be shown as still to be decided.
_PROPOSED = (Posting.State.WAITING, Posting.State.HELD, Posting.State.FAILED)


def documents() -> QuerySet[Document]:
    """All documents with where they stand, without their lines."""
    # Of the rows that are shown, and not of all those that are sorted first.
    standing = Posting.objects.select_related("organisation").defer("trace")
    return Document.objects.defer("lines").prefetch_related(Prefetch("posting", standing))


def state_of(document: Document) -> str:
    """Where a document stands; one that was just read waits."""
    posting = getattr(document, "posting", None)
    return str(posting.state) if posting else str(Posting.State.WAITING)


def organisation_of(document: Document) -> Organisation | None:
    """The books that it goes to, None while no rule says so."""
    posting = getattr(document, "posting", None)
    return posting.organisation if posting else None


def books_organisations() -> list[tuple[str, str]]:
    """The organisations that documents can go to, as choices."""
    kinds = [one.kind for one in registry.manifests() if one.role == Role.BOOKS]
    rows = Organisation.objects.filter(connection__kind__in=kinds, chosen=True)
    return [(str(pk), name) for pk, name in rows.order_by("name").values_list("pk", "name")]


def types() -> list[tuple[str, str]]:
    """The PSA's own types of documents, as choices."""
    newest = Document.objects.order_by("-pk").values("type")[:TYPES_FROM]
    found = {row["type"] for row in newest}
    return [(name, name) for name in sorted(found) if name]


@dataclass(frozen=True)
class Figures:
    """How many documents stand where; `more` when there are too many to count."""

    in_step: int
    on_the_way: int
    stopped: int
    skipped: int
    stopped_money: list[tuple[str, Decimal]]


def figures(organisation: Organisation | None = None) -> Figures:
    """The figures of all documents or of one organisation's: five queries, each bounded."""
    rows = Posting.objects.all()
    if organisation is not None:
        rows = rows.filter(organisation=organisation)
    return Figures(
        in_step=_count(rows, [Posting.State.IN_STEP]),
        on_the_way=_count(rows, _ON_THE_WAY),
        stopped=_count(rows, _STOPPED),
        skipped=_count(rows, [Posting.State.SKIPPED]),
        stopped_money=_money_of(rows, _STOPPED),
    )


def _count(rows: QuerySet[Posting], states: Iterable[str]) -> int:
    # PostgreSQL counts by looking at every row; so it is told where to stop.
    return rows.filter(state__in=list(states)).values("pk")[: COUNT_CAP + 1].count()


def _money_of(rows: QuerySet[Posting], states: Iterable[str]) -> list[tuple[str, Decimal]]:
    stopped = rows.filter(state__in=list(states)).values("pk")[:MONEY_CAP]
    sums = Document.objects.filter(pk__in=stopped).values("currency").annotate(sum=Sum("total"))
    return [(row["currency"], row["sum"]) for row in sums.order_by("currency")]


def count_by_state() -> dict[str, int]:
    """State → documents in it, from the index alone."""
    rows = Posting.objects.values("state").annotate(count=Count("*")).order_by()
    return {row["state"]: row["count"] for row in rows}


def money_by_currency(rows: QuerySet[Document]) -> list[tuple[str, Decimal]]:
    """What these documents come to, a sum for each currency."""
    sums = rows.order_by().values("currency").annotate(sum=Sum("total"))
    return [(row["currency"], row["sum"]) for row in sums.order_by("currency")]


# One document.


@dataclass(frozen=True)
class Books:
    """The books' side of a document, or what it is going to be (`proposed`)."""

    organisation: Organisation
    number: str
    customer: str
    status: str
    subtotal: Decimal
    tax: Decimal
    total: Decimal
    due: Decimal | None
    issued_on: date | None
    due_on: date | None
    lines: list[BooksLine]
    proposed: bool = False


@dataclass(frozen=True)
class Sides:
    """Both sides of a document."""

    pairs: list[Pair]
    books: Books | None
    trace: dict[str, Any] = field(default_factory=dict)

    @property
    def route(self) -> str:
        """The rule that brought it to its organisation, in words."""
        rule = self.trace.get("route") or {}
        field_, value = rule.get("field", ""), rule.get("value", "")
        label = FIELDS[field_][0] if field_ in FIELDS else field_
        return f"{label} “{value}”" if value else label

    def differences(self, document: Document) -> dict[str, Decimal]:
        """What the books have more than the PSA; nothing when nothing is in the books."""
        if self.books is None:
            return {}
        return {
            "tax": self.books.tax - document.tax,
            "total": self.books.total - document.total,
        }


def sides(document: Document) -> Sides:
    """Both sides of a document, with why each value was chosen."""
    posting = getattr(document, "posting", None)
    link = Link.objects.select_related("organisation").filter(document=document).first()
    psa = read_document(document).lines
    if link is not None:
        return _linked(psa, link, posting.trace if posting else {})
    if posting is None or posting.organisation is None or posting.state not in _PROPOSED:
        return Sides(pairs(psa, [], [], Names()), None, posting.trace if posting else {})
    return _proposed(posting, posting.organisation)


def _linked(psa: Sequence[DocumentLine], link: Link, trace: dict[str, Any]) -> Sides:
    names = _names(link.organisation)
    row = _counterpart(link)
    # Until the books have been read again, what was sent stands for what they have.
    lines = _mirrored(link, names) or _sent(link, names)
    books = Books(
        organisation=link.organisation,
        number=row.number if row else link.number,
        customer=row.customer_name if row else str(trace.get("contact", "")),
        status=row.status if row else link.status,
        subtotal=row.subtotal if row else link.total - link.tax,
        tax=row.tax if row else link.tax,
        total=row.total if row else link.total,
        due=_open(row) if row else None,
        issued_on=row.issued_on if row else None,
        due_on=row.due_on if isinstance(row, BillingInvoice) else None,
        lines=lines,
    )
    return Sides(pairs(psa, lines, trace.get("lines", []), names), books, trace)


def _counterpart(link: Link) -> BillingInvoice | BillingCreditMemo | None:
    """The document of the books as they were last read."""
    model = BillingCreditMemo if link.books_kind == BooksKind.CREDIT_NOTE else BillingInvoice
    found: BillingInvoice | BillingCreditMemo | None = model._default_manager.filter(
        organisation=link.organisation, external_id=link.books_id
    ).first()
    return found


def _open(row: BillingInvoice | BillingCreditMemo) -> Decimal:
    return row.amount_due if isinstance(row, BillingInvoice) else row.remaining


def _mirrored(link: Link, names: Names) -> list[BooksLine]:
    rows = BillingInvoiceLine.objects.filter(
        organisation=link.organisation, invoice_external_id=link.books_id
    ).order_by("position")
    return [
        BooksLine(
            description=row.description,
            quantity=row.quantity,
            unit_amount=row.unit_amount,
            line_amount=row.line_amount,
            tax_amount=row.tax_amount,
            account=names.of("account", row.account_code),
            tax=names.of("tax", row.tax_type),
            tracking=tuple(row.tracking),
        )
        for row in rows
    ]


def _sent(link: Link, names: Names) -> list[BooksLine]:
    if not link.draft:
        return []
    draft = msgspec.convert(link.draft, Draft, strict=False)
    return [drafted(line, names) for line in draft.lines]


def _proposed(posting: Posting, organisation: Organisation) -> Sides:
    """What the books would get if it were decided now; nothing is written."""
    # The same code as the decision's, so that the preview can't promise something else.
    (planned,) = gather(organisation, [posting], lambda row: "")
    situation, names = planned.situation, _names(organisation)
    document = situation.document
    mappings = situation.book.mappings
    traced = [explain_line(mappings, document, line) for line in document.lines]
    trace = {**posting.trace, "lines": traced}
    shaped = build(situation) if document.lines else ()
    if not isinstance(shaped, Draft):
        return Sides(pairs(document.lines, [], traced, names), None, trace)
    lines = [drafted(line, names) for line in shaped.lines]
    books = Books(
        organisation=organisation,
        number=shaped.number,
        customer=situation.contact.name if situation.contact else "",
        status=shaped.status,
        subtotal=shaped.subtotal,
        tax=shaped.tax,
        total=shaped.total,
        due=None,
        issued_on=shaped.issued_on,
        due_on=shaped.due_on,
        lines=lines,
        proposed=True,
    )
    return Sides(pairs(document.lines, lines, traced, names), books, trace)


def _names(organisation: Organisation) -> Names:
    accounts = LedgerAccount.objects.filter(organisation=organisation)
    rates = LedgerTaxRate.objects.filter(organisation=organisation)
    options = LedgerTrackingOption.objects.filter(organisation=organisation)
    return Names(
        accounts={one.code: str(one) for one in accounts},
        taxes={one.tax_type: str(one) for one in rates},
        options={one.external_id: str(one) for one in options},
    )


def touches(link: Link) -> QuerySet[BillingPayment]:
    """Money and credit that the books applied to a document, oldest first.

    Of a credit note, what was made of its credit: `used_on` is the number of the invoice, "" for
    a refund, which is no payment of anybody's.
    """
    rows = BillingPayment.objects.filter(organisation=link.organisation)
    if link.books_kind == BooksKind.CREDIT_NOTE:
        rows = rows.filter(touch="credit_note", touch_external_id=link.books_id)
    else:
        rows = rows.filter(invoice_external_id=link.books_id)
    invoice = BillingInvoice.objects.filter(
        organisation=OuterRef("organisation"), external_id=OuterRef("invoice_external_id")
    )
    numbered = rows.annotate(used_on=Subquery(invoice.values("number")[:1]))
    return numbered.order_by("paid_on", "pk")


def rounded() -> QuerySet[Link]:
    """Links whose document needed a rounding line, or another tax, when it was written last."""
    adjusted = Link.objects.filter(~Q(rounding=0) | ~Q(tax_rounding=0))
    return adjusted.select_related("document", "organisation")


def rounding_sums(rows: QuerySet[Link]) -> list[tuple[str, int, Decimal, Decimal]]:
    """Currency, documents, what was added by lines, and what was added to taxes."""
    found = (
        rows.order_by()
        .values("document__currency")
        .annotate(count=Count("pk"), lines=Sum("rounding"), taxes=Sum("tax_rounding"))
        .order_by("document__currency")
    )
    return list(found.values_list("document__currency", "count", "lines", "taxes"))


def cards(document: Document) -> QuerySet[Card]:
    """The open exceptions that hold a document."""
    live = Card.objects.filter(blocked__document=document).exclude(state=Card.State.RESOLVED)
    return live.select_related("organisation", "owner").order_by("pk")
