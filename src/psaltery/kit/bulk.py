"""Bulk writes into PostgreSQL: COPY into a temporary table, then one INSERT … ON CONFLICT.

About five times the speed of the ORM's bulk_create, and only rows whose content differs are
touched, so that the caller learns what really changed.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from psycopg import Cursor, sql


class Changed(NamedTuple):
    """A row that was inserted or changed: its database id, its key columns, whether it is new."""

    id: int
    key: tuple[Any, ...]
    inserted: bool


def copy(
    cursor: Cursor[Any], table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Append `rows` to `table` by COPY. Must run inside a transaction of the caller's choice."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns))
    with cursor.copy(statement) as out:
        for row in rows:
            out.write_row(row)


def upsert(
    cursor: Cursor[Any],
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    keep_when_differing: Sequence[str] = (),
) -> list[Changed]:
    """Insert or replace `rows` (in the order of `columns`, which contain `key`).

    Where one key comes twice the last row wins. `keep_when_differing` names columns that alone do
    not make a row different (clocks). Returns the rows whose content changed; unchanged rows are
    not written at all. Must run inside a transaction.
    """
    key_of = itemgetter(*[columns.index(name) for name in key])
    unique = {key_of(row): row for row in rows}
    if not unique:
        return []
    staging = f"staging_{table}"
    cursor.execute(_staging(staging, table, columns))
    copy(cursor, staging, columns, unique.values())
    cursor.execute(_merge(staging, table, key, columns, keep_when_differing))
    found = cursor.fetchall()
    cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(staging)))
    return [Changed(row[0], tuple(row[2:]), row[1]) for row in found]


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _staging(staging: str, table: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0").format(
        sql.Identifier(staging), _names(columns), sql.Identifier(table)
    )


def _merge(
    staging: str, table: str, key: Sequence[str], columns: Sequence[str], aside: Sequence[str]
) -> sql.Composed:
    values = [name for name in columns if name not in key]
    compared = [name for name in values if name not in aside]
    target = sql.Identifier(table)
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging} "
        "ON CONFLICT ({key}) DO UPDATE SET {assignments} "
        "WHERE ({ours}) IS DISTINCT FROM ({theirs}) "
        "RETURNING {table}.id, (xmax = 0), {returned}"
    ).format(
        table=target,
        columns=_names(columns),
        staging=sql.Identifier(staging),
        key=_names(key),
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in values
        ),
        ours=sql.SQL(", ").join(
            sql.SQL("{}.{}").format(target, sql.Identifier(name)) for name in compared
        ),
        theirs=sql.SQL(", ").join(
            sql.SQL("EXCLUDED.{}").format(sql.Identifier(name)) for name in compared
        ),
        returned=sql.SQL(", ").join(
            sql.SQL("{}.{}").format(target, sql.Identifier(name)) for name in key
        ),
    )
