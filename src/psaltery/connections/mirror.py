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
) -> Iterable[list[Any]]:
    limits = [(place, _lengths(model).get(name)) for place, name in enumerate(columns)]
    bounded = [(place, limit) for place, limit in limits if limit is not None]
    for given in rows:
        row = list(given)
        for place, limit in bounded:
            value = row[place]
            if value is not None and len(value) > limit:
                row[place] = cut(value, limit)
        yield row


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
