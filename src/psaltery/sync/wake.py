"""Has feeds read sooner because something was told about them: one waiting job a feed."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection, transaction

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.sync import queue

# One save often yields several events; what comes within is read together.
DEBOUNCE_SECONDS = 1.0
# Parts of a statement. `wanted` (organisation, name): what was told about. `asleep`: those of these
# feeds that may be read now and have no job of a webhook yet; one that waits reads what has changed
# by then, and needs no second. Their own schedule is moved forward in the statement that stores
# what was told: the net under the jobs, which come a moment later.
ASLEEP = """
    asleep AS (
        SELECT feed.id, feed.organisation_id,
               greatest(extract(epoch FROM budget.theoretical_at - now()), 0)::float8 AS ahead
        FROM wanted
        JOIN connections_feed feed
             ON feed.organisation_id = wanted.organisation AND feed.name = wanted.name
        JOIN connections_organisation organisation ON organisation.id = feed.organisation_id
        JOIN connections_connection owner ON owner.id = organisation.connection_id
        LEFT JOIN connections_budget budget ON budget.organisation_id = organisation.id
        WHERE organisation.chosen AND NOT organisation.paused
          AND organisation.state <> %(removed)s AND owner.state = %(connected)s
          AND feed.state = ANY(%(wakeable)s)
          AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs job WHERE job.status = 'todo'
                          AND job.queueing_lock = 'pull_feed:' || feed.id || ':WEBHOOK:later')
    ),
    moved AS (
        UPDATE connections_feed feed SET due_at = now() + interval '15 seconds'
        FROM asleep WHERE feed.id = asleep.id AND feed.due_at > now() + interval '15 seconds'
    )
"""
VALUES: dict[str, Any] = {
    "removed": Organisation.State.REMOVED.value,
    "connected": Connection.State.CONNECTED.value,
    # One that waits for its vendor, or for a person, goes on by its own schedule.
    "wakeable": [state.value for state in (Feed.State.IDLE, Feed.State.QUEUED, Feed.State.RUNNING)],
}
_FIND = f"""
    WITH wanted AS (
        SELECT * FROM unnest(%(organisations)s::bigint[], %(names)s::text[])
        AS wanted (organisation, name)
    ), {ASLEEP}
    SELECT id, organisation_id, ahead FROM asleep
"""  # noqa: S608 -- the parts are constants

Asleep = tuple[int, int, float]  # feed, organisation, seconds its calls are used ahead of time


def wake(wanted: Collection[tuple[int, str]]) -> int:
    """Have these feeds (organisation, name) read soon, each once however often; how many.

    A feed that is not synced now is left alone. Runs in the transaction of what was told.
    """
    if not wanted:
        return 0
    pairs = sorted(wanted)
    values: dict[str, Any] = {
        "organisations": [pair[0] for pair in pairs],
        "names": [pair[1] for pair in pairs],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {**VALUES, **values})
        found = cursor.fetchall()
    queue_reading(found)
    return len(found)


def queue_reading(asleep: Sequence[Asleep]) -> None:
    """Queue the jobs of feeds that were found asleep."""
    if asleep:
        with transaction.atomic():
            for feed, organisation, ahead in asleep:
                queue.pull(feed, organisation, Priority.WEBHOOK, after=debounce(ahead))


def debounce(ahead: float) -> float:
    """Seconds to wait for more events; longer while the organisation's calls of the minute are
    used `ahead` of time, so that a stream of events leaves calls for everything else."""
    return DEBOUNCE_SECONDS + ahead / 2
