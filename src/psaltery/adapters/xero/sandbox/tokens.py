"""Consents, tokens and connections: what Xero's identity service remembers.

https://developer.xero.com/documentation/guides/oauth2/auth-flow
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import dates
from psaltery.adapters.xero.sandbox.state import Client, World, new_id

CONNECTION_TEXT = ("id", "authEventId", "tenantId", "tenantType", "tenantName")
# Lifetimes: https://developer.xero.com/documentation/guides/oauth2/auth-flow
ACCESS_SECONDS = 1800
CODE_SECONDS = 300
GRACE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=60)


class InvalidGrant(Exception):
    """The code or refresh token is unknown, used, revoked or too old."""


@dataclass(frozen=True)
class Access:
    """What a valid access token says."""

    client_id: str
    user_id: str | None
    scopes: frozenset[str]
    tenant_id: str | None
    """Set for custom connections, which need no tenant header."""


@cache
def _new_key() -> RSAKey:
    # One a process: making it takes longer than most of what is tried with it.
    return RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(8), "use": "sig"})


class Tokens:
    """Issues, rotates and revokes; everything survives a restart with the state file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.key = self._key()

    def _key(self) -> RSAKey:
        known = self.store.get("oauth/keys", "signing")
        if known is None:
            key = _new_key()
            self.store.put("oauth/keys", "signing", dict(key.as_dict(private=True)))
            return key
        return RSAKey.import_key(known)

    def now(self) -> datetime:
        """The sandbox's time."""
        return self.world.clock.now()

    def users(self) -> list[Document]:
        """The people who can sign in."""
        return self.store.all("oauth/users")

    def user(self, user_id: str) -> Document:
        """The person. Raises `KeyError` for an unknown id."""
        known = self.store.get("oauth/users", user_id)
        if known is None:
            raise KeyError(user_id)
        return known

    def consent(
        self, client: Client, user_id: str, scopes: list[str], tenants: list[str]
    ) -> Document:
        """Records a person's consent; connects the tenants; scopes add to earlier ones."""
        event = new_id()
        # A token set belongs to app and person, not to an organisation.
        key = f"{client.id} {user_id}"
        earlier = self.store.get("oauth/grants", key) or {"scopes": []}
        union = list(dict.fromkeys([*earlier["scopes"], *scopes]))
        grant = {"id": key, "client": client.id, "user": user_id, "scopes": union}
        with self.store.transaction():
            self.store.put("oauth/grants", key, grant)
            for tenant_id in tenants:
                self._connect(client, user_id, tenant_id, event)
        return {"client": client.id, "user": user_id, "scopes": union, "event": event}

    def _connect(self, client: Client, user_id: str, tenant_id: str, event: str) -> None:
        tenant = self.world.tenant(tenant_id)
        if tenant is None:
            raise KeyError(tenant_id)
        # Connecting again keeps the connection's id and creation date.
        key = f"{client.id} {user_id} {tenant['tenantId']}"
        now = _seven_digits(self.now())
        known = self.store.get("oauth/connections", key) or {
            "id": new_id(),
            "createdDateUtc": now,
            "client": client.id,
            "user": user_id,
        }
        changed = {**known, **tenant, "authEventId": event, "updatedDateUtc": now}
        self.store.put("oauth/connections", key, changed)

    def connections(self, access: Access, event: str | None = None) -> list[Document]:
        """The tenants that the token reaches, as `/connections` lists them."""
        members = [*CONNECTION_TEXT, "createdDateUtc", "updatedDateUtc"]
        return [
            {name: connection[name] for name in members}
            for connection in self._of(access)
            if event is None or connection["authEventId"] == event
        ]

    def _of(self, access: Access) -> Iterable[Document]:
        for connection in self.store.all("oauth/connections"):
            mine = connection["client"] == access.client_id
            if mine and access.user_id in (None, connection["user"]):
                yield connection

    def reaches(self, access: Access, tenant_id: str) -> bool:
        """Whether the token may be used for the tenant."""
        if access.tenant_id:
            return access.tenant_id == tenant_id
        if access.user_id is None:
            return False
        key = f"{access.client_id} {access.user_id} {tenant_id}"
        return self.store.get("oauth/connections", key) is not None

    def disconnect(self, access: Access, connection_id: str) -> bool:
        """Whether there was such a connection."""
        for connection in self._of(access):
            if connection["id"] == connection_id:
                self._forget(connection)
                return True
        return False

    def _forget(self, connection: Document) -> None:
        key = f"{connection['client']} {connection['user']} {connection['tenantId']}"
        self.store.delete("oauth/connections", key)

    def disconnect_tenant(self, tenant_id: str) -> int:
        """A person removes the app in Xero's pages. The number of connections that ended."""
        found = [c for c in self.store.all("oauth/connections") if c["tenantId"] == tenant_id]
        for connection in found:
            self._forget(connection)
        return len(found)

    def new_code(self, consent: Document, redirect_uri: str, asked: Document) -> str:
        """A code for one use within five minutes."""
        code = secrets.token_urlsafe(32)
        expires = dates.milliseconds(self.now()) + CODE_SECONDS * 1000
        record = {**consent, **asked, "id": code, "redirect_uri": redirect_uri}
        self.store.put("oauth/codes", code, {**record, "expires": expires})
        return code

    def redeem(self, code: str) -> Document:
        """The consent behind a code, once. Raises `InvalidGrant`."""
        with self.store.transaction():
            record = self.store.get("oauth/codes", code)
            # Gone whatever comes next: a code that failed once is spent too.
            self.store.delete("oauth/codes", code)
        if record is None or record["expires"] < dates.milliseconds(self.now()):
            raise InvalidGrant
        return record

    def issue(self, consent: Document, issuer: str) -> Document:
        """A token response for the consent, with what its scopes ask for."""
        scopes = consent["scopes"]
        result: Document = {
            "access_token": self._access(consent, issuer),
            "expires_in": ACCESS_SECONDS,
            "token_type": "Bearer",
            "scope": " ".join(scopes),
        }
        # Each part only for those who asked for it.
        if "openid" in scopes:
            result["id_token"] = self._identity(consent, issuer)
        if "offline_access" in scopes:
            result["refresh_token"] = self._refresh_token(consent)
        return result

    def _refresh_token(self, consent: Document) -> str:
        token = secrets.token_urlsafe(32)
        members = {name: consent.get(name) for name in ("client", "user", "scopes", "event")}
        record = {"id": token, **members, "issued": dates.milliseconds(self.now())}
        self.store.put("oauth/refresh", token, {**record, "used": None, "successors": []})
        return token

    def refresh(self, client: Client, token: str, issuer: str) -> Document:
        """A new pair. The previous token still works for 30 minutes, unless its heir was used."""
        with self.store.transaction():
            record = self.store.get("oauth/refresh", token)
            if record is None or record["client"] != client.id or not self._usable(record):
                raise InvalidGrant
            # A later consent widens what older refresh tokens are worth.
            grant = self.store.get("oauth/grants", f"{client.id} {record['user']}")
            scopes = grant["scopes"] if grant else record["scopes"]
            result = self.issue({**record, "scopes": scopes}, issuer)
            used = record["used"] or dates.milliseconds(self.now())
            heirs = [*record["successors"], result.get("refresh_token")]
            self.store.put("oauth/refresh", token, {**record, "used": used, "successors": heirs})
            return result

    def _usable(self, record: Document) -> bool:
        now = dates.milliseconds(self.now())
        # Each refresh starts sixty new days.
        if now - record["issued"] > REFRESH_LIFE // timedelta(milliseconds=1):
            return False
        if record["used"] is None:
            return True
        heirs = [self.store.get("oauth/refresh", heir) for heir in record["successors"] if heir]
        # The grace is for a lost answer; whoever used the new token has it.
        heir_used = any(heir and heir["used"] is not None for heir in heirs)
        return not heir_used and now - record["used"] <= GRACE // timedelta(milliseconds=1)

    def _access(self, consent: Document, issuer: str) -> str:
        now = int(self.now().timestamp())
        claims: dict[str, Any] = {
            "nbf": now,
            "exp": now + ACCESS_SECONDS,
            "iss": issuer,
            "aud": f"{issuer}/resources",
            "client_id": consent["client"],
            "jti": secrets.token_hex(16),
            "scope": consent["scopes"],
        }
        if consent.get("user"):
            user = self.user(consent["user"])
            claims |= {"sub": user["sub"], "auth_time": now, "idp": "local"}
            claims |= {"xero_userid": user["id"], "global_session_id": secrets.token_hex(16)}
            claims["authentication_event_id"] = consent["event"]
        token = jwt.encode({"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}, claims, self.key)
        self._remember(token, consent, claims["exp"])
        return token

    def _remember(self, token: str, consent: Document, expires: int) -> None:
        record = {"id": token, "client": consent["client"], "user": consent.get("user")}
        record |= {"scopes": consent["scopes"], "tenant": consent.get("tenant")}
        self.store.put("oauth/access", token, {**record, "expires": expires})

    def _identity(self, consent: Document, issuer: str) -> str:
        now, user = int(self.now().timestamp()), self.user(consent["user"])
        claims: dict[str, Any] = {
            "nbf": now,
            "exp": now + 300,
            "iss": issuer,
            "aud": consent["client"],
            "iat": now,
            "sub": user["sub"],
            "auth_time": now,
            "xero_userid": user["id"],
        }
        if consent.get("nonce"):
            claims["nonce"] = consent["nonce"]
        if "profile" in consent["scopes"]:
            names = {"given_name": user["first"], "family_name": user["last"]}
            claims |= {"preferred_username": user["email"], **names}
        if "email" in consent["scopes"]:
            claims["email"] = user["email"]
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}, claims, self.key)

    def client_credentials(self, client: Client, scopes: list[str], issuer: str) -> Document:
        """A token without a user: for a custom connection, or for the app's own list."""
        consent = {"client": client.id, "user": None, "scopes": scopes}
        consent["tenant"] = client.custom_connection
        token = self._access(consent, issuer)
        return {
            "access_token": token,
            "expires_in": ACCESS_SECONDS,
            "token_type": "Bearer",
            "scope": " ".join(scopes),
        }

    def revoke(self, client: Client, token: str) -> None:
        """Ends all tokens and connections of the user who gave the refresh token."""
        record = self.store.get("oauth/refresh", token)
        if record and record["client"] == client.id:
            self.revoke_user(client.id, record["user"])

    def revoke_user(self, client_id: str, user_id: str | None) -> None:
        """Ends what this person gave this app."""
        with self.store.transaction():
            for collection in ("oauth/refresh", "oauth/access", "oauth/grants"):
                for record in self.store.all(collection):
                    if record["client"] == client_id and record["user"] == user_id:
                        self.store.delete(collection, record["id"])
            for connection in self.store.all("oauth/connections"):
                if connection["client"] == client_id and connection["user"] == user_id:
                    self._forget(connection)

    def access(self, token: str) -> tuple[Access | None, datetime | None]:
        """What the token says, and when it expired if it has; (None, None) when unknown."""
        # Tokens are looked up, not verified: that also ends those that were revoked.
        record = self.store.get("oauth/access", token)
        if record is None:
            return None, None
        expires = datetime.fromtimestamp(record["expires"], tz=self.now().tzinfo)
        access = Access(
            record["client"], record["user"], frozenset(record["scopes"]), record["tenant"]
        )
        return access, expires if expires <= self.now() else None


def _seven_digits(moment: datetime) -> str:
    """`2026-10-02T03:14:05.1234560`: .NET's ticks, without a zone."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "0"
