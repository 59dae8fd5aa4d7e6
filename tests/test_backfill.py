"""A back-fill as a job: estimated, paused at a checkpoint, resumed, ended; by page and command."""

import json

import msgspec
import pytest
from django.urls import reverse
from typer.testing import CliRunner

from psaltery.accounts.models import Person
from psaltery.adapters.budget import Priority
from psaltery.adapters.xero import feeds
from psaltery.audit.models import Entry
from psaltery.cli import app
from psaltery.connections.models import Feed
from psaltery.posting.models import Posting
from psaltery.sync import backfill, estimate, pull, schedule
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
