"""The Accounting Interface: what is closed and not yet posted, and the batches that post it.

A batch takes GL entries, not documents: a document counts as posted when all its entries are in.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import export, invoices, ledger, references
from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.lines import parts
from psaltery.adapters.connectwise.sandbox.pricing import ZERO
from psaltery.adapters.connectwise.sandbox.world import World, by_id
from psaltery.adapters.sandboxing import Document

LABEL = "AccountingBatch"
FLAGS = ("exportInvoicesFlag", "exportExpensesFlag", "exportProductsFlag")
LEVEL_FIELDS = ("state", "county", "city", "country", "composite", "levelSix")


def unposted_invoices(world: World, parent: int) -> Iterator[Document]:
    """Closed invoices with GL entries, not in a batch, of companies with an account number."""
    # The company's number of today counts, not the one that the invoice was made with.
    for ledger_row in ledger.unposted(world, "invoice"):
        invoice = world.find("invoices", ledger_row["record"])
        if invoice is not None and invoices.is_closed(invoice) and _account_number(world, invoice):
            yield _unposted_invoice(world, invoice, ledger_row)


def _account_number(world: World, invoice: Document) -> str:
    company = world.find("companies", (invoice["billToCompany"] or {}).get("id")) or {}
    return company.get("accountNumber") or ""


def _unposted_invoice(world: World, invoice: Document, ledger_row: Document) -> Document:
    hung = parts(world, invoice["id"])
    return {
        "id": invoice["id"],
        "billingLogId": invoice["id"],
        "invoiceNumber": invoice["invoiceNumber"],
        "invoiceDate": invoice["date"],
        "invoiceType": invoice["type"],
        "description": invoice["topComment"],
        "company": invoice["company"],
        "billToCompany": invoice["billToCompany"],
        "shipToCompany": invoice["shipToCompany"],
        "accountNumber": _account_number(world, invoice),
        "locationId": invoice["locationId"],
        "location": invoice["location"],
        "departmentId": invoice["departmentId"],
        "department": references.to(world, "SystemDepartmentReference", invoice["departmentId"]),
        "billingTerms": invoice["billingTerms"],
        "dueDate": invoice["dueDate"],
        "currency": invoice["currency"],
        "subTotal": invoice["subtotal"],
        "salesTaxAmount": invoice["salesTax"],
        "total": invoice["total"],
        "taxCode": invoice["taxCode"],
        "invoiceTaxableFlag": invoice["taxableFlag"],
        "hasTime": bool(hung["timeEntries"]),
        "hasExpenses": bool(hung["expenses"]),
        "hasProducts": bool(hung["products"]),
        "dateClosed": invoice["_info"]["lastUpdated"],
        "createdBy": invoice["_info"]["enteredBy"],
        "_info": invoice["_info"],
    } | _level_amounts(ledger_row)


def _level_amounts(ledger_row: Document) -> Document:
    amounts: Document = {}
    for number, name in enumerate(LEVEL_FIELDS, start=1):
        of_level = [e for e in ledger_row["entries"] if e.get("level") == number]
        amounts[f"{name}TaxFlag"] = bool(of_level)
        # Entries are debits, tax is a credit: the list shows it positive.
        amounts[f"{name}TaxAmount"] = -sum((e["amount"] for e in of_level), ZERO)
    return amounts


def taxable_levels(world: World, invoice_id: int) -> Iterator[Document]:
    """The tax of an unposted invoice, by level."""
    found = ledger.find(world, ledger.key("invoice", invoice_id))
    codes = by_id(world.all("taxCodes"))
    for entry in found["entries"] if found else ():
        if entry.get("level") and entry["type"] == "ST":
            yield {
                "id": entry["id"],
                "taxLevel": entry["level"],
                "taxAmount": -entry["amount"],
                "taxCodeXref": export.level_xref(codes.get(entry["taxCode"]), entry["level"]),
            }


def unposted_procurement(world: World, parent: int) -> Iterator[Document]:
    """Received purchase order lines not in a batch, one row for each packing slip."""
    for ledger_row in ledger.unposted(world, "purchase"):
        order = world.find("purchaseOrders", ledger_row["record"]["order"])
        if order is not None:
            yield _unposted_purchase(world, order, ledger_row)


def _unposted_purchase(world: World, order: Document, ledger_row: Document) -> Document:
    entries = ledger_row["entries"]
    tax = sum((entry["amount"] for entry in entries if entry["type"] == "PT"), ZERO)
    vendor = world.find("companies", order["vendorCompany"]["id"]) or {}
    slip = ledger_row["record"]["slip"]
    freight, freight_tax = export.freight_of(world, order, slip)
    return {
        "id": entries[0]["id"],
        "unpostedProductId": ledger_row["id"],
        "procurementType": "Purchase",
        "description": export.purchase_name(order, slip),
        "purchaseOrder": references.purchase_order(order),
        "vendor": order["vendorCompany"],
        "customer": order.get("customerCompany"),
        "vendorAccountNumber": vendor.get("accountNumber") or "",
        "vendorInvoiceNumber": order.get("vendorInvoiceNumber"),
        "vendorInvoiceDate": order.get("vendorInvoiceDate"),
        "billingTerms": order.get("terms"),
        "currency": order.get("currency"),
        "locationId": order.get("locationId"),
        "departmentId": order.get("businessUnitId"),
        "purchaseDate": order["poDate"],
        "dateClosed": order["_info"]["lastUpdated"],
        "taxCode": order.get("taxCode"),
        "taxTotal": tax,
        "freightCost": freight,
        "freightTaxTotal": freight_tax,
        "taxFreightFlag": bool(order.get("taxFreightFlag")),
        "purchaseOrderTaxableFlag": bool(order.get("taxPoFlag")),
        "trackingNumber": order.get("trackingNumber"),
        "total": sum((entry["amount"] for entry in entries), freight + freight_tax),
        "_info": order["_info"],
    }


def unposted_expenses(world: World, parent: int) -> Iterator[Document]:
    """Approved expenses not in a batch."""
    for ledger_row in ledger.unposted(world, "expense"):
        row = world.find("expenses", ledger_row["record"])
        if row is not None:
            yield _unposted_expense(world, row, ledger_row)


def _unposted_expense(world: World, row: Document, ledger_row: Document) -> Document:
    amount = ledger_row["entries"][0]["amount"]
    billable = row["billableOption"] == "Billable"
    return {
        "id": row["id"],
        "expenseDetailId": row["id"],
        "glType": "EE",
        "member": row.get("member"),
        "company": row.get("company"),
        "expenseType": row.get("type"),
        "classification": (row.get("classification") or {}).get("name"),
        "paymentMethod": row.get("paymentMethod"),
        "accountNumber": ledger_row["entries"][0]["account"],
        "creditAccount": export.payable(world, row.get("locationId")),
        "ticket": row.get("ticket"),
        "agreement": row.get("agreement"),
        "locationId": row.get("locationId"),
        "departmentId": row.get("businessUnitId"),
        "currency": row.get("currency"),
        "dateExpense": row["date"],
        "dateClosed": row["_info"]["lastUpdated"],
        "billableAmount": amount if billable else ZERO,
        "nonBillableAmount": ZERO if billable else amount,
        "total": amount,
        "_info": row["_info"],
    }


def create_batch(world: World, body: Document, member: str) -> Document:
    """Post the GL entries named in `processedRecordIds`; answers the export of what they are.

    Raises `ApiError` 400 when no kind of record is chosen, or an id is not an unposted entry.
    """
    wanted = _record_ids(body)
    # All ids are looked for before anything is written: a batch is made whole or not at all.
    ledgers = _holding(world, wanted)
    batch: Document = {
        "id": world.next_id("batches"),
        "batchIdentifier": body.get("batchIdentifier") or f"{world.now():%Y%m%d%H%M%S}",
        **{flag: bool(body.get(flag)) for flag in FLAGS},
        # Closed by a person only; a closed batch can't be deleted any more, hence not undone.
        "closedFlag": False,
        "ledgers": [row["id"] for row in ledgers],
    }
    world.save("batches", batch, member)
    for row in ledgers:
        _mark(world, row, wanted, batch["id"], member)
    # No id of the batch in the answer: a client has to find it by its identifier.
    return export.document(world, ledgers)


def _record_ids(body: Document) -> set[int]:
    if not any(body.get(flag) for flag in FLAGS):
        raise refused(LABEL, "MissingRequiredField", "Choose at least one type to export.")
    # The sentence is the one that the older SOAP interface gave for an empty list.
    wanted = body.get("processedRecordIds")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(n, int) for n in wanted):
        message = "Cannot find GLEntryRecIDList: processedRecordIds are required."
        raise refused(LABEL, "MissingRequiredField", message, "processedRecordIds")
    return set(wanted)


def _holding(world: World, wanted: set[int]) -> list[Document]:
    """The ledgers that hold the wanted entries, all of which must be unposted."""
    found = ledger.holding(world, wanted)
    known = (entry for row in found for entry in row["entries"])
    missing = wanted - {entry["id"] for entry in known if entry["batch"] is None}
    if missing:
        message = f"No unposted GL entries with the ids {sorted(missing)[:10]}."
        raise refused(LABEL, "InvalidReference", message, "processedRecordIds")
    return found


def _mark(world: World, row: Document, wanted: set[int], batch_id: int | None, member: str) -> None:
    entries = [
        entry | {"batch": batch_id} if entry["id"] in wanted else entry for entry in row["entries"]
    ]
    ledger.keep(world, row | {"entries": entries})
    _stamp(world, row | {"entries": entries}, batch_id, member)


def _stamp(world: World, row: Document, batch_id: int | None, member: str) -> None:
    """Show on the record itself whether a batch has all of it."""
    # A batch of some of the entries leaves the document unposted.
    whole = all(entry["batch"] is not None for entry in row["entries"])
    if row["kind"] == "invoice":
        invoice = world.get("invoices", row["record"])
        batch = {"id": batch_id, "name": str(batch_id)} if whole else None
        # A batch that was taken back stays visible on the invoice as the one it left.
        marks = {"glBatch": batch, "unbatchedBatch": None if whole else invoice.get("glBatch")}
        world.save("invoices", invoice | marks, member)
    elif row["kind"] == "purchase":
        for line_id in {entry["sourceId"] for entry in row["entries"]}:
            world.change("purchaseOrderLines", line_id, member, batchedFlag=whole)


def batches(world: World, parent: int) -> Iterator[Document]:
    """The batches as the API shows them."""
    for row in world.all("batches"):
        yield {name: value for name, value in row.items() if name != "ledgers"}


def batch_entries(world: World, batch_id: int) -> Iterator[Document]:
    """The GL entries of one batch."""
    batch = world.get("batches", batch_id, LABEL)
    for ledger_key in batch["ledgers"]:
        row = ledger.find(world, ledger_key)
        for entry in row["entries"] if row else ():
            if entry["batch"] == batch_id:
                yield _batch_entry(world, row or {}, entry)


def _batch_entry(world: World, row: Document, entry: Document) -> Document:
    owner: Document = {}
    if row["kind"] == "invoice":
        owner = {"invoice": references.invoice(world.get("invoices", row["record"]))}
    elif row["kind"] == "purchase":
        order = world.get("purchaseOrders", row["record"]["order"])
        line = {"id": entry["sourceId"], "identifier": entry["description"]}
        owner = {"purchaseOrder": references.purchase_order(order), "lineItem": line}
    else:
        owner = {"expense": {"id": row["record"], "amount": entry["amount"]}}
    amount: Decimal = entry["amount"]
    return {
        "id": entry["id"],
        "accountNumber": entry["account"],
        "accountType": entry["type"],
        "name": entry["description"],
        "debit": max(amount, ZERO),
        "credit": max(-amount, ZERO),
        "cost": entry.get("cost") or ZERO,
        "costOfGoodsSoldAccountNumber": entry["costAccount"],
        "salesCode": entry["salesCode"],
        "item": entry["productId"],
    } | owner


def export_batch(world: World, batch_id: int) -> Document:
    """A posted batch read again."""
    batch = world.get("batches", batch_id, LABEL)
    found: list[Any] = [ledger.find(world, name) for name in batch["ledgers"]]
    return export.document(world, [row for row in found if row is not None])


def leave_batch(world: World, batch: Document, member: str) -> None:
    """Give a batch's entries back before it is deleted. Raises 400 when it is closed."""
    kept = world.get("batches", batch["id"])
    if kept["closedFlag"]:
        raise refused(LABEL, "InvalidObject", "A closed batch cannot be deleted.", "closedFlag")
    for ledger_key in kept["ledgers"]:
        row = ledger.find(world, ledger_key)
        if row is not None:
            mine = {entry["id"] for entry in row["entries"] if entry["batch"] == kept["id"]}
            _mark(world, row, mine, None, member)
