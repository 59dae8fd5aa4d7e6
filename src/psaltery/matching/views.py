"""Pages of the tie-out: organisations, their customers, the documents that make a difference."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write
from psaltery.audit.filters import Exactly
from psaltery.audit.service import record_change
from psaltery.ledger import queries as ledger_queries
from psaltery.matching.models import PaymentTaken, TieOut, TieOutCustomer, TieOutDocument
from psaltery.matching.tieout import queries
from psaltery.matching.tieout.causes import LABELS, Cause
from psaltery.matching.tieout.service import sentence
from psaltery.sync.tieout import ask
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage, Toggle

CRUMBS = [("Tie-out", "/tie-out/")]
TONES = {"ties": "good", "unexplained": "bad", "not_checked": "warn"}
WORDS = {"ties": "Ties out", "unexplained": "Unexplained difference", "not_checked": "Not checked"}
CAUSES = [(str(cause), label) for cause, label in LABELS.items()]


@may_view
def index(request: HttpRequest) -> HttpResponse:
    """Each set of books: what both sides have open, and whether every cent is explained."""
    parts = [_part(row) for row in queries.newest()]
    values = {"title": "Tie-out", "parts": parts, "watching": _is_asked(request)}
    if request.headers.get("HX-Target") == "tieout":
        return render(request, "matching/organisations.html", values)
    return render(request, "matching/index.html", values)


def _is_asked(request: HttpRequest) -> bool:
    # The page renews itself only after somebody asked for something.
    return request.GET.get("asked") == "1"


def _part(row: TieOut) -> dict[str, Any]:
    address = reverse("matching:customers", args=[row.pk])
    return {
        "row": row,
        "name": queries.name_of(row),
        "badge": verdict(row),
        "sentence": sentence(row),
        "address": address,
        "sums": [_sum(entry) for entry in row.sums],
        "causes": [_cause(row, entry) for entry in queries.causes(row)],
    }


def verdict(row: TieOut) -> SafeString:
    """The state as a badge."""
    return badge(WORDS[row.state], TONES[row.state])


def _sum(entry: dict[str, Any]) -> dict[str, Any]:
    names = ("psa", "books", "difference", "unexplained")
    return {**entry, **{name: Decimal(entry[name]) for name in names}}


def _cause(row: TieOut, entry: dict[str, Any]) -> dict[str, Any]:
    query = urlencode({"cause": entry["cause"], "currency": entry["currency"]})
    address = f"{reverse('matching:documents', args=[row.pk])}?{query}"
    return {**entry, "address": address, "bad": entry["cause"] == Cause.UNEXPLAINED}


@require_POST
@may_write
def run(request: HttpRequest) -> HttpResponse:
    """Have everything compared now."""
    count = ask()
    record_change(f"A tie-out of {count} was asked for.", operation="tieout.ask")
    messages.success(request, "The tie-out is on its way; this page shows it in a moment.")
    return redirect(f"{reverse('matching:index')}?asked=1")


@may_view
def customers(request: HttpRequest, number: int) -> HttpResponseBase:
    """The customers of one tie-out."""
    row = _row(number)
    page = ListPage(
        queries.customers(row),
        title=queries.name_of(row),
        crumbs=CRUMBS,
        noun="customers",
        columns=[
            Column("name", "Customer", link=_documents_of, sort="name"),
            Column("psa", "PSA", kind="money", currency="currency", sort="psa"),
            Column("books", "Books", kind="money", currency="currency", sort="books"),
            Column("difference", "Difference", kind="money", currency="currency",
                   sort="difference"),
            Column("unexplained", "Unexplained", kind="money", currency="currency",
                   sort="unexplained"),
            Column("documents", "Documents", kind="number", sort="documents", phone=False),
        ],
        search=["name"],
        filters=[
            Toggle("differing", "Only differences", queries.differing),
            Choice("currency", "Currency", _currencies(row)),
        ],
        order="name",
        above="matching/customers_above.html",
        empty=Empty("Nothing is open", "Neither side has a receivable here.", icon="checks"),
        extra={"part": _part(row), "history": _history(row)},
    )  # fmt: skip
    return page.respond(request)


def _row(number: int) -> TieOut:
    return get_object_or_404(TieOut.objects.select_related("organisation"), pk=number)


def _currencies(row: TieOut) -> list[tuple[str, str]]:
    return [(entry["currency"], entry["currency"]) for entry in row.sums]


def _documents_of(row: TieOutCustomer) -> str:
    address = reverse("matching:documents", args=[row.tieout_id])
    return f"{address}?{urlencode({'customer': row.name, 'currency': row.currency})}"


def _history(row: TieOut) -> list[dict[str, Any]]:
    return [{"row": one, "badge": verdict(one)} for one in queries.history(row)]


@may_view
def documents(request: HttpRequest, number: int) -> HttpResponseBase:
    """The documents that make a difference, each with its cause."""
    row = _row(number)
    name = queries.name_of(row)
    page = ListPage(
        queries.documents(row),
        title="Why it differs",
        crumbs=[*CRUMBS, (name, reverse("matching:customers", args=[row.pk]))],
        noun="documents",
        columns=[
            Column("number", "Document", link=_document_address, detail=_where, sort="number"),
            Column("name", "Customer", sort="name"),
            Column("cause", "Cause", html=_cause_badge, value=_cause_label),
            Column("sentence", "Why"),
            Column("card_id", "Exception", link=_card_address, value=_card_text, phone=False),
            Column("amount", "Amount", kind="money", currency="currency", sort="amount"),
        ],
        search=["number", "name"],
        filters=[
            Choice("cause", "Cause", CAUSES),
            Choice("currency", "Currency", _currencies(row)),
            Exactly("customer", "Customer", _by_name),
        ],
        order="name",
        above="matching/documents_above.html",
        empty=Empty("No difference", "Both sides have the same open amounts.", icon="checks"),
        extra={"part": _part(row)},
    )
    return page.respond(request)


def _by_name(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(name=text)


def _document_address(row: TieOutDocument) -> str:
    if row.document_id:
        return reverse("posting:document", args=[row.document_id])
    key = getattr(row, "invoice_pk", None)
    return reverse("ledger:invoice", args=[key]) if key else ""


def _where(row: TieOutDocument) -> str:
    if row.document_id and row.books_id:
        return "in both"
    return "PSA" if row.document_id else f"books: {row.books_kind.replace('_', ' ')}"


def _cause_label(row: TieOutDocument) -> str:
    return LABELS[Cause(row.cause)]


def _cause_badge(row: TieOutDocument) -> SafeString:
    return badge(_cause_label(row), "bad" if row.cause == Cause.UNEXPLAINED else "plain")


def _card_address(row: TieOutDocument) -> str:
    return reverse("review:card", args=[row.card_id]) if row.card_id else ""


def _card_text(row: TieOutDocument) -> str:
    return "Open" if row.card_id else ""


# Payments that were entered in the PSA.

STANDS = [(str(value), str(label).capitalize()) for value, label in PaymentTaken.State.choices]
STAND_TONES = {"in_step": "good", "held": "bad", "uncertain": "warn", "posting": "info"}


@may_view
def taken(request: HttpRequest) -> HttpResponseBase:
    """Payments that people entered in the PSA, and where each stands in the books."""
    return ListPage(
        PaymentTaken.objects.select_related("document", "organisation"),
        title="Payments of the PSA",
        noun="payments",
        singular="payment",
        columns=[
            Column("document.number", "Document", link=_document_of, detail="why"),
            Column("document.company_name", "Customer", phone=False),
            Column("organisation.name", "Organisation", phone=False),
            Column("state", "State", html=_stand, value=lambda row: row.state),
            Column("method", "Method", phone=False),
            Column("paid_on", "Date", kind="day", sort="paid_on"),
            Column("amount", "Amount", kind="money", currency="document.currency"),
        ],
        search=["document__number", "document__company_name"],
        filters=[
            Choice("organisation", "Organisation", ledger_queries.organisations),
            Choice("state", "State", STANDS),
            DateRange("date", "Date", field="paid_on"),
        ],
        order="-paid_on",
        empty=Empty(
            "No payment was entered in the PSA",
            "Switch them on in an organisation's settings. Those that were entered on its linked "
            "invoices then appear here and in the books; what Psaltery writes to the PSA does not.",
            icon="cash",
        ),
    ).respond(request)


def _document_of(row: PaymentTaken) -> str:
    return reverse("posting:document", args=[row.document_id])


def _stand(row: PaymentTaken) -> SafeString:
    return badge(row.get_state_display().capitalize(), STAND_TONES.get(row.state, "plain"))
