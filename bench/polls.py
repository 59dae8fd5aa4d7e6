"""Polls that find nothing new: how many calls, and how many bytes beyond an empty list."""

from typing import Any

from bench import world
from bench.measure import Measure, Size

# Lists that people choose from, each read whole (the vendors have no delta for them), and seldom.
SETTINGS = ("settings", "lookups")
AMOUNTS = {
    Size.FULL: {"companies": 20, "invoices": 40, "contacts": 300, "payments": 100},
    Size.TINY: {"companies": 6, "invoices": 4, "contacts": 5, "payments": 2},
}


def run(size: Size) -> list[Measure]:
    """Read everything, then poll each feed of both systems once more."""
    from psaltery.connections.models import Feed

    with world.rig(**AMOUNTS[size]) as rig:
        chosen = Feed.objects.filter(organisation__chosen=True)
        for feed in chosen:
            rig.read(feed)
        _pass_the_overlap(rig)
        feeds = chosen.exclude(name__in=SETTINGS).select_related("organisation__connection")
        polls = [_poll(rig, feed) for feed in feeds.order_by("pk")]
    return [_told(polls, "xero"), _told(polls, "connectwise")]


def _pass_the_overlap(rig: Any) -> None:
    """An hour passes at the vendors, so that what was read a moment ago is history."""
    from psaltery.testing.http_calls import call

    for url in (rig.psa_url, rig.books_url):
        call(f"{url}/_control/clock", "POST", {"offset_seconds": 3600})
    from psaltery.connections.models import Feed

    for feed in Feed.objects.filter(organisation__chosen=True):
        rig.read(feed)


def _poll(rig: Any, feed: Any) -> dict[str, Any]:
    kind = feed.organisation.connection.kind
    part = "psa" if kind == "connectwise" else "books"
    mark, _ = world.asked(rig, part)
    rig.read(feed)
    _, log = world.asked(rig, part, mark)
    feed.refresh_from_db()
    return {
        "kind": kind,
        "feed": feed.name,
        "organisation": feed.organisation.name,
        "calls": len(log),
        "bytes": sum(entry["bytes"] for entry in log),
        "records": feed.done,
        "asked": [f"{entry['method']} {entry['path']}" for entry in log],
    }


def _told(polls: list[dict[str, Any]], kind: str) -> Measure:
    mine = [poll for poll in polls if poll["kind"] == kind]
    worst = max(poll["calls"] for poll in mine)
    records = sum(poll["records"] for poll in mine)
    most = max(poll["bytes"] for poll in mine)
    above = [f"{poll['feed']}: {', '.join(poll['asked'])}" for poll in mine if poll["calls"] > 1]
    return Measure(
        what=f"a poll of {kind} with no change",
        budget="≤ 1 call a type, an empty list",
        measured=f"{worst} call{'s' * (worst != 1)} at most, {records} records",
        kept=worst <= 1 and records == 0,
        remark=f"{len(mine)} feeds, lists of settings apart; the largest answer has {most} bytes"
        + (f"; above it: {'; '.join(above)}" if above else ""),
        figures={
            "calls": sum(p["calls"] for p in mine),
            "feeds": len(mine),
            "bytes": sum(p["bytes"] for p in mine),
        },
    )
