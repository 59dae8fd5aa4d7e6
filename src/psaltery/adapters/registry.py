"""The one list of adapters: a new one costs one line here."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from psaltery.adapters.answers import Answer
from psaltery.adapters.contract import Books, Consent, Manifest, Psa, Role
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.adapters.http import Caller, Credential
from psaltery.adapters.oauth import OAuthApp

_MODULES: dict[str, str] = {
    "xero": "psaltery.adapters.xero",
    "connectwise": "psaltery.adapters.connectwise",
}

Fields = Mapping[str, str]
Addresses = Mapping[str, str]  # PSALTERY_<KIND>_<NAME>_URL as {"api": …, "identity": …}


class AdapterModule(Protocol):
    """What the package of an adapter exposes. `fields` are the manifest's, secret ones included."""

    MANIFEST: Manifest

    def base_url(self, fields: Fields, addresses: Addresses) -> str:
        """The origin that the organisation's caller calls. Raises BadSettings."""

    def credential(self, fields: Fields) -> Credential:
        """The credential of keys in `fields`; only used when the manifest isn't OAuth."""

    def classify(self, answer: Answer) -> Failure | None:
        """The failure in an answer (for Caller), or None to let it through."""

    def open(
        self, fields: Fields, external_id: str, caller: Caller, settings: Mapping[str, Any]
    ) -> Any:
        """The adapter for one organisation: Books or Psa. `settings` are the organisation's facts:
        base_currency, time_zone, short_code, and its policies."""


class OAuthModule(AdapterModule, Protocol):
    """What an adapter whose manifest says `oauth` exposes beside."""

    def oauth(self, fields: Fields, addresses: Addresses, *, read_only: bool) -> OAuthApp:
        """The app registered with the vendor, and the scopes to ask for. Raises BadSettings."""

    def consent(self, caller: Caller) -> Consent:
        """What a token reaches; `caller` has the token and no organisation."""


def kinds() -> tuple[str, ...]:
    """All kinds there are."""
    return tuple(_MODULES)


def module(kind: str) -> AdapterModule:
    """The package of an adapter, imported when first asked for. Raises BadSettings."""
    return cast(AdapterModule, _import(kind))


def oauth_module(kind: str) -> OAuthModule:
    """The package of an adapter with OAuth."""
    return cast(OAuthModule, _import(kind))


def manifest(kind: str) -> Manifest:
    """What the adapter says of itself. Raises BadSettings for a kind that doesn't exist."""
    return module(kind).MANIFEST


def manifests(role: Role | None = None) -> tuple[Manifest, ...]:
    """The manifests of all adapters, or of those with this role."""
    every = (manifest(kind) for kind in _MODULES)
    return tuple(one for one in every if role is None or one.role == role)


def _import(kind: str) -> Any:
    if kind not in _MODULES:
        known = ", ".join(_MODULES)
        raise BadSettings(f"There is no system {kind!r}; there are: {known}.", which="kind")
    # Late: a process that works for one system need not load the others.
    return import_module(_MODULES[kind])


__all__ = ["Books", "Psa", "kinds", "manifest", "manifests", "module", "oauth_module"]
