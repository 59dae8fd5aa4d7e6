"""Pages of exceptions: the list, one card with its repairs, snooze, assign, comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_view, may_write, person_of
from psaltery.accounts.models import Person, Role
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.desk.models import Document
from psaltery.mapping.routing import FIELDS
from psaltery.mapping.targets import Targets
from psaltery.matching.unapplied import service as unapplied
from psaltery.posting import queries as documents
from psaltery.posting.sides import key_words
from psaltery.review import forms, queries, service
from psaltery.review.catalogue import entry
from psaltery.review.models import IS_EXCEPTION, Card
from psaltery.sync import repairs
from psaltery.sync.repairs import Repair
from psaltery.web import format as write
from psaltery.web.format import amount_text, badge, money
from psaltery.web.lists import Choice, Column, Empty, ListPage, Toggle

Rows = QuerySet[Card]
NOBODY = "nobody"
MOST_NUMBERS = 20  # an address has an end
STATE_TONES = {"open": "bad", "snoozed": "info", "resolved": "good"}
# Repairs that end something rather than mend it say so before they act.
_ASK_FIRST = {
    "skip": "They are left out, whatever changes in the PSA, until somebody takes them up again.",
    "repost": "The link to the old document is removed, and it is posted again as a new one.",
    "post_anyway": "You have looked at it; this does not hold the document any more.",
    "accept_books": "The books keep what they have; the change in the PSA is not written.",
}
# What pressing a button that asks nothing does.
_SAYS = {
    "retry": "For when the cause was mended elsewhere.",
    "restore_contact": "The contact becomes active again in the books.",
    "read_settings": "Accounts, rates, currencies and lock dates are read from the books now.",
    "accept_drift": "The books stay as they are, and this difference is not told again.",
    "revert_drift": "The books get the PSA's version back, if they may still be edited.",
    "payments_same": "Nothing is entered: the two stand for each other from now on.",
    "payments_apart": "The PSA's payment is entered in the books beside the one that is there.",
    "enter_again": "The PSA's payment is entered in the books once more.",
    "make_rule": "The mapping is changed, so that the next documents become like this one.",
}
_ROUTE_FIELDS = {
    "location": "location", "department": "department", "territory": "territory",
    "company": "company_name", "currency": "currency", "agreement_type": "agreement_type",
    "type": "type",
}  # fmt: skip


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """What waits for a person: one row a cause, the most money first."""
    page = _list(request)
    # The sums are counted once a page, not with each renewal of its rows.
    if request.headers.get("HX-Target") != "list-body":
        count, blocked, sums = queries.totals()
        held = [f"{amount_text(sum_, code)} {code}" for code, sum_ in sums]
        page.extra |= {"open": count, "documents": blocked, "money": held}
    return page.respond(request)


def _list(request: HttpRequest) -> ListPage:
    rows = queries.cards().filter(IS_EXCEPTION)
    if not request.GET.get("state"):
        rows = rows.filter(state=Card.State.OPEN)
    me = person_of(request)
    return ListPage(
        rows,
        title="Exceptions",
        noun="exceptions",
        singular="exception",
        columns=[
            Column("sentence", "Exception", link=_address, detail=_detail),
            Column("organisation", "Organisation", value=_organisation, phone=False),
            Column("documents", "Documents", kind="number", sort="documents"),
            Column("amount", "Money blocked", kind="money", sort="amount", html=_money),
            Column("opened_at", "Since", kind="when", sort="opened_at"),
            Column("owner", "Owner", value=_owner),
            *([Column("state", "State", html=_state)] if request.GET.get("state") else []),
        ],
        search=["sentence", "subject", "code"],
        filters=[
            Choice("code", "Cause", queries.codes, anything="Any cause"),
            Choice("organisation", "Organisation", queries.organisations),
            Choice("state", "State", _states(), anything="Open", narrow=_by_state),
            Choice("severity", "Severity", [("error", "Error"), ("warning", "Warning")]),
            Choice("owner", "Owner", _owners, anything="Anybody's", narrow=_by_owner),
            Toggle("mine", "Only mine", narrow=lambda found: found.filter(owner=me)),
        ],
        order="-amount",
        above="review/index_above.html",
        refresh_seconds=15,
        empty=Empty(
            "Nothing waits for you",
            "When a document can't go where it belongs, its cause appears here with the money it "
            "blocks and the button that mends it.",
            icon="circle-check",
        ),
    )


def _states() -> list[tuple[str, str]]:
    each = [(value, label.capitalize()) for value, label in Card.State.choices[1:]]
    return [*each, ("all", "Open or not")]


def _by_state(rows: Rows, value: str) -> Rows:
    return rows if value == "all" else rows.filter(state=value)


def _owners() -> list[tuple[str, str]]:
    owned = Person.objects.filter(pk__in=Card.objects.values("owner")).order_by("name")
    return [(NOBODY, "Nobody's"), *[(str(one.pk), str(one)) for one in owned]]


def _by_owner(rows: Rows, value: str) -> Rows:
    return rows.filter(owner=None) if value == NOBODY else rows.filter(owner_id=int(value))


def _address(row: Card) -> str:
    return reverse("review:card", args=[row.pk])


def _detail(row: Card) -> SafeString:
    return format_html("{} <code>{}</code>", entry(row.code).title, row.code)


def _organisation(row: Card) -> str:
    return row.organisation.name if row.organisation else ""


def _owner(row: Card) -> str:
    return str(row.owner) if row.owner else ""


def _money(row: Card) -> SafeString:
    sums = queries.money_of(row)
    if not sums:
        return write.NOTHING
    lines = ((money(amount, code),) for amount, code in sums)
    return format_html_join("", "<div>{}</div>", lines)


def _state(row: Card) -> SafeString:
    return badge(row.get_state_display().capitalize(), STATE_TONES[row.state])


# One card.


@may_view
def card(request: HttpRequest, number: int) -> HttpResponseBase:
    """One exception: what happened, what to do, its repairs, and the documents that it blocks."""
    row = _get(number)
    if alert := row.details.get("alert"):
        return redirect("signals:alert", alert)
    return _card_page(request, row).respond(request)


def _get(number: int) -> Card:
    return get_object_or_404(queries.cards(), pk=number)


def _card_page(
    request: HttpRequest, row: Card, bound: dict[str, forms.RepairForm] | None = None
) -> ListPage:
    """The card's page: a list of its documents, below what `review/card.html` shows of the card."""
    is_open = row.state != Card.State.RESOLVED
    writes = person_of(request).may(Role.BOOKKEEPER)
    ways = _ways(request, row, bound or {}) if is_open and writes else []
    values = {
        "card": row,
        "entry": entry(row.code),
        "state": _state(row),
        "sums": queries.money_of(row),
        "is_open": is_open,
        "how": f"{row.resolution.rstrip('.')}.",
        "ways": ways,
        "may_write": writes,
        "snooze_form": forms.SnoozeForm(),
        "assign_form": forms.AssignForm(row),
        "comment_form": forms.CommentForm(),
        "comments": row.comments.order_by("at", "pk"),
        "next": queries.next_after(row),
        "audit_url": _audit_address(row),
    }
    return ListPage(
        queries.blocked(row).select_related("posting__organisation"),
        title=entry(row.code).title,
        crumbs=[("Exceptions", reverse("review:index"))],
        noun="documents",
        singular="document",
        columns=[
            Column("number", "Number", link=_document_address, sort="number"),
            Column("company_name", "Customer", sort="company_name"),
            Column("issued_on", "Date", kind="day", sort="issued_on"),
            Column("state", "State", kind="state", value=documents.state_of),
            Column("total", "Total", kind="money", currency="currency", sort="total"),
        ],
        order="-total",
        template="review/card.html",
        refresh_seconds=3,
        empty=Empty(
            "No document is blocked",
            "It concerns a connection or money, or its documents went on by themselves.",
            icon="circle-check",
        ),
        extra=values,
    )


def _document_address(row: Document) -> str:
    return reverse("posting:document", args=[row.pk])


def _audit_address(row: Card) -> str:
    """The entries about what it blocks; of very many documents, those about the newest."""
    rows = queries.blocked(row).exclude(number="").order_by("-issued_on", "-pk")
    numbers = list(rows.values_list("number", flat=True)[:MOST_NUMBERS])
    address = reverse("audit:index")
    if numbers:
        return f"{address}?{urlencode({'document': ', '.join(numbers)})}"
    scope = f"organisation={row.organisation_id}&" if row.organisation_id else ""
    return f"{address}?{scope}outcome=failed"


@dataclass(frozen=True)
class Way:
    """One repair as the page offers it: its form, and what stands beside the form."""

    name: str
    label: str
    form: forms.RepairForm
    template: str
    is_first: bool
    says: str = ""
    more: dict[str, Any] | None = None


def _ways(request: HttpRequest, row: Card, bound: dict[str, forms.RepairForm]) -> list[Way]:
    offered = repairs.offered(row)
    return [
        _way(request, row, name, repair, bound.get(name), is_first=place == 0)
        for place, (name, repair) in enumerate(offered.items())
    ]


def _way(
    request: HttpRequest,
    row: Card,
    name: str,
    repair: Repair,
    bound: forms.RepairForm | None,
    *,
    is_first: bool,
) -> Way:
    form = bound or _form(name, row, None)
    if is_first:
        _focus(form)
    template = _TEMPLATES.get(name, "review/repair_form.html")
    more = _MORE[name](request, row) if name in _MORE else None
    says = (row.details.get("plan") or {}).get(name) or _ASK_FIRST.get(name) or _SAYS.get(name, "")
    return Way(name, repair.label, form, template, is_first, says, more)


def _focus(form: forms.RepairForm) -> None:
    """The first question takes the keyboard, so that many cards can be settled without a mouse."""
    for field in list(form.fields.values())[:1]:
        field.widget.attrs["autofocus"] = True


_TEMPLATES = {
    "link_contact": "review/repair_contact.html",
    "adopt": "review/repair_adopt.html",
    "apply_money": "review/repair_money.html",
    "retry": "review/repair_button.html",
    "skip": "review/repair_ask.html",
    "repost": "review/repair_ask.html",
    "post_anyway": "review/repair_ask.html",
    "accept_books": "review/repair_ask.html",
    "payments_same": "review/repair_button.html",
    "payments_apart": "review/repair_ask.html",
    "enter_again": "review/repair_ask.html",
    **dict.fromkeys([*repairs.ANEW, "end_reissue", "next_day"], "review/repair_ask.html"),
    "read_settings": "review/repair_button.html",
    "accept_drift": "review/repair_button.html",
    "make_rule": "review/repair_button.html",
    "revert_drift": "review/repair_button.html",
    "restore_contact": "review/repair_button.html",
}


def _form(name: str, row: Card, data: Any) -> forms.RepairForm:
    """The form of a repair, empty or filled with what was sent."""
    if name in _MAPS:
        label, what = _MAPS[name]
        return forms.MapForm(data, label, _targets(row, what), _scopes(row, what), name)
    if name == "add_route":
        return forms.RouteForm(data, documents.books_organisations(), _route_scopes(row), name)
    if name == "link_contact":
        return forms.ContactForm(data, prefix=name)
    if name == "apply_money":
        return forms.MoneyForm(data, prefix=name)
    if name == "create_contact":
        company = queries.company_of(row)
        start = {"name": company.name if company else row.subject}
        return forms.NewContactForm(data, prefix=name, initial=start)
    if name == "renumber":
        return forms.NumberForm(data, prefix=name, initial={"number": f"{row.subject}-2"})
    return forms.NothingAsked(data, prefix=name)


_MAPS = {
    "map_account": ("Account", "account"),
    "map_tax": ("Tax rate", "tax"),
    "map_tracking": ("Tracking option", "tracking"),
    "map_payment": ("Account that takes the payments", "payment"),
}


def _targets(row: Card, what: str) -> list[Any]:
    """What may be chosen: only what the organisation has, and only what may be used here."""
    if row.organisation is None or what == "tracking":
        return forms.tracking_choices(row.organisation)
    if what == "payment":
        return Targets(row.organisation, what).choices()
    list_ = repairs.list_of(row, what)
    usable = Targets(row.organisation, list_).choices()
    if what == "tax":
        return usable
    # Grouped by class, which a plain list of targets has not.
    codes = [code for code, _ in usable]
    return forms.account_choices(row.organisation, codes, bought=list_ != what)


def _scopes(row: Card, what: str) -> list[tuple[str, str]]:
    """For which keys the answer may hold: this product, its category, …, everything else."""
    tried = row.details.get("tried", []) if what in ("account", "payment") else []
    return [(f"{kind}{forms.SEPARATOR}{key}", key_words(what, kind, key)) for kind, key in tried]


def _route_scopes(row: Card) -> list[tuple[str, str]]:
    """What a new rule may go by: what all the blocked documents have in common, or everything."""
    shared = queries.shared_values(row, list(_ROUTE_FIELDS.values()))
    found = [
        (f"{field}{forms.SEPARATOR}{shared[column]}", f"{FIELDS[field][0]} “{shared[column]}”")
        for field, column in _ROUTE_FIELDS.items()
        if column in shared
    ]
    # Last: it is the answer that a person gives up the routing with.
    return [*found, (f"any{forms.SEPARATOR}", "Everything that no other rule sends elsewhere")]


def _contact_choices(request: HttpRequest, row: Card) -> dict[str, Any]:
    text = request.GET.get("contact_q", "")
    found = queries.candidates(row, text)
    return {
        "query": text,
        "company": queries.company_of(row),
        "contacts": [(one, forms.contact_words(one)) for one in found],
    }


def _both(request: HttpRequest, row: Card) -> dict[str, Any]:
    return {"psa": queries.blocked(row).first(), "books": queries.other_document(row)}


_MORE = {"link_contact": _contact_choices, "adopt": _both, "apply_money": unapplied.shown}


@may_view
def contacts(request: HttpRequest, number: int) -> HttpResponse:
    """Contacts of the books that match what was typed, as radio buttons."""
    row = _get(number)
    return render(request, "review/contacts.html", {"more": _contact_choices(request, row)})


@may_write
@require_POST
def repair(request: HttpRequest, number: int, name: str) -> HttpResponseBase:
    """Carry out one repair; what is wrong with an answer is said beside it, and nothing is lost."""
    row = _get(number)
    form = _form(name, row, request.POST)
    if form.is_valid():
        try:
            released = repairs.repair(row, name, form.answers(), person_of(request).email)
        except BadSettings as failure:
            form.add_error(failure.which if failure.which in form.fields else None, str(failure))
        except Failure as failure:
            form.add_error(None, str(failure))
        else:
            messages.success(request, _told(row, name, released))
            return redirect(_after(request, row))
    if request.POST.get("next") or name not in repairs.offered(row):
        messages.error(request, _problems(form))
        return redirect(_after(request, row))
    return _card_page(request, _get(number), {name: form}).respond(request)


def _told(row: Card, name: str, released: int) -> str:
    """How many documents were released, and their money."""
    how = Card.objects.values_list("resolution", flat=True).get(pk=row.pk)
    sums = " + ".join(f"{amount_text(sum_, code)} {code}" for sum_, code in queries.money_of(row))
    what = "skipped" if name == "skip" else "released"
    many = "document was" if released == 1 else "documents were"
    tail = f" {released} {many} {what}" + (f": {sums}." if sums else ".")
    return f"{how.rstrip('.')}.{tail if released else ''}"


def _after(request: HttpRequest, row: Card) -> str:
    target = request.POST.get("next", "")
    # An address from a form: only our own, or it would send people anywhere.
    if target and url_has_allowed_host_and_scheme(target, {request.get_host()}):
        return target
    return _address(row)


# Beside repairing.


@may_write
@require_POST
def snooze(request: HttpRequest, number: int) -> HttpResponse:
    """Put a card aside until a day."""
    row, form = _get(number), forms.SnoozeForm(request.POST)
    if form.is_valid():
        until = form.cleaned_data["at"]
        service.snooze(row, until, person_of(request).email)
        messages.success(request, f"It comes back on {write.day_text(until)}.")
        following = queries.next_after(row)
        return redirect(_address(following) if following else reverse("review:index"))
    messages.error(request, _problems(form))
    return redirect(_address(row))


@may_write
@require_POST
def wake(request: HttpRequest, number: int) -> HttpResponse:
    """Bring a card back before its time."""
    row = _get(number)
    if service.wake(row):
        messages.success(request, "It waits for you again.")
    return redirect(_address(row))


@may_write
@require_POST
def assign(request: HttpRequest, number: int) -> HttpResponse:
    """Give a card to somebody."""
    row = _get(number)
    form = forms.AssignForm(row, request.POST)
    if form.is_valid():
        owner = form.cleaned_data["owner"]
        service.assign(row, owner.pk if isinstance(owner, Model) else None)
        messages.success(request, f"It is {owner}'s now." if owner else "It is nobody's now.")
    else:
        messages.error(request, _problems(form))
    return redirect(_address(row))


@may_write
@require_POST
def comment(request: HttpRequest, number: int) -> HttpResponse:
    """Add a remark."""
    row, form = _get(number), forms.CommentForm(request.POST)
    if form.is_valid():
        service.comment(row, person_of(request).email, form.cleaned_data["text"])
    else:
        messages.error(request, _problems(form))
    return redirect(f"{_address(row)}#comments")


def _problems(form: Any) -> str:
    return " ".join(str(text) for texts in form.errors.values() for text in texts)
