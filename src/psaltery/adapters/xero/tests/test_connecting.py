"""Sign-in with each type of app, over the sandbox's own pages, through the project's OAuth."""

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from psaltery.adapters import xero
from psaltery.adapters.errors import BadSettings
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller
from psaltery.adapters.oauth import Tokens, TokenServer, authorise_address
from psaltery.adapters.xero.sandbox import Client, Sandbox

BACK = "http://localhost:8000/connect/xero/callback"
WEB = {"mode": "web", "client_id": "web-client", "client_secret": "web-secret"}
PKCE = {"mode": "pkce", "client_id": "pkce-client"}
CUSTOM = {"mode": "custom", "client_id": "custom-client", "client_secret": "custom-secret"}
VERIFIER = "a-verifier-of-at-least-forty-three-characters-x"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(orgs=2, limits=False)
    sandbox.world.clients |= {
        "web-client": Client("web-client", "web-secret", (BACK,)),
        "pkce-client": Client("pkce-client", "", (BACK,)),
        "custom-client": Client(
            "custom-client",
            "custom-secret",
            custom_connection=sandbox.organisations()[0]["tenantId"],
        ),
    }
    server = sandbox.serve()
    yield sandbox, server.url
    server.stop()
    sandbox.close()


def _addresses(url: str) -> dict[str, str]:
    return {"api": url, "identity": url, "login": url}


def _signed_in(fields: dict[str, str], url: str, *, read_only: bool) -> Tokens:
    app = xero.oauth(fields, _addresses(url), read_only=read_only)
    server = TokenServer(app, NoRecorder(), lambda: False)
    if app.client_credentials:
        return server.client_credentials()
    address = authorise_address(app, state="s1", verifier=VERIFIER, redirect_uri=BACK)
    answer = httpx2.get(address + "&sandbox_auto=allow")
    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert told["state"] == ["s1"]
    return server.exchange(told["code"][0], redirect_uri=BACK, verifier=VERIFIER)


@pytest.mark.parametrize("fields", [WEB, PKCE])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_person_signs_in_and_the_organisations_are_there(
    served: tuple[Sandbox, str],
    caller_of: Callable[..., Caller],
    fields: dict[str, str],
    read_only: bool,
) -> None:
    sandbox, url = served
    tokens = _signed_in(fields, url, read_only=read_only)
    assert tokens.user
    assert tokens.consent_event
    assert tokens.refresh
    assert tokens.email.endswith("@example.com")
    caller = caller_of(xero.base_url(fields, _addresses(url)), tokens.access)
    tenants = xero.consent(caller).tenants(tokens.consent_event)
    assert [one.name for one in tenants] == [one["tenantName"] for one in sandbox.organisations()]
    books = xero.open(fields, tenants[1].external_id, caller, {})
    assert books.organisation().name == tenants[1].name


def test_a_custom_connection_has_one_organisation_and_names_none(
    served: tuple[Sandbox, str], caller_of: Callable[..., Caller]
) -> None:
    sandbox, url = served
    tokens = _signed_in(CUSTOM, url, read_only=True)
    caller = caller_of(url, tokens.access)
    (tenant,) = xero.consent(caller).tenants()
    assert tenant.name == sandbox.organisations()[0]["tenantName"]
    books = xero.open(CUSTOM, tenant.external_id, caller, {})
    assert books.organisation().name == tenant.name


@pytest.mark.parametrize("mode", ["web", "custom"])
def test_a_secret_that_is_missing_is_named(mode: str) -> None:
    with pytest.raises(BadSettings) as failure:
        xero.oauth({"mode": mode, "client_id": "web-client"}, {}, read_only=True)
    assert failure.value.which == "client_secret"
