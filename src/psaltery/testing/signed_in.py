"""A page whose person has signed in already, for tests of what comes after."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

if TYPE_CHECKING:
    from psaltery.accounts.models import Person

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def signed_in_as(person: "Person", page: Page, url: str) -> Page:
    """The page, with the person's session at the server of this address."""
    client = Client()
    client.force_login(person, backend=BACKEND)
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    return page
