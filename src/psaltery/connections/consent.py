"""The OAuth consent of a person: begun here, given at the vendor, completed here. Once."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.db import transaction

from psaltery.adapters.errors import BadSettings, Failure
from psaltery.adapters.oauth import Tokens, authorise_address, failure_of, new_secret
from psaltery.audit import service as audit
from psaltery.connections import vault
from psaltery.connections.models import Connection, ConsentRequest
from psaltery.connections.opening import connection_source, oauth_app, token_server
from psaltery.connections.organisations import refresh_organisations, wake
from psaltery.connections.tokens import token_set_for
from psaltery.kit.clock import now
from psaltery.kit.hashing import secret_hash

LIFETIME = timedelta(minutes=15)  # for the person; the vendor's code itself lives five
BEGIN_AGAIN = "Start the consent again from the connection's page."


def callback_address() -> str:
    """The redirect URI of this installation, to be registered with the vendor's app."""
    return f"{settings.PUBLIC_URL}/connections/callback"


def begin_consent(
    connection: Connection,
    *,
    redirect_uri: str,
    session: str = "",
    read_only: bool | None = None,
) -> str:
    """The address at the vendor where a person consents.

    `redirect_uri` must be registered with the app, byte for byte. `session` binds the consent to
    the browser that began it; "" on the command line. `read_only` asks for the permissions of the
    other kind; the connection changes when they were granted. Raises BadSettings for unusable
    fields.
    """
    # The read-only wish lives in the request until the vendor has granted it: a person who turns
    # back at the consent page must find the connection as it was.
    app = oauth_app(connection, read_only=read_only)
    state, verifier = new_secret(), new_secret()
    # Kept beyond their lifetime, so that a late answer gets the true reason and not "unknown".
    ConsentRequest.objects.filter(created_at__lt=now() - timedelta(days=1)).delete()
    ConsentRequest.objects.create(
        connection=connection,
        state_hash=secret_hash(state),
        verifier=vault.seal_verifier(secret_hash(state), verifier),
        redirect_uri=redirect_uri,
        session_hash=secret_hash(session) if session else "",
        read_only=read_only,
    )
    return authorise_address(app, state=state, verifier=verifier, redirect_uri=redirect_uri)


def complete_consent(
    redirected_to: str, *, session: str = "", connection: Connection | None = None
) -> Connection:
    """Finish a consent with the address that the vendor sent the browser to.

    Tokens are stored and the organisations found; nothing is chosen yet. Raises BadSettings (state,
    session, redirect_uri, consent, code, client_secret, scopes) with what to do, and TryLater.
    """
    answer = dict(parse_qsl(urlsplit(redirected_to).query, keep_blank_values=True))
    request = _request_of(answer.get("state", ""), session, connection)
    # Only after the state was checked: anybody can send a browser here with an error of theirs.
    if answer.get("error"):
        raise failure_of(answer["error"], answer.get("error_description", ""))
    _check_redirect(redirected_to, request.redirect_uri)
    if not answer.get("code"):
        raise BadSettings(f"The address holds no code. {BEGIN_AGAIN}", which="code")
    told = _exchange(request, answer["code"])
    _change_kind(request)
    return connect(request.connection, told)


def _change_kind(request: ConsentRequest) -> None:
    """From reading to writing, or back, as this consent was begun for."""
    connection, wanted = request.connection, request.read_only
    # Saved by `connect` together with the tokens that carry the new scopes.
    if wanted is not None and connection.read_only != wanted:
        connection.read_only = wanted
        word = "reads only" if wanted else "may write"
        audit.record_change(f"{connection.name} now {word}.", source=connection_source(connection))


def begun_for(redirected_to: str) -> Connection | None:
    """The connection whose consent the vendor's answer belongs to, whatever became of it."""
    state = dict(parse_qsl(urlsplit(redirected_to).query)).get("state", "")
    begun = ConsentRequest.objects.select_related("connection").filter(
        state_hash=secret_hash(state)
    )
    return request.connection if (request := begun.first()) else None


def connect_app(connection: Connection) -> Connection:
    """Connect with the app's own credentials, where no person consents (client credentials).

    Raises BadSettings for a wrong client id or secret.
    """
    app = oauth_app(connection)
    return connect(connection, token_server(connection, app).client_credentials())


_CONSENTED = (
    *("token_set", "state", "reason", "reason_code", "read_only"),
    *("scopes", "authorised_by", "authorised_at"),
)


def connect(connection: Connection, told: Tokens) -> Connection:
    """Store the tokens of a consent and find the organisations they reach."""
    app = oauth_app(connection)
    connection.token_set = token_set_for(connection.kind, app, told)
    connection.state = Connection.State.CONNECTED
    connection.reason = connection.reason_code = ""
    connection.scopes = told.scopes or " ".join(app.scopes)
    connection.authorised_by = told.email or told.user
    connection.authorised_at = now()
    # A vendor may let a person untick permissions, and tells so only in the granted scopes.
    _note_missing_scopes(connection, app.scopes)
    # By name: the exchange was a call, and the connection may have been renamed meanwhile.
    connection.save(update_fields=_CONSENTED)
    audit.record_change(
        f"{connection.name} was connected ({connection.kind}).",
        source=connection_source(connection),
    )
    try:
        refresh_organisations(connection)
    except Failure as failure:
        # The consent itself is good; the list can be fetched again from the page.
        connection.reason = f"The list of organisations could not be read: {failure}"
        connection.save(update_fields=["reason"])
    wake(connection)
    return connection


def _note_missing_scopes(connection: Connection, wanted: tuple[str, ...]) -> None:
    # `offline_access` shows in the refresh token itself; a server need not repeat it.
    missing = sorted(set(wanted) - set(connection.scopes.split()) - {"offline_access"})
    if missing:
        connection.state = Connection.State.NEEDS_RECONNECT
        connection.reason_code = "scope_missing"
        connection.reason = (
            f"These permissions were not granted: {', '.join(missing)}. Reconnect and allow them."
        )


def _exchange(request: ConsentRequest, code: str) -> Tokens:
    connection = request.connection
    server = token_server(connection, oauth_app(connection))
    verifier = vault.open_verifier(request)
    return server.exchange(code, redirect_uri=request.redirect_uri, verifier=verifier)


def _request_of(state: str, session: str, connection: Connection | None) -> ConsentRequest:
    """The consent that was begun with this state, now used up."""
    with transaction.atomic():
        request = (
            # The lock makes a state good for one answer even when a browser sends it twice.
            ConsentRequest.objects.select_for_update(of=("self",))
            .select_related("connection")
            .filter(state_hash=secret_hash(state))
            .first()
        )
        complaint = _complaint(request, session, connection)
        if request is not None and not complaint:
            request.used_at = now()
            request.save(update_fields=["used_at"])
    if request is None or complaint:
        raise BadSettings(f"{complaint} {BEGIN_AGAIN}", which="state")
    return request


def _complaint(request: ConsentRequest | None, session: str, connection: Connection | None) -> str:
    if request is None:
        return "This address does not belong to a consent that was begun here."
    if request.used_at is not None:
        return "This consent was completed already."
    if request.created_at + LIFETIME < now():
        return "This consent was begun too long ago."
    # Otherwise a stranger could have a signed-in person finish a consent to the stranger's books.
    if request.session_hash and request.session_hash != secret_hash(session):
        return "This consent was begun in another browser or session."
    if connection is not None and connection.pk != request.connection_id:
        return f"This consent was begun for {request.connection.name}."
    return ""


def _check_redirect(redirected_to: str, redirect_uri: str) -> None:
    arrived = redirected_to.partition("?")[0].partition("#")[0]
    # Xero compares byte for byte, and would answer the exchange with an error that helps nobody.
    if arrived != redirect_uri:
        raise BadSettings(
            f"The browser came back to {arrived}, but {redirect_uri} is set up here. Both must be "
            f"the same to the last character in the app's settings. {BEGIN_AGAIN}",
            which="redirect_uri",
        )
