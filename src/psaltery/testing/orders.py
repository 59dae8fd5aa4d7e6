"""Purchases in the PSA's sandbox, and books that take them: what tests of bills begin with."""

from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import purchasing, references, seed
from psaltery.adapters.connectwise.sandbox.world import OPERATOR
from psaltery.connections.models import Organisation
from psaltery.mapping.service import set_mapping
from psaltery.posting.policy import Policy, stored_policy
from psaltery.testing.rig import Rig

COSTS = "310"


def take_bills(rig: Rig, *, mapped: bool = True, **policy: Any) -> Organisation:
    """Sydney's books take bills from now on, with an account and rates for them."""
    organisation = next(one for one in rig.organisations if "Sydney" in one.name)
    organisation.settings = stored_policy(Policy(**{"bills": True, **policy}))
    organisation.save(update_fields=["settings"])
    if mapped:
        set_mapping(organisation, "purchase_account", "any", "", COSTS)
    set_mapping(organisation, "purchase_tax", "tax_code", "GST", "INPUT")
    set_mapping(organisation, "purchase_tax", "exempt", "", "EXEMPTEXPENSES")
    return organisation


def vendor(rig: Rig, name: str = "Northgate Distribution") -> Any:
    """A new supplier."""
    world = rig.psa_sandbox.world
    with world.store.transaction():
        return seed.vendor(world, name)


def order(rig: Rig, supplier: Any, *lines: tuple[int, str], freight: str = "0") -> Any:
    """A purchase order of Sydney's office; each line is a quantity and what one costs."""
    world = rig.psa_sandbox.world
    head = {
        "id": world.next_id("purchaseOrders"),
        "status": references.to(world, "PurchaseOrderStatusReference", "Ordered"),
        "vendorCompany": references.company(supplier),
        "terms": references.to(world, "BillingTermsReference", "Net 30"),
        "taxCode": references.to(world, "TaxCodeReference", "GST"),
        "currency": rig.psa_documents("companies")[0]["currency"],
        "locationId": references.need(world, "locations", "Sydney")["id"],
        "location": references.to(world, "SystemLocationReference", "Sydney"),
        "businessUnitId": 3,
        "freightCost": Decimal(freight),
    }
    with world.store.transaction():
        made = world.save("purchaseOrders", purchasing.prepare_order(world, head, None, OPERATOR))
        for number, (quantity, cost) in enumerate(lines or ((3, "99.95"),), 1):
            _line(rig, made, number, quantity, cost)
        return purchasing.recalculate(world, made["id"])


def _line(rig: Rig, made: Any, number: int, quantity: int, cost: str) -> None:
    world = rig.psa_sandbox.world
    item = world.get("catalog", number)
    row = {
        "id": world.next_id("purchaseOrderLines"),
        "purchaseOrderId": made["id"],
        "lineNumber": number,
        "product": {"id": item["id"], "identifier": item["identifier"]},
        "description": item["description"],
        "quantity": Decimal(quantity),
        "unitOfMeasure": item["unitOfMeasure"],
        "unitCost": Decimal(cost),
    }
    world.save("purchaseOrderLines", purchasing.prepare_line(world, row, None, OPERATOR))


def receive(rig: Rig, made: Any, slip: str, number: str = "", lines: Any = None) -> Any:
    """Goods of an order come with a packing slip, and the vendor's invoice of a number."""
    world = rig.psa_sandbox.world
    return purchasing.receive(world, made["id"], slip, quantities=lines, vendor_invoice=number)


def change(rig: Rig, made: Any, **fields: Any) -> None:
    """Somebody changes fields of an order."""
    world = rig.psa_sandbox.world
    with world.store.transaction():
        world.save("purchaseOrders", world.get("purchaseOrders", made["id"]) | fields, OPERATOR)


def reprice(rig: Rig, made: Any, cost: str) -> None:
    """Somebody corrects what one piece of the first line costs."""
    world = rig.psa_sandbox.world
    with world.store.transaction():
        row = purchasing.lines_of(world, made["id"])[0]
        changed = row | {"unitCost": Decimal(cost)}
        ready = purchasing.prepare_line(world, changed, row, OPERATOR)
        purchasing.settle_line(world, world.save("purchaseOrderLines", ready, OPERATOR), OPERATOR)
