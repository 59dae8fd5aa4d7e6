"""Pages of connections: list, add, consent and back, choose, test, reconnect, disconnect."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, may_write, person_of
from psaltery.accounts.models import Role as PersonRole
from psaltery.adapters import registry
from psaltery.adapters.contract import Manifest, Role
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.connections import consent, life, opening, queries, service
from psaltery.connections.forms import READ_ONLY, ConnectForm
from psaltery.connections.models import Connection, Organisation
from psaltery.inbound import service as inbound
from psaltery.inbound import views as webhooks
from psaltery.sync.estimate import least
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, Empty, ListPage

PICKED_PAGE = 25
# Each with its feeds: more would be a wall.
SHOWN = 12
TONES = {
    Connection.State.CONNECTED: "good",
    Connection.State.NEEDS_RECONNECT: "bad",
    Connection.State.NEW: "warn",
    Connection.State.DISCONNECTED: "plain",
}
ROLE_ICONS = {Role.PSA: "ticket", Role.BOOKS: "book-2"}
ROLE_TEXTS = {
    Role.PSA: "Your PSA: agreements, tickets, and the invoices that start there.",
    Role.BOOKS: "Your books: invoices are posted there, and payments come back from there.",
}


@may_view
def index(request: HttpRequest) -> HttpResponseBase:
    """All connections and how they are."""
    return ListPage(
        queries.connections(),
        title="Connections",
        noun="connections",
        columns=[
            Column("name", "Name", link=_address, detail=_label, sort="name"),
            Column("state", "State", html=_state, detail="reason"),
            Column("synced", "Organisations synced", kind="number", sort="synced"),
            Column("authorised_by", "Authorised by", phone=False),
            Column("checked_at", "Last test", kind="when", phone=False),
        ],
        search=["name"],
        filters=[Choice("state", "State", Connection.State.choices)],
        order="name",
        actions="connections/index_actions.html",
        empty=Empty(
            "Nothing is connected",
            "Connect your PSA and your books. Their history is read at once, and nothing is "
            "written before you say how.",
            icon="plug",
            action="Add a connection",
            url=reverse("connections:choose_kind"),
        ),
    ).respond(request)


def _address(row: Connection) -> str:
    return reverse("connections:detail", args=[row.pk])


def _label(row: Connection) -> str:
    return registry.manifest(row.kind).label


def _state(row: Connection) -> SafeString:
    return badge(row.get_state_display().capitalize(), TONES[Connection.State(row.state)])


@may_admin
def choose_kind(request: HttpRequest) -> HttpResponse:
    """Which system to connect."""
    kinds = [
        {"manifest": one, "icon": ROLE_ICONS[one.role], "text": ROLE_TEXTS[one.role]}
        for one in registry.manifests()
    ]
    values = {"title": "Add a connection", "crumbs": _crumbs(), "kinds": kinds}
    return render(request, "connections/choose_kind.html", values)


@may_admin
@never_cache
@sensitive_post_parameters()
def add(request: HttpRequest, kind: str) -> HttpResponse:
    """Enter the fields of a new connection, then go on to consent, or try its keys."""
    manifest = _manifest(kind)
    form = ConnectForm(manifest, request.POST or None)
    if request.method == "POST" and form.is_valid():
        read_only = bool(form.cleaned_data.get(READ_ONLY))
        name = form.cleaned_data["name"]
        connection = service.add(kind, name, form.values(), read_only=read_only)
        return _sign_in(request, connection)
    title = f"Connect {manifest.label}"
    return _form_page(request, form, title, _crumbs())


@may_admin
@never_cache
@sensitive_post_parameters()
def edit(request: HttpRequest, number: int) -> HttpResponse:
    """Change name or fields and connect again; organisations and records are kept."""
    connection = get_object_or_404(Connection, pk=number)
    manifest = _manifest(connection.kind)
    form = ConnectForm(manifest, request.POST or None, connection)
    if request.method == "POST" and form.is_valid():
        service.rename(connection, form.cleaned_data["name"])
        service.reconnect_with(connection, form.values())
        # Less is allowed at once; more only when the vendor has granted it (see `begin_consent`).
        wanted = bool(form.cleaned_data.get(READ_ONLY))
        if wanted or not manifest.oauth:
            service.set_read_only(connection, wanted)
        return _sign_in(request, connection, read_only=wanted)
    name = Connection.objects.values_list("name", flat=True).get(pk=number)
    return _form_page(request, form, f"Reconnect {name}", _crumbs((name, _address(connection))))


def _form_page(
    request: HttpRequest, form: ConnectForm, title: str, crumbs: list[tuple[str, str]]
) -> HttpResponse:
    values = {
        "title": title,
        "crumbs": crumbs,
        "form": form,
        "manifest": form.manifest,
        "redirect_uri": consent.callback_address() if form.manifest.oauth else "",
    }
    return render(request, "connections/form.html", values)


@may_admin
@require_POST
@sensitive_post_parameters()
def check(request: HttpRequest, kind: str) -> HttpResponse:
    """One field, checked when it is left: what is wrong with it, or nothing."""
    own = request.GET.get("connection", "")
    connection = Connection.objects.filter(pk=int(own)).first() if own.isdecimal() else None
    form = ConnectForm(_manifest(kind), None, connection)
    wrong = form.wrong(request.POST.dict()).get(request.GET.get("field", ""), "")
    return render(request, "connections/field_problem.html", {"problem": wrong})


def _sign_in(
    request: HttpRequest, connection: Connection, *, read_only: bool | None = None
) -> HttpResponse:
    """What follows entered fields: the vendor's consent page, or a try of the keys."""
    manifest = registry.manifest(connection.kind)
    try:
        if not manifest.oauth:
            service.connect_with_keys(connection)
            messages.success(request, f"{connection.name} is connected.")
            return redirect(f"{_address(connection)}?test=1")
        # No consent page that could grant it later, so the wish is stored before the tokens are.
        if opening.oauth_app(connection).client_credentials:
            if read_only is not None:
                service.set_read_only(connection, read_only)
            service.connect_app(connection)
            return redirect("connections:organisations", connection.pk)
        session = request.session.session_key or ""
        redirect_uri = consent.callback_address()
        return redirect(
            service.begin_consent(
                connection, redirect_uri=redirect_uri, session=session, read_only=read_only
            )
        )
    except Failure as failure:
        messages.error(request, str(failure))
        return redirect("connections:edit", connection.pk)


@may_admin
@require_POST
def begin(request: HttpRequest, number: int) -> HttpResponse:
    """Connect again with the fields that are stored."""
    return _sign_in(request, get_object_or_404(Connection, pk=number))


@may_admin
@require_POST
def allow_writing(request: HttpRequest, number: int) -> HttpResponse:
    """Consent again, with the permissions to write; until it is given, nothing is written."""
    connection = get_object_or_404(Connection, pk=number)
    return _sign_in(request, connection, read_only=False)


@may_admin
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Where the vendor sends the browser after the consent."""
    # Our public address and not the request's, which a proxy may have changed on its way.
    arrived = f"{consent.callback_address()}?{request.META.get('QUERY_STRING', '')}"
    # Looked up first: completing uses the state up, and an error still needs a page to go to.
    begun = consent.begun_for(arrived)
    try:
        session = request.session.session_key or ""
        connection = service.complete_consent(arrived, session=session)
    except Failure as failure:
        messages.error(request, str(failure))
        if begun is None:
            return redirect("connections:index")
        wrong_field = isinstance(failure, BadSettings) and failure.which.startswith("client")
        return redirect("connections:edit" if wrong_field else "connections:detail", begun.pk)
    if connection.reason:
        messages.warning(request, connection.reason)
    if queries.is_chosen_whole(connection):
        # Nothing new to choose from: a consent that was given again.
        messages.success(request, f"{connection.name} is connected again.")
        return redirect(f"{_address(connection)}?test=1")
    return redirect("connections:organisations", connection.pk)


@may_view
def detail(request: HttpRequest, number: int) -> HttpResponse:
    """One connection: its state, organisations and feeds."""
    connection = get_object_or_404(Connection, pk=number)
    manifest = registry.manifest(connection.kind)
    text = request.GET.get("q", "").strip()
    every = queries.synced(connection)
    page = Paginator(queries.synced(connection, text), SHOWN).get_page(request.GET.get("page"))
    values = {
        "title": connection.name,
        "crumbs": _crumbs(),
        "connection": connection,
        "manifest": manifest,
        "state": _state(connection),
        "parts": queries.parts(connection, page),
        "page": page,
        "query": text,
        "synced": every.count(),
        "entered": queries.entered(connection),
        "effects": service.disconnect_effects(connection),
        "test_now": "test" in request.GET,
        "is_books": manifest.role == Role.BOOKS,
        "redirect_uri": consent.callback_address() if manifest.oauth else "",
        "life": life.life_of(connection),
        "steps": life.steps(connection),
        "one_click": life.mended_by_consent(connection),
        "write_scopes": _write_scopes(connection),
        "administers": person_of(request).may(PersonRole.ADMIN),
        **webhooks.card(connection),
    }
    return render(request, "connections/detail.html", values)


def _write_scopes(connection: Connection) -> list[str]:
    """The permissions that writing needs and this read-only connection does not have."""
    if not (connection.read_only and registry.manifest(connection.kind).oauth):
        return []
    try:
        scopes = opening.oauth_app(connection, read_only=False).scopes
    except BadSettings:
        return []  # said where the fields are
    return sorted(set(scopes) - set(connection.scopes.split()) - {"offline_access"})


@may_write
@require_POST
def examine(request: HttpRequest, number: int) -> HttpResponse:
    """Test a connection; its lines replace the button's place on the page."""
    connection = get_object_or_404(Connection, pk=number)
    checks = service.examine(connection)
    missing = [check for check in checks if not check.ok]
    values = {"connection": connection, "checks": checks, "missing": missing}
    if request.headers.get("HX-Request") == "true":
        return render(request, "connections/checks.html", values)
    values |= {"title": f"Test of {connection.name}", "crumbs": _crumbs()}
    return render(request, "connections/checks_page.html", values)


@may_admin
def organisations(request: HttpRequest, number: int) -> HttpResponse:
    """Choose which organisations are synced: search, pages, all that were found."""
    connection = get_object_or_404(Connection, pk=number)
    text = request.GET.get("q", "").strip()
    found = queries.findable(connection, text)
    if request.method == "POST":
        return _choose(request, connection, found)
    values = {
        "title": "Choose organisations",
        "crumbs": _crumbs((connection.name, _address(connection))),
        "connection": connection,
        "query": text,
        "page": Paginator(found, PICKED_PAGE).get_page(request.GET.get("page")),
        "chosen": connection.organisations.filter(chosen=True).count(),
        "least_calls": least(connection.kind),
    }
    return render(request, "connections/organisations.html", values)


def _choose(
    request: HttpRequest, connection: Connection, found: QuerySet[Organisation]
) -> HttpResponse:
    before = {one.pk: one for one in connection.organisations.filter(chosen=True)}
    if request.POST.get("all"):
        wanted = before | {one.pk: one for one in found}
    else:
        # Only what stood on this page is changed; what is chosen on other pages stays.
        shown, ticked = (_numbers(request, name) for name in ("shown", "chosen"))
        kept = {key: one for key, one in before.items() if key not in shown}
        wanted = kept | {one.pk: one for one in connection.organisations.filter(pk__in=ticked)}
    try:
        service.choose(connection, list(wanted.values()))
    except BadSettings as failure:
        messages.error(request, str(failure))
        return redirect(request.get_full_path())
    messages.success(request, f"{len(wanted)} organisations of {connection.name} are synced.")
    return redirect(f"{_address(connection)}?test=1")


def _numbers(request: HttpRequest, name: str) -> set[int]:
    return {int(text) for text in request.POST.getlist(name) if text.isdecimal()}


@may_admin
@require_POST
def refresh(request: HttpRequest, number: int) -> HttpResponse:
    """Ask the vendor again which organisations the consent reaches."""
    connection = get_object_or_404(Connection, pk=number)
    try:
        found = service.refresh_organisations(connection)
        messages.success(request, f"The consent reaches {len(found)} organisations.")
    except Failure as failure:
        messages.error(request, str(failure))
    return redirect("connections:organisations", number)


@may_write
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Pause or resume an organisation."""
    organisation = get_object_or_404(Organisation.objects.select_related("connection"), pk=number)
    service.pause(organisation, not organisation.paused)
    word = "paused" if organisation.paused else "resumed"
    messages.success(request, f"{organisation.name} is {word}.")
    return redirect(_address(organisation.connection))


@may_admin
@require_POST
def disconnect(request: HttpRequest, number: int) -> HttpResponse:
    """Give the consent back, stop, keep the records."""
    connection = get_object_or_404(Connection, pk=number)
    # Before the credentials are forgotten, which it takes to unregister at the vendor.
    inbound.leave(connection)
    service.disconnect(connection)
    messages.success(request, f"{connection.name} is disconnected. Its records are kept.")
    return redirect(_address(connection))


def _manifest(kind: str) -> Manifest:
    if kind not in registry.kinds():
        raise Http404("There is no such system.")
    return registry.manifest(kind)


def _crumbs(*further: tuple[str, str]) -> list[tuple[str, str]]:
    return [("Connections", reverse("connections:index")), *further]
