"""Who may call: API keys, client ids, security roles and the rate limit.

https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide (Authentication)
"""

from __future__ import annotations

import base64
import binascii
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from werkzeug.wrappers import Request

from psaltery.adapters.connectwise.sandbox.errors import ApiError, Problem
from psaltery.adapters.connectwise.sandbox.world import Behaviour, World

VERBS = {
    "GET": "inquire",
    "HEAD": "inquire",
    "POST": "add",
    "PUT": "edit",
    "PATCH": "edit",
    "DELETE": "delete",
}
WINDOW_SECONDS = 60


@dataclass(frozen=True)
class ApiKey:
    """The keys of one API member."""

    public: str
    private: str
    member: str = "psaltery"


class Access:
    """The keys of a site, and the calls that each made in the last minute."""

    def __init__(
        self, company_id: str, keys: Iterable[ApiKey], client_ids: Iterable[str] | None
    ) -> None:
        self._company_id = company_id
        self._keys = {key.public: key for key in keys}
        self._client_ids = set(client_ids) if client_ids is not None else None
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def member(self, request: Request, behaviour: Behaviour) -> ApiKey:
        """The API member that calls. Raises 401 for bad keys, 403 for a missing client id."""
        key = self._key(request.headers.get("Authorization", ""))
        if key is None or key.public in behaviour.refused_keys:
            problem = Problem("UserNotAuthenticated", "The user could not be authenticated.")
            status = behaviour.refused_keys_status
            raise ApiError(status, "ConnectWiseApi", "UserNotAuthenticated", (problem,))
        client_id = request.headers.get("clientId", "")
        # 403 and not 401: the keys are fine, and new ones would not help.
        if not client_id or (self._client_ids is not None and client_id not in self._client_ids):
            raise ApiError(403, "ClientIdInvalid", "A valid clientId header is required.")
        return key

    def _key(self, header: str) -> ApiKey | None:
        scheme, _, credentials = header.partition(" ")
        try:
            text = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        # company+public:private; a private key may hold colons, the rest may not.
        user, _, private = text.partition(":")
        company, _, public = user.partition("+")
        key = self._keys.get(public)
        if scheme.lower() != "basic" or company.lower() != self._company_id.lower():
            return None
        return key if key is not None and key.private == private else None

    def count(self, key: ApiKey, limit: int) -> None:
        """Note a call. Raises 429 when the key made `limit` calls within the last minute."""
        now = time.monotonic()
        # Real time, not the sandbox's: a shifted clock must not lift the limit.
        with self._lock:
            calls = self._calls[key.public]
            while calls and calls[0] <= now - WINDOW_SECONDS:
                calls.popleft()
            if limit and len(calls) >= limit:
                raise _too_many(math.ceil(calls[0] + WINDOW_SECONDS - now))
            calls.append(now)


def _too_many(seconds: int) -> ApiError:
    message = f"Rate limit is exceeded. Try again in {seconds} seconds."
    return ApiError(429, "TooManyRequests", message, headers={"Retry-After": str(seconds)})


def permit(world: World, key: ApiKey, module: str, verb: str) -> None:
    """Raises 403 when the member's security role lacks the verb in that module."""
    role = world.store.get("permissions", f"{key.public}:{module}")
    if role is not None and not role.get(verb, True):
        message = f"Insufficient security permissions: {module} needs {verb.capitalize()} level."
        raise ApiError(403, "SecurityDenied", message, (Problem("Security", message, module),))
