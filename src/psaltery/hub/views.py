"""Pages of customers: the list, and one customer over all systems."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write
from psaltery.hub import overview as everybody
from psaltery.hub import page as one
from psaltery.hub import queries
from psaltery.hub.forms import BillingForm
from psaltery.hub.timeline import KINDS, page_of
from psaltery.portfolio.models import Customer, CustomerContact, CustomerMoney
from psaltery.portfolio.service import set_billing
from psaltery.signals.views import severity
from psaltery.web import charts
from psaltery.web.format import NOTHING, badge, money
from psaltery.web.lists import Choice, Column, Empty, ListPage, Toggle

Rows = QuerySet[Customer]
CRUMBS = [("Customers", "/customers/")]
RISK_TONES = {"high": "bad", "watch": "warn"}


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """All customers, whatever systems know them: what they owe, promise, and how they are."""
    return ListPage(
        queries.customers(),
        title="Customers",
        noun="customers",
        singular="customer",
        columns=[
            Column("name", "Customer", link=_address, detail=_where, sort="name"),
            Column("outstanding", "Outstanding", kind="money", currency="currency",
                   sort="outstanding", html=_owed),
            Column("overdue", "Overdue", kind="money", currency="currency", sort="overdue"),
            Column("invoiced", "Invoiced this month", kind="money", currency="currency",
                   sort="invoiced", phone=False),
            Column("contracted", "Contracted MRR", kind="money", currency="currency",
                   sort="contracted", html=_promised, phone=False),
            Column("open_alerts", "Alerts", kind="number", phone=False, html=_alerts),
            Column("risk_points", "Risk", kind="number", sort="risk_points", html=_risk,
                   value=lambda row: row.risk),
        ],
        search=["name"],
        filters=[
            Choice("risk", "Risk", Customer.Risk.choices),
            Choice("currency", "Currency", _currencies),
            Choice("billing", "Billing", Customer.Billing.choices),
            Toggle("owing", "Overdue", lambda rows: rows.filter(overdue__gt=0)),
            Toggle("alerted", "With alerts", _alerted),
            Choice("known", "Systems", [("both", "PSA and books"), ("psa", "PSA only"),
                   ("books", "Books only")], anything="Any system", narrow=_by_system),
        ],
        order="-outstanding",
        actions="hub/index_actions.html",
        empty=Empty(
            "No customers yet",
            "Companies of your PSA and contacts of your books appear here, each customer once, "
            "some minutes after they were read.",
            icon="users", action="Connect a system", url=reverse("connections:index"),
        ),
    ).respond(request)  # fmt: skip


def _address(row: Customer) -> str:
    return reverse("hub:customer", args=[row.pk])


def _where(row: Customer) -> str:
    if row.billing != Customer.Billing.NORMAL:
        return row.get_billing_display()
    return row.company.identifier if row.company else "in the books only"


def _money_lines(texts: list[str]) -> SafeString:
    sums = queries.sums_of(texts)
    lines = ((money(amount, currency),) for amount, currency in sums)
    return format_html_join("", "<div>{}</div>", lines) if sums else NOTHING


def _owed(row: Any) -> SafeString:
    return _money_lines(row.owed)


def _promised(row: Any) -> SafeString:
    return _money_lines(row.promised)


def _alerts(row: Any) -> SafeString:
    if not row.open_alerts:
        return NOTHING
    address = f"{reverse('signals:index')}?customer={row.pk}"
    return format_html('<a class="figure" href="{}">{}</a>', address, row.open_alerts)


def _risk(row: Customer) -> SafeString:
    if row.risk == Customer.Risk.NONE:
        return NOTHING
    return badge(row.get_risk_display().capitalize(), RISK_TONES.get(row.risk, "plain"))


def _currencies() -> list[tuple[str, str]]:
    found = CustomerMoney.objects.order_by("currency").values_list("currency", flat=True).distinct()
    return [(code, code) for code in found if code]


def _alerted(rows: Rows) -> Rows:
    return rows.filter(alerts__state="open").distinct()


def _by_system(rows: Rows, value: str) -> Rows:
    if value == "books":
        return rows.filter(company=None)
    linked = rows.filter(company__isnull=False)
    found = CustomerContact.objects.values("customer")
    return linked.filter(pk__in=found) if value == "both" else linked.exclude(pk__in=found)


@may_view
def overview(request: HttpRequest) -> HttpResponse:
    """All customers together: recurring revenue, receivables, risk, and the sources' state."""
    sources = everybody.sources()
    values = {
        "title": "All customers",
        "crumbs": CRUMBS,
        "portfolios": [_drawn(one) for one in everybody.portfolios(timezone.localdate())],
        "risks": everybody.risks(),
        "at_risk": [(row, _risk(row)) for row in everybody.at_risk()],
        "looked": everybody.looked(),
        "sources": sources,
        "connect_label": "" if sources else "Connect a system",
        "connect_url": reverse("connections:index"),
    }
    return render(request, "hub/overview.html", values)


Chart = tuple[str, dict[str, Any]]


def _drawn(one: everybody.Portfolio) -> tuple[everybody.Portfolio, Chart, Chart]:
    months = [f"{month:%b %y}" for month, _ in one.sales]
    sales = charts.bars(months, [(f"Invoiced {one.currency}", [sum_ for _, sum_ in one.sales])])
    amounts = [amount for _, amount in one.buckets]
    ageing = charts.bars(queries.BAR_LABELS, [(f"Outstanding {one.currency}", amounts)])
    return one, (f"sales-{one.currency}", sales), (f"ageing-{one.currency}", ageing)


@may_view
def customer(request: HttpRequest, number: int) -> HttpResponse:
    """One customer: money, contracts, tickets, what went wrong, people, and where to look."""
    rows = Customer.objects.select_related("company__connection", "billed_to")
    row = get_object_or_404(rows, pk=number)
    values = one.values_of(row, timezone.localdate(), request.GET.get("currency", ""))
    values |= {name: charts.bars(*bars) for name, bars in values["charts"].items() if bars}
    values |= {
        "title": row.name,
        "crumbs": CRUMBS,
        "risk": _risk(row),
        "alerts": [(alert, severity(alert)) for alert in values["alerts"]],
        "billing_form": _billing_form(row),
    }
    return render(request, "hub/customer.html", values)


def _billing_form(row: Customer) -> BillingForm:
    parent = row.billed_to.name if row.billed_to else ""
    return BillingForm(initial={"billing": row.billing, "billed_to": parent})


@require_POST
@may_write
def billing(request: HttpRequest, number: int) -> HttpResponse:
    """Say how a customer is billed."""
    row = get_object_or_404(Customer, pk=number)
    form = BillingForm(request.POST)
    if form.is_valid():
        set_billing(row, form.cleaned_data["billing"], form.cleaned_data["parent"])
        messages.success(request, "Saved. The next look at this customer takes it into account.")
    else:
        for problems in form.errors.values():
            messages.error(request, " ".join(map(str, problems)))
    return redirect("hub:customer", number)


@may_view
def timeline(request: HttpRequest, number: int) -> HttpResponse:
    """What happened around a customer, newest first; its next stretch alone for htmx."""
    row = get_object_or_404(Customer.objects.select_related("company"), pk=number)
    chosen = [kind for kind in request.GET.getlist("kind") if kind in KINDS]
    found = page_of(row, chosen or list(KINDS), request.GET.get("after", ""))
    more = request.GET.copy()
    more["after"] = found.after
    values = {
        "title": "Timeline",
        "crumbs": [*CRUMBS, (row.name, reverse("hub:customer", args=[row.pk]))],
        "customer": row,
        "found": found,
        "kinds": [(key, kind, key in chosen) for key, kind in KINDS.items()],
        "more": f"?{more.urlencode()}" if found.after else "",
        "first": not request.GET.get("after"),
    }
    part = request.headers.get("HX-Request") == "true" and request.GET.get("after")
    return render(request, "hub/timeline_more.html" if part else "hub/timeline.html", values)
