"""Credit notes, and the allocation of credit (notes, overpayments, prepayments) to invoices.

https://developer.xero.com/documentation/api/accounting/creditnotes
https://developer.xero.com/documentation/api/accounting/overpayments
https://developer.xero.com/documentation/api/accounting/prepayments
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, dates, documents, invoices, lines
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.documents import BAD_STATUS, HAS_MONEY, Problems, Writing
from psaltery.adapters.xero.sandbox.lines import ZERO
from psaltery.adapters.xero.sandbox.listing import Detail
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books, new_id

PLAIN = ("Reference", "BrandingThemeID", "SentToContact")
NUMBERS = {"CreditNotes": "CreditNoteNumber"}


def view(note: Document, detail: Detail) -> Document:
    """The credit note at the level of detail that was asked for."""
    shown = {**documents.public(note), "HasErrors": False}
    if detail.level == "list":
        return {**shown, "LineItems": []}
    shown["LineItems"] = [lines.shown(line, detail.four_decimals) for line in note["LineItems"]]
    return shown


def find(writing: Writing, sent: Document) -> Document | None:
    """The credit note that an element names. Raises `Refused` for an unknown id."""
    if identifier := sent.get("CreditNoteID"):
        found = writing.books.get("CreditNotes", str(identifier))
        if found is None:
            raise Refused(
                "An existing Credit Note with the specified CreditNoteID could not be found"
            )
        return found
    number = sent.get("CreditNoteNumber")
    if number and sent.get("Type", "ACCRECCREDIT") == "ACCRECCREDIT":
        named = writing.books.lookup("CreditNotes", "sales_number", str(number))
        return named[0] if named else None
    return None


def write(writing: Writing, sent: Document) -> Applied:
    """Creates the credit note, or with POST updates the one it names. Raises `Refused`."""
    existing = find(writing, sent) if writing.updating else None
    if existing is None:
        return Applied(_saved(writing, _built(writing, sent, {})))
    status = sent.get("Status") or existing["Status"]
    if status not in invoices.MOVES[existing["Status"]]:
        raise Refused(BAD_STATUS.replace("Invoice", "Credit note"))
    if existing["Status"] in documents.APPROVED:
        documents.check_lock(writing.books, documents.day_in(existing))
        # Credit that is used must be taken back before the note changes.
        if existing["Allocations"] or existing["Payments"]:
            raise Refused(HAS_MONEY)
    if status in ("VOIDED", "DELETED"):
        ended = {**existing, "Status": status, "RemainingCredit": ZERO}
        return Applied(writing.books.touch("CreditNotes", ended))
    return Applied(_saved(writing, _built(writing, sent, existing)))


def _built(writing: Writing, sent: Document, existing: Document) -> Document:
    problems, books = Problems(), writing.books
    made: Document = {"Type": sent.get("Type") or existing.get("Type")}
    made["CreditNoteID"] = documents.fresh_id(existing, "CreditNoteID")
    status = str(sent.get("Status") or existing.get("Status") or "DRAFT")
    if status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
        problems.messages.append("Credit note not of valid status for creation")
    if made["Type"] not in ("ACCRECCREDIT", "ACCPAYCREDIT"):
        problems.messages.append("Credit note type must be ACCRECCREDIT or ACCPAYCREDIT")
    with problems.gathered():
        _number(writing, made, sent, existing)
    with problems.gathered():
        made |= documents.currency(books, sent, existing)
    totals = lines.Totals()
    with problems.gathered():
        totals = _totals(writing, made, sent, existing, status)
    with problems.gathered():
        _dates(writing, made, sent, existing, status)
    with problems.gathered():
        made["Contact"] = _contact(writing, sent, existing, bool(problems.messages))
    problems.end()
    made |= {"Status": status, "HasAttachments": False, **documents.money(totals)}
    made |= {"Allocations": existing.get("Allocations", []), "Payments": []}
    plain = PLAIN if made["Type"] == "ACCRECCREDIT" else PLAIN[1:]
    made |= documents.plain_fields(sent, existing, plain)
    return remaining(made, documents.day_in(made))


def _number(writing: Writing, made: Document, sent: Document, existing: Document) -> None:
    number = sent.get("CreditNoteNumber") or existing.get("CreditNoteNumber")
    sales = made["Type"] != "ACCPAYCREDIT"
    if not number and sales:
        number = documents.next_number(writing.books, "CreditNotes", "CN-")
    made["CreditNoteNumber"] = str(number or "")
    if sales:
        message = "Credit note # must be unique."
        documents.check_number(
            writing, "CreditNotes", made["CreditNoteNumber"], made["CreditNoteID"],
            "sales_number", message,
        )  # fmt: skip


def _totals(
    writing: Writing, made: Document, sent: Document, existing: Document, status: str
) -> lines.Totals:
    made["LineAmountTypes"] = documents.line_amount_types(sent, existing)
    items = documents.line_items(sent, existing)
    # Xero has discounts on sales invoices and quotes only.
    if any(line.get("DiscountRate") or line.get("DiscountAmount") for line in items):
        raise Refused("Discounts are not supported on credit notes")
    approving = status in ("SUBMITTED", "AUTHORISED")
    # A draft needs only a type and a contact.
    if approving and not items:
        raise Refused("One or more line items must be specified")
    sales = made["Type"] != "ACCPAYCREDIT"
    rules = lines.Rules(sales, approving, made["LineAmountTypes"], writing.four_decimals)
    totals = lines.worked_out(writing.books, items, rules)
    if totals.total < 0:
        raise Refused("The document total cannot be negative.")
    return totals


def _dates(
    writing: Writing, made: Document, sent: Document, existing: Document, status: str
) -> None:
    before = documents.day_in(existing) if existing else documents.today(writing.books)
    when = documents.day(sent, "Date") or before
    made |= documents.dated("Date", when)
    made |= documents.dated("DueDate", documents.day(sent, "DueDate"))
    if status == "AUTHORISED":
        documents.check_lock(writing.books, when)


def _contact(writing: Writing, sent: Document, existing: Document, only_look: bool) -> Document:
    if sent.get("Contact") is None and existing:
        return documents.nested_contact(writing.books, existing["Contact"])
    return contacts.nested(contacts.for_document(writing.books, sent.get("Contact"), only_look))


def _saved(writing: Writing, note: Document) -> Document:
    contacts.mark_used(writing.books, note["Contact"], note["Type"] == "ACCRECCREDIT")
    return writing.books.touch("CreditNotes", note)


def remaining(source: Document, when: date) -> Document:
    """The credit (of any kind) with what is left of it, and PAID when nothing is."""
    used = sum((Decimal(entry["Amount"]) for entry in source["Allocations"]), ZERO)
    refunded = sum((Decimal(entry["Amount"]) for entry in source["Payments"]), ZERO)
    left = Decimal(source["Total"]) - used - refunded
    result = {**source, "RemainingCredit": left}
    if source["Status"] in ("AUTHORISED", "PAID"):
        result["Status"] = "PAID" if left == 0 else "AUTHORISED"
    # Set once; a later look at the note does not move the day.
    if result["Status"] == "PAID":
        result.setdefault("FullyPaidOnDate", dates.wire_date(when))
    else:
        result.pop("FullyPaidOnDate", None)
    return result


def allocate(books: Books, kind: str, source_id: str, sent: Document) -> Applied:
    """Uses up credit on one invoice. Raises `Refused`; nothing is changed then."""
    source = books.get(kind, source_id)
    if source is None:
        raise Refused("The credit could not be found")
    named = sent.get("Invoice") or {}
    # By id or by number, as payments do.
    invoice = books.get("Invoices", str(named.get("InvoiceID") or ""))
    if invoice is None and named.get("InvoiceNumber"):
        found = books.lookup("Invoices", "number", str(named["InvoiceNumber"]))
        invoice = found[0] if found else None
    if invoice is None:
        raise Refused("Invoice could not be found")
    applied = lines.amount(sent.get("Amount"), "Amount")
    _check_allocation(books, source, invoice, applied)
    # Whatever date is sent, Xero takes the later of both documents' dates.
    when = max(documents.day_in(source), documents.day_in(invoice))
    return Applied(_allocated(books, kind, source, invoice, lines.cents(applied), when))


def _check_allocation(books: Books, source: Document, invoice: Document, applied: Decimal) -> None:
    messages = []
    if source["Status"] != "AUTHORISED":
        messages.append("The credit must be of status AUTHORISED to be allocated")
    if invoice["Status"] != "AUTHORISED":
        messages.append("Credit can only be allocated to Authorised documents")
    if applied <= 0:
        messages.append("The allocation amount must be greater than zero")
    if applied > source["RemainingCredit"]:
        messages.append("The allocation amount exceeds the remaining credit")
    if applied > invoice["AmountDue"]:
        messages.append("The allocation amount exceeds the amount outstanding on this document")
    # Credit belongs to one customer.
    if source["Contact"]["ContactID"] != invoice["Contact"]["ContactID"]:
        messages.append("The credit and the invoice must belong to the same contact")
    if source["CurrencyCode"] != invoice["CurrencyCode"]:
        messages.append("The credit and the invoice must have the same currency")
    if documents.is_locked(books, max(documents.day_in(source), documents.day_in(invoice))):
        messages.append("The document date cannot be before the period lock date")
    if messages:
        raise Refused(*messages)


def _allocated(
    books: Books, kind: str, source: Document, invoice: Document, applied: Decimal, when: date
) -> Document:
    identifier = new_id()
    own = {"InvoiceID": invoice["InvoiceID"], "InvoiceNumber": invoice["InvoiceNumber"]}
    entry: Document = {"AllocationID": identifier, "Amount": applied, "IsDeleted": False}
    entry |= {"Date": dates.wire_date(when), "Invoice": own}
    changed = {**source, "Allocations": [*source["Allocations"], entry]}
    books.touch(kind, remaining(changed, when))
    _credit(books, kind, source, invoice["InvoiceID"], applied, when, identifier)
    return entry


def _credit(
    books: Books,
    kind: str,
    source: Document,
    invoice_id: str,
    applied: Decimal,
    when: date,
    allocation_id: str,
) -> None:
    invoice = books.get("Invoices", invoice_id)
    if invoice is None:
        raise KeyError(invoice_id)
    id_field = ID_FIELDS[kind]
    entry: Document = {id_field: source[id_field], "AppliedAmount": applied}
    entry |= {"Date": dates.wire_date(when), "Total": source["Total"], "LineItems": []}
    if number := source.get(NUMBERS.get(kind, "")):
        entry[NUMBERS[kind]] = number
    # Ties the entry to its allocation, for taking it back.
    entry["ID"] = allocation_id
    changed = {**invoice, kind: [*invoice[kind], entry]}
    changed["AmountCredited"] = invoice["AmountCredited"] + applied
    books.touch("Invoices", invoices.resettled(changed, when))


def deallocate(books: Books, kind: str, source_id: str, allocation_id: str) -> Document | None:
    """Takes an allocation back; None when there is no such allocation."""
    source = books.get(kind, source_id)
    entries = source["Allocations"] if source else []
    entry = next((e for e in entries if e["AllocationID"] == allocation_id), None)
    if source is None or entry is None:
        return None
    left = [other for other in entries if other is not entry]
    when = documents.day_in(source)
    books.touch(kind, remaining({**source, "Allocations": left}, when))
    _uncredit(books, kind, entry)
    return {"AllocationID": allocation_id, "IsDeleted": True}


def _uncredit(books: Books, kind: str, entry: Document) -> None:
    invoice = books.get("Invoices", entry["Invoice"]["InvoiceID"])
    if invoice is None:
        return
    kept = [e for e in invoice[kind] if e.get("ID") != entry["AllocationID"]]
    changed = {**invoice, kind: kept}
    changed["AmountCredited"] = invoice["AmountCredited"] - entry["Amount"]
    books.touch("Invoices", invoices.resettled(changed, documents.day_in(invoice)))
