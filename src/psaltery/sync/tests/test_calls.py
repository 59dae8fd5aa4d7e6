"""Budgets: the cap of one of twenty organisations, the pages of calls, forecast and estimate."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.test import Client
from typer.testing import CliRunner

from psaltery.accounts.models import Person
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.adapters.xero.sandbox import Client as App
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.connections import service
from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.connections.models import Budget, Feed, Organisation, Usage
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice, Customer
from psaltery.sync import backfill, calls, estimate, pull
from psaltery.sync.forecast import Part, day_end
from psaltery.sync.forecast import estimate as estimated
from psaltery.testing.http_calls import call

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
REDIRECT = "http://localhost/callback"
APP = App("calls-client", "calls-secret", (REDIRECT,))
RECORDS = ("contacts", "invoices", "credit_notes", "payments")


class Xero:
    """A Xero with limits on, connected, all its organisations chosen."""

    def __init__(self, settings, orgs, **amounts):
        import httpx2

        self.sandbox = Sandbox(orgs=orgs, clients=(APP,), limits=True, **amounts)
        self.server = self.sandbox.serve()
        self.url = self.server.url
        settings.XERO_API_URL = settings.XERO_IDENTITY_URL = settings.XERO_LOGIN_URL = self.url
        fields = {"client_id": APP.id, "client_secret": APP.secret, "mode": "web"}
        self.connection = service.add("xero", "Books", fields, read_only=True)
        page = begin_consent(self.connection, redirect_uri=REDIRECT)
        answer = httpx2.get(f"{page}&sandbox_auto=allow")
        self.connection = complete_consent(answer.headers["location"])
        service.choose(self.connection, list(self.connection.organisations.all()))

    def left(self, organisation, calls_left):
        """So many calls are left of an organisation's day."""
        call(
            f"{self.url}/_control/limits", "POST",
            {"tenant": organisation.external_id, "client": APP.id, "left": calls_left},
        )  # fmt: skip

    def close(self):
        self.server.stop()
        self.sandbox.close()


@pytest.fixture
def xero_of(settings):
    made = []

    def make(orgs, **amounts):
        made.append(Xero(settings, orgs, **amounts))
        return made[-1]

    yield make
    for one in made:
        one.close()


def signed_in(role="admin"):
    person = Person.objects.create_user(f"{role}@example.com", name=role, role=role)
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def tick(names=RECORDS):
    """What the worker does with feeds that are due; the failures it met, by organisation."""
    met = {}
    due = Feed.objects.filter(due_at__lte=now(), name__in=names).select_related("organisation")
    for feed in due.order_by("organisation", "pk"):
        try:
            while pull.pull(feed.pk, Priority.SCHEDULE):
                pass
        except Failure as failure:
            met.setdefault(feed.organisation.name, failure)
    return met


def command(*words):
    from psaltery.cli import app

    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_of_twenty_reaches_its_cap_and_the_others_never_notice(xero_of):
    xero = xero_of(20, contacts=4, invoices=4)
    organisations = list(Organisation.objects.order_by("name"))
    capped, others = organisations[7], organisations[:7] + organisations[8:]
    # The first call tells how many the day has; the next ones come up against its last tenth.
    assert tick(names=("contacts",)) == {}
    xero.left(capped, 400)
    Feed.objects.filter(name="invoices", organisation=capped).update(due_at=now())
    before = Feed.objects.get(name="invoices", organisation=capped)
    met = tick(names=("invoices", "credit_notes", "payments"))
    assert set(met) == {capped.name}
    assert met[capped.name].limit == "day"
    told = Usage.objects.get(organisation=capped)
    assert told.calls == 2, "the call that learned it, and none that was in vain"
    for other in others:
        feeds = other.feeds.filter(name__in=RECORDS)
        assert {feed.state for feed in feeds} == {Feed.State.IDLE}
        assert all(feed.finished_at for feed in feeds)
    # The checkpoints stay, and each of its feeds comes back by itself.
    waiting = Feed.objects.filter(organisation=capped, state=Feed.State.PAUSED)
    assert {feed.name for feed in waiting} == {"credit_notes", "payments"}
    assert all(timedelta(minutes=50) < feed.due_at - now() < timedelta(hours=1) for feed in waiting)
    assert Feed.objects.get(pk=before.pk).cursor
    assert calls.pauses()[capped.pk].limit == "day"
    # An hour on, the vendor's day has begun anew.
    xero.left(capped, 5000)
    Feed.objects.filter(pk__in=waiting).update(due_at=now())
    Budget.objects.filter(organisation=capped).update(heard_at=now() - timedelta(hours=2))
    assert tick() == {}
    states = Feed.objects.filter(organisation=capped, name__in=RECORDS).values_list("state")
    assert set(states) == {(Feed.State.IDLE,)}
    assert calls.pauses() == {}


def test_the_page_lists_calls_and_who_waits(xero_of):
    xero_of(3, contacts=4, invoices=4)
    tick()
    first, second, third = Organisation.objects.order_by("name")
    Feed.objects.filter(organisation=second, name="payments").update(
        state=Feed.State.PAUSED, failure_code="day", due_at=now() + timedelta(minutes=40)
    )
    client = signed_in("viewer")
    shown = client.get("/calls/").content.decode()
    assert "Day&#x27;s calls used up" in shown
    assert shown.count('cell-detail">goes on') == 1
    assert "5,000" in shown, "the cap that the headers told"
    used = Usage.objects.filter(organisation=first).values_list("calls", flat=True)
    one = client.get(f"/calls/{first.pk}/").content.decode()
    assert f'<div class="stat-value">{sum(used)}</div>' in one
    paused = client.get(f"/calls/{second.pk}/").content.decode()
    assert "stopped at a checkpoint and goes on by itself" in paused
    assert "Read everything…" not in paused, "a viewer starts nothing"
    rows = list(
        csv.DictReader(io.StringIO(client.get("/calls/?format=days").content.decode("utf-8-sig")))
    )
    assert {row["Organisation"] for row in rows} == {first.name, second.name, third.name}
    assert sum(int(row["Calls"]) for row in rows) == sum(
        Usage.objects.values_list("calls", flat=True)
    )
    assert all(int(row["Bytes received"]) > 0 for row in rows)


def test_an_estimate_before_a_back_fill_is_what_the_back_fill_takes(xero_of):
    xero_of(1, contacts=40, invoices=1200)
    (one,) = Organisation.objects.all()
    guess = estimate.known(one)
    assert guess.is_least
    assert guess.calls == 12, "six lists, and at least one call for each of six feeds"
    counted = estimate.counted(one)
    invoices = next(part for part in counted.parts if part.name == "invoices")
    assert not counted.is_least
    assert invoices.calls == 2
    before = sum(Usage.objects.values_list("calls", flat=True))
    assert before == 6, "counting costs one call a feed"
    tick(names=(*RECORDS, "settings", "overpayments", "prepayments"))
    took = sum(Usage.objects.values_list("calls", flat=True)) - before
    assert took == counted.calls
    assert invoices.records == BillingInvoice.objects.count()
    assert estimate.known(one).calls == counted.calls
    told = command("budgets", "estimate")
    assert told["calls"] == counted.calls
    assert {row["feed"]: row["records"] for row in told["feeds"]}[
        "contacts"
    ] == Customer.objects.count()


def test_a_back_fill_is_counted_and_begun_on_the_page(xero_of):
    xero_of(1, contacts=5, invoices=5)
    (one,) = Organisation.objects.all()
    tick()
    client = signed_in()
    counted = client.post(f"/calls/{one.pk}/count/").content.decode()
    assert (
        "By the vendor&#x27;s own count, just now." in counted or "own count, just now" in counted
    )
    assert "<strong>12 calls</strong>" in counted
    answer = client.post(f"/calls/{one.pk}/read/", follow=True).content.decode()
    assert "7 feeds of" in answer
    assert len(backfill.of(one).feeds) == 7
    assert signed_in("bookkeeper").post(f"/calls/{one.pk}/read/").status_code == 403


def test_commands_list_and_set(xero_of):
    xero_of(2, contacts=4, invoices=4)
    tick()
    rows = command("budgets", "list")
    assert [row["per_minute"] for row in rows] == [30, 30]
    assert all(row["calls"] >= 4 and row["left"] == row["cap"] - row["calls"] for row in rows)
    days = command("budgets", "days", "--last", "2", "-o", rows[0]["organisation"])
    assert [(row["organisation"], row["calls"]) for row in days] == [
        (rows[0]["organisation"], rows[0]["calls"])
    ]
    changed = command("budgets", "set", rows[0]["organisation"], "--per-minute", "60")
    assert changed["changed"] == "calls a minute 30 → 60"
    assert Budget.objects.get(organisation=rows[0]["id"]).per_minute == 60


def test_the_day_is_forecast_by_habit():
    past = {8: 70, 14: 70, 15: 140}
    half_past_two = 14 * 3600 + 1800
    assert day_end(100, half_past_two, past, 7, []) == 100 + 5 + 20
    assert day_end(100, 23 * 3600, past, 7, []) == 100
    # Without a past: a call for each run that is still to come.
    assert day_end(7, 0, {}, 0, [21600, 3600]) == 7 + 4 + 24


def test_the_page_warns_where_the_day_has_fewer_calls_than_are_expected(xero_of, time_machine):
    xero_of(1, contacts=4, invoices=4)
    tick()
    one = Organisation.objects.get(chosen=True)
    Feed.objects.filter(organisation=one).update(seconds=300)
    # Early in the day, whatever the time is where this runs.
    time_machine.move_to(now().replace(hour=1, minute=0), tick=False)
    client, warning = signed_in("viewer"), "More than the vendor's day has"
    for left, warned in ((5000, False), (0, True)):
        Budget.objects.filter(organisation=one).update(day_remaining=left)
        page = client.get(f"/calls/{one.pk}/").content.decode()
        assert (warning in page) is warned


def test_a_back_fill_larger_than_a_day_is_spread():
    part = Part(name="invoices", label="Invoices", records=9_000_000, calls=9000)
    found = estimated([part], per_minute=60, day_cap=5000, day_left=5000)
    assert (found.calls, found.minutes, found.days) == (9000, 150, 2)
    late = estimated([part], per_minute=60, day_cap=5000, day_left=600)
    assert late.days == 3
    assert estimated([part], per_minute=60, day_cap=None, day_left=None).days == 1
