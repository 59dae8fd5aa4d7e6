"""Deliveries of Xero: stored and their feeds woken by one statement, many deliveries at once."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import psycopg
from django.db import OperationalError, connection

from psaltery.inbound.storing import XERO_STORED, Arrived, xero_values
from psaltery.sync.wake import ASLEEP, VALUES, queue_reading

# Connections whose plans are kept. Django prepares nothing, so this concerns our statement alone.
_tuned: WeakSet[Any] = WeakSet()
# Xero waits 5 s for its answer, and after a day of failures it disables the subscription.
# https://developer.xero.com/documentation/webhooks/overview
# One round trip and one commit for what arrives at the same time.
_STORE = f"""
    WITH {XERO_STORED},
    wanted AS (
        SELECT DISTINCT stored.organisation_id AS organisation, feed.name
        FROM stored JOIN told ON told.event_id = stored.event_id,
             unnest(string_to_array(told.feeds, ',')) AS feed (name)
        WHERE stored.outcome = %(woke)s
    ),
    {ASLEEP}
    SELECT (SELECT array_agg(event_id) FROM stored), (SELECT array_agg(id) FROM asleep),
           (SELECT array_agg(organisation_id) FROM asleep), (SELECT array_agg(ahead) FROM asleep)
"""  # noqa: S608 -- the parts are constants


def keep(arrived: Sequence[Arrived]) -> list[int]:
    """Store the events of some deliveries, each once; how many of each delivery were new.

    They are durable when this returns, and so is the wake of their feeds. Outside a transaction.
    """
    values, owners = xero_values(arrived)
    new, feeds, organisations, ahead = _store({**values, **VALUES})
    # After the commit. Jobs that a crash takes here are not missed: the feeds are due within 15 s
    # by themselves (see ASLEEP).
    if feeds:
        queue_reading(list(zip(feeds, organisations, ahead, strict=True)))
    counts = [0] * len(arrived)
    for event_id in new or ():
        counts[owners[event_id]] += 1
    return counts


def _store(values: dict[str, Any]) -> tuple[Any, ...]:
    try:
        return _run(values)
    # The connection had died. Stored twice, an event is there once, so that it may be tried again.
    except OperationalError:
        connection.close()
        return _run(values)


def _run(values: dict[str, Any]) -> tuple[Any, ...]:
    # Past Django's cursor, which asks PostgreSQL before each request whether it is still there.
    connection.ensure_connection()
    raw = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor[Any](raw) as cursor:
        if raw not in _tuned:
            # Planning it takes longer than running it, and the plan is always the same.
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            _tuned.add(raw)
        cursor.execute(_STORE, values, prepare=True)
        row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None
    return row
