"""Tests a connection's webhooks from our side: deliveries to ourselves, callbacks as registered."""

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

import httpx2
import msgspec

from psaltery.adapters.errors import Failure
from psaltery.adapters.xero.webhooks import SIGNATURE_HEADER
from psaltery.connections.models import Connection
from psaltery.inbound import keys, real_time
from psaltery.inbound.queries import xero_address

TIMEOUT_SECONDS = 5.0  # as long as the vendors wait
_EMPTY = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "SELFTEST"}'


class Line(msgspec.Struct, frozen=True):
    """One line of a test."""

    ok: bool
    name: str
    detail: str = ""


def test(connection: Connection) -> list[Line]:
    """What works. Calls our own public address; for ConnectWise the site too."""
    return _xero(connection) if connection.kind == "xero" else _connectwise(connection)


def _xero(connection: Connection) -> list[Line]:
    address = xero_address()
    lines = [_is_public(address)]
    rows = keys.of(connection)
    if not rows:
        return [*lines, Line(False, "Signing key", "None is stored: paste the one of your app.")]
    for row in rows:
        right = _signature(keys.open_key(row))
        lines.append(_delivery(address, right, 200, f"Delivery signed with …{row.hint}"))
    # As Xero's own probe: one character is wrong. An endpoint that takes every empty delivery fails
    # its intent to receive.
    wrong = ("A" if right[0] != "A" else "B") + right[1:]
    return [*lines, _delivery(address, wrong, 401, "Delivery signed wrongly")]


def _signature(key: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), _EMPTY, hashlib.sha256).digest()).decode()


def _delivery(address: str, signature: str, wanted: int, name: str) -> Line:
    headers = {SIGNATURE_HEADER: signature, "Content-Type": "application/json"}
    try:
        answer = httpx2.post(address, content=_EMPTY, headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx2.HTTPError as wrong:
        return Line(False, name, f"{address} can't be reached: {wrong or type(wrong).__name__}.")
    told = f"Answered by {answer.status_code} in {answer.elapsed.total_seconds() * 1000:.0f} ms"
    if answer.status_code != wanted:
        return Line(False, name, f"{told}; {wanted} is right.")
    # Xero refuses answers with a body or a cookie, and proxies like to add both.
    if answer.content or answer.headers.get("set-cookie"):
        return Line(False, name, f"{told}, but something between adds a body or a cookie.")
    return Line(True, name, f"{told}.")


def _is_public(address: str) -> Line:
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.port in (None, 443):
        return Line(True, "Address", f"{address} is one that vendors call.")
    advice = "Xero calls https on port 443 alone: set PSALTERY_PUBLIC_URL to such an address."
    return Line(False, "Address", f"{address}: {advice}")


def _connectwise(connection: Connection) -> list[Line]:
    row = real_time.of(connection)
    if not row.wanted:
        return [Line(False, "Real time", "It is off.")]
    lines = [_reached(real_time.address(row))]
    try:
        row = real_time.check(connection)
    except Failure as failure:
        return [*lines, Line(False, "Callbacks", str(failure))]
    if row.problem:
        lines.append(Line(False, "Callbacks", row.problem))
    detail = f"Registered and active: {', '.join(row.types) or 'none'}."
    return [*lines, Line(bool(row.types), "Callbacks", detail)]


def _reached(address: str) -> Line:
    """A GET is refused by the right place, and counts as no delivery."""
    name = "Address"
    try:
        answer = httpx2.get(address, timeout=TIMEOUT_SECONDS)
    except httpx2.HTTPError as wrong:
        return Line(False, name, f"{address} can't be reached: {wrong or type(wrong).__name__}.")
    ok = answer.status_code == 405
    told = "leads here" if ok else f"leads somewhere else (status {answer.status_code})"
    return Line(ok, name, f"{address} {told}.")
