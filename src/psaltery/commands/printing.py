"""How commands speak: tables for people, JSON for programs, exit codes that mean something."""

import json
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ExitCode(IntEnum):
    """What the end of a command says. Documented in docs/install.md."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    NEEDS_PERSON = 3
    UNREACHABLE = 4


def as_json(value: object) -> str:
    """JSON text; dates, money and the like as their text, never as floats."""
    # Text and not floats: a cent must survive every program that reads it.
    return json.dumps(value, default=str, ensure_ascii=False, indent=2)


def as_json_line(value: object) -> str:
    """JSON text on one line, for what is told as it happens."""
    return json.dumps(value, default=str, ensure_ascii=False)


def show_rows(
    rows: Sequence[Mapping[str, object]],
    columns: Mapping[str, str],
    *,
    json: bool,
    empty: str = "Nothing.",
) -> None:
    """Prints rows: all their fields as a JSON list, or the named columns (field: heading)."""
    if json:
        typer.echo(as_json([dict(row) for row in rows]))
    elif not rows:
        typer.echo(empty)
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in columns.values():
            # Folded, not cut: the end of a sentence often says what to do.
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
        # Names from outside may hold brackets, which would be read as colours.
        Console().print(table, markup=False)


def show_facts(facts: Mapping[str, object], *, json: bool) -> None:
    """Prints one thing: a JSON object, or one line a fact."""
    if json:
        typer.echo(as_json(dict(facts)))
    else:
        width = max((len(name) for name in facts), default=0)
        for name, value in facts.items():
            typer.echo(f"{name.replace('_', ' '):<{width}}  {'' if value is None else value}")


def say(text: str, *, json: bool = False) -> None:
    """A remark for people, on standard error; none where JSON was asked for."""
    if not json:
        typer.echo(text, err=True)


def stop(text: str, code: ExitCode, *, json: bool = False) -> NoReturn:
    """Ends the command with a sentence that says what to do. Raises typer.Exit."""
    # As JSON it goes to standard output: a program reads one place, whatever happens.
    typer.echo(as_json({"error": text}) if json else text, err=not json)
    raise typer.Exit(code)


def progress(*, json: bool) -> Progress:
    """A progress display with counts, on standard error; silent where JSON was asked for."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=json,
    )
