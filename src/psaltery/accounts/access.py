"""Who may open a page: guards for function views.

    @may_write
    def retry(request: HttpRequest, number: int) -> HttpResponse: ...

A visitor is sent to the sign-in page and comes back afterwards; somebody whose role is too low gets
a 403 page that says which role it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from psaltery.accounts.models import Person, Role

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def person_of(request: HttpRequest) -> Person:
    """The signed-in person; PermissionDenied where a view forgot its guard."""
    if isinstance(request.user, Person):
        return request.user
    raise PermissionDenied("Sign in first.")


def refusal(person: Person, needed: Role) -> str:
    """The sentence shown to a person whose role is too low."""
    return (
        f"Your role is {person.get_role_display().lower()}, and this takes the role "
        f"{needed.label.lower()}. An administrator can change it under Settings, People."
    )


def _sign_in_first(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        return redirect_to_login(request.get_full_path())
    # htmx would swap the sign-in page into a table: make the browser go there instead, and come
    # back to the page the person sees, not to the fragment.
    seen = urlsplit(request.headers.get("HX-Current-URL", "/"))
    page = f"{seen.path}?{seen.query}" if seen.query else seen.path
    answer = HttpResponse(status=204)
    answer["HX-Redirect"] = redirect_to_login(page)["Location"]
    return answer


def _guard(needed: Role, view: View[P]) -> View[P]:
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        person = request.user
        # A visitor is sent to sign in; a person with too low a role would only come back here, so
        # that they get a page instead.
        if not isinstance(person, Person):
            return _sign_in_first(request)
        if not person.may(needed):
            raise PermissionDenied(refusal(person, needed))
        return view(request, *args, **kwargs)

    return guarded


def may_view(view: View[P]) -> View[P]:
    """Let anybody who is signed in open the page."""
    return _guard(Role.VIEWER, view)


def may_write(view: View[P]) -> View[P]:
    """Let bookkeepers and administrators open the page: it syncs, maps or repairs something."""
    return _guard(Role.BOOKKEEPER, view)


def may_admin(view: View[P]) -> View[P]:
    """Let administrators open the page: connections, people, settings."""
    return _guard(Role.ADMIN, view)
