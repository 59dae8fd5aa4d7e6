"""Webhook deliveries of Xero: signature on the raw bytes, and the events inside. Pure.

https://developer.xero.com/documentation/guides/webhooks/overview/

To be answered within five seconds by 200 and an empty body, 401 for a wrong signature. An empty
list of events is Xero trying the address, some of the tries signed wrongly on purpose.
"""

import base64
import hashlib
import hmac
from datetime import datetime

import msgspec

from psaltery.adapters.xero import wire
from psaltery.adapters.xero.dates import moment

SIGNATURE_HEADER = "x-xero-signature"
# A payment has no event of its own; it is looked for whenever its invoice changes.
FEEDS = {
    "CONTACT": ("contacts",),
    "INVOICE": ("invoices", "payments"),
    "CREDITNOTE": ("credit_notes",),
    "OVERPAYMENT": ("overpayments", "payments"),
    "PREPAYMENT": ("prepayments",),
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something changed. `event_id` is the same each time the event is delivered."""

    event_id: str
    organisation_external_id: str
    category: str  # CONTACT, INVOICE, … in upper case, unknown ones included
    action: str  # CREATE, UPDATE
    external_id: str
    at: datetime | None
    feeds: tuple[str, ...]  # which to look at sooner; none for what is not pulled


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Gaps between `last` and the next `first` mean that one was missed."""

    notices: tuple[Notice, ...]
    first: int
    last: int


def is_signed(body: bytes, signature: str, key: str) -> bool:
    """Whether `signature` (the header) fits the bytes as received, in constant time.

    `key` is used as the text that the portal shows, although it looks like base64.
    """
    expected = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest())
    return hmac.compare_digest(expected, signature.strip().encode())


def read(body: bytes) -> Delivery:
    """The events of a delivery. Raises msgspec.DecodeError for a body that is none."""
    raw = wire.decode(body, wire.Delivery)
    return Delivery(
        notices=tuple(map(_notice, raw.events)),
        first=raw.first_event_sequence,
        last=raw.last_event_sequence,
    )


def _notice(event: wire.Event) -> Notice:
    category = event.event_category.upper()
    # SUBSCRIPTION events of the App Store name an application where others name an organisation.
    is_books = event.tenant_type.upper() in ("", "ORGANISATION")
    return Notice(
        event_id=_event_id(event),
        organisation_external_id=event.tenant_id if is_books else "",
        category=category,
        action=event.event_type.upper(),
        external_id=event.resource_id,
        at=moment(event.event_date_utc),
        feeds=FEEDS.get(category, ()) if is_books else (),
    )


def _event_id(event: wire.Event) -> str:
    """Xero numbers deliveries, not events; what the event says identifies it as well."""
    told = "|".join(
        (
            event.tenant_id,
            event.event_category.upper(),
            event.event_type.upper(),
            event.resource_id,
            event.event_date_utc,
        )
    )
    return hashlib.sha256(told.encode()).hexdigest()
