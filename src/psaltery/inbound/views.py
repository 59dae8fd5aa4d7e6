"""Pages of a connection's webhooks: how they are, keys, real time, self-test, events, replay."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, may_write
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.connections.models import Connection, Organisation
from psaltery.inbound import keys, queries, real_time, selftest
from psaltery.inbound.forms import KeyForm
from psaltery.inbound.models import ConnectWiseEvent, Outcome, SigningKey, XeroEvent
from psaltery.sync.replay import replay as replay_events
from psaltery.web import charts
from psaltery.web.format import badge, day_text
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage

MOST_REPLAYED = 10_000
TONES = {Outcome.WOKE: "good", Outcome.IGNORED: "plain", Outcome.UNKNOWN: "warn"}
Event = XeroEvent | ConnectWiseEvent


@may_view
def page(request: HttpRequest, number: int) -> HttpResponseBase:
    """Everything about the webhooks of one connection."""
    connection = _connection(number)
    found = _list(connection)
    if request.headers.get("HX-Target") != "list-body":
        found.extra |= _above(request, connection)
    return found.respond(request)


def _list(connection: Connection) -> ListPage:
    is_xero = connection.kind == "xero"
    return ListPage(
        queries.events(connection),
        title=f"Webhooks of {connection.name}",
        noun="events",
        singular="event",
        crumbs=[
            ("Connections", reverse("connections:index")),
            (connection.name, reverse("connections:detail", args=[connection.pk])),
        ],
        columns=[
            Column("received_at", "Received", kind="when", sort="received_at"),
            Column("category", "About", detail="action"),
            Column("external_id", "Record", kind="code", phone=False),
            *([Column("organisation", "Organisation", value=_organisation)] if is_xero else []),
            Column("outcome", "Led to", html=_outcome, value=_led_to),
            Column("replayed_at", "Replayed", kind="when", phone=False),
        ],
        search=["external_id"],
        filters=[
            Choice("category", "Type", lambda: _categories(connection)),
            Choice("outcome", "Led to", Outcome.choices),
            *([_organisations(connection)] if is_xero else []),
            DateRange("received_at", "Received"),
        ],
        order="-received_at",
        empty=Empty(
            "No events yet",
            "Each change that the vendor tells about appears here. Without webhooks nothing is "
            "missed: changes are found by polling.",
            icon="webhook",
        ),
        actions="inbound/page_actions.html",
        above="inbound/page_above.html",
        refresh_seconds=10,
        extra={"connection": connection},
    )  # fmt: skip


def _organisations(connection: Connection) -> Choice:
    rows = Organisation.objects.filter(connection=connection, chosen=True)
    return Choice("organisation", "Organisation", lambda: [(str(row.pk), row.name) for row in rows])


def _organisation(row: Event) -> str:
    if not isinstance(row, XeroEvent):
        return ""
    return row.organisation.name if row.organisation else row.tenant_id


def _led_to(row: Event) -> str:
    return Outcome(row.outcome).label.capitalize()


def _outcome(row: Event) -> SafeString:
    return badge(_led_to(row), TONES[Outcome(row.outcome)])


def _categories(connection: Connection) -> list[tuple[str, str]]:
    known = queries.events(connection).order_by().values_list("category", flat=True).distinct()
    return [(one, one) for one in sorted(known[:50])]


def _above(request: HttpRequest, connection: Connection) -> dict[str, object]:
    """What stands over the list: state, key or switch, counts."""
    days = queries.by_day(connection)
    chart = charts.bars(
        [day_text(one.day) for one in days],
        [
            ("Stored", [one.accepted for one in days]),
            ("Refused", [one.refused for one in days]),
        ],
        stacked=True,
    )
    return card(connection) | {
        "chart": chart,
        "any": any(one.accepted or one.refused for one in days),
        "reasons": queries.reasons(connection),
        "gaps": queries.gaps(connection),
        "query": request.GET.urlencode(),
    }


def card(connection: Connection) -> dict[str, object]:
    """What the card on the connection's own page shows; empty where there are no webhooks."""
    if connection.kind not in queries.KINDS:
        return {}
    is_xero = connection.kind == "xero"
    return {
        "standing": queries.standing(connection),
        "is_xero": is_xero,
        "keys": keys.of(connection) if is_xero else [],
        "most_keys": keys.MOST,
        "real_time": None if is_xero else real_time.of(connection),
        "unreachable": "" if is_xero else real_time.unreachable(connection),
        "address": queries.xero_address() if is_xero else "",
        "form": KeyForm(),
    }


@may_admin
@require_POST
@sensitive_post_parameters()
def add_key(request: HttpRequest, number: int) -> HttpResponse:
    """Store a pasted signing key."""
    connection = _connection(number)
    form = KeyForm(request.POST)
    try:
        if not form.is_valid():
            raise BadSettings(" ".join(map(str, form.errors["key"])), which="key")
        row = keys.add(connection, form.cleaned_data["key"])
        messages.success(request, f"The key ending in {row.hint} is stored and counts at once.")
    except BadSettings as failure:
        messages.error(request, str(failure))
    return redirect(_address(connection))


@may_admin
@require_POST
def remove_key(request: HttpRequest, number: int, key: int) -> HttpResponse:
    """Believe a key no longer."""
    connection = _connection(number)
    row = get_object_or_404(SigningKey, pk=key, connection=connection)
    keys.remove(row)
    messages.success(request, f"The key ending in {row.hint} is removed.")
    return redirect(_address(connection))


@may_admin
@require_POST
def switch(request: HttpRequest, number: int) -> HttpResponse:
    """Turn a PSA's callbacks on or off."""
    connection = _connection(number)
    wanted = request.POST.get("wanted") == "yes"
    try:
        row = real_time.switch(connection, wanted)
        if row.problem:
            messages.warning(request, row.problem)
        else:
            messages.success(request, f"Real time is {'on' if wanted else 'off'}.")
    except Failure as failure:
        messages.error(request, str(failure))
    return redirect(_address(connection))


@may_write
@require_POST
def test(request: HttpRequest, number: int) -> HttpResponse:
    """Send ourselves deliveries, right and wrong ones; the lines take the button's place."""
    connection = _connection(number)
    lines = selftest.test(connection)
    values = {"connection": connection, "lines": lines, "ok": all(line.ok for line in lines)}
    if request.headers.get("HX-Request") == "true":
        return render(request, "inbound/test.html", values)
    title = f"Test of the webhooks of {connection.name}"
    crumbs = [(f"Webhooks of {connection.name}", _address(connection))]
    return render(request, "inbound/test_page.html", {**values, "title": title, "crumbs": crumbs})


@may_write
@require_POST
def replay(request: HttpRequest, number: int) -> HttpResponse:
    """Have what the found events were about read again; the address has the list's filters."""
    connection = _connection(number)
    found = _list(connection)
    # The list's own filters: exactly what the person sees is replayed.
    found.filters = [item.prepared() for item in found.filters]
    done = replay_events(connection, found.found(request).order_by("-pk")[:MOST_REPLAYED])
    messages.success(
        request, f"{done.events} events are replayed: {done.feeds} feeds are read again."
    )
    if done.busy:
        messages.warning(
            request, f"{done.busy} feeds are being read just now. Replay again in a minute."
        )
    query = request.GET.urlencode()
    return redirect(f"{_address(connection)}?{query}" if query else _address(connection))


def _connection(number: int) -> Connection:
    connection = get_object_or_404(Connection, pk=number)
    if connection.kind not in queries.KINDS:
        raise Http404("This system has no webhooks.")
    return connection


def _address(connection: Connection) -> str:
    return reverse("inbound:page", args=[connection.pk])
