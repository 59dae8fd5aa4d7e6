"""All customers together: recurring revenue, receivables by age, who is at risk, and the sources.

Money is told by currency and never added across currencies.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum

from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.hub.queries import BUCKET_LABELS
from psaltery.portfolio.gather import BUCKETS
from psaltery.portfolio.models import Customer, CustomerMoney, MonthSales
from psaltery.portfolio.receivables import dso_countback
from psaltery.signals.models import Check

_SUMMED = (*BUCKETS, "invoiced_month", "contracted_mrr", "invoiced_mrr")
# Few enough to act on: the whole list is a click away.
AT_RISK_SHOWN = 10
SOURCES_SHOWN = 50


@dataclass(frozen=True)
class Portfolio:
    """All customers' money in one currency. `sales`: by month, the oldest first."""

    currency: str
    sums: dict[str, Decimal]
    sales: list[tuple[date, Decimal]]
    dso: Decimal | None
    customers: int

    @property
    def outstanding(self) -> Decimal:
        return sum((self.sums[name] for name in BUCKETS), Decimal(0))

    @property
    def overdue(self) -> Decimal:
        return self.outstanding - self.sums["not_due"]

    @property
    def gap(self) -> Decimal:
        return self.sums["contracted_mrr"] - self.sums["invoiced_mrr"]

    @property
    def buckets(self) -> list[tuple[str, Decimal]]:
        return [
            (label, self.sums[name]) for label, name in zip(BUCKET_LABELS, BUCKETS, strict=True)
        ]


def looked() -> bool:
    """Whether the customers' health was judged at all: before, nobody at risk means nothing."""
    return Check.objects.filter(signal="account_health").exists()


def portfolios(today: date) -> list[Portfolio]:
    """One a currency, the largest first. Two queries."""
    sales: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    for row in MonthSales.objects.order_by("month"):
        sales[row.currency].append((row.month, row.total))
    # Summed by PostgreSQL from the figures that were worked out before: no invoice is read here.
    totals = {name: Sum(name) for name in _SUMMED}
    rows = CustomerMoney.objects.values("currency").annotate(customers=Count("pk"), **totals)
    found = [_portfolio(dict(row), sales[row["currency"]], today) for row in rows]
    return sorted(found, key=lambda one: -max(one.outstanding, one.sums["contracted_mrr"]))


def _portfolio(row: dict[str, Any], sales: list[tuple[date, Decimal]], today: date) -> Portfolio:
    sums = {name: row[name] for name in _SUMMED}
    owed = sum((sums[name] for name in BUCKETS), Decimal(0))
    # Without sales there is nothing to count back through, and a zero would read as paid at once.
    dso = dso_countback(owed, sales[::-1], today) if sales else None
    return Portfolio(row["currency"], sums, sales, dso, row["customers"])


def risks() -> dict[str, int]:
    """How many customers are in each band."""
    rows = Customer.objects.order_by().values_list("risk").annotate(Count("pk"))
    return dict.fromkeys(Customer.Risk.values, 0) | dict(rows)


def at_risk() -> QuerySet[Customer]:
    """The customers with most points."""
    return Customer.objects.filter(risk__in=("high", "watch")).order_by("-risk_points", "pk")[
        :AT_RISK_SHOWN
    ]


def sources() -> QuerySet[Organisation]:
    """The organisations that are read, the ones in trouble first."""
    rows = Organisation.objects.filter(chosen=True).select_related("connection")
    failed = Q(feeds__state=Feed.State.FAILED)
    sick = Q(connection__state=Connection.State.CONNECTED, state=Organisation.State.ACTIVE)
    return rows.annotate(
        failed=Count("feeds", filter=failed),
        oldest=Min("feeds__finished_at"),
        newest=Max("feeds__finished_at"),
        well=Count("pk", filter=sick),
    ).order_by("well", F("failed").desc(), "name")[:SOURCES_SHOWN]
