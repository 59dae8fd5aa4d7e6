"""People, invitations, roles, API tokens and the settings, through their pages and services."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from psaltery.accounts import service
from psaltery.accounts.models import ApiToken, Installation, Person, Role, Scope
from psaltery.audit.models import Entry
from psaltery.kit.clock import now

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


@pytest.fixture
def admin() -> Person:
    return service.add_person("ada@example.com", "Ada Admin", Role.ADMIN, password=PASSWORD)


@pytest.fixture
def client(admin: Person) -> Client:
    client = Client()
    client.force_login(admin, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_invited_person_chooses_a_password_and_signs_in(client: Client):
    page = client.post(
        "/settings/people/add/", {"name": "Ben", "email": "Ben@Example.com", "role": "bookkeeper"}
    ).content.decode()
    link = re.search(r"http://localhost:\d+(/accounts/password/reset/key/[^<\"]+)", page).group(1)
    assert link in mail.outbox[0].body
    assert mail.outbox[0].to == ["ben@example.com"]
    visitor = Client()
    form = visitor.get(link, follow=True)
    assert form.status_code == 200
    where = form.redirect_chain[-1][0]
    visitor.post(where, {"password1": PASSWORD, "password2": PASSWORD})
    answer = visitor.post("/accounts/login/", {"login": "ben@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert Client().get(link, follow=True).content.decode().count("password1") == 0


def test_an_address_is_one_person_whatever_its_case(client: Client, admin: Person):
    page = client.post(
        "/settings/people/add/", {"name": "A", "email": "ADA@example.com", "role": "viewer"}
    ).content.decode()
    assert "somebody&#x27;s address already" in page
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.create(email="Ada@Example.com", name="Twin")


@pytest.mark.parametrize(
    ("email", "zone"), [("no address", "UTC"), ("x@example.com", "Mars/Olympus")]
)
def test_wrong_fields_are_refused(email, zone):
    with pytest.raises(ValidationError):
        service.add_person(email, "X", Role.VIEWER, time_zone=zone)
    assert not Person.objects.exists()


def test_the_last_administrator_stays(client: Client, admin: Person):
    page = client.post(
        f"/settings/people/{admin.pk}/", {"name": "Ada", "role": "viewer", "is_active": "on"}
    ).content.decode()
    assert "is the only administrator" in page
    admin.refresh_from_db()
    assert admin.role == "admin"


def test_role_and_access_change_and_are_audited(client: Client):
    ben = service.add_person("ben@example.com", "Ben", Role.VIEWER)
    answer = client.post(f"/settings/people/{ben.pk}/", {"name": "Ben B", "role": "bookkeeper"})
    assert answer.status_code == 302
    ben.refresh_from_db()
    assert (ben.name, ben.role, ben.is_active) == ("Ben B", "bookkeeper", False)
    told = Entry.objects.filter(operation="person_changed").get()
    assert told.actor == "ada@example.com"
    assert told.sentence == "ben@example.com is bookkeeper and may not sign in any more."


def test_token_opens_what_its_scope_and_its_owners_role_allow(admin: Person):
    ben = service.add_person("ben@example.com", "Ben", Role.BOOKKEEPER)
    token, key = service.issue_token(ben, "script", [Scope.WRITE])
    assert key not in str(ApiToken.objects.values().get())
    assert service.token_for(key, Scope.READ) == token
    assert service.token_for(key, Scope.WRITE) == token
    assert service.token_for(key, Scope.ADMIN) is None
    assert service.token_for(key + "x", Scope.READ) is None
    ApiToken.objects.get(last_used_at__isnull=False)
    service.change_person(ben, name="Ben", role=Role.VIEWER, is_active=True)
    assert service.token_for(key, Scope.WRITE) is None
    service.change_person(ben, name="Ben", role=Role.VIEWER, is_active=False)
    assert service.token_for(key, Scope.READ) is None


def test_token_ends_by_its_day_or_by_hand(admin: Person):
    _, key = service.issue_token(admin, "script", [Scope.READ], days=1)
    ApiToken.objects.update(expires_at=now() - timedelta(seconds=1))
    assert service.token_for(key, Scope.READ) is None
    other, key = service.issue_token(admin, "other", [Scope.READ])
    service.revoke_token(other)
    assert service.token_for(key, Scope.READ) is None


def test_nobody_makes_a_token_above_their_role():
    vi = service.add_person("vi@example.com", "Vi", Role.VIEWER)
    with pytest.raises(service.Refused, match="does not allow"):
        service.issue_token(vi, "script", [Scope.WRITE])


def test_key_is_shown_once_and_others_tokens_are_hidden(client: Client, admin: Person):
    page = client.post(
        "/settings/tokens/add/", {"name": "Power BI", "scope": "read", "days": "90"}
    ).content.decode()
    key = re.search(r"psaltery_[\w-]{43}", page).group()
    token = ApiToken.objects.get()
    assert key not in client.get(f"/settings/tokens/{token.pk}/").content.decode()
    vi = service.add_person("vi@example.com", "Vi", Role.VIEWER)
    other = Client()
    other.force_login(vi, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert other.get(f"/settings/tokens/{token.pk}/").status_code == 404
    assert other.post(f"/settings/tokens/{token.pk}/revoke/").status_code == 404
    assert "Power BI" not in other.get("/settings/tokens/").content.decode()


def test_settings_hold_one_row_within_bounds(client: Client):
    form = {"msp_name": "Harbourline", "time_zone": "Pacific/Auckland", "audit_retention_days": "7"}
    assert "greater than or equal to 30" in client.post("/settings/", form).content.decode()
    client.post("/settings/", form | {"audit_retention_days": ""})
    row = Installation.objects.get()
    assert (row.msp_name, row.time_zone, row.audit_retention_days) == (
        "Harbourline",
        "Pacific/Auckland",
        None,
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Installation.objects.create(id=2)


def test_profile_changes_the_zone_that_times_are_shown_in(client: Client, admin: Person):
    client.post("/profile/", {"name": "Ada", "time_zone": "Asia/Tokyo", "theme": "dark"})
    page = client.get("/settings/people/").content.decode()
    assert "JST" in page
    assert 'data-bs-theme="dark"' in page


def test_signed_in_person_cannot_change_their_address_by_the_librarys_page(client: Client):
    assert client.get("/accounts/email/").status_code == 404
