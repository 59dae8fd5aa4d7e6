"""A filter of the audit log's page that takes a text exactly: a document's number, a customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import QueryDict

Rows = QuerySet[Any]


@dataclass(frozen=True)
class Exactly:
    """Rows for which `narrow` holds with the text that was entered."""

    name: str
    label: str
    narrow: Callable[[Rows, str], Rows]

    template: ClassVar[str] = "audit/exactly.html"

    def names(self) -> tuple[str, ...]:
        """The one parameter of the address."""
        return (self.name,)

    def prepared(self) -> Exactly:
        """There are no options to fetch."""
        return self

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        """The rows of the entered text; all of them when none is entered."""
        # PostgreSQL refuses a NUL in text, and anybody can put one into an address.
        text = query.get(self.name, "").replace("\x00", "").strip()
        return self.narrow(rows, text) if text else rows

    def shown(self, query: QueryDict) -> dict[str, Any]:
        """What the template needs."""
        return {"name": self.name, "label": self.label, "text": query.get(self.name, "").strip()}
