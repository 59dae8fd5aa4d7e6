"""A filter of alerts by the customer that a link chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import QueryDict

from psaltery.portfolio.models import Customer

Rows = QuerySet[Any]


@dataclass(frozen=True)
class OfCustomer:
    """Alerts of one customer; shown by its name, with a way out."""

    name: str = "customer"
    # One look-up for the rows and the template alike; an answer costs a fixed number of queries.
    _asked: dict[str, Customer | None] = field(default_factory=dict, compare=False)

    template: ClassVar[str] = "ledger/of_customer.html"

    def names(self) -> tuple[str, ...]:
        """The one parameter of the address."""
        return (self.name,)

    def prepared(self) -> OfCustomer:
        """The same, with nothing looked up yet."""
        return OfCustomer(self.name)

    def apply(self, rows: Rows, query: QueryDict) -> Rows:
        """The alerts of the chosen customer; all where none is chosen."""
        chosen = self.chosen(query)
        return rows.filter(customer=chosen) if chosen else rows

    def chosen(self, query: QueryDict) -> Customer | None:
        """The customer that the address names."""
        number = query.get(self.name, "")
        # Digits that PostgreSQL's bigint can't hold would be an error, not an empty list.
        if not (number.isascii() and number.isdecimal() and len(number) < 18):
            return None
        if number not in self._asked:
            self._asked[number] = Customer.objects.filter(pk=int(number)).first()
        return self._asked[number]

    def shown(self, query: QueryDict) -> dict[str, Any]:
        """What the template needs."""
        rest = query.copy()
        for gone in (self.name, "after", "before"):
            rest.pop(gone, None)
        return {"name": self.name, "chosen": self.chosen(query), "rest": rest.urlencode()}
