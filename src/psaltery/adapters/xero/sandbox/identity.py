"""Xero's identity service: authorise, token, revocation, discovery, connections.

https://developer.xero.com/documentation/guides/oauth2/auth-flow
https://developer.xero.com/documentation/guides/oauth2/pkce-flow
https://developer.xero.com/documentation/guides/oauth2/custom-connections
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document, json_response
from psaltery.adapters.xero.sandbox import answers, consent, resources
from psaltery.adapters.xero.sandbox.state import Client
from psaltery.adapters.xero.sandbox.tokens import Access, InvalidGrant, Tokens

# What the consent page carries through to the decision.
ASKED = ("response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "acr_values",
         "code_challenge", "code_challenge_method")  # fmt: skip


class Refusal(Exception):
    """The request is wrong in a way that must not go back to the app's redirect address."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


class Identity:
    """The addresses of login.xero.com, identity.xero.com and api.xero.com/connections."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.world = tokens.world
        self.automatic: Document = {}
        """Set by `/_control/consent`: decide without a page, for scripts."""

    def handle(self, request: Request) -> Response | None:
        """The answer, or None when the address is none of this service's."""
        path = request.path.rstrip("/").lower()
        match path.split("/")[1:]:
            case ["identity", "connect", "authorize"]:
                return self.authorise(request)
            case ["connect", "token"]:
                return self.token(request)
            case ["connect", "revocation"]:
                return self.revocation(request)
            case ["connect", "userinfo"]:
                return self.userinfo(request)
            case [".well-known", "openid-configuration"]:
                return self.discovery(request)
            case [".well-known", "openid-configuration", "jwks"]:
                return json_response({"keys": [self.tokens.key.as_dict(private=False)]})
            case ["connections"]:
                return self.connections(request)
            case ["connections", identifier]:
                return self.connection(request, identifier)
        return None

    # The person's side

    def authorise(self, request: Request) -> Response:
        """Shows the consent page, or carries the decision back to the app."""
        asked = {name: request.values[name] for name in ASKED if name in request.values}
        try:
            client, scopes = self._checked(asked)
        except Refusal as refusal:
            text = consent.error_page(refusal.error, refusal.description)
            return Response(text, 400, mimetype="text/html")
        decision = self._decision(request)
        if decision:
            return self._decided(request, client, scopes, asked, decision)
        several = client.bulk_connections and "bulk_connect:false" not in asked.get(
            "acr_values", ""
        )
        users, tenants = self.tokens.users(), self.world.tenants()
        page = consent.page(client, scopes, tenants, users, several, asked)
        # Xero's login refuses to be framed.
        headers = {"X-Frame-Options": "DENY", "Cache-Control": "no-store"}
        return Response(page, mimetype="text/html", headers=headers)

    def _checked(self, asked: Mapping[str, str]) -> tuple[Client, list[str]]:
        client = self.world.clients.get(asked.get("client_id", ""))
        if client is None:
            raise Refusal("unauthorized_client", "Unknown client or client not enabled")
        if asked.get("response_type") != "code":
            raise Refusal("unsupported_response_type", "Response type not supported")
        _check_redirect(client, asked.get("redirect_uri", ""))
        # PKCE takes the place of the secret.
        if not client.secret and asked.get("code_challenge_method") != "S256":
            raise Refusal("invalid_request", "code challenge required")
        return client, self._scopes(client, asked.get("scope", ""))

    def _scopes(self, client: Client, text: str) -> list[str]:
        scopes = text.split()
        if not scopes:
            raise Refusal("invalid_scope", "Missing scope")
        broad = {f"{name}{end}" for name in resources.BROAD for end in ("", ".read")}
        known = resources.GRANULAR | (broad if client.broad_scopes else set())
        unknown = [scope for scope in scopes if scope not in known]
        # New apps that ask for the old scopes meet this page.
        if any(scope in broad for scope in unknown):
            raise Refusal("unauthorized_client", "Invalid scope for client")
        if unknown:
            raise Refusal("invalid_scope", f"Invalid scope: {unknown[0]}")
        return scopes

    def _decision(self, request: Request) -> str:
        sent = request.form.get("decision") or request.args.get("sandbox_auto")
        return sent or str(self.automatic.get("auto") or "")

    def _decided(
        self,
        request: Request,
        client: Client,
        scopes: list[str],
        asked: Mapping[str, str],
        decision: str,
    ) -> Response:
        target = asked["redirect_uri"]
        state = {"state": asked["state"]} if "state" in asked else {}
        tenants = self._chosen(request)
        # To choose nothing is to refuse.
        if decision != "allow" or not tenants:
            return _redirect(target, {"error": "access_denied", **state})
        user = request.values.get("sandbox_user") or self.tokens.users()[0]["id"]
        granted = self.tokens.consent(client, user, scopes, tenants)
        # Proved and returned when the code is redeemed.
        remembered = {n: asked[n] for n in ("nonce", "code_challenge") if n in asked}
        code = self.tokens.new_code(granted, target, remembered)
        return _redirect(target, {"code": code, "scope": " ".join(scopes), **state})

    def _chosen(self, request: Request) -> list[str]:
        chosen = request.form.getlist("tenant")
        if request.form.get("decision"):
            return chosen
        named = request.args.get("sandbox_orgs") or self.automatic.get("organisations") or "all"
        if named == "all":
            return [tenant["tenantId"] for tenant in self.world.tenants()]
        return named.split(",") if isinstance(named, str) else list(named)

    # The app's side

    def token(self, request: Request) -> Response:
        """Codes, refresh tokens and client credentials for access tokens."""
        client = self._client(request)
        if client is None:
            return json_response({"error": "invalid_client"}, 400)
        issuer = origin(request)
        try:
            match request.form.get("grant_type"):
                case "authorization_code":
                    return _granted(self._by_code(request, client, issuer))
                case "refresh_token":
                    token = request.form.get("refresh_token", "")
                    return _granted(self.tokens.refresh(client, token, issuer))
                case "client_credentials":
                    return self._by_credentials(request, client, issuer)
                case _:
                    return json_response({"error": "unsupported_grant_type"}, 400)
        except InvalidGrant:
            return json_response({"error": "invalid_grant"}, 400)

    def _client(self, request: Request) -> Client | None:
        """The app that is calling: by Basic header, or by `client_id` in the body (PKCE)."""
        given = _basic(request)
        name = given[0] if given else request.form.get("client_id", "")
        secret = given[1] if given else request.form.get("client_secret", "")
        # The standard wants both form-encoded inside Basic; half of all clients do not do it.
        for own_name, own_secret in ((name, secret), (unquote_plus(name), unquote_plus(secret))):
            client = self.world.clients.get(own_name)
            if client and hmac.compare_digest(client.secret.encode(), own_secret.encode()):
                return client
        return None

    def _by_code(self, request: Request, client: Client, issuer: str) -> Document:
        record = self.tokens.redeem(request.form.get("code", ""))
        # The code is spent even when someone else's app tried it.
        same_app = record["client"] == client.id
        if not same_app or record["redirect_uri"] != request.form.get("redirect_uri"):
            raise InvalidGrant
        if not _proves(request.form.get("code_verifier"), record.get("code_challenge")):
            raise InvalidGrant
        return self.tokens.issue(record, issuer)

    def _by_credentials(self, request: Request, client: Client, issuer: str) -> Response:
        scopes = request.form.get("scope", "").split()
        # Any app may list its own connections without a user.
        own_list = scopes == ["app.connections"]
        if not client.custom_connection and not own_list:
            return json_response({"error": "unauthorized_client"}, 400)
        try:
            self._scopes(client, " ".join(scopes) or "accounting.settings.read")
        except Refusal:
            return json_response({"error": "invalid_scope"}, 400)
        return _granted(self.tokens.client_credentials(client, scopes, issuer))

    def revocation(self, request: Request) -> Response:
        """Ends all connections of the user; 200 and no body, known token or not."""
        client = self._client(request)
        if client is None:
            return json_response({"error": "invalid_client"}, 400)
        self.tokens.revoke(client, request.form.get("token", ""))
        return Response(b"", 200)

    def userinfo(self, request: Request) -> Response:
        """Who the person behind the token is."""
        access = self.bearer(request)
        if isinstance(access, Response):
            return access
        user = self.tokens.user(access.user_id or "")
        names = {"given_name": user["first"], "family_name": user["last"]}
        return json_response({"sub": user["sub"], "email": user["email"], **names})

    def discovery(self, request: Request) -> Response:
        """The OpenID document; addresses are those under which the sandbox was reached."""
        here = origin(request)
        return json_response(
            {
                "issuer": here,
                "jwks_uri": f"{here}/.well-known/openid-configuration/jwks",
                "authorization_endpoint": f"{here}/identity/connect/authorize",
                "token_endpoint": f"{here}/connect/token",
                "userinfo_endpoint": f"{here}/connect/userinfo",
                "revocation_endpoint": f"{here}/connect/revocation",
                "scopes_supported": sorted(resources.GRANULAR),
                "grant_types_supported": ["authorization_code", "client_credentials",
                                          "refresh_token"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic",
                                                          "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }
        )  # fmt: skip

    def bearer(self, request: Request) -> Access | Response:
        """Who is calling, or the 401 that Xero answers."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        access, expired = self.tokens.access(token) if scheme.lower() == "bearer" else (None, None)
        if access is None:
            return answers.unauthorised()
        return answers.token_expired(expired) if expired else access

    def connections(self, request: Request) -> Response:
        """The tenants of this token; no tenant header is needed."""
        access = self.bearer(request)
        if isinstance(access, Response):
            return access
        event = request.args.get("authEventId")
        return json_response(self.tokens.connections(access, event))

    def connection(self, request: Request, identifier: str) -> Response:
        """DELETE takes the connection's id, which is not the tenant's."""
        access = self.bearer(request)
        if isinstance(access, Response):
            return access
        if request.method != "DELETE" or not self.tokens.disconnect(access, identifier):
            return answers.not_found()
        return Response(status=204)


def origin(request: Request) -> str:
    """`http://127.0.0.1:9100`: one origin stands for Xero's three."""
    return request.host_url.rstrip("/")


def _check_redirect(client: Client, address: str) -> None:
    parts = urlsplit(address)
    if address not in client.redirect_uris:
        raise Refusal("unauthorized_client", "Invalid redirect_uri")
    # Xero registers https addresses, and http for localhost by that very name.
    if parts.scheme != "https" and parts.hostname != "localhost":
        raise Refusal("unauthorized_client", "Invalid redirect_uri")


def _redirect(target: str, added: Mapping[str, str]) -> Response:
    parts = urlsplit(target)
    query = urlencode([*parse_qsl(parts.query), *added.items()])
    return Response(status=302, headers={"Location": parts._replace(query=query).geturl()})


def _granted(tokens: Document) -> Response:
    response = json_response(tokens)
    response.headers["Cache-Control"] = "no-store"
    return response


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def _proves(verifier: str | None, challenge: str | None) -> bool:
    """PKCE: the verifier hashes to the challenge; without a challenge nothing is to be proved."""
    if not challenge:
        return True
    digest = hashlib.sha256((verifier or "").encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)
