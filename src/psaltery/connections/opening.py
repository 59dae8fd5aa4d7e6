"""Makes an adapter ready to call: its caller with credential, budget and audit, then itself."""

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings

from psaltery.adapters import registry
from psaltery.adapters.budget import BudgetPort, NoBudget, Priority
from psaltery.adapters.contract import Books, Consent, Psa, Role
from psaltery.adapters.errors import BadSettings, NeedsReconnect
from psaltery.adapters.http import Caller, Credential
from psaltery.adapters.oauth import OAuthApp, TokenServer
from psaltery.audit.service import AuditRecorder, Source
from psaltery.connections import tokens, vault
from psaltery.connections.budgets import SharedBudget
from psaltery.connections.locks import inside_transaction
from psaltery.connections.models import Connection, Organisation


def open_books(organisation: Organisation, priority: Priority = Priority.SCHEDULE) -> Books:
    """The books of an organisation, ready to call.

    Raises NeedsReconnect or BadSettings when the connection can't be used now. No network call is
    made here. Calls draw on the organisation's shared budget with this priority.
    """
    return cast(Books, open_adapter(organisation, priority, Role.BOOKS))


def open_psa(organisation: Organisation, priority: Priority = Priority.SCHEDULE) -> Psa:
    """The PSA site behind an organisation row, ready to call; see `open_books`."""
    return cast(Psa, open_adapter(organisation, priority, Role.PSA))


def open_adapter(organisation: Organisation, priority: Priority, role: Role) -> Any:
    """The adapter object of an organisation; its connection must be connected."""
    usable(organisation)
    module = registry.module(organisation.connection.kind)
    if module.MANIFEST.role != role:
        raise BadSettings(
            f"{organisation.connection.name} is no {role.value} system.", which="kind"
        )
    return unchecked_adapter(organisation, priority)


def unchecked_adapter(organisation: Organisation, priority: Priority) -> Any:
    """The adapter object whatever state the connection is in: for health checks."""
    connection = organisation.connection
    module = registry.module(connection.kind)
    fields = all_fields(connection)
    budget = SharedBudget(organisation.pk, module.MANIFEST.limits, priority)
    # The budget is the organisation's: the vendor counts calls by tenant, not by app alone.
    caller = make_caller(connection, budget, source_of(organisation))
    return module.open(fields, organisation.external_id, caller, facts_of(organisation))


def open_consent(connection: Connection) -> Consent:
    """What a connection's token reaches: its tenants. Its calls are on no organisation's budget."""
    module = registry.oauth_module(connection.kind)
    # Xero lists tenants without a tenant header, so that there is no organisation to charge.
    return module.consent(make_caller(connection, NoBudget(), connection_source(connection)))


def make_caller(connection: Connection, budget: BudgetPort, source: Source) -> Caller:
    """The way out for a connection."""
    module = registry.module(connection.kind)
    return Caller(
        base_url(connection),
        credential=_credential(connection),
        budget=budget,
        recorder=AuditRecorder(source),
        inside_transaction=inside_transaction,
        classify=module.classify,
    )


def base_url(connection: Connection) -> str:
    """The origin that a connection's calls go to. Raises BadSettings."""
    module = registry.module(connection.kind)
    return module.base_url(all_fields(connection), addresses(connection.kind))


def _credential(connection: Connection) -> Credential:
    module = registry.module(connection.kind)
    if not module.MANIFEST.oauth:
        return module.credential(all_fields(connection))
    if connection.token_set_id is None:
        raise NeedsReconnect(f"{connection.name} has no consent yet.", code="consent_missing")
    return tokens.StoredCredential(connection.token_set_id, app_of(connection))


def app_of(connection: Connection) -> tokens.AppOf:
    """How to get a connection's OAuth app and token server when a token must be renewed."""

    def make() -> tuple[OAuthApp, TokenServer]:
        # Made when a renewal is due: the secrets are not opened for calls that need none.
        app = oauth_app(connection)
        return app, token_server(connection, app)

    return make


def oauth_app(connection: Connection, *, read_only: bool | None = None) -> OAuthApp:
    """The app that a connection belongs to, with the scopes it needs. Raises BadSettings."""
    module = registry.oauth_module(connection.kind)
    wanted = connection.read_only if read_only is None else read_only
    return module.oauth(all_fields(connection), addresses(connection.kind), read_only=wanted)


def token_server(connection: Connection, app: OAuthApp) -> TokenServer:
    """The vendor's token endpoints for a connection, told to the audit log."""
    return TokenServer(app, AuditRecorder(connection_source(connection)), inside_transaction)


def all_fields(connection: Connection) -> dict[str, str]:
    """The fields of the manifest as entered, secret ones opened."""
    return {**connection.fields, **vault.open_secrets(connection)}


def addresses(kind: str) -> dict[str, str]:
    """The vendor's addresses from the settings: PSALTERY_XERO_API_URL is {"api": …} for "xero"."""
    prefix, suffix = f"{kind.upper()}_", "_URL"
    return {
        name.removeprefix(prefix).removesuffix(suffix).lower(): getattr(settings, name)
        # From the settings and never from a form: whoever could set them could collect the tokens.
        for name in dir(settings)
        if name.startswith(prefix) and name.endswith(suffix)
    }


def facts_of(organisation: Organisation) -> Mapping[str, Any]:
    """What an adapter may need to know of the organisation, and its policies."""
    return {
        **organisation.settings,
        "base_currency": organisation.base_currency,
        "short_code": organisation.short_code,
        "country": organisation.country,
        "time_zone": organisation.time_zone,
    }


def connection_source(connection: Connection) -> Source:
    """How the audit log calls a connection, where no single organisation is concerned."""
    return Source(system=connection.kind, organisation=connection.name)


def source_of(organisation: Organisation) -> Source:
    """How the audit log calls an organisation."""
    return Source(
        system=organisation.connection.kind,
        organisation_id=organisation.pk,
        organisation=organisation.name,
    )


def usable(organisation: Organisation) -> None:
    """Raise NeedsReconnect or BadSettings, with what to do, unless an organisation can be used."""
    connection = organisation.connection
    if connection.state != Connection.State.CONNECTED:
        reason = connection.reason or f"{connection.name} is {connection.get_state_display()}."
        raise NeedsReconnect(reason, code=connection.reason_code or connection.state)
    # Told apart from a broken consent: the other organisations of this one still work.
    if organisation.state == Organisation.State.REMOVED:
        raise NeedsReconnect(organisation.reason, code="tenant_removed")
    if not organisation.chosen:
        raise BadSettings(
            f"{organisation.name} is not chosen. Choose it on the page of {connection.name}.",
            which="organisation",
        )


def writes_blocked(organisation: Organisation) -> str:
    """Why nothing may be written to an organisation now, in a sentence; "" when it may."""
    # First, as the gravest: a write now would land in another company's books.
    if organisation.state == Organisation.State.MISMATCH:
        return organisation.reason
    if organisation.connection.read_only:
        return f"{organisation.connection.name} is connected to read only."
    if organisation.paused:
        return f"{organisation.name} is paused."
    return ""
