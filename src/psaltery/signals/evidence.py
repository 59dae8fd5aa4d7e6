"""Where each row that an alert was found on can be looked at: here, or in the PSA's own client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from psaltery.connections.models import Feed
from psaltery.desk.addresses import psa_addresses
from psaltery.desk.models import Ticket, TimeEntry
from psaltery.ledger.models import Customer as BooksContact
from psaltery.portfolio.models import Customer

Rows = Sequence[Mapping[str, Any]]
# Of some rows' ids: id → address.
Found = Mapping[int, str]


def addresses(evidence: Rows) -> list[str]:
    """An address for each row of evidence; "" where there is none. A fixed number of queries."""
    ids: dict[str, list[int]] = {}
    for row in evidence:
        ids.setdefault(row["kind"], []).append(row.get("id") or 0)
    found = {kind: _PLACES[kind](keys) for kind, keys in ids.items() if kind in _PLACES}
    return [found.get(row["kind"], {}).get(row.get("id") or 0, "") for row in evidence]


def _pages(route: str) -> Callable[[list[int]], Found]:
    return lambda keys: {key: reverse(route, args=[key]) for key in keys if key}


def _tickets(keys: list[int]) -> Found:
    address = psa_addresses()
    rows = Ticket.objects.filter(pk__in=keys).values_list("pk", "connection_id", "external_id")
    return {pk: address(connection, "ticket", key) for pk, connection, key in rows}


def _time(keys: list[int]) -> Found:
    address = psa_addresses()
    # The PSA shows hours on their ticket; hours without one have no page of their own.
    rows = TimeEntry.objects.filter(pk__in=keys).exclude(ticket_external_id="")
    wanted = rows.values_list("pk", "connection_id", "ticket_external_id")
    return {pk: address(connection, "ticket", key) for pk, connection, key in wanted}


def _companies(keys: list[int]) -> Found:
    rows = Customer.objects.filter(company__in=keys).values_list("company_id", "pk")
    return {company: reverse("hub:customer", args=[pk]) for company, pk in rows if company}


def _contacts(keys: list[int]) -> Found:
    """Where each can be paired with a company; by its name, as that page finds it."""
    rows = BooksContact.objects.filter(pk__in=keys).values_list("pk", "organisation_id", "name")
    place = reverse("contacts:index")
    return {
        pk: f"{place}?{urlencode({'organisation': organisation, 'q': name})}"
        for pk, organisation, name in rows
    }


def _feeds(keys: list[int]) -> Found:
    rows = Feed.objects.filter(pk__in=keys).values_list("pk", "organisation__connection_id")
    return {pk: reverse("connections:detail", args=[connection]) for pk, connection in rows}


_PLACES: Mapping[str, Callable[[list[int]], Found]] = {
    "invoice": _pages("ledger:invoice"),
    "document": _pages("posting:document"),
    "ticket": _tickets,
    "time": _time,
    "company": _companies,
    "contact": _contacts,
    "feed": _feeds,
}
