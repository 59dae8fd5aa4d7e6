"""What the server itself does when a record is written: defaults, sums, statuses, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import invoices, ledger, purchasing
from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.lines import attach, detach, parts
from psaltery.adapters.connectwise.sandbox.pricing import ZERO, cents
from psaltery.adapters.connectwise.sandbox.world import World, wire_time
from psaltery.adapters.sandboxing import Document

# Money on an invoice's head is the server's; what a client sends for it is ignored.
COMPUTED = (
    *("serviceTotal", "expenseTotal", "productTotal", "subtotal", "salesTax", "total"),
    *("payments", "credits", "balance", "glBatch", "unbatchedBatch"),
    *("specialInvoiceFlag", "closedBy"),
)


@dataclass(frozen=True)
class Rules:
    """Hooks around the writes of one collection.

    `prepare` completes a row before it is stored (`before` is None for a new one), `settle` does
    what follows from it, `leave` refuses or accompanies a deletion.
    """

    prepare: Callable[[World, Document, Document | None, str], Document] = (
        lambda world, row, before, member: row
    )
    settle: Callable[[World, Document, str], Document] = lambda world, row, member: row
    leave: Callable[[World, Document, str], None] = lambda world, row, member: None


def _prepare_invoice(world: World, row: Document, before: Document | None, member: str) -> Document:
    if before is None:
        company = world.get("companies", row["company"]["id"])
        before = invoices.blank(world) | invoices.of_company(world, company)
        before |= {"date": wire_time(world.now()), "dueDate": wire_time(world.now())}
        if not row.get("invoiceNumber"):
            row = row | {"invoiceNumber": invoices.next_number(world)}
    # Only /finance/closedInvoices changes a closed one.
    elif invoices.is_closed(before):
        raise refused("Invoice", "InvalidObject", "A closed invoice cannot be changed.", "status")
    _check_number(world, row)
    # What a client sends for them is ignored, not refused: it may send a whole record back.
    kept = {name: before.get(name) for name in COMPUTED}
    # What a PUT leaves out keeps its value here: a head without company or dates can't be priced.
    merged = before | {key: value for key, value in row.items() if value is not None} | kept
    return merged | invoices.placed(world, merged)


def _check_number(world: World, row: Document) -> None:
    number = row.get("invoiceNumber")
    for other in world.all("invoices"):
        if other["invoiceNumber"] == number and other["id"] != row.get("id"):
            message = f"Invoice number {number} is already in use."
            raise refused("Invoice", "ObjectExists", message, "invoiceNumber")


def _settle_invoice(world: World, row: Document, member: str) -> Document:
    if invoices.is_closed(row):
        return invoices.close(world, row["id"], member, keep_status=True)
    return invoices.recalculate(world, row["id"], member)


def _leave_invoice(world: World, row: Document, member: str) -> None:
    kept = parts(world, row["id"])
    if invoices.is_closed(row) or kept["payments"] or kept["applied"]:
        raise refused("Invoice", "InvalidObject", "A closed or paid invoice cannot be deleted.")


def _prepare_company(world: World, row: Document, before: Document | None, member: str) -> Document:
    for other in world.all("companies"):
        if other["identifier"] == row["identifier"] and other["id"] != row.get("id"):
            message = f"A company with the identifier {row['identifier']} exists already."
            raise refused("Company", "ObjectExists", message, "identifier")
    return {"deletedFlag": False, "status": {"id": 1, "name": "Active"}, "types": []} | row


def _prepare_product(world: World, row: Document, before: Document | None, member: str) -> Document:
    _check_open(world, row)
    item = world.find("catalog", row["catalogItem"]["id"]) or {}
    defaults = {
        "description": item.get("description"),
        "productClass": item.get("productClass"),
        "quantity": Decimal(1),
        "price": item.get("price", ZERO),
        "cost": item.get("cost", ZERO),
        "discount": ZERO,
        "taxableFlag": item.get("taxableFlag", True),
        "agreementAmount": ZERO,
        "cancelledFlag": False,
    }
    whole = defaults | {key: value for key, value in row.items() if value is not None}
    return whole | {
        "extPrice": cents(whole["quantity"] * whole["price"]) - cents(whole["discount"]),
        "extCost": cents(whole["quantity"] * whole["cost"]),
    }


def _prepare_time(world: World, row: Document, before: Document | None, member: str) -> Document:
    _check_open(world, row)
    hours = row.get("invoiceHours") or row.get("actualHours") or ZERO
    rate = row.get("hourlyRate") or ZERO
    defaults = {"status": "Open", "agreementAmount": ZERO, "billableOption": "Billable"}
    return defaults | row | {"extendedInvoiceAmount": cents(hours * rate)}


def _prepare_expense(world: World, row: Document, before: Document | None, member: str) -> Document:
    _check_open(world, row)
    defaults = {"status": "Open", "billableOption": "Billable", "invoiceAmount": row["amount"]}
    return defaults | row


def _check_open(world: World, row: Document) -> None:
    owner = world.find("invoices", (row.get("invoice") or {}).get("id"))
    if owner is not None and invoices.is_closed(owner):
        raise refused("Invoice", "InvalidObject", "The invoice is closed.", "invoice")


def _hang_on(collection: str) -> Callable[[World, Document, str], Document]:
    def settle(world: World, row: Document, member: str) -> Document:
        if collection == "expenses":
            ledger.post_expense(world, row)
        if row.get("invoice"):
            attach(world, row["invoice"]["id"], collection, row["id"])
            invoices.recalculate(world, row["invoice"]["id"], member)
        return row

    return settle


def _take_off(collection: str) -> Callable[[World, Document, str], None]:
    def leave(world: World, row: Document, member: str) -> None:
        _check_open(world, row)
        if row.get("invoice"):
            detach(world, row["invoice"]["id"], collection, row["id"])
            invoices.recalculate(world, row["invoice"]["id"], member)

    return leave


def _prepare_agreement(
    world: World, row: Document, before: Document | None, member: str
) -> Document:
    status = "Cancelled" if row.get("cancelledFlag") else "Active"
    return {"noEndingDateFlag": True, "taxable": True} | row | {"agreementStatus": status}


def _prepare_addition(
    world: World, row: Document, before: Document | None, member: str
) -> Document:
    quantity, price = row.get("quantity") or Decimal(1), row.get("unitPrice") or ZERO
    cost = row.get("unitCost") or ZERO
    return row | {
        "quantity": quantity,
        "extPrice": cents(quantity * price),
        "extCost": cents(quantity * cost),
        "margin": cents(quantity * (price - cost)),
        "agreementStatus": "Cancelled" if row.get("cancelledDate") else "Active",
    }


def _prepare_callback(
    world: World, row: Document, before: Document | None, member: str
) -> Document:
    owner = world.named("members", member) or {}
    defaults = {"inactiveFlag": False, "isSelfSuppressedFlag": False, "payloadVersion": "3.0.0"}
    return defaults | row | {"memberId": (before or owner).get("memberId", owner.get("id"))}


RULES: dict[str, Rules] = {
    "invoices": Rules(_prepare_invoice, _settle_invoice, _leave_invoice),
    "companies": Rules(_prepare_company),
    "products": Rules(_prepare_product, _hang_on("products"), _take_off("products")),
    "timeEntries": Rules(_prepare_time, _hang_on("timeEntries"), _take_off("timeEntries")),
    "expenses": Rules(_prepare_expense, _hang_on("expenses"), _take_off("expenses")),
    "agreements": Rules(_prepare_agreement),
    "additions": Rules(_prepare_addition),
    "callbacks": Rules(_prepare_callback),
    "purchaseOrders": Rules(purchasing.prepare_order, purchasing.settle_order),
    "purchaseOrderLines": Rules(purchasing.prepare_line, purchasing.settle_line),
}
NO_RULES = Rules()
