"""The PSA's customers with their sites, people and agreements."""

import random
from datetime import date
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import references
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document
from psaltery.demo.cast import Customer, Part
from psaltery.demo.names import FAMILY, GIVEN, STREETS

AGREEMENT_TYPES = ("Managed Services", "Managed Services", "Cloud Subscription", "Backup")
AGREEMENT_NAMES = {
    "Managed Services": "managed services",
    "Cloud Subscription": "cloud subscription",
    "Backup": "backup and recovery",
}
ADDITIONS = {
    "Managed Services": ("M365-BP", "EDR"),
    "Cloud Subscription": ("M365-E3", "M365-BP"),
    "Backup": ("BKUP-WS",),
}


def company(world: World, customer: Customer, number: int, chance: random.Random) -> Document:
    """One customer with its site and two people, one of whom gets the invoices."""
    row = world.add("companies", _company(world, customer, number, chance))
    site = world.add("sites", _site(customer, row))
    people = [
        world.add("contacts", _person(row, site, customer, billing, chance))
        for billing in (True, False)
    ]
    billing, other = (references.person(person) for person in people)
    here = references.named(site)
    fields = {"site": here, "billingSite": here, "defaultContact": other}
    # Saved twice, because site and people need the company's id, and it needs theirs.
    return world.save("companies", row | fields | {"billingContact": billing})


def _company(world: World, customer: Customer, number: int, chance: random.Random) -> Document:
    office = customer.office
    return {
        "identifier": customer.slug[:25],
        "name": customer.name,
        "status": {"id": 1, "name": "Active"},
        "types": [{"id": 1, "name": "Client"}],
        "accountNumber": f"H{number + 1001}",
        "isVendorFlag": False,
        "deletedFlag": False,
        "territory": references.to(world, "SystemLocationReference", customer.location),
        "currency": currency(world, _currency_code(customer)),
        "taxCode": references.to(world, "TaxCodeReference", _tax_code(customer)),
        "billingTerms": references.to(world, "BillingTermsReference", chance.choice((1, 1, 2))),
        "invoiceToEmailAddress": customer.email,
        "phoneNumber": f"{office.phone} {chance.randrange(1000, 10_000)}",
        "website": f"https://{customer.slug}.example",
        "addressLine1": f"{chance.randint(1, 240)} {chance.choice(STREETS)}",
        "city": customer.city,
        "zip": str(chance.randint(1010, 6160)),
        "customFields": [],
    }


def _currency_code(customer: Customer) -> str:
    return "GBP" if customer.part is Part.BRITISH else customer.office.currency


def _tax_code(customer: Customer) -> str:
    if customer.part is Part.BRITISH:
        return customer.office.untaxed
    return "US-CA" if customer.part is Part.CALIFORNIAN else customer.office.taxed


def currency(world: World, code: str) -> Document | None:
    """A reference to the currency of an ISO code."""
    rows = (row for row in world.all("currencies") if row["currencyIdentifier"] == code)
    return references.to(world, "CurrencyReference", next(row["id"] for row in rows))


def _site(customer: Customer, row: Document) -> Document:
    return {
        "name": "Head office",
        "company": references.company(row),
        "addressLine1": row["addressLine1"],
        "city": customer.city,
        "primaryAddressFlag": True,
        "defaultBillingFlag": True,
    }


def _person(
    row: Document, site: Document, customer: Customer, billing: bool, chance: random.Random
) -> Document:
    first, last = chance.choice(GIVEN), chance.choice(FAMILY)
    domain = f"{customer.slug}.example"
    # Names keep their accents, addresses can't have them: Xero refuses such e-mail addresses.
    # https://developer.xero.com/documentation/api/accounting/contacts
    plain = "".join(sign for sign in f"{first}.{last}".lower() if sign.isascii())
    address = {
        "id": 1,
        "type": {"id": 1, "name": "Email"},
        "value": f"{plain}@{domain}",
        "defaultFlag": True,
        "domain": f"@{domain}",
        "communicationType": "Email",
    }
    return {
        "firstName": first,
        "lastName": last,
        "title": "Accounts" if billing else chance.choice(("Owner", "Office manager", "Director")),
        "company": references.company(row),
        "site": references.named(site),
        "defaultFlag": not billing,
        "defaultBillingFlag": billing,
        "inactiveFlag": False,
        "types": [],
        "communicationItems": [address],
    }


def agreement(world: World, row: Document, since: date, chance: random.Random) -> Document:
    """A customer's monthly agreement with its additions."""
    kind = chance.choice(AGREEMENT_TYPES)
    fee = Decimal(chance.randint(45, 420)) * 10 + (Decimal("0.50") if chance.random() < 0.2 else 0)
    made = world.add(
        "agreements",
        {
            "name": f"{row['name']} {AGREEMENT_NAMES[kind]}",
            "type": references.to(world, "AgreementTypeReference", kind),
            "company": references.company(row),
            "contact": row["billingContact"],
            "agreementStatus": "Active",
            "startDate": f"{since}T00:00:00Z",
            "noEndingDateFlag": True,
            "cancelledFlag": False,
            "billAmount": fee,
            "billingCycle": references.to(world, "BillingCycleReference", "Monthly"),
            "billingTerms": row["billingTerms"],
            "invoiceDescription": f"{kind} for the month",
            "taxable": True,
            "taxCode": row["taxCode"],
            "location": row["territory"],
            "department": references.to(world, "SystemDepartmentReference", "Managed Services"),
            "currency": row["currency"],
        },
    )
    for identifier in ADDITIONS[kind]:
        world.add("additions", _addition(world, made, identifier, since, chance.randint(3, 60)))
    return made


def _addition(world: World, owner: Document, identifier: str, since: date, seats: int) -> Document:
    item = references.need(world, "catalog", identifier)
    quantity = Decimal(seats)
    return {
        "agreementId": owner["id"],
        "product": {"id": item["id"], "identifier": identifier},
        "description": item["description"],
        "invoiceDescription": item["description"],
        "quantity": quantity,
        "lessIncluded": Decimal(0),
        "unitPrice": item["price"],
        "unitCost": item["cost"],
        "extPrice": quantity * item["price"],
        "extCost": quantity * item["cost"],
        "billCustomer": "Billable",
        "taxableFlag": True,
        "effectiveDate": f"{since}T00:00:00Z",
        "agreementStatus": "Active",
    }
