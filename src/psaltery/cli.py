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
    try:
        app()
    except Exception as error:
        code = _known(error)
        if code is None:
            raise
        said = f"Database: {error}" if code is ExitCode.UNREACHABLE else str(error)
        typer.echo(said.strip(), err=True)
        sys.exit(code)


def _known(error: Exception) -> ExitCode | None:
    """The exit code of what a person can mend."""
    # Loaded when something failed: the processes that only watch others stay small.
    from procrastinate.exceptions import ConnectorException
    from psycopg import OperationalError

    from psaltery.database import DatabaseUnavailable
    from psaltery.environment import BadEnvironment
    from psaltery.startup import SchemaBehind

    match error:
        case BadEnvironment():
            return ExitCode.USAGE
        case SchemaBehind():
            return ExitCode.NEEDS_PERSON
        case DatabaseUnavailable() | OperationalError() | ConnectorException():
            return ExitCode.UNREACHABLE
        case _:
            return None


if __name__ == "__main__":
    main()
