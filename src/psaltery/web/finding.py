"""Search over everything from anywhere (Ctrl+K): customers, documents, invoices, pages.

A few of each, found by trigram indexes however big the tables are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from psycopg.errors import QueryCanceled

from psaltery.desk.models import Document
from psaltery.ledger.models import BillingInvoice
from psaltery.portfolio.models import Customer
from psaltery.web.format import amount_text
from psaltery.web.menu import Item, menu
from psaltery.web.searching import searched

SHOWN = 6
LONGEST = 100
# Beside what a person types the answer must come at once or not at all.
_TIMEOUT_MS = 1_500


@dataclass(frozen=True)
class Hit:
    """One thing found: what it is called, what tells it from others, where it is."""

    title: str
    detail: str
    url: str
    icon: str


@dataclass(frozen=True)
class Group:
    """The hits of one kind, and where all of them are."""

    label: str
    hits: list[Hit]
    all_url: str = ""


def find(request: HttpRequest, text: str) -> list[Group]:
    """What a person means by a few words; pages only while fewer than two letters are typed."""
    # PostgreSQL's text holds no NUL, and would answer with an error.
    text = text.replace("\x00", "").strip()[:LONGEST]
    groups = [Group("Pages", _pages(menu(request), text))]
    # One letter is in nearly every name: all tables would be read for nothing.
    if len(text) > 1:
        groups = [_customers(text), _documents(text), _invoices(text), *groups]
    return [group for group in groups if group.hits]


def _pages(items: Sequence[Item], text: str) -> list[Hit]:
    words = text.casefold().split()
    found = []
    for item in items:
        for page in item.children or (item,):
            title = f"{item.label}: {page.label}" if item.children else page.label
            if all(word in title.casefold() for word in words):
                found.append(Hit(title, "", page.url, item.icon))
    return found


def _customers(text: str) -> Group:
    rows = searched(Customer.objects.order_by("-outstanding", "pk"), ["name"], text)
    return Group("Customers", _hits(rows, _customer), _all("hub:index", text))


def _customer(row: Customer) -> Hit:
    owed = f"{amount_text(row.outstanding, row.currency)} {row.currency} outstanding"
    detail = owed if row.outstanding else row.get_billing_display()
    return Hit(row.name, detail, reverse("hub:customer", args=[row.pk]), "user")


def _documents(text: str) -> Group:
    rows = Document.objects.only("number", "company_name", "total", "currency", "issued_on")
    found = searched(rows, ["number", "company_name"], text)
    return Group("Documents", _hits(found, _document), _all("posting:index", text))


def _document(row: Document) -> Hit:
    detail = f"{row.company_name} · {amount_text(row.total, row.currency)} {row.currency}"
    return Hit(row.number, detail, reverse("posting:document", args=[row.pk]), "file-text")


def _invoices(text: str) -> Group:
    # Invoices only: bills are of interest to few, and share numbers with anything.
    rows = BillingInvoice.objects.filter(kind="receivable")
    found = searched(rows, ["number", "customer_name"], text)
    return Group("Invoices in the books", _hits(found, _invoice), _all("ledger:invoices", text))


def _invoice(row: BillingInvoice) -> Hit:
    detail = f"{row.customer_name} · {amount_text(row.total, row.currency)} {row.currency}"
    url = reverse("ledger:invoice", args=[row.pk])
    return Hit(row.number or "without number", detail, url, "file-invoice")


def _all(route: str, text: str) -> str:
    return f"{reverse(route)}?{urlencode({'q': text})}"


def _hits(rows: QuerySet[Any], hit: Callable[[Any], Hit]) -> list[Hit]:
    """The first few; none where PostgreSQL can't find them in time."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # For this transaction alone: the connection goes back to the pool with its usual limit.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(_TIMEOUT_MS)])
            return [hit(row) for row in rows[:SHOWN]]
    except OperationalError as problem:
        # Only our own limit is taken for "not in time"; a database that is gone must be seen.
        if not isinstance(problem.__cause__, QueryCanceled):
            raise
        return []
