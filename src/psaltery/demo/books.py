"""The books' side of the demo: three organisations and a practice, as their bookkeepers left them.

Older invoices were entered by hand under the PSA's numbers, and their money has moved since.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox.lines import Line, lines
from psaltery.adapters.connectwise.sandbox.tables import CATALOG
from psaltery.adapters.sandboxing import Document, Store
from psaltery.adapters.xero.sandbox import contacts, credit_notes, invoices, seeding
from psaltery.adapters.xero.sandbox.documents import Writing
from psaltery.adapters.xero.sandbox.state import Books, World
from psaltery.demo.cast import Customer, Part, customers
from psaltery.demo.offices import ACCOUNTS, OFFICES, Office
from psaltery.demo.psa import Psa
from psaltery.demo.site import PRODUCTS
from psaltery.demo.story import DAYS, Story, StoryClock

BOOKKEEPER = ("Robin", "Marsh")
PRACTICE = "Marsh Advisory Practice"
# Not in the books when Psaltery comes, or made by a fault of its own.
_ABSENT = (Part.NEWCOMER, Part.ARCHIVED, Part.TWINS, Part.SAME_EMAIL, Part.CALIFORNIAN,
           Part.BRISBANE)  # fmt: skip
_TAXED = (1, 3)  # GST and NZGST in the PSA's list of tax codes
_ACCOUNTS = {"product": "230", "time": "220", "expense": "250", "agreement": "210"}
_CATEGORIES = {product[0]: product[2] for product in (*CATALOG, *PRODUCTS)}


@dataclass(frozen=True)
class Ledger:
    """One office's books, with its contacts by the customer's name."""

    office: Office
    books: Books
    contacts: dict[str, str]

    @property
    def writing(self) -> Writing:
        """A person's writes in the books' own pages."""
        return Writing(self.books, four_decimals=True, updating=True)


class Organisations:
    """All organisations and their clock."""

    def __init__(self, store: Store, story: Story) -> None:
        self.story = story
        # Before the story begins: seeded records must not look newer than those that the story
        # enters.
        self.clock = StoryClock(story.moment(story.day(DAYS + 30)))
        self.world = World(store, [], self.clock)
        self.ledgers: dict[str, Ledger] = {}

    def fill(self) -> None:
        """The organisations with their contacts; no documents yet."""
        chance = self.story.chance("books")
        for first, last in (BOOKKEEPER, ("Alex", "Tane")):
            seeding.add_user(self.world, chance, first, last)
        for office in OFFICES:
            self.ledgers[office.name] = self._organisation(office, chance)
        practice = {"tenantType": "PRACTICE", "tenantName": PRACTICE}
        practice["tenantId"] = seeding.identifier(chance)
        self.world.store.put("tenants", practice["tenantId"], practice)

    def _organisation(self, office: Office, chance: random.Random) -> Ledger:
        books = seeding.add_organisation(
            self.world, chance, office.organisation, office.country, office.zone
        )
        known = [c for c in customers() if c.office == office and c.part not in _ABSENT]
        made = {customer.name: _contact(books, customer, chance) for customer in known}
        return Ledger(office, books, made)

    def enter(self, psa: Psa) -> list[Document]:
        """Enter the older invoices by hand; gives them as the PSA has them, in their order."""
        entered = []
        # By date, so that update times rise as they did while they were entered.
        for invoice in sorted(psa.world.all("invoices"), key=lambda one: str(one["date"])):
            ledger = self.ledgers.get((invoice["location"] or {}).get("name", ""))
            if ledger is None or not self._was_entered(invoice):
                continue
            self.clock.moment = self.story.moment(date.fromisoformat(invoice["date"][:10]), 5)
            billed = lines(psa.world, invoice)
            if invoice["type"] == "CreditMemo":
                credit_notes.write(ledger.writing, note_by_hand(ledger, invoice, billed))
                continue
            invoices.write(ledger.writing, by_hand(ledger, invoice, billed))
            entered.append(invoice)
        # Back to the present: Psaltery's first write must not be dated in the past.
        self.clock.moment = self.story.now
        return entered

    def _was_entered(self, invoice: Document) -> bool:
        old = invoice["date"][:10] <= str(self.story.by_hand_until)
        return old and bool(invoice["total"])


def _contact(books: Books, customer: Customer, chance: random.Random) -> str:
    """The customer in the books; the bookkeeper writes legal forms as they please."""
    name = customer.name
    # Names that differ a little are what pairing has to cope with everywhere.
    if name.endswith(" Pty Ltd") and chance.random() < 0.4:
        name = name.removesuffix(" Pty Ltd")
    elif chance.random() < 0.15:
        name = f"{name} {'Ltd' if customer.office.country == 'NZ' else 'Pty Ltd'}"
    sent = {"Name": name.replace(" Ltd Ltd", " Ltd").replace(" Pty Ltd Pty Ltd", " Pty Ltd")}
    if chance.random() < 0.8:
        sent["EmailAddress"] = customer.email
    return str(contacts.create(books, sent).document["ContactID"])


def by_hand(ledger: Ledger, invoice: Document, billed: Iterable[Line]) -> Document:
    """The invoice as the bookkeeper typed it: the PSA's amounts a line, its total and tax."""
    return {
        "Type": "ACCREC",
        "InvoiceNumber": invoice["invoiceNumber"],
        "DueDate": invoice["dueDate"][:10],
        **_typed(ledger, invoice, billed, 1),
    }


def note_by_hand(ledger: Ledger, memo: Document, billed: Iterable[Line]) -> Document:
    """A credit memo as the bookkeeper typed it; the PSA's amounts are below zero."""
    own = {"Type": "ACCRECCREDIT", "CreditNoteNumber": memo["invoiceNumber"]}
    return own | _typed(ledger, memo, billed, -1)


def _typed(ledger: Ledger, invoice: Document, billed: Iterable[Line], sign: int) -> Document:
    items = [_item(ledger, line, sign) for line in billed if line.charge.amount]
    reached = sum((item["TaxAmount"] for item in items), Decimal(0))
    largest = max(items, key=lambda item: abs(item["TaxAmount"]))
    # The PSA's tax to the cent, as a bookkeeper overtypes it: by lines it may be a cent off.
    largest["TaxAmount"] += sign * invoice["salesTax"] - reached
    return {
        "Contact": {"ContactID": ledger.contacts[invoice["company"]["name"]]},
        "Date": invoice["date"][:10],
        "LineAmountTypes": "Exclusive",
        "Reference": invoice["customerPO"] or invoice["reference"],
        "Status": "AUTHORISED",
        "LineItems": items,
    }


def _item(ledger: Ledger, line: Line, sign: int) -> Document:
    charge, office = line.charge, ledger.office
    amount = sign * charge.amount
    taxed = charge.taxable and charge.tax_code in _TAXED
    rate = {"OUTPUT": Decimal("0.1"), "OUTPUT2": Decimal("0.15")}[office.taxed_in_books]
    tax = (amount * rate).quantize(Decimal("0.01")) if taxed else Decimal("0.00")
    return {
        "Description": line.description or "Services",
        "Quantity": 1,
        "UnitAmount": amount,
        "AccountCode": _account(line),
        "TaxType": office.taxed_in_books if taxed else office.untaxed_in_books,
        "TaxAmount": tax,
    }


def _account(line: Line) -> str:
    """The account that the bookkeeper typed: that of what was sold, as the mappings have it now."""
    product = (line.source.get("catalogItem") or {}).get("identifier", "")
    keys = (
        ("category", _CATEGORIES.get(product, "")),
        ("work_type", (line.source.get("workType") or {}).get("name", "")),
        ("expense_type", line.description if line.charge.kind == "expense" else ""),
    )
    known = [ACCOUNTS[key] for key in keys if key in ACCOUNTS]
    return known[0] if known else _ACCOUNTS[line.charge.kind]
