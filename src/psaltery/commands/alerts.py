"""`psaltery alerts`: what is worth a look about customers and sources, and its limits."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.signals.models import Alert

app = typer.Typer(help="List, settle and tune alerts.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The alert's number.")]
Note = Annotated[str, typer.Option(help="Why.")]
BY = "command line"

ROWS = {
    "id": "No.",
    "signal": "Signal",
    "customer": "Customer",
    "severity": "Severity",
    "sentence": "Alert",
    "money": "Money",
    "opened_at": "Since",
}
EVIDENCE = {"kind": "Kind", "label": "Row", "detail": "Detail", "day": "Day", "amount": "Amount"}
SIGNALS = {"signal": "Signal", "open": "Open", "money": "Money", "not_checked": "Not checked"}


@app.command("list")
def list_(
    signal: Annotated[str, typer.Option(help="Only this signal.")] = "",
    customer: Annotated[int | None, typer.Option(help="A customer's number.")] = None,
    state: Annotated[
        str, typer.Option(help="open, acknowledged, snoozed, resolved, all.")
    ] = "open",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to show.")] = 100,
    json: Json = False,
) -> None:
    """List alerts, the gravest first."""
    with working(json=json):
        from psaltery.signals import queries
        from psaltery.signals.models import Alert

        # A misspelt state would find nothing, and "Nothing to look at" would read as good news.
        if state not in (*Alert.State.values, "all"):
            stop(f"There is no state {state!r}.", ExitCode.USAGE, json=json)
        wanted = {"signal": signal, "customer": customer, "state": "" if state == "all" else state}
        rows = queries.alerts().filter(**{name: one for name, one in wanted.items() if one})
        # Programs get the sums apart, people one cell; neither gets a sum over currencies.
        found = [queries.as_data(row) for row in rows.order_by("-severity", "-pk")[:most]]
        shown = [{**row, "money": " + ".join(row["money"])} for row in found]
        show_rows(found if json else shown, ROWS, json=json, empty="Nothing to look at.")


@app.command()
def show(number: Number, json: Json = False) -> None:
    """Show an alert with its money and the rows behind it."""
    with working(json=json):
        from psaltery.signals import queries

        data = queries.as_data(_alert(number, json=json), evidence=True)
        if json:
            show_facts(data, json=True)
            return
        # Taken out for people: hundreds of rows among the facts would hide them.
        rows = data.pop("evidence")
        show_facts(data, json=False)
        say("")
        show_rows(
            [{name: row.get(name) for name in EVIDENCE} for row in rows], EVIDENCE, json=False
        )


def _alert(number: int, *, json: bool) -> "Alert":
    from psaltery.signals import queries

    found = queries.alerts().filter(pk=number).first()
    if found is None:
        stop(f"There is no alert {number}.", ExitCode.USAGE, json=json)
    return found


@app.command()
def acknowledge(number: Number, note: Note = "", json: Json = False) -> None:
    """Somebody deals with it: it is told no more until it gets graver or is over."""
    with working(json=json):
        from psaltery.signals import service

        service.acknowledge(_alert(number, json=json), BY, note)
        say(f"Alert {number} is acknowledged.", json=json)


@app.command()
def snooze(
    number: Number,
    days: Annotated[int, typer.Option(min=1, max=365, help="For how long.")] = 7,
    note: Note = "",
    json: Json = False,
) -> None:
    """Put an alert aside for some days."""
    with working(json=json):
        from psaltery.kit.clock import now
        from psaltery.signals import service

        service.snooze_until(_alert(number, json=json), now() + timedelta(days=days), BY, note)
        say(f"Alert {number} is snoozed for {days} days.", json=json)


@app.command()
def reopen(number: Number, json: Json = False) -> None:
    """An alert waits for somebody again."""
    with working(json=json):
        from psaltery.signals import service

        service.reopen(_alert(number, json=json), BY)
        say(f"Alert {number} is open.", json=json)


@app.command()
def look(json: Json = False) -> None:
    """Look for every signal now; how many subjects each found, and what was not checked.

    Ends with 3 when something could not be checked.
    """
    with working(json=json):
        from psaltery.signals import queries, service

        service.look()
        found = [
            {
                "signal": one.signal.code,
                # Nothing could be judged: a zero here would read as all well.
                "open": None if one.is_blind else one.open,
                "money": [f"{amount:.2f} {currency}" for amount, currency in one.money],
                "not_checked": one.not_checked,
            }
            for one in queries.standings()
        ]
        shown = [{name: _text(value) for name, value in row.items()} for row in found]
        show_rows(found if json else shown, SIGNALS, json=json)
        if any(row["not_checked"] for row in found):
            # For monitoring: what was not checked must not look like what was found well.
            raise typer.Exit(ExitCode.NEEDS_PERSON)


def _text(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value


@app.command()
def limits(
    name: Annotated[str, typer.Argument(help="The limit to set; none: list all.")] = "",
    value: Annotated[str, typer.Argument(help="Its value, or default.")] = "",
    json: Json = False,
) -> None:
    """List the limits at which signals fire, or set one."""
    with working(json=json):
        from psaltery.signals import service
        from psaltery.signals.thresholds import LIMITS

        # A limit first, the list afterwards: the answer shows what holds from now on.
        if name:
            service.set_limit(name, _number(value, json=json))
        now = service.limits_now()
        rows = [
            {
                "name": limit.name,
                "value": f"{getattr(now, limit.name).normalize():f}",
                "signal": limit.signal,
                "label": limit.label,
            }
            for limit in LIMITS
        ]
        columns = {"name": "Limit", "value": "Value", "signal": "Signal", "label": "Meaning"}
        show_rows(rows, columns, json=json)


def _number(text: str, *, json: bool) -> Decimal | None:
    if text == "default":
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        stop("Give a number, or default.", ExitCode.USAGE, json=json)
    # Python reads "NaN" and "Infinity" as numbers; a limit of that kind would never fire.
    if not number.is_finite():
        stop("Give a number, or default.", ExitCode.USAGE, json=json)
    return number
