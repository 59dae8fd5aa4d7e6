"""When a feed is read next, by the pace of its organisation; and the others of its tick with it."""

from datetime import datetime

from django.db import connection

from psaltery.adapters import registry
from psaltery.connections.models import Budget, Feed
from psaltery.kit.clock import now
from psaltery.sync.calls import left_of_day
from psaltery.sync.pace import pace
from psaltery.sync.spread import next_tick

# One that another worker writes just now is left alone: two that wait for each other's feeds would
# be a deadlock, and it reckons its own moment.
_FORWARD = """
UPDATE connections_feed SET due_at = %(at)s WHERE id IN (
  SELECT id FROM connections_feed
  WHERE organisation_id = %(organisation)s AND name = ANY(%(names)s) AND id <> %(feed)s
    AND seconds = %(seconds)s AND state = %(idle)s AND due_at > %(at)s
  FOR UPDATE SKIP LOCKED)"""


def next_reading(feed: Feed) -> datetime:
    """When a feed whose run ends now is read again."""
    moment = now()
    return next_tick(feed.organisation_id, seconds_now(feed, moment), moment)


def seconds_now(feed: Feed, moment: datetime) -> int:
    """The interval of a feed as its organisation's money moves and its calls allow. Two queries."""
    names = _paced(feed)
    if feed.name not in names:
        return feed.seconds
    rows = Feed.objects.filter(organisation=feed.organisation_id, name__in=names)
    others = rows.exclude(pk=feed.pk).values_list("moved_at", flat=True)
    # Of all of them, so that one tick goes on reading all kinds of records together.
    moved = [at for at in (feed.moved_at, *others) if at is not None]
    quiet = moment - max(moved) if moved else None
    budget = Budget.objects.filter(organisation=feed.organisation_id).first()
    cap = budget.day_cap if budget else None
    return pace(feed.seconds, quiet, len(others) + 1, cap, left_of_day(budget))


def _paced(feed: Feed) -> list[str]:
    specs = registry.manifest(feed.organisation.connection.kind).feeds
    return [spec.name for spec in specs if spec.paced]


def bring_forward(feed: Feed) -> None:
    """Have the other feeds of the organisation read with one that found something new."""
    names = _paced(feed)
    if feed.name not in names:
        return
    values = {
        "at": feed.due_at,
        "organisation": feed.organisation_id,
        "names": names,
        "feed": feed.pk,
        # Whoever set another interval for one of them wants it read apart.
        "seconds": feed.seconds,
        "idle": Feed.State.IDLE.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FORWARD, values)
