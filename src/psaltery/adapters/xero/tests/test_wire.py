"""Decoding: exact money, open enumerations, unknown, missing, null and dirty members."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.xero import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _one(**members: object) -> wire.Invoice:
    body = json.dumps({"Invoices": [members]}).encode()
    return wire.decode(body, wire.Invoices).records[0]


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=4))
def test_money_is_exact_as_number_and_as_text(amount: Decimal) -> None:
    number = f'{{"Invoices":[{{"Total":{amount:f}}}]}}'.encode()
    text = f'{{"Invoices":[{{"Total":"{amount:f}"}}]}}'.encode()
    for body in (number, text):
        assert wire.decode(body, wire.Invoices).records[0].total == amount


@given(st.dictionaries(st.text().map(lambda name: "X" + name), JSON, max_size=5))
def test_unknown_members_change_nothing(unknown: dict[str, object]) -> None:
    assert _one(InvoiceID="1", Total=2, **unknown) == _one(InvoiceID="1", Total=2)


def test_flags_and_counts_may_be_text() -> None:
    body = b"""{"pagination":{"page":"1","pageCount":"3"},"Payments":[
        {"IsReconciled":"true","BatchPayment":{"BatchPaymentID":"b","IsReconciled":"false"}}]}"""
    page = wire.decode(body, wire.Payments)
    assert page.pagination is not None
    assert page.pagination.page_count == 3
    assert page.records[0].is_reconciled is True
    assert page.records[0].batch_payment is not None
    assert page.records[0].batch_payment.is_reconciled is False


def test_null_and_blank_members_are_as_absent() -> None:
    found = _one(InvoiceID="1", Reference=None, LineItems=None, Total="", Contact=None)
    assert (found.reference, found.line_items, found.total) == ("", [], Decimal(0))
    assert found.contact.contact_id == ""


def test_nul_is_removed_and_emoji_stay() -> None:
    found = _one(InvoiceID="1", Reference="Nu\x00l 🎻")
    assert found.reference == "Nul 🎻"
    raw = b'{"Invoices":[{"Reference":"a\\u0000b \\ud83c\\udfbb"}]}'
    assert wire.decode(raw, wire.Invoices).records[0].reference == "ab 🎻"


def test_half_of_a_character_is_removed() -> None:
    raw = b'{"Invoices":[{"Reference":"half \\ud83c of it","Total":1.10}]}'
    found = wire.decode(raw, wire.Invoices).records[0]
    assert found.reference == "half  of it"
    assert str(found.total) == "1.10"


def test_a_cut_body_is_no_json() -> None:
    body = json.dumps({"Invoices": [{"InvoiceID": "1"}] * 5}).encode()
    with pytest.raises(msgspec.DecodeError):
        wire.decode(body[:-20], wire.Invoices)


def test_another_shape_says_where() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$"):
        wire.decode(b'{"Invoices":{"InvoiceID":"1"}}', wire.Invoices)
