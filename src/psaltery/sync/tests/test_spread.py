"""A hundred and twenty organisations: picked in the browser, read only, and their ticks spread."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from psaltery.accounts.models import Person, Role
from psaltery.adapters.budget import Priority
from psaltery.adapters.xero.sandbox import Client as App
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.sync import pull
from psaltery.sync.spread import next_tick
from psaltery.testing.consent import allow_access
from psaltery.testing.http_calls import call
from psaltery.testing.signed_in import signed_in_as

RECORDS = ("contacts", "invoices", "credit_notes", "payments")
SIX_HOURS = 21_600
MOMENT = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)
MANY = 120


def test_organisations_keep_their_places_and_share_none():
    ticks = [next_tick(number, SIX_HOURS, MOMENT) for number in range(1, MANY + 1)]
    assert len(set(ticks)) == MANY
    assert all(timedelta(minutes=36) < at - MOMENT <= timedelta(hours=6.6) for at in ticks)
    # Six hours are 360 minutes: one organisation in three minutes would be perfectly even.
    by_ten_minutes = Counter(int(at.timestamp()) // 600 for at in ticks)
    assert max(by_ten_minutes.values()) <= 6
    # Read in time, each comes back after exactly one interval.
    later = [next_tick(n, SIX_HOURS, at + timedelta(minutes=2)) for n, at in enumerate(ticks, 1)]
    assert all(new - old == timedelta(hours=6) for new, old in zip(later, ticks, strict=True))


@pytest.mark.parametrize("seconds", [1, 300, 3600, 86_400])
def test_a_tick_is_never_late_by_more_than_a_tenth(seconds):
    for number in (1, 7, 120, 100_000):
        wait = (next_tick(number, seconds, MOMENT) - MOMENT).total_seconds()
        assert seconds / 10 < wait <= seconds * 1.1 + 1


@pytest.fixture
def vendor(live_app, settings):
    """A Xero whose user may connect a practice and 120 organisations."""
    app = App("many-client", "many-secret", (f"{live_app.url}/connections/callback",))
    sandbox = Sandbox(orgs=MANY, clients=(app,), limits=True, contacts=2, invoices=2)
    server = sandbox.serve()
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = settings.XERO_LOGIN_URL = server.url
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    form_action = {"form-action": ["'self'", server.url]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**policy, **form_action}}
    yield server
    server.stop()
    sandbox.close()


def tick():
    """What the worker does with the feeds of records that are due."""
    for feed in Feed.objects.filter(due_at__lte=now(), name__in=RECORDS).order_by("pk"):
        while pull.pull(feed.pk, Priority.SCHEDULE):
            pass


@pytest.mark.journey
def test_120_organisations_are_connected_to_read_only(vendor, live_app, page, settings):
    page.set_default_timeout(60_000)  # the consent page of the sandbox lists them all
    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    signed_in_as(ann, page, live_app.url)
    page.goto(f"{live_app.url}/connections/add/xero/")
    page.get_by_label("Name").fill("All of them")
    page.get_by_label("Client id").fill("many-client")
    page.get_by_label("Client secret").fill("many-secret")
    page.get_by_label("Read only").check()
    page.get_by_role("button", name="Go on to Xero").click()
    allow_access(page)
    expect(page.get_by_text("120 found, 0 synced")).to_be_visible()
    expect(page.get_by_text("Page 1 of 5")).to_be_visible()
    expect(page.get_by_text("at least 12 calls for each organisation")).to_be_visible()
    practice = call(f"{vendor.url}/_control/organisations")
    hidden = [one["tenantName"] for one in practice if one["tenantType"] != "ORGANISATION"]
    assert hidden
    assert not Organisation.objects.filter(name__in=hidden).exists()
    # No organisation chosen: nothing can run.
    assert not Feed.objects.exists()
    page.get_by_label("Search organisations").fill("Sydney")
    page.get_by_role("button", name="Search", exact=True).click()
    found = Organisation.objects.filter(name__icontains="Sydney").count()
    assert 0 < found < MANY
    expect(page.get_by_text(f"{found} found, 0 synced")).to_be_visible()
    page.goto(re.sub(r"\?.*", "", page.url))
    page.get_by_role("button", name="Select all 120 found").click()
    expect(page.get_by_text("Testing: sign-in and 120 organisations")).to_be_visible()
    connection = Connection.objects.get()
    assert connection.read_only
    assert all(".read" in scope for scope in connection.scopes.split() if "accounting" in scope)
    assert Organisation.objects.filter(chosen=True).count() == MANY
    page.goto("about:blank")
    # Webhooks or none: a tick reads all four kinds of records of each.
    tick()
    read = Feed.objects.filter(name__in=RECORDS, finished_at__isnull=False)
    assert Counter(read.values_list("name", flat=True)) == dict.fromkeys(RECORDS, MANY)
    # From now on each has its own time, and all its kinds of records the same.
    times = {}
    for pk, at in read.values_list("organisation_id", "due_at"):
        times.setdefault(pk, set()).add(at)
    assert all(len(ticks) == 1 for ticks in times.values())
    minutes = Counter(next(iter(ticks)).replace(second=0) for ticks in times.values())
    assert max(minutes.values()) <= 2
