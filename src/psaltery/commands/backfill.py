"""`psaltery backfill`: read everything of an organisation again, as a job."""

from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Organisation
    from psaltery.sync.backfill import Progress
    from psaltery.sync.forecast import Estimate
    from psaltery.sync.models import Backfill

app = typer.Typer(
    help="Read everything again: estimate, start, pause, resume, cancel.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name or number of the organisation.")]
PART_ROWS = {"feed": "Feed", "state": "State", "read": "Read", "of": "Of", "failure": "Why"}


@app.command()
def start(
    name: Name,
    count: Annotated[bool, typer.Option("--count", help="Ask the vendor how many first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    json: Json = False,
) -> None:
    """Estimate the calls and the time, then read everything from the start, behind other work."""
    with working(json=json):
        from psaltery.sync import backfill

        row = _one(name, json=json)
        # Before the question: whoever answers it should know what it costs.
        reckoned = _estimate(row, count=count)
        if reckoned is not None:
            least = "at least " if reckoned.is_least else ""
            time = f"{reckoned.minutes} minutes, on {reckoned.days} days"
            say(f"{row.name}: {least}{reckoned.calls} calls, {time}.", json=json)
        # Programs can't answer a question; on a terminal a slip would cost the calls of a day.
        if not (yes or json):
            typer.confirm("Read everything again?", abort=True, err=True)
        backfill.begin(row, reckoned)
        _show(row, json=json)


@app.command()
def pause(name: Name, json: Json = False) -> None:
    """Stop after the page that is being read, at a checkpoint."""
    with working(json=json):
        from psaltery.sync import backfill

        row = _one(name, json=json)
        backfill.pause(_open(row, json=json))
        _show(row, json=json)


@app.command()
def resume(name: Name, json: Json = False) -> None:
    """Go on from the checkpoints."""
    with working(json=json):
        from psaltery.sync import backfill

        row = _one(name, json=json)
        backfill.resume(_open(row, json=json))
        _show(row, json=json)


@app.command()
def cancel(name: Name, json: Json = False) -> None:
    """Go no further: what was read stays, and feeds go on from where they stood before."""
    with working(json=json):
        from psaltery.sync import backfill

        row = _one(name, json=json)
        backfill.cancel(_open(row, json=json))
        _show(row, json=json)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """How far it is, and when it is expected to end."""
    with working(json=json):
        _show(_one(name, json=json), json=json)


def _one(name: str, *, json: bool) -> "Organisation":
    from psaltery.connections.models import Organisation

    rows = list(Organisation.objects.filter(chosen=True).select_related("connection"))
    # Numbers as well: two organisations may have one name.
    found = [one for one in rows if name in (str(one.pk), one.name)]
    if len(found) != 1:
        known = ", ".join(f"{one.name} ({one.pk})" for one in rows) or "none"
        stop(f"No single organisation is “{name}”. Known: {known}.", ExitCode.USAGE, json=json)
    return found[0]


def _estimate(row: "Organisation", *, count: bool) -> "Estimate | None":
    """None for a PSA: no day limits its calls."""
    from psaltery.adapters import registry
    from psaltery.adapters.contract import Role
    from psaltery.sync import estimate

    if registry.manifest(row.connection.kind).role != Role.BOOKS:
        return None
    # To count costs calls as well, so only where it was asked for.
    return estimate.counted(row) if count else estimate.known(row)


def _open(row: "Organisation", *, json: bool) -> "Backfill":
    from psaltery.sync import backfill

    found = backfill.of(row)
    if found is None:
        stop(f"{row.name} has no back-fill that is open.", ExitCode.USAGE, json=json)
    return found


def _show(row: "Organisation", *, json: bool) -> None:
    from psaltery.sync import backfill

    found = backfill.progress(row)
    if found is None:
        stop(f"{row.name} never had a back-fill.", ExitCode.USAGE, json=json)
    facts = _facts(found)
    parts = [
        {
            "feed": part.name,
            "state": part.state,
            "read": part.done,
            "of": part.total,
            "failure": part.failure,
        }
        for part in found.parts
    ]
    if json:
        show_facts({**facts, "feeds": parts}, json=True)
        return
    show_facts(facts, json=False)
    typer.echo()
    show_rows(parts, PART_ROWS, json=False)


def _facts(found: "Progress") -> dict[str, object]:
    return {
        "organisation": found.row.organisation.name,
        "state": found.row.state,
        "begun": found.row.asked_at,
        "by": found.row.asked_by,
        "calls": found.row.calls,
        "read": found.done,
        "of": found.total,
        "bytes": found.bytes_expected,
        "expected_to_end": found.ends_at,
        "finished": found.row.finished_at,
    }
