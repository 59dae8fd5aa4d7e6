"""Harbourline IT's own set-up in the PSA: what the sandbox comes with, and what it lacks."""

from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import references, tables
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document
from psaltery.demo.offices import BRISBANE, NEW_CATEGORY, NEW_DEPARTMENT, OLD_TAX

API_MEMBER = "psaltery"
# Identifier, description, category, class, price, cost. Prices per gigabyte have six decimals.
PRODUCTS = (
    ("AZ-OUT", "Azure outbound data, per GB", "Cloud", "NonInventory", "0.128755", "0.0871"),
    ("AZ-VM", "Azure virtual machine, per hour", "Cloud", "NonInventory", "0.4736", "0.384"),
    ("NAS-4", "4-bay network storage", "Hardware", "Inventory", "1189.00", "902.50"),
    ("AP-W6", "Wi-Fi 6 access point", "Hardware", "Inventory", "279.95", "198.4"),
    ("SSL-DV", "Certificate, one year", "Software", "NonInventory", "119.00", "48.125"),
    ("LABOUR-FIX", "Fixed-price installation", "Services", "Service", "850.00", "420.00"),
    ("CAM-G5", "Outdoor camera G5", NEW_CATEGORY, "Inventory", "349.00", "241.00"),
)  # fmt: skip
STOCK = ("LT-5450", "MON-27", "DOCK-WD19", "SSD-1TB", "FW-60F", "SW-24P", "NAS-4", "AP-W6")
LICENCES = ("M365-BP", "M365-E3", "EDR", "ADOBE-CC", "SSL-DV")
METERED = ("AZ-OUT", "AZ-VM", "CAB-CAT6")
CURRENCIES = (("GBP", "Pound Sterling"),)


def fill(world: World) -> None:
    """Write the set-up tables, and what is Harbourline's own."""
    tables.fill(world, [API_MEMBER])
    _new_office(world)
    world.add("departments", {"identifier": "D5", "name": NEW_DEPARTMENT})
    for code, name in CURRENCIES:
        world.add("currencies", _currency(world, code, name))
    row = tables.tax_code(OLD_TAX, "GST before October 2010", (("0.125", "GST", "OLD", "IRD"),))
    world.add("taxCodes", row)
    for product in PRODUCTS:
        world.add("catalog", _product(world, product))


def _new_office(world: World) -> None:
    like = references.need(world, "locations", "Sydney")
    world.add("locations", _copy(like) | {"name": BRISBANE})


def _currency(world: World, code: str, name: str) -> Document:
    like = world.all("currencies")[0]
    own = {"currencyIdentifier": code, "name": name, "symbol": "£", "defaultFlag": False}
    number = len(world.all("currencies")) + 1
    return _copy(like) | own | {"currencyCode": {"id": number, "name": code}}


def _product(world: World, product: tuple[str, ...]) -> Document:
    identifier, text, category, product_class, price, cost = product
    like = world.all("catalog")[0]
    place = {"id": _category_id(category), "name": category}
    return _copy(like) | {
        "identifier": identifier,
        "description": text,
        "customerDescription": text,
        "category": place,
        "subcategory": place,
        "productClass": product_class,
        "type": {"id": 1, "name": product_class},
        "price": Decimal(price),
        "cost": Decimal(cost),
    }


def _category_id(name: str) -> int:
    names = (*tables.CATEGORIES, NEW_CATEGORY)
    return names.index(name) + 1


def _copy(row: Document) -> Document:
    # A row's own id and times would make the copy overwrite it.
    return {name: value for name, value in row.items() if name not in ("id", "_info")}
