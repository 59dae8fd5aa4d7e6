"""Counts deliveries that were refused, so that a wrong key is seen."""

from django.db import connection

from psaltery.inbound.models import Refusal
from psaltery.kit.clock import now

# Not worth a wait for the disk; a flood of forged deliveries is one row an hour.
_COUNT = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO inbound_refusal AS r (kind, connection_id, reason, hour, count, last_at)
    SELECT %(kind)s, %(connection)s::bigint, %(reason)s, date_trunc('hour', %(at)s), 1, %(at)s
    FROM relaxed
    ON CONFLICT (kind, connection_id, reason, hour)
    DO UPDATE SET count = r.count + 1, last_at = greatest(r.last_at, EXCLUDED.last_at)
"""


def note(kind: str, reason: Refusal.Reason, connection_id: int | None = None) -> None:
    """Count one refused delivery. `connection_id`: where the address told it."""
    values = {"kind": kind, "reason": reason.value, "connection": connection_id, "at": now()}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
