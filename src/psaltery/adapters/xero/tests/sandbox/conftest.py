"""A served sandbox, and a client that holds a token for its first organisation."""

import httpx2 as httpx
import pytest

from psaltery.adapters.xero.sandbox import DEFAULT_CLIENT, Client, Sandbox

REDIRECT = "http://localhost:5000/connect/xero/callback"
WEB_APP = Client("web", "web secret/+", (REDIRECT,), name="Harbour Hub")
PKCE_APP = Client("pkce", "", (REDIRECT,))
OLD_APP = Client("old", "old-secret", (REDIRECT,), broad_scopes=True)
SINGLE_APP = Client("single", "single-secret", (REDIRECT,), bulk_connections=False)
APPS = [DEFAULT_CLIENT, WEB_APP, PKCE_APP, OLD_APP, SINGLE_APP]


class Api(httpx.Client):
    """An HTTP client with the sandbox's controls beside it."""

    sandbox: Sandbox
    tenant: str

    def control(self, place, **sent):
        response = self.post(f"/_control/{place}", json=sent)
        assert response.status_code < 300, response.text
        return response.json()

    def fault(self, kind, **rule):
        return self.control("faults", kind=kind, **rule)[0]

    def read(self, path, **params):
        response = self.get(f"/api.xro/2.0/{path}", params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def write(self, method, path, *elements, **params):
        collection = path.split("/")[0] if "/" not in path else path.split("/")[-1]
        sent = {collection: list(elements)}
        return self.request(method, f"/api.xro/2.0/{path}", json=sent, params=params)

    def made(self, path, element, **params):
        """The element as created, which must have succeeded."""
        response = self.write("PUT", path, element, **{"unitdp": "4", **params})
        assert response.status_code == 200, response.text
        return response.json()[path.split("/")[-1]][0]

    def refused(self, path, element, method="PUT"):
        """The messages with which the element was refused."""
        response = self.write(method, path, element, summarizeErrors="false", unitdp="4")
        assert response.status_code == 200, response.text
        shown = response.json()[path.split("/")[-1]][0]
        assert shown["StatusAttributeString"] == "ERROR"
        return [error["Message"] for error in shown["ValidationErrors"]]

    def change_organisation(self, **changes):
        return self.control("organisations", tenant=self.tenant, **changes)


def api(sandbox, server, scopes="", position=0):
    token = sandbox.grant(scopes=scopes)["access_token"]
    tenant = sandbox.organisations()[position]["tenantId"]
    client = Api(
        base_url=server.url,
        timeout=30,
        headers={
            "Authorization": f"Bearer {token}",
            "Xero-Tenant-Id": tenant,
            "Accept": "application/json",
        },
    )
    client.sandbox, client.tenant = sandbox, tenant
    return client


@pytest.fixture
def sandbox():
    made = Sandbox(orgs=2, limits=False, clients=APPS)
    yield made
    made.close()


@pytest.fixture
def server(sandbox):
    running = sandbox.serve()
    yield running
    running.stop()


@pytest.fixture
def xero(sandbox, server):
    with api(sandbox, server) as client:
        yield client


@pytest.fixture
def line():
    return {"Description": "Support", "Quantity": 1, "UnitAmount": 100, "AccountCode": "200"}


@pytest.fixture
def invoice(line):
    return {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "Contact": {"Name": "Acme"},
        "LineItems": [line],
    }


@pytest.fixture
def bank(xero):
    accounts = xero.read("Accounts", where='Type=="BANK"')["Accounts"]
    return {"AccountID": accounts[0]["AccountID"]}
