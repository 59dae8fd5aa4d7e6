"""Bulk writes into PostgreSQL: COPY into a temporary table, then one INSERT … ON CONFLICT.

About five times the speed of the ORM's bulk_create, and only rows whose content differs are
touched, so that the caller learns what really changed. Rows of which none is there yet, as in a
back-fill, are copied into the table itself, which is faster still.

Rows are written as COPY's text first, which needs no database: another thread may do it while the
database is busy with the rows before them.
"""

import re
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
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


class Rows(NamedTuple):
    """Rows of one table as COPY reads them, each with the values of its key."""

    table: str
    names: tuple[str, ...]
    key: tuple[str, ...]
    keys: list[tuple[Any, ...]]
    lines: list[str]

    def of(self, keys: Container[tuple[Any, ...]]) -> "Rows":
        """Those whose key is among `keys`."""
        kept = [(key, line) for key, line in zip(self.keys, self.lines, strict=True) if key in keys]
        return self._replace(keys=[key for key, _ in kept], lines=[line for _, line in kept])


def write(
    table: str, key: Sequence[str], names: Sequence[str], columns: Sequence[Sequence[Any]]
) -> Rows:
    """Rows of `table` from the values of its columns, in the order of `names`."""
    # By column: what one is made of is then asked once, and not for a hundred thousand values.
    # psycopg's own way, value by value, takes twice as long.
    lines = list(map("\t".join, zip(*map(_written, columns), strict=True)))
    found = dict(zip(names, columns, strict=True)) if columns else dict.fromkeys(names, ())
    keys = list(zip(*[found[name] for name in key], strict=True))
    return Rows(table, tuple(names), tuple(key), keys, lines)


def copy(cursor: Cursor[Any], table: str, names: Sequence[str], lines: Iterable[str]) -> None:
    """Append rows to `table` by COPY. Must run inside a transaction of the caller's choice."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(names))
    with cursor.copy(statement) as out:
        out.write("\n".join(lines))


# https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_TO_ESCAPE = re.compile(r"[\\\n\r\t]")
_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: _NULL,
    bool: lambda value: "t" if value else "f",
    int: str,
    Decimal: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
}


def _written(column: Sequence[Any]) -> Sequence[str]:
    """One column in COPY's text format."""
    kinds = set(map(type, column))
    if all(issubclass(kind, str) for kind in kinds):
        if _TO_ESCAPE.search("".join(column)) is None:
            return column
        return [value.translate(_ESCAPES) for value in column]
    if len(kinds) == 1:
        return list(map(_WRITERS[kinds.pop()], column))
    return [_one(value) for value in column]


def _one(value: Any) -> str:
    return value.translate(_ESCAPES) if isinstance(value, str) else _WRITERS[type(value)](value)


def upsert(
    cursor: Cursor[Any], rows: Rows, *, keep_when_differing: Sequence[str] = ()
) -> list[Changed]:
    """Insert or replace rows by their keys.

    Where one key comes twice the last row wins. `keep_when_differing` names columns that alone do
    not make a row different (clocks). Returns the rows whose content changed; unchanged rows are
    not written at all. Must run inside a transaction.
    """
    if not rows.keys:
        return []
    rows = _unique(rows)
    if not _some_known(cursor, rows):
        try:
            return _insert(cursor, rows)
        except UniqueViolation:
            pass  # another process wrote one of them in this moment: both are right
    return _replace(cursor, rows, keep_when_differing)


def _unique(rows: Rows) -> Rows:
    # ON CONFLICT refuses to touch a row twice in one statement.
    last = dict(zip(rows.keys, rows.lines, strict=True))
    return rows._replace(keys=list(last), lines=list(last.values()))


def _some_known(cursor: Cursor[Any], rows: Rows) -> bool:
    """Whether one of them may be there already; only keys that differ by texts are looked up."""
    by_name = zip(rows.key, zip(*rows.keys, strict=True), strict=True)
    values = {name: set(found) for name, found in by_name}
    varied = [name for name, found in values.items() if len(found) > 1]
    if any(not isinstance(text, str) for name in varied for text in values[name]):
        return True
    conditions = [
        sql.SQL("{} = " + (f"ANY({ARRAY_OF_TEXTS})" if name in varied else "%s")).format(
            sql.Identifier(name)
        )
        for name in rows.key
    ]
    cursor.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
            sql.Identifier(rows.table), sql.SQL(" AND ").join(conditions)
        ),
        [texts(found) if name in varied else found.pop() for name, found in values.items()],
    )
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def _insert(cursor: Cursor[Any], rows: Rows) -> list[Changed]:
    cursor.execute(
        "SELECT nextval(ids.name) FROM generate_series(1, %s), "
        "(SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name OFFSET 0) AS ids",
        (len(rows.keys), rows.table),
    )
    ids = [row[0] for row in cursor.fetchall()]
    # A savepoint: a unique violation would else end the caller's whole transaction.
    with cursor.connection.transaction():
        lines = [f"{id_}\t{line}" for id_, line in zip(ids, rows.lines, strict=True)]
        copy(cursor, rows.table, ("id", *rows.names), lines)
    return [Changed(id_, key, True) for id_, key in zip(ids, rows.keys, strict=True)]


def _replace(cursor: Cursor[Any], rows: Rows, aside: Sequence[str]) -> list[Changed]:
    staging = f"staging_{rows.table}"
    cursor.execute(_staging(staging, rows))
    copy(cursor, staging, rows.names, rows.lines)
    cursor.execute(_merge(staging, rows, aside))
    found = cursor.fetchall()
    # At once: the same transaction may write the same table again.
    cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(staging)))
    return [Changed(row[0], tuple(row[2:]), row[1]) for row in found]


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _staging(staging: str, rows: Rows) -> sql.Composed:
    return sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0").format(
        sql.Identifier(staging), _names(rows.names), sql.Identifier(rows.table)
    )


def _merge(staging: str, rows: Rows, aside: Sequence[str]) -> sql.Composed:
    values = [name for name in rows.names if name not in rows.key]
    compared = [name for name in values if name not in aside]
    target = sql.Identifier(rows.table)
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging} "
        "ON CONFLICT ({key}) DO UPDATE SET {assignments} "
        "WHERE ({ours}) IS DISTINCT FROM ({theirs}) "
        "RETURNING {table}.id, (xmax = 0), {returned}"
    ).format(
        table=target,
        columns=_names(rows.names),
        staging=sql.Identifier(staging),
        key=_names(rows.key),
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
            sql.SQL("{}.{}").format(target, sql.Identifier(name)) for name in rows.key
        ),
    )
