"""Running the sandbox from a command line, by itself or from the project's own command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psaltery.adapters.connectwise.sandbox.access import ApiKey
from psaltery.adapters.connectwise.sandbox.site import CODEBASE, DEFAULT_KEY, Sandbox
from psaltery.adapters.sandboxing import decode, serve_until_told


@dataclass(frozen=True)
class Options:
    """How to run the sandbox. `client_ids` empty: any is taken. `faults`: rules as JSON."""

    host: str = "127.0.0.1"
    port: int = 0
    state: Path | None = None
    seed: int = 1
    company: str = "harbour"
    companies: int = 60
    invoices: int = 300
    limits: bool = True
    public_key: str = DEFAULT_KEY.public
    private_key: str = DEFAULT_KEY.private
    client_ids: tuple[str, ...] = ()
    codebase: str = CODEBASE
    faults: tuple[str, ...] = ()


def run(options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C. The first line printed is the address."""
    sandbox = Sandbox(
        state_path=options.state,
        seed=options.seed,
        company_id=options.company,
        companies=options.companies,
        invoices=options.invoices,
        limits=options.limits,
        keys=[ApiKey(options.public_key, options.private_key)],
        client_ids=options.client_ids or None,
        codebase=options.codebase,
    )
    for rule in options.faults:
        sandbox.control.faults.add(decode(rule))
    server = sandbox.start(options.host, options.port)
    sys.stdout.write(f"ConnectWise sandbox at {server.url}, company {options.company}\n")
    sys.stdout.flush()
    serve_until_told(server)
    sandbox.close()


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line."""
    default = Options()
    parser = argparse.ArgumentParser(prog="sandbox connectwise", description=__doc__)
    parser.add_argument("--host", default=default.host)
    parser.add_argument("--port", type=int, default=default.port)
    parser.add_argument("--state", type=Path, help="keep the state in this SQLite file")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--company", default=default.company, help="company id for signing in")
    parser.add_argument("--companies", type=int, default=default.companies)
    parser.add_argument("--invoices", type=int, default=default.invoices)
    parser.add_argument("--no-limits", dest="limits", action="store_false")
    parser.add_argument("--public-key", default=default.public_key)
    parser.add_argument("--private-key", default=default.private_key)
    parser.add_argument("--client-id", dest="client_ids", action="append", default=[])
    parser.add_argument("--codebase", default=default.codebase)
    parser.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        help="a rule as JSON, see /_control/faults",
    )
    given = vars(parser.parse_args(arguments))
    lists = {name: tuple(given[name]) for name in ("client_ids", "faults")}
    return Options(**given | lists)
