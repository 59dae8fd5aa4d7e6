"""Tokens, tenants, scopes, limits, idempotency and Xero's own faults."""

import threading

import httpx2 as httpx
import pytest

from psaltery.adapters.xero.sandbox import DEFAULT_CLIENT, Sandbox

from .conftest import api

READ_ONLY = "accounting.invoices.read accounting.contacts.read accounting.settings.read"


def test_an_expired_token(xero):
    xero.control("clock", offset_seconds=1801)
    response = xero.get("/api.xro/2.0/Organisation")
    assert response.status_code == 401
    problem = response.json()
    assert problem["Title"] == "Unauthorized"
    assert problem["Detail"].startswith("TokenExpired: token expired at ")


def test_no_token_and_a_wrong_one(xero):
    for value in ("", "Bearer nonsense", "Basic abc"):
        response = xero.get("/api.xro/2.0/Organisation", headers={"Authorization": value})
        assert (response.status_code, response.json()["Status"]) == (401, 401)


@pytest.mark.parametrize("tenant", ["", "00000000-0000-0000-0000-000000000000"])
def test_a_tenant_that_is_not_ours(xero, tenant):
    response = xero.get("/api.xro/2.0/Organisation", headers={"Xero-Tenant-Id": tenant})
    assert response.status_code == 403
    assert response.json()["Detail"] == "AuthenticationUnsuccessful"


def test_scopes_are_enforced(sandbox, server, invoice):
    with api(sandbox, server, READ_ONLY) as xero:
        assert xero.get("/api.xro/2.0/Invoices").status_code == 200
        assert xero.get("/api.xro/2.0/Items").status_code == 200
        for response in (xero.get("/api.xro/2.0/Payments"), xero.write("PUT", "Invoices", invoice)):
            assert response.status_code == 401
            assert response.json()["Detail"] == "AuthorizationUnsuccessful"
            assert "insufficient_scope" in response.headers["WWW-Authenticate"]


@pytest.fixture
def limited():
    sandbox = Sandbox(limits=True)
    server = sandbox.serve()
    with api(sandbox, server) as client:
        yield client
    server.stop()


def call(client):
    return client.get("/api.xro/2.0/Organisation")


def test_the_minute_is_a_fixed_window(limited):
    first = call(limited)
    assert first.headers["X-MinLimit-Remaining"] == "59"
    assert first.headers["X-DayLimit-Remaining"] == "4999"
    assert first.headers["X-AppMinLimit-Remaining"] == "9999"
    for _ in range(59):
        call(limited)
    refused = call(limited)
    assert refused.status_code == 429
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    limited.control("clock", offset_seconds=61)
    assert call(limited).headers["X-MinLimit-Remaining"] == "59"


def test_the_day_ends(limited):
    ids = {"client": DEFAULT_CLIENT.id, "tenant": limited.tenant}
    limited.control("limits", per_day=1000, left=2, **ids)
    assert [call(limited).headers["X-DayLimit-Remaining"] for _ in range(2)] == ["1", "0"]
    refused = call(limited)
    assert refused.headers["X-Rate-Limit-Problem"] == "day"
    assert int(refused.headers["Retry-After"]) > 80_000


def test_five_at_once(limited):
    limited.fault("busy", seconds=1, times=5)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(call(limited))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [a for a in answers if a.status_code == 429]
    assert len(refused) == 3
    assert {a.headers["X-Rate-Limit-Problem"] for a in refused} == {"concurrent"}
    assert all("Retry-After" not in a.headers for a in refused)
    assert call(limited).status_code == 200


def test_without_limits_nothing_is_refused(xero):
    assert {call(xero).status_code for _ in range(70)} == {200}
    assert call(xero).headers["X-DayLimit-Remaining"] == "5000"


def keyed(xero, key, *elements, **params):
    headers = {"Idempotency-Key": key}
    place = "/api.xro/2.0/Invoices"
    return xero.put(place, json={"Invoices": list(elements)}, headers=headers, params=params)


def test_a_key_plays_the_answer_back(xero, invoice):
    first, second = keyed(xero, "k1", invoice), keyed(xero, "k1", invoice)
    assert first.json() == second.json()
    assert len(xero.read("Invoices")["Invoices"]) == 1


def test_a_key_with_another_request_is_refused(xero, invoice):
    keyed(xero, "k1", invoice)
    other = keyed(xero, "k1", {**invoice, "Reference": "other"})
    assert other.status_code == 400
    assert other.json()["Message"] == "Idempotency Key: k1 is used with a different request."


def test_a_key_is_forgotten_after_six_minutes(xero, invoice):
    keyed(xero, "k1", invoice)
    xero.control("clock", offset_seconds=361)
    keyed(xero, "k1", invoice)
    assert len(xero.read("Invoices")["Invoices"]) == 2


def test_errors_are_kept_too_and_keys_have_a_length(xero, invoice):
    bad = {**invoice, "CurrencyCode": "EUR"}
    assert keyed(xero, "k1", bad).status_code == 400
    xero.change_organisation(currencies=["EUR"])
    assert keyed(xero, "k1", bad).status_code == 400
    assert keyed(xero, "k2", bad).status_code == 200
    assert keyed(xero, "k" * 129, invoice).status_code == 400


def test_a_lost_answer_was_work_done(xero, invoice):
    numbered = {**invoice, "InvoiceNumber": "L1"}
    xero.fault("lost_answer", method="PUT", path="Invoices")
    with pytest.raises(httpx.HTTPError):
        keyed(xero, "k1", numbered)
    repeated = keyed(xero, "k1", numbered)
    assert repeated.status_code == 200
    found = xero.read("Invoices", InvoiceNumbers="L1", summaryOnly="true")["Invoices"]
    assert [i["InvoiceID"] for i in found] == [repeated.json()["Invoices"][0]["InvoiceID"]]
    assert xero.refused("Invoices", numbered) == ["Invoice # must be unique."]


def test_a_batch_half_written(xero, invoice):
    xero.fault("half_written", method="PUT")
    batch = [{**invoice, "InvoiceNumber": f"H{n}"} for n in range(4)]
    response = xero.write("PUT", "Invoices", *batch)
    assert response.status_code == 500
    assert "<html>" in response.text
    assert {i["InvoiceNumber"] for i in xero.read("Invoices")["Invoices"]} == {"H0", "H1"}


@pytest.mark.parametrize(
    ("kind", "status", "part"),
    [
        ("offline", 503, "temporarily unavailable"),
        ("expire", 401, "TokenExpired"),
        ("forbidden", 403, "Forbidden"),
        ("minute_limit", 429, ""),
        ("day_limit", 429, ""),
    ],
)
def test_faults_of_xero_itself(xero, kind, status, part):
    xero.fault(kind)
    response = xero.get("/api.xro/2.0/Invoices")
    assert response.status_code == status
    assert part in response.text
    assert xero.get("/api.xro/2.0/Invoices").status_code == 200


def test_a_fault_for_one_tenant_leaves_the_others(xero, sandbox):
    other = sandbox.organisations()[1]["tenantId"]
    xero.fault("status", status=500, tenant=xero.tenant, times=-1)
    assert call(xero).status_code == 500
    assert xero.get("/api.xro/2.0/Organisation", headers={"Xero-Tenant-Id": other}).is_success


def test_a_revoked_token(xero):
    xero.fault("revoke")
    assert call(xero).status_code == 401
    assert call(xero).json()["Detail"] == "AuthenticationUnsuccessful"


def test_requests_that_are_too_large(xero):
    body = b'{"Invoices": ["' + b"x" * 10_500_000 + b'"]}'
    assert xero.put("/api.xro/2.0/Invoices", content=body).status_code == 413


def test_everything_survives_a_killed_process(tmp_path, invoice):
    first = Sandbox(tmp_path / "xero.db", limits=False)
    server = first.serve()
    with api(first, server) as xero:
        made = xero.made("Invoices", {**invoice, "InvoiceNumber": "K1"})
        # Nothing is closed: a killed process does not close its files either.
        second = Sandbox(tmp_path / "xero.db", limits=False)
        again = second.serve()
        xero.base_url = again.url
        kept = xero.read("Invoices", page=1, unitdp=4)["Invoices"]
        assert [(i["InvoiceID"], i["Total"]) for i in kept] == [(made["InvoiceID"], 110)]
        assert xero.refused("Invoices", {**invoice, "InvoiceNumber": "K1"})
    server.stop()
    again.stop()


def test_the_command_serves_and_ends_on_sigterm(tmp_path):
    import signal
    import subprocess
    import sys

    words = [sys.executable, "-m", "psaltery.adapters.xero.sandbox", "--orgs", "3"]
    words += ["--contacts", "5", "--invoices", "10", "--no-limits", "--client-id", "mine"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[-1]
        tenants = httpx.get(f"{address}/_control/organisations").json()
        names = [t["tenantName"] for t in tenants if t["tenantType"] == "ORGANISATION"]
        assert [name.split("(")[1] for name in names] == ["Sydney)", "Adelaide)", "Auckland)"]
        assert tenants[2]["organisation"]["BaseCurrency"] == "NZD"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
