"""Messages to Slack and Teams, by the one way out. The address is the secret, and is not told."""

from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from psaltery.adapters.answers import Answer
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.errors import BadSettings, Failure, Rejected
from psaltery.adapters.exchange import Exchange
from psaltery.adapters.http import Caller, FixedCredential, too_many
from psaltery.audit.service import AuditRecorder, Source
from psaltery.connections.locks import inside_transaction
from psaltery.kit.text import cut, single_line
from psaltery.records.drafts import Problem

# Generous: an answer that is not waited for leaves a message uncertain.
_TIMEOUTS = httpx2.Timeout(15.0, connect=5.0)
_MOST_BYTES = 64 * 1024
# The address does not exist (any more), or its channel does not.
# https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
_GONE = (401, 403, 404, 405, 410)


def problem_with(address: str) -> str:
    """Why an address can't be a channel's, in a sentence; "" when it can."""
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        return "Enter the whole address, as Slack or Teams shows it; it begins with https://."
    # Plain http to this machine only, for tests against a stand-in.
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return "The address must begin with https://: whoever reads it can write to the channel."
    if parts.path in ("", "/"):
        return "The address is incomplete: it ends with the part that names the channel."
    return ""


def post(address: str, body: dict[str, Any], *, system: str, channel: str) -> None:
    """Send one message. Raises TryLater, Rejected or BadSettings; every exchange is audited.

    `TryLater.uncertain`: no whole answer came; the message may stand in the channel.
    """
    parts = urlsplit(address)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    caller = Caller(
        f"{parts.scheme}://{parts.netloc}",
        credential=FixedCredential(),
        budget=NoBudget(),
        recorder=_Discreet(Source(system=system), path, channel),
        inside_transaction=inside_transaction,
        classify=_failure_in,
        timeouts=_TIMEOUTS,
        max_bytes=_MOST_BYTES,
    )
    caller.call(
        "POST", path, body=msgspec.json.encode(body), write=True, operation=f"{system}.notify"
    )


class _Discreet(AuditRecorder):
    """Tells the audit log of an exchange without the address's secret part."""

    def __init__(self, source: Source, path: str, channel: str) -> None:
        super().__init__(source)
        self._path, self._channel = path, channel

    def record(self, exchange: Exchange) -> None:
        """Keep the exchange; the host stays readable, the path becomes the channel's name."""
        origin = "/".join(exchange.address.split("/")[:3])
        super().record(
            msgspec.structs.replace(
                exchange,
                address=f"{origin}/… ({self._channel})",
                # A channel's answer may repeat the address; in the log anybody could post with it.
                response=exchange.response.replace(self._path, "/…"),
                failure=exchange.failure.replace(self._path, "/…"),
            )
        )


def _failure_in(answer: Answer) -> Failure | None:
    said = cut(single_line(answer.text), 200)
    if answer.status in _GONE:
        return BadSettings(
            f"The channel refuses messages (status {answer.status}: {said or 'no word'}). Make a "
            "new webhook there and enter its address.",
            which="address",
        )
    # The older Teams webhook answers 200 and says in words that it did not take the message.
    # https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
    if "HTTP error 429" in said:
        return too_many(answer)
    if 400 <= answer.status < 500 and answer.status != 429:
        return _refused(said, answer.status)
    if answer.ok and "HTTP error 4" in said:
        return _refused(said, answer.status)
    return None


def _refused(said: str, status: int) -> Failure:
    sentence = f"The channel refused the message (status {status}: {said or 'no word'})."
    return Rejected([Problem(code="notification_failed", message=sentence)])
