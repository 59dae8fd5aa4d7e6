"""`psaltery organisations`: what each set of books wants, its schedule, what will miss its lock."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Organisation
    from psaltery.sync.organisations import Wanted

app = typer.Typer(
    help="Settings, schedule and next lock of each organisation.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name or number of the organisation.")]
LIST_ROWS = {
    "number": "Number",
    "name": "Organisation",
    "connection": "Connection",
    "lock": "Locked documents",
    "locked_until": "Locked up to",
    "paused": "Paused",
}
FEED_ROWS = {"feed": "Feed", "every": "Every", "state": "State", "next": "Next run"}
CAUSE_ROWS = {"documents": "Documents", "money": "Money", "sentence": "Why"}


@app.command("list")
def list_(json: Json = False) -> None:
    """List the organisations and sites that are synced."""
    with working(json=json):
        rows = [_row(one) for one in _all()]
        show_rows(rows, LIST_ROWS, json=json, empty="Nothing is connected yet.")


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show the settings of one organisation, and when each feed is read next."""
    with working(json=json):
        _show(_one(name, json=json), json=json)


@app.command("set")
def set_(
    name: Name,
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE...", help="Settings as `show` names them."),
    ] = None,
    lock: Annotated[
        str, typer.Option(help="Documents dated in a locked period: hold, draft or next_day.")
    ] = "",
    next_lock: Annotated[
        str, typer.Option(help="Next lock expected up to this day; none: the end of the month.")
    ] = "",
    every: Annotated[
        list[str] | None,
        typer.Option(help="FEED=MINUTES, 5 to 1440; FEED may be `all`. Several allowed."),
    ] = None,
    calls: Annotated[int | None, typer.Option(help="Calls a minute, at most.")] = None,
    json: Json = False,
) -> None:
    """Change settings of one organisation; audited, and obeyed at once."""
    with working(json=json):
        from psaltery.sync import organisations

        row = _one(name, json=json)
        values = dict(_pair(text, json=json) for text in given or ())
        values |= {"lock": lock} if lock else {}
        values |= {"next_lock_on": next_lock} if next_lock else {}
        # One call with all of it: saved together, or refused together.
        changed = organisations.change(row, _wanted(row, values, every or [], calls, json=json))
        show_facts({"changed": changed.words, "decided_again": changed.released}, json=json)


@app.command()
def forecast(name: Annotated[str, typer.Argument()] = "", json: Json = False) -> None:
    """What is dated up to the next lock and not in the books, and its money. Exit 3 if any."""
    with working(json=json):
        from psaltery.posting import forecast as forecasting

        rows = [_one(name, json=json)] if name else _books()
        found = [forecasting.as_data(one) for one in forecasting.forecasts(rows)]
        if json:
            show_rows(found, {}, json=True)
        for one in () if json else found:
            _say_forecast(one)
    # So that a script of the last days of a month can warn somebody.
    if any(one["documents"] for one in found):
        raise typer.Exit(ExitCode.NEEDS_PERSON)


def _say_forecast(one: dict[str, Any]) -> None:
    until = f"locked up to {one['locked_until']}" if one["locked_until"] else "not locked"
    typer.echo(
        f"{one['organisation']}: {until}, next lock up to {one['next_lock']}: "
        f"{one['documents']} documents worth {_money(one['money'])} will miss it."
    )
    causes = [{**cause, "money": _money(cause["money"])} for cause in one["causes"]]
    if causes:
        show_rows(causes, CAUSE_ROWS, json=False)


def _money(sums: dict[str, str]) -> str:
    return " + ".join(f"{sum_} {currency}" for currency, sum_ in sums.items()) or "nothing"


def _all() -> list["Organisation"]:
    from psaltery.connections.models import Organisation

    rows = Organisation.objects.filter(chosen=True).select_related("connection")
    return list(rows.order_by("name", "pk"))


def _books() -> list["Organisation"]:
    from psaltery.adapters import registry
    from psaltery.adapters.contract import Role

    # Only books are locked; a PSA site has no period to miss.
    kinds = {manifest.kind for manifest in registry.manifests(Role.BOOKS)}
    return [one for one in _all() if one.connection.kind in kinds]


def _one(name: str, *, json: bool) -> "Organisation":
    rows = _all()
    # Numbers as well: two organisations may have one name.
    found = [one for one in rows if name in (str(one.pk), one.name)]
    if len(found) != 1:
        known = ", ".join(f"{one.name} ({one.pk})" for one in rows) or "none"
        stop(f"No single organisation is “{name}”. Known: {known}.", ExitCode.USAGE, json=json)
    return found[0]


def _row(one: "Organisation") -> dict[str, object]:
    from psaltery.posting.forecast import lock_of
    from psaltery.posting.policy import read_policy

    return {
        "number": one.pk,
        "name": one.name,
        "connection": one.connection.name,
        "lock": read_policy(one.settings).lock,
        "locked_until": lock_of(one),
        "paused": one.paused,
    }


def _show(one: "Organisation", *, json: bool) -> None:
    from psaltery.posting.policy import read_policy, stored_policy
    from psaltery.sync.organisations import interval_text

    settings = stored_policy(read_policy(one.settings))
    feeds = [
        {
            "feed": feed.name,
            "every": interval_text(feed.seconds),
            "seconds": feed.seconds,
            "state": feed.state,
            "next": feed.due_at,
        }
        for feed in one.feeds.order_by("pk")
    ]
    if json:
        show_facts({**_row(one), "settings": settings, "feeds": feeds}, json=True)
        return
    show_facts({**_row(one), **settings}, json=False)
    typer.echo()
    show_rows(feeds, FEED_ROWS, json=False, empty="It has no feeds.")


def _pair(text: str, *, json: bool) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        stop(f"{text!r} is no NAME=VALUE.", ExitCode.USAGE, json=json)
    return name, value


def _wanted(
    row: "Organisation", values: dict[str, str], every: list[str], calls: int | None, *, json: bool
) -> "Wanted":
    from psaltery.sync.forms import policy_with
    from psaltery.sync.organisations import Wanted

    # By the page's form: both accept the same values, with the same words.
    policy = policy_with(row, values) if values else None
    seconds: dict[str, int] = {}
    names = list(row.feeds.values_list("name", flat=True))
    for text in every:
        feed, minutes = _pair(text, json=json)
        if not minutes.isdecimal() or feed not in (*names, "all"):
            say(f"Feeds: {', '.join(names)}.", json=json)
            stop(f"{text!r} is no FEED=MINUTES.", ExitCode.USAGE, json=json)
        # Later words win: "all=60 invoices=5" sets one apart from the rest.
        seconds |= dict.fromkeys(names if feed == "all" else [feed], int(minutes) * 60)
    return Wanted(policy, seconds, calls)
