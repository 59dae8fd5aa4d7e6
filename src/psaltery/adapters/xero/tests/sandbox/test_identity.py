"""Consent, codes, tokens and connections, and every way in which they go wrong."""

import base64
import hashlib
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2 as httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from psaltery.adapters.xero.sandbox import Client, Sandbox

from .conftest import OLD_APP, PKCE_APP, REDIRECT, SINGLE_APP, WEB_APP

SCOPES = "openid profile email offline_access accounting.invoices accounting.settings.read"


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def asked(app=WEB_APP, **changes):
    query = {
        "response_type": "code",
        "client_id": app.id,
        "redirect_uri": REDIRECT,
        "scope": SCOPES,
        "state": "s 1/2",
    }
    return {**query, **changes}


def consent(http, app=WEB_APP, **changes):
    """The query with which the browser comes back to the app."""
    query = asked(app, sandbox_auto="allow", **changes)
    response = http.get("/identity/connect/authorize", params=query)
    assert response.status_code == 302, response.text
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


def exchange(http, app=WEB_APP, auth="basic", **form):
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, **form}
    if auth == "basic":
        return http.post("/connect/token", data=form, auth=(app.id, app.secret))
    return http.post("/connect/token", data={**form, "client_id": app.id})


def tokens(http, app=WEB_APP, **changes):
    response = exchange(http, app, code=consent(http, app, **changes)["code"])
    assert response.status_code == 200, response.text
    return response.json()


def refresh(http, token, app=WEB_APP):
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return http.post("/connect/token", data=form, auth=(app.id, app.secret))


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_the_page_shows_app_scopes_and_organisations(http):
    page = http.get("/identity/connect/authorize", params=asked())
    assert page.headers["X-Frame-Options"] == "DENY"
    for text in ("Harbour Hub", "accounting.invoices", "Harbourline IT (Sydney)", "practice"):
        assert text in page.text
    assert page.text.count('type="checkbox"') == 3


def test_an_app_without_bulk_connections_chooses_one(http):
    page = http.get("/identity/connect/authorize", params=asked(SINGLE_APP)).text
    assert page.count('type="radio"') == 3
    page = http.get("/identity/connect/authorize", params=asked(acr_values="bulk_connect:false"))
    assert page.text.count('type="radio"') == 3


def test_allowing_on_the_page_connects_what_was_ticked(http, sandbox):
    chosen = sandbox.organisations()[1]["tenantId"]
    form = {**asked(), "decision": "allow", "tenant": chosen}
    response = http.post("/identity/connect/authorize", data=form)
    back = parse_qs(urlsplit(response.headers["Location"]).query)
    assert back["state"] == ["s 1/2"]
    token = exchange(http, code=back["code"][0]).json()["access_token"]
    connections = http.get("/connections", headers=bearer(token)).json()
    assert [c["tenantId"] for c in connections] == [chosen]
    assert connections[0]["id"] != chosen


def test_cancelling_comes_back_as_access_denied(http):
    form = {**asked(), "decision": "cancel"}
    response = http.post("/identity/connect/authorize", data=form)
    back = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
    assert back == {"error": "access_denied", "state": "s 1/2"}


def test_the_control_decides_without_a_page(http):
    http.post("/_control/consent", json={"auto": "cancel"})
    response = http.get("/identity/connect/authorize", params=asked())
    assert "error=access_denied" in response.headers["Location"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "nobody"}, "unauthorized_client"),
        ({"redirect_uri": REDIRECT + "/"}, "unauthorized_client"),
        ({"redirect_uri": REDIRECT.replace("localhost", "127.0.0.1")}, "unauthorized_client"),
        ({"scope": "accounting.transactions offline_access"}, "unauthorized_client"),
        ({"scope": "accounting.everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_wrong_request_never_reaches_the_redirect(http, change, error):
    query = {**asked(), "sandbox_auto": "allow", **change}
    page = http.get("/identity/connect/authorize", params=query)
    assert page.status_code == 400
    assert error in page.text


def test_127_0_0_1_is_refused_even_when_registered(http):
    address = "http://127.0.0.1:5000/back"
    http.post("/_control/clients", json={"id": "c", "secret": "s", "redirect_uris": [address]})
    query = {**asked(), "client_id": "c", "redirect_uri": address, "sandbox_auto": "allow"}
    assert http.get("/identity/connect/authorize", params=query).status_code == 400


def test_apps_from_before_the_change_may_ask_broadly(http):
    granted = tokens(http, OLD_APP, scope="accounting.transactions offline_access")
    assert granted["scope"] == "accounting.transactions offline_access"


def test_tokens_have_what_their_scopes_ask_for(http):
    granted = tokens(http)
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 1800)
    assert granted["refresh_token"]
    bare = tokens(http, app=OLD_APP, scope="accounting.settings.read")
    assert "refresh_token" not in bare
    assert "id_token" not in bare


def test_tokens_are_signed_with_the_published_key(http, server):
    granted = tokens(http, nonce="n-1")
    about = http.get("/.well-known/openid-configuration").json()
    assert about["issuer"] == server.url
    keys = KeySet.import_key_set(httpx.get(about["jwks_uri"]).json())
    access = jwt.decode(granted["access_token"], keys, algorithms=["RS256"]).claims
    identity = jwt.decode(granted["id_token"], keys, algorithms=["RS256"]).claims
    assert access["xero_userid"] == identity["xero_userid"]
    assert access["authentication_event_id"]
    assert access["scope"] == SCOPES.split()
    assert access["exp"] - access["nbf"] == 1800
    assert (identity["aud"], identity["nonce"], identity["iss"]) == ("web", "n-1", server.url)
    assert identity["email"] == "robin.marsh@example.com"


def test_a_code_works_once(http):
    code = consent(http)["code"]
    assert exchange(http, code=code).status_code == 200
    again = exchange(http, code=code)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


def test_a_code_lives_five_minutes(http):
    code = consent(http)["code"]
    http.post("/_control/clock", json={"offset_seconds": 301})
    assert exchange(http, code=code).json() == {"error": "invalid_grant"}


def test_a_code_belongs_to_its_app_and_redirect(http):
    code = consent(http)["code"]
    assert exchange(http, OLD_APP, code=code).json() == {"error": "invalid_grant"}
    other = exchange(http, code=consent(http)["code"], redirect_uri=REDIRECT + "?a=1")
    assert other.json() == {"error": "invalid_grant"}


def test_a_wrong_secret(http):
    wrong = Client("web", "wrong")
    response = exchange(http, wrong, code=consent(http)["code"])
    assert (response.status_code, response.json()) == (400, {"error": "invalid_client"})


def pkce(verifier="v" * 43):
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"code_challenge": challenge, "code_challenge_method": "S256"}


@pytest.mark.parametrize(("app", "auth"), [(PKCE_APP, "body"), (WEB_APP, "basic")])
def test_pkce_alone_and_on_top_of_a_secret(http, app, auth):
    code = consent(http, app, **pkce())["code"]
    good = exchange(http, app, auth, code=code, code_verifier="v" * 43)
    assert good.status_code == 200
    code = consent(http, app, **pkce())["code"]
    bad = exchange(http, app, auth, code=code, code_verifier="w" * 43)
    assert bad.json() == {"error": "invalid_grant"}


def test_a_pkce_app_must_send_a_challenge(http):
    assert http.get("/identity/connect/authorize", params=asked(PKCE_APP)).status_code == 400


def test_refreshing_rotates(http):
    first = tokens(http)
    second = refresh(http, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert refresh(http, second["refresh_token"]).status_code == 200


def test_the_previous_refresh_token_has_thirty_minutes_of_grace(http):
    token = tokens(http)["refresh_token"]
    refresh(http, token)
    http.post("/_control/clock", json={"offset_seconds": 29 * 60})
    assert refresh(http, token).status_code == 200
    http.post("/_control/clock", json={"offset_seconds": 31 * 60})
    late = refresh(http, token)
    assert (late.status_code, late.json()) == (400, {"error": "invalid_grant"})


def test_once_the_heir_was_used_the_grace_is_over(http):
    token = tokens(http)["refresh_token"]
    heir = refresh(http, token).json()["refresh_token"]
    refresh(http, heir)
    assert refresh(http, token).json() == {"error": "invalid_grant"}


def test_refresh_tokens_end_after_sixty_days(http):
    token = tokens(http)["refresh_token"]
    http.post("/_control/clock", json={"offset_seconds": 61 * 86400})
    assert refresh(http, token).json() == {"error": "invalid_grant"}


def test_scopes_add_up_over_consents(http):
    tokens(http, scope="offline_access accounting.invoices.read")
    second = tokens(http, scope="offline_access accounting.contacts.read")
    assert set(second["scope"].split()) == {
        "offline_access",
        "accounting.invoices.read",
        "accounting.contacts.read",
    }


def test_connections_are_filtered_by_the_consent(http, sandbox):
    first, second = (org["tenantId"] for org in sandbox.organisations())
    tokens(http, sandbox_orgs=first)
    token = tokens(http, sandbox_orgs=second)["access_token"]
    connections = http.get("/connections", headers=bearer(token)).json()
    assert {c["tenantId"] for c in connections} == {first, second}
    event = next(c["authEventId"] for c in connections if c["tenantId"] == second)
    new = http.get("/connections", params={"authEventId": event}, headers=bearer(token)).json()
    assert [c["tenantId"] for c in new] == [second]
    assert len(new[0]["createdDateUtc"]) == len("2026-10-02T03:14:05.1234560")


def test_a_practice_is_listed_but_has_no_books(http, sandbox):
    token = tokens(http)["access_token"]
    connections = http.get("/connections", headers=bearer(token)).json()
    (practice,) = (c for c in connections if c["tenantType"] == "PRACTICE")
    headers = {**bearer(token), "Xero-Tenant-Id": practice["tenantId"]}
    assert http.get("/api.xro/2.0/Organisation", headers=headers).status_code == 403


def test_deleting_a_connection(http, sandbox):
    token = tokens(http)["access_token"]
    connection = http.get("/connections", headers=bearer(token)).json()[0]
    place = f"/connections/{connection['id']}"
    assert http.delete(place, headers=bearer(token)).status_code == 204
    assert http.delete(place, headers=bearer(token)).status_code == 404
    headers = {**bearer(token), "Xero-Tenant-Id": connection["tenantId"]}
    response = http.get("/api.xro/2.0/Organisation", headers=headers)
    assert response.status_code == 403
    assert response.json()["Detail"] == "AuthenticationUnsuccessful"


def test_a_person_disconnects_in_xero(http, sandbox):
    granted = tokens(http)
    tenant = sandbox.organisations()[0]["tenantId"]
    http.post("/_control/disconnect", json={"tenant": tenant})
    assert refresh(http, granted["refresh_token"]).status_code == 200
    left = http.get("/connections", headers=bearer(granted["access_token"])).json()
    assert tenant not in [c["tenantId"] for c in left]


def test_revocation_ends_everything_of_the_user(http):
    granted = tokens(http)
    form = {"token": granted["refresh_token"]}
    response = http.post("/connect/revocation", data=form, auth=(WEB_APP.id, WEB_APP.secret))
    assert (response.status_code, response.content) == (200, b"")
    assert refresh(http, granted["refresh_token"]).json() == {"error": "invalid_grant"}
    assert http.get("/connections", headers=bearer(granted["access_token"])).status_code == 401


def test_a_custom_connection_needs_no_consent_and_no_tenant_header(http, sandbox):
    tenant = sandbox.organisations()[0]["tenantId"]
    app = {"id": "own", "secret": "s", "custom_connection": tenant}
    http.post("/_control/clients", json=app)
    form = {"grant_type": "client_credentials", "scope": "accounting.settings.read"}
    granted = http.post("/connect/token", data=form, auth=("own", "s")).json()
    assert "refresh_token" not in granted
    headers = {**bearer(granted["access_token"]), "Accept": "application/json"}
    books = http.get("/api.xro/2.0/Organisation", headers=headers).json()["Organisations"]
    assert books[0]["Name"] == "Harbourline IT (Sydney)"
    assert len(http.get("/connections", headers=headers).json()) == 0


def test_client_credentials_are_for_custom_connections_only(http):
    form = {"grant_type": "client_credentials", "scope": "accounting.settings.read"}
    response = http.post("/connect/token", data=form, auth=(WEB_APP.id, WEB_APP.secret))
    assert response.json() == {"error": "unauthorized_client"}
    tokens(http)
    form["scope"] = "app.connections"
    own = http.post("/connect/token", data=form, auth=(WEB_APP.id, WEB_APP.secret)).json()
    assert len(http.get("/connections", headers=bearer(own["access_token"])).json()) == 3


def test_tokens_and_consents_survive_a_restart(tmp_path):
    first = Sandbox(tmp_path / "xero.db", clients=[WEB_APP])
    granted = first.grant(WEB_APP.id)
    second = Sandbox(tmp_path / "xero.db", clients=[WEB_APP])
    assert second.organisations() == first.organisations()
    assert second.tokens.key.as_dict() == first.tokens.key.as_dict()
    renewed = second.tokens.refresh(WEB_APP, granted["refresh_token"], "x")
    assert renewed["refresh_token"]
