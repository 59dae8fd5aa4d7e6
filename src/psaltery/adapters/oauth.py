"""OAuth 2.0 as the vendors speak it: consent, exchange, rotation, revocation. No storage in here.

RFC 6749 (code flow, client credentials), RFC 7636 (PKCE, S256), RFC 7009 (revocation).
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from psaltery.adapters.answers import Answer
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, Rejected
from psaltery.adapters.exchange import Recorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.kit.clock import now
from psaltery.records.drafts import Problem


class OAuthApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app registered with a vendor.

    Without `client_secret` it is a public (PKCE) app. `client_credentials` means that no person
    consents: the app itself is bound to one organisation.
    """

    client_id: str
    client_secret: str = ""
    authorise_url: str
    token_url: str
    revocation_url: str = ""
    jwks_url: str = ""
    scopes: tuple[str, ...]
    client_credentials: bool = False
    user_claim: str = "sub"  # the claim of the access token that names the vendor's user
    event_claim: str = ""  # the claim that names this consent
    # Xero's life of a refresh token; no answer of a token server tells it.
    refresh_days: int = 60
    extra: Mapping[str, str] = {}  # further parameters of the authorise address


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What the token server gave; times are aware, UTC."""

    access: str
    access_expires_at: datetime
    refresh: str = ""
    refresh_expires_at: datetime | None = None
    scopes: str = ""
    user: str = ""
    consent_event: str = ""
    email: str = ""


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int = 1800
    refresh_token: str = ""
    id_token: str = ""
    scope: str = ""


class _ErrorAnswer(msgspec.Struct):
    error: str = ""
    error_description: str = ""


def new_secret() -> str:
    """A random text for `state` or a PKCE verifier: 256 bits, 43 characters."""
    return secrets.token_urlsafe(32)


def authorise_address(app: OAuthApp, *, state: str, verifier: str, redirect_uri: str) -> str:
    """Where the person's browser is sent to consent.

    https://developer.xero.com/documentation/guides/oauth2/auth-flow/
    """
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(app.scopes),
        "state": state,
        # PKCE on top of the secret: a code that leaks on its way back is of no use to others.
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        **app.extra,
    }
    # `quote` writes blanks as %20; a "+" between scopes is not read as a blank by every server.
    return f"{app.authorise_url}?{urlencode(query, quote_via=quote)}"


class TokenServer:
    """The vendor's token endpoints, for one app."""

    def __init__(
        self, app: OAuthApp, recorder: Recorder, inside_transaction: Callable[[], bool]
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._inside_transaction = inside_transaction

    def exchange(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        """Tokens for the code of a consent; codes work once, for five minutes.

        Raises BadSettings(which="code") for a used or aged code, "client_secret", "scopes".
        """
        try:
            return self._tokens(
                "oauth.exchange",
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": redirect_uri,
                    "code_verifier": verifier,
                },
            )
        # `invalid_grant` means here that the code is no good, not that a consent has ended.
        except NeedsReconnect as wrong:
            raise BadSettings(
                "This consent was used already, is older than five minutes, or was given for "
                "another redirect address. Start the consent again.",
                which="code",
            ) from wrong

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which is then replaced (rotation).

        Raises NeedsReconnect(code="token_revoked") when the vendor no longer honours it.
        """
        return self._tokens(
            "oauth.refresh", {"grant_type": "refresh_token", "refresh_token": refresh_token}
        )

    def client_credentials(self) -> Tokens:
        """Tokens of an app that is bound to one organisation; there is no refresh token."""
        return self._tokens(
            "oauth.client_credentials",
            {"grant_type": "client_credentials", "scope": " ".join(self._app.scopes)},
        )

    def revoke(self, refresh_token: str) -> None:
        """End the consent at the vendor; one that has ended already is fine (RFC 7009, 2.2)."""
        if self._app.revocation_url and refresh_token:
            self._post(self._app.revocation_url, "oauth.revoke", {"token": refresh_token})

    def _tokens(self, operation: str, form: Mapping[str, str]) -> Tokens:
        answer = self._post(self._app.token_url, operation, form)
        told = answer.decode(_TokenAnswer)
        claims = unverified_claims(told.access_token)
        person = self._verified_claims(told.id_token)
        return Tokens(
            access=told.access_token,
            access_expires_at=now() + timedelta(seconds=told.expires_in),
            refresh=told.refresh_token,
            refresh_expires_at=now() + timedelta(days=self._app.refresh_days)
            if told.refresh_token
            else None,
            scopes=told.scope,
            # The access token first: an id_token comes only with OpenID scopes.
            user=_claim(claims, self._app.user_claim) or _claim(person, self._app.user_claim),
            consent_event=_claim(claims, self._app.event_claim),
            email=_claim(person, "email"),
        )

    def _post(self, address: str, operation: str, form: Mapping[str, str]) -> Answer:
        # A token request is no write in our sense: asking again harms nothing but the old token,
        # and that one is honoured for a while. It must not be repeated by itself, though, since
        # each repeat rotates; so it counts as one.
        public = {} if self._app.client_secret else {"client_id": self._app.client_id}
        return self._caller(address).call(
            "POST",
            urlsplit(address).path,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({**form, **public}).encode(),
            write=True,
            operation=operation,
        )

    def _caller(self, address: str) -> Caller:
        parts = urlsplit(address)
        return Caller(
            f"{parts.scheme}://{parts.netloc}",
            credential=FixedCredential(self._basic()),
            budget=NoBudget(),
            recorder=self._recorder,
            inside_transaction=self._inside_transaction,
            classify=classify_token_answer,
        )

    def _basic(self) -> dict[str, str]:
        if not self._app.client_secret:
            return {}
        pair = f"{self._app.client_id}:{self._app.client_secret}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def _verified_claims(self, id_token: str) -> Mapping[str, Any]:
        """The claims of the id_token when its RS256 signature holds; else none.

        Nothing depends on them but the e-mail address shown beside the connection, so that a key
        server that can't be reached stops no consent.
        """
        if not id_token or not self._app.jwks_url:
            return {}
        with suppress(Failure, JoseError, ValueError):
            path = urlsplit(self._app.jwks_url).path
            keys = self._caller(self._app.jwks_url).call("GET", path, operation="oauth.keys")
            key_set = KeySet.import_key_set(keys.decode(dict[str, Any]))  # type: ignore[arg-type]
            # One algorithm, named by us: a token must not choose how it is checked.
            return jwt.decode(id_token, key_set, algorithms=["RS256"]).claims
        return {}


def unverified_claims(token: str) -> Mapping[str, Any]:
    """The claims of a JWT that came straight from the token server; {} for an opaque token."""
    with suppress(ValueError, msgspec.DecodeError):
        payload = token.split(".")[1] if token.count(".") == 2 else ""
        decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(decoded, type=dict[str, Any])
    return {}


def classify_token_answer(answer: Answer) -> Failure | None:
    """The failure in a token server's answer.

    https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    """
    # A wrong secret comes as 400 or 401; both have their reason in the body.
    if answer.status not in (400, 401, 403):
        return None
    return failure_of(*_error_in(answer))


def failure_of(error: str, description: str = "") -> Failure:
    """The failure for an OAuth error code, whether it came in a body or in a redirect."""
    said = f" ({description})" if description else ""
    if error == "invalid_grant":
        return NeedsReconnect(
            f"The consent is no longer valid{said}. Reconnect.", code="token_revoked"
        )
    if error == "invalid_client":
        return BadSettings(
            f"The client id or the client secret is wrong{said}. Copy both again from the "
            "app's page.",
            which="client_secret",
        )
    if error in ("unauthorized_client", "invalid_scope"):
        return BadSettings(
            f"The app may not ask for these permissions{said}. Apps made since March 2026 have "
            "granular scopes only; check the scopes and the client id of the app.",
            which="scopes",
        )
    if error == "access_denied":
        return BadSettings("The consent was declined. Nothing was connected.", which="consent")
    sentence = f"The sign-in server refused: {error or 'no reason given'}{said}."
    return Rejected([Problem(code="oauth_refused", message=sentence)])


def _error_in(answer: Answer) -> tuple[str, str]:
    with suppress(msgspec.DecodeError):
        told = msgspec.json.decode(answer.body, type=_ErrorAnswer)
        return told.error, told.error_description
    return "", ""


def _claim(claims: Mapping[str, Any], name: str) -> str:
    return str(claims.get(name, "")) if name else ""
