"""Fixtures of the inbound slice: signed deliveries, and nothing remembered between tests."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

KEY = "whk-" + "a1B2" * 20 + "=="
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_known():
    from psaltery.inbound import callback_key, keys

    keys.forget_known()
    callback_key.forget()


def event(tenant, number, category="INVOICE", action="UPDATE", resource=None):
    """One event as Xero writes it; `number` sets it apart."""
    at = START + timedelta(milliseconds=number * 10)
    return {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{number}",
        "resourceId": resource or f"00000000-0000-0000-0000-{number:012d}",
        "eventDateUtc": at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "eventType": action,
        "eventCategory": category,
        "tenantId": tenant,
        "tenantType": "ORGANISATION",
    }


def body_of(events, first=0, last=0):
    """A delivery's bytes, with Xero's irregular blanks."""
    listed = json.dumps(events, separators=(",", ":"))
    return (
        f'{{"events":{listed},"firstEventSequence": {first},"lastEventSequence": {last}, '
        '"entropy": "S0m3"}'
    ).encode()


def signature(body, key=KEY):
    """As Xero signs."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


@pytest.fixture
def books(db):
    """A Xero connection with a synced organisation, its feeds, and a signing key."""
    from psaltery.connections.models import Connection, Organisation
    from psaltery.connections.organisations import start
    from psaltery.inbound import keys

    connection = Connection.objects.create(kind="xero", name="Books", state="connected")
    organisation = Organisation.objects.create(
        connection=connection, external_id="tenant-1", name="Harbour IT"
    )
    start(organisation)
    keys.add(connection, KEY)
    return organisation


@pytest.fixture
def deliver(client):
    """`deliver(events)` sends a delivery, signed unless told otherwise."""

    def deliver(events, key=KEY, first=0, last=0, signed=None, body=None):
        body = body_of(events, first, last) if body is None else body
        signed = signature(body, key) if signed is None else signed
        return client.post(
            "/api/webhooks/xero",
            data=body,
            content_type="application/json",
            headers={"x-xero-signature": signed},
        )

    return deliver
