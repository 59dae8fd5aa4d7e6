"""ConnectWise's callbacks: where the signing key may come from, signature, content. Pure.

https://developer.connectwise.com/Best_Practices/PSA_Callbacks

To be answered by 2xx within five seconds; retried twice at most, and switched off by ConnectWise
after three bad days, so `inactiveFlag` is worth a daily look. There are none for payments.
"""

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

import msgspec

from psaltery.adapters.connectwise.site import CLOUD, api_address

SIGNATURE_HEADER = "x-content-signature"
# What to look at sooner when a record of this type changed. Other types have no feed.
FEEDS = {
    "Invoice": ("invoices",),
    "PurchaseOrder": ("purchase_orders",),
    "Expense": ("expenses",),
    "Agreement": ("agreements", "additions"),
    "Company": ("companies",),
    "Contact": ("contacts",),
    "Ticket": ("tickets",),
    "Time": ("time_entries",),
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something changed. `event_id` is the same for each delivery of the same bytes."""

    event_id: str
    category: str  # ConnectWise's type, unknown ones included
    action: str  # added, updated, deleted
    external_id: str
    company: str
    key_url: str
    feeds: tuple[str, ...]


class _Metadata(msgspec.Struct):
    key_url: str = ""


class _Body(msgspec.Struct, rename="pascal"):
    action: str = ""
    # An id may come as number or text.
    id: int | str = msgspec.field(name="ID", default=0)
    type: str = ""
    company_id: str | None = None
    metadata: _Metadata | None = None


def read(body: bytes) -> Notice:
    """What a delivery tells. Only a hint to look: the payload's `Entity` is not used, because
    anyone may send one. Raises msgspec.DecodeError for a body that is none."""
    raw = msgspec.json.decode(body, type=_Body)
    return Notice(
        event_id=hashlib.sha256(body).hexdigest(),
        category=raw.type,
        action=raw.action.lower(),
        external_id=str(raw.id),
        company=raw.company_id or "",
        key_url=raw.metadata.key_url if raw.metadata else "",
        feeds=FEEDS.get(raw.type, ()),
    )


def is_trusted_key_address(key_url: str, site: str) -> bool:
    """Whether the signing key may be fetched from here. The address is the sender's word: without
    this check anybody could sign with a key of their own, or make us call inside our network."""
    parts = urlsplit(key_url)
    ours = urlsplit(api_address(site))
    if (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc):
        return True
    return (
        parts.scheme == "https"
        and (parts.hostname or "").endswith(CLOUD)
        and (ours.hostname or "").endswith(CLOUD)
        and parts.username is None
    )


def is_signed(body: bytes, signature: str, signing_key: str) -> bool:
    """Whether `signature` (the header) fits the bytes as received, in constant time. The HMAC key
    is the SHA-256 of the signing key's text, not the text itself."""
    key = hashlib.sha256(signing_key.encode()).digest()
    expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest())
    return hmac.compare_digest(expected, signature.strip().encode())
