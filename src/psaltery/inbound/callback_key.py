"""The key that ConnectWise signs its callbacks with: fetched from the site, kept for minutes.

https://developer.connectwise.com/Best_Practices/PSA_Callbacks
"""

import threading
from math import inf
from time import monotonic
from urllib.parse import urlsplit

import httpx2
import msgspec

from psaltery.adapters.budget import NoBudget
from psaltery.adapters.errors import TryLater
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.audit.service import AuditRecorder
from psaltery.connections.models import Connection
from psaltery.connections.opening import connection_source

KEPT_SECONDS = 900.0
# Addresses are the sender's word: a flood of new ones must not become a flood of calls by us.
_BETWEEN_SECONDS = 2.0
_MOST_KEPT = 64
# ConnectWise waits five seconds for our answer.
_TIMEOUTS = httpx2.Timeout(2.0)
OPERATION = "callback_key"


class _Kept(msgspec.Struct, frozen=True):
    key: str
    at: float


class _Told(msgspec.Struct):
    signing_key: str = ""


_kept: dict[tuple[int, str], _Kept] = {}
_asked: dict[int, float] = {}
_asking = threading.Lock()


def signing_key(connection: Connection, key_url: str, *, fresh: bool = False) -> str:
    """The signing key at a trusted address (see is_trusted_key_address); "" when there is none.

    From memory, unless `fresh` and it may have changed since. Raises the four failures; TryLater
    also while another was asked for just now.
    """
    place = (connection.pk, key_url)
    kept = _kept.get(place)
    if kept is not None and monotonic() - kept.at < (_BETWEEN_SECONDS if fresh else KEPT_SECONDS):
        return kept.key
    # Not waited for: every thread of the server would soon hang on one slow site.
    if not _asking.acquire(blocking=False):
        raise TryLater("A signing key is being fetched.")
    try:
        return _fetch(connection, place)
    finally:
        _asking.release()


def _fetch(connection: Connection, place: tuple[int, str]) -> str:
    if monotonic() - _asked.get(connection.pk, -inf) < _BETWEEN_SECONDS:
        raise TryLater("A signing key was fetched just now.")
    _asked[connection.pk] = monotonic()
    key = _call(connection, place[1])
    # Addresses come from outside: the memory for their keys must not grow with them.
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[place] = _Kept(key, monotonic())
    return key


def _call(connection: Connection, key_url: str) -> str:
    parts = urlsplit(key_url)
    caller = Caller(
        f"{parts.scheme}://{parts.netloc}",
        credential=FixedCredential(),
        budget=NoBudget(),
        recorder=AuditRecorder(connection_source(connection)),
        timeouts=_TIMEOUTS,
        max_bytes=65_536,
    )
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    answer = caller.call("GET", path, operation=OPERATION)
    return answer.decode(_Told).signing_key if answer.ok else ""


def forget() -> None:
    """Ask again when a key is next needed."""
    _kept.clear()
    _asked.clear()
