"""How the sign-in library behaves here: nobody signs up by themselves, every attempt is audited."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.http import HttpRequest, HttpResponse

from psaltery.accounts.models import Person
from psaltery.audit.service import record_sign_in


def address_tried(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The e-mail address of an attempt to sign in, as django-axes counts failures by."""
    given = credentials or {}
    address = given.get("email") or given.get("username") or request.POST.get("login", "")
    # 254 is the longest address there can be; a visitor could send megabytes to be logged.
    return str(address).strip().lower()[:254]


class SignIn(DefaultAccountAdapter):  # type: ignore[misc]
    """Local accounts: administrators add people, so the sign-up page is closed."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def post_login(self, request: HttpRequest, user: Person, **details: Any) -> HttpResponse:
        """Audit a sign-in that has passed all its steps."""
        record_sign_in(user.email, f"{user.name} signed in.")
        response: HttpResponse = super().post_login(request, user, **details)
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Audit an attempt with a wrong address or password."""
        who = address_tried(request, credentials)
        record_sign_in(who, "Sign-in refused: wrong address or password.", failed=True)


class SingleSignOn(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """OpenID Connect: only for people whom an administrator has added, found by e-mail address."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False
