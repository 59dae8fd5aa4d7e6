"""Has feeds read sooner because something was told about them: one waiting job a feed."""

from collections.abc import Collection
from typing import Any

from django.db import connection

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.sync import queue

# One save often yields several events; what comes within is read together.
DEBOUNCE_SECONDS = 1.0
# A feed that waits for its vendor, or for a person, goes on by its own schedule.
_WAKEABLE = (Feed.State.IDLE, Feed.State.QUEUED, Feed.State.RUNNING)
_AHEAD = "extract(epoch FROM budget.theoretical_at - now())"
_FIND = f"""
    SELECT feed.id, feed.organisation_id, greatest({_AHEAD}, 0)
    FROM unnest(%(organisations)s::bigint[], %(names)s::text[]) AS wanted (organisation, name)
    JOIN connections_feed feed
         ON feed.organisation_id = wanted.organisation AND feed.name = wanted.name
    JOIN connections_organisation organisation ON organisation.id = feed.organisation_id
    JOIN connections_connection owner ON owner.id = organisation.connection_id
    LEFT JOIN connections_budget budget ON budget.organisation_id = organisation.id
    WHERE organisation.chosen AND NOT organisation.paused
      AND organisation.state <> %(removed)s AND owner.state = %(connected)s
      AND feed.state = ANY(%(wakeable)s)
      -- One that waits reads what has changed by then: it needs no second.
      AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs job WHERE job.status = 'todo'
                      AND job.queueing_lock = 'pull_feed:' || feed.id || ':WEBHOOK:later')
"""  # noqa: S608 -- the names are constants


def wake(wanted: Collection[tuple[int, str]]) -> int:
    """Queue these feeds (organisation, name), each once however often it is woken; how many.

    Must run in the transaction that stores what was told. A feed of an organisation that is not
    synced now is left alone.
    """
    if not wanted:
        return 0
    found = _find(sorted(wanted))
    for feed, organisation, ahead in found:
        queue.pull(feed, organisation, Priority.WEBHOOK, after=debounce(float(ahead)))
    return len(found)


def debounce(ahead: float) -> float:
    """Seconds to wait for more events; longer while the organisation's calls of the minute are
    used `ahead` of time, so that a stream of events leaves calls for everything else."""
    return DEBOUNCE_SECONDS + ahead / 2


def _find(wanted: list[tuple[int, str]]) -> list[tuple[int, int, float]]:
    values: dict[str, Any] = {
        "organisations": [organisation for organisation, _ in wanted],
        "names": [name for _, name in wanted],
        "removed": Organisation.State.REMOVED,
        "connected": Connection.State.CONNECTED,
        "wakeable": [state.value for state in _WAKEABLE],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIND, values)
        rows: list[tuple[int, int, float]] = cursor.fetchall()
        return rows
