"""`psaltery webhooks`: what vendors told us by themselves, again, tested, and with which key."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from psaltery.connections.models import Connection
    from psaltery.inbound.models import ConnectWiseEvent, XeroEvent

app = typer.Typer(no_args_is_help=True, help="Webhooks and callbacks: events, replay, test, keys.")

Name = Annotated[str, typer.Argument(help="Name or number of the connection.")]
ROWS = {
    "id": "Id",
    "received_at": "Received",
    "category": "About",
    "action": "What",
    "external_id": "Record",
    "organisation": "Organisation",
    "outcome": "Led to",
    "replayed_at": "Replayed",
}
TEST_ROWS = {"ok": "", "name": "What", "detail": ""}
# As on the page: feeds go back to the oldest event, so more events bring nothing more.
MOST_REPLAYED = 10_000
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.command("list")
def list_(
    connection: Name,
    category: Annotated[str, typer.Option(help="INVOICE, CONTACT, Ticket, …")] = "",
    since: Annotated[str, typer.Option(help="30m, 6h, 2d, or a moment in ISO format.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    json: Json = False,
) -> None:
    """List events, the newest first, after how the connection's webhooks are."""
    with working(json=json):
        from psaltery.inbound import queries

        found = _found(connection, json=json)
        state = queries.standing(found)
        events = _events(found, category, since, json=json)[:limit]
        if not json:
            typer.echo(f"{state.word}. {state.sentence} {state.remedy}".strip())
        rows = [_row(one) for one in events]
        show_rows(rows, ROWS, json=json, empty="No events.")


@app.command()
def replay(
    connection: Name,
    event: Annotated[list[int] | None, typer.Option("--id", help="This event; repeatable.")] = None,
    category: Annotated[str, typer.Option(help="Only of this type.")] = "",
    since: Annotated[str, typer.Option(help="30m, 6h, 2d, or a moment in ISO format.")] = "",
    json: Json = False,
) -> None:
    """Have what events were about read again, ahead of everything else. Give --id or --since."""
    with working(json=json):
        from psaltery.sync.replay import replay as replay_events

        # Without either it would be all events ever kept, and the feeds would be read from far
        # back.
        if not event and not since:
            stop("Say which events: --id or --since.", ExitCode.USAGE, json=json)
        found = _found(connection, json=json)
        events = _events(found, category, since, json=json)
        if event:
            events = events.filter(pk__in=event)
        done = replay_events(found, events[:MOST_REPLAYED])
        facts = {"events": done.events, "feeds": done.feeds, "busy_feeds": done.busy}
        show_facts(facts, json=json)
    # Not all was replayed: a script should try again.
    if done.busy:
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command("test")
def examine(connection: Name, json: Json = False) -> None:
    """Send ourselves deliveries at the public address; for ConnectWise, look at the callbacks."""
    with working(json=json):
        from psaltery.inbound import selftest

        lines = selftest.test(_found(connection, json=json))
        rows: list[Mapping[str, object]] = [
            {
                "ok": one.ok if json else "✓" if one.ok else "✗",
                "name": one.name,
                "detail": one.detail,
            }
            for one in lines
        ]
        show_rows(rows, TEST_ROWS, json=json)
    if not all(one.ok for one in lines):
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command()
def key(
    connection: Name,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Add the key in this file."),
    ] = None,
    remove: Annotated[str, typer.Option(help="Remove the key that ends so.")] = "",
    json: Json = False,
) -> None:
    """List the signing keys of Xero's webhooks, add one, remove one; two at once at most."""
    with working(json=json):
        from psaltery.inbound import keys

        found = _found(connection, json=json)
        if file:
            keys.add(found, file.read_text(encoding="utf-8"))
        for row in keys.of(found):
            # By its last letters: the key itself is never shown again.
            if remove and row.hint == remove:
                keys.remove(row)
        columns = {"hint": "Ends in", "added_at": "Added", "used_at": "Last used"}
        rows = [
            {"hint": row.hint, "added_at": row.added_at, "used_at": row.used_at}
            for row in keys.of(found)
        ]
        show_rows(rows, columns, json=json, empty="No signing key: changes are found by polling.")


@app.command("real-time")
def real_time_(
    connection: Name,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Turn callbacks on or off.")] = None,
    json: Json = False,
) -> None:
    """Say whether ConnectWise calls us, or turn it on or off."""
    with working(json=json):
        from psaltery.inbound import real_time

        found = _found(connection, json=json)
        if found.kind != real_time.KIND:
            stop(f"{found.name} is no ConnectWise connection.", ExitCode.USAGE, json=json)
        # To ask makes no call; to switch changes callbacks at ConnectWise.
        row = real_time.of(found) if on is None else real_time.switch(found, on)
        facts = {
            "wanted": row.wanted,
            "types": row.types,
            "address": row.address,
            "problem": row.problem or real_time.unreachable(found),
            "checked_at": row.checked_at,
        }
        show_facts(facts, json=json)


def _found(text: str, *, json: bool) -> "Connection":
    from psaltery.connections.models import Connection
    from psaltery.inbound import queries

    known = Connection.objects.filter(kind__in=queries.KINDS)
    # The name first: a connection may be called by a number.
    found = known.filter(name=text).first()
    if found is None and text.isdecimal():
        found = known.filter(pk=int(text)).first()
    if found is None:
        names = ", ".join(known.values_list("name", flat=True)) or "none"
        stop(f"No connection {text!r} has webhooks. There are: {names}.", ExitCode.USAGE, json=json)
    return found


def _events(
    connection: "Connection", category: str, since: str, *, json: bool
) -> "QuerySet[XeroEvent] | QuerySet[ConnectWiseEvent]":
    from psaltery.inbound import queries

    rows = queries.events(connection).order_by("-pk")
    if category:
        rows = rows.filter(category__iexact=category)
    if since:
        rows = rows.filter(received_at__gte=_moment(since, json=json))
    return rows


def _moment(text: str, *, json: bool) -> datetime:
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and unit in _UNITS:
        return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        said = f"{text!r} is no moment: say 30m, 6h, 2d or 2026-11-21T10:00."
        stop(said, ExitCode.USAGE, json=json)
    # UTC, as the list shows its moments to programs.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row(event: "XeroEvent | ConnectWiseEvent") -> Mapping[str, object]:
    organisation = getattr(event, "organisation", None)
    return {
        "id": event.pk,
        "received_at": event.received_at,
        "category": event.category,
        "action": event.action,
        "external_id": event.external_id,
        "organisation": organisation.name if organisation else getattr(event, "tenant_id", ""),
        "outcome": event.outcome,
        "replayed_at": event.replayed_at,
    }
