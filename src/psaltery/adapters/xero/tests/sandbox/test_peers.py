"""Singer's tap-xero and Xero's own xero-node, unchanged but for the address."""

import json
import os
from collections import Counter

import httpx2 as httpx
import pytest

from psaltery.adapters.xero.sandbox import Sandbox

from .conftest import APPS, REDIRECT, WEB_APP
from .peers import HERE, command, node_with, python_with

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def filled():
    amounts = {"contacts": 30, "invoices": 250, "payments": 120, "credit_notes": 15}
    sandbox = Sandbox(**amounts, clients=APPS, limits=False)
    server = sandbox.serve()
    yield sandbox, server
    server.stop()


def test_tap_xero_discovers_and_syncs(filled, tmp_path):
    sandbox, server = filled
    python = python_with("tap-xero==2.6.0", "six")
    config = {
        "start_date": "2020-01-01T00:00:00Z",
        "client_id": WEB_APP.id,
        "client_secret": WEB_APP.secret,
        "tenant_id": sandbox.organisations()[0]["tenantId"],
        "refresh_token": sandbox.grant(WEB_APP.id)["refresh_token"],
    }
    place, catalog_place = tmp_path / "config.json", tmp_path / "catalog.json"
    place.write_text(json.dumps(config))
    address = {"XERO_SANDBOX": server.url, "PYTHONPATH": str(HERE / "tap_xero_address")}
    environment = {**os.environ, **address}
    tap = python.parent / "tap-xero"
    found = command(tap, "--config", place, "--discover", env=environment).stdout
    catalog = json.loads(found)
    for stream in catalog["streams"]:
        stream["schema"]["selected"] = True
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    catalog_place.write_text(json.dumps(catalog))
    words = (tap, "--config", place, "--catalog", catalog_place)
    lines = command(*words, env=environment).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    records = Counter(m["stream"] for m in messages if m["type"] == "RECORD")
    wanted = {"contacts": 30, "invoices": 250, "payments": 120, "credit_notes": 15}
    assert wanted.items() <= records.items()
    assert records["organisations"] == 1
    assert records["accounts"] > 20
    first = next(m["record"] for m in messages if m.get("stream") == "invoices" and "record" in m)
    assert len(first["LineItems"]) >= 2


def test_xero_node_from_consent_to_payment(filled):
    sandbox, server = filled
    node, place = node_with("xero-node@20.0.0")
    environment = {
        **os.environ,
        "NODE_PATH": str(place / "node_modules"),
        "XERO_SANDBOX": server.url,
        "XERO_CLIENT_ID": WEB_APP.id,
        "XERO_CLIENT_SECRET": WEB_APP.secret,
        "XERO_REDIRECT": REDIRECT,
        "XERO_TENANT": sandbox.organisations()[0]["tenantId"],
        # A person of their own, who has no practice among the connections.
        "XERO_USER": sandbox.tokens.users()[1]["id"],
        "XERO_SCOPES": "openid profile email offline_access accounting.invoices "
        "accounting.payments accounting.contacts accounting.settings",
    }
    program = HERE / "xero_node"
    words = (node, "--require", program / "address.cjs", program / "client.cjs")
    told = json.loads(command(*words, env=environment).stdout)
    assert told["email"] == "alex.tane@example.com"
    assert told["organisation"] == "Harbourline IT (Sydney)"
    assert told["total"] == 110
    assert told["error"] == "Account code '999' is not a valid code for this document."
    assert told["payment"] == "ACCRECPAYMENT"
    assert "NODE-1" in told["paid"]
    assert "Invoice # must be unique." in told["refused"]
    with httpx.Client(base_url=server.url) as client:
        log = client.get("/_control/requests").json()["requests"]
    assert [entry["path"] for entry in log if entry["status"] == 200][-1] == "/connect/revocation"
