"""`python -m psaltery.adapters.xero.sandbox --port 9100 --orgs 3 --invoices 100 --contacts 20`."""

from pathlib import Path
from typing import Annotated

import typer

from psaltery.adapters.xero.sandbox.command import Options, run
from psaltery.adapters.xero.sandbox.limits import DAY
from psaltery.adapters.xero.sandbox.server import DEFAULT_CLIENT


def main(
    port: int = 0,
    host: str = "127.0.0.1",
    state: Annotated[Path | None, typer.Option(help="SQLite file that keeps the state.")] = None,
    seed: int = 1,
    orgs: int = 1,
    contacts: int = 0,
    invoices: int = 0,
    payments: int = 0,
    credit_notes: int = 0,
    no_limits: bool = False,
    per_day: int = DAY,
    client_id: str = DEFAULT_CLIENT.id,
    client_secret: str = DEFAULT_CLIENT.secret,
    redirect_uri: Annotated[list[str] | None, typer.Option()] = None,
    broad_scopes: Annotated[bool, typer.Option(help="An app made before March 2026.")] = False,
) -> None:
    """Emulates Xero's identity service and Accounting API under one address."""
    run(
        Options(
            port=port,
            host=host,
            state=state,
            seed=seed,
            orgs=orgs,
            contacts=contacts,
            invoices=invoices,
            payments=payments,
            credit_notes=credit_notes,
            no_limits=no_limits,
            per_day=per_day,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=tuple(redirect_uri or DEFAULT_CLIENT.redirect_uris),
            broad_scopes=broad_scopes,
        )
    )


if __name__ == "__main__":
    typer.run(main)
