"""The field's usual faults, put into the demo's world on purpose, and what must come of each.

The codes are those of the error catalogue (review/catalogue.py).
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from psaltery.adapters.connectwise.sandbox import invoices
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import contacts, dates
from psaltery.adapters.xero.sandbox import invoices as books_invoices
from psaltery.demo.books import Organisations
from psaltery.demo.cast import Part
from psaltery.demo.offices import (
    ADELAIDE,
    AUCKLAND,
    BRISBANE,
    NEW_DEPARTMENT,
    OLD_TAX,
    SYDNEY,
    Office,
)
from psaltery.demo.psa import Psa
from psaltery.demo.psa_invoices import Client
from psaltery.demo.story import LOCKED_DAYS

HELD, SKIPPED, IN_STEP = "held", "skipped", "in_step"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its invoices and how they must end. `code` "" where there is no card."""

    name: str
    code: str
    organisation: str
    numbers: tuple[str, ...]
    state: str = HELD


class _Scene:
    """Both worlds, for the builders below."""

    def __init__(self, psa: Psa, books: Organisations) -> None:
        self.psa, self.books, self.story = psa, books, psa.story
        # A chance of its own: a new fault must not change the history's invoices.
        self._chance = psa.story.chance("faults")

    def regular(self, office: Office) -> Client:
        """Some customer that the office's books know."""
        clients = self.psa.with_part(Part.REGULAR)
        return self._chance.choice([one for one in clients if one.customer.office == office])

    def bill(
        self,
        client: Client,
        ago: int,
        *items: NewLine,
        department: str = "Procurement",
        tax_code: str | None = None,
    ) -> Document:
        """Close an invoice of so many days ago."""
        day = self.story.day(ago)
        self.psa.clock.moment = self.story.moment(day)
        made = NewInvoice(
            company=client.row["id"],
            date=day.isoformat(),
            department=department,
            tax_code=tax_code,
            lines=items,
        )
        return invoices.create(self.psa.world, made)


def _fault(
    name: str, code: str, office: Office | None, *bills: Document, state: str = HELD
) -> Fault:
    numbers = tuple(str(bill["invoiceNumber"]) for bill in bills)
    organisation = office.organisation if office else ""
    return Fault(name=name, code=code, organisation=organisation, numbers=numbers, state=state)


def _laptop(quantity: int = 1) -> NewLine:
    return NewLine(item="LT-5450", quantity=Decimal(quantity))


def _hours(count: str) -> NewLine:
    return NewLine(kind="time", description="On-site support", quantity=Decimal(count))


def add(psa: Psa, books: Organisations) -> list[Fault]:
    """Put every fault into both worlds, after their history."""
    scene = _Scene(psa, books)
    # After the history, so that the rest of the world is the same with a fault more or less.
    made = [fault for build in _BUILDERS for fault in build(scene)]
    psa.clock.moment = books.clock.moment = psa.story.now
    return made


# A kind of line that nobody mapped.


def _unmapped_account(scene: _Scene) -> Iterator[Fault]:
    for office, counts in ((SYDNEY, (4, 2, 1)), (AUCKLAND, (6,))):
        bills = [
            scene.bill(
                scene.regular(office), 3 + n, NewLine(item="CAM-G5", quantity=Decimal(count)),
                _hours("2.5"),
            )
            for n, count in enumerate(counts)
        ]  # fmt: skip
        yield _fault("A new product category has no account", "account_unmapped", office, *bills)


def _inactive_account(scene: _Scene) -> Iterator[Fault]:
    """The account is archived after it was mapped: see setup.py."""
    hotel = NewLine(
        kind="expense", expense_type="Accommodation", description="Hotel, two nights",
        price=Decimal("412.80"),
    )  # fmt: skip
    bills = [scene.bill(scene.regular(SYDNEY), ago, _hours("6"), hotel) for ago in (4, 9)]
    yield _fault("An account was archived in the books", "account_archived", SYDNEY, *bills)


def _tax_not_for_account(scene: _Scene) -> Iterator[Fault]:
    mileage = NewLine(
        kind="expense", expense_type="Mileage", description="184 km", price=Decimal("167.44")
    )
    bill = scene.bill(scene.regular(AUCKLAND), 5, _hours("3"), mileage)
    name = "Sales tax on a cost account"
    yield _fault(name, "tax_not_for_account", AUCKLAND, bill)


def _unmapped_tax(scene: _Scene) -> Iterator[Fault]:
    (client,) = scene.psa.with_part(Part.CALIFORNIAN)
    bill = scene.bill(client, 6, _laptop(2))
    yield _fault("A tax code from abroad is not mapped", "tax_unmapped", SYDNEY, bill)


def _wrong_rate(scene: _Scene) -> Iterator[Fault]:
    bill = scene.bill(scene.regular(AUCKLAND), 7, _laptop(), tax_code=OLD_TAX)
    yield _fault("The PSA taxed at a rate of the past", "tax_mismatch", AUCKLAND, bill)


def _missing_tracking(scene: _Scene) -> Iterator[Fault]:
    bills = [
        scene.bill(scene.regular(ADELAIDE), ago, _hours("5.25"), department=NEW_DEPARTMENT)
        for ago in (2, 8)
    ]
    name = "A new department has no tracking option"
    yield _fault(name, "tracking_unmapped", ADELAIDE, *bills)


# Who it is for.


def _archived_contact(scene: _Scene) -> Iterator[Fault]:
    (client,) = scene.psa.with_part(Part.ARCHIVED)
    ledger = scene.books.ledgers[SYDNEY.name]
    made = contacts.create(ledger.books, {"Name": client.customer.name}).document
    contacts.write(ledger.books, {"ContactID": made["ContactID"], "ContactStatus": "ARCHIVED"})
    bills = [scene.bill(client, ago, _hours("4"), _laptop()) for ago in (6, 12)]
    yield _fault("The contact is archived in the books", "contact_archived", SYDNEY, *bills)


def _twin_contacts(scene: _Scene) -> Iterator[Fault]:
    (client,) = scene.psa.with_part(Part.TWINS)
    ledger = scene.books.ledgers[SYDNEY.name]
    for name in (client.customer.name, f"{client.customer.name} Pty Ltd"):
        contacts.create(ledger.books, {"Name": name})
    bill = scene.bill(client, 5, NewLine(item="SW-24P"), _hours("3.5"))
    yield _fault("Two contacts of the same name", "contact_ambiguous", SYDNEY, bill)


def _same_email(scene: _Scene) -> Iterator[Fault]:
    (client,) = scene.psa.with_part(Part.SAME_EMAIL)
    ledger = scene.books.ledgers[AUCKLAND.name]
    other = {"Name": "PPG Holdings Ltd", "EmailAddress": client.customer.email}
    contacts.create(ledger.books, other)
    bill = scene.bill(client, 4, _hours("7.5"))
    name = "Another contact has the customer's e-mail address"
    yield _fault(name, "contact_ambiguous", AUCKLAND, bill)


# Where it goes, in what currency, when.


def _no_route(scene: _Scene) -> Iterator[Fault]:
    clients = scene.psa.with_part(Part.BRISBANE)
    bills = [scene.bill(client, 2 + n, _laptop(1 + n)) for n, client in enumerate(clients)]
    yield _fault(f"Nobody said where {BRISBANE} goes", "no_route", None, *bills)


def _currency(scene: _Scene) -> Iterator[Fault]:
    (client,) = scene.psa.with_part(Part.BRITISH)
    bill = scene.bill(client, 10, _hours("12"))
    name = "The books don't have the currency"
    yield _fault(name, "currency_not_subscribed", SYDNEY, bill)


def _locked_period(scene: _Scene) -> Iterator[Fault]:
    bills = [
        scene.bill(scene.regular(ADELAIDE), LOCKED_DAYS + late, _hours("8"), _laptop())
        for late in (2, 4)
    ]
    ledger = scene.books.ledgers[ADELAIDE.name]
    organisation = ledger.books.organisation()
    locked = {"PeriodLockDate": dates.wire_date(scene.story.locked_until)}
    # Written past the API: Xero lets no program move a lock date.
    ledger.books.store.put(ledger.books.collection("Organisation"), "own", organisation | locked)
    yield _fault("Billed late, into a locked period", "period_locked", ADELAIDE, *bills)


def _number_used(scene: _Scene) -> Iterator[Fault]:
    client, other = scene.regular(SYDNEY), scene.regular(SYDNEY)
    bill = scene.bill(client, 8, _laptop(3))
    ledger = scene.books.ledgers[SYDNEY.name]
    line = {"Description": "Desk move", "Quantity": 1, "UnitAmount": Decimal("480.00")}
    sent = {
        "Type": "ACCREC",
        "InvoiceNumber": bill["invoiceNumber"],
        "Contact": {"ContactID": ledger.contacts[other.customer.name]},
        "Date": scene.story.day(15).isoformat(),
        "DueDate": scene.story.day(1).isoformat(),
        "Status": "AUTHORISED",
        "LineItems": [line | {"AccountCode": "200", "TaxType": "OUTPUT"}],
    }
    books_invoices.write(ledger.writing, sent)
    yield _fault("The number is used by another invoice", "number_taken", SYDNEY, bill)


# Amounts.


def _cents(scene: _Scene) -> Iterator[Fault]:
    """What must come out to the cent all the same."""
    odd = ("0.333333", "0.1666667", "1.0049995", "27.18755", "0.084375")
    metered = [
        NewLine(item="AZ-OUT", quantity=Decimal(n) + Decimal("0.75"), price=Decimal(price))
        for n, price in enumerate(odd, start=1)
    ]
    bill = scene.bill(scene.regular(SYDNEY), 3, *metered)
    name = "Prices of six decimals"
    yield _fault(name, "", SYDNEY, bill, state=IN_STEP)
    cent = NewLine(item="AZ-OUT", price=Decimal("0.01"))
    bill = scene.bill(scene.regular(ADELAIDE), 3, cent)
    yield _fault("An invoice of one cent", "", ADELAIDE, bill, state=IN_STEP)


def _nothing_to_collect(scene: _Scene) -> Iterator[Fault]:
    free = NewLine(item="SSL-DV", discount=Decimal("119.00"))
    bill = scene.bill(scene.regular(SYDNEY), 6, free)
    yield _fault("A total of zero", "", SYDNEY, bill, state=SKIPPED)
    returned = NewLine(item="MON-27", quantity=Decimal(-2), description="Monitors returned")
    bill = scene.bill(scene.regular(AUCKLAND), 6, returned)
    name = "A total below zero, which becomes a credit note"
    yield _fault(name, "", AUCKLAND, bill, state=IN_STEP)


_BUILDERS: tuple[Callable[[_Scene], Iterator[Fault]], ...] = (
    _unmapped_account,
    _inactive_account,
    _tax_not_for_account,
    _unmapped_tax,
    _wrong_rate,
    _missing_tracking,
    _archived_contact,
    _twin_contacts,
    _same_email,
    _no_route,
    _currency,
    _locked_period,
    _number_used,
    _cents,
    _nothing_to_collect,
)
