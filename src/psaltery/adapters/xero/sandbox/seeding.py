"""Organisations to begin with, and as much history in them as a test or a benchmark wants.

The same seed gives the same ids, names and amounts; dates end at the sandbox's present day.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import chart, contacts, credit_notes, dates, invoices
from psaltery.adapters.xero.sandbox.lines import ZERO, cents
from psaltery.adapters.xero.sandbox.state import Books, World

# The demo's MSP and its three offices.
OFFICES = (
    ("Harbourline IT (Sydney)", "AU", "AUSEASTERNSTANDARDTIME"),
    ("Harbourline IT (Adelaide)", "AU", "CENAUSTRALIASTANDARDTIME"),
    ("Harbourline IT (Auckland)", "NZ", "NEWZEALANDSTANDARDTIME"),
)
FIRST = ("Anchor", "Bayside", "Café Zürich", "Coastal", "Eastern", "Fern & Sons", "Granite",
         "Harbour", "Ironbark", "Jetty", "Kowhai", "Lantern", "Northern", "Ocean", "Pioneer",
         "Quarry", "River", "Southern", "Tussock", "Western")  # fmt: skip
SECOND = ("Accounting", "Architects", "Builders", "Dental", "Engineering", "Foods", "Freight",
          "Legal", "Logistics", "Medical", "Motors", "Plumbing", "Property", "Studios")  # fmt: skip
# What an MSP sells: text, account, price.
WORK = (
    ("Managed service, workstation", "210", "89.00"),
    ("Managed service, server", "210", "245.50"),
    ("Remote support", "220", "165.00"),
    ("On-site engineer", "220", "198.75"),
    ("Firewall appliance", "230", "1249.99"),
    ("Microsoft 365 Business Premium", "240", "32.90"),
    ("Endpoint protection licence", "240", "6.35"),
)
PERIOD_DAYS = 365


@dataclass(frozen=True)
class Amounts:
    """How much history each organisation gets."""

    contacts: int = 0
    invoices: int = 0
    payments: int = 0
    credit_notes: int = 0


def identifier(source: random.Random) -> str:
    """An id that follows from the seed."""
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def fill(world: World, seed: int, orgs: int, amounts: Amounts) -> None:
    """Makes users, organisations and one practice, in a store that has none yet."""
    source = random.Random(seed)
    with world.silent(), world.store.transaction():
        for first, last in (("Robin", "Marsh"), ("Alex", "Tane")):
            add_user(world, source, first, last)
        for number in range(orgs):
            name, country, zone = OFFICES[number % len(OFFICES)]
            suffix = f" {number // len(OFFICES) + 1}" if number >= len(OFFICES) else ""
            books = add_organisation(world, source, name + suffix, country, zone)
            History(books, source, chart.COUNTRIES[country]).add(amounts)
        practice = {"tenantType": "PRACTICE", "tenantName": "Marsh Advisory Practice"}
        practice["tenantId"] = identifier(source)
        world.store.put("tenants", practice["tenantId"], practice)


def add_user(world: World, source: random.Random, first: str, last: str) -> None:
    """Someone who can sign in and consent."""
    user = {"id": identifier(source), "sub": uuid.UUID(identifier(source)).hex}
    user |= {"first": first, "last": last, "email": f"{first}.{last}@example.com".lower()}
    world.store.put("oauth/users", user["id"], user)


def add_organisation(
    world: World, source: random.Random, name: str, country_code: str, zone: str = ""
) -> Books:
    """An organisation with its chart of accounts, tax rates, tracking and currencies."""
    country = chart.COUNTRIES[country_code]
    tenant_id = identifier(source)
    tenant = {"tenantId": tenant_id, "tenantType": "ORGANISATION", "tenantName": name}
    world.store.put("tenants", tenant_id, tenant)
    books = world.books(tenant_id)
    stamp = dates.wire(world.clock.now() - timedelta(days=PERIOD_DAYS))
    organisation = _organisation(source, name, country, zone or country.timezone, stamp)
    # Xero does not promise that both ids are the same, but its own Node client counts on it.
    organisation["OrganisationID"] = tenant_id
    books.store.put(books.collection("Organisation"), "own", organisation)
    for account in chart.ACCOUNTS:
        books.put("Accounts", chart.account(account, country, identifier(source), stamp))
    for rate in country.taxes:
        books.put("TaxRates", chart.tax_rate(rate))
    _add_small_lists(books, source, country, stamp)
    return books


def _organisation(
    source: random.Random, name: str, country: chart.Country, zone: str, stamp: str
) -> Document:
    letters = "ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz23456789"
    return {
        "Name": name,
        "LegalName": f"{name.partition(' (')[0]} Pty Ltd",
        "PaysTax": True,
        "Version": country.code,
        "OrganisationType": "COMPANY",
        "BaseCurrency": country.currency,
        "CountryCode": country.code,
        "IsDemoCompany": False,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": country.year_end[0],
        "FinancialYearEndMonth": country.year_end[1],
        "SalesTaxBasis": "ACCRUALS" if country.code == "AU" else "INVOICE",
        "SalesTaxPeriod": "QUARTERLY1" if country.code == "AU" else "TWOMONTHS",
        "DefaultSalesTax": "Tax Exclusive",
        "DefaultPurchasesTax": "Tax Exclusive",
        "CreatedDateUTC": stamp,
        "OrganisationEntityType": "COMPANY",
        "Timezone": zone,
        "ShortCode": "!" + "".join(source.choice(letters) for _ in range(5)),
        "Edition": "BUSINESS",
        "Class": "COMPREHENSIVE",
        "LineOfBusiness": "Computer System Design and Related Services",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {"Sales": {"Day": 14, "Type": "DAYSAFTERBILLDATE"}},
    }


def _add_small_lists(
    books: Books, source: random.Random, country: chart.Country, stamp: str
) -> None:
    for code in (country.currency, "USD"):
        books.put("Currencies", {"Code": code, "Description": chart.CURRENCY_NAMES[code]})
    for name, options in chart.TRACKING:
        category_id = identifier(source)
        made = [
            {"TrackingOptionID": identifier(source), "Name": option, "Status": "ACTIVE",
             "TrackingCategoryID": category_id}
            for option in options
        ]  # fmt: skip
        category: Document = {"TrackingCategoryID": category_id, "Name": name}
        books.put("TrackingCategories", {**category, "Status": "ACTIVE", "Options": made})
    theme: Document = {"BrandingThemeID": identifier(source), "Name": "Standard", "SortOrder": 0}
    books.put("BrandingThemes", {**theme, "Type": "INVOICE", "CreatedDateUTC": stamp})
    user: Document = {"UserID": identifier(source), "EmailAddress": "robin.marsh@example.com"}
    user |= {"FirstName": "Robin", "LastName": "Marsh", "UpdatedDateUTC": stamp}
    books.put("Users", {**user, "IsSubscriber": True, "OrganisationRole": "FINANCIALADVISER"})


class History:
    """Contacts, invoices, payments and credit notes as a year of business leaves them."""

    def __init__(self, books: Books, source: random.Random, country: chart.Country) -> None:
        self.books = books
        self.source = source
        self.country = country
        self.now = books.clock.now()
        self.start = self.now - timedelta(days=PERIOD_DAYS)
        income = country.tax_words["income"]
        self.income = income
        rate = next(rate.rate for rate in country.taxes if rate.type == income)
        self.rate = Decimal(rate) / 100
        self.accounts = {a["Code"]: a["AccountID"] for a in books.all("Accounts") if "Code" in a}
        self.bank = next(a for a in books.all("Accounts") if a["Type"] == "BANK")

    def add(self, amounts: Amounts) -> None:
        """Writes the history straight into the books: twenty thousand invoices take seconds."""
        people = [self._contact(n) for n in range(max(amounts.contacts, int(amounts.invoices > 0)))]
        made = [
            self._invoice(n, self.source.choice(people), amounts.invoices)
            for n in range(amounts.invoices)
        ]
        for number, invoice in enumerate(made[: amounts.payments]):
            # Every fifth invoice is paid by half.
            made[number] = self._pay(invoice, share=Decimal(1 if number % 5 else "0.5"))
        for person in people:
            self._save("Contacts", person)
        for invoice in made:
            self._save("Invoices", invoice)
        for number in range(amounts.credit_notes if people else 0):
            self._credit_note(number, self.source.choice(people))

    def _save(self, kind: str, document: Document) -> None:
        self.books.put(kind, document)

    def _stamp(self, moment: datetime) -> Document:
        # Nothing has happened in the future.
        moment = min(moment, self.now)
        return {
            "UpdatedDateUTC": dates.wire(moment),
            "UpdatedDateUTCString": dates.iso_moment(moment),
        }

    def _contact(self, number: int) -> Document:
        first, second = FIRST[number % len(FIRST)], SECOND[number // len(FIRST) % len(SECOND)]
        contact = contacts.blank(identifier(self.source))
        # Names stay unique however many there are.
        series = number // (len(FIRST) * len(SECOND))
        name = f"{first} {second}{f' {series + 1}' if series else ''}"
        contact |= {"Name": name, "EmailAddress": f"accounts{number}@example.com"}
        contact |= {"IsCustomer": True, "AccountNumber": f"C{number:05d}"}
        contact["Phones"][1]["PhoneNumber"] = f"{self.source.randrange(10**7, 10**8)}"
        contact["Addresses"][1] |= {"City": "Sydney", "AddressLine1": f"{number + 1} Wharf Road"}
        moment = self.start + timedelta(minutes=number)
        return {**contact, "UpdatedDateUTC": dates.wire(moment)}

    def _invoice(self, number: int, contact: Document, count: int) -> Document:
        moment = self.start + timedelta(days=PERIOD_DAYS) * (number + 1) / (count + 1)
        when = moment.date()
        items = list(self._lines())
        net = sum((line["LineAmount"] for line in items), ZERO)
        tax = sum((line["TaxAmount"] for line in items), ZERO)
        due = when + timedelta(days=14)
        invoice: Document = {"Type": "ACCREC", "InvoiceID": identifier(self.source)}
        invoice |= {"InvoiceNumber": f"INV-{number + 1:05d}", "Reference": f"Order {number % 977}"}
        invoice |= {"Payments": [], "CreditNotes": [], "Prepayments": [], "Overpayments": []}
        invoice |= {"AmountPaid": ZERO, "AmountCredited": ZERO, "IsDiscounted": False}
        invoice |= {"CurrencyRate": Decimal("1.000000"), "CurrencyCode": self.country.currency}
        invoice |= {"HasAttachments": False, "Contact": contacts.nested(contact)}
        invoice |= {"DateString": dates.iso_day(when), "Date": dates.wire_date(when)}
        invoice |= {"DueDateString": dates.iso_day(due), "DueDate": dates.wire_date(due)}
        invoice |= {"Status": "AUTHORISED", "LineAmountTypes": "Exclusive", "LineItems": items}
        invoice |= {"SubTotal": net, "TotalTax": tax, "Total": net + tax, "SentToContact": False}
        return invoices.resettled({**invoice, **self._stamp(moment)}, when)

    def _lines(self) -> Iterator[Document]:
        for _ in range(self.source.randint(2, 4)):
            text, code, price = self.source.choice(WORK)
            quantity = Decimal(self.source.randint(1, 12))
            amount = cents(quantity * Decimal(price))
            line: Document = {"LineItemID": identifier(self.source), "Description": text}
            line |= {"UnitAmount": Decimal(price), "TaxType": self.income}
            line |= {"TaxAmount": cents(amount * self.rate), "LineAmount": amount}
            line |= {"AccountCode": code, "AccountID": self.accounts[code], "Tracking": []}
            yield {**line, "Quantity": quantity.quantize(Decimal("0.0001"))}

    def _pay(self, invoice: Document, share: Decimal) -> Document:
        paid = cents(Decimal(invoice["Total"]) * share)
        moment = dates.from_wire(invoice["UpdatedDateUTC"]) or self.now
        moment = min(moment + timedelta(days=self.source.randint(0, 20)), self.now)
        when = moment.date()
        payment = self._payment(invoice, paid, when, moment)
        self._save("Payments", payment)
        names = ("PaymentID", "Date", "Amount", "Reference", "CurrencyRate")
        entry = {name: payment[name] for name in names}
        entry |= {"HasAccount": False, "HasValidationErrors": False}
        changed = {**invoice, "Payments": [entry], "AmountPaid": paid, **self._stamp(moment)}
        return invoices.resettled(changed, when)

    def _payment(self, invoice: Document, paid: Decimal, when: date, moment: datetime) -> Document:
        payment: Document = {"PaymentID": identifier(self.source), "Date": dates.wire_date(when)}
        payment |= {"BankAmount": paid, "Amount": paid, "Reference": invoice["InvoiceNumber"]}
        payment |= {"CurrencyRate": Decimal("1.000000"), "PaymentType": "ACCRECPAYMENT"}
        payment |= {"Status": "AUTHORISED", "HasAccount": True, "IsReconciled": False}
        bank = {name: self.bank[name] for name in ("AccountID", "Name", "Code")}
        payment |= {"Account": bank, "Invoice": invoices.nested(invoice)}
        payment |= {"_kind": "Invoices", "_target": invoice["InvoiceID"]}
        return {**payment, **self._stamp(moment)}

    def _credit_note(self, number: int, contact: Document) -> None:
        when = (self.start + timedelta(days=self.source.randrange(PERIOD_DAYS))).date()
        line = next(self._lines())
        total = line["LineAmount"] + line["TaxAmount"]
        note: Document = {"Type": "ACCRECCREDIT", "CreditNoteID": identifier(self.source)}
        note |= {"CreditNoteNumber": f"CN-{number + 1:04d}", "Reference": ""}
        note |= {"Contact": contacts.nested(contact), "Status": "AUTHORISED"}
        note |= {"DateString": dates.iso_day(when), "Date": dates.wire_date(when)}
        note |= {"LineAmountTypes": "Exclusive", "LineItems": [line], "Allocations": []}
        note |= {"SubTotal": line["LineAmount"], "TotalTax": line["TaxAmount"], "Total": total}
        note |= {"CurrencyCode": self.country.currency, "CurrencyRate": Decimal("1.000000")}
        note |= {"Payments": [], "HasAttachments": False}
        moment = datetime.combine(when, time(9), UTC)
        self._save("CreditNotes", credit_notes.remaining({**note, **self._stamp(moment)}, when))
