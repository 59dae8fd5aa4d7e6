"""Invoices (ACCREC) and bills (ACCPAY).

https://developer.xero.com/documentation/api/accounting/invoices
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, dates, documents, lines
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.documents import BAD_STATUS, HAS_MONEY, Problems, Writing
from psaltery.adapters.xero.sandbox.lines import ZERO
from psaltery.adapters.xero.sandbox.listing import Detail

# Which status may follow which; PAID is Xero's own conclusion.
MOVES = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "AUTHORISED", "DRAFT", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID", "AUTHORISED", "VOIDED"),
    "VOIDED": (),
    "DELETED": (),
}
PLAIN = ("Reference", "BrandingThemeID", "Url", "SentToContact")
# What summaryOnly leaves out.
SUMMARY_DROPS = {"LineItems", "Payments", "HasAttachments", "CISDeduction"}
# What lists without a page leave out.
LIST_DROPS = {"Payments", "CreditNotes", "Prepayments", "Overpayments"}
# What may still change once money is on a document.
AMOUNTS = ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "TaxType")
NO_MONEY: Document = {"AmountPaid": ZERO, "AmountCredited": ZERO}


def view(invoice: Document, detail: Detail) -> Document:
    """The invoice at the level of detail that was asked for."""
    shown = {**documents.public(invoice), "HasErrors": False}
    if detail.level == "list":
        # Without paging Xero leaves the lines out; a classic trap for newcomers.
        return {**{k: v for k, v in shown.items() if k not in LIST_DROPS}, "LineItems": []}
    if detail.level == "summary":
        return {name: value for name, value in shown.items() if name not in SUMMARY_DROPS}
    shown["LineItems"] = [lines.shown(line, detail.four_decimals) for line in invoice["LineItems"]]
    return shown


def nested(invoice: Document) -> Document:
    """The invoice as payments show it."""
    return {
        "Type": invoice["Type"],
        "InvoiceID": invoice["InvoiceID"],
        "InvoiceNumber": invoice.get("InvoiceNumber", ""),
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "IsDiscounted": False,
        "HasErrors": False,
        "Contact": invoice["Contact"],
        "LineItems": [],
        "CurrencyCode": invoice["CurrencyCode"],
    }


def find(writing: Writing, sent: Document) -> Document | None:
    """The invoice that an element names, by id or, for sales, by number. Raises `Refused`."""
    if identifier := sent.get("InvoiceID"):
        found = writing.books.get("Invoices", str(identifier))
        if found is None:
            raise Refused("Invoice could not be found")
        return found
    number = sent.get("InvoiceNumber")
    # Numbers of bills are the supplier's, and name nothing.
    if number and sent.get("Type", "ACCREC") == "ACCREC":
        named = writing.books.lookup("Invoices", "sales_number", str(number))
        return named[0] if named else None
    return None


def write(writing: Writing, sent: Document) -> Applied:
    """Creates the invoice, or with POST updates the one it names. Raises `Refused`."""
    # PUT never updates: a lost answer then shows as a number that is taken.
    existing = find(writing, sent) if writing.updating else None
    if existing is None:
        return Applied(_saved(writing, _built(writing, sent, {})))
    _check_move(writing, existing, sent)
    if sent.get("Status") in ("VOIDED", "DELETED"):
        return Applied(_ended(writing, existing, sent["Status"]))
    return Applied(_saved(writing, _built(writing, sent, existing)))


def _check_move(writing: Writing, existing: Document, sent: Document) -> None:
    status = sent.get("Status") or existing["Status"]
    messages = []
    if status not in MOVES[existing["Status"]]:
        messages.append(BAD_STATUS)
    if status == "VOIDED" and _has_money(existing):
        messages += [BAD_STATUS, HAS_MONEY]
    if messages:
        raise Refused(*dict.fromkeys(messages))
    # Drafts may lie in locked periods; what is posted may not move there.
    if existing["Status"] in documents.APPROVED:
        documents.check_lock(writing.books, documents.day_in(existing))


def _has_money(invoice: Document) -> bool:
    return bool(invoice["AmountPaid"] or invoice["AmountCredited"])


def _ended(writing: Writing, existing: Document, status: str) -> Document:
    return writing.books.touch(
        "Invoices", {**existing, "Status": status, **NO_MONEY, "AmountDue": ZERO}
    )


def _built(writing: Writing, sent: Document, existing: Document) -> Document:
    """The whole document as it will be. Raises `Refused` with everything that is wrong."""
    problems, books = Problems(), writing.books
    made: Document = {"Type": sent.get("Type") or existing.get("Type")}
    made["InvoiceID"] = documents.fresh_id(existing, "InvoiceID")
    status = _status(problems, sent, existing)
    sales = made["Type"] != "ACCPAY"
    if made["Type"] not in ("ACCREC", "ACCPAY"):
        problems.messages.append("Invoice type must be specified as ACCREC or ACCPAY")
    with problems.gathered():
        _number(writing, made, sent, existing, sales)
    with problems.gathered():
        made |= documents.currency(books, sent, existing)
    totals = lines.Totals()
    with problems.gathered():
        totals = _totals(writing, made, sent, existing, status)
    with problems.gathered():
        # Last, so that no contact is created for an invoice that is refused.
        contact = _contact(writing, sent, existing, bool(problems.messages))
        made["Contact"] = contacts.nested(contact)
        _dates(writing, made, sent, existing, status, contact, sales)
    with problems.gathered():
        _plan_limit(writing, made, status, existing)
    problems.end()
    return _composed(writing, made, sent, existing, status, totals)


def _status(problems: Problems, sent: Document, existing: Document) -> str:
    status = str(sent.get("Status") or existing.get("Status") or "DRAFT")
    if not existing and status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
        problems.messages.append("Invoice not of valid status for creation")
    # PAID is Xero's own conclusion; underneath the document is approved.
    return "AUTHORISED" if status == "PAID" else status


def _number(
    writing: Writing, made: Document, sent: Document, existing: Document, sales: bool
) -> None:
    number = sent.get("InvoiceNumber") or existing.get("InvoiceNumber")
    if not number and sales:
        prefix = writing.books.setting("invoice_prefix", "INV-")
        number = documents.next_number(writing.books, "Invoices", prefix)
    made["InvoiceNumber"] = str(number or "")
    if sales:
        message = "Invoice # must be unique."
        documents.check_number(
            writing, "Invoices", made["InvoiceNumber"], made["InvoiceID"], "sales_number", message
        )


def _totals(
    writing: Writing, made: Document, sent: Document, existing: Document, status: str
) -> lines.Totals:
    made["LineAmountTypes"] = documents.line_amount_types(sent, existing)
    items = documents.line_items(sent, existing)
    if not items:
        raise Refused("One or more line items must be specified")
    approving = status in ("SUBMITTED", "AUTHORISED")
    sales = made["Type"] != "ACCPAY"
    rules = lines.Rules(sales, approving, made["LineAmountTypes"], writing.four_decimals)
    totals = lines.worked_out(writing.books, items, rules)
    # Negative lines are fine, a negative invoice is a credit note.
    if totals.total < 0:
        raise Refused("The document total cannot be negative.")
    if existing and _has_money(existing):
        _check_same_money(existing, made, totals)
    return totals


def _check_same_money(existing: Document, made: Document, totals: lines.Totals) -> None:
    old, new = ([[line.get(n) for n in AMOUNTS] for line in side] for side in (
        existing["LineItems"], totals.lines
    ))  # fmt: skip
    # Words may change under a payment, money may not.
    same_currency = made["CurrencyCode"] == existing["CurrencyCode"]
    if old != new or not same_currency or totals.total != existing["Total"]:
        raise Refused(BAD_STATUS, HAS_MONEY)


def _contact(writing: Writing, sent: Document, existing: Document, only_look: bool) -> Document:
    if sent.get("Contact") is None and existing:
        contact = existing["Contact"]
        return writing.books.get("Contacts", contact["ContactID"]) or contact
    return contacts.for_document(writing.books, sent.get("Contact"), only_look)


def _dates(
    writing: Writing,
    made: Document,
    sent: Document,
    existing: Document,
    status: str,
    contact: Document,
    sales: bool,
) -> None:
    before = documents.day_in(existing) if existing else documents.today(writing.books)
    when = documents.day(sent, "Date") or before
    if existing and _has_money(existing) and when != before:
        raise Refused(BAD_STATUS, HAS_MONEY)
    made |= documents.dated("Date", when)
    due = documents.day(sent, "DueDate") or dates.day_of(existing.get("DueDate", ""))
    # Terms fill in what nobody said.
    due = due or documents.due_by_terms(writing.books, contact, when, sales)
    if due is None and status == "AUTHORISED":
        raise Refused("DueDate must be specified")
    made |= documents.dated("DueDate", due)
    for name in ("ExpectedPaymentDate" if sales else "PlannedPaymentDate",):
        expected = documents.day(sent, name) or dates.day_of(existing.get(name, ""))
        made |= {name: dates.wire_date(expected)} if expected else {}
    if status == "AUTHORISED":
        documents.check_lock(writing.books, when)


def _plan_limit(writing: Writing, made: Document, status: str, existing: Document) -> None:
    name = "approved_invoices" if made["Type"] == "ACCREC" else "approved_bills"
    limit = writing.books.setting(f"limit_{name}")
    if limit is None or status != "AUTHORISED" or existing.get("Status") in documents.APPROVED:
        return
    # Small plans count by the invoice's month, not by the day of the call.
    month = made.get("DateString", "")[:7]
    approved = [
        invoice
        for invoice in writing.books.all("Invoices")
        if invoice["Type"] == made["Type"]
        and invoice["Status"] in documents.APPROVED
        and invoice["DateString"][:7] == month
    ]
    if len(approved) >= limit:
        raise Refused("You have reached the limit of invoices you can approve")


def _composed(
    writing: Writing,
    made: Document,
    sent: Document,
    existing: Document,
    status: str,
    totals: lines.Totals,
) -> Document:
    kept = {name: existing.get(name, []) for name in sorted(LIST_DROPS)}
    paid = {name: existing.get(name, ZERO) for name in NO_MONEY}
    made |= {"Status": status, "IsDiscounted": bool(totals.discount), "HasAttachments": False}
    made |= {**kept, **paid, **documents.money(totals)}
    if totals.discount:
        made["TotalDiscount"] = totals.discount
    # Bills have no reference: their number is shown in its place.
    plain = PLAIN if made["Type"] == "ACCREC" else PLAIN[1:]
    made |= {"Reference": ""} if made["Type"] == "ACCREC" else {}
    made |= documents.plain_fields(sent, existing, plain)
    # Members with an underscore are never shown; this one answers createdByMyApp.
    made["_app"] = existing.get("_app", writing.client_id)
    return resettled(made, documents.day_in(made))


def _saved(writing: Writing, invoice: Document) -> Document:
    contacts.mark_used(writing.books, invoice["Contact"], invoice["Type"] == "ACCREC")
    return writing.books.touch("Invoices", invoice)


def resettled(invoice: Document, when: date) -> Document:
    """The invoice with what is due, and PAID exactly when that is nothing."""
    due = Decimal(invoice["Total"]) - invoice["AmountPaid"] - invoice["AmountCredited"]
    result = {**invoice, "AmountDue": due}
    if invoice["Status"] in ("AUTHORISED", "PAID"):
        result["Status"] = "PAID" if due == 0 else "AUTHORISED"
    if result["Status"] == "PAID":
        result.setdefault("FullyPaidOnDate", dates.wire_date(when))
    else:
        result.pop("FullyPaidOnDate", None)
    return result
