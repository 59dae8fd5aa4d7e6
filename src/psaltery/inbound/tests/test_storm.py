"""Ten thousand events at once over HTTP: forged, doubled, out of order, beside a worker."""

import random
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db.models import Sum

from psaltery.connections.models import Feed
from psaltery.inbound import gaps, keys
from psaltery.inbound.models import Gap, Refusal, XeroEvent
from psaltery.inbound.tests.conftest import KEY, body_of, event, signature
from psaltery.inbound.tests.test_live import new_invoice, until
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice
from psaltery.sync.models import Run

EVENTS, TOGETHER, SENDERS = 10_000, 25, 8


def send(address, delivery):
    """The status of an answer, and how many events it says were new."""
    body, signed = delivery
    request = urllib.request.Request(address, data=body, method="POST")
    request.add_header("x-xero-signature", signed)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, int(answer.headers["X-Psaltery-Stored"])
    except urllib.error.HTTPError as refused:
        return refused.code, 0


def storm(organisation, chance):
    """Deliveries in any order: all that are right, a third of them twice, and forged ones."""
    starts = range(0, EVENTS, TOGETHER)
    right = [
        body_of(
            [event(organisation.external_id, number) for number in range(at, at + TOGETHER)],
            first=at + 1,
            last=at + TOGETHER,
        )
        for at in starts
    ]
    signed = [(body, signature(body)) for body in right + chance.sample(right, len(right) // 3)]
    forged = body_of([event(organisation.external_id, EVENTS + 1)])
    wrong = [(forged, signature(forged, "another key of the same length")) for _ in range(100)]
    every = signed + wrong
    chance.shuffle(every)
    return every


def readings(feed, since):
    """How often a feed has been read since then: the jobs are gone when they are done."""
    runs = Run.objects.filter(organisation=feed.organisation, what="pull", feed=feed.name)
    return runs.filter(started_at__gte=since).count()


@pytest.mark.journey
def test_a_storm_is_stored_once_read_a_few_times_and_loses_nothing(rig, live_app, worker):
    keys.add(rig.connection, KEY)
    rig.sync()
    organisation = rig.organisations[0]
    # Only webhooks have anything read from here on.
    Feed.objects.update(due_at=now() + timedelta(hours=1))
    feed = Feed.objects.get(organisation=organisation, name="invoices")
    deliveries = storm(organisation, random.Random(8))
    with worker.running():
        began, since = time.monotonic(), now()
        with ThreadPoolExecutor(SENDERS) as pool:
            address = f"{live_app.url}/api/webhooks/xero"
            sending = [pool.submit(partial(send, address, one)) for one in deliveries]
            made = new_invoice(rig, organisation, "IN-THE-STORM")
            answers = [one.result() for one in sending]
        last = event(organisation.external_id, EVENTS + 2, resource=made["InvoiceID"])
        body = body_of([last], first=EVENTS + 1, last=EVENTS + 1)
        assert send(address, (body, signature(body))) == (200, 1)
        until(BillingInvoice.objects.filter(external_id=made["InvoiceID"]).exists)
        took = time.monotonic() - began
    statuses = [status for status, _ in answers]
    assert (statuses.count(401), set(statuses)) == (100, {200, 401})
    assert sum(stored for _, stored in answers) == EVENTS
    assert XeroEvent.objects.count() == EVENTS + 1
    assert Refusal.objects.aggregate(sum=Sum("count"))["sum"] == 100
    # Each reading waits a second for more.
    assert 1 <= readings(feed, since) <= took + 2
    # Out of order is not missing.
    XeroEvent.objects.update(received_at=now() - timedelta(minutes=5))
    assert gaps.find() == set()
    assert not Gap.objects.exists()
