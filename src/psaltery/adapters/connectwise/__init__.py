"""ConnectWise PSA (formerly Manage). Quirks and what is unverified: README.md in this folder."""

from collections.abc import Mapping
from typing import Any

from psaltery.adapters.connectwise import site
from psaltery.adapters.connectwise.adapter import ConnectWise
from psaltery.adapters.connectwise.failures import classify
from psaltery.adapters.connectwise.permissions import texts
from psaltery.adapters.contract import CredentialField, FeedSpec, Limits, Manifest, Role
from psaltery.adapters.http import Caller, Credential, FixedCredential

__all__ = ["MANIFEST", "ConnectWise", "base_url", "classify", "credential", "open"]

_FIELDS = (
    CredentialField(
        name="site",
        label="Site",
        help="The address you open ConnectWise at, e.g. https://na.myconnectwise.net.",
        placeholder="https://na.myconnectwise.net",
        pattern=r"(https?://)?[A-Za-z0-9.\-]+(:\d+)?(/.*)?",
    ),
    CredentialField(
        name="company",
        label="Company",
        help="The company name that you enter when signing in to ConnectWise.",
        pattern=r"[A-Za-z0-9_.\-]+",
    ),
    CredentialField(
        name="public_key",
        label="Public key",
        help="Of an API member: System > Members > API Members > API Keys.",
        pattern=r"\S+",
    ),
    CredentialField(
        name="private_key",
        label="Private key",
        help="Shown once, when the key is made.",
        secret=True,
        pattern=r"\S+",
    ),
    CredentialField(
        name="client_id",
        label="Client id",
        help="Your own, from the ConnectWise developer network; each self-hosted hub needs one.",
        placeholder="00000000-0000-0000-0000-000000000000",
        pattern=r"[0-9A-Za-z\-]+",
    ),
    CredentialField(
        name="gl_coding",
        label="Read ConnectWise's own GL accounts of lines",
        help="One more call a posted invoice. Not needed when mapping is done in Psaltery alone.",
        required=False,
        choices=(("no", "No"), ("yes", "Yes")),
    ),
)

MANIFEST = Manifest(
    kind="connectwise",
    label="ConnectWise PSA",
    role=Role.PSA,
    icon="connectwise",
    fields=_FIELDS,
    feeds=(
        FeedSpec(name="lookups", label="Lists and settings"),
        FeedSpec(name="companies", label="Companies", paced=True),
        FeedSpec(name="contacts", label="Contacts"),
        FeedSpec(name="invoices", label="Invoices and credit memos", paced=True),
        FeedSpec(name="purchase_orders", label="Purchase orders received", paced=True),
        FeedSpec(name="expenses", label="Expenses", paced=True),
        FeedSpec(name="agreements", label="Agreements"),
        FeedSpec(name="additions", label="Agreement additions"),
        FeedSpec(name="tickets", label="Tickets"),
        FeedSpec(name="time_entries", label="Time entries"),
    ),
    # About 1,000 a minute bring a 429; other integrations of the site share that.
    limits=Limits(concurrent=4, per_minute=600, per_minute_most=900),
    permissions_text=texts(),
    docs="https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide",
)


def base_url(fields: Mapping[str, str], addresses: Mapping[str, str]) -> str:
    """The origin of the site's API. Raises BadSettings when it is no address."""
    return addresses.get("api") or site.api_address(fields["site"])


def credential(fields: Mapping[str, str]) -> Credential:
    """The keys of the API member and the client id."""
    # Both on every call: without a client id ConnectWise answers 403.
    return FixedCredential(site.key_headers(fields))


def open(
    fields: Mapping[str, str], external_id: str, caller: Caller, settings: Mapping[str, Any]
) -> ConnectWise:
    """The adapter for one site. `external_id` and `settings` hold nothing that it needs."""
    return ConnectWise(fields, caller)
