"""Invoices: made from lines, priced, closed and reopened; their money is always the server's."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import ledger, references
from psaltery.adapters.connectwise.sandbox.billing import add_line, check_line
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.lines import lines, records
from psaltery.adapters.connectwise.sandbox.pricing import ZERO, cents, totals
from psaltery.adapters.connectwise.sandbox.references import need
from psaltery.adapters.connectwise.sandbox.world import (
    OPERATOR,
    Reference,
    World,
    by_id,
    wire_day,
)
from psaltery.adapters.sandboxing import Document

SPECIAL = ("CreditMemo", "DownPayment", "Miscellaneous", "Progress")
FIRST_NUMBER = 10_000

_BLANK: Document = {
    "invoiceNumber": "",
    "type": "Standard",
    "status": None,
    "company": None,
    "billToCompany": None,
    "shipToCompany": None,
    "accountNumber": "",
    "applyToType": "All",
    "billingTerms": None,
    "reference": "",
    "customerPO": "",
    "date": None,
    "dueDate": None,
    "locationId": None,
    "departmentId": None,
    "topComment": "",
    "bottomComment": "",
    "internalNotes": "",
    "taxableFlag": True,
    "taxCode": None,
    "serviceTotal": ZERO,
    "expenseTotal": ZERO,
    "productTotal": ZERO,
    "agreementAmount": ZERO,
    "serviceAdjustmentAmount": ZERO,
    "previousProgressApplied": ZERO,
    "downpaymentApplied": ZERO,
    "remainingDownpayment": ZERO,
    "subtotal": ZERO,
    "salesTax": ZERO,
    "total": ZERO,
    "payments": ZERO,
    "credits": ZERO,
    "balance": ZERO,
    "currency": None,
    "specialInvoiceFlag": False,
    "glBatch": None,
    "unbatchedBatch": None,
    "customFields": [],
}


def create(world: World, draft: NewInvoice, member: str = OPERATOR) -> Document:
    """Make an invoice with its lines, price it, and close it if the draft says so.

    Raises `ApiError` 400 when a named company, item or code does not exist.
    """
    # Checked beforehand, because what is stored is not rolled back.
    for line in draft.lines:
        check_line(world, line)
    with world.store.transaction():
        invoice = world.add("invoices", _head(world, draft), member)
        for line in draft.lines:
            add_line(world, invoice, line, member)
        if draft.close:
            return close(world, invoice["id"], member)
        return recalculate(world, invoice["id"], member)


def _head(world: World, draft: NewInvoice) -> Document:
    company = need(world, "companies", draft.company)
    sign = -1 if draft.type == "CreditMemo" else 1
    head = blank(world) | {
        "invoiceNumber": draft.number or next_number(world),
        "type": draft.type,
        "taxableFlag": draft.taxable,
        "agreementAmount": cents(sign * draft.agreement_amount),
        "downpaymentApplied": cents(draft.down_payment),
        "previousProgressApplied": cents(draft.progress),
        "serviceAdjustmentAmount": cents(draft.service_adjustment),
        "agreement": references.to(world, "AgreementReference", draft.agreement),
        "reference": draft.reference,
        "customerPO": draft.customer_po,
        "topComment": draft.top_comment,
    }
    head |= of_company(world, company) | _chosen(world, draft)
    return head | placed(world, head) | _dates(world, draft, head)


def bill(
    world: World, agreement: Document, member: str = OPERATOR, *, day: str = "", close: bool = False
) -> Document:
    """Bill one period of an agreement: its fee, and its active additions as products."""
    rows = world.having("additions", "agreementId", [agreement["id"]])
    billed = [
        NewLine(
            item=row["product"]["id"],
            description=row.get("invoiceDescription") or row.get("description") or "",
            quantity=Decimal(row["quantity"]) - Decimal(row.get("lessIncluded") or 0),
            price=Decimal(row["unitPrice"]),
            taxable=bool(row.get("taxableFlag", True)),
            agreement=agreement["id"],
        )
        for row in rows
        if not row.get("cancelledDate") and row["billCustomer"] == "Billable"
    ]
    draft = NewInvoice(
        company=agreement["company"]["id"],
        type="Agreement",
        location=(agreement.get("location") or {}).get("id"),
        date=day or None,
        agreement=agreement["id"],
        agreement_amount=Decimal(agreement.get("billAmount") or 0),
        lines=tuple(billed),
        close=close,
    )
    return create(world, draft, member)


def next_number(world: World) -> str:
    """The next invoice number in the site's sequence."""
    return str(FIRST_NUMBER + world.next_id("invoiceNumbers"))


def blank(world: World) -> Document:
    """An open invoice with every field at its default."""
    return _BLANK | {"status": status(world, closed=False)}


def of_company(world: World, company: Document) -> Document:
    """The fields of an invoice that its company decides, unless it says otherwise."""
    # The debtor's account number counts, since it decides whether the invoice can be exported.
    bill_to = world.find("companies", (company.get("billToCompany") or {}).get("id")) or company
    return {
        "company": references.company(company),
        "billToCompany": references.company(bill_to),
        "shipToCompany": references.company(company),
        "accountNumber": bill_to.get("accountNumber") or "",
        "billingTerms": company.get("billingTerms") or standard(world, "BillingTermsReference"),
        "taxCode": company.get("taxCode") or standard(world, "TaxCodeReference"),
        "currency": company.get("currency") or standard(world, "CurrencyReference"),
        "locationId": (
            company.get("territory") or standard(world, "SystemLocationReference") or {}
        ).get("id"),
        "departmentId": (standard(world, "BillingUnitReference") or {}).get("id"),
    }


def _chosen(world: World, draft: NewInvoice) -> Document:
    chosen: Document = {}
    if draft.location is not None:
        chosen["locationId"] = need(world, "locations", draft.location)["id"]
    if draft.department is not None:
        chosen["departmentId"] = need(world, "departments", draft.department)["id"]
    if draft.terms is not None:
        chosen["billingTerms"] = references.named(need(world, "billingTerms", draft.terms))
    if draft.tax_code is not None:
        chosen["taxCode"] = references.tax_code(need(world, "taxCodes", draft.tax_code))
    if draft.currency is not None:
        chosen["currency"] = references.currency(need(world, "currencies", draft.currency))
    return chosen


def placed(world: World, head: Document) -> Document:
    """The references that repeat an invoice's location and department, and its special flag."""
    location = references.to(world, "SystemLocationReference", head.get("locationId"))
    return {
        "location": location,
        "territory": location,
        "department": references.to(world, "BillingUnitReference", head.get("departmentId")),
        "specialInvoiceFlag": head["type"] in SPECIAL,
    }


def _dates(world: World, draft: NewInvoice, head: Document) -> Document:
    day = date.fromisoformat((draft.date or world.now().date().isoformat())[:10])
    terms = world.find("billingTerms", (head["billingTerms"] or {}).get("id")) or {}
    due = draft.due_date or (day + timedelta(days=terms.get("dueDays", 0))).isoformat()
    return {"date": wire_day(day.isoformat()), "dueDate": wire_day(due)}


def recalculate(world: World, invoice_id: int, member: str = OPERATOR) -> Document:
    """Price an invoice again from its lines and payments, and store it."""
    invoice = world.get("invoices", invoice_id)
    sums = totals((line.charge for line in lines(world, invoice)), by_id(world.all("taxCodes")))
    changed = invoice | {
        "serviceTotal": sums.service,
        "expenseTotal": sums.expense,
        "productTotal": sums.product,
        "agreementAmount": sums.agreement,
        "subtotal": sums.subtotal,
        "salesTax": sums.tax,
        "total": sums.subtotal + sums.tax,
    }
    return world.save("invoices", changed | open_balance(world, changed), member)


def open_balance(world: World, invoice: Document) -> Document:
    """What is paid and credited on an invoice, and what is left of it.

    A memo's own credits are what other invoices have used of it, with its sign.
    """
    rows = records(world, invoice["id"], "payments")
    paid = sum((row["amount"] for row in rows if row["credit"] is None), ZERO)
    credited = sum((row["amount"] for row in rows if row["credit"] is not None), ZERO)
    # Applying a memo raises its own balance towards zero: total -110, used 30, left -80.
    credited -= sum((row["amount"] for row in records(world, invoice["id"], "applied")), ZERO)
    left = invoice["total"] - paid - credited
    return {"payments": paid, "credits": credited, "balance": left}


def close(
    world: World, invoice_id: int, member: str = OPERATOR, *, keep_status: bool = False
) -> Document:
    """Price an invoice, set it to the closed status (or keep its own) and book its GL entries."""
    # Before the entries are made: they are of what the lines come to now.
    invoice = recalculate(world, invoice_id, member)
    ledger.post_invoice(world, invoice)
    closed = invoice["status"] if keep_status else status(world, closed=True)
    return world.save("invoices", invoice | {"status": closed, "closedBy": member}, member)


def reopen(world: World, invoice_id: int, member: str = OPERATOR) -> Document:
    """Open a closed invoice for editing; its GL entries go.

    Raises `ApiError` 400 while it stands in a batch.
    """
    invoice = world.get("invoices", invoice_id, "Invoice")
    # Connectors tell users to delete the batch first; the API is taken to insist on it.
    if invoice.get("glBatch"):
        raise refused("Invoice", "InvalidObject", "A posted invoice cannot be reopened.", "status")
    # Entries of before an edit would be stale; closing again makes new ones.
    ledger.drop(world, ledger.key("invoice", invoice_id))
    return world.change("invoices", invoice_id, member, status=status(world, closed=False))


def is_closed(invoice: Document) -> bool:
    """Whether an invoice's status is one that closes it."""
    return bool((invoice.get("status") or {}).get("isClosed"))


def status(world: World, *, closed: bool) -> Reference | None:
    """The first billing status that closes, or does not close, an invoice."""
    for row in world.all("billingStatuses"):
        if bool(row["closedFlag"]) == closed and not row.get("inactiveFlag"):
            return references.billing_status(row)
    return None


def standard(world: World, kind: str) -> Reference | None:
    """A reference to the record of a list that is marked as its default, else to the first."""
    collection, build = references.KINDS[kind]
    rows = world.all(collection)
    marked = next((row for row in rows if row.get("defaultFlag")), rows[0] if rows else None)
    return None if marked is None else build(marked)
