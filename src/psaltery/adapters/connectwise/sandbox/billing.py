"""The records behind an invoice's lines: products, time entries and expenses, made to be billed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import ledger, references
from psaltery.adapters.connectwise.sandbox.drafts import Key, NewLine
from psaltery.adapters.connectwise.sandbox.lines import attach
from psaltery.adapters.connectwise.sandbox.pricing import cents
from psaltery.adapters.connectwise.sandbox.references import need
from psaltery.adapters.connectwise.sandbox.world import World, wire_day, wire_time
from psaltery.adapters.sandboxing import Document

_NAMED = {
    "item": "catalog",
    "tax_code": "taxCodes",
    "work_type": "workTypes",
    "work_role": "workRoles",
    "member": "members",
    "expense_type": "expenseTypes",
}


def check_line(world: World, line: NewLine) -> None:
    """Raises `ApiError` 400 when a line names something that does not exist."""
    for name, collection in _NAMED.items():
        if (key := getattr(line, name)) is not None:
            need(world, collection, key)


def add_line(world: World, invoice: Document, line: NewLine, member: str) -> Document:
    """Make the record that a line stands for, and hang it on the invoice."""
    # A memo's total is negative in the screens; `positive_credit_memos` shows the other reading.
    sign = -1 if invoice["type"] == "CreditMemo" else 1
    if line.kind == "product":
        collection, row = "products", _product(world, invoice, line, sign)
    elif line.kind == "time":
        collection, row = "timeEntries", _time(world, invoice, line, sign)
    else:
        collection, row = "expenses", _expense(world, invoice, line, sign)
    record = world.add(collection, row, member)
    attach(world, invoice["id"], collection, record["id"])
    # An expense posts by itself when approved, whether its invoice is closed or not.
    if collection == "expenses":
        ledger.post_expense(world, record)
    return record


def _product(world: World, invoice: Document, line: NewLine, sign: int) -> Document:
    item = need(world, "catalog", line.item if line.item is not None else 1)
    price = item["price"] if line.price is None else line.price
    quantity = sign * line.quantity
    text = line.description or item["description"]
    return {
        "catalogItem": references.catalog_item(item),
        "description": text,
        "customerDescription": text,
        "sequenceNumber": Decimal(1),
        "quantity": quantity,
        "price": price,
        "cost": item["cost"],
        "discount": sign * line.discount,
        "extPrice": cents(quantity * price) - cents(sign * line.discount),
        "extCost": cents(quantity * item["cost"]),
        "agreementAmount": Decimal("0.00"),
        "billableOption": "Billable",
        "productClass": item["productClass"],
        "taxableFlag": line.taxable,
        "cancelledFlag": False,
        "unitOfMeasure": item.get("unitOfMeasure"),
        "vendor": item.get("vendor"),
        "integrationXRef": item.get("integrationXRef") or "",
        "location": invoice["location"],
        "businessUnit": invoice["department"],
        "taxCode": _tax_code(world, line),
    } | _common(world, invoice, line)


def _time(world: World, invoice: Document, line: NewLine, sign: int) -> Document:
    work_type = _first(world, "workTypes", line.work_type)
    role = _first(world, "workRoles", line.work_role)
    rate = line.price if line.price is not None else role["hourlyRate"]
    start = datetime.fromisoformat((line.date or invoice["date"])[:10] + "T09:00:00+00:00")
    # Credit memos bill negative hours and quantities; prices stay positive.
    hours = sign * line.quantity
    member = _first(world, "members", line.member)
    return {
        "chargeToType": "ServiceTicket" if line.ticket else "Company",
        "chargeToId": line.ticket or invoice["company"]["id"],
        "member": references.person(member),
        "workType": references.named(work_type),
        "workRole": references.named(role),
        "timeStart": wire_time(start),
        "timeEnd": wire_time(start + timedelta(hours=float(line.quantity))),
        "actualHours": line.quantity,
        "billableOption": "Billable",
        "hourlyRate": rate,
        # Billed hours may differ from those worked, which are never negative.
        "invoiceHours": hours,
        "hoursBilled": hours,
        "extendedInvoiceAmount": cents(hours * rate) - cents(sign * line.discount),
        "agreementHours": Decimal(0),
        "agreementAmount": Decimal("0.00"),
        "notes": line.description,
        "invoiceReady": 1,
        "location": invoice["location"],
        "department": invoice["department"],
        "taxCode": _tax_code(world, line),
        "invoiceFlag": True,
        "status": "Billed",
    } | _common(world, invoice, line)


def _expense(world: World, invoice: Document, line: NewLine, sign: int) -> Document:
    amount = cents(sign * line.quantity * (line.price or Decimal(0)))
    member = _first(world, "members", line.member)
    return {
        "chargeToType": "ServiceTicket" if line.ticket else "Company",
        "chargeToId": line.ticket or invoice["company"]["id"],
        "type": references.named(_first(world, "expenseTypes", line.expense_type)),
        "member": references.person(member),
        "paymentMethod": {"id": 1, "name": "Personal"},
        "classification": {"id": 1, "name": "Reimbursable"},
        "amount": amount,
        "billAmount": amount,
        "invoiceAmount": amount,
        "agreementAmount": Decimal("0.00"),
        "billableOption": "Billable",
        "date": wire_day(line.date or invoice["date"]),
        "notes": line.description,
        "taxes": [],
        "currency": invoice["currency"],
        "status": "Billed",
    } | _common(world, invoice, line)


def _common(world: World, invoice: Document, line: NewLine) -> Document:
    return {
        "company": invoice["company"],
        "invoice": references.invoice(invoice),
        "locationId": invoice["locationId"],
        "businessUnitId": invoice["departmentId"],
        "ticket": references.to(world, "TicketReference", line.ticket),
        "agreement": references.to(world, "AgreementReference", line.agreement),
        "customFields": [],
    }


def _tax_code(world: World, line: NewLine) -> Document | None:
    if line.tax_code is None:
        return None
    return references.tax_code(need(world, "taxCodes", line.tax_code))


def _first(world: World, collection: str, key: Key | None) -> Document:
    return need(world, collection, key if key is not None else world.all(collection)[0]["id"])
