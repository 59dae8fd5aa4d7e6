"""Payments, batch payments, and bank transactions that make overpayments and prepayments.

https://developer.xero.com/documentation/api/accounting/payments
https://developer.xero.com/documentation/api/accounting/batchpayments
https://developer.xero.com/documentation/api/accounting/banktransactions
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, credit_notes, dates, documents, invoices, lines
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.documents import Problems, Writing
from psaltery.adapters.xero.sandbox.lines import ZERO
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books, new_id

# What a payment can be made on, and where it is kept.
TARGETS = {
    "Invoice": "Invoices",
    "CreditNote": "CreditNotes",
    "Overpayment": "Overpayments",
    "Prepayment": "Prepayments",
}
# Refunds of credit have types of their own.
TYPES = {
    "ACCREC": "ACCRECPAYMENT",
    "ACCPAY": "ACCPAYPAYMENT",
    "ACCRECCREDIT": "ARCREDITPAYMENT",
    "ACCPAYCREDIT": "APCREDITPAYMENT",
    "RECEIVE-OVERPAYMENT": "AROVERPAYMENTPAYMENT",
    "SPEND-OVERPAYMENT": "APOVERPAYMENTPAYMENT",
    "RECEIVE-PREPAYMENT": "ARPREPAYMENTPAYMENT",
    "SPEND-PREPAYMENT": "APPREPAYMENTPAYMENT",
}


def create(books: Books, sent: Document, batch: Document | None = None) -> Applied:
    """One payment on one document. Raises `Refused`."""
    kind, target = _target(books, sent)
    problems = Problems()
    account: Document = {}
    with problems.gathered():
        account = _account(books, sent)
    when = documents.today(books)
    with problems.gathered():
        when = documents.day(sent, "Date") or when
    paid = ZERO
    with problems.gathered():
        paid = lines.cents(lines.amount(sent.get("Amount"), "Amount"))
        _check_amount(target, paid)
    if documents.is_locked(books, when):
        problems.messages.append("Organisation accounts are locked on the specified payment")
    problems.end()
    payment = _made(books, sent, kind, target, account, when, paid)
    if batch:
        payment |= {"BatchPaymentID": batch["BatchPaymentID"], "BatchPayment": batch}
    _put_on(books, kind, target, payment, when)
    return Applied(books.touch("Payments", payment))


def _target(books: Books, sent: Document) -> tuple[str, Document]:
    for name, kind in TARGETS.items():
        named = sent.get(name)
        found = _named(books, kind, named) if isinstance(named, dict) else None
        if found:
            return kind, found
        if isinstance(named, dict):
            raise Refused(f"{name} could not be found")
    for name, kind in (("InvoiceNumber", "Invoices"), ("CreditNoteNumber", "CreditNotes")):
        numbered = books.lookup(kind, "number", str(sent[name])) if sent.get(name) else []
        if numbered:
            return kind, numbered[0]
    raise Refused("Invoice could not be found")


def _named(books: Books, kind: str, named: Document) -> Document | None:
    if identifier := named.get(ID_FIELDS[kind]):
        return books.get(kind, str(identifier))
    number = named.get("InvoiceNumber") or named.get("CreditNoteNumber")
    found = books.lookup(kind, "number", str(number)) if number else []
    return found[0] if found else None


def _account(books: Books, sent: Document) -> Document:
    named = sent.get("Account") or {}
    code = named.get("Code") or sent.get("Code")
    found = books.get("Accounts", str(named.get("AccountID") or ""))
    if found is None and code:
        coded = books.lookup("Accounts", "code", str(code))
        found = coded[0] if coded else None
    if found is None:
        raise Refused("Account could not be found")
    # Bank accounts take payments always, others when someone ticked the box.
    usable = found["Type"] == "BANK" or found.get("EnablePaymentsToAccount")
    if not usable or found["Status"] != "ACTIVE":
        raise Refused("Account type is invalid for making a payment")
    return found


def _check_amount(target: Document, paid: Decimal) -> None:
    messages = []
    outstanding = target["AmountDue"] if "AmountDue" in target else target["RemainingCredit"]
    if paid <= 0:
        messages.append("Payment amount must be greater than zero")
    if paid > outstanding:
        messages.append("Payment amount exceeds the amount outstanding on this document")
    if target["Status"] != "AUTHORISED":
        messages.append("Payments can only be made against Authorised documents")
    if messages:
        raise Refused(*messages)


def _made(
    books: Books,
    sent: Document,
    kind: str,
    target: Document,
    account: Document,
    when: date,
    paid: Decimal,
) -> Document:
    rate = sent.get("CurrencyRate") or target.get("CurrencyRate") or 1
    rate = lines.amount(rate, "CurrencyRate")
    base = books.organisation()["BaseCurrency"]
    # What moved on the bank account, in its own currency.
    bank = paid if target["CurrencyCode"] == base else lines.cents(paid / (rate or 1))
    payment: Document = {
        "PaymentID": new_id(),
        "Date": dates.wire_date(when),
        "BankAmount": bank,
        "Amount": paid,
        "Reference": str(sent.get("Reference") or ""),
        "CurrencyRate": rate,
        "PaymentType": TYPES[target["Type"]],
        "Status": "AUTHORISED",
        "HasAccount": True,
        "IsReconciled": bool(sent.get("IsReconciled")),
        "Account": _account_shown(account),
        # Where to find the document again when the payment is deleted.
        "_kind": kind,
        "_target": target[ID_FIELDS[kind]],
    }
    return {**payment, **_target_shown(kind, target)}


def _account_shown(account: Document) -> Document:
    shown = {"AccountID": account["AccountID"], "Name": account["Name"]}
    return {**shown, "Code": account["Code"]} if account.get("Code") else shown


def _target_shown(kind: str, target: Document) -> Document:
    """A refund shows its credit note under `Invoice`, as Xero's own examples do."""
    if kind == "Invoices":
        return {"Invoice": invoices.nested(target)}
    number = target.get("CreditNoteNumber", "")
    as_invoice = {"InvoiceID": target[ID_FIELDS[kind]], "InvoiceNumber": number}
    if kind == "CreditNotes":
        return {"Invoice": invoices.nested({**target, **as_invoice})}
    name = kind.removesuffix("s")
    return {name: {ID_FIELDS[kind]: target[ID_FIELDS[kind]], "Contact": target["Contact"]}}


def _put_on(books: Books, kind: str, target: Document, payment: Document, when: date) -> None:
    entry = {"PaymentID": payment["PaymentID"], "Date": payment["Date"]}
    entry |= {"Amount": payment["Amount"], "Reference": payment["Reference"]}
    entry |= {"CurrencyRate": payment["CurrencyRate"], "HasAccount": False}
    if batch_id := payment.get("BatchPaymentID"):
        entry["BatchPaymentID"] = batch_id
    entry["HasValidationErrors"] = False
    changed = {**target, "Payments": [*target["Payments"], entry]}
    _save_target(books, kind, changed, payment["Amount"], when)


def _save_target(
    books: Books, kind: str, changed: Document, difference: Decimal, when: date
) -> None:
    if kind == "Invoices":
        changed["AmountPaid"] = changed["AmountPaid"] + difference
        books.touch(kind, invoices.resettled(changed, when))
    else:
        books.touch(kind, credit_notes.remaining(changed, when))


def delete(books: Books, payment: Document, sent: Document) -> Applied:
    """POST with `{"Status": "DELETED"}` and nothing else. Raises `Refused`."""
    # The one trap that every integration falls into once.
    if set(sent) - {"Status", "PaymentID"} or sent.get("Status") != "DELETED":
        raise Refused("Only Status accepted for updates.")
    if payment["Status"] == "DELETED":
        raise Refused("The payment has already been deleted")
    # Only the batch as a whole can go.
    if payment.get("BatchPaymentID"):
        raise Refused("Payments made through a batch payment cannot be deleted individually")
    if payment.get("IsReconciled"):
        raise Refused("The payment has been reconciled and cannot be removed")
    return Applied(removed(books, payment))


def removed(books: Books, payment: Document) -> Document:
    """The payment as deleted; what it paid is open again."""
    when = documents.day_in(payment)
    if documents.is_locked(books, when):
        raise Refused("Organisation accounts are locked on the specified payment")
    kind = payment["_kind"]
    target = books.get(kind, payment["_target"])
    if target:
        kept = [e for e in target["Payments"] if e["PaymentID"] != payment["PaymentID"]]
        _save_target(books, kind, {**target, "Payments": kept}, -payment["Amount"], when)
    return books.touch("Payments", {**payment, "Status": "DELETED"})


def create_batch(books: Books, sent: Document) -> Applied:
    """Pays several documents in one bank line; all of them or none. Raises `Refused`."""
    parts = sent.get("Payments") or []
    if not parts:
        raise Refused("At least one payment must be specified")
    account = _account(books, sent)
    when = documents.day(sent, "Date") or documents.today(books)
    targets = [_target(books, part) for part in parts]
    # Everything is checked before anything is written: a batch is one line at the bank.
    wanted: dict[str, Decimal] = {}
    for part, (of, target) in zip(parts, targets, strict=True):
        # Two parts may pay the same document, and must not exceed it together.
        identifier = target[ID_FIELDS[of]]
        paid = lines.cents(lines.amount(part.get("Amount"), "Amount"))
        wanted[identifier] = wanted.get(identifier, ZERO) + paid
        _check_amount(target, wanted[identifier])
    kind = "RECBATCH" if targets[0][1]["Type"] == "ACCREC" else "PAYBATCH"
    total = sum((lines.cents(lines.amount(p["Amount"], "Amount")) for p in parts), ZERO)
    batch: Document = {"BatchPaymentID": new_id(), "Account": _account_shown(account)}
    batch |= documents.dated("Date", when)
    batch |= {"Type": kind, "Status": "AUTHORISED", "TotalAmount": total, "IsReconciled": False}
    batch |= documents.plain_fields(
        sent, {}, ("Reference", "Particulars", "Code", "Details", "Narrative")
    )
    return Applied(_batch_saved(books, batch, parts, when))


def _batch_saved(books: Books, batch: Document, parts: list[Document], when: date) -> Document:
    # Inside a payment Xero says the batch's numbers and flags as text.
    inside = {**batch, "TotalAmount": str(batch["TotalAmount"]), "IsReconciled": "false"}
    inside |= books.stamp("BatchPayments")
    common = {"Account": batch["Account"], "Date": when.isoformat()}
    made = [create(books, {**part, **common}, inside).document for part in parts]
    members = [
        {"PaymentID": p["PaymentID"], "Amount": p["Amount"], "Invoice": _invoice_of(p)}
        for p in made
    ]
    return books.touch("BatchPayments", {**batch, "Payments": members})


def _invoice_of(payment: Document) -> Document:
    shown = payment.get("Invoice") or {}
    return {name: shown[name] for name in ("InvoiceID", "InvoiceNumber") if shown.get(name)}


def delete_batch(books: Books, batch: Document, sent: Document) -> Applied:
    """POST with `Status: DELETED`. Raises `Refused`."""
    if sent.get("Status") != "DELETED":
        raise Refused("Only Status accepted for updates.")
    if batch["IsReconciled"]:
        raise Refused("The payment has been reconciled and cannot be removed")
    for member in batch["Payments"]:
        payment = books.get("Payments", member["PaymentID"])
        if payment and payment["Status"] != "DELETED":
            removed(books, payment)
    return Applied(books.touch("BatchPayments", {**batch, "Status": "DELETED"}))


def view(payment: Document) -> Document:
    """The payment as it is read: the same in lists and by itself."""
    return {**documents.public(payment), "HasValidationErrors": False}


def bank_transaction(writing: Writing, sent: Document) -> Applied:
    """Money in or out; the overpayment and prepayment types also open a credit."""
    books, kind = writing.books, str(sent.get("Type") or "")
    existing = _changeable(writing, sent)
    if existing and sent.get("Status") == "DELETED":
        documents.check_lock(books, documents.day_in(existing))
        return Applied(books.touch("BankTransactions", {**existing, "Status": "DELETED"}))
    allowed = [f"{way}{of}" for way in ("RECEIVE", "SPEND") for of in ("", "-OVERPAYMENT", "-PREPAYMENT")]  # fmt: skip  # noqa: E501
    if kind not in allowed:
        raise Refused("Bank transaction type is not valid")
    account = _account(books, {"Account": sent.get("BankAccount") or {}})
    when = documents.day(sent, "Date") or documents.today(books)
    documents.check_lock(books, when)
    identifier = existing["BankTransactionID"] if existing else new_id()
    made: Document = {"BankTransactionID": identifier, "Type": kind, "Status": "AUTHORISED"}
    made |= documents.currency(books, sent, {})
    totals = _bank_lines(writing, sent, made, kind)
    contact = contacts.for_document(books, sent.get("Contact"))
    made |= {"BankAccount": _account_shown(account), "Contact": contacts.nested(contact)}
    made |= {**documents.dated("Date", when), **documents.money(totals)}
    made |= {"IsReconciled": bool(sent.get("IsReconciled")), "HasAttachments": False}
    made |= documents.plain_fields(sent, {}, ("Reference", "Url"))
    return Applied(books.touch("BankTransactions", {**made, **_opened(books, made)}))


def _changeable(writing: Writing, sent: Document) -> Document | None:
    """The transaction that a POST names. Raises `Refused` where it can't be changed any more."""
    if not writing.updating or not sent.get("BankTransactionID"):
        return None
    found = writing.books.get("BankTransactions", str(sent["BankTransactionID"]))
    if found is None:
        raise Refused("The bank transaction could not be found")
    if found.get("IsReconciled"):
        raise Refused("This Bank Transaction cannot be edited as it has been reconciled")
    if found["Status"] == "DELETED":
        raise Refused("This Bank Transaction has been deleted and cannot be edited")
    return found


def _bank_lines(writing: Writing, sent: Document, made: Document, kind: str) -> lines.Totals:
    items = documents.line_items(sent, {})
    if not items:
        raise Refused("One or more line items must be specified")
    over = kind.endswith("OVERPAYMENT")
    # An overpayment is booked on the system's own account; nothing is to be given for it.
    types = "NoTax" if over else documents.line_amount_types(sent, {})
    made["LineAmountTypes"] = types
    if over:
        items = [{k: v for k, v in line.items() if k != "AccountCode"} for line in items]
    rules = lines.Rules(kind.startswith("RECEIVE"), not over, types, writing.four_decimals)
    return lines.worked_out(writing.books, items, rules)


def _opened(books: Books, made: Document) -> Document:
    """The overpayment or prepayment that this bank transaction made, by id."""
    # RECEIVE-OVERPAYMENT opens an overpayment, plain RECEIVE opens nothing.
    word = made["Type"].partition("-")[2]
    if not word:
        return {}
    kind, id_field = f"{word.capitalize()}s", f"{word.capitalize()}ID"
    names = ("Type", "Contact", "Date", "DateString", "LineAmountTypes", "LineItems", "SubTotal",
             "TotalTax", "Total", "CurrencyCode", "CurrencyRate", "Reference")  # fmt: skip
    credit = {name: made[name] for name in names if name in made}
    credit |= {id_field: new_id(), "Status": "AUTHORISED", "Allocations": [], "Payments": []}
    credit["HasAttachments"] = False
    saved = books.touch(kind, credit_notes.remaining(credit, documents.day_in(made)))
    return {id_field: saved[id_field]}
