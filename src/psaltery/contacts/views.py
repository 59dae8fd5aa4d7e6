"""Pages that pair contacts of the books with companies of the PSA, many in a few minutes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write, person_of
from psaltery.accounts.models import Role
from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Organisation
from psaltery.contacts import queries, service
from psaltery.contacts.models import Decision, Suggestion
from psaltery.desk.models import Company
from psaltery.mapping.models import ContactLink
from psaltery.mapping.queries import books_organisations
from psaltery.sync import pairing, push
from psaltery.sync.coverage import lists_of
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, Empty, ListPage

PAGE = 50
STATES = {"open": "Waiting", "aside": "Set aside"}


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 18 else 0


@may_view
def index(request: HttpRequest) -> HttpResponse:
    """The contacts of an organisation that wait for a company, the surest first."""
    every = list(books_organisations())
    wanted = _number(request.GET.get("organisation"))
    chosen = next((one for one in every if one.pk == wanted), every[0] if every else None)
    if chosen is None:
        return redirect("mapping:contacts")
    state = request.GET.get("state", "")
    state, text = state if state in STATES else "open", request.GET.get("q", "").strip()
    rows = queries.suggestions(chosen, state, text)
    values: dict[str, Any] = {
        "title": "Mapping",
        "tab": "contacts",
        "organisations": every,
        "organisation": chosen,
        "lists": lists_of(chosen),
        "standing": queries.standing(chosen),
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "states": STATES,
        "state": state,
        "query": text,
        "why": queries.WHY,
        "good": queries.GOOD,
        "shared": queries.shared(chosen),
        "resting": queries.resting(chosen),
        "writes": person_of(request).may(Role.BOOKKEEPER),
    }
    return render(request, "contacts/index.html", values)


@may_write
@require_POST
def settle(request: HttpRequest, number: int) -> HttpResponse:
    """One contact: it is this company, or no customer of the PSA."""
    row = get_object_or_404(
        Suggestion.objects.select_related("organisation__connection"), pk=number
    )
    try:
        if "aside" in request.POST:
            decision = service.set_aside(row)
        else:
            company = Company.objects.filter(pk=_number(request.POST.get("company"))).first()
            if company is None:
                raise BadSettings("Choose a company first.", which="company")
            decision = service.settle(row.organisation, row.contact_external_id, company)
            _reconsider(row.organisation, decision)
    except BadSettings as failure:
        return _refused(request, row, str(failure))
    return _settled(request, decision)


def _refused(request: HttpRequest, row: Suggestion, sentence: str) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        messages.error(request, sentence)
        return _back(row.organisation)
    values = {"row": row, "problem": sentence, "writes": True, "why": queries.WHY}
    return render(request, "contacts/row.html", values)


def _settled(request: HttpRequest, decision: Decision) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        messages.success(request, _sentence(decision))
        return _back(decision.organisation)
    return render(
        request, "contacts/done.html", {"decision": decision, "said": _sentence(decision)}
    )


def _sentence(decision: Decision) -> str:
    if decision.company is None:
        return f"{decision.contact_name} is set aside."
    moved = f" It was {decision.before_name} before." if decision.before_name else ""
    return f"{decision.contact_name} is {decision.company.name}.{moved}"


def _back(organisation: Organisation) -> HttpResponse:
    query = urlencode({"organisation": organisation.pk})
    return redirect(f"{reverse('contacts:index')}?{query}")


def _reconsider(organisation: Organisation, decision: Decision) -> None:
    """What was held for want of the contact goes again."""
    company = decision.company
    if company is not None:
        push.reconsider_companies(company.connection, [company.external_id])


@may_view
def search(request: HttpRequest, number: int) -> HttpResponse:
    """Companies by name, in the place of a row's candidates."""
    row = get_object_or_404(Suggestion, pk=number)
    text = request.GET.get("company_q", "").strip()
    found = queries.companies(row, text) if text else row.candidates
    values = {"row": row, "candidates": found, "why": queries.WHY, "searched": bool(text)}
    return render(request, "contacts/candidates.html", values)


@may_write
@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    """Settle all good suggestions of an organisation by their best candidate."""
    row = get_object_or_404(books_organisations(), pk=_number(request.POST.get("organisation")))
    rows = queries.suggestions(row).filter(best__gte=queries.GOOD)
    # Links and the new decisions together: held documents must not go before their contact.
    with transaction.atomic():
        done = service.accept(rows)
        for decision in done:
            _reconsider(row, decision)
    messages.success(request, f"{len(done)} contacts were linked. Each can be undone below.")
    return redirect(f"{reverse('contacts:decisions')}?organisation={row.pk}")


@may_write
@require_POST
def pair(request: HttpRequest) -> HttpResponse:
    """Look again now."""
    row = get_object_or_404(books_organisations(), pk=_number(request.POST.get("organisation")))
    done = pairing.pair(row.pk)
    messages.success(request, f"{done.linked} were linked by themselves, {done.open} wait for you.")
    return _back(row)


@may_write
@require_POST
def split(request: HttpRequest, number: int) -> HttpResponse:
    """Take one company off a contact that is several."""
    links = ContactLink.objects.select_related("company__connection", "organisation__connection")
    link = get_object_or_404(links, pk=number)
    service.split(link)
    messages.success(request, f"{link.company.name} is no longer {link.contact_name}.")
    return _back(link.organisation)


@may_write
@require_POST
def undo(request: HttpRequest, number: int) -> HttpResponse:
    """Put back what was before a decision."""
    decision = get_object_or_404(queries.decisions(), pk=number)
    try:
        service.undo(decision)
        said = f"{decision.contact_name} is as it was before."
    except BadSettings as failure:
        said = str(failure)
    if request.headers.get("HX-Request") == "true":
        row = Suggestion.objects.filter(
            organisation=decision.organisation,
            contact_external_id=decision.contact_external_id,
            state=Suggestion.State.OPEN,
        ).first()
        if row is None:
            return render(request, "contacts/done.html", {"said": said})
        values = {"row": row, "writes": True, "why": queries.WHY}
        return render(request, "contacts/row.html", values)
    messages.info(request, said)
    return redirect(f"{reverse('contacts:decisions')}?organisation={decision.organisation_id}")


@may_view
def decisions(request: HttpRequest) -> HttpResponseBase:
    """Every decision about contacts, with its undo."""
    writes = person_of(request).may(Role.BOOKKEEPER)
    return ListPage(
        queries.decisions(),
        title="Decisions about contacts",
        crumbs=[
            ("Mapping", reverse("mapping:index")),
            ("Pair contacts", reverse("contacts:index")),
        ],
        noun="decisions",
        columns=[
            Column("contact_name", "Contact", detail="organisation.name"),
            Column("company", "Company", value=lambda row: row.company and row.company.name),
            Column("action", "Decision", value=lambda row: row.get_action_display()),
            Column("why", "Why", value=_why, phone=False),
            Column("by", "By", phone=False),
            Column("at", "When", kind="when"),
            Column("undone_at", "", html=lambda row: _undo_cell(request, row, writes), csv=False),
        ],
        search=["contact_name", "company__name"],
        filters=[
            Choice("organisation", "Organisation", _organisation_choices),
            Choice("action", "Decision", Decision.Action.choices),
        ],
        order="-pk",
        empty=Empty(
            "Nothing was decided yet",
            "What Psaltery links by itself and what you decide appears here, to be undone.",
            icon="history",
        ),
    ).respond(request)


def _why(row: Decision) -> str:
    return ", ".join(queries.WHY.get(word, word) for word in row.why.split(", ") if word)


def _organisation_choices() -> list[tuple[str, str]]:
    return [(str(one.pk), one.name) for one in books_organisations()]


def _undo_cell(request: HttpRequest, row: Decision, writes: bool) -> str:
    if row.undone_at is not None:
        return badge("Undone", "plain")
    # A merge can only be undone in the books.
    if not writes or row.action == Decision.Action.FOLLOWED:
        return ""
    return render_to_string("contacts/undo.html", {"decision": row}, request=request)
