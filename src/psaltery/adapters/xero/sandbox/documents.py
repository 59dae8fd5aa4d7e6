"""Invoices, credit notes and purchase orders: what they share when they are written.

https://developer.xero.com/documentation/api/accounting/invoices
https://developer.xero.com/documentation/api/accounting/creditnotes
https://developer.xero.com/documentation/api/accounting/purchaseorders
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, dates, lines
from psaltery.adapters.xero.sandbox.answers import Refused
from psaltery.adapters.xero.sandbox.state import Books, new_id

# "Today" is the day where the organisation is, not the server's.
ZONES = {
    "AUSEASTERNSTANDARDTIME": ZoneInfo("Australia/Sydney"),
    "CENAUSTRALIASTANDARDTIME": ZoneInfo("Australia/Adelaide"),
    "NEWZEALANDSTANDARDTIME": ZoneInfo("Pacific/Auckland"),
}
# Xero takes any case of letters and answers in its own.
LINE_AMOUNT_TYPES = {"exclusive": "Exclusive", "inclusive": "Inclusive", "notax": "NoTax"}
APPROVED = ("AUTHORISED", "PAID", "BILLED")
BAD_STATUS = "Invoice not of valid status for modification"
HAS_MONEY = "This document cannot be edited as it has a payment or credit note allocated to it."


@dataclass
class Problems:
    """Gathers every message, since Xero tells all that is wrong with an element at once."""

    messages: list[str] = field(default_factory=list)
    nested: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Whatever is refused inside is kept, and the work goes on after it."""
        try:
            yield
        except Refused as refused:
            self.messages += refused.messages
            self.nested.update(refused.nested)

    def end(self) -> None:
        """Raises `Refused` with everything gathered, if anything was."""
        if self.messages:
            raise Refused(*dict.fromkeys(self.messages), nested=self.nested)


@dataclass(frozen=True)
class Writing:
    """The circumstances of one write: whose books, which app, which decimals."""

    books: Books
    client_id: str = ""
    four_decimals: bool = False
    updating: bool = False
    """POST may update what exists; PUT only creates."""


def today(books: Books) -> date:
    """The current day where the organisation is."""
    zone = ZONES.get(books.organisation()["Timezone"], ZONES["AUSEASTERNSTANDARDTIME"])
    return books.clock.now().astimezone(zone).date()


def day(sent: Document, name: str) -> date | None:
    """A date of the request; None when it is absent. Raises `Refused` when it is no date."""
    value = sent.get(name)
    if value in (None, ""):
        return None
    found = dates.day_of(str(value))
    if found is None or not 1900 <= found.year <= 2999:
        raise Refused(f"{name} is not a valid date")
    return found


def dated(name: str, value: date | None) -> Document:
    """The date and its readable twin."""
    if value is None:
        return {}
    return {f"{name}String": dates.iso_day(value), name: dates.wire_date(value)}


def day_in(document: Document, name: str = "Date") -> date:
    """A date of a stored document."""
    found = dates.day_of(document[name])
    if found is None:
        raise ValueError(f"{name} of a stored document is not a date")
    return found


def check_lock(books: Books, when: date) -> None:
    """Raises `Refused` when the date is in a locked period."""
    organisation = books.organisation()
    # The stricter lock is named first when both apply.
    for name, words in (("EndOfYearLockDate", "end of year"), ("PeriodLockDate", "period")):
        locked = dates.day_of(organisation.get(name) or "")
        if locked and when <= locked:
            raise Refused(f"The document date cannot be before the {words} lock date")


def is_locked(books: Books, when: date) -> bool:
    """Whether the date is in a locked period."""
    try:
        check_lock(books, when)
    except Refused:
        return True
    return False


def currency(books: Books, sent: Document, existing: Document) -> Document:
    """The currency and its rate. Raises `Refused` for one the organisation does not have."""
    own = books.organisation()["BaseCurrency"]
    code = sent.get("CurrencyCode") or existing.get("CurrencyCode") or own
    if books.get("Currencies", code) is None:
        raise Refused(f"Organisation is not subscribed to currency {code}")
    rate = sent.get("CurrencyRate") or existing.get("CurrencyRate")
    if code == own:
        # A rate sent for the own currency is ignored.
        rate = 1
    # Without a rate Xero takes the day's; the sandbox has one rate for all days.
    known = lines.amount(rate or "1.1", "CurrencyRate")
    return {"CurrencyCode": code, "CurrencyRate": known.quantize(Decimal("0.000001"))}


def line_amount_types(sent: Document, existing: Document) -> str:
    """`Exclusive`, `Inclusive` or `NoTax`, in any case of letters. Raises `Refused`."""
    value = str(sent.get("LineAmountTypes") or existing.get("LineAmountTypes") or "Exclusive")
    if value.lower() not in LINE_AMOUNT_TYPES:
        raise Refused(f"LineAmountTypes '{value}' is not valid")
    return LINE_AMOUNT_TYPES[value.lower()]


def line_items(sent: Document, existing: Document) -> list[Document]:
    """The lines to work out: sent ones complete the lines that their ids name; others go."""
    # Without lines in the request those that are there stay.
    if not isinstance(sent.get("LineItems"), list):
        return list(existing.get("LineItems") or [])
    known = {line["LineItemID"]: line for line in existing.get("LineItems") or []}
    # Ids that Xero did not give out are refused, rather than taken for new lines.
    unknown = [
        line["LineItemID"]
        for line in sent["LineItems"]
        if line.get("LineItemID") and line["LineItemID"] not in known
    ]
    if existing and unknown:
        raise Refused(f"Could not find line item(s) with the following id(s): {unknown[0]}")
    return [
        _completed(line, known.get(line.get("LineItemID") or "", {})) for line in sent["LineItems"]
    ]


def _completed(sent: Document, known: Document) -> Document:
    """Derived amounts of the old line must not contradict what was changed."""
    priced = any(name in sent for name in ("Quantity", "UnitAmount", "LineAmount", "DiscountRate"))
    stale = {"LineAmount", "TaxAmount"} if priced or "TaxType" in sent else set()
    # One of the account's two names is enough to choose another.
    stale |= {"AccountID"} if "AccountCode" in sent else set()
    stale |= {"AccountCode"} if "AccountID" in sent else set()
    return {**{k: v for k, v in known.items() if k not in stale}, **sent}


def due_by_terms(books: Books, contact: Document, when: date, sales: bool) -> date | None:
    """The due date by the contact's payment terms, or the organisation's."""
    # Contacts can have terms of their own for sales and for bills.
    side = "Sales" if sales else "Bills"
    for owner in (contact, books.organisation()):
        terms = (owner.get("PaymentTerms") or {}).get(side) or {}
        if terms.get("Type"):
            return _due(when, int(terms.get("Day") or 0), terms["Type"])
    return None


def _due(when: date, days: int, kind: str) -> date:
    last = calendar.monthrange(when.year, when.month)[1]
    month_end = when.replace(day=last)
    if kind == "DAYSAFTERBILLMONTH":
        return month_end + timedelta(days=days)
    if kind == "OFCURRENTMONTH":
        return when.replace(day=min(days or 1, last))
    if kind == "OFFOLLOWINGMONTH":
        following = month_end + timedelta(days=1)
        longest = calendar.monthrange(following.year, following.month)[1]
        return following.replace(day=min(days or 1, longest))
    return when + timedelta(days=days)


def check_number(
    writing: Writing, kind: str, number: str, identifier: str, index: str, message: str
) -> None:
    """Raises `Refused` when another document has the number; voided ones count too."""
    if len(number) > 255:
        raise Refused("The number cannot exceed 255 characters")
    id_field = {"Invoices": "InvoiceID", "CreditNotes": "CreditNoteID"}.get(kind, "PurchaseOrderID")
    # Nothing tells whether a voided number may be used again; to refuse is the harder case.
    found = writing.books.lookup(kind, index, number)
    if any(other[id_field] != identifier for other in found):
        raise Refused(message)


def next_number(books: Books, kind: str, prefix: str) -> str:
    """The number that the organisation's settings give to the next document."""
    while True:
        number = f"{prefix}{books.store.next_id(books.collection(kind + ' numbers')):04d}"
        if not books.lookup(kind, "number", number):
            return number


def money(totals: lines.Totals) -> Document:
    """The lines and their sums as members of a document."""
    return {
        "LineItems": totals.lines,
        "SubTotal": totals.sub_total,
        "TotalTax": totals.total_tax,
        "Total": totals.total,
    }


def plain_fields(sent: Document, existing: Document, names: tuple[str, ...]) -> Document:
    """Members that are taken as they are; absent ones keep their value."""
    merged: dict[str, Any] = {}
    for name in names:
        # A null is as good as absent; it does not blank a stored value.
        value = sent[name] if sent.get(name) is not None else existing.get(name)
        if value is not None:
            merged[name] = value
    return merged


def nested_contact(books: Books, contact: Document) -> Document:
    """The contact inside a document, by its present name."""
    current = books.get("Contacts", contact["ContactID"])
    return contacts.nested(current or contact)


def in_full(books: Books, document: Document) -> Document:
    """A single read shows the whole contact."""
    contact = books.get("Contacts", document["Contact"]["ContactID"])
    if contact is None:
        return document
    return {**document, "Contact": {**contact, "HasValidationErrors": False}}


def public(document: Document) -> Document:
    """Without the sandbox's own members."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def fresh_id(existing: Document, name: str) -> str:
    """The id of what exists, or a new one."""
    return str(existing.get(name) or new_id())
