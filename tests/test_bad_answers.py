"""Answers and jobs that go wrong during a run: told when it lasts, and got over.

Answers one at a time are in adapters/*/tests; here the whole engine meets them.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db.models import F

from psaltery.connections.models import Feed
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.sync import schedule
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import (
    all_in_step,
    at,
    close,
    close_everywhere,
    later,
    open_cards,
    states,
    the_card,
    with_few_feeds,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    return with_few_feeds(rig)


@pytest.mark.parametrize("kind", ["html", "drop"])
def test_one_organisation_that_answers_nonsense(rig: Rig, worker, kind):
    later(worker)
    broken = at(rig, "Adelaide")
    # Each read is tried again for some seconds.
    Feed.objects.filter(organisation=broken).exclude(name__in=("contacts", "invoices")).delete()
    invoices = close_everywhere(rig)
    rig.fault("books", tenant=broken.external_id, path="/api.xro/", kind=kind, times=-1)
    later(worker, hours=0)
    assert sorted(states().values()).count("in_step") == 2
    assert open_cards() == {}, "it may go away by itself"
    feeds = Feed.objects.filter(state=Feed.State.FAILED)
    assert set(feeds.values_list("organisation", flat=True)) == {broken.pk}
    assert all(feed.failure and feed.due_at for feed in feeds)
    # It lasts: now a person is told, once for each feed.
    later(worker)
    later(worker)
    cards = Card.objects.filter(state="open")
    assert set(cards.values_list("code", "organisation")) == {("feed_failed", broken.pk)}
    call(f"{rig.books_url}/_control/faults", "DELETE")
    later(worker)
    all_in_step(rig, invoices)


@pytest.mark.parametrize("kind", ["cut", "status"])
def test_a_psa_that_answers_nonsense(rig: Rig, worker, kind):
    later(worker)
    invoices = close_everywhere(rig)
    rig.fault("psa", path="/apis/3.0/", kind=kind, times=-1)
    later(worker, hours=0)
    assert states() == {}
    assert open_cards() == {}
    assert set(
        Feed.objects.filter(state=Feed.State.FAILED).values_list("organisation", flat=True)
    ) == {rig.site.pk}
    call(f"{rig.psa_url}/_control/faults", "DELETE")
    later(worker)
    all_in_step(rig, invoices)


def test_an_answer_of_100_megabytes(rig: Rig, worker):
    later(worker)
    invoices = close_everywhere(rig)
    rig.fault("books", method="GET", path="/Invoices", kind="huge")
    rig.fault("psa", method="GET", path="/finance/invoices$", kind="huge")
    later(worker, hours=0)
    failed = Feed.objects.filter(state=Feed.State.FAILED)
    assert {feed.failure_code for feed in failed} == {"size"}
    assert all("larger than" in feed.failure for feed in failed)
    later(worker)
    all_in_step(rig, invoices)


TRIES = 0.4  # of an hour between two tries: no more than the engine lets pass


@pytest.mark.parametrize(
    ("side", "method", "path", "step"),
    [
        ("books", "PUT", "/Contacts$|/Invoices$", "posting"),
        ("psa", "POST", "/batches$", "marks"),
        ("psa", "POST", "/payments$", "payments"),
    ],
)
def test_a_side_that_stays_away_is_told_of_when_it_lasts(
    rig: Rig, worker, side, method, path, step
):
    """Nothing is refused and nobody may mend it: without the card it would be silent for ever."""
    later(worker)
    if step == "payments":
        invoices = [close(rig)]
        later(worker)
        link = Link.objects.get()
        rig.pay(link, Decimal("50"), str(link.document.issued_on))
    rig.fault(side, method=method, path=path, kind="status", status=503, times=-1)
    if step != "payments":
        invoices = [close(rig)]
    later(worker, hours=0)
    later(worker, hours=TRIES)
    assert open_cards() == {}, "it may go away by itself"
    for _ in range(2):
        later(worker, hours=TRIES)
    card = the_card("unreachable")
    assert card.subject_ref == step
    assert "503" in card.sentence
    numbers = set(card.blocked.values_list("document__number", flat=True))
    assert numbers == {invoice["invoiceNumber"] for invoice in invoices}
    repair(card, "retry", {}, "robin@example.test")
    later(worker, hours=TRIES)
    assert the_card("unreachable").pk != card.pk, "it has not gone away"
    call(f"{rig.books_url if side == 'books' else rig.psa_url}/_control/faults", "DELETE")
    for _ in range(2):
        later(worker, hours=TRIES)
    all_in_step(rig, invoices)


# The engine itself.


def test_a_bug_rests_and_is_not_given_up(rig: Rig, worker, monkeypatch):
    from psaltery.sync import push

    later(worker)
    invoices = [close(rig)]
    runs = []

    def break_down(organisation_id, *_):
        runs.append(organisation_id)
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(push, "post", break_down)
        later(worker)
        for _ in range(5):
            schedule.queue_due()
            worker.drain()
    assert 1 <= runs.count(at(rig, "Sydney").pk) <= 2
    with database.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_events SET at = at - interval '10 minutes'")
    later(worker)
    all_in_step(rig, invoices)


def test_a_feed_whose_job_is_lost_is_found_at_once(rig: Rig, worker):
    later(worker)
    invoices = [close(rig)]
    Feed.objects.filter(name="invoices").update(state=Feed.State.RUNNING, due_at=None)
    later(worker, hours=0)
    all_in_step(rig, invoices)


def test_a_document_whose_worker_died_is_found_while_nothing_else_happens(rig: Rig, worker):
    """Only the attempt tells: no feed is due, no other document waits."""
    invoices = [close(rig)]
    later(worker)
    link, attempt = Link.objects.get(), Attempt.objects.get(kind="invoice")
    document = link.document
    link.delete()
    Attempt.objects.filter(pk=attempt.pk).update(state="booked", settled_at=None)
    Attempt.objects.filter(pk=attempt.pk).update(booked_at=F("booked_at") - timedelta(hours=1))
    Posting.objects.filter(document=document).update(state="posting")
    schedule.queue_due()
    worker.drain()
    assert Link.objects.get().how == "found"
    all_in_step(rig, invoices)


def test_waiting_for_the_budget_leaves_no_trace_on_the_documents(rig: Rig, worker):
    later(worker)
    contact = Attempt.objects.count()
    invoices = [close(rig), close(rig)]
    rig.fault("books", method="PUT", path="/Invoices", kind="minute_limit", times=2)
    for _ in range(3):
        later(worker)
    all_in_step(rig, invoices)
    assert contact == 0
    assert Attempt.objects.filter(kind="invoice").count() == 2
    assert len({attempt.key for attempt in Attempt.objects.filter(kind="invoice")}) == 1
