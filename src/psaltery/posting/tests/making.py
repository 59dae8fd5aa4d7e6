"""Documents for tests of pages: rows as the mirror of the PSA would have them."""

from datetime import date
from decimal import Decimal
from typing import Any

from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Document
from psaltery.posting.models import Posting

LINE = {
    "key": "product:1",
    "source": "product",
    "description": "Firewall",
    "quantity": "2",
    "unit_price": "50",
    "amount": "100",
    "product": "FW-100",
    "category": "Hardware",
    "tax_code": "GST",
}
_TEXTS = (
    *("status", "location", "department", "territory", "reference", "customer_po", "tax_code"),
    *("agreement", "agreement_type", "ticket_id", "applied_to", "vendor_number"),
)


def site() -> Connection:
    """A PSA's connection that has been given up: its records stay, nothing can be called."""
    return Connection.objects.get_or_create(
        name="Our PSA", defaults={"kind": "connectwise", "state": "disconnected"}
    )[0]


def office(name: str = "Sydney") -> Organisation:
    """An organisation of the books."""
    books, _ = Connection.objects.get_or_create(
        name="Our books", defaults={"kind": "xero", "state": "connected"}
    )
    return Organisation.objects.get_or_create(
        connection=books,
        name=name,
        defaults={"external_id": name, "chosen": True, "base_currency": "AUD"},
    )[0]


def document(
    number: str,
    total: str = "110.00",
    state: str = "waiting",
    organisation: Organisation | None = None,
    **fields: Any,
) -> Document:
    """A document with its posting."""
    given: dict[str, Any] = {
        **dict.fromkeys(_TEXTS, ""),
        "connection": site(),
        "kind": "invoice",
        "type": "Standard",
        "external_id": number,
        "company_external_id": "1",
        "company_name": "Alder Legal",
        "currency": "AUD",
        "issued_on": date(2026, 11, 1),
        "closed": True,
        "tax_mode": "exclusive",
        "subtotal": Decimal(total) * 10 / 11,
        "tax": Decimal(total) / 11,
        "total": Decimal(total),
        "payments": 0,
        "credits": 0,
        "balance": Decimal(total),
        "posted": False,
        "fingerprint": number,
        "lines": [LINE],
        **fields,
    }
    row = Document.objects.create(number=number, **given)
    Posting.objects.create(document=row, state=state, organisation=organisation, why="So it is.")
    return row
