"""Guards of pages, first set-up and sign-in, through the real URLs."""

from __future__ import annotations

import pytest
from django.test import Client

from psaltery.accounts import service
from psaltery.accounts.models import Installation, Person, Role
from psaltery.audit.models import Entry

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


@pytest.fixture
def admin() -> Person:
    return service.add_person("ada@example.com", "Ada Admin", Role.ADMIN, password=PASSWORD)


@pytest.fixture
def viewer() -> Person:
    return service.add_person("vi@example.com", "Vi Viewer", Role.VIEWER, password=PASSWORD)


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_first_visit_leads_to_set_up_and_makes_the_administrator():
    client = Client()
    answer = client.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/set-up/"
    form = {
        "msp_name": "Harbourline IT",
        "name": "Ada Admin",
        "email": "Ada@Example.com",
        "password": PASSWORD,
        "time_zone": "Australia/Sydney",
    }
    answer = client.post("/set-up/", form)
    assert answer.status_code == 302
    person = Person.objects.get()
    assert (person.email, person.role, person.time_zone) == (
        "ada@example.com",
        "admin",
        "Australia/Sydney",
    )
    assert Installation.objects.get().msp_name == "Harbourline IT"
    page = client.get("/")
    assert page.status_code == 200
    assert "Harbourline IT" in page.content.decode()


def test_set_up_is_closed_once_there_is_somebody(admin: Person):
    answer = Client().post("/set-up/", {"email": "eve@example.com"})
    assert answer.status_code == 302
    assert Person.objects.count() == 1


def test_weak_password_is_refused_with_its_reason():
    form = {
        "msp_name": "X",
        "name": "Ada",
        "email": "ada@example.com",
        "password": "password12",
        "time_zone": "UTC",
    }
    page = Client().post("/set-up/", form)
    assert "too common" in page.content.decode()
    assert not Person.objects.exists()


def test_visitor_is_sent_to_sign_in_and_back(admin: Person):
    answer = Client().get("/settings/people/?role=admin")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=/settings/people/%3Frole%3Dadmin"


def test_visitor_in_a_fragment_makes_the_browser_go_to_sign_in(admin: Person):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/profile/?a=1"}
    answer = Client().get("/", headers=headers)
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/accounts/login/?next=/profile/%3Fa%3D1"


def test_role_too_low_gets_a_page_that_says_which_it_takes(viewer: Person):
    answer = signed_in(viewer).get("/settings/people/")
    assert answer.status_code == 403
    assert "Your role is viewer, and this takes the role administrator" in answer.content.decode()


def test_sign_in_with_password_is_audited(admin: Person):
    client = Client()
    answer = client.post("/accounts/login/", {"login": admin.email, "password": PASSWORD})
    assert answer.status_code == 302
    assert client.get("/").status_code == 200
    assert Entry.objects.filter(kind="sign_in", actor=admin.email, failed=False).count() == 1


def test_wrong_password_is_refused_audited_and_locks_after_eight(admin: Person):
    client = Client()
    wrong = {"login": admin.email, "password": "not the password"}
    page = client.post("/accounts/login/", wrong)
    assert page.status_code == 200
    assert "not correct" in page.content.decode()
    assert Entry.objects.filter(kind="sign_in", actor=admin.email, failed=True).count() == 1
    for _ in range(8):
        answer = client.post("/accounts/login/", wrong)
    assert answer.status_code == 429
    right = client.post("/accounts/login/", {"login": admin.email, "password": PASSWORD})
    assert right.status_code == 429
    assert "Too many attempts" in right.content.decode()


def test_deactivated_person_is_out_at_once(admin: Person, viewer: Person):
    client = signed_in(viewer)
    assert client.get("/").status_code == 200
    service.change_person(viewer, name=viewer.name, role=Role.VIEWER, is_active=False)
    assert client.get("/").status_code == 302


def test_nobody_signs_up_by_themselves(admin: Person):
    page = Client().get("/accounts/signup/")
    assert "By invitation" in page.content.decode()
