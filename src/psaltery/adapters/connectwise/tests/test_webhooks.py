"""Callbacks: signature, key address, content."""

import base64
import hashlib
import hmac

import msgspec
import pytest

from psaltery.adapters.connectwise.webhooks import is_signed, is_trusted_key_address, read

BODY = msgspec.json.encode(
    {
        "Action": "updated",
        "ID": 4711,
        "Type": "Invoice",
        "CompanyId": "acme",
        "Entity": '{"id":4711}',
        "Metadata": {"key_url": "https://api-na.myconnectwise.net/v2025_1/keys/1"},
    }
)


def signature(body: bytes, key: str) -> str:
    secret = hashlib.sha256(key.encode()).digest()
    return base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode()


def test_signature_over_the_raw_bytes() -> None:
    good = signature(BODY, "key")
    assert is_signed(BODY, f" {good}\n", "key")
    assert not is_signed(BODY + b" ", good, "key")
    assert not is_signed(BODY, good, "other")
    assert not is_signed(BODY, "", "key")


def test_what_it_tells() -> None:
    notice = read(BODY)
    assert (notice.category, notice.action, notice.external_id) == ("Invoice", "updated", "4711")
    assert notice.feeds == ("invoices",)
    assert notice.event_id == read(BODY).event_id
    assert read(b'{"Type":"OfNextYear","ID":"x"}').feeds == ()
    with pytest.raises(msgspec.DecodeError):
        read(b"<html>")


@pytest.mark.parametrize(
    ("key_url", "trusted"),
    [
        ("https://api-na.myconnectwise.net/keys/1", True),
        ("https://sandbox-eu.myconnectwise.net/keys/1", True),
        ("http://api-na.myconnectwise.net/keys/1", False),
        ("https://api-na.myconnectwise.net.evil.example/keys/1", False),
        ("https://evilmyconnectwise.net/keys/1", False),
        ("https://x@evil.example/keys", False),
        ("http://169.254.169.254/latest", False),
        ("", False),
    ],
)
def test_keys_come_from_connectwise_only(key_url: str, trusted: bool) -> None:
    assert is_trusted_key_address(key_url, "na.myconnectwise.net") is trusted


def test_a_site_of_ones_own_gives_its_own_keys() -> None:
    assert is_trusted_key_address("http://127.0.0.1:9/keys/1", "http://127.0.0.1:9")
    assert not is_trusted_key_address("http://127.0.0.1:10/keys/1", "http://127.0.0.1:9")
    assert not is_trusted_key_address("https://na.myconnectwise.net/k", "http://127.0.0.1:9")
