"""A site's customers and three months of invoices, the same for the same seed."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import invoices, references
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.tables import CATALOG, LOCATIONS, WORK_ROLES, WORK_TYPES
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document

_FIRST = (
    "Alder", "Banksia", "Cobalt", "Drift", "Ember", "Fathom", "Gale", "Harrow", "Ironbark",
    "Jetty", "Kestrel", "Lumen",
)  # fmt: skip
_SECOND = (
    "Legal", "Dental", "Freight", "Foods", "Homes", "Capital", "Surveys", "Vets", "Timber",
    "Media", "Health", "Wines",
)  # fmt: skip
_GIVEN = (
    "Ava", "Ben", "Chloe", "Dan", "Eve", "Finn", "Grace", "Hugo", "Isla", "Jack", "Kiri",
    "Liam", "Mia", "Noah", "Olive", "Rangi",
)  # fmt: skip
_FAMILY = (
    "Nguyen", "Smith", "Patel", "Walker", "Brown", "Tamihana", "Rossi", "Kelly", "Singh",
    "Costa", "Young", "Park",
)  # fmt: skip
_TAX = {"AUD": ("GST", "GST-FREE"), "NZD": ("NZGST", "NZ-ZERO")}
_DAYS = 90


def company(world: World, number: int, chance: random.Random) -> Document:
    """One customer with a site and a billing contact, at one of the offices."""
    name = f"{_FIRST[number % 12]} {_SECOND[number // 12 % 12]}"
    if number >= 144:
        name = f"{name} {number // 144 + 1}"
    office, currency = LOCATIONS[number % len(LOCATIONS)]
    row = world.add("companies", _company_fields(world, number, name, office, currency))
    site = world.add(
        "sites",
        {
            "name": "Main",
            "company": references.company(row),
            "addressLine1": f"{chance.randint(1, 200)} Harbour Street",
            "city": office,
            "primaryAddressFlag": True,
            "defaultBillingFlag": True,
        },
    )
    person = world.add("contacts", _contact_fields(row, site, chance))
    fields = {"site": references.named(site), "billingSite": references.named(site)}
    fields |= {
        "defaultContact": references.person(person),
        "billingContact": references.person(person),
    }
    return world.save("companies", row | fields)


def _company_fields(world: World, number: int, name: str, office: str, currency: str) -> Document:
    slug = name.lower().replace(" ", "")
    return {
        "identifier": f"{slug[:24]}{number + 1:05d}",
        "name": name,
        "status": {"id": 1, "name": "Active"},
        "types": [{"id": 1, "name": "Client"}],
        "accountNumber": f"C{number + 1:05d}",
        "isVendorFlag": False,
        "deletedFlag": False,
        "territory": references.to(world, "SystemLocationReference", office),
        "currency": references.to(world, "CurrencyReference", _currency_id(world, currency)),
        "taxCode": references.to(world, "TaxCodeReference", _TAX[currency][0]),
        "billingTerms": references.to(world, "BillingTermsReference", 1 + number % 2),
        "invoiceToEmailAddress": f"accounts@{slug}.example",
        "phoneNumber": f"+61 2 5550 {number % 10_000:04d}",
        "website": f"https://{slug}.example",
        "addressLine1": f"{1 + number % 200} Harbour Street",
        "city": office,
        "customFields": [],
    }


def _currency_id(world: World, code: str) -> int:
    return next(
        int(row["id"]) for row in world.all("currencies") if row["currencyIdentifier"] == code
    )


def _contact_fields(row: Document, site: Document, chance: random.Random) -> Document:
    first, last = chance.choice(_GIVEN), chance.choice(_FAMILY)
    domain = row["website"].removeprefix("https://")
    email = {
        "id": 1,
        "type": {"id": 1, "name": "Email"},
        "value": f"{first}.{last}@{domain}".lower(),
        "defaultFlag": True,
        "domain": f"@{domain}",
        "communicationType": "Email",
    }
    return {
        "firstName": first,
        "lastName": last,
        "company": references.company(row),
        "site": references.named(site),
        "defaultFlag": True,
        "defaultBillingFlag": True,
        "inactiveFlag": False,
        "types": [],
        "communicationItems": [email],
    }


def invoice(world: World, customer: Document, day: date, chance: random.Random) -> Document:
    """One closed invoice of one to six mixed lines."""
    count = chance.randint(1, 6)
    zero = _TAX[customer["currency"]["currencyIdentifier"]][1]
    draft = NewInvoice(
        company=customer["id"],
        department=chance.randint(1, 4),
        date=day.isoformat(),
        reference=f"Work order {chance.randint(1000, 9999)}",
        lines=tuple(_line(chance, zero) for _ in range(count)),
    )
    return invoices.create(world, draft)


def _line(chance: random.Random, zero_rate: str) -> NewLine:
    kind = chance.choices(("product", "time", "expense"), (6, 3, 1))[0]
    tax = zero_rate if chance.random() < 0.08 else None
    if kind == "time":
        return NewLine(
            kind="time",
            description="Investigated and resolved",
            quantity=Decimal(chance.randint(1, 32)) / 4,
            work_type=chance.choice(WORK_TYPES),
            work_role=chance.choice(WORK_ROLES)[0],
            tax_code=tax,
        )
    if kind == "expense":
        price = Decimal(chance.randint(500, 20_000)) / 100
        return NewLine(kind="expense", description="Parking", price=price)
    item = chance.choice(CATALOG)
    return NewLine(item=item[0], quantity=Decimal(chance.randint(1, 25)), tax_code=tax)


def populate(world: World, seed: int, companies: int, count: int, last_day: date) -> None:
    """Make customers and their closed invoices, spread over the three months before `last_day`."""
    chance = random.Random(seed)
    customers = [company(world, number, chance) for number in range(companies)]
    for number in range(count if customers else 0):
        day = last_day - timedelta(days=_DAYS - number * _DAYS // count)
        invoice(world, customers[chance.randrange(len(customers))], day, chance)
