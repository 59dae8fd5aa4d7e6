"""Pages of mapping: what keys become, where documents go, which contact a company is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write, person_of
from psaltery.accounts.models import Role
from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Company
from psaltery.kit.clock import now
from psaltery.ledger.models import Customer
from psaltery.mapping import csv_io, importing, pages, queries, service
from psaltery.mapping.forms import Rules, read_keys
from psaltery.mapping.lookup import KEYS, folded
from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.mapping.routing import FIELDS
from psaltery.mapping.targets import Targets
from psaltery.sync import push
from psaltery.sync.coverage import coverage_of, lists_of, release, suggested
from psaltery.web.format import badge, count_text
from psaltery.web.lists import Choice, Column, Empty, ListPage

PAGE = 50
# A month has an invoice of nearly every agreement, so nearly every rule is tried.
BENCH = timedelta(days=31)


def _writes(request: HttpRequest) -> bool:
    return person_of(request).may(Role.BOOKKEEPER)


def _number(text: str | None) -> int:
    """An id from an address; 0, which nothing has, where it is none."""
    # Short of 18 digits it fits a bigint; a longer one would be an error of the database.
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _organisations(request: HttpRequest) -> tuple[list[Organisation], Organisation | None]:
    """All organisations, and the one that the address names; the first when it names none."""
    every = list(queries.books_organisations())
    wanted = _number(request.GET.get("organisation"))
    return every, next((one for one in every if one.pk == wanted), every[0] if every else None)


# Accounts, tax rates, tracking


@may_view
def index(request: HttpRequest) -> HttpResponse:
    """What the keys of an organisation become, and what nothing answers for."""
    if traced := _number(request.GET.get("mapping")):
        return _to_mapping(traced)
    return _index(request)


def _to_mapping(number: int) -> HttpResponse:
    """Where a trace leads: the list with the entry that answered."""
    row = get_object_or_404(Mapping, pk=number)
    query = {"organisation": row.organisation_id, "list": row.list, "kind": row.key_kind}
    return redirect(f"{reverse('mapping:index')}?{urlencode({**query, 'q': row.key})}")


def _index(request: HttpRequest, **said: Any) -> HttpResponse:
    every, organisation = _organisations(request)
    values: dict[str, Any] = {"title": "Mapping", "organisations": every, "tab": "account", **said}
    values["lists"] = lists_of(*([organisation] if organisation else every))
    if organisation is not None:
        values |= _section(request, organisation)
    part = request.headers.get("HX-Target") == "mapping"
    return render(request, "mapping/section.html" if part else "mapping/index.html", values)


def _view(request: HttpRequest, organisation: Organisation) -> pages.View:
    asked = request.GET
    list_ = asked.get("list", "")
    list_ = list_ if list_ in KEYS else "account"
    show, kind = asked.get("show", ""), asked.get("kind", "")
    return pages.View(
        organisation=organisation,
        list=list_,
        query=asked.get("q", "").replace("\x00", "").strip()[:100],
        show=show if show in pages.SHOW else "",
        kind=kind if kind in KEYS[list_] else "",
    )


def _section(request: HttpRequest, organisation: Organisation) -> dict[str, Any]:
    view = _view(request, organisation)
    targets = Targets(organisation, view.list)
    coverage = coverage_of(organisation, view.list, targets)
    if not view.show:
        # Before the first document there is nothing else to see than what may come.
        view = replace(view, show="relevant" if coverage.lines or view.query else "all")
    learned = suggested(organisation, view.list)
    rows = pages.shown_rows(coverage, view, targets, learned)
    return {
        "tab": view.list,
        "organisation": organisation,
        "view": view,
        "coverage": coverage,
        "open_money": pages.by_size(coverage.open_money),
        "targets": targets.choices(),
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "count": len(rows),
        "shows": pages.SHOW,
        "changes": queries.changes(organisation),
        "writes": _writes(request),
        "query": _state(request).urlencode(),
        "query_without_page": _state(request, page="").urlencode(),
        "covered_text": pages.covered_text(coverage),
        "gap_label": "gap" if coverage.gaps == 1 else "gaps",
        "todo_url": f"?{_state(request, show='todo', q='', kind='', page='').urlencode()}",
    }


def _state(request: HttpRequest, **changes: str) -> QueryDict:
    """The address's query with some members changed, for links back to this view."""
    state = request.GET.copy()
    for name, value in changes.items():
        state[name] = value
    for name in [name for name, value in state.items() if not value]:
        del state[name]
    return state


@may_write
@require_POST
def set_keys(request: HttpRequest) -> HttpResponse:
    """Map one key, or all the ticked ones, to the same target."""
    _, organisation = _organisations(request)
    keys, text = read_keys(request.POST.getlist("key")), request.POST.get("target", "")
    if organisation is None:
        return redirect("mapping:index")
    view = _view(request, organisation)
    try:
        if not keys:
            raise BadSettings("Tick the keys to map first.", which="key")
        # Resolved once, before the first is saved: a target that is refused changes nothing.
        target = Targets(organisation, view.list).resolve(text)
        # All the ticked keys or none: a person must not have to look which were taken.
        with transaction.atomic():
            for key in keys:
                service.set_mapping(organisation, view.list, key.kind, key.value, target)
    except BadSettings as failure:
        wrong = {"token": request.POST.getlist("key")[0] if len(keys) == 1 else "bulk"}
        return _index(request, problem=str(failure), wrong={**wrong, "text": text})
    label = Targets(organisation, view.list).label(target)
    what = queries.key_words(keys[0]) if len(keys) == 1 else f"{len(keys)} keys"
    return _changed(request, organisation, view.list, f"{what} → {label}.")


@may_write
@require_POST
def remove_key(request: HttpRequest) -> HttpResponse:
    """Take one mapping away; what is posted stays."""
    _, organisation = _organisations(request)
    keys = read_keys(request.POST.getlist("key"))
    if organisation is None or not keys:
        return redirect("mapping:index")
    view, key = _view(request, organisation), keys[0]
    rows = Mapping.objects.filter(organisation=organisation, list=view.list, key_kind=key.kind)
    for row in rows.select_related("organisation__connection"):
        if folded(row.key) == folded(key.value):
            service.remove_mapping(row)
    return _changed(request, organisation, view.list, f"{queries.key_words(key)} is unmapped.")


def _changed(
    request: HttpRequest, organisation: Organisation, list_: str, sentence: str
) -> HttpResponse:
    """Decide again about what is held, and say so: in the part of the page, or on the next one."""
    sentence = f"{sentence} {_released(release(organisation, [list_]))}".strip()
    if request.headers.get("HX-Target") == "mapping":
        return _index(request, said=sentence)
    messages.success(request, sentence)
    return redirect(f"{reverse('mapping:index')}?{_state(request).urlencode()}")


def _released(count: int) -> str:
    if not count:
        return ""
    return (
        "1 held document goes again."
        if count == 1
        else f"{count_text(count)} held documents go again."
    )


# Routes


@may_view
def routes(request: HttpRequest) -> HttpResponse:
    """The rules that say where documents go: edited and tried here, saved when a person says so."""
    every = list(queries.psa_connections())
    wanted = _number(request.GET.get("connection"))
    connection = next((one for one in every if one.pk == wanted), every[0] if every else None)
    if connection is None:
        values = {"title": "Mapping", "tab": "routes", "connections": every}
        values["lists"] = lists_of(*queries.books_organisations())
        return render(request, "mapping/routes.html", values)
    if request.method == "POST" and _writes(request):
        return _routes_sent(request, connection)
    stored = Route.objects.filter(connection=connection)
    return _routes_page(request, connection, Rules.stored(stored))


def _routes_sent(request: HttpRequest, connection: Connection) -> HttpResponse:
    rules, action = Rules.sent(request.POST), request.POST.get("do", "")
    if action == "save":
        organisations = {str(one.pk): one for one in queries.books_organisations()}
        # Checked again on the server: the books may have lost an organisation since.
        if rules.check(organisations):
            service.save_routes(connection, rules.rules(organisations))
            # Only what is not posted yet: what is in one organisation's books stays there.
            count = push.reroute(connection)
            messages.success(request, f"The rules are saved. {_rerouted(count)}".strip())
            return _go(request, f"{reverse('mapping:routes')}?connection={connection.pk}")
        return _routes_page(request, connection, rules, problems=True)
    rules.act(action)
    return _routes_page(request, connection, rules, edited=True)


def _rerouted(count: int) -> str:
    return (
        f"{count_text(count)} documents that are not posted yet are routed anew." if count else ""
    )


def _go(request: HttpRequest, address: str) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        return redirect(address)
    answer = HttpResponse(status=204)
    answer["HX-Redirect"] = address
    return answer


def _routes_page(
    request: HttpRequest,
    connection: Connection,
    rules: Rules,
    *,
    edited: bool = False,
    problems: bool = False,
) -> HttpResponse:
    organisations = {str(one.pk): one for one in queries.books_organisations()}
    rules.check(organisations)
    since = (now() - BENCH).date()
    tried = queries.trial(connection, rules.tried(organisations), since)
    for row, takes in zip(rules.rows, tried.by_rule, strict=True):
        row.takes = takes
    values = {
        "title": "Mapping",
        "tab": "routes",
        "connection": connection,
        "connections": queries.psa_connections(),
        "organisation_choices": [(str(pk), one.name) for pk, one in organisations.items()],
        "fields": [(name, label) for name, (label, _) in FIELDS.items()],
        "values": queries.occurring(connection),
        "rules": rules.rows,
        "trial": tried,
        "edited": edited or problems,
        "problems": problems,
        "writes": _writes(request),
        "lists": lists_of(*queries.books_organisations()),
    }
    target = request.headers.get("HX-Target", "")
    template = {"routes": "mapping/routes_form.html", "bench": "mapping/bench.html"}.get(
        target, "mapping/routes.html"
    )
    return render(request, template, {**values, "part": bool(target)})


# CSV


@may_view
def export_mappings(request: HttpRequest) -> HttpResponse:
    """All mappings of all organisations, or of the one that the address names."""
    every, _ = _organisations(request)
    wanted = _number(request.GET.get("organisation"))
    return importing.file(
        csv_io.mappings_csv([one for one in every if wanted in (0, one.pk)]), "mappings"
    )


@may_view
def export_routes(request: HttpRequest) -> HttpResponse:
    """The rules of a connection."""
    connection = get_object_or_404(
        queries.psa_connections(), pk=_number(request.GET.get("connection"))
    )
    return importing.file(csv_io.routes_csv(connection), "routes")


@may_write
def import_mappings(request: HttpRequest) -> HttpResponse:
    """Read a CSV of mappings: a report row by row first, then save what is right."""
    organisations = list(queries.books_organisations())

    def save(report: csv_io.Report[csv_io.NewMapping]) -> str:
        csv_io.save_mappings(report.good)
        count = 0
        for one in organisations:
            lists = {row.list for row in report.good if row.organisation.pk == one.pk}
            count += release(one, sorted(lists))
        return f"{count_text(report.changing)} mappings are saved. {_released(count)}".strip()

    return importing.page(
        request,
        "mappings",
        check=lambda text: csv_io.check_mappings(text, organisations),
        save=save,
        back=reverse("mapping:index"),
        export=reverse("mapping:export"),
    )


@may_write
def import_routes(request: HttpRequest) -> HttpResponse:
    """Read a CSV of rules, which take the place of all rules of the connection."""
    connection = get_object_or_404(
        queries.psa_connections(), pk=_number(request.GET.get("connection"))
    )
    organisations = list(queries.books_organisations())

    def save(report: csv_io.Report[csv_io.NewRule]) -> str:
        csv_io.replace_routes(connection, report.good)
        return f"{len(report.good)} rules are saved. {_rerouted(push.reroute(connection))}".strip()

    state = urlencode({"connection": connection.pk})
    return importing.page(
        request,
        "routes",
        check=lambda text: csv_io.check_routes(text, connection, organisations),
        save=save,
        back=f"{reverse('mapping:routes')}?{state}",
        export=f"{reverse('mapping:export_routes')}?{state}",
    )


# Contacts


@may_view
def contacts(request: HttpRequest) -> HttpResponseBase:
    """Companies with documents of an organisation, and the contacts they are."""
    every, organisation = _organisations(request)
    if organisation is None:
        values = {"title": "Mapping", "tab": "contacts", "organisations": every}
        values["lists"] = lists_of(*every)
        return render(request, "mapping/index.html", values)
    page = ListPage(
        queries.companies(organisation),
        title="Mapping",
        noun="companies",
        columns=[
            Column("name", "Company", link=_opener(organisation), detail="identifier", sort="name"),
            Column("link_name", "Contact in the books"),
            Column("link_how", "How", value=lambda row: pages.HOW.get(row.link_how, row.link_how)),
            Column("linked_at", "Linked", kind="when", phone=False),
            Column("state", "State", html=_link_state, value=_link_word),
        ],
        search=["name"],
        filters=[Choice("linked", "State", LINKED, narrow=_by_link)],
        order="name",
        template="mapping/contacts.html",
        empty=Empty(
            "No companies yet",
            "Companies appear here once documents of theirs go to this organisation.",
            icon="address-book",
        ),
        extra={
            "tab": "contacts",
            "organisations": every,
            "organisation": organisation,
            "lists": lists_of(organisation),
        },
    )
    return page.respond(request)


LINKED = [("no", "Not linked"), ("yes", "Linked")]


def _opener(organisation: Organisation) -> Callable[[Company], str]:
    return lambda row: reverse("mapping:contact", args=[organisation.pk, row.pk])


def _by_link(rows: QuerySet[Any], value: str) -> QuerySet[Any]:
    return rows.filter(linked_at__isnull=value == "no")


def _link_word(row: Any) -> str:
    return "Linked" if row.linked_at else "Not linked"


def _link_state(row: Any) -> SafeString:
    return badge(_link_word(row), "good" if row.linked_at else "warn")


@may_view
def contact(request: HttpRequest, organisation: int, company: int) -> HttpResponse:
    """One company in one organisation: which contact it is, and which it may be."""
    book = get_object_or_404(queries.books_organisations(), pk=organisation)
    row = get_object_or_404(Company.objects.select_related("connection"), pk=company)
    if request.method == "POST" and _writes(request):
        return _link(request, book, row, request.POST.get("contact", ""))
    text = request.GET.get("q", "").strip()
    found = queries.found_contacts(book, text) if text else queries.likely_contacts(book, row)
    taken = queries.owners(book, found)
    link = ContactLink.objects.filter(organisation=book, company=row).first()
    values = {
        "title": row.name,
        "crumbs": [
            ("Mapping", reverse("mapping:index")),
            ("Contacts", f"{reverse('mapping:contacts')}?{urlencode({'organisation': book.pk})}"),
        ],
        "company": row,
        "organisation": book,
        "link": link,
        "how": pages.HOW.get(link.how, link.how) if link else "",
        "contact": queries.linked_contact(link),
        "waiting": queries.waiting_money(book, row),
        "found": [(one, taken.get(one.external_id, "")) for one in found],
        "query": text,
        "writes": _writes(request),
    }
    return render(request, "mapping/contact.html", values)


def _link(
    request: HttpRequest, organisation: Organisation, company: Company, contact_id: str
) -> HttpResponse:
    here = redirect("mapping:contact", organisation.pk, company.pk)
    rows = Customer.objects.filter(organisation=organisation, external_id=contact_id)
    chosen = rows.first()
    if chosen is None:
        messages.error(request, "Choose a contact.")
        return here
    # Xero takes only active contacts on documents:
    # https://developer.xero.com/documentation/api/accounting/contacts
    if chosen.state != "active":
        messages.error(request, f"{chosen.name} is archived in the books; restore it there first.")
        return here
    service.link_contact(organisation, company, chosen.external_id, chosen.name, how="person")
    count = push.reconsider_companies(company.connection, [company.external_id])
    messages.success(request, f"{company.name} is {chosen.name}. {_released(count)}".strip())
    return here


@may_write
@require_POST
def unlink(request: HttpRequest, organisation: int, company: int) -> HttpResponse:
    """Take a link away; the next document of the company links or asks again."""
    links = ContactLink.objects.select_related("company", "organisation__connection")
    link = get_object_or_404(links, organisation=organisation, company=company)
    service.unlink_contact(link)
    messages.success(request, f"{link.company.name} is not linked any more.")
    return redirect("mapping:contact", organisation, company)
