"""`psaltery exceptions`: what waits for a person, and the repairs that mend it."""

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.review.models import Card

app = typer.Typer(help="List, show and repair exceptions.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The exception's number.")]

ROWS = {
    "id": "No.",
    "code": "Code",
    "sentence": "Exception",
    "documents": "Documents",
    "blocks": "Blocks",
    "opened_at": "Since",
    "owner": "Owner",
}


@app.command("list")
def list_(
    code: Annotated[str, typer.Option(help="Only this code.")] = "",
    organisation: Annotated[int | None, typer.Option(help="An organisation's number.")] = None,
    state: Annotated[str, typer.Option(help="open, snoozed, resolved or all.")] = "open",
    owner: Annotated[str, typer.Option(help="An e-mail address, or nobody.")] = "",
    by: Annotated[str, typer.Option(help="Order: money or age.")] = "money",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to show.")] = 100,
    json: Json = False,
) -> None:
    """List exceptions, the most money first."""
    # A misspelt word would find nothing, and "Nothing waits for a person" would be a lie.
    if state not in ("open", "snoozed", "resolved", "all"):
        stop(f"There is no state {state!r}.", ExitCode.USAGE, json=json)
    if by not in ("money", "age"):
        stop("Order by money or by age.", ExitCode.USAGE, json=json)
    with working(json=json):
        from psaltery.review import queries
        from psaltery.review.models import IS_EXCEPTION

        exact = {"code": code, "organisation": organisation, "owner__email": owner}
        exact["state"] = "" if state == "all" else state
        if owner == "nobody":
            exact |= {"owner__email": "", "owner__isnull": True}
        wanted = {name: one for name, one in exact.items() if one}
        rows = queries.cards().filter(IS_EXCEPTION, **wanted)
        # The number behind it keeps the order the same from one call to the next.
        order = ("-amount", "pk") if by == "money" else ("opened_at", "pk")
        found = [_row(card) for card in rows.order_by(*order)[:most]]
        show_rows(found, ROWS, json=json, empty="Nothing waits for a person.")


@app.command()
def show(number: Number, json: Json = False) -> None:
    """Show one exception: what happened, what to do, its repairs, what it blocks."""
    with working(json=json):
        from psaltery.review import queries
        from psaltery.review.catalogue import entry
        from psaltery.sync import repairs

        card = _one(number, json=json)
        offered = {
            name: {"label": one.label, "answers": list(one.asks)}
            for name, one in repairs.offered(card).items()
        }
        # The largest first: the list ends after 200.
        blocked = queries.blocked(card).order_by("-total").values_list("number", flat=True)
        known = entry(card.code)
        facts = {**_row(card), "title": known.title, "advice": known.advice}
        facts |= {"details": card.details, "repairs": offered, "blocked": list(blocked[:200])}
        facts |= {"comments": [f"{one.author}: {one.text}" for one in card.comments.order_by("pk")]}
        show_facts(facts, json=json)


@app.command()
def repair(
    number: Number,
    name: Annotated[str, typer.Argument(metavar="REPAIR", help="As `show` lists them.")],
    answer: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, such as target=200; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Carry out a repair and release what the exception blocked."""
    with working(json=json):
        from psaltery.audit.actor import actor
        from psaltery.sync import repairs

        card = _one(number, json=json)
        released = repairs.repair(card, name, _answers(answer or [], json=json), actor())
        # Read again: how it ended stands in the database.
        card.refresh_from_db()
        show_facts({"resolution": card.resolution, "released": released}, json=json)


@app.command()
def force(number: Number, json: Json = False) -> None:
    """Read the documents that an exception blocks from the PSA again, ahead of everything else."""
    with working(json=json):
        from psaltery.review import queries
        from psaltery.sync import force as forcing

        rows = list(queries.blocked(_one(number, json=json)).order_by("pk")[: forcing.MOST])
        if rows:
            forcing.documents(rows)
        show_facts({"forced": [row.number for row in rows]}, json=json)


@app.command()
def snooze(
    number: Number,
    until: Annotated[str, typer.Option(help="A day such as 2026-11-28; empty: tomorrow.")] = "",
    json: Json = False,
) -> None:
    """Put an exception aside until the morning (8:00 UTC) of a day."""
    with working(json=json):
        from psaltery.audit.actor import actor
        from psaltery.review import service

        card = _one(number, json=json)
        moment = _morning(until, json=json)
        service.snooze(card, moment, actor())
        show_facts({"id": card.pk, "snoozed_until": moment}, json=json)


@app.command()
def assign(
    number: Number,
    owner: Annotated[str, typer.Argument(help="An e-mail address, or nobody.")],
    json: Json = False,
) -> None:
    """Give an exception to a person."""
    with working(json=json):
        from psaltery.accounts.models import Person
        from psaltery.review import service

        card = _one(number, json=json)
        # Who may not sign in any more would never see it.
        person = Person.objects.filter(email=owner.strip().lower(), is_active=True).first()
        if person is None and owner != "nobody":
            stop(f"There is nobody with the address {owner}.", ExitCode.USAGE, json=json)
        service.assign(card, person.pk if person else None)
        show_facts({"id": card.pk, "owner": person.email if person else ""}, json=json)


@app.command()
def comment(
    number: Number,
    text: Annotated[str, typer.Argument(help="The remark, in quotes.")],
    json: Json = False,
) -> None:
    """Add a remark to an exception."""
    with working(json=json):
        from psaltery.audit.actor import actor
        from psaltery.review import service

        if not text.strip():
            stop("The remark is empty.", ExitCode.USAGE, json=json)
        made = service.comment(_one(number, json=json), actor(), text)
        show_facts({"id": number, "at": made.at, "text": made.text}, json=json)


def _one(number: int, *, json: bool) -> "Card":
    from psaltery.review import queries

    card = queries.cards().filter(pk=number).first()
    if card is None:
        stop(f"There is no exception {number}.", ExitCode.USAGE, json=json)
    return card


def _row(card: "Card") -> dict[str, object]:
    from psaltery.review import queries

    sums = [f"{amount:.2f} {currency}" for amount, currency in queries.money_of(card)]
    return {
        "id": card.pk,
        "code": card.code,
        "state": card.state,
        "severity": card.severity,
        "organisation": card.organisation.name if card.organisation else "",
        "sentence": card.sentence,
        "documents": getattr(card, "documents", 0),
        "blocks": ", ".join(sums),
        "opened_at": card.opened_at.isoformat(timespec="seconds"),
        "owner": card.owner.email if card.owner else "",
        "resolution": card.resolution,
        "resolved_by": card.resolved_by,
    }


def _answers(pairs: list[str], *, json: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            stop(f"{pair!r} is not NAME=VALUE.", ExitCode.USAGE, json=json)
        found[name.strip()] = value
    return found


def _morning(until: str, *, json: bool) -> datetime:
    from psaltery.kit.clock import now

    try:
        day = datetime.fromisoformat(until).date() if until else now().date() + timedelta(days=1)
    except ValueError:
        stop(f"{until!r} is no day, such as 2026-11-28.", ExitCode.USAGE, json=json)
    # In UTC: a command has no person, and so no time zone.
    moment = datetime.combine(day, time(8), UTC)
    if moment <= now():
        stop("Choose a day after today.", ExitCode.USAGE, json=json)
    return moment
