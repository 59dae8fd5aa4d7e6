"""The set-up tables of the demo's site: offices, statuses, tax codes, catalog, GL mapping.

Harbourline IT has three offices, two in Australia and one in New Zealand.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import references
from psaltery.adapters.connectwise.sandbox.accounts import MAPPED_TYPES
from psaltery.adapters.connectwise.sandbox.pricing import LEVEL_NAMES
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document

LOCATIONS = (("Sydney", "AUD"), ("Adelaide", "AUD"), ("Auckland", "NZD"))
DEPARTMENTS = ("Managed Services", "Professional Services", "Procurement", "Cloud")
CURRENCIES = (("AUD", "Australian Dollar"), ("NZD", "New Zealand Dollar"), ("USD", "US Dollar"))
TERMS = (("Net 14", 14), ("Net 30", 30), ("Due on receipt", 0), ("Net 7", 7))

# Identifier, description, and its levels: rate, caption, cross-reference, agency.
TAX_CODES = (
    ("GST", "GST on Income", (("0.10", "GST", "OUTPUT", "ATO"),)),
    ("GST-FREE", "GST Free Income", (("0", "GST Free", "EXEMPTOUTPUT", "ATO"),)),
    ("NZGST", "15% GST on Income", (("0.15", "GST", "OUTPUT2", "IRD"),)),
    ("NZ-ZERO", "Zero Rated", (("0", "Zero Rated", "ZERORATEDOUTPUT", "IRD"),)),
    (
        "US-CA",
        "California",
        (("0.06", "State", "CA-STATE", "CDTFA"), ("0.0125", "County", "CA-COUNTY", "CDTFA")),
    ),
)

CATEGORIES = ("Hardware", "Software", "Cloud", "Services")
# Identifier, description, category, class, price, cost.
CATALOG = (
    ("LT-5450", "Dell Latitude 5450 laptop", "Hardware", "NonInventory", "2149.00", "1720.00"),
    ("MON-27", "27-inch USB-C monitor", "Hardware", "Inventory", "489.00", "371.25"),
    ("DOCK-WD19", "USB-C dock", "Hardware", "Inventory", "329.00", "251.40"),
    ("FW-60F", "FortiGate 60F firewall", "Hardware", "NonInventory", "1265.00", "948.70"),
    ("SW-24P", "24-port PoE switch", "Hardware", "Inventory", "998.00", "741.00"),
    ("SSD-1TB", "1 TB NVMe drive", "Hardware", "Inventory", "189.95", "121.30"),
    ("M365-BP", "Microsoft 365 Business Premium", "Cloud", "Agreement", "32.90", "27.1875"),
    ("M365-E3", "Microsoft 365 E3", "Cloud", "Agreement", "58.70", "49.20"),
    ("BKUP-WS", "Workstation backup", "Cloud", "Agreement", "11.50", "4.125"),
    ("EDR", "Endpoint detection and response", "Software", "Agreement", "7.25", "3.4275"),
    ("ADOBE-CC", "Adobe Creative Cloud", "Software", "NonInventory", "102.99", "88.40"),
    ("CAB-CAT6", "Cat 6 cabling, per metre", "Services", "Service", "4.385", "2.1050"),
    ("DISPOSAL", "Recycling of old equipment", "Services", "Service", "35.00", "12.00"),
)

WORK_TYPES = ("Remote support", "On-site support", "Project work", "After hours", "Travel")
WORK_ROLES = (
    ("Engineer", "165.00"),
    ("Senior engineer", "195.00"),
    ("Consultant", "240.00"),
    ("Technician", "135.00"),
)
AGREEMENT_TYPES = ("Managed Services", "Cloud Subscription", "Backup", "Block Hours")
EXPENSE_TYPES = ("Mileage", "Parking", "Accommodation", "Parts")
MEMBERS = (
    ("hmoreau", "Hélène", "Moreau"),
    ("jtane", "Joe", "Tane"),
    ("pkaur", "Priya", "Kaur"),
    ("lchen", "Li", "Chen"),
    ("swright", "Sam", "Wright"),
)

# GL type, mapped type, mapped record's name (None: the catch-all), account, class, cost, inventory.
GL_ACCOUNTS = (
    ("AR", "Location", None, "610", "", "", ""),
    ("AP", "Location", None, "800", "", "", ""),
    ("ST", "Tax Code", None, "820", "", "", ""),
    ("PT", "Location", None, "820", "", "", ""),
    ("RP", "Product Category", "Hardware", "200", "Hardware", "310", "630"),
    ("RP", "Product Category", "Software", "201", "Software", "311", ""),
    ("RP", "Product Category", "Cloud", "202", "Cloud", "312", ""),
    ("RP", "Product Category", "Services", "210", "Services", "313", ""),
    ("R", "Work Type", None, "210", "Services", "477", ""),
    ("R", "Work Type", "Project work", "211", "Projects", "477", ""),
    ("RA", "Agreement Type", None, "220", "Agreements", "", ""),
    ("RA", "Agreement Type", "Cloud Subscription", "202", "Cloud", "", ""),
    ("RE", "Expense Type", None, "230", "", "", ""),
    ("RD", "Product Category", None, "835", "", "", ""),
    ("P", "Product Category", None, "310", "", "310", "630"),
    ("P", "Product Category", "Software", "311", "", "311", ""),
    ("EE", "Expense Type", None, "493", "", "", ""),
)


def fill(world: World, api_members: Iterable[str]) -> None:
    """Write every set-up table into an empty site."""
    _people(world, api_members)
    _organisation(world)
    _statuses(world)
    _money(world)
    _work(world)
    _catalog(world)
    _accounts(world)


def _people(world: World, api_members: Iterable[str]) -> None:
    for identifier, first, last in MEMBERS:
        _member(world, identifier, first, last, "F")
    for identifier in api_members:
        if world.named("members", identifier) is None:
            _member(world, identifier, identifier.capitalize(), "API", "A")


def _member(world: World, identifier: str, first: str, last: str, licence: str) -> None:
    row = {
        "identifier": identifier,
        "firstName": first,
        "lastName": last,
        "licenseClass": licence,
        "primaryEmail": f"{identifier}@harbourline.example",
        "officeEmail": f"{identifier}@harbourline.example",
        "inactiveFlag": False,
        "hourlyCost": Decimal("68.00"),
        "vendorNumber": f"EMP-{identifier.upper()}",
    }
    world.add("members", row)


def _organisation(world: World) -> None:
    for number, name in enumerate(DEPARTMENTS, start=1):
        world.add("departments", {"identifier": f"D{number}", "name": name})
    departments = [row["id"] for row in world.all("departments")]
    for name, _ in LOCATIONS:
        row = {
            "name": name,
            "ownerLevelId": 1,
            "structureLevel": {"id": 2, "name": "Location"},
            "departmentIds": departments,
            "locationFlag": True,
            "clientFlag": False,
        }
        world.add("locations", row)
    for name in ("Active", "Inactive", "Not approved"):
        world.add("companyStatuses", {"name": name, "defaultFlag": name == "Active"})
    for name in ("Client", "Vendor", "Prospect"):
        world.add("companyTypes", {"name": name, "vendorFlag": name == "Vendor"})


def _statuses(world: World) -> None:
    flags = (
        ("Open", False, False),
        ("Sent", False, True),
        ("Closed", True, True),
        ("GL Reload", False, False),
        ("Synced", True, True),
    )
    for order, (name, closed, sent) in enumerate(flags):
        row = {"name": name, "closedFlag": closed, "sentFlag": sent, "sortOrder": order}
        row |= {"defaultFlag": name == "Open", "inactiveFlag": False}
        world.add("billingStatuses", row)
    for name, closed in (("New", False), ("Ordered", False), ("Closed", True)):
        world.add("purchaseOrderStatuses", {"name": name, "closedFlag": closed})


def _money(world: World) -> None:
    for number, (code, name) in enumerate(CURRENCIES, start=1):
        world.add("currencies", _currency(number, code, name))
    for name, days in TERMS:
        row = {"name": name, "dueDays": days, "termsXref": name, "defaultFlag": name == "Net 14"}
        world.add("billingTerms", row)
    cycles = ("Monthly", "Quarterly", "Yearly", "Weekly", "NotRecurring")
    for name in cycles:
        row = {"identifier": name[:5], "name": name, "billingOptions": name}
        world.add("billingCycles", row | {"defaultFlag": name == "Monthly"})
    for identifier, text, levels in TAX_CODES:
        world.add("taxCodes", tax_code(identifier, text, levels))


def _currency(number: int, code: str, name: str) -> Document:
    return {
        "currencyIdentifier": code,
        "name": name,
        "symbol": "$",
        "currencyCode": {"id": number, "name": code},
        "decimalSeparator": ".",
        "thousandsSeparator": ",",
        "numberOfDecimals": 2,
        "displayIdFlag": False,
        "displaySymbolFlag": True,
        "negativeParenthesesFlag": False,
        "rightAlign": False,
    }


def tax_code(identifier: str, text: str, levels: tuple[tuple[str, ...], ...]) -> Document:
    """A tax code; each level is its rate (a fraction), caption, cross-reference and agency."""
    row: Document = {
        "identifier": identifier,
        "description": text,
        "invoiceCaption": text[:25],
        "effectiveDate": "2010-01-01T00:00:00Z",
        "defaultFlag": identifier == "GST",
        "displayOnInvoiceFlag": True,
    }
    for name, (rate, caption, xref, agency) in zip(LEVEL_NAMES, levels, strict=False):
        prefix = f"level{name}"
        row |= {
            f"{prefix}Rate": Decimal(rate),
            f"{prefix}RateType": "Percent",
            f"{prefix}Caption": caption,
            f"{prefix}TaxCodeXref": xref,
            f"{prefix}AgencyXref": agency,
            f"{prefix}ServicesFlag": True,
            f"{prefix}ProductsFlag": True,
            f"{prefix}ExpensesFlag": True,
        }
    return row


def _work(world: World) -> None:
    for name in WORK_TYPES:
        row = {"name": name, "billTime": "Billable", "rate": Decimal(0), "rateType": "AdjAmount"}
        world.add("workTypes", row | {"inactiveFlag": False})
    for name, rate in WORK_ROLES:
        world.add("workRoles", {"name": name, "hourlyRate": Decimal(rate), "inactiveFlag": False})
    for name in AGREEMENT_TYPES:
        world.add("agreementTypes", {"name": name, "taxableFlag": True, "inactiveFlag": False})
    for name in EXPENSE_TYPES:
        row = {"name": name, "amountCaption": "Amount", "billExpenses": "Billable"}
        world.add("expenseTypes", row | {"invoiceMarkupOption": "Percent", "inactiveFlag": False})
    for name in ("Help Desk", "Projects", "Alerts"):
        _board(world, name)


def _board(world: World, name: str) -> None:
    board = world.add(
        "boards",
        {
            "name": name,
            "location": references.to(world, "SystemLocationReference", 1),
            "department": references.to(world, "SystemDepartmentReference", 1),
            "inactiveFlag": False,
            "projectFlag": name == "Projects",
        },
    )
    for order, status in enumerate(("New", "In progress", "Waiting on customer", "Closed")):
        row = {"name": status, "board": references.named(board), "sortOrder": order}
        row |= {"closedStatus": status == "Closed", "defaultFlag": status == "New"}
        world.add("boardStatuses", row)


def _catalog(world: World) -> None:
    categories = {name: number for number, name in enumerate(CATEGORIES, start=1)}
    for identifier, text, category, product_class, price, cost in CATALOG:
        place = {"id": categories[category], "name": category}
        row = {
            "identifier": identifier,
            "description": text,
            "customerDescription": text,
            "category": place,
            "subcategory": place,
            "type": {"id": 1, "name": product_class},
            "productClass": product_class,
            "unitOfMeasure": {"id": 1, "name": "Each"},
            "price": Decimal(price),
            "cost": Decimal(cost),
            "taxableFlag": True,
            "inactiveFlag": False,
            "integrationXRef": "",
        }
        world.add("catalog", row)


def _accounts(world: World) -> None:
    for gl_type, mapped, name, account, gl_class, cost, inventory in GL_ACCOUNTS:
        row = {
            "glType": gl_type,
            "mappedType": {"id": MAPPED_TYPES.index(mapped) + 1, "name": mapped},
            "mappedRecord": _mapped_record(world, mapped, name),
            "segment1": account,
            "segment2": gl_class,
            "cogs1": cost,
            "inventory": inventory,
            "productId": f"{gl_type}-{name}".upper() if name else gl_type,
        }
        world.add("glAccounts", row)


def _mapped_record(world: World, mapped: str, name: str | None) -> Any:
    if name is None:
        return {"id": None, "name": "All"}
    if mapped == "Product Category":
        return {"id": CATEGORIES.index(name) + 1, "name": name}
    collection = {"Work Type": "workTypes", "Agreement Type": "agreementTypes"}[mapped]
    return references.named(references.need(world, collection, name))
