"""`psaltery audit`: search, export and verify the audit log."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.audit.queries import Search

app = typer.Typer(help="Search, export and verify the audit log.", no_args_is_help=True)

Text = Annotated[str, typer.Argument(help="Words to find; empty finds everything.")]
Since = Annotated[str, typer.Option(help="First day or moment, such as 2026-11-21 (UTC).")]
Until = Annotated[str, typer.Option(help="The day or moment before which, not included.")]
Kind = Annotated[str, typer.Option(help="request, decision, change or sign_in.")]
Type = Annotated[
    str,
    typer.Option("--type", help="invoice, credit_memo, bill, expense, purchase_order, payment."),
]
System = Annotated[str, typer.Option(help="xero, connectwise, …")]
Organisation = Annotated[int | None, typer.Option(help="An organisation's number.")]
Document = Annotated[str, typer.Option(help="A document's number.")]
Customer = Annotated[str, typer.Option(help="A customer's name.")]
Actor = Annotated[str, typer.Option(help="An e-mail address, worker, or command line.")]
Failed = Annotated[bool, typer.Option("--failed", help="Failures only.")]

ROWS = {
    "at": "When",
    "actor": "Who",
    "system": "System",
    "organisation": "Organisation",
    "operation": "What",
    "status": "Status",
    "sentence": "Sentence",
}


@app.command()
def search(
    text: Text = "",
    since: Since = "",
    until: Until = "",
    kind: Kind = "",
    type_: Type = "",
    system: System = "",
    organisation: Organisation = None,
    document: Document = "",
    customer: Customer = "",
    actor: Actor = "",
    failed: Failed = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Entries to show.")] = 50,
    json: Json = False,
) -> None:
    """Show the newest matching entries."""
    with working(json=json):
        from psaltery.audit import queries

        wanted = queries.Search(
            text=text,
            since=_moment(since, json=json),
            until=_moment(until, json=json),
            kind=kind,
            document_kind=type_,
            system=system,
            organisation_id=organisation,
            document=document,
            customer=customer,
            actor=actor,
            failed=failed or None,
        )
        found = queries.page(wanted, size=most)
        # Without the bodies: a table of them would be unreadable, and each is a `show` away.
        names = [name for name in queries.EXPORT_FIELDS if name not in ("request", "response")]
        rows = [{name: getattr(entry, name) for name in names} for entry in found]
        show_rows(rows, ROWS, json=json, empty="No entry matches.")


@app.command()
def export(
    text: Text = "",
    since: Since = "",
    until: Until = "",
    kind: Kind = "",
    type_: Type = "",
    system: System = "",
    organisation: Organisation = None,
    document: Document = "",
    customer: Customer = "",
    actor: Actor = "",
    failed: Failed = False,
    json: Json = False,
) -> None:
    """Write all matching entries with their bodies to standard output: CSV, or JSON with --json."""
    with working(json=json):
        from psaltery.audit import queries

        _write(
            queries.Search(
                text=text,
                since=_moment(since, json=json),
                until=_moment(until, json=json),
                kind=kind,
                document_kind=type_,
                system=system,
                organisation_id=organisation,
                document=document,
                customer=customer,
                actor=actor,
                failed=failed or None,
            ),
            json=json,
        )


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="The entry's number.")], json: Json = False
) -> None:
    """Show one entry with its request and response."""
    with working(json=json):
        from psaltery.audit import queries

        entry = queries.entry(number)
        if entry is None:
            stop(f"There is no entry {number}.", ExitCode.USAGE, json=json)
        show_facts({name: getattr(entry, name) for name in queries.EXPORT_FIELDS}, json=json)


@app.command()
def verify(
    since: Annotated[str, typer.Option("--from", help="First day or moment, UTC.")] = "",
    until: Annotated[str, typer.Option("--to", help="The day or moment before which.")] = "",
    anchor: Annotated[
        str, typer.Option(help="A head that was noted earlier, such as 4711:3f9a….")
    ] = "",
    json: Json = False,
) -> None:
    """Look whether any entry was changed, removed or put in after it was sealed.

    Ends with 0 when none was, and with 1 otherwise. The last line is the head: note it elsewhere,
    and give it as --anchor later, to find a log that was rewritten as a whole.
    """
    with working(json=json):
        from psaltery.audit import chain
        from psaltery.audit.verify import Period
        from psaltery.audit.verify import verify as look

        # First, so that the entries of the last minute are verified too.
        chain.seal()
        period = Period(_moment(since, json=json), _moment(until, json=json))
        found = look(period, anchor)
        facts = {
            "entries": found.entries,
            "blocks": found.blocks,
            "not_sealed_yet": found.unsealed,
            "seconds": round(found.took_ms / 1000, 1),
            "problems": found.count,
            "head": found.head,
        }
        rows = found.problems
        show_facts(facts | ({"found": rows} if json else {}), json=json)
        if not json and rows:
            show_rows(rows, {"kind": "Problem", "id": "No.", "sentence": "What"}, json=False)
        raise typer.Exit(ExitCode.PROBLEMS if found.count else ExitCode.OK)


def _write(wanted: "Search", *, json: bool) -> None:
    from psaltery.audit import queries

    if json:
        for part in queries.json_lines(wanted):
            # Part by part: an export of years need not fit into memory.
            sys.stdout.buffer.write(part)
        return
    for line in queries.csv_lines(wanted):
        sys.stdout.write(line)


def _moment(text: str, *, json: bool) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        stop(f"{text!r} is no day or moment, such as 2026-11-21.", ExitCode.USAGE, json=json)
    # UTC, as the log is kept: the same command finds the same on every machine.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
