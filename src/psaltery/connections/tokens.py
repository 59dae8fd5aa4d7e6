"""Access tokens that are always good: renewed once for all processes, old ones kept until safe."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta

import msgspec

from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, TryLater
from psaltery.adapters.oauth import OAuthApp, Tokens, TokenServer
from psaltery.connections import locks, vault
from psaltery.connections.models import Connection, TokenSet
from psaltery.kit.clock import now

# Xero honours the replaced refresh token for 30 minutes, in case its answer was lost.
GRACE = timedelta(minutes=30)
# Renew a little early, so that a request that is long under way does not arrive with an aged token.
EARLY = timedelta(seconds=90)
# A week between renewals leaves many tries before Xero's 60 days are over: each restarts them.
IDLE = timedelta(days=7)
_LOCK_PATIENCE_SECONDS = 60.0

AppOf = Callable[[], tuple[OAuthApp, TokenServer]]


class Renewals(msgspec.Struct, frozen=True):
    """What a keep-alive did."""

    renewed: int = 0
    refused: int = 0
    postponed: int = 0


class StoredCredential:
    """The bearer token of a token set (port Credential), for one caller."""

    def __init__(self, token_set_id: int, app_of: AppOf) -> None:
        self._id = token_set_id
        self._app_of = app_of
        self._kept: TokenSet | None = None

    def headers(self) -> Mapping[str, str]:
        """The Authorization header; renews a token that is about to age out."""
        if self._kept is None or _ages_soon(self._kept):
            self._kept = TokenSet.objects.get(pk=self._id)
        if _ages_soon(self._kept):
            self._kept = renew(self._id, self._app_of, unless_newer_than=self._bearer())
        return {"Authorization": self._bearer()}

    def refresh(self, refused: Mapping[str, str]) -> bool:
        """After a 401: the token of another process if it has a newer one, else a new one."""
        self._kept = renew(
            self._id, self._app_of, unless_newer_than=refused.get("Authorization", "")
        )
        return True

    def _bearer(self) -> str:
        token = vault.open_token(self._kept, "access") if self._kept else ""
        return f"Bearer {token}"


def renew(token_set_id: int, app_of: AppOf, *, unless_newer_than: str = "") -> TokenSet:
    """Renew a token set, once however many ask at the same time, and return it.

    `unless_newer_than` is the Authorization header that no longer does; when another process has
    replaced it meanwhile, nothing is asked of the vendor. Raises the four failures; after
    NeedsReconnect the connections of the set are marked.
    """
    # Two renewals at once would each rotate the refresh token, and the later one to be stored could
    # be the dead one.
    with alone(token_set_id):
        # Read under the lock: another process may have renewed while this one waited.
        tokens = TokenSet.objects.get(pk=token_set_id)
        if tokens.revoked_at is not None:
            raise NeedsReconnect(_reason(tokens), code="token_revoked")
        bearer = f"Bearer {vault.open_token(tokens, 'access')}"
        if unless_newer_than and bearer != unless_newer_than and not _ages_soon(tokens):
            return tokens
        app, server = app_of()
        return _renewed(tokens, app, server)


def _renewed(tokens: TokenSet, app: OAuthApp, server: TokenServer) -> TokenSet:
    try:
        # Xero's custom connections get no refresh token; the app asks anew with its own secret.
        if app.client_credentials:
            return store(tokens, server.client_credentials(), replaced="")
        token, answer = _ask(tokens, server)
        return store(tokens, answer, replaced=token)
    except NeedsReconnect as wrong:
        # Xero answers `invalid_grant` alike for a consent taken away and one that ran out.
        failure = _aged_out(tokens) or wrong
        mark_revoked(tokens, str(failure), failure.code)
        raise failure from wrong
    # A wrong secret says nothing of the consent: the tokens stay, for when the secret is right.
    except BadSettings as wrong:
        mark_connections(tokens, str(wrong), f"bad_{wrong.which}")
        raise


def _aged_out(tokens: TokenSet) -> NeedsReconnect | None:
    """The failure of a consent that nobody renewed in time: it was not taken away, it ran out."""
    ended = tokens.refresh_expires_at
    if ended is None or ended > now():
        return None
    last = f" It was last renewed on {tokens.refreshed_at:%d %b %Y}." if tokens.refreshed_at else ""
    return NeedsReconnect(
        f"The consent was not used for too long and ended on {ended:%d %b %Y}.{last} Reconnect; "
        "everything is kept.",
        code="consent_expired",
    )


def _ask(tokens: TokenSet, server: TokenServer) -> tuple[str, Tokens]:
    """New tokens for the refresh token we hold, or for the one before it while that is honoured:
    the vendor's answer to the last renewal may have been lost on its way to our disk."""
    current = vault.open_token(tokens, "refresh")
    if not current:
        raise NeedsReconnect("There is no consent to renew. Reconnect.", code="token_revoked")
    try:
        return current, server.refresh(current)
    except NeedsReconnect:
        previous = vault.open_token(tokens, "previous_refresh")
        if not previous or (tokens.previous_until or now()) <= now():
            raise
        return previous, server.refresh(previous)


def store(tokens: TokenSet, told: Tokens, *, replaced: str) -> TokenSet:
    """Keep new tokens; the refresh token they replace stays usable while the vendor honours it."""
    at = now()
    tokens.access = vault.seal_token(tokens.pk, "access", told.access)
    tokens.access_expires_at = told.access_expires_at
    # A server that does not rotate sends no new refresh token: the old one goes on.
    if told.refresh:
        tokens.refresh = vault.seal_token(tokens.pk, "refresh", told.refresh)
    # Without a new end the known one stays: a consent must not lose its warning.
    tokens.refresh_expires_at = told.refresh_expires_at or tokens.refresh_expires_at
    tokens.previous_refresh = vault.seal_token(tokens.pk, "previous_refresh", replaced)
    tokens.previous_until = at + GRACE if replaced else None
    tokens.refreshed_at = at
    tokens.revoked_at = None
    # One UPDATE: new access token, new refresh token and the replaced one are kept together.
    tokens.save()
    return tokens


def token_set_for(kind: str, app: OAuthApp, told: Tokens) -> TokenSet:
    """The row for the tokens of a consent: one a (app, user of the vendor), with them stored.

    Raises TryLater where a renewal of the old ones takes too long.
    """
    # Tokens belong to app and user, never to a tenant: of one copy for each tenant, all but the
    # refreshed one would be dead.
    tokens, _ = TokenSet.objects.get_or_create(
        kind=kind, client_id=app.client_id, external_user=told.user or "app"
    )
    with alone(tokens.pk):
        tokens.refresh_from_db()
        return store(tokens, told, replaced="")


def alone(token_set_id: int) -> AbstractContextManager[None]:
    """Within, nobody else changes a token set. No transaction: it may be held over a call.

    A renewal that is on its way would else overwrite the tokens of a new consent with those of the
    old one, or mark them as revoked because the old ones are.
    """
    return locks.only_one(locks.TOKENS, token_set_id, patience_seconds=_LOCK_PATIENCE_SECONDS)


def forget(tokens: TokenSet) -> None:
    """Give a token set up for good; a renewal that is on its way ends first."""
    with alone(tokens.pk):
        TokenSet.objects.filter(pk=tokens.pk).update(
            access="",
            refresh="",
            previous_refresh="",
            # A worker that still holds the row must not renew what was given back.
            revoked_at=now(),
        )


def mark_revoked(tokens: TokenSet, why: str, code: str) -> None:
    """Remember that the vendor no longer honours a token set; its connections ask for consent."""
    TokenSet.objects.filter(pk=tokens.pk).update(revoked_at=now())
    mark_connections(tokens, why, code)


def mark_connections(tokens: TokenSet, why: str, code: str) -> None:
    """Every connected connection of a token set needs reconnecting, for this reason."""
    connected = Connection.objects.filter(token_set=tokens, state=Connection.State.CONNECTED)
    # Only connected ones: whoever disconnected on purpose is not asked to reconnect.
    connected.update(state=Connection.State.NEEDS_RECONNECT, reason=why, reason_code=code)


def refresh_idle(
    app_of: Callable[[Connection], AppOf], *, older_than: timedelta = IDLE
) -> Renewals:
    """Renew every token set that nobody used for a while, so that no consent ages out (60 days).

    For the scheduler, daily. One that fails does not stop the others.
    """
    renewed = refused = postponed = 0
    for connection in _idle(older_than):
        try:
            renew(connection.token_set_id or 0, app_of(connection))
            renewed += 1
        except TryLater:
            postponed += 1
        except Failure:
            refused += 1
    return Renewals(renewed, refused, postponed)


def _idle(older_than: timedelta) -> list[Connection]:
    """One connection for each token set that is due."""
    due = Connection.objects.filter(
        state=Connection.State.CONNECTED,
        token_set__revoked_at__isnull=True,
        token_set__refreshed_at__lt=now() - older_than,
    ).exclude(token_set__refresh="")
    # Connections may share a token set, and renewing it once is enough.
    return list(due.order_by("token_set", "pk").distinct("token_set"))


def _ages_soon(tokens: TokenSet) -> bool:
    return tokens.access_expires_at is None or tokens.access_expires_at - EARLY <= now()


def _reason(tokens: TokenSet) -> str:
    marked = Connection.objects.filter(token_set=tokens).exclude(reason="").first()
    return marked.reason if marked else "The consent has ended. Reconnect."
