"""Pages of the ledger: what the books say, whoever wrote it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from psaltery.accounts.access import may_view
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.audit.filters import Exactly
from psaltery.connections.opening import unchecked_adapter
from psaltery.ledger import queries
from psaltery.ledger.filters import OfCustomer
from psaltery.ledger.models import BillingInvoice, BillingPayment, Customer, Mirrored
from psaltery.posting.models import Link
from psaltery.web.format import NOTHING, amount_text, badge, count_text, day
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage, Toggle
from psaltery.web.routes import address_of
from psaltery.web.searching import searched

Rows = QuerySet[Any]
STATUSES = [
    ("draft", "Draft"),
    ("submitted", "Awaiting approval"),
    ("authorised", "Authorised"),
    ("paid", "Paid"),
    ("voided", "Voided"),
    ("deleted", "Deleted"),
]
TONES = {"authorised": "info", "paid": "good", "draft": "warn", "submitted": "warn"}
DUE = [("open", "Open"), ("overdue", "Overdue"), ("week", "Due within a week")]
TOUCHES = [
    ("payment", "Payment"),
    ("credit_note", "Credit note"),
    ("overpayment", "Overpayment"),
    ("prepayment", "Prepayment"),
]
CONTACT_STATES = [("active", "Active"), ("archived", "Archived")]
ORGANISATION = Choice("organisation", "Organisation", queries.organisations)


def _status(row: Any) -> SafeString:
    return badge(dict(STATUSES).get(row.status, row.status), TONES.get(row.status, "plain"))


def _empty(title: str, text: str, icon: str) -> Empty:
    return Empty(
        title, text, icon=icon, action="Connect your books", url=reverse("connections:index")
    )


@may_view
def customers(request: HttpRequest) -> HttpResponseBase:
    """Contacts of the books and what they owe."""
    return ListPage(
        queries.customers(),
        title="Customers",
        noun="customers",
        columns=[
            Column("name", "Name", link=_invoices_of, detail="email", sort="name"),
            Column("organisation.name", "Organisation"),
            Column("account_number", "Account number", phone=False),
            Column("state", "State", html=_contact_state, value=lambda row: row.state, phone=False),
            Column("owes", "Owes", kind="money", currency="organisation.base_currency"),
            Column("updated_at", "Changed", kind="when", phone=False),
        ],
        search=["name"],
        filters=[
            ORGANISATION,
            Choice("state", "State", CONTACT_STATES),
            Choice("role", "Role", [("customer", "Customers"), ("supplier", "Suppliers")],
                   narrow=_by_role),
        ],
        order="name",
        empty=_empty("No customers yet", "The contacts of your books appear here.", "users"),
    ).respond(request)  # fmt: skip


def _invoices_of(row: Customer) -> str:
    return f"{reverse('ledger:invoices')}?{urlencode({'customer': row.pk})}"


def _contact_state(row: Customer) -> SafeString:
    return badge(row.state.replace("_", " ").capitalize(), "good" if row.state == "active" else "")


def _by_role(rows: Rows, value: str) -> Rows:
    return rows.filter(is_customer=True) if value == "customer" else rows.filter(is_supplier=True)


@may_view
def invoices(request: HttpRequest) -> HttpResponseBase:
    """Invoices of the books."""
    return _invoices().respond(request)


def _invoices() -> ListPage:
    return ListPage(
        queries.invoices(),
        title="Invoices",
        noun="invoices",
        columns=[
            Column("number", "Number", link=_invoice_address, value=_number),
            Column("customer_name", "Customer", detail="reference"),
            Column("organisation.name", "Organisation", phone=False),
            Column("status", "Status", html=_status),
            Column("issued_on", "Date", kind="day", sort="issued_on"),
            Column("due_on", "Due", html=_due, phone=False),
            Column("total", "Total", kind="money", currency="currency"),
            Column("amount_due", "Open", kind="money", currency="currency"),
        ],
        search=["number", "customer_name"],
        filters=[
            ORGANISATION,
            Choice("status", "Status", STATUSES),
            Choice("due", "Due", DUE, anything="Open or not", narrow=_by_due),
            DateRange("date", "Date", field="issued_on"),
            OfCustomer(),
        ],
        order="-issued_on",
        above="ledger/totals_later.html",
        extra={"totals_url": reverse("ledger:totals", args=["invoices"])},
        empty=_empty("No invoices yet", "Invoices of your books appear here.", "file-invoice"),
    )


def _invoice_address(row: BillingInvoice) -> str:
    return reverse("ledger:invoice", args=[row.pk])


def _number(row: BillingInvoice) -> str:
    return row.number or "without number"


def _is_open(row: BillingInvoice) -> bool:
    # Drafts have an amount due too, but nobody owes it yet.
    return row.status == "authorised" and row.amount_due > 0


def _due(row: BillingInvoice) -> SafeString:
    if row.due_on is None:
        return NOTHING
    # The day where the person is, as the date beside it.
    late = (timezone.localdate() - row.due_on).days
    if late <= 0 or not _is_open(row):
        return day(row.due_on)
    words = "1 day late" if late == 1 else f"{late:,} days late"
    return format_html('{}<div class="cell-detail">{}</div>', day(row.due_on), words)


def _by_due(rows: Rows, value: str) -> Rows:
    rows, today = rows.filter(status="authorised", amount_due__gt=0), timezone.localdate()
    if value == "overdue":
        return rows.filter(due_on__lt=today)
    if value == "week":
        return rows.filter(due_on__gte=today, due_on__lte=today + timedelta(days=7))
    return rows


@may_view
def invoice(request: HttpRequest, number: int) -> HttpResponse:
    """One invoice: lines, what was paid on it, and the PSA's document that it is."""
    rows = BillingInvoice.objects.select_related("organisation__connection")
    row = get_object_or_404(rows, pk=number)
    # By ids: the PSA's number may differ where a person chose another one in the books.
    link = Link.objects.filter(organisation=row.organisation, books_id=row.external_id)
    document = link.select_related("document").first()
    values = {
        "title": row.number or "Invoice without number",
        "crumbs": [("Invoices", reverse("ledger:invoices"))],
        "invoice": row,
        "status": _status(row),
        "customer": queries.customer_of(row),
        "lines": queries.lines(row),
        "touches": [(touch, _touch(touch)) for touch in queries.touches(row)],
        "link": document,
        "document_url": _document_address(document),
        "books_url": _in_the_books(row, "invoice"),
        "rate": _rate(row),
    }
    return render(request, "ledger/invoice.html", values)


def _rate(row: BillingInvoice) -> str:
    """The rate of exchange, where one was needed."""
    # Of the base currency a rate tells nobody anything.
    foreign = row.currency != row.organisation.base_currency
    return queries.plain_number(row.rate) if foreign and row.rate else ""


def _document_address(link: Link | None) -> str:
    if link is None or not address_of("posting:index"):
        return ""
    return reverse("posting:document", args=[link.document_id])


def _in_the_books(row: Mirrored, kind: str) -> str:
    """Where the books show it; nothing when the connection no longer says where they are."""
    try:
        books = unchecked_adapter(row.organisation, Priority.INTERACTIVE)
    except Failure:
        return ""
    address: str = books.web_address(kind, row.external_id, row.organisation.short_code)
    return address


def _touch(row: BillingPayment) -> str:
    return dict(TOUCHES).get(row.touch, row.touch.replace("_", " ").capitalize())


@may_view
def payments(request: HttpRequest) -> HttpResponseBase:
    """Money and credit on invoices, one row a touch."""
    return _payments().respond(request)


def _payments() -> ListPage:
    return ListPage(
        queries.payments(),
        title="Payments",
        noun="payments",
        columns=[
            Column("paid_on", "Date", kind="day", sort="paid_on"),
            Column("invoice_number", "Invoice", link=_paid_invoice, detail="customer_name"),
            Column("touch", "Kind", value=_touch, detail="touch_number"),
            Column("organisation.name", "Organisation", phone=False),
            Column("reference", "Reference", phone=False),
            Column("reconciled", "Reconciled", kind="yes_no", phone=False),
            Column("state", "State", html=_touch_state),
            Column("amount", "Amount", kind="money", currency="currency"),
        ],
        search=["reference"],
        filters=[
            ORGANISATION,
            Choice("touch", "Kind", TOUCHES),
            Choice("state", "State", [("active", "Active"), ("deleted", "Removed")]),
            DateRange("date", "Date", field="paid_on"),
            Exactly("invoice", "Invoice or customer", _by_invoice),
        ],
        order="-paid_on",
        above="ledger/totals_later.html",
        extra={"totals_url": reverse("ledger:totals", args=["payments"])},
        empty=_empty("No payments yet", "What customers paid appears here.", "cash"),
    )


def _paid_invoice(row: Any) -> str:
    return reverse("ledger:invoice", args=[row.invoice_id]) if row.invoice_id else ""


def _touch_state(row: BillingPayment) -> SafeString:
    return badge("Active", "good") if row.state == "active" else badge("Removed")


def _by_invoice(rows: Rows, text: str) -> Rows:
    # A query within the query: the ids of a million invoices never come to Python.
    found = searched(queries.invoices().select_related(None), ["number", "customer_name"], text)
    return rows.filter(invoice_external_id__in=found.values("external_id"))


@may_view
def refunds(request: HttpRequest) -> HttpResponseBase:
    """What was paid back to customers."""
    return _refunds().respond(request)


def _refunds() -> ListPage:
    return ListPage(
        queries.refunds(),
        title="Refunds",
        noun="refunds",
        singular="refund",
        columns=[
            Column("paid_on", "Date", kind="day", sort="paid_on"),
            Column("customer_name", "Customer", detail="reference"),
            Column("touch", "Refund of", value=_touch, detail="credit_number"),
            Column("organisation.name", "Organisation", phone=False),
            Column("state", "State", html=_touch_state),
            Column("amount", "Amount", kind="money", currency="currency"),
        ],
        search=["reference"],
        filters=[
            ORGANISATION,
            Choice("touch", "Refund of", TOUCHES[1:]),
            Choice("state", "State", [("active", "Active"), ("deleted", "Removed")]),
            DateRange("date", "Date", field="paid_on"),
        ],
        order="-paid_on",
        above="ledger/totals_later.html",
        extra={"totals_url": reverse("ledger:totals", args=["refunds"])},
        empty=_empty(
            "Nothing was refunded",
            "What the books pay back for a credit note or an overpayment appears here, apart from "
            "what customers paid.",
            "receipt-refund",
        ),
    )


@may_view
def credit_notes(request: HttpRequest) -> HttpResponseBase:
    """Credit notes of the books."""
    return _credit_notes().respond(request)


def _credit_notes() -> ListPage:
    return ListPage(
        queries.credit_notes(),
        title="Credit notes",
        noun="credit notes",
        columns=[
            Column("number", "Number", value=_number),
            Column("customer_name", "Customer", detail="reference"),
            Column("organisation.name", "Organisation", phone=False),
            Column("status", "Status", html=_status),
            Column("issued_on", "Date", kind="day", sort="issued_on"),
            Column("total", "Total", kind="money", currency="currency"),
            Column("remaining", "Unused", kind="money", currency="currency"),
        ],
        search=["number", "customer_name"],
        filters=[
            ORGANISATION,
            Choice("status", "Status", STATUSES),
            DateRange("date", "Date", field="issued_on"),
            Toggle("unused", "Not used up", narrow=_not_used_up),
            OfCustomer(),
        ],
        order="-issued_on",
        above="ledger/totals_later.html",
        extra={"totals_url": reverse("ledger:totals", args=["credit-notes"])},
        empty=_empty("No credit notes yet", "Credit notes appear here.", "receipt-refund"),
    )


def _not_used_up(rows: Rows) -> Rows:
    return rows.filter(remaining__gt=0)


@may_view
def unallocated(request: HttpRequest) -> HttpResponseBase:
    """Overpayments and prepayments."""
    return _unallocated().respond(request)


def _unallocated() -> ListPage:
    return ListPage(
        queries.unallocated(),
        title="Unallocated",
        noun="receipts",
        columns=[
            Column("customer_name", "Customer", detail="reference"),
            Column("touch", "Kind", value=_touch),
            Column("organisation.name", "Organisation", phone=False),
            Column("status", "Status", html=_status),
            Column("received_on", "Received", kind="day", sort="received_on"),
            Column("total", "Total", kind="money", currency="currency"),
            Column("remaining", "Unused", kind="money", currency="currency"),
        ],
        search=["customer_name", "reference"],
        filters=[
            ORGANISATION,
            Choice("touch", "Kind", TOUCHES[2:]),
            DateRange("date", "Received", field="received_on"),
            Toggle("unused", "Not used up", narrow=_not_used_up),
            OfCustomer(),
        ],
        order="-received_on",
        above="ledger/totals_later.html",
        extra={"totals_url": reverse("ledger:totals", args=["unallocated"])},
        empty=_empty(
            "Nothing is unallocated",
            "Overpayments and prepayments appear here until they are used.",
            "coin",
        ),
    )


@dataclass(frozen=True)
class Sums:
    """What is added up over a page: which rows count, the amount, and what is open of it."""

    page: Callable[[], ListPage]
    counting: Mapping[str, tuple[str, ...]]
    amount: str
    label: str
    open_amount: str = ""
    open_label: str = ""


# Shown in the list, never in its sums: nothing came of them.
_VALID = {"status": ("voided", "deleted")}
TOTALS = {
    "invoices": Sums(_invoices, _VALID, "total", "invoiced", "amount_due", "open"),
    "payments": Sums(_payments, {"state": ("deleted",)}, "amount", "received or credited"),
    "refunds": Sums(_refunds, {"state": ("deleted",)}, "amount", "refunded"),
    "credit-notes": Sums(_credit_notes, _VALID, "total", "credited", "remaining", "unused"),
    "unallocated": Sums(_unallocated, _VALID, "total", "received", "remaining", "unused"),
}


@may_view
def totals(request: HttpRequest, page: str) -> HttpResponse:
    """The sums of the view that the browser shows, asked for beside it so that it need not wait."""
    if page not in TOTALS:
        raise Http404(page)
    sums = TOTALS[page]
    # The filters of the page that asks; this address of its own has none.
    seen = urlsplit(request.headers.get("HX-Current-URL", "")).query or request.META["QUERY_STRING"]
    request.GET = QueryDict(seen)
    rows = sums.page().found(request)
    for name, left_out in sums.counting.items():
        rows = rows.exclude(**{f"{name}__in": left_out})
    found = queries.totals(rows, sums.amount, sums.open_amount)
    values = {
        "totals_url": request.path,
        "too_many": found is None,
        "label": sums.label,
        "totals": [_total(total, sums) for total in found or []],
    }
    return render(request, "ledger/totals.html", values)


def _total(total: queries.Total, sums: Sums) -> dict[str, str]:
    detail = f"{count_text(total.count)} {'row' if total.count == 1 else 'rows'}"
    if total.open is not None:
        open_text = amount_text(total.open, total.currency)
        detail = f"{open_text} {total.currency} {sums.open_label} · {detail}"
    return {
        "label": f"{total.currency} {sums.label}",
        "value": amount_text(total.amount, total.currency),
        "detail": detail,
    }
