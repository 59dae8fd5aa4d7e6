"""The audit log's partitions: months ahead are made, months past the retention are dropped."""

from datetime import date, timedelta

from django.db import connection, transaction

from psaltery.audit.chain import forget
from psaltery.kit.clock import now

# Ahead, since entries without a month of their own land in the rest, and moving them out of it
# locks the whole log.
MONTHS_AHEAD = 2


def keep_up(retention_days: int | None) -> list[str]:
    """Make the coming partitions, drop those past `retention_days` (None keeps all).

    Returns the names of dropped partitions. A month goes when its last day is past the retention,
    so that nothing goes early. Safe to run at any time, by several processes.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_make_partition(%s + ahead * interval '1 month')"
            " FROM generate_series(0, %s) ahead",
            [now(), MONTHS_AHEAD],
        )
        if retention_days is None:
            return []
        before = now() - timedelta(days=retention_days)
        cursor.execute("SELECT audit_drop_partitions(%s)", [before])
        dropped = [name for (name,) in cursor.fetchall()]
        # In the same transaction: else the chain would report the dropped months as removed.
        forget([_month(name) for name in dropped])
        return dropped


def _month(partition: str) -> date:
    """audit_entries_2026_11: the first of November 2026."""
    year, month = partition.split("_")[-2:]
    return date(int(year), int(month), 1)
