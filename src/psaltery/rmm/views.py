"""The page of RMM alerts: what was told, the address, and the keys."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, person_of
from psaltery.accounts.models import Role
from psaltery.adapters.errors import BadSettings
from psaltery.rmm import keys
from psaltery.rmm.models import RmmAlert, RmmKey
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage

TONES = {"critical": "bad", "error": "bad", "warning": "warn", "info": "info"}


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """Alerts of remote monitoring, the newest first."""
    return ListPage(
        RmmAlert.objects.select_related("company__customer"),
        title="RMM alerts",
        noun="alerts",
        singular="alert",
        crumbs=[("Alerts", reverse("signals:index"))],
        columns=[
            Column("title", "Alert", link="url", detail="device"),
            Column("company", "Customer", link=_customer, value=_company),
            Column("severity", "Severity", html=_severity),
            Column("resolved", "Resolved", kind="yes_no", phone=False),
            Column("at", "When", kind="when", sort="at"),
        ],
        search=["title", "device", "company_text"],
        filters=[
            Choice("severity", "Severity", RmmAlert.Severity.choices),
            Choice("known", "Customer", [("yes", "Known"), ("no", "Not known")], narrow=_by_known),
            DateRange("at", "When"),
        ],
        order="-at",
        above="rmm/index_above.html",
        extra={
            "keys": RmmKey.objects.order_by("added_at"),
            "address": f"{settings.PUBLIC_URL}{reverse('rmm:alerts')}",
            "is_admin": person_of(request).may(Role.ADMIN),
            "has_room": RmmKey.objects.count() < keys.MOST,
        },
        empty=Empty(
            "No alerts yet",
            "What your monitoring sends to the address above appears here and on the timeline of "
            "its customer.",
            icon="device-desktop",
        ),
    ).respond(request)


def _customer(row: RmmAlert) -> str:
    customer = getattr(row.company, "customer", None)
    return reverse("hub:customer", args=[customer.pk]) if customer else ""


def _company(row: RmmAlert) -> str:
    return row.company.name if row.company else f"{row.company_text} (not known)".strip()


def _severity(row: RmmAlert) -> SafeString:
    return badge(row.get_severity_display().capitalize(), TONES[row.severity])


def _by_known(rows: QuerySet[RmmAlert], value: str) -> QuerySet[RmmAlert]:
    return rows.filter(company__isnull=value == "no")


@require_POST
@may_admin
def make_key(request: HttpRequest) -> HttpResponse:
    """Make a key and show it once."""
    try:
        # Shown by a message, which is read once; the database has it sealed only.
        secret = keys.make()
        messages.success(request, f"The new key, shown only now: {secret}")
    except BadSettings as problem:
        messages.error(request, str(problem))
    return redirect("rmm:index")


@require_POST
@may_admin
def remove_key(request: HttpRequest, number: int) -> HttpResponse:
    """Believe a key no longer."""
    row = get_object_or_404(RmmKey, pk=number)
    keys.remove(row)
    messages.success(request, f"The key ending in {row.hint} is removed.")
    return redirect("rmm:index")
