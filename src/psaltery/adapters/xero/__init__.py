"""Xero: the manifest, and how the connections slice opens it. Quirks are in README.md."""

from collections.abc import Mapping
from typing import Any

from psaltery.adapters.contract import (
    Consent,
    CredentialField,
    FeedSpec,
    Limits,
    Manifest,
    Role,
)
from psaltery.adapters.errors import BadSettings
from psaltery.adapters.http import Caller, Credential, FixedCredential
from psaltery.adapters.oauth import OAuthApp
from psaltery.adapters.xero.books import XeroBooks, XeroConsent
from psaltery.adapters.xero.refusals import classify

__all__ = ["MANIFEST", "base_url", "classify", "consent", "credential", "oauth", "open"]

API = "https://api.xero.com"
IDENTITY = "https://identity.xero.com"
LOGIN = "https://login.xero.com"

WEB_APP, PKCE, CUSTOM = "web", "pkce", "custom"

# https://developer.xero.com/documentation/guides/oauth2/scopes/ (granular since March 2026).
# The three of OpenID tell who authorised; nothing else of the profile is read.
_SIGN_IN = ("openid", "profile", "email", "offline_access")
_READ = (
    "accounting.contacts.read",
    "accounting.invoices.read",
    "accounting.payments.read",
    "accounting.settings.read",
)
_READ_WRITE = (
    "accounting.contacts",
    "accounting.invoices",
    "accounting.payments",
    "accounting.settings.read",
)

# Only asked for where it is wanted: money spent is entered on bank accounts.
BANK = "accounting.banktransactions"

MANIFEST = Manifest(
    kind="xero",
    label="Xero",
    role=Role.BOOKS,
    icon="xero",
    oauth=True,
    many_organisations=True,
    fields=(
        CredentialField(
            name="mode",
            label="Type of app",
            help="As you made it at developer.xero.com/app/manage. A custom connection reaches "
            "one organisation and needs no sign-in.",
            choices=(
                (WEB_APP, "Web app (with a secret)"),
                (PKCE, "Mobile or desktop app (PKCE, no secret)"),
                (CUSTOM, "Custom connection (one organisation)"),
            ),
        ),
        CredentialField(
            name="client_id",
            label="Client id",
            help="Configuration page of the app.",
            pattern=r"^[0-9A-Za-z._-]{8,64}$",
            placeholder="32 letters and digits",
        ),
        CredentialField(
            name="client_secret",
            label="Client secret",
            help="Shown once when it is generated. Leave empty for a PKCE app.",
            secret=True,
            required=False,
        ),
        CredentialField(
            name="bank",
            label="Bank transactions",
            help="Needed only to enter expenses as money spent.",
            required=False,
            choices=(("no", "Not needed"), ("yes", "May be created: expenses as money spent")),
        ),
    ),
    feeds=(
        FeedSpec(name="settings", label="Accounts, tax rates and other lists", seconds=3600),
        FeedSpec(name="contacts", label="Contacts", paced=True),
        FeedSpec(name="invoices", label="Invoices", paced=True),
        FeedSpec(name="credit_notes", label="Credit notes", paced=True),
        FeedSpec(name="bills", label="Bills", paced=True, on_demand=True),
        FeedSpec(name="payments", label="Payments", paced=True),
        FeedSpec(name="overpayments", label="Overpayments", paced=True),
        FeedSpec(name="prepayments", label="Prepayments", paced=True),
    ),
    # Xero allows 5 at once, 60 a minute, and 1,000 or 5,000 a day as its headers tell.
    limits=Limits(concurrent=5, per_minute=30, per_minute_most=60),
    permissions_text=(
        "Contacts: to link or create customers",
        "Invoices and credit notes: to read them, and to create and edit them unless read only",
        "Payments: to bring them back to the PSA",
        "Settings (read only): accounts, tax rates, tracking, lock dates",
        "Your name and e-mail address: to show who authorised the connection",
        "Offline access: to go on working while you are signed out",
    ),
    docs="docs/adapters/xero.md",
)


def base_url(fields: Mapping[str, str], addresses: Mapping[str, str]) -> str:
    """The origin of the API; `addresses["api"]` stands in for Xero's own."""
    return addresses.get("api") or API


def credential(fields: Mapping[str, str]) -> Credential:
    """No keys: Xero speaks OAuth in every mode."""
    return FixedCredential()


def open(
    fields: Mapping[str, str], external_id: str, caller: Caller, settings: Mapping[str, Any]
) -> XeroBooks:
    """The books of one organisation. A custom connection names no tenant: it has just one."""
    # https://developer.xero.com/custom-development
    tenant = "" if fields.get("mode") == CUSTOM else external_id
    return XeroBooks(caller, tenant)


def oauth(fields: Mapping[str, str], addresses: Mapping[str, str], *, read_only: bool) -> OAuthApp:
    """The app and the scopes to ask for. Raises BadSettings for a missing or needless secret."""
    mode = fields.get("mode") or WEB_APP
    secret = fields.get("client_secret", "")
    if mode != PKCE and not secret:
        raise BadSettings("This type of app needs its client secret.", which="client_secret")
    identity = (addresses.get("identity") or IDENTITY).rstrip("/")
    login = (addresses.get("login") or LOGIN).rstrip("/")
    scopes: tuple[str, ...] = _READ if read_only else _READ_WRITE
    # Only creating needs it, so that a connection that reads never asks.
    if fields.get("bank") == "yes" and not read_only:
        scopes = (*scopes, BANK)
    return OAuthApp(
        client_id=fields["client_id"],
        client_secret="" if mode == PKCE else secret,
        authorise_url=f"{login}/identity/connect/authorize",
        token_url=f"{identity}/connect/token",
        revocation_url=f"{identity}/connect/revocation",
        jwks_url=f"{identity}/.well-known/openid-configuration/jwks",
        # Nobody signs in to a custom connection, and it gets no refresh token.
        scopes=scopes if mode == CUSTOM else _SIGN_IN + scopes,
        client_credentials=mode == CUSTOM,
        # Xero advises one set of tokens for each of its users, and this names the user.
        user_claim="xero_userid",
        event_claim="authentication_event_id",
    )


def consent(caller: Caller) -> Consent:
    """What a token reaches; `caller` has the token and no organisation."""
    return XeroConsent(caller)
