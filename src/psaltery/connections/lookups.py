"""A lookup for the thousand ids of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Lookup
from django.db.models.sql.compiler import SQLCompiler

from psaltery.kit.bulk import ARRAY_OF_TEXTS, texts

if TYPE_CHECKING:
    LookupOfTexts = Lookup[list[str]]
else:
    # Django's lookups take no type parameter while they run.
    LookupOfTexts = Lookup


@CharField.register_lookup
class Among(LookupOfTexts):
    """`books_id__among=[…]`: `= ANY` of one array, where Django's `in` has a parameter a value.

    With a thousand values, to write and read those takes far longer than the query.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        left, left_values = self.process_lhs(compiler, connection)
        return f"{left} = ANY({ARRAY_OF_TEXTS})", (*left_values, texts(self.rhs))
