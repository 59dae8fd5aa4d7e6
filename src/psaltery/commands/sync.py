"""`psaltery status`, `pull` and `post`: how things stand, and the engine by hand.

In this process with progress, or `--wait`: queued for the worker, ahead of everything else, and
watched to its end.
"""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from psaltery.commands.printing import ExitCode, Json, progress, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Feed, Organisation

OrganisationOption = Annotated[
    list[str] | None,
    typer.Option("--organisation", "-o", help="Name or number; may be given several times."),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Let the worker do it, and wait until it has done so.")
]
# A first reading takes minutes to an hour; longer means that no worker runs.
WAIT_SECONDS = 3600
FEED_ROWS = {
    "organisation": "Organisation",
    "feed": "Feed",
    "state": "State",
    "done": "Read",
    "changed": "Changed",
    "finished_at": "Last",
    "due_at": "Next",
    "failure": "Why",
}
POST_ROWS = {
    "organisation": "Organisation",
    "written": "Written",
    "held": "Held",
    "waiting": "Waiting",
    "sentence": "",
}


def status(json: Json = False) -> None:
    """Say what is in step, what waits for a person and its money, and how the feeds are."""
    with working(json=json):
        from psaltery.sync.overview import overview

        found = overview()
        if json:
            show_facts(found, json=True)
        else:
            _say_status(found)
    if found["needs_person"]:
        raise typer.Exit(ExitCode.NEEDS_PERSON)


def _say_status(found: dict[str, Any]) -> None:
    show_facts(found["documents"], json=False)
    money = " + ".join(f"{amount} {currency}" for currency, amount in found["held_money"].items())
    typer.echo(f"{found['open_exceptions']} exceptions hold {money or 'nothing'}.")
    for problem in found["connections"]:
        typer.echo(f"{problem['name']}: {problem['reason']}")
    show_rows(found["feeds"], FEED_ROWS, json=False, empty="No feeds: connect a system first.")


def pull(
    organisation: OrganisationOption = None,
    feed: Annotated[
        list[str] | None, typer.Option("--type", "-t", help="Feed, e.g. invoices; several allowed.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Pass over everything again.")] = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Read what is new, now."""
    with working(json=json):
        feeds = _feeds(organisation, feed, json=json)
        if wait:
            _queue_feeds(feeds, full=full)
            _await_feeds(feeds, json=json)
        else:
            _read_feeds(feeds, full=full, json=json)
        rows = [_feed_row(one) for one in _fresh(feeds)]
        show_rows(rows, FEED_ROWS, json=json, empty="Nothing to read.")
    # One that waits for a limit is no failure: it goes on by itself.
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(ExitCode.PROBLEMS)


def post(organisation: OrganisationOption = None, wait: Wait = False, json: Json = False) -> None:
    """Post what waits, mark it in the PSA, and bring payments back, now."""
    with working(json=json):
        rows = [
            _post_by_worker(one, json=json) if wait else _post_here(one, json=json)
            for one in _organisations(organisation, json=json)
        ]
        show_rows(rows, POST_ROWS, json=json, empty="No books are connected.")
    if any(row["sentence"] for row in rows):
        raise typer.Exit(ExitCode.PROBLEMS)


def _organisations(names: list[str] | None, *, json: bool) -> list["Organisation"]:
    """Chosen organisations of books, all or the named ones."""
    from psaltery.adapters import registry
    from psaltery.adapters.contract import Role
    from psaltery.connections.models import Organisation

    kinds = [manifest.kind for manifest in registry.manifests(Role.BOOKS)]
    rows = Organisation.objects.filter(chosen=True, connection__kind__in=kinds)
    return _named(list(rows.select_related("connection")), names, json=json)


def _named(
    rows: list["Organisation"], names: list[str] | None, *, json: bool
) -> list["Organisation"]:
    if not names:
        return rows
    known = {row.name.casefold(): row for row in rows} | {str(row.pk): row for row in rows}
    for name in names:
        if name.casefold() not in known:
            listed = ", ".join(row.name for row in rows) or "none"
            stop(f"No organisation “{name}”. Known: {listed}.", ExitCode.USAGE, json=json)
    return [known[name.casefold()] for name in names]


def _feeds(organisations: list[str] | None, names: list[str] | None, *, json: bool) -> list["Feed"]:
    from psaltery.connections.models import Feed, Organisation

    chosen = Organisation.objects.filter(chosen=True).select_related("connection")
    rows = _named(list(chosen), organisations, json=json)
    feeds = Feed.objects.filter(organisation__in=rows).select_related("organisation")
    if names:
        known = set(feeds.values_list("name", flat=True))
        if unknown := set(names) - known:
            listed = ", ".join(sorted(known))
            stop(f"No feed {', '.join(unknown)}. Known: {listed}.", ExitCode.USAGE, json=json)
        feeds = feeds.filter(name__in=names)
    # System by system, so that the lines of progress can be followed.
    return list(feeds.order_by("organisation__connection__kind", "organisation", "pk"))


def _fresh(feeds: list["Feed"]) -> list["Feed"]:
    from psaltery.connections.models import Feed

    rows = Feed.objects.filter(pk__in=[feed.pk for feed in feeds])
    return list(rows.select_related("organisation").order_by("organisation__name", "pk"))


def _feed_row(feed: "Feed") -> dict[str, object]:
    return {
        "organisation": feed.organisation.name,
        "feed": feed.name,
        "state": feed.state,
        "done": feed.done,
        "changed": feed.changed,
        "finished_at": feed.finished_at,
        "due_at": feed.due_at,
        "failure": feed.failure,
    }


def _read_feeds(feeds: list["Feed"], *, full: bool, json: bool) -> None:
    from psaltery.adapters.budget import Priority
    from psaltery.adapters.errors import Failure
    from psaltery.connections.models import Feed
    from psaltery.sync import pull as engine

    if full:
        Feed.objects.filter(pk__in=[feed.pk for feed in feeds]).update(
            cursor=None, full_pass_at=None, running_full=False, started_at=None
        )
    with progress(json=json) as shown:
        task = shown.add_task("Reading", total=len(feeds))
        for feed in feeds:
            shown.update(task, description=f"{feed.organisation.name}: {feed.name}")
            try:
                # Short slices, so that Ctrl-C stops between two pages with the checkpoint kept.
                while engine.pull(feed.pk, Priority.INTERACTIVE, seconds=2):
                    pass
            except Failure as failure:
                # Kept on the feed; the others are still read, and the table tells.
                say(f"{feed.organisation.name}, {feed.name}: {failure}", json=json)
            shown.advance(task)


def _queue_feeds(feeds: list["Feed"], *, full: bool) -> None:
    from psaltery.sync import force

    for feed in feeds:
        force.feed(feed, full=full)


def _await_feeds(feeds: list["Feed"], *, json: bool) -> None:
    until = time.monotonic() + WAIT_SECONDS
    with progress(json=json) as shown:
        task = shown.add_task("The worker reads", total=len(feeds))
        while time.monotonic() < until:
            # A feed that pauses counts as done: nobody knows how long its vendor lets it wait.
            done = [one for one in _fresh(feeds) if one.state not in ("running", "queued")]
            shown.update(task, completed=len(done))
            if len(done) == len(feeds):
                return
            time.sleep(0.5)
    stop("The worker has not finished in an hour. Is it running?", ExitCode.PROBLEMS, json=json)


def _post_here(organisation: "Organisation", *, json: bool) -> dict[str, object]:
    from psaltery.adapters.budget import Priority
    from psaltery.adapters.errors import Failure
    from psaltery.sync import payments, push

    sentence = ""
    counted = {"written": 0, "held": 0}
    with progress(json=json) as shown:
        task = shown.add_task(f"{organisation.name}: posting", total=_waiting(organisation))

        def tell(run: Any) -> None:
            counted.update(written=run.written, held=run.held)
            shown.update(task, completed=run.read)

        try:
            # In this order: only what is in the books may be marked, and only then does money
            # belong to it.
            while push.post(organisation.pk, Priority.INTERACTIVE, progress=tell):
                pass
            while push.mark(organisation.pk):
                pass
            while payments.match(organisation.pk, Priority.INTERACTIVE):
                pass
        except Failure as failure:
            sentence = str(failure)
    return _post_row(organisation, counted, sentence)


def _post_row(
    organisation: "Organisation", counted: dict[str, int], sentence: str
) -> dict[str, object]:
    return {
        "organisation": organisation.name,
        **counted,
        "waiting": _waiting(organisation),
        "sentence": sentence,
    }


def _waiting(organisation: "Organisation") -> int:
    from psaltery.posting.models import Posting

    states = (Posting.State.WAITING, Posting.State.POSTING, Posting.State.UNCERTAIN)
    return Posting.objects.filter(organisation=organisation, state__in=states).count()


def _post_by_worker(organisation: "Organisation", *, json: bool) -> dict[str, object]:
    from django.db import transaction

    from psaltery.adapters.budget import Priority
    from psaltery.sync import queue

    before = _waiting(organisation)
    # Jobs are deferred within a transaction: the worker sees them with its commit.
    with transaction.atomic():
        queue.post(organisation.pk, Priority.INTERACTIVE)
    until = time.monotonic() + WAIT_SECONDS
    with progress(json=json) as shown:
        task = shown.add_task(f"{organisation.name}: the worker posts", total=before)
        while (left := _waiting(organisation)) and time.monotonic() < until:
            shown.update(task, completed=before - left)
            time.sleep(0.5)
    sentence = "Some still wait; see their reasons in Documents." if _waiting(organisation) else ""
    return _post_row(
        organisation, {"written": before - _waiting(organisation), "held": 0}, sentence
    )
