"""Callbacks: what is told to whom, and how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import httpx2
import pytest

from psaltery.adapters.connectwise.tests.sandbox.conftest import OTHER, invoiced, signed_in


def register(client, url, **more):
    body = {"url": f"{url}?recordId=", "objectId": 1, "type": "Company", "level": "owner"}
    answer = client.post("/system/callbacks", json=body | more)
    assert answer.status_code == 201
    return answer.json()


def rename(client, company=1):
    patch = [{"op": "replace", "path": "website", "value": f"https://{time.monotonic()}.example"}]
    assert client.patch(f"/company/companies/{company}", json=patch).status_code == 200


def delivered(control, count, seconds=30.0):
    """What was delivered, once there are `count` deliveries; fewer when time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rows = control.get("/deliveries").json()
        if len(rows) >= count:
            return rows
        time.sleep(0.02)
    return control.get("/deliveries").json()


@pytest.fixture
def receiver(httpserver):
    httpserver.expect_request("/hook").respond_with_data("", status=200)
    return httpserver


def test_a_callback_is_signed_and_carries_the_record(receiver, client, control, server):
    register(client, receiver.url_for("/hook"))
    rename(client)
    assert delivered(control, 1)[0]["status"] == 200
    request, _ = receiver.log[0]
    assert request.args.to_dict() == {"recordId": "1", "action": "updated"}
    body = json.loads(request.get_data())
    assert (body["Action"], body["ID"], body["Type"]) == ("updated", 1, "Company")
    assert (
        json.loads(body["Entity"])["identifier"]
        == client.get("/company/companies/1").json()["identifier"]
    )
    key_url = body["Metadata"]["key_url"]
    assert key_url.startswith(server.url)
    signing_key = httpx2.get(key_url).json()["signing_key"]
    key = hashlib.sha256(signing_key.encode()).digest()
    expected = base64.b64encode(hmac.new(key, request.get_data(), hashlib.sha256).digest())
    assert request.headers["x-content-signature"] == expected.decode()


def test_own_writes_are_suppressed_when_asked(receiver, client, control, server):
    register(client, receiver.url_for("/hook"), isSelfSuppressedFlag=True)
    rename(client)
    with signed_in(server, OTHER) as other:
        rename(other, 2)
    rows = delivered(control, 1)
    assert [row["record"] for row in rows] == [2]


def test_levels_choose_records(receiver, client, control, sandbox):
    register(client, receiver.url_for("/hook"), type="Invoice", level="company", objectId=2)
    invoiced(sandbox)
    control.post("/create_invoice", json={"company": 2, "lines": [{"item": "MON-27"}]})
    rows = delivered(control, 1)
    assert [(row["record"], row["action"]) for row in rows] == [(2, "added")]


def test_a_deletion_is_told(receiver, client, control):
    register(client, receiver.url_for("/hook"))
    client.delete("/company/companies/4")
    assert [row["action"] for row in delivered(control, 1)] == ["deleted"]


def test_only_some_answers_are_retried(httpserver, client, control):
    control.post("/behaviour", json={"callback_retry_seconds": [0.01, 0.01]})
    httpserver.expect_request("/busy").respond_with_data("", status=429)
    httpserver.expect_request("/broken").respond_with_data("", status=500)
    register(client, httpserver.url_for("/busy"))
    register(client, httpserver.url_for("/broken"))
    rename(client)
    rows = delivered(control, 2)
    assert {(row["status"], row["attempts"]) for row in rows} == {(429, 3), (500, 1)}


def test_three_days_of_failure_switch_a_callback_off(httpserver, client, control):
    httpserver.expect_request("/broken").respond_with_data("", status=500)
    made = register(client, httpserver.url_for("/broken"))
    rename(client)
    assert len(delivered(control, 1)) == 1
    control.post("/clock", json={"offset_seconds": 3 * 86_400 + 60})
    rename(client)
    assert len(delivered(control, 2)) == 2
    end = time.monotonic() + 30
    while time.monotonic() < end:
        kept = client.get(f"/system/callbacks/{made['id']}").json()
        if kept["inactiveFlag"]:
            break
        time.sleep(0.02)
    assert kept["inactiveFlag"] is True
    rename(client)
    assert len(delivered(control, 3, seconds=0.3)) == 2
