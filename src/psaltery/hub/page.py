"""What the page of one customer shows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum
from django.db.models.functions import TruncMonth, TruncWeek

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.connections.opening import unchecked_adapter
from psaltery.desk.addresses import psa_addresses
from psaltery.desk.models import Ticket
from psaltery.hub import queries
from psaltery.hub.queries import SHOWN, Link, Money
from psaltery.portfolio.models import Customer
from psaltery.portfolio.recurring import month_start

# A year, so that a season is seen beside the one before it.
MONTHS = 12
WEEKS = 26
# The categories of a chart, and the series over them: a name and its figures.
Bars = tuple[list[str], list[tuple[str, list[int | Decimal | None]]]]


def values_of(customer: Customer, today: date, currency: str = "") -> dict[str, Any]:
    """Everything on the page; `currency` chooses what the charts draw."""
    links = queries.links_of(customer)
    money = queries.money_of(customer, today)
    # One currency a chart: bars of two currencies can't be compared.
    drawn = next((one for one in money if one.currency == currency), money[0] if money else None)
    return {
        "customer": customer,
        "money": money,
        "drawn": drawn,
        "links": _addresses(customer, links),
        "invoices": list(queries.invoices(links)[:SHOWN]),
        "payments": list(queries.payments(links)[:SHOWN]),
        "agreements": queries.agreements(customer, today),
        "tickets": _linked(queries.tickets(customer)[:SHOWN]),
        "ticket_count": queries.tickets(customer).filter(closed=False).count(),
        "people": list(queries.people(customer)[:SHOWN]),
        "cards": list(queries.cards(customer)[:SHOWN]),
        "alerts": list(queries.alerts(customer)),
        "books": [link.contact for link in links if link.contact],
        "charts": {
            "month_chart": _months(links, drawn, today) if drawn else None,
            "ageing_chart": _ageing(drawn) if drawn and drawn.outstanding else None,
            "ticket_chart": _tickets(customer, today),
        },
    }


def _linked(tickets: Iterable[Ticket]) -> list[tuple[Ticket, str]]:
    """Tickets with the PSA's page of each."""
    address = psa_addresses()
    return [(row, address(row.connection_id, "ticket", row.external_id)) for row in tickets]


def _months(links: list[Link], money: Money, today: date) -> Bars:
    """Invoiced and paid by month, in one currency, both with tax so that they compare."""
    first = month_start(today, MONTHS - 1)
    months = [month_start(today, back) for back in range(MONTHS - 1, -1, -1)]
    invoiced = (
        queries.invoices(links)
        # Drafts may still change, and voided ones are no sales.
        .filter(status__in=("authorised", "paid"), currency=money.currency, issued_on__gte=first)
        .order_by()
        .annotate(month=TruncMonth("issued_on"))
        .values_list("month")
        .annotate(Sum("total"))
    )
    paid = (
        queries.payments(links)
        # Credits are no money that came in, though they lower what is owed.
        .filter(touch="payment", currency=money.currency, paid_on__gte=first)
        .order_by()
        .annotate(month=TruncMonth("paid_on"))
        .values_list("month")
        .annotate(Sum("amount"))
    )
    series = [("Invoiced", _by(dict(invoiced), months)), ("Paid", _by(dict(paid), months))]
    return [f"{month:%b %y}" for month in months], series


def _by(found: dict[Any, Any], keys: list[date]) -> list[int | Decimal | None]:
    return [found.get(key) or Decimal(0) for key in keys]


def _ageing(money: Money) -> Bars:
    amounts: list[int | Decimal | None] = [amount for _, amount in money.buckets]
    return list(queries.BAR_LABELS), [(f"Outstanding {money.currency}", amounts)]


def _tickets(customer: Customer, today: date) -> Bars | None:
    # Weeks begin on Monday, as PostgreSQL cuts them: else no count would find its week.
    monday = today - timedelta(days=today.weekday())
    weeks = [monday - timedelta(weeks=back) for back in range(WEEKS - 1, -1, -1)]
    rows = (
        queries.tickets(customer)
        .filter(opened_at__date__gte=weeks[0])
        .order_by()
        .annotate(week=TruncWeek("opened_at"))
        .values_list("week")
        .annotate(Count("pk"))
    )
    found = {week.date(): count for week, count in rows}
    if not found:
        return None
    counts: list[int | Decimal | None] = [found.get(week, 0) for week in weeks]
    return [f"{week.day} {week:%b}" for week in weeks], [("Tickets", counts)]


def _addresses(customer: Customer, links: list[Link]) -> list[tuple[str, str]]:
    """Where each system shows this customer: what to call it, and the address."""
    found = []
    if customer.company:
        company = customer.company
        if address := psa_addresses()(company.connection_id, "company", company.external_id):
            found.append((company.connection.name, address))
    for link in links:
        if address := _books_address(link):
            found.append((link.organisation.name, address))
    return found


def _books_address(link: Link) -> str:
    try:
        books = unchecked_adapter(link.organisation, Priority.INTERACTIVE)
    except Failure:
        return ""
    address: str = books.web_address("contact", link.external_id, link.organisation.short_code)
    return address
