"""Signatures on the raw bytes, and events that may look any way."""

import base64
import hashlib
import hmac

import msgspec
import pytest

from psaltery.adapters.xero import webhooks

KEY = "kC9fSECRETlooksLikeBase64=="
# Irregular blanks, as Xero sends them: parsing and dumping would break the signature.
BODY = b"""{"events":[{"resourceUrl":"https://api.xero.com/api.xro/2.0/Invoices/0d1e","resourceId":"0d1e",
"eventDateUtc":"2026-10-02T03:14:07.220","eventType":"Update","eventCategory":"INVOICE",
"tenantId":"9c41","tenantType":"ORGANISATION"},
{"resourceId":"zz","eventType":"CREATE","eventCategory":"PAYSLIP","tenantId":"9c41"},
{"resourceId":"sub","eventType":"UPDATE","eventCategory":"SUBSCRIPTION","tenantId":"app","tenantType":"APPLICATION"}],
"firstEventSequence": 41,"lastEventSequence": 43, "entropy": "KQZWJX"}"""


def _signature(body: bytes) -> str:
    return base64.b64encode(hmac.new(KEY.encode(), body, hashlib.sha256).digest()).decode()


def test_the_signature_is_on_the_bytes_as_received() -> None:
    assert webhooks.is_signed(BODY, _signature(BODY), KEY)
    assert not webhooks.is_signed(BODY.replace(b" ", b""), _signature(BODY), KEY)
    assert not webhooks.is_signed(BODY, _signature(BODY)[:-2] + "x=", KEY)
    assert not webhooks.is_signed(BODY, "", KEY)
    assert not webhooks.is_signed(BODY, "ünicode", KEY)


def test_events_name_the_feeds_to_look_at() -> None:
    delivery = webhooks.read(BODY)
    invoice, unknown, app = delivery.notices
    assert (delivery.first, delivery.last) == (41, 43)
    assert (invoice.category, invoice.action, invoice.external_id) == ("INVOICE", "UPDATE", "0d1e")
    assert invoice.feeds == ("invoices", "payments")
    assert (unknown.category, unknown.feeds, unknown.at) == ("PAYSLIP", (), None)
    assert (app.organisation_external_id, app.feeds) == ("", ())


def test_the_same_event_has_the_same_id_in_each_delivery() -> None:
    again = webhooks.read(BODY.replace(b'"Update"', b'"UPDATE"').replace(b"41", b"99"))
    first = webhooks.read(BODY)
    assert first.notices[1].event_id != first.notices[0].event_id
    assert again.notices[2].event_id == first.notices[2].event_id


def test_the_intent_to_receive_has_no_events() -> None:
    body = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "X"}'
    assert webhooks.read(body).notices == ()


def test_no_json_is_said_so() -> None:
    with pytest.raises(msgspec.DecodeError):
        webhooks.read(b"<html>")
