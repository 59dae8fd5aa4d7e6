"""Webhooks: what changed, signed, sent to the address that was registered.

https://developer.xero.com/documentation/guides/webhooks/overview/
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import queue
import secrets
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

from psaltery.adapters.sandboxing import Clock, Document, Store
from psaltery.adapters.xero.sandbox import dates
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books

# There are no events for payments, items, accounts or tax rates.
CATEGORIES = {
    "Contacts": "CONTACT",
    "Invoices": "INVOICE",
    "CreditNotes": "CREDITNOTE",
    "Prepayments": "PREPAYMENT",
    "Overpayments": "OVERPAYMENT",
}
# Newer categories say a little more than the id.
WITH_DATA = ("CREDITNOTE", "PREPAYMENT", "OVERPAYMENT")
# https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/
ANSWER_SECONDS = 5


class NotSubscribed(KeyError):
    """Nobody has registered an address."""


def signature(body: bytes, key: str) -> str:
    """The key is used as the text it is, although it looks like base64."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def envelope(events: list[Document], first: int, last: int) -> bytes:
    """A delivery's bytes, with the irregular blanks that Xero's have: re-dumping breaks them."""
    listed = json.dumps(events, separators=(",", ":"))
    entropy = secrets.token_hex(10).upper()
    return (
        f'{{"events":{listed},"firstEventSequence": {first},"lastEventSequence": {last}, '
        f'"entropy": "{entropy}"}}'
    ).encode()


class Webhooks:
    """One subscription, as an app has; a thread delivers, so that no call waits for it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.deliveries: list[Document] = []
        self._queue: queue.Queue[list[Document]] = queue.Queue()
        self._thread: threading.Thread | None = None
        # One delivery at a time, on record when the next one goes. Nobody takes the store's lock
        # while holding it.
        self._sending = threading.Lock()

    def subscription(self) -> Document | None:
        """The address, key and categories, when there is a subscription."""
        return self.store.get("webhooks", "subscription")

    def subscribe(self, sent: Document) -> Document:
        """Registers `{"url", "key", "categories"}`. An empty url ends the subscription."""
        if not sent.get("url"):
            self.store.delete("webhooks", "subscription")
            return {}
        key = sent.get("key") or secrets.token_urlsafe(48)
        categories = sent.get("categories") or list(CATEGORIES.values())
        chosen = {"url": sent["url"], "key": key, "categories": categories}
        self.store.put("webhooks", "subscription", chosen)
        return chosen

    def changed(self, books: Books, kind: str, document: Document, change: str) -> None:
        """Queues the event of a change, when someone listens for it."""
        category, subscription = CATEGORIES.get(kind), self.subscription()
        if category is None or not subscription or category not in subscription["categories"]:
            return
        identifier = document[ID_FIELDS[kind]]
        event: Document = {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/{kind}/{identifier}",
            "resourceId": identifier,
            "eventDateUtc": dates.iso_moment(self.clock.now()),
            "eventType": change,
            "eventCategory": category,
            "tenantId": books.tenant_id,
            "tenantType": "ORGANISATION",
        }
        if category in WITH_DATA:
            event["data"] = {"Type": document["Type"], "Status": document["Status"]}
            if category != "CREDITNOTE":
                event["data"]["UpdatedDateUTCString"] = document["UpdatedDateUTCString"]
        self._later([event])

    def _later(self, events: list[Document]) -> None:
        # The store's lock and no other: changes come with it held, and a second lock, taken in
        # another order by a delivery, would hold both for ever.
        with self.store.lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_queued, daemon=True)
                self._thread.start()
        self._queue.put(events)

    def _deliver_queued(self) -> None:
        while True:
            events = self._queue.get()
            # What happened together is delivered together, as Xero does.
            while not self._queue.empty() and len(events) < 100:
                events = events + self._queue.get()
            # When the subscription ended meanwhile, nobody listens, and the next one is served.
            with contextlib.suppress(NotSubscribed):
                self.deliver(events)

    def deliver(self, events: list[Document], forged: bool = False) -> Document:
        """Sends the events now; a forged delivery has a signature with one wrong character."""
        # In one piece: the numbers of a delivery follow one another.
        with self.store.transaction():
            numbers = [self.store.next_id("webhook events") for _ in events]
        first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
        return self._send(envelope(events, first, last), forged)

    def _send(self, body: bytes, forged: bool = False) -> Document:
        subscription = self.subscription()
        if subscription is None:
            raise NotSubscribed("no webhook subscription")
        signed = signature(body, subscription["key"])
        if forged:
            # One wrong character, as Xero's own probe has.
            signed = ("A" if signed[0] != "A" else "B") + signed[1:]
        with self._sending:
            # Not tried again by itself: a test that wants the repeat asks for a replay.
            status, answer = _post(subscription["url"], body, signed)
            record: Document = {"at": self.clock.now().isoformat(), "body": body.decode()}
            record |= {"signature": signed, "status": status, "answer": answer, "forged": forged}
            self.deliveries.append(record)
            # Bounded: a demo runs for days.
            del self.deliveries[:-1000]
        return record

    def intent_to_receive(self) -> Document:
        """Four empty deliveries, three badly signed: 200 for one and 401 for three is right."""
        results = [self.deliver([], forged) for forged in (True, False, True, True)]
        right = all(r["status"] == (401 if r["forged"] else 200) for r in results)
        silent = all(not r["answer"] for r in results)
        return {"ok": right and silent, "statuses": [r["status"] for r in results]}

    def replay(self, how: str) -> list[Document]:
        """Sends past deliveries again: `duplicate` the last one, `reversed` the last ten."""
        with self._sending:
            known = list(self.deliveries)
        past = [d for d in known if not d["forged"] and '"events":[]' not in d["body"]]
        chosen = past[-1:] if how == "duplicate" else list(reversed(past[-10:]))
        return [self._send(delivery["body"].encode()) for delivery in chosen]

    def idle(self) -> bool:
        """Whether nothing waits to be delivered."""
        return self._queue.empty()


def _post(url: str, body: bytes, signed: str) -> tuple[int | None, str]:
    """The receiver's status and body; None when it did not answer in five seconds."""
    parts = urlsplit(url)
    address = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    headers = {"Content-Type": "application/json; charset=utf-8", "x-xero-signature": signed}
    try:
        connection.request("POST", address or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read(10_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return None, type(error).__name__
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context: Any = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
