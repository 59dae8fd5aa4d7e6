"""A site's customers and three months of invoices, the same for the same seed."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import invoices, purchasing, references
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.tables import CATALOG, LOCATIONS, WORK_ROLES, WORK_TYPES
from psaltery.adapters.connectwise.sandbox.world import OPERATOR, World
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
_VENDORS = ("Northgate Distribution", "Dicker Supplies", "Pacific Components")
_SUMMARIES = (
    "Printer offline",
    "New starter on Monday",
    "Mailbox full",
    "VPN drops every hour",
    "Laptop will not wake",
)
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


def agreement(world: World, customer: Document, chance: random.Random) -> Document:
    """A customer's monthly agreement with two additions."""
    fee = Decimal(chance.randint(400, 4000))
    row = world.add(
        "agreements",
        {
            "name": f"{customer['name']} managed services",
            "type": references.to(world, "AgreementTypeReference", "Managed Services"),
            "company": references.company(customer),
            "contact": customer["billingContact"],
            "agreementStatus": "Active",
            "startDate": "2025-01-01T00:00:00Z",
            "noEndingDateFlag": True,
            "cancelledFlag": False,
            "billAmount": fee,
            "billingCycle": references.to(world, "BillingCycleReference", "Monthly"),
            "billingTerms": customer["billingTerms"],
            "invoiceDescription": "Managed services for the month",
            "taxable": True,
            "taxCode": customer["taxCode"],
            "location": customer["territory"],
            "department": references.to(world, "SystemDepartmentReference", 1),
            "currency": customer["currency"],
        },
    )
    for identifier in ("M365-BP", "BKUP-WS"):
        world.add("additions", _addition(world, row, identifier, chance.randint(3, 60)))
    return row


def _addition(world: World, owner: Document, identifier: str, seats: int) -> Document:
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
        "effectiveDate": "2025-01-01T00:00:00Z",
        "agreementStatus": "Active",
    }


def ticket(world: World, customer: Document, chance: random.Random) -> Document:
    """A service ticket with a note."""
    done = chance.random() < 0.7
    status = 4 if done else chance.randint(1, 3)
    row = world.add(
        "tickets",
        {
            "summary": chance.choice(_SUMMARIES),
            "recordType": "ServiceTicket",
            "company": references.company(customer),
            "contact": customer["defaultContact"],
            "board": references.to(world, "BoardReference", 1),
            "status": references.to(world, "ServiceStatusReference", status),
            "priority": {"id": chance.randint(1, 4), "name": "Priority 3 - Normal"},
            "owner": references.to(world, "MemberReference", chance.randint(1, 5)),
            "location": customer["territory"],
            "department": references.to(world, "SystemDepartmentReference", 1),
            "closedFlag": done,
            "actualHours": Decimal(chance.randint(1, 12)) / 4,
        },
    )
    note = {"ticketId": row["id"], "text": "Called the user back.", "internalAnalysisFlag": True}
    world.add("ticketNotes", note | {"detailDescriptionFlag": False, "resolutionFlag": False})
    return row


def vendor(world: World, name: str) -> Document:
    """A supplier."""
    fields = {
        "identifier": name.lower().replace(" ", ""),
        "name": name,
        "status": {"id": 1, "name": "Active"},
        "types": [{"id": 2, "name": "Vendor"}],
        "accountNumber": f"V{name[:3].upper()}",
        "isVendorFlag": True,
        "vendorIdentifier": name[:3].upper(),
        "deletedFlag": False,
        "customFields": [],
    }
    return world.add("companies", fields)


def purchase_order(world: World, supplier: Document, chance: random.Random) -> Document:
    """An order of one to three products; most of them are received."""
    office, currency = LOCATIONS[chance.randrange(len(LOCATIONS))]
    head = {
        "status": references.to(world, "PurchaseOrderStatusReference", "Ordered"),
        "vendorCompany": references.company(supplier),
        "terms": references.to(world, "BillingTermsReference", "Net 30"),
        "taxCode": references.to(world, "TaxCodeReference", _TAX[currency][0]),
        "currency": references.to(world, "CurrencyReference", _currency_id(world, currency)),
        "locationId": references.need(world, "locations", office)["id"],
        "location": references.to(world, "SystemLocationReference", office),
        "businessUnitId": 3,
        "freightCost": Decimal(chance.choice((0, 0, 15, 25))),
    }
    row = {"id": world.next_id("purchaseOrders")} | head
    order = world.save("purchaseOrders", purchasing.prepare_order(world, row, None, OPERATOR))
    for number in range(1, chance.randint(1, 3) + 1):
        _order_line(world, order, number, chance)
    if chance.random() < 0.8:
        slip = f"PS{chance.randint(10_000, 99_999)}"
        purchasing.receive(world, order["id"], slip, vendor_invoice=f"INV-{slip[2:]}")
    return purchasing.recalculate(world, order["id"])


def _order_line(world: World, order: Document, number: int, chance: random.Random) -> None:
    item = world.get("catalog", chance.randint(1, 6))
    row = {
        "id": world.next_id("purchaseOrderLines"),
        "purchaseOrderId": order["id"],
        "lineNumber": number,
        "product": {"id": item["id"], "identifier": item["identifier"]},
        "description": item["description"],
        "quantity": Decimal(chance.randint(1, 10)),
        "unitOfMeasure": item["unitOfMeasure"],
        "unitCost": item["cost"],
    }
    world.save("purchaseOrderLines", purchasing.prepare_line(world, row, None, OPERATOR))


def invoice(world: World, customer: Document, day: date, chance: random.Random) -> Document:
    """One closed invoice of one to six mixed lines; now and then a credit memo of one."""
    memo = chance.random() < 0.03
    count = 1 if memo else chance.randint(1, 6)
    zero = _TAX[customer["currency"]["currencyIdentifier"]][1]
    draft = NewInvoice(
        company=customer["id"],
        type="CreditMemo" if memo else "Standard",
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
    """Make customers, and `count` closed invoices over the three months before `last_day`.

    About one invoice in six bills an agreement; there is a purchase order for every 20.
    """
    # One generator for everything, drawn from in a fixed order: that makes a seed repeatable.
    chance = random.Random(seed)
    customers = [company(world, number, chance) for number in range(companies)]
    if not customers:
        return
    agreements = [agreement(world, customer, chance) for customer in customers]
    for customer in customers:
        ticket(world, customer, chance)
    for number in range(count):
        day = last_day - timedelta(days=_DAYS - number * _DAYS // count)
        chosen = chance.randrange(len(customers))
        if chance.random() < 1 / 6:
            invoices.bill(world, agreements[chosen], day=day.isoformat(), close=True)
        else:
            invoice(world, customers[chosen], day, chance)
    suppliers = [vendor(world, name) for name in _VENDORS]
    for _ in range(count // 20):
        purchase_order(world, chance.choice(suppliers), chance)
