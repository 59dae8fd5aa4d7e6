"""How mirrored rows are stored: the fast path into a model's table, clipped to its columns."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

from psaltery.kit.bulk import Changed, copy, upsert
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
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Iterable[Sequence[Any]]:
    by_column = list(zip(*rows, strict=True))
    lengths = _lengths(model)
    # By column, because that a whole column is short enough is soon seen.
    for place, (name, column) in enumerate(zip(columns, by_column, strict=False)):
        limit = lengths.get(name)
        if limit is not None and max(map(len, filter(None, column)), default=0) > limit:
            by_column[place] = tuple(value and cut(value, limit) for value in column)
    return zip(*by_column, strict=True)


def store(
    model: type[models.Model],
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    aside: Sequence[str] = ("updated_at",),
) -> list[Changed]:
    """Insert or replace rows of `model`; returns those whose content changed.

    Text longer than its column is cut with an ellipsis: one long name must not stop a feed.
    Must run inside a transaction.
    """
    with connection.cursor() as cursor:
        return upsert(
            cursor.cursor,
            model._meta.db_table,
            key,
            columns,
            _clipped(model, columns, rows),
            keep_when_differing=aside,
        )


def append(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows that are known to be new."""
    with connection.cursor() as cursor:
        copy(cursor.cursor, model._meta.db_table, columns, _clipped(model, columns, rows))
