"""What is wanted in the books, as Xero's JSON elements. Pure; the twin of `translate.py`.

https://developer.xero.com/documentation/api/accounting/invoices
"""

import re
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.kit.text import clean, cut, single_line
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    Draft,
    DraftLine,
    ItemDraft,
    ItemSide,
    PaymentDraft,
)

CONTACT = "contact"
PAYMENT = "payment"
ITEM = "item"
_COLLECTIONS = {
    BooksKind.INVOICE.value: "Invoices",
    BooksKind.BILL.value: "Invoices",
    BooksKind.CREDIT_NOTE.value: "CreditNotes",
    BooksKind.PURCHASE_ORDER.value: "PurchaseOrders",
    BooksKind.SPEND.value: "BankTransactions",
    CONTACT: "Contacts",
    PAYMENT: "Payments",
    ITEM: "Items",
}
# By these an element and its verdict know each other.
ID_MEMBERS = {
    "Invoices": "InvoiceID",
    "CreditNotes": "CreditNoteID",
    "Contacts": "ContactID",
    "Payments": "PaymentID",
    "Items": "ItemID",
    "PurchaseOrders": "PurchaseOrderID",
    "BankTransactions": "BankTransactionID",
}
NUMBER_MEMBERS = {
    "Invoices": "InvoiceNumber",
    "CreditNotes": "CreditNoteNumber",
    "Contacts": "ContactNumber",
    "Payments": "Reference",
    "Items": "Code",
    "PurchaseOrders": "PurchaseOrderNumber",
    "BankTransactions": "Reference",
}
_TYPES = {
    BooksKind.INVOICE: "ACCREC",
    BooksKind.BILL: "ACCPAY",
    BooksKind.CREDIT_NOTE: "ACCRECCREDIT",
    BooksKind.PURCHASE_ORDER: "",
    BooksKind.SPEND: "SPEND",
}
_TAX_MODES = {
    TaxMode.EXCLUSIVE: "Exclusive",
    TaxMode.INCLUSIVE: "Inclusive",
    TaxMode.NO_TAX: "NoTax",
}
# Xero takes ASCII addresses only; a wrong one in an optional field would block the whole contact.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NOT_IN_NAMES = re.compile(r"[<>]")
_NOT_IN_COUNTRIES = re.compile(r"[^A-Za-z ]")
DESCRIPTION_MOST = 4000
TEXT_MOST = 255
CODE_MOST = 50
ITEM_CODE_MOST = 30
ITEM_NAME_MOST = 50


def collection(kind: str) -> str:
    """The endpoint and envelope member for a kind of `Prepared`."""
    return _COLLECTIONS[kind]


def encoded(element: dict[str, Any]) -> str:
    """The element as JSON text; amounts as exact numbers."""
    return msgspec.json.encode(element).decode()


def document(action: Action, draft: Draft) -> dict[str, Any]:
    """The element for an invoice, a bill or a credit note.

    To void sends nothing but id and status: DELETED when `draft.status` says that the document in
    the books is a draft or waits for approval (or says deleted), VOIDED otherwise.
    """
    plural = collection(draft.kind)
    if action is Action.VOID:
        return {ID_MEMBERS[plural]: draft.external_id, "Status": _end_of(draft)}
    element = {
        ID_MEMBERS[plural]: draft.external_id if action is Action.UPDATE else "",
        "Type": _TYPES[draft.kind],
        NUMBER_MEMBERS[plural]: _text(draft.number, TEXT_MOST),
        # Any further member would change the contact itself.
        "Contact": {"ContactID": draft.contact_id},
        "Date": draft.issued_on.isoformat(),
        "LineAmountTypes": _TAX_MODES[draft.tax_mode],
        "CurrencyCode": draft.currency,
        "CurrencyRate": _exact(draft.rate),
        "BrandingThemeID": draft.branding_theme_id,
        "Status": draft.status.value.upper(),
        # All of them: on an update, lines that are not in the list are deleted.
        "LineItems": [_line(line) for line in draft.lines],
        **_only_of_its_kind(draft),
    }
    # What was entered there is only taken away by an empty text.
    emptied = {"Reference": ""} if action is Action.UPDATE and "Reference" in element else {}
    return emptied | _set(element)


def allocation(invoice_id: str, amount: Decimal) -> dict[str, Any]:
    """Credit applied to an invoice. Without a date: Xero takes the later of both documents'."""
    return {"Invoice": {"InvoiceID": invoice_id}, "Amount": _exact(amount)}


def contact(action: Action, draft: ContactDraft) -> dict[str, Any]:
    """The element for a contact. What is not set is left out, and Xero keeps it as it is.

    To void archives it; `draft.restore` un-archives it and sends nothing else.
    """
    if action is Action.VOID or draft.restore:
        state = "ARCHIVED" if action is Action.VOID else "ACTIVE"
        return {"ContactID": draft.external_id, "ContactStatus": state}
    element = {
        "ContactID": draft.external_id if action is Action.UPDATE else "",
        # Xero refuses angle brackets and doubled blanks in names.
        "Name": _text(_NOT_IN_NAMES.sub(" ", draft.name), TEXT_MOST),
        "ContactNumber": _short(draft.contact_number),
        "AccountNumber": _short(draft.account_number),
        "EmailAddress": draft.email.strip() if _EMAIL.fullmatch(draft.email.strip()) else "",
        "TaxNumber": _short(draft.tax_number),
        "DefaultCurrency": draft.currency,
        "Phones": _phones(draft.phone),
        "Addresses": _addresses(draft),
    }
    return _set(element)


def item(action: Action, draft: ItemDraft) -> dict[str, Any]:
    """The element for an item. A side that is not set is left as Xero has it.

    https://developer.xero.com/documentation/api/accounting/items
    """
    element: dict[str, Any] = {
        "ItemID": draft.external_id if action is Action.UPDATE else "",
        "Code": cut(single_line(draft.code), ITEM_CODE_MOST),
        "Name": _text(draft.name, ITEM_NAME_MOST),
        "Description": cut(clean(draft.description).strip(), DESCRIPTION_MOST),
    }
    if draft.sales is not None:
        element["SalesDetails"] = _item_side(draft.sales)
    if draft.purchase is not None:
        element |= {
            "PurchaseDescription": element["Description"],
            "PurchaseDetails": _item_side(draft.purchase),
        }
    return _set(element)


def _item_side(side: ItemSide) -> dict[str, Any]:
    return _set(
        {
            "UnitPrice": _exact(side.price),
            "AccountCode": side.account_code,
            "TaxType": side.tax_type,
        }
    )


def payment(draft: PaymentDraft) -> dict[str, Any]:
    """The element for money on an invoice.

    https://developer.xero.com/documentation/api/accounting/payments
    """
    return {
        "Invoice": {"InvoiceID": draft.invoice_id},
        "Account": {"AccountID": draft.account_id},
        "Date": draft.paid_on.isoformat(),
        "Amount": _exact(draft.amount),
        "Reference": _text(draft.reference, TEXT_MOST),
    }


def _end_of(draft: Draft) -> str:
    never_posted = (Status.DRAFT, Status.SUBMITTED, Status.DELETED)
    # Neither purchase orders nor bank transactions know the word voided.
    deleted = draft.kind in (BooksKind.PURCHASE_ORDER, BooksKind.SPEND)
    return "DELETED" if deleted or draft.status in never_posted else "VOIDED"


def _only_of_its_kind(draft: Draft) -> dict[str, Any]:
    if draft.kind is BooksKind.CREDIT_NOTE:
        return {"Reference": _text(draft.reference, TEXT_MOST)}
    if draft.kind is BooksKind.PURCHASE_ORDER:
        return {}
    if draft.kind is BooksKind.SPEND:
        return {"BankAccount": {"AccountID": draft.bank_account_id}, "Url": _url(draft)}
    shared = {
        "DueDate": draft.due_on.isoformat() if draft.due_on else "",
        "Url": _url(draft),
    }
    if draft.kind is BooksKind.BILL:
        return shared  # a bill has no Reference: its number is what the page calls so
    return shared | {"Reference": _text(draft.reference, TEXT_MOST)}


def _url(draft: Draft) -> str:
    # Xero is said to refuse a source link with its own name in it.
    return "" if "xero" in draft.url.lower() else draft.url


def _line(line: DraftLine) -> dict[str, Any]:
    return _set(
        {
            "LineItemID": line.external_id,
            # Xero asks for two of quantity, price and line amount, and works out the third.
            # One character at least is wanted, or Xero refuses the line.
            "Description": cut(clean(line.description).strip(), DESCRIPTION_MOST)
            or line.item_code
            or "-",
            "Quantity": _exact(line.quantity),
            "UnitAmount": _exact(line.unit_amount),
            "LineAmount": _exact(line.line_amount),
            "AccountCode": line.account_code,
            "TaxType": line.tax_type,
            # Given only where the books' own arithmetic must be overruled.
            "TaxAmount": _exact(line.tax_amount),
            "ItemCode": line.item_code,
            "Tracking": [
                _set(
                    {
                        "TrackingCategoryID": choice.category_id,
                        "TrackingOptionID": choice.option_id,
                        "Name": choice.category,
                        "Option": choice.option,
                    }
                )
                for choice in line.tracking
            ],
        }
    )


def _phones(number: str) -> list[dict[str, str]]:
    text = _short(number)
    return [{"PhoneType": "DEFAULT", "PhoneNumber": text}] if text else []


def _addresses(draft: ContactDraft) -> list[dict[str, str]]:
    """The mailing address, which is what Xero prints on invoices (POBOX)."""
    lines = {
        f"AddressLine{number}": _text(line, 500)
        for number, line in enumerate(draft.address[:4], start=1)
    }
    address = _set(
        {
            **lines,
            "City": _text(draft.city, TEXT_MOST),
            "Region": _text(draft.region, TEXT_MOST),
            "PostalCode": _short(draft.postcode),
            "Country": _short(_NOT_IN_COUNTRIES.sub("", draft.country)),
        }
    )
    return [{"AddressType": "POBOX", **address}] if address else []


def _set(element: dict[str, Any]) -> dict[str, Any]:
    """Only the members that say something; a zero says something."""
    return {name: value for name, value in element.items() if value not in ("", None, [])}


def _text(text: str, most: int) -> str:
    return cut(single_line(text), most)


def _short(text: str) -> str:
    return _text(text, CODE_MOST)


def _exact(amount: Decimal | None) -> msgspec.Raw | None:
    """The amount's digits as they are, without an exponent, which some readers of JSON refuse."""
    return None if amount is None else msgspec.Raw(format(amount, "f").encode())
