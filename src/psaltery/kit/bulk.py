"""Bulk writes into PostgreSQL: COPY into a temporary table, then one INSERT … ON CONFLICT.

About five times the speed of the ORM's bulk_create, and only rows whose content differs are
touched, so that the caller learns what really changed. Rows of which none is there yet, as in a
back-fill, are copied into the table itself, which is faster still.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from psycopg import Cursor, sql
from psycopg.errors import UniqueViolation

# The place of a parameter made by `texts`.
ARRAY_OF_TEXTS = "%s::text[]"


class Changed(NamedTuple):
    """A row that was inserted or changed: its database id, its key columns, whether it is new."""

    id: int
    key: tuple[Any, ...]
    inserted: bool


def texts(values: Iterable[str]) -> str:
    """An array as PostgreSQL writes it; psycopg's own way takes longer than the query with it.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    escaped = (value.replace("\\", r"\\").replace('"', r"\"") for value in values)
    return "{" + ",".join([f'"{value}"' for value in escaped]) + "}"


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
    # ON CONFLICT refuses to touch a row twice in one statement.
    unique = {key_of(row): row for row in rows}
    if not unique:
        return []
    if not _some_known(cursor, table, key, list(unique)):
        try:
            return _insert(cursor, table, columns, unique)
        except UniqueViolation:
            pass  # another process wrote one of them in this moment: both are right
    return _replace(cursor, table, key, columns, unique.values(), keep_when_differing)


def _some_known(
    cursor: Cursor[Any], table: str, key: Sequence[str], keys: Sequence[tuple[Any, ...]]
) -> bool:
    """Whether one of them may be there already; only keys that differ by texts are looked up."""
    values = {name: set(found) for name, found in zip(key, zip(*keys, strict=True), strict=True)}
    varied = [name for name, found in values.items() if len(found) > 1]
    if any(not isinstance(text, str) for name in varied for text in values[name]):
        return True
    conditions = [
        sql.SQL("{} = " + (f"ANY({ARRAY_OF_TEXTS})" if name in varied else "%s")).format(
            sql.Identifier(name)
        )
        for name in key
    ]
    cursor.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
            sql.Identifier(table), sql.SQL(" AND ").join(conditions)
        ),
        [texts(found) if name in varied else found.pop() for name, found in values.items()],
    )
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def _insert(
    cursor: Cursor[Any],
    table: str,
    columns: Sequence[str],
    rows: Mapping[tuple[Any, ...], Sequence[Any]],
) -> list[Changed]:
    cursor.execute(
        "SELECT nextval(ids.name) FROM generate_series(1, %s), "
        "(SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name OFFSET 0) AS ids",
        (len(rows), table),
    )
    ids = [row[0] for row in cursor.fetchall()]
    # A savepoint: a unique violation would else end the caller's whole transaction.
    with cursor.connection.transaction():
        numbered = ((id_, *row) for id_, row in zip(ids, rows.values(), strict=True))
        copy(cursor, table, ("id", *columns), numbered)
    return [Changed(id_, found, True) for id_, found in zip(ids, rows, strict=True)]


def _replace(
    cursor: Cursor[Any],
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    aside: Sequence[str],
) -> list[Changed]:
    staging = f"staging_{table}"
    cursor.execute(_staging(staging, table, columns))
    copy(cursor, staging, columns, rows)
    cursor.execute(_merge(staging, table, key, columns, aside))
    found = cursor.fetchall()
    # At once: the same transaction may write the same table again.
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
