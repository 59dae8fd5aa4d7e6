"""Webhooks: signed as Xero signs, probed, repeated, forged."""

import base64
import hashlib
import hmac
import json
import time
from threading import Thread

import pytest
from werkzeug.wrappers import Response as Answer


@pytest.fixture
def listener(httpserver):
    """Receives deliveries and answers as it must: 200 or 401, and no body."""
    received = []

    def receive(request):
        body = request.get_data()
        digest = hmac.new(b"the key", body, hashlib.sha256).digest()
        good = request.headers["x-xero-signature"] == base64.b64encode(digest).decode()
        received.append((good, body))
        return Answer(status=200 if good else 401)

    httpserver.expect_request("/hook").respond_with_handler(receive)
    httpserver.received = received
    return httpserver


@pytest.fixture
def hooked(xero, listener):
    xero.control("webhooks", url=listener.url_for("/hook"), key="the key")
    return xero


def events(listener, count):
    """The events of all good deliveries, once there are so many."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = [e for good, body in listener.received if good for e in json.loads(body)["events"]]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"only {listener.received}")


def test_changes_are_told(hooked, listener, invoice, bank):
    made = hooked.made("Invoices", invoice)
    hooked.made(
        "Payments",
        {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Account": bank, "Amount": 1},
    )
    told = events(listener, 3)
    assert [(e["eventCategory"], e["eventType"]) for e in told] == [
        ("CONTACT", "CREATE"),
        ("INVOICE", "CREATE"),
        ("INVOICE", "UPDATE"),
    ]
    assert told[1]["resourceId"] == made["InvoiceID"]
    assert told[1]["resourceUrl"].endswith(f"/api.xro/2.0/Invoices/{made['InvoiceID']}")
    assert told[1]["tenantId"] == hooked.tenant


def test_credit_notes_carry_type_and_status(hooked, listener):
    hooked.made("CreditNotes", {"Type": "ACCRECCREDIT", "Contact": {"Name": "A"}})
    told = [e for e in events(listener, 2) if e["eventCategory"] == "CREDITNOTE"]
    assert told[0]["data"] == {"Type": "ACCRECCREDIT", "Status": "DRAFT"}


def test_the_body_cannot_be_dumped_again(hooked, listener):
    hooked.made("Contacts", {"Name": "A"})
    events(listener, 1)
    body = listener.received[0][1]
    assert b'"lastEventSequence": ' in body
    for separators in ((",", ":"), (", ", ": ")):
        assert json.dumps(json.loads(body), separators=separators).encode() != body


def test_the_intent_to_receive(hooked, listener):
    result = hooked.control("webhooks/intent")
    assert result == {"ok": True, "statuses": [401, 200, 401, 401]}
    assert all(json.loads(body)["events"] == [] for _, body in listener.received)


def test_an_endpoint_that_accepts_everything_fails_the_probe(xero, httpserver):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    xero.control("webhooks", url=httpserver.url_for("/hook"), key="k")
    assert xero.control("webhooks/intent")["ok"] is False


def test_repeated_reversed_and_forged(hooked, listener):
    for name in "ABC":
        hooked.made("Contacts", {"Name": name})
        events(listener, "ABC".index(name) + 1)
    hooked.control("webhooks/replay", how="duplicate")
    assert listener.received[-1] == listener.received[-2]
    hooked.control("webhooks/replay", how="reversed")
    assert listener.received[-1] == listener.received[0]
    answer = hooked.control("webhooks/forge", events=[])
    assert (answer["status"], listener.received[-1][0]) == (401, False)


def test_only_the_chosen_categories(xero, listener):
    address = listener.url_for("/hook")
    xero.control("webhooks", url=address, key="the key", categories=["CREDITNOTE"])
    xero.made("CreditNotes", {"Type": "ACCRECCREDIT", "Contact": {"Name": "A"}})
    assert [e["eventCategory"] for e in events(listener, 1)] == ["CREDITNOTE"]


def test_a_receiver_that_is_gone_harms_nothing(xero):
    xero.control("webhooks", url="http://127.0.0.1:9/none", key="k")
    xero.made("Contacts", {"Name": "A"})
    answer = xero.control("webhooks/send", events=[])
    assert answer["status"] is None


def test_a_change_and_a_delivery_at_one_time_do_not_wait_for_each_other(hooked, listener):
    box = hooked.sandbox
    books, hooks = box.books(), box.webhooks
    event = {"resourceId": "1", "eventCategory": "CONTACT"}

    def change():
        # As a request does it: the change is told while the books are still held.
        with box.store.transaction():
            delivery.start()
            time.sleep(0.2)
            hooks.changed(books, "Contacts", {"ContactID": "2"}, "UPDATE")

    delivery = Thread(target=hooks.deliver, args=([event],), daemon=True)
    changing = Thread(target=change, daemon=True)
    changing.start()
    changing.join(10)
    assert not changing.is_alive(), "the change waits for the delivery, and the delivery for it"
    assert {told["resourceId"] for told in events(listener, 2)} == {"1", "2"}


def test_deliveries_go_on_after_a_subscription_ended_between(hooked, listener):
    box = hooked.sandbox
    with box.store.transaction():
        box.webhooks.changed(box.books(), "Contacts", {"ContactID": "1"}, "UPDATE")
        box.webhooks.subscribe({})
    time.sleep(0.2)
    hooked.control("webhooks", url=listener.url_for("/hook"), key="the key")
    made = hooked.made("Contacts", {"Name": "A"})
    assert [e["resourceId"] for e in events(listener, 1)] == [made["ContactID"]]
