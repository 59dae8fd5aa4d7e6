"""The next page is fetched while one is stored: the same calls, nothing lost when one fails."""

import threading

import pytest

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import TryLater
from psaltery.connections.models import Feed
from psaltery.ledger.models import Customer
from psaltery.sync import pull
from psaltery.testing.rig import call, make_rig

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def history(transactional_db, settings):
    made = make_rig(settings, companies=1, contacts=2_300)
    yield made
    made.close()


@pytest.fixture
def feed(history):
    return Feed.objects.get(organisation=history.organisations[0], name="contacts")


def pages_asked(rig):
    log = call(f"{rig.books_url}/_control/requests")["requests"]
    asked = [entry for entry in log if entry["path"].endswith("/Contacts")]
    return [int(entry["query"].partition("&page=")[2].partition("&")[0]) for entry in asked]


def test_each_page_is_asked_for_once(history, feed):
    assert not pull.pull(feed.pk, Priority.BACKFILL)
    assert pages_asked(history) == [1, 2, 3]
    assert Customer.objects.filter(organisation=feed.organisation).count() == 2_300


def test_a_slice_fetches_no_page_that_it_does_not_store(history, feed):
    assert pull.pull(feed.pk, Priority.BACKFILL, seconds=0)
    assert pages_asked(history) == [1]
    assert Customer.objects.filter(organisation=feed.organisation).count() == 1_000
    assert pull.pull(feed.pk, Priority.BACKFILL, seconds=0)
    assert not pull.pull(feed.pk, Priority.BACKFILL, seconds=0)
    assert pages_asked(history) == [1, 2, 3]


def test_a_page_that_fails_leaves_the_one_before_it_stored(history, feed):
    rule = {"kind": "status", "status": 429, "path": "/Contacts", "after": 1, "times": 1}
    call(f"{history.books_url}/_control/faults", "POST", rule)
    with pytest.raises(TryLater):
        pull.pull(feed.pk, Priority.BACKFILL)
    assert Customer.objects.filter(organisation=feed.organisation).count() == 1_000
    feed.organisation.budget.refresh_from_db()
    feed.organisation.budget.blocked_until = None
    feed.organisation.budget.save()
    assert not pull.pull(feed.pk, Priority.BACKFILL)
    assert pages_asked(history) == [1, 2, 2, 3]
    assert Customer.objects.filter(organisation=feed.organisation).count() == 2_300


def test_the_thread_ends_with_the_slice(feed):
    pull.pull(feed.pk, Priority.BACKFILL)
    assert not [one for one in threading.enumerate() if one.name.startswith("read ahead")]
