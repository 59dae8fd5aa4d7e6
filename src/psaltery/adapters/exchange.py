"""One request and what came back, as it is told to the audit log: without secrets, cut to size."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from psaltery.kit.hashing import bytes_hash
from psaltery.kit.text import clean

# A read can be asked again; of a write the whole answer is the only proof there is.
KEPT_OF_A_READ = 4_000
KEPT_OF_A_WRITE = 200_000
_HEADERS_KEPT = (
    "idempotency-key",
    "if-modified-since",
    "xero-tenant-id",
    "retry-after",
    "x-rate-limit-problem",
    "x-daylimit-remaining",
    "x-minlimit-remaining",
    "www-authenticate",
    "xero-correlation-id",
)
_REMOVED = "[removed]"
_ALWAYS_REMOVED = (
    r"client_?secret|refresh_token|access_token|id_token|code_verifier|password|private_?key|"
    r"authorization|signing_?key"
)
# "code" and "token" are ordinary members elsewhere (account codes), and secrets in these calls.
_OAUTH_CALLS = "oauth."
_REMOVED_IN_OAUTH = rf"{_ALWAYS_REMOVED}|code|token|assertion"


def _patterns(names: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    in_json = rf'("(?:{names})"\s*:\s*)"(?:[^"\\]|\\.)*"?'
    in_form = rf"((?:^|[?&\s])(?:{names})=)[^&\s]*"
    return re.compile(in_json, re.IGNORECASE), re.compile(in_form, re.IGNORECASE)


_ANYWHERE = _patterns(_ALWAYS_REMOVED)
_IN_OAUTH = _patterns(_REMOVED_IN_OAUTH)


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request, its answer, and its outcome. `status` 0: no answer came."""

    at: datetime
    operation: str
    method: str
    address: str
    write: bool
    status: int
    duration_ms: int
    bytes_out: int
    bytes_in: int
    request: str
    response: str
    idempotency_key: str = ""
    failure: str = ""


class Recorder(Protocol):
    """Where exchanges go."""

    def record(self, exchange: Exchange) -> None:
        """Keep the exchange, whatever becomes of the work it belonged to."""


class NoRecorder:
    """For tests and probes that keep nothing."""

    def record(self, exchange: Exchange) -> None:
        """Drop it."""


def written(
    headers: Mapping[str, str], body: bytes, *, most: int, secrets: Iterable[str], operation: str
) -> str:
    """Headers worth keeping and the body, as text without secrets and at most `most` characters."""
    kept = [f"{name}: {headers[name]}" for name in _HEADERS_KEPT if name in headers]
    # Cut before the patterns run, or a 100 MB answer would be searched as a whole.
    text = clean(body[: most * 4].decode("utf-8", "replace"))[:most]
    text = without_secrets(text, secrets, operation)
    if len(body) > len(text.encode()):
        text += f"\n… {len(body):,} bytes in all, fingerprint {bytes_hash(body)}"
    return "\n".join([*kept, "", text]) if kept else text


def without_secrets(text: str, secrets: Iterable[str], operation: str) -> str:
    """`text` with the values of secret members, and each of `secrets` itself, removed."""
    for secret in secrets:
        # Shorter ones would take ordinary words out of the text.
        if len(secret) > 7:
            text = text.replace(secret, _REMOVED)
    in_json, in_form = _IN_OAUTH if operation.startswith(_OAUTH_CALLS) else _ANYWHERE
    return in_form.sub(rf"\g<1>{_REMOVED}", in_json.sub(rf'\g<1>"{_REMOVED}"', text))
