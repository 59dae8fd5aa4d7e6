"""The pages of an organisation's settings and of the calls it makes."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, may_write, person_of
from psaltery.accounts.models import Role
from psaltery.adapters import registry
from psaltery.adapters.contract import Role as SystemRole
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.connections import service
from psaltery.connections.models import Feed, Organisation
from psaltery.kit.clock import now
from psaltery.ledger import queries as ledger_queries
from psaltery.posting import queries as posting
from psaltery.posting.models import Item, Posting
from psaltery.review.models import IS_EXCEPTION, Card
from psaltery.sync import backfill, calls, force, organisations
from psaltery.sync import estimate as estimates
from psaltery.sync import items as items_of
from psaltery.sync.forecast import Estimate
from psaltery.sync.forms import FEED, POLICY, ItemForm, OrganisationForm
from psaltery.web import charts
from psaltery.web.format import amount_text, badge, when
from psaltery.web.lists import Choice, Column, Empty, ListPage

CALLS_CRUMBS = [("Connections", "/connections/"), ("Calls", "/calls/")]
LIMIT_WORDS = {
    "day": "Day's calls used up",
    "minute": "Minute's calls used up",
    "concurrent": "Too many at once",
}


@may_view
def organisation(request: HttpRequest, number: int) -> HttpResponseBase:
    """What an organisation wants; administrators change it."""
    row = _organisation(number)
    return _save(request, number) if request.method == "POST" else _page(request, row)


def _organisation(number: int) -> Organisation:
    rows = Organisation.objects.select_related("connection")
    return get_object_or_404(rows, pk=number, chosen=True)


@may_admin
def _save(request: HttpRequest, number: int) -> HttpResponse:
    row = _organisation(number)
    form = OrganisationForm(request.POST, row, _feeds(row))
    if not form.is_valid():
        return _page(request, row, form)
    try:
        changed = organisations.change(row, form.wanted())
    except BadSettings as failure:
        name = failure.which if failure.which in form.fields else f"{FEED}{failure.which}"
        form.add_error(name if name in form.fields else None, str(failure))
        return _page(request, row, form)
    messages.success(request, _sentence(changed))
    return redirect("sync:organisation", row.pk)


def _sentence(changed: organisations.Changed) -> str:
    if not changed.words:
        return "Nothing was changed."
    return f"Saved: {'; '.join(changed.words)}.{_again(changed.released)}"


def _again(released: int) -> str:
    if not released:
        return ""
    many = "1 held document goes" if released == 1 else f"{released:,} held documents go"
    return f" {many} again."


def _feeds(row: Organisation) -> list[Feed]:
    """In the manifest's order."""
    order = [spec.name for spec in registry.manifest(row.connection.kind).feeds]
    feeds = [feed for feed in row.feeds.all() if feed.name in order]
    return sorted(feeds, key=lambda feed: order.index(feed.name))


def _page(
    request: HttpRequest, row: Organisation, form: OrganisationForm | None = None
) -> HttpResponse:
    feeds = _feeds(row)
    form = form or OrganisationForm(None, row, feeds)
    connection = row.connection
    waiting = Posting.objects.filter(organisation=row, state=Posting.State.WAITING)
    values: dict[str, Any] = {
        "title": f"Settings of {row.name}",
        "crumbs": [
            ("Connections", reverse("connections:index")),
            (connection.name, reverse("connections:detail", args=[connection.pk])),
        ],
        "organisation": row,
        "form": form,
        "policy": [form[name] for name in POLICY if name in form.fields],
        "feeds": [(feed, form[f"{FEED}{feed.name}"]) for feed in feeds],
        "per_minute": form["per_minute"],
        "waiting": waiting.count(),
        "figures": _rollup(row),
        "writes": person_of(request).may(Role.ADMIN),
        "pauses": person_of(request).may(Role.BOOKKEEPER),
    }
    return render(request, "sync/organisation.html", values)


def _rollup(row: Organisation) -> list[dict[str, Any]]:
    """Documents, money, exceptions and calls of an organisation, and where they are listed."""
    found = posting.figures(row)
    open_ = Card.objects.filter(IS_EXCEPTION, organisation=row, state=Card.State.OPEN).count()
    used = calls.used_today(row)
    documents, exceptions = reverse("posting:index"), reverse("review:index")
    mine = f"organisation={row.pk}"
    held = " + ".join(f"{amount_text(sum_, code)} {code}" for code, sum_ in found.stopped_money)
    left = calls.left_of_day(calls.budget_of(row))
    rows = [
        ("documents in step", found.in_step, f"{documents}?{mine}&state=in_step", "checks", ""),
        ("on their way", found.on_the_way, f"{documents}?{mine}&state=moving", "send", ""),
        ("held or refused", found.stopped, f"{documents}?{mine}&state=stopped", "hand-stop", held),
        ("open exceptions", open_, f"{exceptions}?{mine}", "alert-triangle", ""),
        ("calls today", used, reverse("sync:calls", args=[row.pk]), "arrows-exchange",
         "" if left is None else f"{left:,} left"),
    ]  # fmt: skip
    names = ("label", "value", "url", "icon", "detail")
    # A site of the PSA has documents of every organisation, and is not where they go.
    shown = rows if registry.manifest(row.connection.kind).role == SystemRole.BOOKS else rows[3:]
    return [dict(zip(names, one, strict=True)) for one in shown]


@may_write
@require_POST
def read_feed(request: HttpRequest, number: int, name: str) -> HttpResponse:
    """Read one feed of an organisation now, ahead of everything else."""
    row = _organisation(number)
    feed = get_object_or_404(
        Feed.objects.select_related("organisation"), organisation=row, name=name
    )
    force.feed(feed)
    words = name.replace("_", " ")
    messages.success(request, f"The {words} of {row.name} are read now, ahead of everything else.")
    return redirect("sync:organisation", row.pk)


@may_write
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Pause or resume an organisation."""
    row = _organisation(number)
    service.pause(row, not row.paused)
    word = "paused" if row.paused else "resumed"
    messages.success(request, f"{row.name} is {word}.")
    return redirect("sync:organisation", row.pk)


@may_view
def calls_index(request: HttpRequest) -> HttpResponseBase:
    """Calls and bytes of each organisation today, what is left, and what the day will take."""
    if request.GET.get("format") == "days":
        return _days_file()
    rows = calls.organisations()
    keys = list(rows.values_list("pk", flat=True))
    coming, waiting = calls.forecasts(keys), calls.pauses(keys)
    days = calls.days()

    def state(row: Organisation) -> SafeString:
        return _limit_state(row, coming[row.pk], waiting.get(row.pk))

    return ListPage(
        rows,
        title="Calls",
        crumbs=CALLS_CRUMBS[:1],
        noun="organisations",
        columns=[
            Column("name", "Organisation", link=_calls_address, detail=_system, sort="name"),
            Column("state", "State", html=state, csv=False),
            Column("calls", "Calls today", kind="number", sort="calls"),
            Column("cap", "Allowed a day", kind="number", value=_day_cap),
            Column("left", "Left", kind="number", value=_day_left),
            Column("coming", "By midnight UTC", kind="number", value=lambda row: coming[row.pk]),
            Column(
                "bytes_in",
                "Received",
                kind="number",
                html=_received,
                sort="bytes_in",
                phone=False,
            ),
            Column("failed", "Refused", kind="number", sort="failed", phone=False),
        ],
        search=["name"],
        filters=[Choice("system", "System", _systems, field="connection__kind")],
        order="-calls",
        above="sync/calls_above.html",
        empty=Empty(
            "No organisation is synced",
            "Calls and bytes of each organisation appear here by day.",
            icon="gauge",
            action="Open connections",
            url=reverse("connections:index"),
        ),
        extra={
            "days": days,
            "today": next((one for one in days if one.day == now().date()), None),
            "coming": sum(coming.values()),
            "waiting": len(waiting),
            "chart": _days_chart(days),
        },
    ).respond(request)


def _limit_state(row: Organisation, coming: int, pause: calls.Pause | None) -> SafeString:
    if pause is not None:
        words = badge(LIMIT_WORDS.get(pause.limit, pause.limit), "warn")
        return format_html('{}<div class="cell-detail">goes on {}</div>', words, when(pause.until))
    cap = _day_cap(row)
    # From nine tenths on: a little more work than usual would use the day up.
    if cap is not None and coming * 10 > cap * 9:
        return badge("Tight today", "warn")
    return badge("Goes", "good")


def _calls_address(row: Organisation) -> str:
    return reverse("sync:calls", args=[row.pk])


def _system(row: Organisation) -> str:
    return registry.manifest(row.connection.kind).label


def _systems() -> list[tuple[str, str]]:
    return [(one.kind, one.label) for one in registry.manifests()]


def _day_cap(row: Organisation) -> int | None:
    budget = calls.budget_of(row)
    return budget.day_cap if budget else None


def _day_left(row: Organisation) -> int | None:
    return calls.left_of_day(calls.budget_of(row))


def _received(row: Organisation) -> str:
    return filesizeformat(row.bytes_in)  # type: ignore[attr-defined]


def _days_chart(days: list[calls.Day]) -> dict[str, Any]:
    """The days from the oldest to the newest."""
    shown = list(reversed(days))
    names = [f"{one.day:%d %b}" for one in shown]
    return charts.bars(names, [("Calls", [one.calls for one in shown])])


@may_view
def calls_of(request: HttpRequest, number: int) -> HttpResponseBase:
    """The days of one organisation, and what reading everything again would take."""
    row = _organisation(number)
    if request.GET.get("format") == "days":
        return _days_file(row)
    return _calls_page(request, row)


def _calls_page(
    request: HttpRequest, row: Organisation, counted: Estimate | None = None
) -> HttpResponse:
    is_books = _is_books(row)
    budget, hours = calls.budget_of(row), calls.hours(row)
    left, coming = calls.left_of_day(budget), calls.forecasts([row.pk])[row.pk]
    values: dict[str, Any] = {
        "title": f"Calls of {row.name}",
        "crumbs": CALLS_CRUMBS,
        "organisation": row,
        "budget": budget,
        "left": left,
        "coming": coming,
        "too_many": left is not None and coming > sum(hours) + left,
        "pause": calls.pauses([row.pk]).get(row.pk),
        "limit_words": LIMIT_WORDS,
        "days": calls.days(row),
        "used": sum(hours),
        "chart": charts.bars([f"{hour}:00" for hour in range(24)], [("Calls", hours)]),
        "counted": counted,
        "estimate": (counted or estimates.known(row)) if is_books else None,
        **_backfill(request, row),
    }
    return render(request, "sync/calls.html", values)


@may_admin
@require_POST
def count_records(request: HttpRequest, number: int) -> HttpResponse:
    """Ask the vendor how many records there are, and show what reading all of them takes."""
    row = _organisation(number)
    try:
        return _calls_page(request, row, estimates.counted(row))
    except Failure as failure:
        messages.error(request, str(failure))
        return redirect("sync:calls", row.pk)


@may_admin
@require_POST
def read_everything(request: HttpRequest, number: int) -> HttpResponse:
    """Begin a back-fill of an organisation."""
    row = _organisation(number)
    try:
        made = backfill.begin(row, estimates.known(row) if _is_books(row) else None)
    except BadSettings as failure:
        messages.error(request, str(failure))
    else:
        messages.success(request, f"{len(made.feeds)} feeds of {row.name} are read from the start.")
    return redirect("sync:calls", row.pk)


def _is_books(row: Organisation) -> bool:
    return registry.manifest(row.connection.kind).role == SystemRole.BOOKS


@may_view
def backfill_progress(request: HttpRequest, number: int) -> HttpResponse:
    """How far the back-fill is; the calls page asks for it every few seconds."""
    return render(request, "sync/backfill.html", _backfill(request, _organisation(number)))


def _backfill(request: HttpRequest, row: Organisation) -> dict[str, Any]:
    writes = person_of(request).may(Role.ADMIN)
    return {"organisation": row, "backfill": backfill.progress(row), "writes": writes}


@may_admin
@require_POST
def pause_backfill(request: HttpRequest, number: int) -> HttpResponse:
    """Pause the back-fill of an organisation, or resume it."""
    row = _organisation(number)
    found = backfill.of(row)
    if found is None:
        messages.info(request, "Everything is read already.")
    elif found.state == found.State.PAUSED:
        backfill.resume(found)
        messages.success(request, "The back-fill goes on from where it stopped.")
    else:
        backfill.pause(found)
        messages.success(request, "The back-fill is paused after the page that is being read.")
    return redirect("sync:calls", row.pk)


@may_admin
@require_POST
def cancel_backfill(request: HttpRequest, number: int) -> HttpResponse:
    """End the back-fill of an organisation before it has read everything."""
    row = _organisation(number)
    found = backfill.of(row)
    if found is None:
        messages.info(request, "Everything is read already.")
    else:
        backfill.cancel(found)
        messages.success(request, "The back-fill is cancelled; what was read stays.")
    return redirect("sync:calls", row.pk)


def _days_file(row: Organisation | None = None) -> HttpResponse:
    """Calls and bytes by organisation and day as a file."""
    first: date = now().date() - timedelta(days=365)
    told = StringIO()
    writer = csv.writer(told)
    writer.writerow(["Day", "Organisation", "Calls", "Refused", "Bytes received", "Bytes sent"])
    for one in calls.by_day(first, row):
        day = one.day
        numbers = (day.calls, day.failed, day.bytes_in, day.bytes_out)
        # A name from outside that begins like a formula would be run by a spreadsheet.
        # https://owasp.org/www-community/attacks/CSV_Injection
        writer.writerow([day.day, one.organisation.lstrip("=+-@"), *numbers])
    return HttpResponse(
        "\ufeff" + told.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="calls-by-day.csv"'},
    )


ITEM_STATES = [(str(value), str(label).capitalize()) for value, label in Item.State.choices]
ITEM_TONES = {"in_step": "good", "held": "bad"}


@may_view
def items(request: HttpRequest) -> HttpResponseBase:
    """Products of the PSA that are items of the books."""
    writes = person_of(request).may(Role.BOOKKEEPER)
    # Who only looks is led nowhere that would turn them away.
    address = _item_address if writes else ""
    return ListPage(
        Item.objects.select_related("organisation"),
        title="Items",
        noun="items",
        singular="item",
        columns=[
            Column("product", "Product", link=address, detail="name", sort="product"),
            Column("organisation.name", "Organisation"),
            Column("code", "Code in the books"),
            Column("state", "State", html=_item_state, value=lambda row: row.state),
            Column("why", "Why", phone=False),
            Column("how", "Made", value=_made_by, phone=False),
            Column("changed_at", "Changed", kind="when", phone=False),
        ],
        search=["product", "name", "code"],
        filters=[
            Choice("organisation", "Organisation", ledger_queries.organisations),
            Choice(
                "state", "State", [(str(v), str(n).capitalize()) for v, n in Item.State.choices]
            ),
        ],
        order="product",
        above="sync/items_above.html",
        extra={"writes": writes},
        empty=Empty(
            "No product is an item yet",
            "Switch items on in an organisation's settings: each is created when a line first "
            "needs it, and follows the PSA's catalogue.",
            icon="package",
        ),
    ).respond(request)


def _item_state(row: Item) -> SafeString:
    return badge(row.get_state_display().capitalize(), ITEM_TONES.get(row.state, "plain"))


def _made_by(row: Item) -> str:
    words = {
        "created": "by Psaltery",
        "found": "in the books before",
        "chosen": "chosen by a person",
    }
    return words.get(row.how, "")


def _item_address(row: Item) -> str:
    chosen = urlencode({"organisation": row.organisation_id, "product": row.product})
    return f"{reverse('sync:choose_item')}?{chosen}"


@may_write
def choose_item(request: HttpRequest) -> HttpResponse:
    """Say which item of the books a product is."""
    form = ItemForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            sentence, released = items_of.choose(**form.cleaned_data)
        except BadSettings as failure:
            form.add_error(failure.which if failure.which in form.fields else None, str(failure))
        except Failure as failure:
            form.add_error(None, str(failure))
        else:
            messages.success(request, f"{sentence}{_again(released)}")
            return redirect("sync:items")
    crumbs = [("Items", reverse("sync:items"))]
    values = {"title": "Choose an item", "crumbs": crumbs, "form": form}
    return render(request, "sync/item.html", values)
