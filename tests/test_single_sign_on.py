"""Sign-in through a provider of OpenID Connect: for people whom an administrator has added."""

import json
import re
import socket
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect
from werkzeug import Request, Response

from psaltery.accounts import service
from psaltery.accounts.models import Role
from psaltery.audit.models import Entry
from psaltery.hub.tests.test_journey import BUILT

pytestmark = pytest.mark.journey
ADDRESS = "ada@example.com"


class Issuer:
    """As much of a provider as a sign-in needs.

    https://openid.net/specs/openid-connect-core-1_0.html
    """

    def __init__(self, server) -> None:
        self.url = server.url_for("").rstrip("/")
        self.person = {"sub": "7", "email": ADDRESS, "email_verified": True, "name": "Ada"}
        self.asked: list[dict[str, str]] = []
        self.tokens: list[dict[str, str]] = []
        server.expect_request("/.well-known/openid-configuration").respond_with_json(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/jwks",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )
        server.expect_request("/authorize").respond_with_handler(self._authorize)
        server.expect_request("/token", method="POST").respond_with_handler(self._token)
        server.expect_request("/userinfo").respond_with_handler(self._userinfo)

    def _authorize(self, request: Request) -> Response:
        asked = request.args.to_dict()
        self.asked.append(asked)
        back = urlencode({"code": "a-code", "state": asked["state"]})
        return Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{back}"})

    def _token(self, request: Request) -> Response:
        self.tokens.append(request.form.to_dict())
        return Response(
            '{"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 300}',
            mimetype="application/json",
        )

    def _userinfo(self, request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer an-access-token"
        return Response(json.dumps(self.person), mimetype="application/json")


@pytest.fixture
def issuer(httpserver):
    return Issuer(httpserver)


@pytest.fixture
def site(issuer, psaltery_process):
    """The product as an administrator has set it up for the provider; its address."""
    service.add_person(ADDRESS, "Ada", Role.BOOKKEEPER, password="a long enough secret")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://localhost:{probe.getsockname()[1]}"
    psaltery_process(
        "web",
        PSALTERY_PORT=url.rpartition(":")[2],
        PSALTERY_PUBLIC_URL=url,
        PSALTERY_OIDC_ISSUER=issuer.url,
        PSALTERY_OIDC_NAME="Harbourline sign-on",
        PSALTERY_OIDC_CLIENT_ID="psaltery",
        PSALTERY_OIDC_CLIENT_SECRET="of-the-provider",
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10):
                return url
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def through_the_provider(page, site):
    page.goto(f"{site}/accounts/login/")
    page.get_by_role("link", name="Harbourline sign-on").click()
    expect(page).to_have_url(re.compile("/oidc/"))
    page.get_by_role("button", name="Continue").click()


@BUILT
def test_somebody_who_was_added_signs_in(issuer, site, page, console):
    through_the_provider(page, site)
    expect(page).to_have_url(f"{site}/")
    expect(page.get_by_role("navigation").first).to_be_visible()
    (asked,) = issuer.asked
    assert (asked["client_id"], asked["response_type"]) == ("psaltery", "code")
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert asked["redirect_uri"].startswith(f"{site}/accounts/")
    (token,) = issuer.tokens
    # A code that somebody else caught on its way is worth nothing.
    challenge = urlsafe_b64encode(sha256(token["code_verifier"].encode()).digest())
    assert (asked["code_challenge_method"], asked["code_challenge"]) == (
        "S256",
        challenge.decode().rstrip("="),
    )
    assert (token["code"], token["client_secret"]) == ("a-code", "of-the-provider")
    assert Entry.objects.filter(sentence="Ada signed in.", actor=ADDRESS).count() == 1
    assert console == []


@BUILT
@pytest.mark.parametrize(
    "person",
    [
        pytest.param({"email": "eve@example.com"}, id="nobody whom an administrator added"),
        # Anybody may enter Ada's address at some providers.
        pytest.param({"email_verified": False}, id="an address that was not verified"),
    ],
)
def test_nobody_else_does(issuer, site, page, person):
    issuer.person |= person
    through_the_provider(page, site)
    expect(page.get_by_role("heading", name="By invitation")).to_be_visible()
    page.goto(f"{site}/connections/")
    expect(page).to_have_url(re.compile("/accounts/login/"))
