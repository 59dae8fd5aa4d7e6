"""`psaltery check`: is this installation right, and what to do when it is not."""

from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, as_json

if TYPE_CHECKING:
    from psaltery.installation import Finding

MARKS = {"ok": "✓", "note": "–", "problem": "✗"}


def check(
    strict: Annotated[bool, typer.Option("--strict", help="Count notes as problems too.")] = False,
    json: Json = False,
) -> None:
    """Look over this installation. Exit 0: right; 1: problems; 4: no database."""
    from psaltery import startup

    # Without `working`: that needs the database, whose absence is one of the findings.
    env = startup.prepare()
    startup.set_up_django()
    from psaltery import installation

    findings = installation.examine(env)
    if json:
        typer.echo(as_json([finding.as_dict() for finding in findings]))
    else:
        _print(findings)
    levels = {finding.level for finding in findings}
    # Before the problems: a script waits for a database, and gives up on a wrong setting.
    if installation.unreachable(findings):
        raise typer.Exit(ExitCode.UNREACHABLE)
    # Notes are choices that may be meant; a deployment that wants none of them says --strict.
    if "problem" in levels or (strict and "note" in levels):
        raise typer.Exit(ExitCode.PROBLEMS)


def _print(findings: "list[Finding]") -> None:
    for finding in findings:
        typer.echo(f"{MARKS[finding.level]} {finding.subject}: {finding.text}")
        if finding.remedy:
            typer.echo(f"    → {finding.remedy}")
