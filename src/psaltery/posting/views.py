"""Pages of documents: the list, one document on both sides, force-sync, skip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write, person_of
from psaltery.accounts.models import Role
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.audit import queries as audit
from psaltery.audit.filters import Exactly
from psaltery.audit.models import Entry
from psaltery.connections.models import Connection, Organisation
from psaltery.connections.opening import unchecked_adapter
from psaltery.connections.organisations import site_of
from psaltery.desk.models import Document
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.posting import forecast as forecasting
from psaltery.posting import queries, service
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.records.psa import DocumentKind
from psaltery.review.models import Blocked, Card
from psaltery.sync import force as forcing
from psaltery.sync.repairs import offered
from psaltery.web.format import amount_text, count_text
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage
from psaltery.web.searching import searched

ATTEMPTS_SHOWN = 20
HISTORY_SHOWN = 15
KINDS = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.CREDIT_MEMO: "Credit memo",
    DocumentKind.BILL: "Bill",
    DocumentKind.EXPENSE: "Expense",
    DocumentKind.PURCHASE_ORDER: "Purchase order",
}


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """Every document of the PSA and where it stands."""
    return _list(request).respond(request)


@may_view
def figures(request: HttpRequest) -> HttpResponse:
    """The figures above the list: asked for by the page itself, which does not wait for them."""
    return render(request, "posting/figures.html", {"figures": _figures()})


def _list(request: HttpRequest) -> ListPage:
    writes = person_of(request).may(Role.BOOKKEEPER)
    return ListPage(
        queries.documents(),
        title="Documents",
        noun="documents",
        singular="document",
        columns=[
            Column("number", "Number", html=_number_to_pick if writes else _number, sort="number"),
            Column("company_name", "Customer", detail=_agreement, sort="company_name"),
            Column("organisation", "Organisation", value=_organisation_name),
            Column("type", "Type", detail=_kind_beside_type, phone=False),
            Column("issued_on", "Date", kind="day", sort="issued_on"),
            Column("state", "State", kind="state", value=queries.state_of),
            Column("total", "Total", kind="money", currency="currency", sort="total"),
            Column("balance", "Open", kind="money", currency="currency", phone=False),
        ],
        search=["number", "company_name"],
        filters=[
            Choice("state", "State", _state_choices(), narrow=_by_state),
            Choice("kind", "Kind", [(str(kind), label) for kind, label in KINDS.items()]),
            Choice("type", "Type", queries.types),
            Choice(
                "organisation",
                "Organisation",
                queries.books_organisations,
                field="posting__organisation",
            ),
            Exactly("customer", "Customer", _by_customer),
            DateRange("date", "Date", "issued_on"),
        ],
        order="-issued_on",
        actions="posting/index_actions.html",
        above="posting/index_above.html",
        template="posting/index.html",
        foot="posting/index_foot.html" if writes else "",
        refresh_seconds=10,
        empty=Empty(
            "No documents yet",
            "Closed invoices of your PSA appear here with what became of them in the books.",
            icon="file-invoice",
            action="Connect your systems",
            url=reverse("connections:index"),
        ),
        extra={"most": forcing.MOST},
    )


# Up to here a list of ids is quicker; above it the order of the list finds a page sooner.
_FEW = 10_000


def _state_choices() -> list[tuple[str, str]]:
    each = [(value, label.capitalize()) for value, label in Posting.State.choices]
    together = [
        ("open", "Not in step"),
        ("moving", "On their way"),
        ("stopped", "Held or refused"),
    ]
    return [*together, *each]


def _by_state(rows: QuerySet[Document], value: str) -> QuerySet[Document]:
    states = queries.STATES_TOGETHER.get(value, (value,))
    found = Posting.objects.filter(state__in=states).values("pk")
    if found[: _FEW + 1].count() > _FEW:
        return rows.filter(posting__state__in=states)
    # Cut so that PostgreSQL begins with these, not with all documents in the order of the list.
    return rows.filter(pk__in=found[:_FEW])


def _by_customer(rows: QuerySet[Document], text: str) -> QuerySet[Document]:
    return searched(rows, ["company_name"], text)


def _address(row: Document) -> str:
    return reverse("posting:document", args=[row.pk])


def _number(row: Document) -> SafeString:
    return format_html('<a href="{}">{}</a>', _address(row), row.number or "no number")


def _number_to_pick(row: Document) -> SafeString:
    return format_html(
        '<span class="pick"><input class="form-check-input" type="checkbox" form="pick"'
        ' name="document" value="{}" aria-label="Choose {}">{}</span>',
        row.pk,
        row.number,
        _number(row),
    )


def _agreement(row: Document) -> str:
    return row.agreement


def _organisation_name(row: Document) -> str:
    organisation = queries.organisation_of(row)
    return organisation.name if organisation else ""


def _kind_beside_type(row: Document) -> str:
    label = KINDS.get(DocumentKind(row.kind), row.kind)
    return "" if label.replace(" ", "").casefold() == row.type.casefold() else label


def _figures() -> list[dict[str, Any]]:
    found = queries.figures()
    held = " + ".join(f"{amount_text(sum_, code)} {code}" for code, sum_ in found.stopped_money)
    rows = [
        ("in step", found.in_step, "in_step", "checks", "good", ""),
        ("on their way", found.on_the_way, "moving", "send", "info", "They go on by themselves"),
        ("held or refused", found.stopped, "stopped", "hand-stop", "warn", held),
        ("skipped", found.skipped, "skipped", "player-skip-forward", "plain", ""),
    ]
    names = ("label", "count", "state", "icon", "tone", "detail")
    return [{**dict(zip(names, row, strict=True)), "value": _capped(row[1])} for row in rows]


def _capped(count: int) -> str:
    more = count > queries.COUNT_CAP
    return f"{count_text(queries.COUNT_CAP)}+" if more else count_text(count)


@may_view
def forecast(request: HttpRequest) -> HttpResponse:
    """What will miss the next lock of each organisation, with its money."""
    numbers = [int(number) for number, _ in queries.books_organisations()]
    rows = Organisation.objects.filter(pk__in=numbers).order_by("name")
    values = {
        "title": "What will miss the next lock",
        "crumbs": [("Documents", reverse("posting:index"))],
        "forecasts": forecasting.forecasts(list(rows)),
    }
    return render(request, "posting/forecast.html", values)


@may_view
def rounding(request: HttpRequest) -> HttpResponseBase:
    """Every cent that was added so that the books come to the PSA's totals."""
    page = ListPage(
        queries.rounded(),
        title="Rounding",
        noun="documents",
        singular="document",
        crumbs=[("Documents", reverse("posting:index"))],
        columns=[
            Column("document.number", "Number", link=_rounded_address),
            Column("document.company_name", "Customer"),
            Column("organisation.name", "Organisation", phone=False),
            Column("document.issued_on", "Date", kind="day"),
            Column("linked_at", "Posted", kind="when", sort="linked_at", phone=False),
            Column("document.total", "Total", kind="money", currency="document.currency"),
            Column("rounding", "Line added", kind="money", currency="document.currency"),
            Column("tax_rounding", "Tax changed", kind="money", currency="document.currency"),
        ],
        search=["document__number", "document__company_name"],
        filters=[
            Choice("organisation", "Organisation", queries.books_organisations),
            DateRange("date", "Date", "document__issued_on"),
        ],
        order="-linked_at",
        above="posting/rounding_above.html",
        empty=Empty(
            "Nothing was rounded",
            "Where the books would come to another cent than the PSA, what was added so that both "
            "agree is listed here.",
            icon="scale",
        ),
    )
    page.extra = {"figures": _rounding_figures(page.found(request))}
    return page.respond(request)


def _rounding_figures(rows: QuerySet[Link]) -> list[dict[str, str]]:
    return [
        {
            "label": f"Added in {currency} by lines",
            "value": amount_text(lines),
            "detail": f"{amount_text(taxes)} to taxes, {count_text(count)} documents",
        }
        for currency, count, lines, taxes in queries.rounding_sums(rows)
    ]


def _rounded_address(row: Link) -> str:
    return reverse("posting:document", args=[row.document_id])


# One document.


@may_view
def document(request: HttpRequest, number: int) -> HttpResponse:
    """One document: both sides line by line, why, what holds it, attempts, payments, history."""
    row = get_object_or_404(Document.objects.select_related("connection"), pk=number)
    posting = Posting.objects.select_related("organisation").filter(document=row).first()
    link = Link.objects.select_related("organisation__connection").filter(document=row).first()
    found = queries.sides(row)
    writes = person_of(request).may(Role.BOOKKEEPER)
    values = {
        "title": row.number or "Document without a number",
        "crumbs": [("Documents", reverse("posting:index"))],
        "document": row,
        "kind": KINDS.get(DocumentKind(row.kind), row.kind),
        "posting": posting,
        "link": link,
        "state": queries.state_of(row),
        "sides": found,
        "route": found.route,
        "difference": found.differences(row),
        "cards": [_card(card, writes=writes) for card in queries.cards(row)],
        "attempts": [_attempt(one) for one in _attempts(row)],
        "touches": list(queries.touches(link)) if link else [],
        "taken": list(PaymentTaken.objects.filter(document=row).order_by("paid_on", "pk")),
        "back": PaymentBack.objects.filter(document=row).first(),
        "history": _history(row),
        "psa_url": _psa_address(row),
        "books_url": _books_address(link) if link else "",
        "mapping_url": _mapping_address(),
        "may_write": writes,
        "may_skip": writes and link is None and _is(posting, service.SKIPPABLE),
        "may_unskip": writes and posting is not None and bool(posting.skipped_by),
    }
    return render(request, "posting/document.html", values)


def _is(posting: Posting | None, states: Sequence[str]) -> bool:
    return posting is not None and posting.state in states


def _card(card: Card, *, writes: bool) -> dict[str, Any]:
    """An exception, and which of its repairs need no answer and so can stand beside it."""
    repairs = offered(card) if writes else {}
    return {
        "card": card,
        "here": [(name, repair.label) for name, repair in repairs.items() if _asks_nothing(name)],
        "there": [repair.label for name, repair in repairs.items() if not _asks_nothing(name)],
    }


def _asks_nothing(name: str) -> bool:
    return name in ("retry", "restore_contact", "read_settings")


def _attempts(row: Document) -> QuerySet[Attempt]:
    found = Attempt.objects.filter(document=row).select_related("organisation")
    return found.order_by("-pk")[:ATTEMPTS_SHOWN]


_ATTEMPT_TONES = {
    Attempt.State.SETTLED: "good",
    Attempt.State.FOUND: "good",
    Attempt.State.REJECTED: "bad",
    Attempt.State.UNCERTAIN: "warn",
}


def _attempt(one: Attempt) -> dict[str, Any]:
    tone = _ATTEMPT_TONES.get(Attempt.State(one.state), "plain")
    return {"row": one, "payload": _readable(one.payload), "tone": tone}


def _readable(text: str) -> str:
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        return text


def _history(row: Document) -> list[Any]:
    if not row.number:
        return []
    found = audit.entries(audit.Search(document=row.number))[:HISTORY_SHOWN]
    return [{"row": one, "words": one.sentence or _request_words(one)} for one in found]


def _request_words(entry: Entry) -> str:
    said = entry.operation.replace("_", " ").replace(".", ": ")
    answer = f", answer {entry.status}" if entry.status else ""
    return f"{entry.system.capitalize()}: {said}{answer}"


def _psa_address(row: Document) -> str:
    # Without a connection there is nothing to make an address of.
    if row.connection.state != Connection.State.CONNECTED:
        return ""
    adapter = _adapter(site_of(row.connection))
    return str(adapter.web_address(row.kind, row.external_id)) if adapter else ""


def _books_address(link: Link) -> str:
    organisation = link.organisation
    if organisation.connection.state != Connection.State.CONNECTED:
        return ""
    adapter = _adapter(organisation)
    if adapter is None:
        return ""
    return str(adapter.web_address(link.books_kind, link.books_id, organisation.short_code))


def _adapter(organisation: Organisation) -> Any:
    """The adapter, for its addresses alone; None where the connection lacks what it needs."""
    try:
        return unchecked_adapter(organisation, Priority.INTERACTIVE)
    except Failure:
        return None


def _mapping_address() -> str:
    # An installation may be served without the mapping pages.
    try:
        return reverse("mapping:index")
    except NoReverseMatch:
        return ""


# What a person does.


@may_write
@require_POST
def force(request: HttpRequest, number: int) -> HttpResponse:
    """Read one document again and decide about it, ahead of everything else."""
    row = get_object_or_404(Document, pk=number)
    forcing.document(row)
    messages.success(request, f"{row.number} is read again and goes ahead of everything else.")
    return redirect("posting:document", number)


@may_write
@require_POST
def skip(request: HttpRequest, number: int) -> HttpResponse:
    """Leave a document out until it is taken up again."""
    row = get_object_or_404(Document, pk=number)
    if service.skip([number], person_of(request).email):
        messages.success(request, f"{row.number} is skipped. It stays so until you take it up.")
    else:
        messages.error(request, f"{row.number} is being sent or is in the books already.")
    return redirect("posting:document", number)


@may_write
@require_POST
def unskip(request: HttpRequest, number: int) -> HttpResponse:
    """Decide again about a document that was skipped."""
    row = get_object_or_404(Document, pk=number)
    if forcing.take_up([number]):
        messages.success(request, f"{row.number} is taken up again.")
    return redirect("posting:document", number)


@may_write
def force_many(request: HttpRequest) -> HttpResponse:
    """Force-sync the chosen documents, or all found: first says how many, then does it."""
    found = _wanted(request)
    rows = list(found.order_by("-issued_on", "-pk")[: forcing.MOST])
    if request.method == "POST":
        forcing.documents(rows)
        what = "document is" if len(rows) == 1 else "documents are"
        messages.success(request, f"{len(rows)} {what} read again, ahead of everything else.")
        return redirect(_back(request.GET))
    if not rows:
        messages.info(request, "Choose at least one document first.")
        return redirect(_back(request.GET))
    # Said before anything is done: what is cut must not look as if it were all.
    count = found.order_by().values("pk")[: queries.COUNT_CAP + 1].count()
    values = {
        "title": f"Force-sync {count_text(len(rows))} document{'' if len(rows) == 1 else 's'}?",
        "crumbs": [("Documents", reverse("posting:index"))],
        "rows": rows[:20],
        "chosen": len(rows),
        "found": _capped(count),
        "cut": count > len(rows),
        "money": queries.money_by_currency(Document.objects.filter(pk__in=[r.pk for r in rows])),
        "back": _back(request.GET),
    }
    return render(request, "posting/force_many.html", values)


def _wanted(request: HttpRequest) -> QuerySet[Document]:
    if request.GET.get("all") == "1":
        page = _list(request)
        page.filters = [item.prepared() for item in page.filters]
        return page.found(request)
    if card := _of_card(request.GET):
        return queries.documents().filter(
            pk__in=Blocked.objects.filter(card=card).values("document")
        )
    ids = [int(text) for text in request.GET.getlist("document") if text.isdecimal()]
    return queries.documents().filter(pk__in=ids[: forcing.MOST])


def _of_card(query: QueryDict) -> int:
    """The exception whose documents are meant; 0: none."""
    text = query.get("card", "")
    # As many digits as PostgreSQL takes for a number of a row.
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _back(query: QueryDict) -> str:
    if card := _of_card(query):
        return reverse("review:card", args=[card])
    kept = query.copy()
    for name in ("all", "document"):
        kept.pop(name, None)
    address = reverse("posting:index")
    return f"{address}?{kept.urlencode()}" if kept else address
