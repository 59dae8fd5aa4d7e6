"""Pages of the audit log: search, one entry, export."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString

from psaltery.accounts.access import may_view
from psaltery.accounts.models import Person
from psaltery.adapters import registry
from psaltery.audit import queries
from psaltery.audit.filters import Exactly
from psaltery.audit.models import Entry
from psaltery.audit.verify import latest
from psaltery.connections.models import Organisation
from psaltery.kit.text import cut
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage

Rows = QuerySet[Entry]
OUTCOMES = [("failed", "Failed"), ("ok", "Went well")]
DOCUMENT_KINDS = [("invoice", "Invoice"), ("credit_memo", "Credit memo"), ("bill", "Bill"),
                  ("expense", "Expense"), ("purchase_order", "Purchase order"),
                  ("payment", "Payment")]  # fmt: skip
SENTENCE_LENGTH = 160


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """Every request, decision, change and sign-in, newest first."""
    return _page().respond(request)


def _page() -> ListPage:
    return ListPage(
        # Bodies may have 200,000 characters each, and a list shows none of them.
        Entry.objects.defer("request", "response"),
        title="Audit log",
        noun="entries",
        columns=[
            Column("at", "When", kind="when", sort="at", link=_address),
            Column("actor", "Who", phone=False),
            Column("organisation", "Organisation", detail="system"),
            Column("operation", "What", value=_what, detail=_sentence),
            Column("documents", "Documents", value=_documents),
            Column("status", "Outcome", html=_outcome, value=_outcome_text),
            Column("duration_ms", "ms", kind="number", phone=False),
        ],
        search=["found_by"],
        filters=[
            DateRange("at", "When"),
            Choice("kind", "Kind", Entry.Kind.choices),
            Choice("document_kind", "Type", DOCUMENT_KINDS),
            Choice("system", "System", _systems),
            Choice("organisation", "Organisation", _organisations, field="organisation_id"),
            Choice("outcome", "Outcome", OUTCOMES, narrow=_by_outcome),
            Choice("actor", "Person", _actors, anything="Anybody"),
            Exactly("document", "Document number", _by_document),
            Exactly("customer", "Customer", _by_customer),
        ],
        order="-at",
        exports="audit/exports.html",
        above="audit/above.html",
        extra={"verified": latest()},
        empty=Empty(
            "Nothing has happened yet",
            "Every call to another system and every decision appears here as it happens.",
            icon="history",
        ),
    )


@may_view
def entry(request: HttpRequest, number: int) -> HttpResponse:
    """One entry with what was sent and what came back."""
    found = queries.entry(number)
    if found is None:
        raise Http404("There is no such entry; it may be past the time that entries are kept.")
    titles = ("Request", "Answer") if found.kind == Entry.Kind.REQUEST else ("Detail", "")
    bodies = zip(titles, (found.request, found.response), strict=True)
    values = {
        "title": _what(found),
        "crumbs": [("Audit log", reverse("audit:index"))],
        "entry": found,
        "outcome": _outcome(found),
        "bodies": [(title, readable(text)) for title, text in bodies if text],
    }
    return render(request, "audit/entry.html", values)


@may_view
def as_json(request: HttpRequest) -> HttpResponseBase:
    """All entries of the list's view with their bodies, as JSON, streamed."""
    found = _page()
    found.filters = [item.prepared() for item in found.filters]
    return StreamingHttpResponse(
        queries.json_of(found.found(request)),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="audit-log.json"'},
    )


def readable(text: str) -> str:
    """JSON in `text` on several lines; anything else as it is."""
    head, blank, body = text.rpartition("\n\n")
    try:
        return f"{head}{blank}{msgspec.json.format(body, indent=2)}"
    except msgspec.DecodeError:
        return text


def _address(row: Entry) -> str:
    return reverse("audit:entry", args=[row.pk])


def _what(row: Entry) -> str:
    return (
        row.operation.replace("_", " ").replace(".", ": ").capitalize()
        or row.get_kind_display().capitalize()
    )


def _sentence(row: Entry) -> str:
    return cut(row.sentence, SENTENCE_LENGTH)


def _documents(row: Entry) -> str:
    shown = ", ".join(row.documents[:3])
    more = len(row.documents) - 3
    return f"{shown} and {more} more" if more > 0 else shown


def _outcome_text(row: Entry) -> str:
    if row.status is None:
        return "failed" if row.failed else ""
    return str(row.status) if row.status else "no answer"


def _outcome(row: Entry) -> SafeString | str:
    text = _outcome_text(row)
    return badge(text, "bad" if row.failed else "good") if text else ""


def _systems() -> Iterable[tuple[str, str]]:
    return [(manifest.kind, manifest.label) for manifest in registry.manifests()]


def _organisations() -> Iterable[tuple[str, str]]:
    rows = Organisation.objects.values_list("pk", "name").order_by("name")
    return [(str(key), name) for key, name in rows]


def _actors() -> Iterable[tuple[str, str]]:
    people = [(email, name or email) for email, name in Person.objects.values_list("email", "name")]
    return [("worker", "Worker"), ("command line", "Command line"), *people]


def _by_outcome(rows: Rows, value: str) -> Rows:
    return rows.filter(failed=value == "failed")


def _by_document(rows: Rows, text: str) -> Rows:
    return rows.filter(queries.names_document(text))


def _by_customer(rows: Rows, text: str) -> Rows:
    return rows.filter(customer=text)
