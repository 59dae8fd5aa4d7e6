"""What an invoice bills: the products, time, expenses and agreement fee that hang on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psaltery.adapters.connectwise.sandbox.accounts import Candidate
from psaltery.adapters.connectwise.sandbox.pricing import ZERO, Charge, cents
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document

# Which list of an invoice's parts each collection of lines is kept in.
PARTS = ("products", "timeEntries", "expenses")


# Amounts that an invoice adds or takes off as a whole: field, sign, GL type, text.
_HEADS = (
    ("serviceAdjustmentAmount", 1, "R", "Service adjustment"),
    ("previousProgressApplied", -1, "RP", "Progress billed before"),
    ("downpaymentApplied", -1, "RD", "Down payment applied"),
)
_MAPPED = {"R": "Work Type", "RP": "Product Category", "RD": "Product Category"}


@dataclass(frozen=True)
class Line:
    """One billed line: its amount, the record it comes from and how it posts."""

    charge: Charge
    source: Document
    gl_type: str
    candidates: list[Candidate]
    description: str


def parts(world: World, invoice_id: int) -> Document:
    """The ids of everything that hangs on an invoice, by collection."""
    kept = world.find("invoiceParts", invoice_id)
    return kept or {"id": invoice_id, **{name: [] for name in (*PARTS, "payments", "applied")}}


def attach(world: World, invoice_id: int, name: str, record_id: int) -> None:
    """Hang one more record on an invoice."""
    kept = parts(world, invoice_id)
    if record_id not in kept[name]:
        _keep(world, kept | {name: [*kept[name], record_id]})


def detach(world: World, invoice_id: int, name: str, record_id: int) -> None:
    """Take one record off an invoice."""
    kept = parts(world, invoice_id)
    _keep(world, kept | {name: [known for known in kept[name] if known != record_id]})


def _keep(world: World, kept: Document) -> None:
    world.store.put("invoiceParts", str(kept["id"]), kept)


def records(world: World, invoice_id: int, name: str) -> list[Document]:
    """The records of one kind that hang on an invoice; `applied`: what was used of a memo."""
    collection = "payments" if name == "applied" else name
    found = (world.find(collection, record_id) for record_id in parts(world, invoice_id)[name])
    return [record for record in found if record is not None]


def lines(world: World, invoice: Document) -> list[Line]:
    """Every line of an invoice, in the order of the printed one."""
    invoice_id = invoice["id"]
    # Time, expenses and fees have no tax flag of their own: the invoice's decides.
    return [
        *(_product(world, invoice, row) for row in records(world, invoice_id, "products")),
        *(_time(invoice, row) for row in records(world, invoice_id, "timeEntries")),
        *(_expense(invoice, row) for row in records(world, invoice_id, "expenses")),
        *_head_lines(world, invoice),
    ]


def _product(world: World, invoice: Document, row: Document) -> Line:
    item = world.find("catalog", (row.get("catalogItem") or {}).get("id")) or {}
    billed = row["billableOption"] == "Billable" and not row.get("cancelledFlag")
    amount = cents(row["extPrice"] - (row.get("agreementAmount") or ZERO)) if billed else ZERO
    charge = _charge(invoice, "product", amount, row.get("taxCode"), taxable=row["taxableFlag"])
    candidates: list[Candidate] = [
        ("Product Subcategory", (item.get("subcategory") or {}).get("id")),
        ("Product Category", (item.get("category") or {}).get("id")),
        ("Product Category", None),
    ]
    # A down payment is a liability until the final invoice releases it.
    gl_type = "RD" if invoice["type"] == "DownPayment" else "RP"
    return Line(charge, row, gl_type, candidates, row.get("description") or "")


def _time(invoice: Document, row: Document) -> Line:
    charge = _charge(invoice, "time", cents(row["extendedInvoiceAmount"]), row.get("taxCode"))
    candidates: list[Candidate] = [
        ("Work Type", (row.get("workType") or {}).get("id")),
        ("Work Role", (row.get("workRole") or {}).get("id")),
        ("Work Type", None),
    ]
    return Line(charge, row, "R", candidates, row.get("notes") or "")


def _expense(invoice: Document, row: Document) -> Line:
    charge = _charge(invoice, "expense", cents(row["invoiceAmount"]), None)
    candidates: list[Candidate] = [
        ("Expense Type", (row.get("type") or {}).get("id")),
        ("Expense Type", None),
    ]
    return Line(charge, row, "RE", candidates, row.get("notes") or "")


def _head_lines(world: World, invoice: Document) -> Iterator[Line]:
    """The amounts that stand on the invoice's head only."""
    if fee := invoice.get("agreementAmount"):
        agreement = world.find("agreements", (invoice.get("agreement") or {}).get("id")) or {}
        yield _fee(invoice, agreement, cents(fee))
    for name, sign, gl_type, text in _HEADS:
        if amount := invoice.get(name):
            charge = Charge("head", sign * cents(amount), taxable=False, tax_code=None)
            yield Line(charge, invoice, gl_type, [(_MAPPED[gl_type], None)], text)


def _fee(invoice: Document, agreement: Document, amount: Any) -> Line:
    taxable = agreement.get("taxable", True)
    charge = _charge(invoice, "agreement", amount, agreement.get("taxCode"), taxable=taxable)
    candidates: list[Candidate] = [
        ("Agreement Type", (agreement.get("type") or {}).get("id")),
        ("Agreement Type", None),
    ]
    text = agreement.get("invoiceDescription") or agreement.get("name") or "Agreement"
    return Line(charge, invoice, "RA", candidates, text)


def _charge(
    invoice: Document, kind: str, amount: Any, tax_code: Any, *, taxable: bool = True
) -> Charge:
    code = (tax_code or invoice.get("taxCode") or {}).get("id")
    return Charge(kind, amount, taxable and bool(invoice.get("taxableFlag")), code)
