"""Xero's XML twin of its JSON: lists in a plural element, dates as ISO, `<Response>` around all."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

import xmltodict

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import dates

_SINGULAR = {
    "Addresses": "Address",
    "Tracking": "TrackingCategory",
    "SalesTrackingCategories": "SalesTrackingCategory",
    "PurchasesTrackingCategories": "PurchasesTrackingCategory",
    "TrackingCategories": "TrackingCategory",
    "Currencies": "Currency",
    "Warnings": "Warning",
    "ValidationErrors": "ValidationError",
    "Elements": "DataContractBase",
    "Options": "Option",
}
# Elements that hold lists; all other elements hold one value or members.
_LISTS = {
    "Accounts", "Addresses", "Allocations", "BankTransactions", "BatchPayments", "ContactGroups",
    "ContactPersons", "Contacts", "CreditNotes", "Currencies", "HistoryRecords", "Invoices",
    "Items", "LineItems", "Options", "Overpayments", "Payments", "Phones", "Prepayments",
    "PurchaseOrders", "TaxComponents", "TaxRates", "Tracking", "TrackingCategories",
}  # fmt: skip
# XML has no types: these are numbers …
_NUMBERS = {
    "Amount", "BankAmount", "CurrencyRate", "DiscountAmount", "DiscountRate", "LineAmount",
    "Quantity", "Rate", "SubTotal", "TaxAmount", "Total", "TotalTax", "UnitAmount", "UnitPrice",
}  # fmt: skip
# … and these say yes or no.
_FLAGS = {"IsReconciled", "SentToContact", "IsSold", "IsPurchased", "EnablePaymentsToAccount"}


def singular(name: str) -> str:
    """The element name of a list's members."""
    return _SINGULAR.get(name) or name.removesuffix("s")


def write(value: Document) -> str:
    """The value as an XML document; an error has its own root element."""
    root = "ApiException" if "ErrorNumber" in value else "Response"
    inside = "".join(_element(name, member) for name, member in value.items())
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>{inside}</{root}>'


def _element(name: str, value: Any) -> str:
    # Absent and null are the same in XML.
    if value is None:
        return ""
    if isinstance(value, list):
        inside = "".join(_element(singular(name), member) for member in value)
    elif isinstance(value, dict):
        inside = "".join(_element(key, member) for key, member in value.items())
    else:
        inside = escape(_text(value))
    return f"<{name}>{inside}</{name}>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (moment := dates.from_wire(value)):
        return _iso(moment)
    return str(value)


def _iso(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()


def read(data: bytes) -> Any:
    """The request's elements as JSON would have said them. Raises ValueError for bad XML."""
    try:
        tree = xmltodict.parse(data)
    except (ExpatError, ArithmeticError) as error:
        raise ValueError(str(error)) from error
    ((name, value),) = tree.items()
    if name in _LISTS:
        return _members(name, value)
    return _value(name, value)


def _members(name: str, value: Any) -> list[Any]:
    inside = (value or {}).get(singular(name)) if isinstance(value, dict) else None
    members = inside if isinstance(inside, list) else [inside] if inside is not None else []
    return [_value(singular(name), member) for member in members]


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((key, member) for key, member in value.items() if not key.startswith("@"))
        return {
            key: _members(key, member) if key in _LISTS else _value(key, member)
            for key, member in pairs
        }
    if value is not None and name in _NUMBERS:
        return Decimal(value)
    if name in _FLAGS:
        return value == "true"
    return value
