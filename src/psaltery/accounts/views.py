"""Pages: first set-up, profile and theme, people, API tokens, the installation's settings."""

from __future__ import annotations

from allauth.account.views import LoginView
from django.contrib import messages
from django.contrib.auth import login
from django.db.models import Q, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from psaltery.accounts import forms, queries, service
from psaltery.accounts.access import may_admin, may_view, person_of
from psaltery.accounts.models import ApiToken, Person, Role, Scope, Theme
from psaltery.audit.actor import acting_as
from psaltery.kit.clock import now
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, Empty, ListPage

# Django wants it named where a person was not found by one of several backends.
ALLAUTH_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SETTINGS_CRUMB = ("Settings", "/settings/")

_sign_in = LoginView.as_view()


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The sign-in page; before anybody can sign in, the set-up page instead."""
    return _sign_in(request) if queries.is_set_up() else redirect("accounts:set_up")


def not_served(request: HttpRequest) -> HttpResponse:
    """Stands before a page of the sign-in library that is not offered here."""
    raise Http404(request.path)


@never_cache
@sensitive_post_parameters("password")
def set_up(request: HttpRequest) -> HttpResponse:
    """First run: name the installation and make the first administrator, once."""
    if queries.is_set_up():
        return redirect("web:dashboard")
    form = forms.SetUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        first = service.FirstPerson(**form.cleaned_data)
        try:
            # Nobody is signed in yet, and the audit log must not say that the worker did it.
            with acting_as(first.email):
                person = service.set_up(first)
        except service.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            login(request, person, backend=ALLAUTH_BACKEND)
            messages.success(request, "Psaltery is yours. Connect your PSA and your books next.")
            return redirect("web:dashboard")
    return render(request, "accounts/set_up.html", {"form": form, "title": "Set up Psaltery"})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme; a visitor's is remembered by their browser."""
    # Open to visitors, for whom nothing is stored here.
    choice = request.POST.get("theme", "")
    if choice in Theme.values and isinstance(request.user, Person):
        Person.objects.filter(pk=request.user.pk).update(theme=choice)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204)
    return redirect("web:dashboard")


@may_view
def profile(request: HttpRequest) -> HttpResponse:
    """A person's own name, time zone and theme."""
    person = person_of(request)
    form = forms.ProfileForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your profile is saved.")
        return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form, "title": "Your profile"})


@may_admin
def settings(request: HttpRequest) -> HttpResponse:
    """The installation's name and defaults."""
    row = queries.installation()
    form = forms.InstallationForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        service.change_installation(**form.cleaned_data)
        messages.success(request, "The settings are saved.")
        return redirect("accounts:settings")
    return _settings_page(request, "general", {"form": form, "title": "Settings"})


def _settings_page(request: HttpRequest, tab: str, values: dict[str, object]) -> HttpResponse:
    return render(request, "accounts/settings_form.html", {"tab": tab, **values})


def _may_sign_in(row: Person) -> SafeString:
    if not row.is_active:
        return badge("Deactivated")
    # Single sign-on needs no password, so that a first sign-in counts too.
    if not row.has_usable_password() and row.last_login is None:
        return badge("Invited", "info")
    return badge("Active", "good")


def _by_access(rows: QuerySet[Person], value: str) -> QuerySet[Person]:
    return rows.filter(is_active=value == "active")


@may_admin
def people(request: HttpRequest) -> HttpResponseBase:
    """Everybody who may or could sign in."""
    page = ListPage(
        Person.objects.all(),
        title="People",
        noun="people",
        columns=[
            Column("name", "Name", link=_person_address, detail="email", sort="name"),
            Column("get_role_display", "Role", value=lambda row: row.get_role_display()),
            Column("is_active", "Access", html=_may_sign_in, value=lambda row: row.is_active),
            Column("time_zone", "Time zone", phone=False),
            Column("last_login", "Last sign-in", kind="when", sort="last_login"),
        ],
        search=["name", "email"],
        filters=[
            Choice("role", "Role", Role.choices),
            Choice(
                "access",
                "Access",
                [("active", "Active"), ("off", "Deactivated")],
                narrow=_by_access,
                anything="Any access",
            ),
        ],
        order="name",
        empty=Empty("Nobody yet", "People whom you add appear here.", icon="users"),
        crumbs=[SETTINGS_CRUMB],
        actions="accounts/people_actions.html",
        above="accounts/settings_tabs.html",
        extra={"tab": "people"},
    )
    return page.respond(request)


def _person_address(row: Person) -> str:
    return reverse("accounts:person", args=[row.pk])


@may_admin
def add_person(request: HttpRequest) -> HttpResponse:
    """Add somebody and send them a link to choose a password; the link is shown as well."""
    form = forms.AddPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            person = service.add_person(data["email"], data["name"], Role(data["role"]))
        except service.Refused as refusal:
            form.add_error("email", str(refusal))
        else:
            return _show_link(request, person)
    crumbs = [SETTINGS_CRUMB, ("People", reverse("accounts:people"))]
    values = {"form": form, "title": "Add a person", "crumbs": crumbs, "button": "Add and invite"}
    return _settings_page(request, "people", values)


@may_admin
@require_POST
def new_link(request: HttpRequest, number: int) -> HttpResponse:
    """Make another link to choose a password, for somebody who lost theirs."""
    return _show_link(request, get_object_or_404(Person, pk=number, is_active=True))


def _show_link(request: HttpRequest, person: Person) -> HttpResponse:
    link = service.invite(person, person_of(request).name)
    crumbs = [SETTINGS_CRUMB, ("People", reverse("accounts:people"))]
    values = {"person": person, "link": link, "crumbs": crumbs, "title": f"Invite {person.name}"}
    return render(request, "accounts/invited.html", values)


@may_admin
def person(request: HttpRequest, number: int) -> HttpResponse:
    """One person: name, role, whether they may sign in."""
    shown = get_object_or_404(Person, pk=number)
    form = forms.PersonForm(request.POST or None, instance=shown)
    if request.method == "POST" and form.is_valid() and _change(form, shown):
        messages.success(request, f"{shown.name} is saved.")
        return redirect("accounts:people")
    crumbs = [SETTINGS_CRUMB, ("People", reverse("accounts:people"))]
    # The form writes what was typed onto its person, also where it was refused.
    name = Person.objects.get(pk=number).name
    values = {"form": form, "shown": shown, "title": name, "crumbs": crumbs}
    return render(request, "accounts/person.html", {"tab": "people", **values})


def _change(form: forms.PersonForm, shown: Person) -> bool:
    data = form.cleaned_data
    try:
        service.change_person(
            shown, name=data["name"], role=Role(data["role"]), is_active=data["is_active"]
        )
    except service.Refused as refusal:
        form.add_error(None, str(refusal))
        return False
    return True


def _token_state(row: ApiToken) -> SafeString:
    if row.revoked_at:
        return badge("Revoked")
    if row.expires_at and row.expires_at <= now():
        return badge("Ended")
    return badge("Live", "good")


def _crumbs_of_tokens(viewer: Person) -> list[tuple[str, str]]:
    """Tokens are reached from the settings, or from the profile by those who may not open them."""
    if viewer.may(Role.ADMIN):
        return [SETTINGS_CRUMB]
    return [("Your profile", reverse("accounts:profile"))]


@may_view
def tokens(request: HttpRequest) -> HttpResponseBase:
    """A person's own API tokens; administrators see everybody's."""
    viewer = person_of(request)
    mine = Q() if viewer.may(Role.ADMIN) else Q(person=viewer)
    page = ListPage(
        ApiToken.objects.select_related("person").filter(mine),
        title="API tokens",
        noun="tokens",
        columns=[
            Column("name", "Name", link=_token_address, sort="name"),
            Column("prefix", "Key begins", kind="code"),
            Column("scopes", "May", value=lambda row: ", ".join(row.scopes)),
            Column("person.name", "Owner"),
            Column("last_used_at", "Last used", kind="when", sort="last_used_at"),
            Column("expires_at", "Ends", kind="when"),
            Column("revoked_at", "State", html=_token_state),
        ],
        search=["name", "prefix"],
        empty=Empty(
            "No API tokens",
            "A token lets a program read or act over the REST API. Make one for each program.",
            icon="key",
            action="Make a token",
            url=reverse("accounts:add_token"),
        ),
        crumbs=_crumbs_of_tokens(viewer),
        actions="accounts/token_actions.html",
        above="accounts/settings_tabs.html",
        extra={"tab": "tokens"},
    )
    return page.respond(request)


def _token_address(row: ApiToken) -> str:
    return reverse("accounts:token", args=[row.pk])


@may_view
@never_cache
def add_token(request: HttpRequest) -> HttpResponse:
    """Make a token; its key is shown on the answer and never again."""
    owner = person_of(request)
    form: Form = forms.TokenForm(owner, request.POST or None)
    crumbs = [*_crumbs_of_tokens(owner), ("API tokens", reverse("accounts:tokens"))]
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        token, key = service.issue_token(owner, data["name"], [Scope(data["scope"])], data["days"])
        values = {"token": token, "key": key, "title": token.name, "crumbs": crumbs}
        return render(request, "accounts/token_made.html", values)
    values = {"form": form, "title": "Make an API token", "crumbs": crumbs, "button": "Make token"}
    return _settings_page(request, "tokens", values)


def _own_token(request: HttpRequest, number: int) -> ApiToken:
    viewer = person_of(request)
    rows = ApiToken.objects.select_related("person")
    # Somebody else's token is "not found": a refusal would tell that it exists.
    return get_object_or_404(
        rows if viewer.may(Role.ADMIN) else rows.filter(person=viewer), pk=number
    )


@may_view
def token(request: HttpRequest, number: int) -> HttpResponse:
    """One token, and the button that revokes it."""
    shown = _own_token(request, number)
    crumbs = [*_crumbs_of_tokens(person_of(request)), ("API tokens", reverse("accounts:tokens"))]
    values = {"token": shown, "title": shown.name, "crumbs": crumbs, "tab": "tokens"}
    return render(request, "accounts/token.html", values)


@may_view
@require_POST
def revoke_token(request: HttpRequest, number: int) -> HttpResponse:
    """End a token at once."""
    shown = _own_token(request, number)
    service.revoke_token(shown)
    messages.success(request, f"“{shown.name}” is revoked: programs that use it are refused now.")
    return redirect("accounts:tokens")
