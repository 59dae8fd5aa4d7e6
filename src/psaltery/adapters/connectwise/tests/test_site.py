"""Addresses, keys, conditions and cursors: what is sent."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from psaltery.adapters.connectwise import MANIFEST, base_url, credential, cursors
from psaltery.adapters.connectwise.conditions import (
    Dates,
    both,
    changed_since,
    one_of,
    quoted,
    slices,
)
from psaltery.adapters.connectwise.cursors import OVERLAP, Cursor
from psaltery.adapters.connectwise.permissions import permission_for
from psaltery.adapters.connectwise.site import api_address, record_address, web_origin
from psaltery.adapters.errors import BadSettings

FIELDS = {
    "site": "na.myconnectwise.net",
    "company": " acme ",
    "public_key": "PUB+LIC",
    "private_key": "sec:ret\n",
    "client_id": "id-1",
}
NOON = datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("na.myconnectwise.net", "https://api-na.myconnectwise.net"),
        ("https://api-eu.myconnectwise.net/v4_6_release/", "https://api-eu.myconnectwise.net"),
        (" https://cw.acme.example:8443/home ", "https://cw.acme.example:8443"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_addresses_as_people_type_them(typed: str, address: str) -> None:
    assert api_address(typed) == address


@pytest.mark.parametrize("typed", ["", "ftp://x", "https://"])
def test_addresses_that_are_none(typed: str) -> None:
    with pytest.raises(BadSettings) as caught:
        api_address(typed)
    assert caught.value.which == "site"


def test_people_open_the_address_without_the_prefix() -> None:
    assert web_origin("api-na.myconnectwise.net") == "https://na.myconnectwise.net"
    assert record_address(FIELDS, "InvoiceFV", "5").startswith(
        "https://na.myconnectwise.net/v4_6_release/services/system_io/router/openrecord.rails?"
    )


def test_an_override_of_the_address_wins() -> None:
    assert base_url(FIELDS, {"api": "http://127.0.0.1:1"}) == "http://127.0.0.1:1"
    assert base_url(FIELDS, {}) == "https://api-na.myconnectwise.net"


def test_keys_are_joined_by_hand() -> None:
    headers = credential(FIELDS).headers()
    kind, _, told = headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(told)) == ("Basic", b"acme+PUB+LIC:sec:ret")
    assert headers["clientId"] == "id-1"


def test_conditions() -> None:
    assert changed_since(NOON, Dates.ISO) == "lastUpdated>[2026-01-31T12:30:05Z]"
    assert changed_since(NOON, Dates.DAY) == "lastUpdated>[2026-01-30]"
    assert both("", "a=1", "b=2") == "a=1 and b=2"
    assert one_of("invoice/id", [1, 2]) == "invoice/id in (1,2)"
    assert quoted('Psaltery "x" [1]') == '"Psaltery x [[]1]"'
    assert [list(part) for part in slices([1, 2, 3], 2)] == [[1, 2], [3]]


def test_a_run_ends_with_where_the_next_begins() -> None:
    first = cursors.following(Cursor(total=9), last=40, more=True, at=NOON)
    assert (first.after, first.started, first.since) == (40, NOON, None)
    later = NOON + timedelta(hours=1)
    last = cursors.following(first, last=70, more=False, at=later)
    assert last == Cursor(since=NOON - OVERLAP)
    assert cursors.read(cursors.written(last)) == last


@pytest.mark.parametrize("stored", [None, "", "nonsense", '{"since": 5}'])
def test_a_cursor_that_can_not_be_read_begins_at_the_beginning(stored: str | None) -> None:
    assert cursors.read(stored) == Cursor()


def test_the_most_specific_permission_is_named() -> None:
    named = {
        "/finance/invoices/5/payments": "Finance > Invoicing",
        "/finance/accounting/export": "Finance > Accounting Interface",
        "/finance/taxCodes": "System > Table Setup",
        "/system/members": "System > Member Maintenance",
        "/procurement/purchaseorders/5/lineitems": "Procurement > Purchase Orders",
        "/unknown": "System > Table Setup",
    }
    assert {path: permission_for(path).name for path in named} == named


def test_manifest_names_every_permission_and_one_secret() -> None:
    assert [field.name for field in MANIFEST.fields if field.secret] == ["private_key"]
    assert any("Accounting Interface" in text for text in MANIFEST.permissions_text)
    assert len({feed.name for feed in MANIFEST.feeds}) == len(MANIFEST.feeds)
