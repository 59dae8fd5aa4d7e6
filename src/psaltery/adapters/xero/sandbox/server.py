"""The Xero sandbox as one object: build it, serve it, stop it."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import (
    Clock,
    Controlled,
    Document,
    RunningServer,
    Store,
    serve,
)
from psaltery.adapters.xero.sandbox import answers, seeding
from psaltery.adapters.xero.sandbox.control import Control
from psaltery.adapters.xero.sandbox.gate import PREFIX, Gate
from psaltery.adapters.xero.sandbox.identity import Identity
from psaltery.adapters.xero.sandbox.limits import DAY, Limits
from psaltery.adapters.xero.sandbox.state import Books, Client, World
from psaltery.adapters.xero.sandbox.tokens import Tokens
from psaltery.adapters.xero.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DEFAULT_CLIENT = Client(
    "sandbox-client",
    "sandbox-secret",
    ("http://localhost:8000/connect/xero/callback", "http://localhost/callback"),
)


class Sandbox:
    """Xero, emulated under one origin; a WSGI application.

    With `state_path` everything outlives the process; a file that has organisations already is
    used as it is, and the amounts to seed are then ignored. Amounts are for each organisation.
    """

    def __init__(
        self,
        state_path: Path | None = None,
        seed: int = 1,
        orgs: int = 1,
        contacts: int = 0,
        invoices: int = 0,
        payments: int = 0,
        credit_notes: int = 0,
        limits: bool = True,
        per_day: int = DAY,
        clients: Sequence[Client] = (DEFAULT_CLIENT,),
    ) -> None:
        clock = Clock()
        self.store = Store(state_path)
        self.world = World(self.store, list(clients), clock)
        # A state file that has organisations is history, not to be made again.
        if not self.store.all("tenants"):
            amounts = seeding.Amounts(contacts, invoices, payments, credit_notes)
            seeding.fill(self.world, seed, orgs, amounts)
        self.tokens = Tokens(self.world)
        self.identity = Identity(self.tokens)
        self.limits = Limits(clock, limits, per_day)
        self.webhooks = Webhooks(self.store, clock)
        # After the seed: history sends no webhooks.
        self.world.listeners.append(self.webhooks.changed)
        self.gate = Gate(self.world, self.identity, self.limits)
        self.control = Control(self.world, self.identity, self.limits, self.webhooks)
        self.app = Controlled(self._handle, self.store, clock, "Xero-Tenant-Id")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)

    def _handle(self, request: Request) -> Response:
        if request.path.startswith("/_control/"):
            return self.control.handle(request)
        if request.path.lower().startswith(PREFIX):
            return self.gate.handle(request)
        return self.identity.handle(request) or answers.not_found()

    def serve(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> RunningServer:
        """Serves from a thread; the caller stops what is returned, then closes the sandbox."""
        return serve(self, host, port, tls)

    def close(self) -> None:
        """Lets go of the state file."""
        self.store.close()

    def organisations(self) -> list[Document]:
        """The tenants of type ORGANISATION, in the order of their making."""
        return [t for t in self.world.tenants() if t["tenantType"] == "ORGANISATION"]

    def books(self, position: int = 0) -> Books:
        """The books of the organisation at that position."""
        return self.world.books(self.organisations()[position]["tenantId"])

    def grant(
        self, client_id: str = DEFAULT_CLIENT.id, scopes: str = "", issuer: str = ""
    ) -> Document:
        """A token response as if the first user had consented to everything: for scripts."""
        client = self.world.clients[client_id]
        wanted = scopes.split() or sorted(EVERY_SCOPE)
        tenants = [tenant["tenantId"] for tenant in self.world.tenants()]
        consent = self.tokens.consent(client, self.tokens.users()[0]["id"], wanted, tenants)
        return self.tokens.issue(consent, issuer or "https://identity.xero.com")


EVERY_SCOPE = {
    "offline_access", "openid", "profile", "email", "accounting.contacts", "accounting.invoices",
    "accounting.payments", "accounting.settings", "accounting.banktransactions",
    "accounting.manualjournals", "accounting.attachments", "accounting.classicexpenses",
    "accounting.journals.read", "accounting.budgets.read", "accounting.reports.aged.read",
}  # fmt: skip
