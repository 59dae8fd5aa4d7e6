"""Purchase orders.

https://developer.xero.com/documentation/api/accounting/purchaseorders
"""

from __future__ import annotations

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, dates, documents, lines
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.documents import Problems, Writing
from psaltery.adapters.xero.sandbox.listing import Detail

STATUSES = ("DRAFT", "SUBMITTED", "AUTHORISED", "BILLED", "DELETED")
PLAIN = (
    "Reference", "BrandingThemeID", "SentToContact", "DeliveryAddress", "AttentionTo",
    "Telephone", "DeliveryInstructions",
)  # fmt: skip


def view(order: Document, detail: Detail) -> Document:
    """Purchase orders always carry their lines, with four decimals."""
    return documents.public(order)


def write(writing: Writing, sent: Document) -> Applied:
    """Creates the order, or with POST updates the one it names. Raises `Refused`."""
    existing = _existing(writing, sent)
    # A billed order belongs to its bill.
    if existing and existing["Status"] in ("BILLED", "DELETED"):
        raise Refused("Purchase order not of valid status for modification")
    return Applied(writing.books.touch("PurchaseOrders", _built(writing, sent, existing or {})))


def _existing(writing: Writing, sent: Document) -> Document | None:
    if not writing.updating:
        return None
    if identifier := sent.get("PurchaseOrderID"):
        found = writing.books.get("PurchaseOrders", str(identifier))
        if found is None:
            raise Refused("The purchase order could not be found")
        return found
    number = sent.get("PurchaseOrderNumber")
    named = writing.books.lookup("PurchaseOrders", "number", str(number)) if number else []
    return named[0] if named else None


def _built(writing: Writing, sent: Document, existing: Document) -> Document:
    problems, books = Problems(), writing.books
    made: Document = {"PurchaseOrderID": documents.fresh_id(existing, "PurchaseOrderID")}
    made["Status"] = str(sent.get("Status") or existing.get("Status") or "DRAFT")
    if made["Status"] not in STATUSES:
        problems.messages.append("Purchase order status is not valid")
    with problems.gathered():
        _number(writing, made, sent, existing)
    with problems.gathered():
        made |= documents.currency(books, sent, existing)
    with problems.gathered():
        made |= _money(writing, made, sent, existing)
    with problems.gathered():
        made["Contact"] = _contact(writing, sent, existing)
    with problems.gathered():
        _dates(writing, made, sent, existing)
    if sent.get("SentToContact") and made["Status"] not in ("AUTHORISED", "BILLED"):
        problems.messages.append(
            "Only AUTHORISED and BILLED purchase orders may have SentToContact updated."
        )
    problems.end()
    made |= documents.plain_fields(sent, existing, PLAIN)
    made.setdefault("SentToContact", False)
    return {**made, "HasAttachments": False}


def _number(writing: Writing, made: Document, sent: Document, existing: Document) -> None:
    number = sent.get("PurchaseOrderNumber") or existing.get("PurchaseOrderNumber")
    number = number or documents.next_number(writing.books, "PurchaseOrders", "PO-")
    made["PurchaseOrderNumber"] = str(number)
    identifier, message = made["PurchaseOrderID"], "Order number must be unique"
    documents.check_number(writing, "PurchaseOrders", str(number), identifier, "number", message)


def _money(writing: Writing, made: Document, sent: Document, existing: Document) -> Document:
    amount_types = documents.line_amount_types(sent, existing)
    items = documents.line_items(sent, existing)
    if not items:
        raise Refused("One or more line items must be specified")
    approving = made["Status"] in ("SUBMITTED", "AUTHORISED")
    # Orders keep four decimals without being asked.
    rules = lines.Rules(False, approving, amount_types, four_decimals=True)
    totals = lines.worked_out(writing.books, items, rules)
    return {"LineAmountTypes": amount_types, **documents.money(totals)}


def _contact(writing: Writing, sent: Document, existing: Document) -> Document:
    """Orders need a contact that exists: a name alone creates none."""
    if sent.get("Contact") is None and existing:
        return documents.nested_contact(writing.books, existing["Contact"])
    # only_look: orders never create a contact on the way.
    found = contacts.for_document(writing.books, sent.get("Contact"), only_look=True)
    if writing.books.get("Contacts", found["ContactID"]) is None:
        raise Refused("The contact must exist before a purchase order is created for it")
    return contacts.nested(found)


def _dates(writing: Writing, made: Document, sent: Document, existing: Document) -> None:
    before = documents.day_in(existing) if existing else documents.today(writing.books)
    made |= documents.dated("Date", documents.day(sent, "Date") or before)
    for name in ("DeliveryDate", "ExpectedArrivalDate"):
        when = documents.day(sent, name) or dates.day_of(existing.get(name, ""))
        made |= documents.dated(name, when)
