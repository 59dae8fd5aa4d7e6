"""Pages of alerts: the list, one alert with its evidence, the limits; the board of renewals."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write, person_of, refusal
from psaltery.accounts.models import Role
from psaltery.adapters.errors import BadSettings
from psaltery.portfolio.models import Customer
from psaltery.signals import queries, service
from psaltery.signals import renewals as board
from psaltery.signals.catalogue import BY_CODE, CHOICES
from psaltery.signals.evidence import addresses
from psaltery.signals.filters import OfCustomer
from psaltery.signals.forms import LimitsForm, NoteForm, RenewalForm, SnoozeForm
from psaltery.signals.models import Alert, Muted, RenewalNote
from psaltery.web import charts
from psaltery.web.format import NOTHING, badge, money
from psaltery.web.lists import Choice, Column, Empty, ListPage

Rows = QuerySet[Alert]
CRUMBS = [("Alerts", "/alerts/")]
RISK_TONES = {"high": "bad", "watch": "warn"}
SEVERITY_TONES = {1: "plain", 2: "info", 3: "warn", 4: "bad"}
STATE_TONES = {"open": "bad", "acknowledged": "info", "snoozed": "info", "resolved": "good"}


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """What is worth a look, the gravest first; and what could not be checked."""
    page = _list(request)
    if request.headers.get("HX-Target") != "list-body":
        page.extra["standings"] = queries.standings()
    return page.respond(request)


def _list(request: HttpRequest) -> ListPage:
    # Of one alert up to two hundred rows, which only its own page shows.
    rows = queries.alerts().defer("evidence")
    if not request.GET.get("state"):
        rows = rows.filter(state=Alert.State.OPEN)
    return ListPage(
        rows,
        title="Alerts",
        noun="alerts",
        singular="alert",
        columns=[
            Column("sentence", "Alert", link=_address, detail=_about),
            Column("customer", "Customer", link=_customer, value=_customer_name),
            Column("severity", "Severity", html=severity, sort="severity",
                   value=lambda row: row.get_severity_display()),
            Column("size", "Money", kind="money", currency="currency", sort="size", html=_money),
            Column("opened_at", "Since", kind="when", sort="opened_at", phone=False),
            *([Column("state", "State", html=_state)] if request.GET.get("state") else []),
        ],
        search=["sentence", "customer__name"],
        filters=[
            Choice("signal", "Signal", CHOICES),
            Choice("severity", "Severity", [(str(value), label.capitalize())
                                            for value, label in Alert.Severity.choices]),
            Choice("state", "State", _states(), anything="Open", narrow=_by_state),
            OfCustomer(),
        ],
        order="-severity",
        above="signals/index_above.html",
        actions="signals/index_actions.html",
        empty=Empty(
            "Nothing to look at",
            "Work nobody invoiced, money overdue, agreements billed short and customers at risk "
            "appear here with their evidence.",
            icon="circle-check",
        ),
    )  # fmt: skip


def _states() -> list[tuple[str, str]]:
    each = [(value, label.capitalize()) for value, label in Alert.State.choices[1:]]
    return [*each, ("all", "Open or not")]


def _by_state(rows: Rows, value: str) -> Rows:
    return rows if value == "all" else rows.filter(state=value)


def _address(row: Alert) -> str:
    return reverse("signals:alert", args=[row.pk])


def _about(row: Alert) -> str:
    return BY_CODE[row.signal].title if row.signal in BY_CODE else row.signal


def _customer(row: Alert) -> str:
    return reverse("hub:customer", args=[row.customer_id]) if row.customer_id else ""


def _customer_name(row: Alert) -> str:
    return row.customer.name if row.customer else ""


def severity(row: Alert) -> SafeString:
    """How grave it is, as a badge."""
    return badge(row.get_severity_display().capitalize(), SEVERITY_TONES[row.severity])


def _state(row: Alert) -> SafeString:
    return badge(row.get_state_display().capitalize(), STATE_TONES[row.state])


def _money(row: Alert) -> SafeString:
    sums = queries.money_of(row)
    lines = ((money(amount, currency),) for amount, currency in sums)
    return format_html_join("", "<div>{}</div>", lines) if sums else NOTHING


@may_view
def alert(request: HttpRequest, number: int) -> HttpResponse:
    """One alert: what was found, its money, the rows behind it, and what to do."""
    row = get_object_or_404(queries.alerts(), pk=number)
    values = {
        "title": BY_CODE[row.signal].title,
        "crumbs": CRUMBS,
        "alert": row,
        "signal": BY_CODE[row.signal],
        "severity": severity(row),
        "state": _state(row),
        "money": queries.money_of(row),
        "evidence": [
            _proof(one, url) for one, url in zip(row.evidence, addresses(row.evidence), strict=True)
        ],
        "more": row.evidence_count - len(row.evidence),
        "snooze_form": SnoozeForm(auto_id="snooze_%s"),
        "note_form": NoteForm(auto_id="acknowledge_%s"),
        "live": row.state in service.LIVE,
    }
    return render(request, "signals/alert.html", values)


def _proof(one: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        **one,
        "amount": Decimal(one["amount"]) if one.get("amount") is not None else None,
        "day": date.fromisoformat(one["day"]) if one.get("day") else None,
        "url": url,
        # The PSA's own pages open beside ours, so that the way back is not lost.
        "elsewhere": not url.startswith("/"),
        "kind": one["kind"].replace("_", " ").capitalize(),
    }


@require_POST
@may_write
def act(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    """Acknowledge, snooze or reopen an alert."""
    row = get_object_or_404(queries.alerts(), pk=number)
    by = person_of(request).email
    try:
        if verb == "acknowledge":
            service.acknowledge(row, by, request.POST.get("note", "")[:500])
        elif verb == "snooze":
            _snooze(request, row, by)
        elif verb == "reopen":
            service.reopen(row, by)
        else:
            raise Http404(verb)
    except BadSettings as problem:
        messages.error(request, str(problem))
    return redirect("signals:alert", number)


def _snooze(request: HttpRequest, row: Alert, by: str) -> None:
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        raise BadSettings("Snooze it for 1 to 365 days.", which="days")
    until = timezone.now() + timedelta(days=form.cleaned_data["days"])
    service.snooze_until(row, until, by, form.cleaned_data["note"])


@require_POST
@may_write
def look(request: HttpRequest) -> HttpResponse:
    """Look for every signal now."""
    found = service.look()
    if found:
        messages.success(request, f"Looked: {sum(found.values())} found.")
    else:
        messages.info(request, "A look is under way already; its results appear in a moment.")
    return redirect("signals:index")


@may_write
def limits(request: HttpRequest) -> HttpResponse:
    """The limits at which signals fire."""
    now, muted = service.limits_now(), set(Muted.objects.values_list("pk", flat=True))
    form = LimitsForm(request.POST or None, now=now, muted=muted)
    if request.method == "POST" and form.is_valid():
        # All or none: a look between two limits would judge by a mixture.
        with transaction.atomic():
            for name, value in form.limits().items():
                if getattr(now, name) != value:
                    service.set_limit(name, value)
            for signal in form.muted() ^ muted:
                service.mute(signal, signal in form.muted())
        messages.success(request, "Saved. The next look uses them.")
        return redirect("signals:limits")
    values = {"title": "When to alert", "crumbs": CRUMBS, "form": form}
    return render(request, "signals/limits.html", values)


@may_view
def renewals(request: HttpRequest) -> HttpResponse:
    """Customers at risk by stage."""
    columns = [
        {
            "label": column.label,
            "customers": [(row, _risk(row), _trend(row)) for row in column.customers],
            "more": column.more,
        }
        for column in board.board()
    ]
    return render(request, "signals/renewals.html", {"title": "Renewals", "board": columns})


def _risk(row: Customer) -> SafeString:
    return badge(row.get_risk_display().capitalize(), RISK_TONES.get(row.risk, "plain"))


def _trend(row: Any) -> str:
    if row.before is None or row.before == row.risk_points:
        return ""
    return f"{row.risk_points - row.before:+} since the week before"


@may_view
def renewal(request: HttpRequest, number: int) -> HttpResponse:
    """One customer on the board: stage, owner, notes, and how its points went."""
    row = get_object_or_404(Customer.objects.select_related("renewal__owner"), pk=number)
    if request.method == "POST":
        return _save(request, row)
    taken = getattr(row, "renewal", None)
    initial = {"stage": board.stage_of(row), "owner": taken.owner if taken else None}
    return _page(request, row, RenewalForm(initial=initial))


def _save(request: HttpRequest, row: Customer) -> HttpResponse:
    person = person_of(request)
    # Viewers may read the page at the same address, so only the POST is refused.
    if not person.may(Role.BOOKKEEPER):
        raise PermissionDenied(refusal(person, Role.BOOKKEEPER))
    form = RenewalForm(request.POST)
    if not form.is_valid():
        return _page(request, row, form)
    board.move(row, form.cleaned_data["stage"])
    board.assign(row, form.cleaned_data["owner"])
    board.note(row, person.email, form.cleaned_data["note"])
    messages.success(request, "Saved.")
    return redirect("signals:renewal", row.pk)


def _page(request: HttpRequest, row: Customer, form: RenewalForm) -> HttpResponse:
    weeks = board.history(row)
    labels = [f"{one.week.day} {one.week:%b}" for one in weeks]
    points = [("Points", [one.points for one in weeks])]
    values = {
        "title": row.name,
        "crumbs": [("Renewals", "/renewals/")],
        "customer": row,
        "risk": _risk(row),
        "form": form,
        "notes": RenewalNote.objects.filter(renewal=row.pk),
        "chart": charts.bars(labels, points) if len(weeks) > 1 else None,
    }
    return render(request, "signals/renewal.html", values)
