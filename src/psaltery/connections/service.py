"""Connections as people work with them: add, test, reconnect, disconnect; and what failures do."""

import re
from collections.abc import Mapping

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters import registry
from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Manifest, Role
from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, TryLater
from psaltery.adapters.http import clock_skew
from psaltery.audit import service as audit
from psaltery.connections import opening, tokens, vault
from psaltery.connections.consent import begin_consent, complete_consent, connect_app
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import open_books, open_psa, writes_blocked
from psaltery.connections.organisations import (
    choose,
    mark_removed,
    pause,
    pin,
    refresh_organisations,
    site_of,
    wake,
)
from psaltery.kit.clock import now
from psaltery.kit.text import single_line

__all__ = [
    "add",
    "begin_consent",
    "breaks_connection",
    "choose",
    "complete_consent",
    "connect_app",
    "connect_with_keys",
    "disconnect",
    "disconnect_effects",
    "examine",
    "keep_alive",
    "note_failure",
    "note_success",
    "open_books",
    "open_psa",
    "pause",
    "pin",
    "problems",
    "reconnect_with",
    "refresh_organisations",
    "rename",
    "set_read_only",
    "writes_blocked",
]

_NAME_LENGTH = 100
# Saved by name: between reading a row and saving it lie calls to the vendor, in which somebody may
# rename the connection or have it read only.
_STANDING = ("state", "reason", "reason_code")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a connection test."""

    name: str
    ok: bool
    detail: str = ""
    organisation: str = ""


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What a disconnect does, in numbers, for the button that does it."""

    organisations: int
    feeds: int
    shares_consent_with: tuple[str, ...]


def _tell(connection: Connection, sentence: str) -> None:
    audit.record_change(sentence, source=opening.connection_source(connection))


def problems(kind: str, name: str, values: Mapping[str, str], *, own: int = 0) -> dict[str, str]:
    """What is wrong with the entered name and fields, by field; empty when all is well.

    `own` is the id of the connection that is edited, whose name and secrets may stay.
    """
    manifest = registry.manifest(kind)
    found: dict[str, str] = {}
    # Secrets never go back to the browser, so that an empty one means "as before".
    stored = vault.open_secrets(Connection.objects.get(pk=own)) if own else {}
    if not single_line(name):
        found["name"] = "Give the connection a name."
    elif len(single_line(name)) > _NAME_LENGTH:
        found["name"] = f"At most {_NAME_LENGTH} characters."
    elif Connection.objects.filter(name=single_line(name)).exclude(pk=own).exists():
        found["name"] = "Another connection has this name."
    for field in manifest.fields:
        value = values.get(field.name, "").strip()
        if not value and field.required and field.name not in stored:
            found[field.name] = f"{field.label} is needed."
        elif value and field.pattern and not re.fullmatch(field.pattern, value):
            example = f" Example: {field.placeholder}" if field.placeholder else ""
            found[field.name] = f"This does not look like a {field.label.lower()}.{example}"
        elif value and field.choices and value not in dict(field.choices):
            found[field.name] = "Choose one of the list."
    return found


def add(kind: str, name: str, values: Mapping[str, str], *, read_only: bool = False) -> Connection:
    """Store a new connection; nothing is asked of the vendor yet.

    Raises BadSettings for the first wrong field; `problems` lists all of them.
    """
    for which, sentence in problems(kind, name, values).items():
        raise BadSettings(sentence, which=which)
    manifest = registry.manifest(kind)
    with transaction.atomic():
        # Made first: secrets are sealed for the id of their row.
        connection = Connection.objects.create(
            kind=kind, name=single_line(name), read_only=read_only
        )
        _keep_fields(connection, manifest, values)
    _tell(connection, f"Connection {connection.name} ({manifest.label}) was added.")
    return connection


def _keep_fields(connection: Connection, manifest: Manifest, values: Mapping[str, str]) -> None:
    """Store entered fields; an empty secret keeps the one that is stored."""
    given = {field.name: values.get(field.name, "").strip() for field in manifest.fields}
    secret = {field.name for field in manifest.fields if field.secret}
    connection.fields = {
        name: value for name, value in given.items() if name not in secret and value
    }
    kept = vault.open_secrets(connection) if connection.secrets else {}
    kept.update({name: given[name] for name in secret if given[name]})
    connection.secrets = vault.seal_secrets(connection.pk, kept)
    connection.save(update_fields=["fields", "secrets"])


def rename(connection: Connection, name: str) -> None:
    """Give a connection another name. Raises BadSettings when it is taken or empty."""
    wrong = problems(connection.kind, name, {}, own=connection.pk).get("name")
    if wrong:
        raise BadSettings(wrong, which="name")
    connection.name = single_line(name)
    connection.save(update_fields=["name"])


def set_read_only(connection: Connection, read_only: bool) -> None:
    """Whether a connection may only read. The next consent asks for the scopes of the answer."""
    if connection.read_only != read_only:
        connection.read_only = read_only
        connection.save(update_fields=["read_only"])
        word = "reads only" if read_only else "may write"
        _tell(connection, f"{connection.name} now {word}.")


def connect_with_keys(connection: Connection) -> list[Check]:
    """Try the keys of a connection that needs no consent, and connect when they work.

    Raises BadSettings, NeedsReconnect (wrong keys) or TryLater; the connection then stays as it is.
    """
    # Asked before anything is stored: wrong keys must not mark the connection as connected.
    organisation = site_of(connection)
    checks = _psa_checks(organisation)
    connection.state = Connection.State.CONNECTED
    connection.reason = connection.reason_code = ""
    connection.authorised_at = connection.checked_at = now()
    connection.save(update_fields=[*_STANDING, "authorised_at", "checked_at"])
    wake(connection)
    _tell(connection, f"{connection.name} was connected ({connection.kind}).")
    return checks


def reconnect_with(connection: Connection, values: Mapping[str, str]) -> None:
    """Replace fields of a connection before it is connected again; empty secrets stay.

    Organisations, feeds, checkpoints, links and records are kept. Raises BadSettings.
    """
    for which, sentence in problems(
        connection.kind, connection.name, values, own=connection.pk
    ).items():
        raise BadSettings(sentence, which=which)
    _keep_fields(connection, registry.manifest(connection.kind), values)
    _tell(connection, f"The fields of {connection.name} were replaced.")


def examine(connection: Connection) -> list[Check]:
    """Ask the vendor whether everything that Psaltery needs works; one line for each thing.

    What is found is also stored: a connection that works again is connected, one that doesn't says
    why. Never raises one of the four failures.
    """
    connection.refresh_from_db()
    manifest = registry.manifest(connection.kind)
    try:
        checks = (
            _books_checks(connection) if manifest.role == Role.BOOKS else _site_checks(connection)
        )
    except Failure as failure:
        _mark(connection, failure)
        checks = [Check(name="Sign-in", ok=False, detail=str(failure))]
    connection.checked_at = now()
    connection.save(update_fields=["checked_at"])
    return [*checks, *_clock_check(connection)]


def _clock_check(connection: Connection) -> list[Check]:
    try:
        # Known from the answers to the checks before: no call of its own is made.
        minutes = round(clock_skew(opening.base_url(connection)).total_seconds() / 60)
    except BadSettings:
        return []  # said by the other checks
    if not minutes:
        return []
    word = "ahead of" if minutes > 0 else "behind"
    sentence = (
        f"This machine's clock is {abs(minutes)} minutes {word} the vendor's. Set it by NTP: "
        "changes may be missed and consents fail."
    )
    return [Check(name="Clock", ok=False, detail=sentence)]


def _site_checks(connection: Connection) -> list[Check]:
    checks = _psa_checks(site_of(connection))
    _works_again(connection)
    return checks


def _psa_checks(organisation: Organisation) -> list[Check]:
    psa = opening.unchecked_adapter(organisation, Priority.INTERACTIVE)
    return [
        Check(
            name=permission.name,
            ok=permission.granted,
            detail=permission.detail or f"Needed for {permission.needed_for}.",
            organisation=organisation.name,
        )
        for permission in psa.probe()
    ]


def _books_checks(connection: Connection) -> list[Check]:
    organisations = refresh_organisations(connection)
    _works_again(connection)
    checks = [Check(name="Sign-in", ok=True, detail=f"{len(organisations)} organisations reached.")]
    return checks + [_organisation_check(one) for one in organisations if one.chosen]


def _organisation_check(organisation: Organisation) -> Check:
    try:
        if organisation.state == Organisation.State.REMOVED:
            raise NeedsReconnect(organisation.reason, code="tenant_removed")
        books = opening.unchecked_adapter(organisation, Priority.INTERACTIVE)
        agrees = pin(organisation, books.organisation())
    except Failure as failure:
        note_failure(organisation, failure)
        return Check(
            name="Organisation", ok=False, detail=str(failure), organisation=organisation.name
        )
    facts = [organisation.country, organisation.base_currency, organisation.plan]
    detail = ", ".join(filter(None, facts)) if agrees else organisation.reason
    return Check(name="Organisation", ok=agrees, detail=detail, organisation=organisation.name)


def _works_again(connection: Connection) -> None:
    if connection.state == Connection.State.NEEDS_RECONNECT:
        if connection.reason_code == "scope_missing":
            return  # only another consent adds a scope
        connection.state, connection.reason, connection.reason_code = "connected", "", ""
        connection.save(update_fields=["state", "reason", "reason_code"])
        wake(connection)


def note_failure(organisation: Organisation, failure: Failure) -> None:
    """Keep what a failure says about the connection or the organisation; others are left alone.

    A tenant that is gone marks that organisation only; a credential that is refused marks its
    connection, whose feeds wait. TryLater and Rejected mark nothing.
    """
    if isinstance(failure, NeedsReconnect) and failure.code == "tenant_removed":
        # Marked once, so that every further refusal does not add another entry to the audit log.
        if organisation.state != Organisation.State.REMOVED:
            mark_removed(organisation)
    elif isinstance(failure, TryLater) and failure.limit == "offline":
        # Only an active one: being offline must not hide a mismatch, which blocks writing.
        Organisation.objects.filter(pk=organisation.pk, state=Organisation.State.ACTIVE).update(
            state=Organisation.State.OFFLINE, reason=str(failure)
        )
    else:
        _mark(organisation.connection, failure)


def note_success(organisation: Organisation) -> None:
    """A call worked: an organisation that was offline or removed is there again. One UPDATE."""
    gone = (Organisation.State.OFFLINE, Organisation.State.REMOVED)
    # Looked at in memory first, as this runs after every good call.
    if organisation.state in gone:
        Organisation.objects.filter(pk=organisation.pk, state__in=gone).update(
            state=Organisation.State.ACTIVE, reason=""
        )
        organisation.state, organisation.reason = Organisation.State.ACTIVE, ""


def _mark(connection: Connection, failure: Failure) -> None:
    if isinstance(failure, NeedsReconnect):
        code = failure.code
    elif isinstance(failure, BadSettings) and failure.which in _credential_words(connection):
        code = f"bad_{failure.which}"
    else:
        return
    # The filter decides who was first: many jobs fail together, and one tells of it.
    connected = Connection.objects.filter(pk=connection.pk, state=Connection.State.CONNECTED)
    state = Connection.State.NEEDS_RECONNECT
    if connected.update(state=state, reason=str(failure), reason_code=code):
        _tell(connection, f"{connection.name} needs reconnecting: {failure}")
    connection.refresh_from_db()


def breaks_connection(connection: Connection, failure: Failure) -> bool:
    """Whether a failure stops everything behind a connection until a person mends it."""
    if isinstance(failure, BadSettings):
        return failure.which in _credential_words(connection)
    return isinstance(failure, NeedsReconnect)


def _credential_words(connection: Connection) -> set[str]:
    """Settings whose fault stops the whole connection; a missing permission stops one feed."""
    manifest = registry.manifest(connection.kind)
    return {"scopes", "address", "certificate", *(field.name for field in manifest.fields)}


def keep_alive() -> tokens.Renewals:
    """Renew consents that nobody used for days, so that none ages out. For the scheduler, daily."""
    return tokens.refresh_idle(opening.app_of)


def disconnect_effects(connection: Connection) -> Effects:
    """What `disconnect` would stop."""
    chosen = connection.organisations.filter(chosen=True)
    return Effects(
        organisations=chosen.count(),
        feeds=Feed.objects.filter(organisation__in=chosen).count(),
        shares_consent_with=tuple(_sharing(connection).values_list("name", flat=True)),
    )


def disconnect(connection: Connection) -> None:
    """End a connection: the consent is given back, feeds stop, secrets are forgotten, records stay.

    A vendor that can't be reached does not stop it; the audit log then holds the failure. When
    another connection shares the consent, only this one's organisations are removed from it.
    """
    try:
        # Before the tokens are forgotten, for they are what it takes; and outside the transaction,
        # as it calls the vendor.
        _give_back(connection)
    except Failure as failure:
        _tell(connection, f"The consent of {connection.name} could not be given back: {failure}")
    # Asked again here: another connection may have joined the consent during the call.
    if connection.token_set is not None and not _sharing(connection).exists():
        tokens.forget(connection.token_set)
    with transaction.atomic():
        connection.token_set = None
        connection.secrets = ""
        connection.state = Connection.State.DISCONNECTED
        connection.reason, connection.reason_code = "Disconnected by a person.", "disconnected"
        connection.save(update_fields=["token_set", "secrets", *_STANDING])
        feeds = Feed.objects.filter(organisation__connection=connection)
        feeds.update(due_at=None, state=Feed.State.IDLE)
    _tell(connection, f"{connection.name} was disconnected.")


def _give_back(connection: Connection) -> None:
    if connection.token_set is None:
        return
    app = opening.oauth_app(connection)
    # Xero's revocation ends every tenant of the user at once, so that it is only for the last
    # connection; a shared consent loses single tenants instead.
    if not _sharing(connection).exists() and not app.client_credentials:
        refresh_token = vault.open_token(connection.token_set, "refresh")
        opening.token_server(connection, app).revoke(refresh_token)
        return
    consent = opening.open_consent(connection)
    ours = set(connection.organisations.filter(chosen=True).values_list("external_id", flat=True))
    for tenant in consent.tenants():
        if tenant.external_id in ours:
            consent.remove_tenant(tenant)


def _sharing(connection: Connection) -> QuerySet[Connection]:
    """Other connections on the same consent."""
    if connection.token_set_id is None:
        return Connection.objects.none()
    return Connection.objects.filter(token_set=connection.token_set_id).exclude(pk=connection.pk)
