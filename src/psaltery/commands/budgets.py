"""`psaltery budgets`: calls by organisation and day, limits, and what a back-fill takes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Organisation

app = typer.Typer(help="Calls used, limits, forecasts, estimates.", no_args_is_help=True)

Names = Annotated[
    list[str] | None,
    typer.Option("--organisation", "-o", help="Name or number; may be given several times."),
]
ROWS = {
    "organisation": "Organisation",
    "calls": "Calls today",
    "cap": "A day",
    "left": "Left",
    "forecast": "By midnight",
    "per_minute": "A minute",
    "waits_for": "Waits for",
    "until": "Until",
}
DAY_ROWS = {
    "day": "Day",
    "organisation": "Organisation",
    "calls": "Calls",
    "failed": "Refused",
    "bytes_in": "Bytes received",
    "bytes_out": "Bytes sent",
}
ESTIMATE_ROWS = {
    "organisation": "Organisation",
    "feed": "Feed",
    "records": "Records",
    "calls": "Calls",
}


@app.command("list")
def list_(organisation: Names = None, json: Json = False) -> None:
    """Today's calls of each organisation, what is left, and the forecast."""
    with working(json=json):
        from psaltery.sync import calls

        rows = _found(organisation, json=json)
        keys = [row.pk for row in rows]
        # For all at once: asked one by one, each organisation would cost its own queries.
        coming, waiting = calls.forecasts(keys), calls.pauses(keys)
        told = [_row(row, coming[row.pk], waiting.get(row.pk)) for row in rows]
        show_rows(told, ROWS, json=json, empty="No organisation is synced.")


@app.command()
def days(
    organisation: Names = None,
    last: Annotated[int, typer.Option(min=1, max=3660, help="How many days.")] = 30,
    json: Json = False,
) -> None:
    """Calls and bytes for each organisation and day (UTC), the newest first."""
    with working(json=json):
        from psaltery.kit.clock import now
        from psaltery.sync import calls

        wanted = {row.pk for row in _found(organisation, json=json)}
        first = now().date() - timedelta(days=last - 1)
        rows = [
            {
                "day": one.day.day,
                "organisation": one.organisation,
                "calls": one.day.calls,
                "failed": one.day.failed,
                "bytes_in": one.day.bytes_in,
                "bytes_out": one.day.bytes_out,
            }
            for one in calls.by_day(first)
            if one.organisation_id in wanted
        ]
        show_rows(rows, DAY_ROWS, json=json, empty="No calls.")


@app.command()
def estimate(
    organisation: Names = None,
    count: Annotated[
        bool, typer.Option("--count", help="Ask the vendor how many there are: a call a feed.")
    ] = False,
    json: Json = False,
) -> None:
    """What reading everything again would take, before `psaltery pull --full`."""
    with working(json=json):
        from psaltery.adapters import registry
        from psaltery.adapters.contract import Role
        from psaltery.sync import estimate as estimates

        rows: list[Mapping[str, object]] = []
        total = {"calls": 0, "minutes": 0, "days": 1}
        for one in _found(organisation, json=json):
            # The PSA has no cap by day, so there is nothing to reckon with.
            if registry.manifest(one.connection.kind).role != Role.BOOKS:
                continue
            found = estimates.counted(one) if count else estimates.known(one)
            rows += [
                {
                    "organisation": one.name,
                    "feed": part.name,
                    "records": part.records,
                    "calls": part.calls,
                }
                for part in found.parts
            ]
            total["calls"] += found.calls
            # Organisations are read side by side: each has a budget of its own.
            total["minutes"] = max(total["minutes"], found.minutes)
            total["days"] = max(total["days"], found.days)
        if json:
            show_facts({"feeds": rows, **total}, json=True)
        else:
            show_rows(rows, ESTIMATE_ROWS, json=False, empty="No books are connected.")
            show_facts(total, json=False)


@app.command("set")
def set_(
    organisation: Annotated[str, typer.Argument(help="Name or number of the organisation.")],
    per_minute: Annotated[int, typer.Option(help="Calls a minute that we make at most.")],
    json: Json = False,
) -> None:
    """Change how many calls a minute an organisation may make; Xero: 30 unless set, at most 60."""
    with working(json=json):
        from psaltery.sync import organisations

        (row,) = _found([organisation], json=json)
        changed = organisations.change(row, organisations.Wanted(per_minute=per_minute))
        show_facts({"organisation": row.name, "changed": "; ".join(changed.words)}, json=json)


def _row(row: "Organisation", coming: int, pause: object) -> Mapping[str, object]:
    from psaltery.sync import calls

    budget = calls.budget_of(row)
    return {
        "id": row.pk,
        "organisation": row.name,
        "calls": getattr(row, "calls", 0),
        "failed": getattr(row, "failed", 0),
        "bytes_in": getattr(row, "bytes_in", 0),
        "bytes_out": getattr(row, "bytes_out", 0),
        "cap": budget.day_cap if budget else None,
        "left": calls.left_of_day(budget),
        "forecast": coming,
        "per_minute": budget.per_minute if budget else None,
        "waits_for": getattr(pause, "limit", ""),
        "until": getattr(pause, "until", None),
    }


def _found(names: list[str] | None, *, json: bool) -> "list[Organisation]":
    from psaltery.sync import calls

    rows = list(calls.organisations().order_by("name"))
    if not names:
        return rows
    # A number wins over a name that looks like one: numbers are unique.
    known = {row.name.casefold(): row for row in rows} | {str(row.pk): row for row in rows}
    for name in names:
        if name.casefold() not in known:
            listed = ", ".join(row.name for row in rows[:20]) or "none"
            stop(f"No organisation “{name}”. Known: {listed}.", ExitCode.USAGE, json=json)
    return [known[name.casefold()] for name in names]
