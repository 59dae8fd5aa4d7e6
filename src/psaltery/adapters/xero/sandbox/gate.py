"""What every call of the Accounting API passes: token, tenant, scope, limits, idempotency.

https://developer.xero.com/documentation/guides/idempotent-requests/idempotency
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta

from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document, Fault
from psaltery.adapters.xero.sandbox import answers, endpoints, resources
from psaltery.adapters.xero.sandbox.answers import Failure
from psaltery.adapters.xero.sandbox.endpoints import Call
from psaltery.adapters.xero.sandbox.identity import Identity
from psaltery.adapters.xero.sandbox.limits import Exceeded, Limits
from psaltery.adapters.xero.sandbox.listing import Lister
from psaltery.adapters.xero.sandbox.state import World
from psaltery.adapters.xero.sandbox.tokens import Access

PREFIX = "/api.xro/2.0/"
KEY_LIFE = timedelta(minutes=6)
MOST_KEYS = 1000
LARGEST_REQUEST = 10 * 1024 * 1024
OFFLINE = {
    "maintenance": "The Xero API is currently offline for maintenance",
    "unavailable": "The Xero API is temporarily unavailable",
    "organisation": "The Organisation is offline",
}
LIMIT_FAULTS = {"minute_limit": ("minute", 30), "day_limit": ("day", 66975),
                "concurrent_limit": ("concurrent", None)}  # fmt: skip


class Gate:
    """The Accounting API of all organisations."""

    def __init__(self, world: World, identity: Identity, limits: Limits) -> None:
        self.world = world
        self.identity = identity
        self.limits = limits
        self.lister = Lister()

    def handle(self, request: Request) -> Response:
        """The answer to a call below `/api.xro/2.0/`."""
        parts = [part for part in request.path[len(PREFIX) :].split("/") if part]
        endpoint = endpoints.NAMES.get(parts[0].lower()) if parts else None
        if endpoint is None:
            return answers.not_found()
        fault = request.environ.get("sandbox.fault")
        # Played first: a fault needs no good token.
        refusal = self._played(request, fault) if fault else None
        if refusal:
            return refusal
        passed = self._admitted(request, endpoint, parts[1:])
        if isinstance(passed, Response):
            return passed
        return self._limited(request, *passed, endpoint, parts[1:], fault)

    def _played(self, request: Request, fault: Fault) -> Response | None:
        """The answers that only Xero's own faults have; None when the call goes on."""
        if fault.kind in LIMIT_FAULTS:
            kind, wait = LIMIT_FAULTS[fault.kind]
            return Exceeded(kind, fault.extra.get("retry_after", wait)).response()
        if fault.kind == "offline":
            text = OFFLINE[fault.extra.get("of", "unavailable")]
            return Response(text, 503, mimetype="text/plain")
        if fault.kind == "expire":
            return answers.token_expired(self.world.clock.now())
        if fault.kind == "forbidden":
            return answers.problem(403, "Forbidden", "UserNotAuthorised")
        access = self.identity.bearer(request)
        if fault.kind == "revoke" and isinstance(access, Access):
            self.identity.tokens.revoke_user(access.client_id, access.user_id)
        return None

    def _admitted(
        self, request: Request, endpoint: str, rest: list[str]
    ) -> tuple[Access, str] | Response:
        access = self.identity.bearer(request)
        if isinstance(access, Response):
            return access
        # Custom connections know their only tenant.
        tenant_id = request.headers.get("Xero-Tenant-Id", access.tenant_id or "").lower()
        tenant = self.world.tenant(tenant_id)
        reached = tenant is not None and self.identity.tokens.reaches(access, tenant_id)
        if tenant is None or not reached or tenant["tenantType"] != "ORGANISATION":
            return answers.tenant_forbidden()
        # Files on a document have a scope of their own.
        attachments = len(rest) > 1 and rest[1].lower() == "attachments"
        if not resources.allowed(set(access.scopes), endpoint, request.method, attachments):
            return answers.scope_missing()
        if (request.content_length or 0) > LARGEST_REQUEST:
            return Response("Request too large", 413, mimetype="text/plain")
        return access, tenant_id

    def _limited(
        self,
        request: Request,
        access: Access,
        tenant_id: str,
        endpoint: str,
        rest: list[str],
        fault: Fault | None,
    ) -> Response:
        try:
            with self.limits.call(access.client_id, tenant_id) as headers:
                if fault and fault.kind == "busy":
                    time.sleep(float(fault.extra.get("seconds", 1)))
                # The limit is counted before the key is looked at: repeats cost budget.
                response = self._once(request, access, tenant_id, endpoint, rest)
                response.headers.update(headers)
                return response
        except Exceeded as exceeded:
            response = exceeded.response()
            # Only the window that is over shows nothing left.
            used_up = exceeded.kind == "day"
            response.headers["X-DayLimit-Remaining"] = "0" if used_up else "1"
            response.headers["X-MinLimit-Remaining"] = "0" if exceeded.kind == "minute" else "60"
            return response

    def _once(
        self, request: Request, access: Access, tenant_id: str, endpoint: str, rest: list[str]
    ) -> Response:
        """Plays back the stored answer of an idempotency key, or works and stores it."""
        client = self.world.clients[access.client_id]
        request.environ["sandbox.client"] = client.id
        call = Call(request, self.world.books(tenant_id), client, self.lister)
        key = request.headers.get("Idempotency-Key")
        # Keys guard writes; elsewhere they are ignored.
        if request.method == "GET" or request.method == "DELETE" or not key:
            return self._performed(call, endpoint, rest)
        if len(key) > 128:
            message = "Idempotency Key exceeds the maximum length of 128 characters"
            return answers.exception(request, 10, "ValidationException", message)
        # A repeat that overtakes the first call must wait for its answer.
        with self.world.store.lock:
            return self._kept(call, f"{client.id} {key}", key, endpoint, rest)

    def _kept(self, call: Call, name: str, key: str, endpoint: str, rest: list[str]) -> Response:
        now, store = self.world.clock.now(), self.world.store
        known = store.get("idempotency", name)
        mark = _fingerprint(call.request, call.books.tenant_id)
        # After six minutes the key is new, and a repeat is a duplicate.
        if known and now - _at(known) < KEY_LIFE:
            if known["fingerprint"] == mark:
                return Response(known["body"], known["status"], content_type=known["type"])
            message = f"Idempotency Key: {key} is used with a different request."
            return answers.exception(call.request, 10, "ValidationException", message)
        self._forget_old_keys(now)
        response = self._performed(call, endpoint, rest)
        record: Document = {"name": name, "fingerprint": mark, "at": now.isoformat()}
        record |= {"status": response.status_code, "body": response.get_data(as_text=True)}
        record["type"] = response.content_type
        store.put("idempotency", name, record)
        return response

    def _forget_old_keys(self, now: datetime) -> None:
        kept = self.world.store.all("idempotency")
        if len(kept) < MOST_KEYS:
            return
        for record in kept:
            if now - _at(record) >= KEY_LIFE:
                self.world.store.delete("idempotency", record["name"])

    def _performed(self, call: Call, endpoint: str, rest: list[str]) -> Response:
        """Works on the books, one call at a time."""
        fault = call.request.environ.get("sandbox.fault")
        try:
            if call.request.method == "GET":
                with self.world.store.lock:
                    return endpoints.dispatch(call, endpoint, rest)
            with self.world.store.transaction():
                if fault and fault.kind == "half_written":
                    return _half_written(call, endpoint)
                return endpoints.dispatch(call, endpoint, rest)
        except Failure as failure:
            return failure.response


def _half_written(call: Call, endpoint: str) -> Response:
    """An internal error in the middle of a batch: the first half stays written."""
    sent = answers.posted(call.request, endpoint)
    if len(sent) > 1:
        endpoints.written(call, endpoint, sent[: len(sent) // 2])
    page = "<html><body><h1>500 - Internal server error.</h1></body></html>"
    return Response(page, 500, mimetype="text/html")


def _at(record: Document) -> datetime:
    return datetime.fromisoformat(record["at"])


def _fingerprint(request: Request, tenant_id: str) -> str:
    told = "\n".join((request.method, request.full_path, tenant_id)).encode()
    # Address, tenant and body: anything else is another request.
    return hashlib.sha256(told + b"\n" + request.get_data()).hexdigest()
