"""Many rows of a table, quickly: a row that is there, copied with some columns different."""

from django.db import connection
from django.db.backends.utils import CursorWrapper


def multiply(
    table: str, key: int, *, among: str = "generate_series(1, 1) AS n", id_: str = "", **values: str
) -> None:
    """Copy the row of `table` with primary key `key` once for each row of `among`.

    `values` are SQL expressions for columns that differ; they may use `among`'s columns, and the
    old row as `old`. `id_` names the primary key where copies must bring their own.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.attname, coalesce(i.indisprimary, false) FROM pg_attribute a"
            " LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
            " AND a.attnum = ANY(i.indkey) WHERE a.attrelid = %s::regclass AND a.attnum > 0"
            " AND NOT a.attisdropped ORDER BY a.attnum",
            [table],
        )
        found = cursor.fetchall()
        columns = [name for name, primary in found if not primary or name in values]
        own = id_ or next(name for name, primary in found if primary)
        names = ", ".join(f'"{name}"' for name in columns)
        chosen = ", ".join(values.get(name, f'old."{name}"') for name in columns)
        indexes = _put_aside(cursor, table)
        # The copies are as right as the row was: no foreign key need be looked up again.
        cursor.execute("SET synchronous_commit = off; SET session_replication_role = replica")
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {chosen}"
            f' FROM (SELECT * FROM {table} WHERE "{own}" = {int(key)}) AS old CROSS JOIN {among}'
        )
        cursor.execute("SET session_replication_role = origin")
        for definition in indexes:
            cursor.execute(definition)


def _put_aside(cursor: CursorWrapper, table: str) -> list[str]:
    """Drop the indexes that stand for no constraint; how to make them again, which is quicker."""
    cursor.execute(
        "SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " WHERE i.indrelid = %s::regclass AND NOT i.indisunique",
        [table],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"DROP INDEX {name}")
    # Of a partitioned table, ONLY would leave the partitions without.
    return [definition.replace(" ON ONLY ", " ON ") for _, definition in found]


def analyse() -> None:
    """Let PostgreSQL learn what is in the tables, as its own daemon does in time."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
