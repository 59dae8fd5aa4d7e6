"""Filters of the ledger's lists that the ready-made ones don't cover."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import QueryDict

from psaltery.ledger.models import Customer

Rows = QuerySet[Any]


@dataclass(frozen=True)
class OfCustomer:
    """Rows of one contact, which a link chose; shown by its name, with a way out."""

    name: str = "customer"
    _asked: dict[str, Customer | None] = field(default_factory=dict, compare=False)

    template: ClassVar[str] = "ledger/of_customer.html"

    def names(self) -> tuple[str, ...]:
        """The one parameter of the address."""
        return (self.name,)

    def prepared(self) -> OfCustomer:
        """The same, with nothing looked up yet."""
        return OfCustomer(self.name)

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        """The rows of the chosen contact; all of them where none is chosen."""
        chosen = self.chosen(query)
        if chosen is None:
            return rows
        return rows.filter(
            organisation_id=chosen.organisation_id, customer_external_id=chosen.external_id
        )

    def chosen(self, query: QueryDict) -> Customer | None:
        """The contact that the address names."""
        number = query.get(self.name, "")
        # Anybody may type an address: what is no bigint must not reach the database.
        if not (number.isascii() and number.isdecimal() and len(number) < 18):
            return None
        # Asked by the list, its count and its template: one query for all of them.
        if number not in self._asked:
            self._asked[number] = Customer.objects.filter(pk=int(number)).first()
        return self._asked[number]

    def shown(self, query: QueryDict) -> dict[str, Any]:
        """What the template needs."""
        rest = query.copy()
        # The place in the list is one of the narrower list: without the filter it leads nowhere.
        for gone in (self.name, "after", "before"):
            rest.pop(gone, None)
        return {"name": self.name, "chosen": self.chosen(query), "rest": rest.urlencode()}
