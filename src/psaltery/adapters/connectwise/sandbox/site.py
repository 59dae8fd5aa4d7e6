"""The sandbox as one object: state, site, controls and server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from psaltery.adapters.connectwise.sandbox import control, loading, seed, tables
from psaltery.adapters.connectwise.sandbox.access import Access, ApiKey
from psaltery.adapters.connectwise.sandbox.app import Site, error_response
from psaltery.adapters.connectwise.sandbox.callbacks import KEY_PATH, Callbacks
from psaltery.adapters.connectwise.sandbox.errors import ApiError
from psaltery.adapters.connectwise.sandbox.world import Behaviour, World
from psaltery.adapters.sandboxing import (
    Clock,
    Controlled,
    RunningServer,
    Store,
    json_response,
    serve,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CODEBASE = "v2025_1"
DEFAULT_KEY = ApiKey("sandboxpublic", "sandboxprivate")


class Sandbox:
    """An emulated ConnectWise PSA site; a WSGI application.

    With a `state_path` its state outlives the process, and the seed is used the first time only.
    `client_ids=None` takes any client id, `limits=False` any number of calls.
    """

    def __init__(
        self,
        state_path: Path | None = None,
        seed: int = 1,
        company_id: str = "harbour",
        companies: int = 0,
        invoices: int = 0,
        limits: bool = True,
        keys: Sequence[ApiKey] = (DEFAULT_KEY,),
        client_ids: Iterable[str] | None = None,
        codebase: str = CODEBASE,
    ) -> None:
        self.company_id, self.keys, self.codebase = company_id, tuple(keys), codebase
        behaviour = Behaviour(requests_per_minute=1000 if limits else 0)
        self.world = World(Store(state_path), behaviour, Clock())
        self.callbacks = Callbacks(self.world, company_id)
        self._site = Site(self.world, Access(company_id, keys, client_ids), company_id, codebase)
        self.control = Controlled(
            self._answer,
            self.world.store,
            self.world.clock,
            tenant_header="clientId",
            on_load=lambda: loading.complete(self.world),
        )
        # Every seed has locations: without any the state is new.
        if not self.world.all("locations"):
            self._fill(seed, companies, invoices)

    def _fill(self, number: int, companies: int, invoices: int) -> None:
        with self.world.store.transaction():
            tables.fill(self.world, [key.member for key in self.keys])
            last_day = self.world.now().date()
            seed.populate(self.world, number, companies, invoices, last_day)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.control(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == KEY_PATH:
            return json_response({"signing_key": self.callbacks.signing_key})
        if request.path == "/_control/deliveries":
            return json_response(list(self.callbacks.deliveries))
        if not request.path.startswith("/_control/"):
            return self._site.answer(request)
        try:
            return control.answer(self.world, request)
        except ApiError as error:
            return error_response(error)

    def start(self, host: str = "127.0.0.1", port: int = 0) -> RunningServer:
        """Serve from a thread; the caller stops the server."""
        server = serve(self, host, port)
        self.callbacks.base_url = server.url
        return server

    def close(self) -> None:
        """Send the callbacks that wait, and close the state's file."""
        self.callbacks.stop()
        self.world.store.close()
