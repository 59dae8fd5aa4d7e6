"""Callbacks: signed POSTs to registered addresses when records change.

https://developer.connectwise.com/Best_Practices/PSA_Callbacks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2

from psaltery.adapters.connectwise.sandbox.fields import read
from psaltery.adapters.connectwise.sandbox.world import Change, World
from psaltery.adapters.sandboxing import Document, encode

KEY_PATH = "/v4_6_release/services/callbacks/signingkey"
TYPES = {
    "invoices": "Invoice",
    "purchaseOrders": "PurchaseOrder",
    "expenses": "Expense",
    "agreements": "Agreement",
    "companies": "Company",
    "contacts": "Contact",
    "tickets": "Ticket",
    "timeEntries": "Time",
    "catalog": "ProductCatalog",
    "members": "Member",
    "sites": "Site",
}
# Where in a record the object of each level stands.
LEVELS = {
    "status": "status/id",
    "company": "company/id",
    "board": "board/id",
    "territory": "territory/id",
    "type": "type/id",
    "vendor": "vendorCompany/id",
    "chargetotype": "chargeToId",
}
RETRIED = (404, 409, 419, 429)
# ConnectWise gives an answer five seconds, and gives up on an address after three bad days.
TIMEOUT_SECONDS = 5
DISABLED_AFTER = timedelta(days=3)
LOG_LENGTH = 5000


@dataclass(frozen=True)
class _Event:
    callback_id: int
    change: Change


class Callbacks:
    """Sends what changed to whom it concerns, from a thread of its own."""

    def __init__(self, world: World, company_id: str) -> None:
        self._world = world
        self._company_id = company_id
        self._events: queue.Queue[_Event | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._failing: dict[int, datetime] = {}
        self.base_url = ""
        self.deliveries: deque[Document] = deque(maxlen=LOG_LENGTH)
        # From the company alone, so that a restart keeps the key that clients have cached.
        secret = hashlib.sha256(f"callbacks of {company_id}".encode()).digest()
        self.signing_key = base64.b64encode(secret).decode()
        world.listeners.append(self.note)

    def note(self, change: Change) -> None:
        """Take note of a write; it is told when the request that made it is done."""
        kind = TYPES.get(change.collection)
        if kind is None:
            return
        for callback in self._world.all("callbacks"):
            if self._concerns(callback, kind, change):
                self._events.put(_Event(callback["id"], change))
                self._start()

    def _concerns(self, callback: Document, kind: str, change: Change) -> bool:
        if callback["inactiveFlag"] or callback["type"].lower() != kind.lower():
            return False
        if callback["isSelfSuppressedFlag"]:
            owner = self._world.find("members", callback.get("memberId")) or {}
            if owner.get("identifier") == change.member:
                return False
        level, wanted = callback["level"].lower(), callback["objectId"]
        if level == "owner":
            return True
        if level == kind.lower():
            return bool(change.document["id"] == wanted)
        return bool(read(change.document, LEVELS.get(level, "id")) == wanted)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="callbacks")
            self._thread.start()

    def stop(self) -> None:
        """Send what is queued, then end the thread."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(TIMEOUT_SECONDS)
            self._thread = None

    def _run(self) -> None:
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            while (first := self._events.get()) is not None:
                for event in self._settled(first):
                    self._deliver(client, event)

    def _settled(self, first: _Event) -> list[_Event]:
        """The events of whole requests, the last state of each record only."""
        # The lock is free only once the request that made the first event is through.
        with self._world.store.lock:
            found = {self._name(first): first}
            while not self._events.empty():
                event = self._events.get()
                if event is None:
                    self._events.put(None)
                    break
                found[self._name(event)] = _merged(found.get(self._name(event)), event)
        return list(found.values())

    @staticmethod
    def _name(event: _Event) -> tuple[int, str, int]:
        return event.callback_id, event.change.collection, event.change.document["id"]

    def _deliver(self, client: httpx2.Client, event: _Event) -> None:
        callback = self._world.find("callbacks", event.callback_id)
        if callback is None or callback["inactiveFlag"]:
            return
        body = encode(self._body(callback, event.change))
        status, attempts = 0, 0
        # Other refusals are dropped at once: the callback is lost, and only polling finds out.
        for pause in (0, *self._world.behaviour.callback_retry_seconds):
            time.sleep(pause)
            attempts += 1
            status = self._post(client, callback, event.change, body)
            if status not in RETRIED:
                break
        self._judge(callback, status)
        record = {"record": event.change.document["id"], "action": event.change.action}
        row = {"callback": callback["id"], "status": status, "attempts": attempts} | record
        self.deliveries.append(row)

    def _post(self, client: httpx2.Client, callback: Document, change: Change, body: bytes) -> int:
        headers = {"Content-Type": "application/json", "x-content-signature": self.sign(body)}
        # ConnectWise writes the id and the action behind whatever the address ends with.
        address = f"{callback['url']}{change.document['id']}&action={change.action}"
        try:
            return client.post(address, content=body, headers=headers).status_code
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return 0

    def sign(self, body: bytes) -> str:
        """The signature of a raw body: HMAC-SHA256 under the SHA-256 of the signing key."""
        # The digest's 32 raw bytes are the key, not its hexadecimal text.
        key = hashlib.sha256(self.signing_key.encode()).digest()
        return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()

    def _body(self, callback: Document, change: Change) -> Document:
        return {
            "MessageId": str(uuid.uuid4()),
            "FromUrl": self.base_url.partition("//")[2],
            "CompanyId": self._company_id,
            "MemberId": change.member,
            "Action": change.action,
            "ID": change.document["id"],
            "Type": callback["type"],
            "Status": None,
            "ProductInstanceId": None,
            "PartnerId": None,
            # JSON written as a string within JSON, as ConnectWise does.
            "Entity": encode(change.document).decode(),
            "Metadata": {"key_url": f"{self.base_url}{KEY_PATH}"},
            "CallbackObjectRecId": callback["id"],
        }

    def _judge(self, callback: Document, status: int) -> None:
        """Switch a callback off that has failed for three days on end."""
        if 200 <= status < 300:
            self._failing.pop(callback["id"], None)
            return
        since = self._failing.setdefault(callback["id"], self._world.now())
        if self._world.now() - since >= DISABLED_AFTER:
            with self._world.store.transaction():
                self._world.change("callbacks", callback["id"], inactiveFlag=True)


def _merged(before: _Event | None, event: _Event) -> _Event:
    if before is None or before.change.action != "added" or event.change.action == "deleted":
        return event
    added = Change(event.change.collection, "added", event.change.document, event.change.member)
    return _Event(event.callback_id, added)
