"""Finds deliveries that never came: Xero numbers the events that it sends to an app."""

from datetime import timedelta

from django.db import connection

from psaltery.kit.clock import now

# Deliveries overtake each other; one that is later than this is as good as lost.
PATIENCE = timedelta(minutes=2)
_LOOKED_AT = timedelta(minutes=30)
# Numbers only hint: order is promised within a replay alone, so a gap is a reason to read, never
# one to refuse a delivery.
_FIND = """
    WITH delivery AS (
        SELECT connection_id, first_sequence AS first, max(last_sequence) AS last,
               min(received_at) AS at
        FROM xero_webhook_events
        WHERE received_at > %(since)s AND first_sequence > 0 AND connection_id IS NOT NULL
        GROUP BY connection_id, first_sequence
    ), seen AS (
        SELECT connection_id, first, at, max(last) OVER (
            PARTITION BY connection_id ORDER BY first
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM delivery
    )
    INSERT INTO inbound_gap (connection_id, after, before, found_at)
    SELECT connection_id, before, first, %(now)s FROM seen
    WHERE first > before + 1 AND at < %(settled)s
    ON CONFLICT (connection_id, after) DO NOTHING
    RETURNING connection_id
"""


def find() -> set[int]:
    """Note new gaps; the connections that have one. What is missing can only be read for."""
    at = now()
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {"since": at - _LOOKED_AT, "settled": at - PATIENCE, "now": at})
        return {row[0] for row in cursor.fetchall()}
