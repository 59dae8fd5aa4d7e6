"""What the dashboard, the menu and the banners say of what is in the database."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from psaltery.accounts import service
from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.posting.models import Posting
from psaltery.review.models import Blocked, Card
from psaltery.web.dashboard import dashboard_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> Organisation:
    books = Connection.objects.create(kind="xero", name="Books", state="connected")
    return Organisation.objects.create(
        connection=books, external_id="1", name="Adelaide", chosen=True
    )


@pytest.fixture
def client() -> Client:
    person = service.add_person("ada@example.com", "Ada", Role.ADMIN)
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def document(office: Organisation, number: int, state: str) -> Document:
    blank = {
        field.name: ""
        for field in Document._meta.concrete_fields
        if field.get_internal_type() == "CharField"
    }
    money = {
        field.name: Decimal(0)
        for field in Document._meta.concrete_fields
        if field.get_internal_type() == "DecimalField"
    }
    made = Document.objects.create(
        **blank | money | {"number": str(number), "external_id": str(number), "kind": "invoice"},
        connection=office.connection,
        issued_on=now().date(),
        closed=True,
        posted=False,
    )
    Posting.objects.create(document=made, organisation=office, state=state)
    return made


def card(cause: str, *documents: Document, amount: str = "10", currency: str = "AUD") -> Card:
    made = Card.objects.create(code="unmapped_account", cause=cause, sentence="Map it.")
    for one in documents:
        Blocked.objects.create(card=made, document=one, amount=Decimal(amount), currency=currency)
    return made


def test_states_are_counted_and_skipped_ones_are_not_due(office):
    for number, state in enumerate(["in_step"] * 3 + ["held", "waiting", "skipped"]):
        document(office, number, state)
    seen = dashboard_now()
    assert (seen.in_step, seen.in_work, seen.stopped) == (3, 1, 1)
    assert seen.of_all == "60.0 % of 5"
    assert seen.in_work_text == "1 waiting"


def test_money_that_two_cards_block_counts_once(office):
    one, two, three = (document(office, number, "held") for number in range(3))
    card("a", one, two)
    card("b", two)
    card("c", three, amount="7.5", currency="NZD")
    done = card("d", three, amount="99", currency="NZD")
    Card.objects.filter(pk=done.pk).update(state="resolved")
    waiting = dashboard_now().waiting
    assert (waiting.cards, waiting.documents) == (3, 3)
    assert waiting.money_text == "20.00 AUD + 7.50 NZD"


def test_calls_of_yesterday_are_not_todays(office):
    Budget.objects.create(
        organisation=office,
        per_minute=30,
        day_used=4000,
        day_cap=5000,
        day=now().date() - timedelta(days=1),
    )
    used, left = dashboard_now().calls["series"]
    assert (used["data"], left["data"]) == ([0], [5000])


def test_feeds_at_work_come_with_their_count(office, client):
    Feed.objects.create(
        organisation=office, name="credit_notes", state="running", seconds=60, done=1200, total=3410
    )
    Feed.objects.create(organisation=office, name="contacts", state="idle", seconds=60, done=5)
    page = client.get("/").content.decode()
    assert "Adelaide: credit notes" in page
    assert "1,200 / 3,410 · running" in page
    assert "Adelaide: contacts" not in page


def test_live_part_comes_alone(office, client):
    part = client.get("/", headers={"HX-Request": "true", "HX-Target": "dashboard"})
    assert part.content.decode().startswith('<div id="dashboard"')


def test_dashboard_costs_the_same_whatever_there_is(office, client):
    def queries() -> int:
        with CaptureQueriesContext(database) as caught:
            client.get("/")
        return len(caught)

    client.get("/")
    few = queries()
    for number in range(20):
        card(f"cause {number}", document(office, number, "held"))
        Feed.objects.create(
            organisation=office,
            name=f"feed {number}",
            state="running",
            seconds=60,
            finished_at=now(),
        )
    assert queries() == few


def test_broken_connection_is_on_every_page(office, client):
    Connection.objects.create(
        kind="connectwise",
        name="ConnectWise",
        state="needs_reconnect",
        reason="The key was revoked.",
    )
    Organisation.objects.filter(pk=office.pk).update(state="removed", reason="Choose it again.")
    page = client.get("/profile/").content.decode()
    assert "ConnectWise needs reconnecting. The key was revoked." in page
    assert "Adelaide is removed at the other side. Choose it again." in page


def test_menu_counts_open_exceptions_and_marks_the_page(office, client):
    from psaltery.web.menu import menu, open_exceptions

    card("a")
    Card.objects.filter(pk=card("b").pk).update(state="snoozed")
    assert open_exceptions() == 1
    request = client.get("/settings/").wsgi_request
    request.user = Person.objects.get()
    current = [item.label for item in menu(request) if item.is_current]
    assert current == ["Settings"]


@pytest.mark.parametrize("path", ["/nope/", "/settings/people/999/"])
def test_missing_page_is_said_in_plain_words(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()


def test_form_out_of_date_is_said_in_plain_words():
    answer = Client(enforce_csrf_checks=True).post("/theme/", {"theme": "dark"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


def test_unknown_host_is_said_in_plain_words():
    answer = Client().get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "PSALTERY_PUBLIC_URL" in answer.content.decode()


def test_no_page_has_inline_script_or_style(office, client):
    import re

    Budget.objects.create(
        organisation=office, per_minute=30, day_used=4, day_cap=5000, day=now().date()
    )
    for path in ("/", "/profile/", "/settings/", "/settings/people/", "/settings/tokens/add/"):
        page = client.get(path).content.decode()
        assert not re.search(r"\sstyle=|\son\w+=|<style", page), path
        for script in re.findall(r"<script[^>]*>", page):
            assert "src=" in script or 'type="application/json"' in script, path
