"""GLExport: unposted records as fully coded accounting documents.

A document's own total is a debit and positive; its detail rows are on the credit side, so revenue,
product and tax rows are negative and Σ detail = −total. A credit memo is the mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import ledger, references
from psaltery.adapters.connectwise.sandbox.accounts import resolve
from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.pricing import ZERO, levels
from psaltery.adapters.connectwise.sandbox.world import World, by_id
from psaltery.adapters.sandboxing import Document

DETAIL_TYPES = ("R", "RP", "RE", "RA", "RD", "ST")
# ConnectWise names the first three tax levels; the rest appear in taxLevels only.
NAMED_LEVELS = ("stateTax", "countyTax", "cityTax")


def preview(world: World, body: Document) -> Document:
    """What a batch of the chosen records would contain; nothing is changed.

    Raises `ApiError` 400 when no kind of record is chosen.
    """
    chosen: list[Document] = []
    # Payments can be asked for, but only WisePay's are ever unposted, and the sandbox has none.
    if body.get("exportInvoicesFlag"):
        chosen += _chosen(world, "invoice", body, "InvoiceIds")
    if body.get("exportProductsFlag"):
        chosen += _chosen(world, "purchase", body, "ProductIds")
    if body.get("exportExpensesFlag"):
        chosen += _chosen(world, "expense", body, "ExpenseIds")
    elif not any(body.get(f"export{name}Flag") for name in ("Invoices", "Products", "Payments")):
        message = "Choose at least one type to export."
        raise refused("ExportAccountingBatch", "MissingRequiredField", message)
    return document(world, chosen, condensed=body.get("summarizeInvoices") == "Condensed")


def _chosen(world: World, kind: str, body: Document, suffix: str) -> Iterator[Document]:
    included, excluded = body.get(f"included{suffix}"), body.get(f"excluded{suffix}") or ()
    location = body.get("locationId")
    for row in _candidates(world, kind, included):
        name = row["id"] if kind == "purchase" else row["record"]
        if (included and name not in included) or name in excluded:
            continue
        if not location or _location(world, row) == location:
            yield row


def _candidates(world: World, kind: str, included: Any) -> Iterable[Document]:
    """The unposted ledgers of a kind, looked up where they are named."""
    if not included:
        return ledger.unposted(world, kind)
    keys = included if kind == "purchase" else [ledger.key(kind, name) for name in included]
    found = (ledger.find(world, str(name)) for name in dict.fromkeys(keys))
    return [row for row in found if row is not None and row["kind"] == kind and not row["posted"]]


def _location(world: World, row: Document) -> int | None:
    if row["kind"] == "purchase":
        owner = world.find("purchaseOrders", row["record"]["order"])
    else:
        owner = world.find("invoices" if row["kind"] == "invoice" else "expenses", row["record"])
    return (owner or {}).get("locationId")


def document(world: World, ledgers: Iterable[Document], *, condensed: bool = False) -> Document:
    """The GLExport of some ledgers."""
    rows = list(ledgers)
    transactions = [
        _transaction(world, row, condensed=condensed) for row in rows if row["kind"] == "invoice"
    ]
    purchases = [_purchase(world, row) for row in rows if row["kind"] == "purchase"]
    return {
        "exportSettings": {"SalesTaxOption": "Detail", "ExpenseAsBillOption": True},
        "customers": _distinct(_customer(world, row["company"]) for row in transactions),
        "vendors": _distinct(_vendor(world, row["company"]) for row in purchases),
        "transactions": transactions,
        "purchaseTransactions": purchases,
        # Expenses go out as bills because the package setup says ExpenseAsBill.
        "expenses": [],
        "expenseBills": [_bill(world, row) for row in rows if row["kind"] == "expense"],
        "adjustmentTransactions": [],
        "inventoryTransfers": [],
    }


def _distinct(rows: Iterable[Document]) -> list[Document]:
    return list({row["company"]["id"]: row for row in rows}.values())


def _customer(world: World, company: Document) -> Document:
    kept = world.find("companies", company["id"]) or company
    return {
        "company": company,
        "accountNumber": kept.get("accountNumber") or "",
        "billingTerms": kept.get("billingTerms"),
        "currency": kept.get("currency"),
        "taxCode": kept.get("taxCode"),
        "taxable": True,
    }


def _vendor(world: World, company: Document) -> Document:
    kept = world.find("companies", company["id"]) or company
    return {
        "company": company,
        "vendor": company,
        "accountNumber": kept.get("accountNumber") or "",
        "vendorNumber": kept.get("vendorIdentifier") or "",
        "billingTerms": kept.get("billingTerms"),
    }


def _transaction(world: World, row: Document, *, condensed: bool) -> Document:
    invoice = world.get("invoices", row["record"])
    codes = by_id(world.all("taxCodes"))
    receivable = [entry for entry in row["entries"] if entry["type"] == "AR"]
    details = [entry for entry in row["entries"] if entry["type"] in DETAIL_TYPES]
    shown, merged = _condensed(details) if condensed else (details, [])
    taxes = [entry for entry in details if entry["type"] == "ST"]
    memo = invoice["type"] == "CreditMemo"
    terms = world.find("billingTerms", (invoice["billingTerms"] or {}).get("id")) or {}
    return {
        "id": invoice["id"],
        "glTypeId": "AR",
        "documentType": "CREDIT MEMO" if memo else "INVOICE",
        "documentNumber": invoice["invoiceNumber"],
        # Dates in exports carry no zone, unlike everywhere else in the API.
        "documentDate": invoice["date"].removesuffix("Z"),
        "dueDate": invoice["dueDate"].removesuffix("Z"),
        "dueDays": terms.get("dueDays", 0),
        "billingType": invoice["type"],
        "memo": invoice["reference"],
        "description": invoice["topComment"],
        "accountNumber": receivable[0]["account"] if receivable else "",
        "glClass": _gl_class(invoice),
        "company": invoice["billToCompany"],
        "companyAccountNumber": invoice["accountNumber"],
        "shipToCompany": invoice["shipToCompany"],
        "billingTerms": invoice["billingTerms"],
        "billingTermsXref": terms.get("termsXref") or "",
        "currency": invoice["currency"],
        # Written as text; with the ids of the details these are all entries of the document.
        "glEntryIds": ",".join(str(entry["id"]) for entry in (*receivable, *merged)),
        # Positive while the rows below are negative; whoever adds both up gets nothing.
        "total": invoice["total"],
        "salesTax": invoice["salesTax"],
        "taxable": bool(taxes),
        "taxCode": invoice["taxCode"],
        "taxableTotal": sum((e["taxableAmount"] for e in taxes if e["level"] == 1), ZERO),
        "detail": [_detail(world, entry, codes) for entry in shown],
    } | _tax_head(taxes, codes)


def _gl_class(invoice: Document) -> str:
    return str((invoice["location"] or {}).get("name") or "")


def _condensed(details: list[Document]) -> tuple[list[Document], list[Document]]:
    """Rows of the same account and tax made one; and the entries that went into others."""
    rows: dict[tuple[Any, ...], Document] = {}
    merged: list[Document] = []
    for entry in details:
        name = (entry["type"], entry["account"], entry.get("taxCode"), entry.get("level"))
        if name in rows:
            rows[name] = rows[name] | {"amount": rows[name]["amount"] + entry["amount"]}
            # A merged row has no single record behind it any more.
            rows[name]["source"] = None
            merged.append(entry)
        else:
            rows[name] = entry
    return list(rows.values()), merged


def _tax_head(taxes: list[Document], codes: dict[int, Document]) -> Document:
    head: Document = dict.fromkeys(NAMED_LEVELS, ZERO)
    tax_levels = []
    for entry in taxes:
        xref = level_xref(codes.get(entry["taxCode"]), entry["level"])
        if entry["level"] <= len(NAMED_LEVELS):
            head[NAMED_LEVELS[entry["level"] - 1]] -= entry["amount"]
        tax_levels.append(
            {
                "taxLevel": entry["level"],
                "taxAmount": -entry["amount"],
                "taxableAmount": entry["taxableAmount"],
                "taxCodeXref": xref,
            }
        )
    head["taxLevels"] = tax_levels
    head["stateTaxXref"] = tax_levels[0]["taxCodeXref"] if tax_levels else ""
    head["taxGroupRate"] = sum((entry["rate"] for entry in taxes), Decimal(0))
    head["taxAccountNumber"] = taxes[0]["account"] if taxes else ""
    head["taxAgencyXref"] = level_agency(codes, taxes[0]) if taxes else ""
    return head


def _level(code: Document | None, number: int) -> Document:
    return next((row for row in levels(code or {}) if row["taxLevel"] == number), {})


def level_xref(code: Document | None, number: int) -> str:
    """The cross-reference of one level of a tax code."""
    return str(_level(code, number).get("taxCodeXref") or "")


def level_agency(codes: dict[int, Document], entry: Document) -> str:
    """The tax agency's cross-reference of a tax entry."""
    return str(_level(codes.get(entry["taxCode"]), entry["level"]).get("agencyXref") or "")


def _detail(world: World, entry: Document, codes: dict[int, Document]) -> Document:
    code = codes.get(entry.get("taxCode") or 0)
    row = {
        "id": entry["id"],
        "glTypeId": entry["type"],
        "accountNumber": entry["account"],
        "productAccountNumber": entry["account"] if entry["type"] == "RP" else "",
        "costAccountNumber": entry["costAccount"],
        "inventoryAccountNumber": entry["inventoryAccount"],
        "salesCode": entry["salesCode"],
        "glClass": entry["glClass"],
        "glItemId": entry["productId"],
        "memo": entry["description"],
        "description": entry["description"],
        # A row without a record behind it, such as a fee, counts as one.
        "quantity": Decimal(-1),
        "itemPrice": -entry["amount"],
        "total": entry["amount"],
        "cost": entry.get("cost") or ZERO,
        "taxCode": references.tax_code(code) if code else None,
        "taxCodeXref": level_xref(code, entry.get("level") or 1),
        "taxableFlag": bool(entry.get("taxable")),
        "locationXref": "",
    }
    if entry["type"] == "ST":
        return row | _tax_detail(entry, codes)
    return row | _source_detail(world, entry)


def _tax_detail(entry: Document, codes: dict[int, Document]) -> Document:
    return {
        "memo": "Sales Tax",
        "taxRate": entry["rate"],
        "taxRatePercent": entry["rate"] * 100,
        "taxNote": "AUTOSTAX",
        "taxAgencyXref": level_agency(codes, entry),
    }


def _source_detail(world: World, entry: Document) -> Document:
    """What the billed record itself adds to its row: item, hours and price."""
    source = world.find(entry["source"], entry["sourceId"]) if entry["source"] else None
    if source is None:
        return {}
    if entry["source"] == "products":
        item = world.find("catalog", source["catalogItem"]["id"])
        return {
            "item": references.KINDS["IvItemReference"][1](item) if item else None,
            "itemDescription": source["description"],
            "product": {"id": source["id"], "description": source["description"]},
            "subCategory": (item or {}).get("subcategory"),
            "itemPrice": source["price"],
            "itemCost": source["cost"],
            "quantity": -source["quantity"],
            "unitOfMeasure": source.get("unitOfMeasure"),
        }
    if entry["source"] == "timeEntries":
        return {
            "timeEntry": {"id": source["id"]},
            "itemPrice": source["hourlyRate"],
            "quantity": -source["invoiceHours"],
        }
    return {}


def purchase_name(order: Document, slip: str) -> str:
    """The id that a receipt has in an export."""
    return f"PO #{order['poNumber']}, Packing Slip: {slip}"


def freight_of(world: World, order: Document, slip: str) -> tuple[Decimal, Decimal]:
    """An order's freight and its tax, on the one packing slip that carries it.

    That is the slip which the order names, else the first one received.
    """
    receipts = world.having("ledgers", "record/order", [order["id"]])
    slips = [row["record"]["slip"] for row in receipts]
    carrier = order.get("freightPackingSlip")
    if carrier not in slips:
        carrier = next(iter(slips), None)
    if slip != carrier:
        return ZERO, ZERO
    return Decimal(order["freightCost"]), Decimal(order["freightTaxTotal"])


def payable(world: World, location: int | None) -> str:
    """The account that a location's bills are owed from."""
    rows = world.all("glAccounts")
    return resolve(rows, "AP", [("Location", location), ("Location", None)]).number


def _purchase(world: World, row: Document) -> Document:
    order = world.get("purchaseOrders", row["record"]["order"])
    slip, entries = row["record"]["slip"], row["entries"]
    vendor = world.find("companies", order["vendorCompany"]["id"]) or {}
    terms = world.find("billingTerms", (order.get("terms") or {}).get("id")) or {}
    freight, freight_tax = freight_of(world, order, slip)
    return {
        "id": purchase_name(order, slip),
        "documentNumber": order["poNumber"],
        "documentDate": order["poDate"].removesuffix("Z"),
        "purchaseDate": order["poDate"].removesuffix("Z"),
        "packingSlip": slip,
        "description": order.get("internalNotes") or "",
        "company": order["vendorCompany"],
        "vendorNumber": vendor.get("vendorIdentifier") or "",
        "vendorAccountNumber": vendor.get("accountNumber") or "",
        "vendorInvoiceNumber": order.get("vendorInvoiceNumber"),
        "vendorInvoiceDate": order.get("vendorInvoiceDate"),
        "apAccountNumber": payable(world, order.get("locationId")),
        "billingTerms": order.get("terms"),
        "billingTermsXref": terms.get("termsXref") or "",
        "dueDays": terms.get("dueDays", 0),
        "currency": order.get("currency"),
        "freightAmount": freight,
        "freightPackingSlip": slip if freight else "",
        "taxCode": order.get("taxCode"),
        "purchaseHeaderTaxableFlag": bool(order.get("taxPoFlag")),
        "purchaseHeaderFreightTaxableFlag": bool(order.get("taxFreightFlag")),
        "total": sum((entry["amount"] for entry in entries), freight + freight_tax),
        # Tax rows have ids of their own, which a batch must hold, too.
        "purchaseDetail": [_purchase_detail(world, e) for e in entries if e["type"] == "RP"],
        "purchaseDetailTax": [_purchase_detail(world, e) for e in entries if e["type"] == "PT"],
    }


def _purchase_detail(world: World, entry: Document) -> Document:
    line = world.get("purchaseOrderLines", entry["sourceId"])
    item = world.find("catalog", line["product"]["id"]) or {}
    return {
        "id": entry["id"],
        "glTypeId": entry["type"],
        "accountNumber": entry["account"],
        "costAccountNumber": entry["costAccount"],
        "inventoryAccountNumber": entry["inventoryAccount"],
        "glClass": entry["glClass"],
        "glItemId": entry["productId"],
        "lineNumber": line["lineNumber"],
        "item": line["product"],
        "itemDescription": line["description"],
        "memo": "Purchase Tax" if entry["type"] == "PT" else line["description"],
        "itemCost": line["unitCost"],
        "itemPrice": item.get("price") or ZERO,
        "subCategory": item.get("subcategory"),
        "quantity": -Decimal(line["receivedQuantity"]),
        "total": -entry["amount"],
        "unitOfMeasure": line.get("unitOfMeasure"),
    }


def _bill(world: World, row: Document) -> Document:
    expense, entry = world.get("expenses", row["record"]), row["entries"][0]
    member = world.find("members", (expense.get("member") or {}).get("id")) or {}
    identifier = member.get("identifier") or ""
    return {
        "id": entry["id"],
        "documentType": "GENERAL JOURNAL",
        "documentNumber": f"{entry['id']}{identifier}",
        "documentDate": expense["date"].removesuffix("Z"),
        "apAccountNumber": payable(world, expense.get("locationId")),
        "vendorNumber": member.get("vendorNumber") or "",
        "member": expense.get("member"),
        "memo": expense.get("notes") or "",
        "currency": expense.get("currency"),
        "glClass": entry["glClass"],
        "total": entry["amount"],
        "detail": [_bill_detail(expense, entry)],
    }


def _bill_detail(expense: Document, entry: Document) -> Document:
    return {
        "id": [entry["id"]],
        "glTypeId": "EE",
        "accountNumber": entry["account"],
        "memo": expense.get("notes") or "",
        "company": expense.get("company"),
        "documentDate": expense["date"].removesuffix("Z"),
        "expenseClass": expense.get("classification"),
        "billable": expense["billableOption"] == "Billable",
        "reimbursable": (expense.get("classification") or {}).get("name") == "Reimbursable",
        "companyAdvance": False,
        "currency": expense.get("currency"),
        "total": -entry["amount"],
    }
