"""Signing in: company, keys, client id, roles and the limit."""

from __future__ import annotations

import httpx2
import pytest

from psaltery.adapters.connectwise.sandbox import ApiKey, Sandbox
from psaltery.adapters.connectwise.tests.sandbox.conftest import OTHER, credentials, signed_in


def test_company_info_names_the_codebase(server):
    answer = httpx2.get(f"{server.url}/login/companyinfo/HARBOUR").json()
    assert answer["Codebase"] == "v2025_1/"
    assert answer["IsCloud"] is True


def test_company_info_of_an_unknown_company_is_null(server):
    answer = httpx2.get(f"{server.url}/login/companyinfo/nobody")
    assert answer.status_code == 200
    assert answer.json() is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer abc",
        "Basic not-base64",
        credentials(company="elsewhere"),
        credentials(ApiKey("sandboxpublic", "wrong")),
        credentials(ApiKey("unknown", "sandboxprivate")),
    ],
)
def test_bad_keys_are_401(server, header):
    headers = {"Authorization": header, "clientId": "x"}
    answer = httpx2.get(f"{server.url}/v2025_1/apis/3.0/system/info", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == "UserNotAuthenticated"


def test_a_missing_client_id_is_403(client):
    del client.headers["clientId"]
    answer = client.get("/system/info")
    assert answer.status_code == 403
    assert "clientId" in answer.json()["message"]


def test_only_registered_client_ids_are_taken_when_some_are_given():
    sandbox = Sandbox(client_ids=["known"])
    server = sandbox.start()
    with signed_in(server) as client:
        assert client.get("/system/info").status_code == 403
        assert client.get("/system/info", headers={"clientId": "known"}).status_code == 200
    server.stop()


def test_the_router_codebase_works_and_a_wrong_one_is_404(server, client):
    headers = dict(client.headers)
    router = f"{server.url}/v4_6_release/apis/3.0/system/info"
    assert httpx2.get(router, headers=headers).json()["isCloud"] is True
    wrong = httpx2.get(f"{server.url}/v2019_1/apis/3.0/system/info", headers=headers)
    assert wrong.status_code == 404


def test_a_module_switched_off_is_403_for_that_key_only(server, client, control):
    module = {"public_key": "sandboxpublic", "module": "Finance > Invoicing", "inquire": False}
    assert control.post("/permissions", json=module).status_code == 200
    denied = client.get("/finance/invoices")
    assert denied.status_code == 403
    assert "Finance > Invoicing" in denied.json()["message"]
    assert client.get("/company/companies").status_code == 200
    with signed_in(server, OTHER) as other:
        assert other.get("/finance/invoices").status_code == 200


def test_levels_of_a_module_are_separate(client, control, sandbox):
    levels = {"public_key": "sandboxpublic", "module": "Companies > Company Maintenance"}
    control.post("/permissions", json=levels | {"edit": False})
    assert client.get("/company/companies/1").status_code == 200
    patch = [{"op": "replace", "path": "website", "value": "https://example.org"}]
    assert client.patch("/company/companies/1", json=patch).status_code == 403
    assert sandbox.world.get("companies", 1)["website"] != "https://example.org"


def test_an_unknown_module_is_refused(control):
    body = {"public_key": "sandboxpublic", "module": "Finance > Gold", "inquire": False}
    assert control.post("/permissions", json=body).status_code == 400


def test_the_limit_answers_429_with_the_seconds_to_wait(client, control):
    control.post("/behaviour", json={"requests_per_minute": 3})
    codes = [client.get("/system/info").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    refused = client.get("/system/info")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Retry-After"] in refused.json()["message"]


@pytest.mark.parametrize("status", [401, 404])
def test_keys_can_be_taken_back(client, control, status):
    body = {"refused_keys": ["sandboxpublic"], "refused_keys_status": status}
    control.post("/behaviour", json=body)
    assert client.get("/system/info").status_code == status
    control.post("/behaviour", json={"refused_keys": []})
    assert client.get("/system/info").status_code == 200
