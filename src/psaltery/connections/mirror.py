"""How mirrored rows are stored: the fast path into a model's table, clipped to its columns."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

from psaltery.kit.bulk import Changed, Rows, copy, upsert, write
from psaltery.kit.text import cut


@cache
def _lengths(model: type[models.Model]) -> dict[str, int]:
    """Column → greatest length, for the text columns that have one."""
    return {
        field.column: field.max_length
        for field in model._meta.concrete_fields
        if field.max_length is not None and field.column is not None
    }


def _clipped(
    model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[Sequence[Any]]:
    """The rows' values by column, as short as the model's columns are."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    lengths = _lengths(model)
    # By column, because that a whole column is short enough is soon seen.
    for place, (name, column) in enumerate(zip(names, columns, strict=False)):
        limit = lengths.get(name)
        if limit is not None and max(map(len, filter(None, column)), default=0) > limit:
            columns[place] = [value and cut(value, limit) for value in column]
    return columns


def written(
    model: type[models.Model],
    key: Sequence[str],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> Rows:
    """Rows of `model`, ready to be stored; this needs no database.

    Text longer than its column is cut with an ellipsis: one long name must not stop a feed.
    """
    return write(model._meta.db_table, key, names, _clipped(model, names, rows))


def keep(rows: Rows, *, aside: Sequence[str] = ("updated_at",)) -> list[Changed]:
    """Insert or replace rows; those whose content changed. Must run inside a transaction.

    `aside`: columns that alone make no row different.
    """
    with connection.cursor() as cursor:
        return upsert(cursor.cursor, rows, keep_when_differing=aside)


def append(rows: Rows) -> None:
    """Insert rows that are known to be new."""
    if rows.lines:
        with connection.cursor() as cursor:
            copy(cursor.cursor, rows.table, rows.names, rows.lines)


def store(
    model: type[models.Model],
    key: Sequence[str],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    aside: Sequence[str] = ("updated_at",),
) -> list[Changed]:
    """Write and keep rows of `model` at once; those whose content changed."""
    return keep(written(model, key, names, rows), aside=aside)
