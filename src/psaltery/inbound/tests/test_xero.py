"""Deliveries of Xero: verified, stored once, the feed woken once."""

import random

import psycopg
import pytest
from django.db import connection

from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.inbound import keys
from psaltery.inbound.models import Refusal, XeroEvent
from psaltery.inbound.tests.conftest import KEY, body_of, event, signature
from psaltery.testing.processes import due_jobs


def woken():
    """The feeds that have a job of a webhook."""
    from procrastinate.contrib.django.models import ProcrastinateJob

    jobs = ProcrastinateJob.objects.filter(task_name="pull_feed", status="todo")
    found = [
        Feed.objects.get(pk=job.args["subject"]).name
        for job in jobs
        if job.args["priority"] == "WEBHOOK"
    ]
    return sorted(found)


def test_an_event_is_stored_and_wakes_its_feeds(books, deliver):
    answer = deliver([event("tenant-1", 1)], first=41, last=41)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["X-Psaltery-Stored"] == "1"
    assert not answer.cookies
    row = XeroEvent.objects.get()
    assert (row.category, row.action, row.outcome) == ("INVOICE", "UPDATE", "woke")
    assert (row.organisation, row.tenant_id) == (books, "tenant-1")
    assert (row.first_sequence, row.last_sequence) == (41, 41)
    assert row.event_at.isoformat() == "2026-11-20T09:00:00.010000+00:00"
    assert woken() == ["invoices", "payments"]
    # They wait for more events before they are read.
    assert due_jobs() == []


@pytest.mark.parametrize(
    ("category", "feeds"),
    [
        ("CONTACT", ["contacts"]),
        ("CREDITNOTE", ["credit_notes"]),
        ("PREPAYMENT", ["prepayments"]),
        ("OVERPAYMENT", ["overpayments", "payments"]),
    ],
)
def test_each_category_wakes_its_feeds(books, deliver, category, feeds):
    deliver([event("tenant-1", 1, category)])
    assert woken() == feeds


def test_intent_to_receive_is_answered_rightly(books, deliver):
    body = body_of([])
    right = signature(body)
    wrong = ("A" if right[0] != "A" else "B") + right[1:]
    answers = [deliver([], signed=signed) for signed in (wrong, right, wrong, wrong)]
    assert [answer.status_code for answer in answers] == [401, 200, 401, 401]
    assert [answer.content for answer in answers] == [b""] * 4
    assert answers[1]["X-Psaltery-Stored"] == "0"
    assert Refusal.objects.get().count == 3
    assert Refusal.objects.get().reason == "probe"


@pytest.mark.parametrize("signed", ["", "AAAA", "é", signature(b"other"), signature(b"", "k" * 20)])
def test_forged_deliveries_store_nothing(books, deliver, signed):
    answer = deliver([event("tenant-1", 1)], signed=signed)
    assert (answer.status_code, answer.content) == (401, b"")
    assert not answer.cookies
    assert not XeroEvent.objects.exists()
    assert woken() == []
    assert Refusal.objects.get().reason == "signature"


def test_without_a_key_nothing_is_believed(deliver, db):
    assert deliver([event("tenant-1", 1)]).status_code == 401
    assert Refusal.objects.get().reason == "no_key"


def test_an_event_that_comes_twice_is_stored_once(books, deliver):
    assert deliver([event("tenant-1", 1), event("tenant-1", 1)])["X-Psaltery-Stored"] == "1"
    again = deliver([event("tenant-1", 2), event("tenant-1", 1)])
    assert again["X-Psaltery-Stored"] == "1"
    assert XeroEvent.objects.count() == 2
    assert woken() == ["invoices", "payments"]


def test_what_is_not_read_is_stored_and_wakes_nothing(books, deliver):
    subscription = event("tenant-1", 3, "SUBSCRIPTION") | {"tenantType": "APPLICATION"}
    answer = deliver([event("tenant-1", 1, "WAREHOUSE"), event("tenant-unknown", 2), subscription])
    assert answer["X-Psaltery-Stored"] == "3"
    found = dict(XeroEvent.objects.values_list("category", "outcome"))
    assert found == {"WAREHOUSE": "ignored", "INVOICE": "unknown", "SUBSCRIPTION": "ignored"}
    assert woken() == []


def test_strange_content_of_a_signed_delivery_does_not_make_xero_repeat_it(books, deliver):
    strange = event("tenant-1", 1) | {"resourceId": "x" * 900, "eventType": "UP\u0000DATE"}
    assert deliver([strange | {"eventDateUtc": "soon"}]).status_code == 200
    row = XeroEvent.objects.get()
    assert (len(row.external_id), row.action, row.event_at) == (100, "UPDATE", None)
    assert deliver([], body=b"not json").status_code == 200
    assert Refusal.objects.get().reason == "unreadable"


def test_only_a_post_of_some_size_is_a_delivery(books, client):
    assert client.get("/api/webhooks/xero").status_code == 405
    big = client.post("/api/webhooks/xero", b" " * 1_100_000, content_type="application/json")
    assert big.status_code == 413


def test_two_keys_count_while_one_is_rotated(books, deliver):
    new = "whk-" + "z9" * 40
    connection = books.connection
    assert deliver([event("tenant-1", 1)], key=new).status_code == 401
    row = keys.add(connection, new)
    assert deliver([event("tenant-1", 1)], key=new).status_code == 200
    assert deliver([event("tenant-1", 2)], key=KEY).status_code == 200
    row.refresh_from_db()
    assert row.used_at is not None
    keys.remove(keys.of(connection)[0])
    assert deliver([event("tenant-1", 3)], key=KEY).status_code == 401
    assert deliver([event("tenant-1", 3)], key=new).status_code == 200


def test_a_key_of_a_disconnected_app_is_not_believed(books, deliver):
    Connection.objects.update(state="disconnected")
    assert deliver([event("tenant-1", 1)]).status_code == 401


@pytest.mark.parametrize(
    "change",
    [{"chosen": False}, {"paused": True}, {"state": Organisation.State.REMOVED}],
)
def test_an_organisation_that_is_not_synced_is_left_alone(books, deliver, change):
    Organisation.objects.filter(pk=books.pk).update(**change)
    assert deliver([event("tenant-1", 1)]).status_code == 200
    assert XeroEvent.objects.count() == 1
    assert woken() == []


def test_a_feed_that_waits_for_its_vendor_is_not_woken(books, deliver):
    Feed.objects.filter(name="invoices").update(state="paused")
    deliver([event("tenant-1", 1)])
    assert woken() == ["payments"]


def test_a_burst_in_any_order_and_doubled_is_one_reading(books, deliver):
    events = [event("tenant-1", number) for number in range(10_000)]
    doubled = events + random.Random(4).sample(events, 3_000)
    random.Random(5).shuffle(doubled)
    deliveries = [doubled[start : start + 100] for start in range(0, len(doubled), 100)]
    stored = sum(int(deliver(one)["X-Psaltery-Stored"]) for one in deliveries)
    assert stored == 10_000
    assert XeroEvent.objects.count() == 10_000
    assert woken() == ["invoices", "payments"]


@pytest.mark.django_db(transaction=True)
def test_a_delivery_outlives_a_connection_that_died(books, deliver):
    deliver([event("tenant-1", 1)])
    words = {**connection.get_connection_params(), "cursor_factory": None}
    with psycopg.connect(**words, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    answer = deliver([event("tenant-1", 2)])
    assert (answer.status_code, answer["X-Psaltery-Stored"]) == (200, "1")
    assert XeroEvent.objects.count() == 2
