"""A consent's life and its troubles, in the browser and over HTTP: who is told, who goes on."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from playwright.sync_api import expect

from psaltery.accounts.models import Person, Role
from psaltery.accounts.service import add_person
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.connections import service
from psaltery.connections.models import Budget, Connection, Feed, Organisation, TokenSet
from psaltery.kit.clock import now
from psaltery.notify import outbox
from psaltery.notify import service as notify
from psaltery.review.catalogue import CATALOGUE
from psaltery.review.models import Card
from psaltery.sync import pull
from psaltery.sync.consents import look_after
from psaltery.testing.consent import allow_access
from psaltery.web.banners import banners

pytestmark = pytest.mark.journey
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def ends_in(**span):
    TokenSet.objects.update(refresh_expires_at=now() + timedelta(**span), refreshed_at=now())


def tick(*names):
    """Read these feeds of every organisation; what failed, by organisation."""
    met = {}
    feeds = Feed.objects.filter(name__in=names or ("contacts",)).select_related("organisation")
    for feed in feeds.order_by("organisation__name"):
        try:
            pull.pull(feed.pk, Priority.SCHEDULE)
        except Failure as failure:
            met[feed.organisation.name] = failure
    return met


def shown(role=Role.ADMIN):
    """The banners of a person of this role, by code."""
    person = Person(role=role, email="x@example.com", is_active=True)
    request = type("Request", (), {"user": person})()
    return {one.code: one for one in banners(request)}


@pytest.fixture
def three(connect):
    """Three organisations that are synced."""
    connection = connect(choose=True)
    return connection, list(Organisation.objects.order_by("name"))


def in_step(organisations):
    feeds = Feed.objects.filter(organisation__in=organisations, name="contacts")
    return all(feed.state == Feed.State.IDLE and feed.finished_at for feed in feeds)


def test_warnings_come_seven_and_two_days_before_the_end_by_mail_too(three, settings):
    settings.EMAIL_HOST = "mail.example.com"
    ann = add_person("ann@example.com", "Ann", Role.ADMIN, password="a long enough secret")
    notify.recipient_of(ann).rules.filter(timing="daily").delete()

    def told(hours):
        look_after()
        outbox.book()
        with time_machine.travel(now() + timedelta(hours=hours)):
            outbox.book()
            outbox.send_due()
        subjects = [one.subject for one in mail.outbox]
        mail.outbox.clear()
        return subjects

    ends_in(days=8)
    assert told(1) == []
    assert shown() == {}
    ends_in(days=6, hours=12)
    first = told(1)
    assert len(first) == 1
    assert "consent ends soon" in first[0]
    banner = shown()["consent_ends"]
    assert (banner.tone, banner.action, banner.posts) == ("warning", "Reconnect", True)
    assert "ends in 6 days" in banner.text
    assert told(2) == [], "once is enough"
    ends_in(days=1, hours=12)
    second = told(3)
    assert any("consent ends soon" in subject for subject in second)
    assert shown()["consent_ends"].tone == "danger"
    assert Card.objects.filter(code="consent_ends", state="open").count() == 1
    # Renewed: nobody is warned any more.
    TokenSet.objects.update(refreshed_at=now() - timedelta(days=8))
    assert look_after().renewed == 1
    look_after()
    assert shown() == {}
    assert not Card.objects.filter(code="consent_ends", state="open").exists()


def test_a_viewer_is_told_and_offered_nothing(three):
    ends_in(days=3)
    banner = shown(Role.VIEWER)["consent_ends"]
    assert not banner.posts
    assert banner.action == "See the connection"


def test_after_61_idle_days_the_page_says_what_to_do_and_one_click_mends_it(
    vendor,
    connect,
    live_app,
    request,
):
    connection = connect(choose=True)
    assert tick() == {}
    with time_machine.travel(now() + timedelta(days=61), tick=True):
        failures = tick()
        assert {failure.code for failure in failures.values()} == {"consent_expired"}
        browser_page = request.getfixturevalue("signed_in")
        browser_page.goto(f"{live_app.url}/connections/{connection.pk}/")
        alert = browser_page.get_by_role("main").get_by_role("alert")
        expect(alert).to_contain_text("was not used for too long and ended on")
        steps = browser_page.get_by_role("list", name="What to do").get_by_role("listitem")
        expect(steps).to_have_count(4)
        expect(steps.nth(0)).to_contain_text("Press “Reconnect now”")
        expect(steps.nth(2)).to_contain_text("Leave every permission and every organisation ticked")
        banner = browser_page.locator('.banner[data-code="consent_expired"]')
        expect(banner).to_be_visible()
        # One click, and the vendor's own page.
        banner.get_by_role("button", name="Reconnect").click()
        allow_access(browser_page)
        expect(browser_page.get_by_text("is connected again.")).to_be_visible()
        expect(browser_page.locator(".banner")).to_have_count(0)
        connection.refresh_from_db()
        assert connection.state == Connection.State.CONNECTED
        assert connection.organisations.filter(chosen=True).count() == 3
        assert tick() == {}
        expect(browser_page.get_by_text("59 days left")).to_be_visible()


def test_a_revoked_consent_stops_one_connection_and_no_other(xero, connect):
    connection = connect(choose=True)
    assert tick() == {}
    xero.control("faults", path=".*/Contacts", kind="revoke", times=1)
    failures = tick()
    assert {failure.code for failure in failures.values()} == {"token_revoked"}
    banner = shown()["token_revoked"]
    assert banner.posts
    assert banner.text.startswith(f"{connection.name} needs reconnecting.")
    card = Card.objects.get(code="token_revoked", state="open")
    assert card.sentence.startswith(f"{connection.name}:"), "one card, and three organisations"


def test_a_missing_permission_is_told_and_the_other_organisations_go_on(xero, three):
    _, (first, second, third) = three
    assert tick() == {}
    fault = {"path": ".*/Contacts", "kind": "forbidden", "times": 1}
    xero.control("faults", **fault)
    assert set(tick()) == {first.name}
    banner = shown()["permission_denied"]
    assert "may not do this" in banner.text
    card = Card.objects.get(code="permission_denied", state="open")
    assert banner.url == f"/exceptions/{card.pk}/"
    assert "reconnect" in CATALOGUE["permission_denied"].repairs
    assert in_step([second, third])
    assert tick() == {}
    assert shown() == {}


def test_an_organisation_de_selected_at_the_vendor_is_shown_with_its_remedy(xero, three):
    connection, (gone, *others) = three
    xero.control("disconnect", tenant=gone.external_id)
    assert set(tick()) == {gone.name}
    banner = shown()["tenant_removed"]
    assert banner.text.startswith(f"{gone.name} is removed at the other side.")
    assert "tick it on the consent page" in banner.text
    assert banner.url == f"/connections/{connection.pk}/begin/"
    assert in_step(others)
    connection.refresh_from_db()
    assert connection.state == Connection.State.CONNECTED


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("minute_limit", "minute_limit", "the calls of this minute are used up"),
        ("day_limit", "day_limit", "nearly all calls of the day are used up"),
    ],
)
def test_a_limit_of_one_organisation_is_told_and_ends_by_itself(xero, three, kind, code, words):
    _, (first, *others) = three
    xero.control("faults", path=".*/Contacts", kind=kind, times=1)
    assert set(tick()) == {first.name}
    banner = shown()[code]
    assert words in banner.text
    assert "other organisations are not affected" in banner.text
    assert banner.text.startswith(f"{first.name}:")
    assert banner.url == f"/calls/{first.pk}/"
    assert in_step(others)
    feed = Feed.objects.get(organisation=first, name="contacts")
    assert feed.state == Feed.State.PAUSED
    with time_machine.travel(feed.due_at + timedelta(seconds=5), tick=True):
        assert tick() == {}
        assert shown() == {}


def test_an_organisation_that_is_offline_says_so_and_comes_back(xero, three):
    _, (first, *others) = three
    fault = {"path": ".*/Contacts", "kind": "offline", "of": "organisation", "times": 1}
    xero.control("faults", **fault)
    assert set(tick()) == {first.name}
    banner = shown()["organisation_offline"]
    assert banner.text == f"{first.name} is offline. The organisation is offline at Xero."
    assert in_step(others)
    assert not Card.objects.filter(code="organisation_offline").exists(), "minutes are no trouble"
    Feed.objects.filter(organisation=first).update(failed_since=now() - timedelta(hours=1))
    xero.control("faults", **fault)
    tick()
    assert Card.objects.get(code="organisation_offline").state == "open"
    assert tick() == {}
    assert shown() == {}
    assert Card.objects.get(code="organisation_offline").state == "resolved"


def test_a_page_shows_a_banner_of_each_kind(three, live_app, signed_in):
    """All at once: each with its own sentence and button."""
    connection, (first, second, third) = three
    Organisation.objects.filter(pk=first.pk).update(state="removed", reason="It is gone.")
    Organisation.objects.filter(pk=second.pk).update(state="offline", reason="It is offline.")
    Budget.objects.filter(organisation=third).update(
        blocked_until=now() + timedelta(minutes=1), blocked_why="minute"
    )
    ends_in(days=1)
    page = signed_in
    page.goto(f"{live_app.url}/connections/")
    expect(page.locator(".banner")).to_have_count(4)
    codes = [one.get_attribute("data-code") for one in page.locator(".banner").all()]
    assert sorted(codes) == [
        "consent_ends",
        "minute_limit",
        "organisation_offline",
        "tenant_removed",
    ]
    assert set(codes) <= set(CATALOGUE)
    page.get_by_role("link", name="See the calls").click()
    expect(page.get_by_role("heading", name=f"Calls of {third.name}")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("goes on by itself")
    page.goto(f"{live_app.url}/connections/{connection.pk}/")
    expect(page.get_by_text(re.compile(r"\d days? left; it could not be renewed"))).to_be_visible()


def test_reading_only_offers_no_writing_and_widening_it_asks_and_says_why(
    vendor,
    connect,
    live_app,
    signed_in,
):
    connection = connect(choose=True, read_only=True)
    assert "accounting.invoices.read" in connection.scopes
    organisation = connection.organisations.first()
    page = signed_in
    page.goto(f"{live_app.url}/organisations/{organisation.pk}/settings/")
    expect(page.get_by_text("What is posted, and how")).to_have_count(0)
    expect(page.get_by_text("reads only, so nothing is ever written")).to_be_visible()
    page.goto(f"{live_app.url}/connections/{connection.pk}/")
    page.get_by_role("button", name="Allow writing…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("needs permissions that were not granted so far")
    expect(dialog.get_by_text("accounting.invoices", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Consent to writing").click()
    connection.refresh_from_db()
    assert connection.read_only, "nothing has changed before the consent is given"
    allow_access(page)
    expect(page.get_by_text("is connected again.")).to_be_visible()
    connection.refresh_from_db()
    assert not connection.read_only
    assert "accounting.invoices" in connection.scopes.split()
    assert service.writes_blocked(Organisation.objects.get(pk=organisation.pk)) == ""


def test_a_bookkeeper_cannot_widen(three):
    connection, _ = three
    person = Person.objects.create_user("bo@example.com", name="Bo", role=Role.BOOKKEEPER)
    client = Client()
    client.force_login(person, backend=BACKEND)
    assert client.post(f"/connections/{connection.pk}/allow-writing/").status_code == 403
