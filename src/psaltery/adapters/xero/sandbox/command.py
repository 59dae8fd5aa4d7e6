"""The sandbox as a command: `psaltery sandbox xero`, or `python -m …adapters.xero.sandbox`."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

from psaltery.adapters.sandboxing import serve_until_told
from psaltery.adapters.xero.sandbox.limits import DAY
from psaltery.adapters.xero.sandbox.server import DEFAULT_CLIENT, Sandbox
from psaltery.adapters.xero.sandbox.state import Client


@dataclass(frozen=True)
class Options:
    """What the command line can say. Amounts are for each organisation."""

    port: int = 0
    host: str = "127.0.0.1"
    state: Path | None = None
    seed: int = 1
    orgs: int = 1
    contacts: int = 0
    invoices: int = 0
    payments: int = 0
    credit_notes: int = 0
    no_limits: bool = False
    per_day: int = DAY
    client_id: str = DEFAULT_CLIENT.id
    client_secret: str = DEFAULT_CLIENT.secret
    redirect_uri: tuple[str, ...] = DEFAULT_CLIENT.redirect_uris
    broad_scopes: bool = False


def build(options: Options) -> Sandbox:
    """The sandbox that the options describe, not served yet."""
    client = Client(
        options.client_id,
        options.client_secret,
        tuple(options.redirect_uri),
        broad_scopes=options.broad_scopes,
    )
    return Sandbox(
        state_path=options.state,
        seed=options.seed,
        orgs=options.orgs,
        contacts=options.contacts,
        invoices=options.invoices,
        payments=options.payments,
        credit_notes=options.credit_notes,
        limits=not options.no_limits,
        per_day=options.per_day,
        clients=[client],
    )


def run(options: Options) -> None:
    """Serves until SIGTERM or Ctrl-C; says its address on the first line of output."""
    sandbox = build(options)
    # A large history is never garbage; looking through it would slow single answers down.
    gc.freeze()
    server = sandbox.serve(options.host, options.port)
    sys.stdout.write(f"Xero sandbox on {server.url}\n")
    sys.stdout.flush()
    try:
        serve_until_told(server)
    finally:
        sandbox.close()
