"""The command `psaltery`: puts the groups of `psaltery.commands` together, and no more."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from psaltery.commands import (
    alerts,
    audit,
    backfill,
    budgets,
    check,
    connections,
    contacts,
    customers,
    demo,
    django,
    documents,
    exceptions,
    items,
    mapping,
    notifications,
    organisations,
    payments,
    people,
    rmm,
    sandbox,
    serve,
    sync,
    tieout,
    webhooks,
)
from psaltery.commands.printing import ExitCode

app = typer.Typer(
    name="psaltery",
    help="Keeps an MSP's PSA and its books in tune.",
    no_args_is_help=True,
    add_completion=False,
    # Its tracebacks may show local variables, and those may hold secrets.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "run": serve.run,
    "web": serve.web,
    "worker": serve.worker,
    "migrate": serve.migrate,
    "check": check.check,
    "demo": demo.demo,
    "status": sync.status,
    "pull": sync.pull,
    "post": sync.post,
    "tieout": tieout.tieout,
}

GROUPS = {
    "customers": customers.app,
    "alerts": alerts.app,
    "rmm": rmm.app,
    "people": people.app,
    "connections": connections.app,
    "contacts": contacts.app,
    "organisations": organisations.app,
    "documents": documents.app,
    "exceptions": exceptions.app,
    "items": items.app,
    "mapping": mapping.app,
    "payments": payments.app,
    "audit": audit.app,
    "backfill": backfill.app,
    "budgets": budgets.app,
    "notifications": notifications.app,
    "sandbox": sandbox.app,
    "webhooks": webhooks.app,
}

for name, command in COMMANDS.items():
    app.command(name)(command)
app.command("django", context_settings=django.PASS_ON)(django.django)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("psaltery"))
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Options before the command. `--parent` ties a process to the one that started it."""
    if parent is not None:
        from psaltery import processes

        processes.die_with(parent)


def main() -> None:
    """Runs the command line; what a person can mend is said in a sentence, not a traceback."""
    from procrastinate.exceptions import ConnectorException
    from psycopg import OperationalError

    from psaltery.database import DatabaseUnavailable
    from psaltery.environment import BadEnvironment
    from psaltery.startup import SchemaBehind

    try:
        app()
    except BadEnvironment as error:
        _fail(str(error), ExitCode.USAGE)
    except SchemaBehind as error:
        _fail(str(error), ExitCode.NEEDS_PERSON)
    except (DatabaseUnavailable, OperationalError, ConnectorException) as error:
        _fail(f"Database: {error}", ExitCode.UNREACHABLE)


def _fail(text: str, code: ExitCode) -> None:
    typer.echo(text.strip(), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
