"""Drives the sandbox and the adapter in tests."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from psaltery.adapters import connectwise
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.connectwise.adapter import ConnectWise
from psaltery.adapters.connectwise.sandbox import NewInvoice, Sandbox, invoices
from psaltery.adapters.exchange import Exchange
from psaltery.adapters.http import Caller
from psaltery.adapters.sandboxing import serve

FIELDS = {
    "company": "harbour",
    "public_key": "sandboxpublic",
    "private_key": "sandboxprivate",
    "client_id": "00000000-0000-0000-0000-000000000001",
}


class Recording:
    """Keeps what was exchanged."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class Driver:
    """One sandbox, one adapter, and the calls between them. `before` may change the site, or a
    request as it comes in (its WSGI environment)."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.before: Callable[[dict[str, Any]], None] = lambda environ: None
        self.server = serve(self._answer)
        self.url = self.server.url
        self.recording = Recording()
        self.adapter = self.open()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.before(environ)
        return self.sandbox(environ, start_response)

    def stop(self) -> None:
        self.server.stop()
        self.sandbox.close()

    def open(self, **fields: str) -> ConnectWise:
        """An adapter of its own, as another process would have it."""
        all_fields = {**FIELDS, "site": self.url, **fields}
        caller = Caller(
            connectwise.base_url(all_fields, {}),
            credential=connectwise.credential(all_fields),
            budget=NoBudget(),
            recorder=self.recording,
            classify=connectwise.classify,
        )
        return connectwise.open(all_fields, "harbour", caller, {})

    def create(self, draft: NewInvoice) -> str:
        return str(invoices.create(self.sandbox.world, draft)["id"])

    def fault(self, kind: str, **rule: Any) -> None:
        self.sandbox.control.faults.add({"kind": kind, **rule})

    def deny(self, module: str, *verbs: str) -> None:
        """Take verbs (all, when none is named) of a module from the API member's role."""
        gone = verbs or ("inquire", "add", "edit", "delete")
        rule = {"public_key": FIELDS["public_key"], "module": module} | dict.fromkeys(gone, False)
        self.sandbox.world.store.put("permissions", f"{rule['public_key']}:{module}", rule)

    def pass_time(self, **span: int) -> None:
        """Let all that was written so far be older by this span."""
        store, older = self.sandbox.world.store, timedelta(**span)
        for collection in store.collections():
            for row in store.all(collection):
                if "lastUpdated" in (told := row.get("_info") or {}):
                    moment = datetime.fromisoformat(told["lastUpdated"]) - older
                    aged = told | {"lastUpdated": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
                    store.put(collection, str(row["id"]), row | {"_info": aged})

    def calls(self) -> list[str]:
        """What was called since the last question."""
        told = [exchange.operation for exchange in self.recording.exchanges]
        self.recording.exchanges.clear()
        return told

    def everything(self, feed: str, cursor: str | None = None) -> tuple[list[Any], str]:
        """All records of one run, and the cursor of the next."""
        records: list[Any] = []
        while True:
            page = self.adapter.pull(feed, cursor)
            records += page.records
            cursor = page.cursor
            if not page.more:
                return records, cursor
