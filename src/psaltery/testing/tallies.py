"""Counts in the sandboxes themselves, past every table of ours: is each thing there once?"""

from collections import Counter
from decimal import Decimal
from typing import Any

from psaltery.testing.http_calls import call

Row = dict[str, Any]


def invoices_of_books(url: str) -> list[Row]:
    """Every invoice of every organisation, as the books' sandbox holds it."""
    return _everywhere(url, "Invoices")


def contacts_of_books(url: str) -> dict[str, list[Row]]:
    """The contacts of each organisation."""
    return {name: _rows(url, name) for name in _collections(url, "Contacts")}


def _everywhere(url: str, kind: str) -> list[Row]:
    return [row for name in _collections(url, kind) for row in _rows(url, name)]


def _collections(url: str, kind: str) -> list[str]:
    names: dict[str, int] = call(f"{url}/_control/documents")
    return [name for name in names if name.endswith(f"/{kind}")]


def _rows(url: str, collection: str) -> list[Row]:
    found: list[Row] = call(f"{url}/_control/documents/{collection}")
    return found


def posted_once(books_url: str, invoices: list[Row]) -> None:
    """Asserts that the books hold these invoices of the PSA, each once and to the cent.

    And each of their customers once.
    """
    found = invoices_of_books(books_url)
    numbers = Counter(row["InvoiceNumber"] for row in found)
    assert {number: count for number, count in numbers.items() if count > 1} == {}
    totals = {row["InvoiceNumber"]: Decimal(row["Total"]) for row in found}
    assert totals == {row["invoiceNumber"]: Decimal(str(row["total"])) for row in invoices}
    for contacts in contacts_of_books(books_url).values():
        names = Counter(contact["Name"] for contact in contacts)
        assert {name: count for name, count in names.items() if count > 1} == {}


def marked_once(psa_url: str, invoices: list[Row]) -> None:
    """Asserts that the PSA holds one batch of ours for each of these invoices."""
    batches = _rows(psa_url, "batches")
    ours = Counter(batch["batchIdentifier"] for batch in batches)
    assert ours == {f"Psaltery {row['invoiceNumber']}": 1 for row in invoices}


def paid_once(psa_url: str, paid: dict[str, Decimal]) -> None:
    """Asserts that the PSA holds one payment record for each of these numbers, of that amount."""
    numbers = {row["id"]: row["invoiceNumber"] for row in _rows(psa_url, "invoices")}
    found = [(numbers[row["invoice"]["id"]], row["amount"]) for row in _rows(psa_url, "payments")]
    assert Counter(number for number, _ in found) == dict.fromkeys(paid, 1)
    assert {number: Decimal(str(amount)) for number, amount in found} == paid
