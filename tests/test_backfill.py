"""A back-fill as a job: estimated, paused at a checkpoint, resumed, ended; by page and command."""

import json

import msgspec
import pytest
from django.urls import reverse
from playwright.sync_api import expect
from typer.testing import CliRunner

from psaltery.accounts.models import Person
from psaltery.adapters.budget import Priority
from psaltery.adapters.xero import feeds
from psaltery.adapters.xero.books import XeroBooks
from psaltery.audit.models import Entry
from psaltery.cli import app
from psaltery.connections.models import Feed
from psaltery.ledger.models import Customer
from psaltery.posting.models import Posting
from psaltery.sync import backfill, estimate, force, pull, schedule
from psaltery.sync.models import Backfill
from psaltery.testing.processes import due_jobs
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]


@pytest.fixture
def books(rig: Rig):
    rig.sync()
    return rig.organisations[0]


@pytest.fixture
def admin(client):
    person = Person.objects.create_user("ann@example.com", name="Ann", role="admin")
    client.force_login(person, backend=BACKEND)
    return client


def read_on(organisation, name: str, seconds: float = 0) -> bool:
    feed = Feed.objects.get(organisation=organisation, name=name)
    return pull.pull(feed.pk, Priority.BACKFILL, seconds=seconds)


def read_all(rig: Rig, organisation) -> None:
    for feed in Feed.objects.filter(organisation=organisation):
        rig.read(feed)


def make_contacts(rig: Rig, organisation) -> int:
    """Enough for four pages of two; how many the books have."""
    names = [{"Name": f"Customer {number}"} for number in range(7)]
    rig.write_books(organisation, "Contacts", {"Contacts": names})
    return len(rig.in_books(organisation, "Contacts")["Contacts"])


def small_pages(monkeypatch, size: int = 2) -> None:
    monkeypatch.setattr(feeds, "Cursor", _of_pages(size))


def _of_pages(size: int):
    return msgspec.defstruct(
        "Cursor",
        [("since", str, ""), ("page", int, 1), ("size", int, size), ("started", str, ""),
         ("full", bool, False)],
        frozen=True, kw_only=True, omit_defaults=True,
    )  # fmt: skip


def test_a_back_fill_pauses_at_a_checkpoint_and_goes_on_there(rig: Rig, books, monkeypatch):
    small_pages(monkeypatch)
    contacts = make_contacts(rig, books)
    row = backfill.begin(books, estimate.known(books))
    assert due_jobs().count("pull_feed") >= len(row.feeds)
    assert read_on(books, "contacts") is True
    backfill.pause(row)
    feed = Feed.objects.get(organisation=books, name="contacts")
    cursor, done = feed.cursor, feed.done
    assert done == 2
    assert read_on(books, "contacts") is False
    feed.refresh_from_db()
    assert (feed.cursor, feed.done, feed.state, feed.due_at) == (cursor, 2, "paused", None)
    schedule.queue_due()
    feed.refresh_from_db()
    assert feed.state == "paused"
    told = backfill.progress(books)
    assert (told.done, told.ends_at) == (2, None)
    backfill.resume(Backfill.objects.get())
    assert read_on(books, "contacts") is True
    feed.refresh_from_db()
    assert feed.done == 4
    assert backfill.progress(books).ends_at is not None
    read_all(rig, books)
    told = backfill.progress(books)
    assert told.row.state == "done"
    assert told.done == told.total
    assert told.row.read["contacts"] == contacts
    assert not told.is_open
    assert backfill.of(books) is None
    sentences = [one.sentence for one in Entry.objects.filter(operation="organisation.backfill")]
    assert len(sentences) == 3


def test_a_pause_stops_a_slice_that_is_being_read(rig: Rig, books, monkeypatch):
    make_contacts(rig, books)
    small_pages(monkeypatch)
    row = backfill.begin(books, None)
    keep = pull._keep

    def paused_meanwhile(*arguments):
        keep(*arguments)
        backfill.pause(row)

    monkeypatch.setattr(pull, "_keep", paused_meanwhile)
    assert read_on(books, "contacts", seconds=20) is False
    feed = Feed.objects.get(organisation=books, name="contacts")
    assert feed.state == "paused"
    # The page that was on its way when the pause came is kept, and none is asked for after it.
    assert 2 <= feed.done <= 4


def test_documents_are_posted_while_everything_is_read_again(rig: Rig, books):
    backfill.begin(books, None)
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    for feed in Feed.objects.filter(organisation=rig.site):
        rig.read(feed)
    rig.work()
    assert Posting.objects.get().state == "in_step"


def test_the_page_begins_pauses_and_resumes_it(rig: Rig, books, admin):
    page = reverse("sync:calls", args=[books.pk])
    assert "Read everything…" in admin.get(page).content.decode()
    admin.post(reverse("sync:read_everything", args=[books.pk]))
    shown = admin.get(page).content.decode()
    assert "Begun by ann@example.com" in shown
    assert "Read everything…" not in shown
    admin.post(reverse("sync:pause_backfill", args=[books.pk]))
    part = admin.get(reverse("sync:backfill", args=[books.pk])).content.decode()
    assert "Paused" in part
    assert "Resume" in part
    admin.post(reverse("sync:pause_backfill", args=[books.pk]))
    read_all(rig, books)
    part = admin.get(reverse("sync:backfill", args=[books.pk])).content.decode()
    assert "Everything was read" in part
    assert "hx-get" not in part


def test_the_command_does_the_same(rig: Rig, books):
    def run(*arguments: str, code: int = 0):
        done = CliRunner().invoke(app, ["backfill", *arguments, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    name = str(books.pk)
    run("show", name, code=2)
    begun = run("start", name, "--count")
    assert begun["state"] == "running"
    assert begun["calls"] >= 6
    assert begun["of"] is not None
    run("start", name, code=2)
    assert run("pause", name)["state"] == "paused"
    assert run("resume", name)["state"] == "running"
    read_all(rig, books)
    assert run("show", name)["state"] == "done"
    run("pause", name, code=2)


def cut_off_full_pass(books) -> Feed:
    """The contacts' pass over everything, cut off after its first page."""
    feed = Feed.objects.get(organisation=books, name="contacts")
    force.feed(feed, full=True)
    assert read_on(books, "contacts") is True
    Feed.objects.filter(pk=feed.pk).update(state="failed")
    feed.refresh_from_db()
    assert feed.running_full
    return feed


def test_a_pass_that_was_cut_off_before_does_not_count_for_it(rig: Rig, books, monkeypatch):
    contacts = make_contacts(rig, books)
    small_pages(monkeypatch)
    cut_off_full_pass(books)
    backfill.begin(books, None)
    read_all(rig, books)
    # From its start: what the cut-off pass had read is older than what was asked for.
    assert Backfill.objects.get().read["contacts"] == contacts


def test_a_cancelled_back_fill_goes_on_from_where_feeds_stood(rig: Rig, books, monkeypatch):
    make_contacts(rig, books)
    read_all(rig, books)
    feed = Feed.objects.get(organisation=books, name="contacts")
    before, passed = feed.cursor, feed.full_pass_at
    small_pages(monkeypatch)
    row = backfill.begin(books, None)
    assert read_on(books, "contacts") is True
    names = [{"Name": "Came meanwhile"}]
    rig.write_books(books, "Contacts", {"Contacts": names})
    backfill.cancel(row)
    asked, ask = [], XeroBooks.pull
    monkeypatch.setattr(
        XeroBooks, "pull", lambda self, *given: asked.append(given) or ask(self, *given)
    )
    rig.read(feed)
    # The first question is for what changed since, not for the next page of everything.
    assert asked[0] == ("contacts", before)
    feed.refresh_from_db()
    assert (feed.state, feed.running_full, feed.full_pass_at) == ("idle", False, passed)
    assert Customer.objects.filter(organisation=books, name="Came meanwhile").exists()
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert set(row.read) < set(row.feeds)
    assert backfill.of(books) is None
    # Another one may begin, and reads everything.
    backfill.begin(books, None)
    read_all(rig, books)
    assert Backfill.objects.latest("pk").state == "done"


def test_a_cancelling_stops_a_slice_that_is_being_read(rig: Rig, books, monkeypatch):
    make_contacts(rig, books)
    read_all(rig, books)
    small_pages(monkeypatch)
    row = backfill.begin(books, None)
    keep = pull._keep

    def cancelled_meanwhile(*arguments):
        kept = keep(*arguments)
        backfill.cancel(row)
        return kept

    monkeypatch.setattr(pull, "_keep", cancelled_meanwhile)
    assert read_on(books, "contacts", seconds=20) is True
    assert Feed.objects.get(organisation=books, name="contacts").done <= 4
    rig.read(Feed.objects.get(organisation=books, name="contacts"))
    feed = Feed.objects.get(organisation=books, name="contacts")
    assert (feed.state, feed.running_full) == ("idle", False)


def test_feeds_that_a_pause_has_put_to_rest_go_on_after_a_cancelling(rig: Rig, books):
    row = backfill.begin(books, None)
    backfill.pause(row)
    assert Feed.objects.filter(organisation=books, state="paused").exists()
    backfill.cancel(row)
    assert not Feed.objects.filter(organisation=books, state="paused").exists()
    read_all(rig, books)
    assert set(Feed.objects.filter(organisation=books).values_list("state", flat=True)) == {"idle"}
    assert Backfill.objects.get().state == "cancelled"


def test_the_page_and_the_command_cancel_it(rig: Rig, books, admin):
    page = reverse("sync:calls", args=[books.pk])
    admin.post(reverse("sync:read_everything", args=[books.pk]))
    assert "Cancel the back-fill…" in admin.get(page).content.decode()
    admin.post(reverse("sync:cancel_backfill", args=[books.pk]))
    shown = admin.get(page).content.decode()
    assert "Cancelled" in shown
    assert "Cancel the back-fill…" not in shown
    assert "Read everything…" in shown
    backfill.begin(books, None)
    done = CliRunner().invoke(app, ["backfill", "cancel", str(books.pk), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["state"] == "cancelled"
    assert CliRunner().invoke(app, ["backfill", "cancel", str(books.pk)]).exit_code == 2


def test_a_person_is_asked_before_it_is_cancelled(rig: Rig, books, admin, live_app, page, settings):
    backfill.begin(books, None)
    name = settings.SESSION_COOKIE_NAME
    session = admin.cookies[name].value
    page.context.add_cookies([{"name": name, "value": session, "url": live_app.url}])
    page.goto(f"{live_app.url}{reverse('sync:calls', args=[books.pk])}")
    page.get_by_role("button", name="Cancel the back-fill…").click()
    expect(page.get_by_text("records were read again and stay")).to_be_visible()
    page.get_by_role("button", name="Read no further").click()
    expect(page.get_by_text("The back-fill is cancelled; what was read stays.")).to_be_visible()
    assert Backfill.objects.get().state == "cancelled"
