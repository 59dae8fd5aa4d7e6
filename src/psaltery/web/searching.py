"""Finding rows by the words that a person types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Lookup, Q, QuerySet, TextField
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    LookupOfText = Lookup[str]
else:
    # Django's lookups take no type parameter while they run.
    LookupOfText = Lookup

# Each word is a condition on every field: a pasted page of text must not become a statement.
MOST_WORDS = 6
LONGEST_WORD = 100


@CharField.register_lookup
@TextField.register_lookup
class ILike(LookupOfText):
    """`name__ilike="%harbour%"`: ILIKE, which a trigram index on the bare column serves.

    Django's own icontains compares UPPER(name), which such an index does not know.
    """

    lookup_name = "ilike"

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} ILIKE {right}", (*left_values, *right_values)


def _pattern(word: str, *, anywhere: bool) -> str:
    literal = word[:LONGEST_WORD]
    # Typed as it is meant: a percent sign in a name is no wildcard. The backslash first, or it is
    # doubled.
    for special in ("\\", "%", "_"):
        literal = literal.replace(special, f"\\{special}")
    return f"%{literal}%" if anywhere else f"{literal}%"


def searched(rows: QuerySet[Any], fields: Sequence[str], text: str) -> QuerySet[Any]:
    """The rows in which every word of the text is found in one of the fields.

    A big table wants a GIN index with gin_trgm_ops a field. One or two letters have no trigram of
    their own, so they are looked for at a field's beginning only, where PostgreSQL has one.
    """
    words = text.replace("\x00", "").split()[:MOST_WORDS]
    anywhere = any(len(word) > 2 for word in words)
    for word in words:
        pattern = _pattern(word, anywhere=anywhere)
        rows = rows.filter(Q(*((f"{name}__ilike", pattern) for name in fields), _connector=Q.OR))
    return rows
