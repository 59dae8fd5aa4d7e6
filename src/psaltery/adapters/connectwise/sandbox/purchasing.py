"""Purchase orders: their sums, and the receipt of lines that makes them post."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import ledger
from psaltery.adapters.connectwise.sandbox.accounts import Account, Candidate, resolve
from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.pricing import ZERO, cents, levels
from psaltery.adapters.connectwise.sandbox.world import OPERATOR, World, wire_time
from psaltery.adapters.sandboxing import Document

_LINE: Document = {
    "receivedStatus": "Waiting",
    "receivedQuantity": 0,
    "closedFlag": False,
    "batchedFlag": False,
    "canceledFlag": False,
    "packingSlip": "",
}
RECEIVED = ("FullyReceived", "PartiallyReceiveCancelRest", "PartiallyReceiveCloneRest")


def prepare_order(world: World, row: Document, before: Document | None, member: str) -> Document:
    """An order with its defaults; it is closed only through its status."""
    status = world.find("purchaseOrderStatuses", row["status"]["id"]) or {}
    closed = bool(status.get("closedFlag"))
    defaults = {
        "poDate": wire_time(world.now()),
        "poNumber": f"PO-{10_000 + row['id']}",
        "freightCost": ZERO,
        "freightTaxTotal": ZERO,
        "taxPoFlag": True,
        "taxFreightFlag": False,
    }
    given = {key: value for key, value in row.items() if value is not None}
    return defaults | given | {"closedFlag": closed}


def settle_order(world: World, row: Document, member: str) -> Document:
    """An order with its sums, and its received slips booked."""
    return recalculate(world, row["id"], member)


def prepare_line(world: World, row: Document, before: Document | None, member: str) -> Document:
    """A line with its cost and tax; a line in a batch cannot change."""
    # The batch holds its entries as they were.
    if before is not None and before.get("batchedFlag"):
        raise refused("PurchaseOrderLineItem", "InvalidObject", "The line is posted.")
    given = {key: value for key, value in row.items() if value is not None}
    whole: Document = _LINE | given
    order = world.get("purchaseOrders", whole["purchaseOrderId"])
    cost = cents(whole["quantity"] * whole["unitCost"])
    whole |= {
        "purchaseOrderNumber": order["poNumber"],
        "extCost": cost,
        "tax": cents(cost * _rate(world, order)) if order.get("taxPoFlag") else ZERO,
    }
    return _received(world, whole) if whole["receivedStatus"] in RECEIVED else whole


def _received(world: World, line: Document) -> Document:
    quantity = line["receivedQuantity"] or line["quantity"]
    if line["receivedStatus"] == "FullyReceived":
        quantity = line["quantity"]
    arrived = line.get("dateReceived") or wire_time(world.now())
    return line | {
        "receivedQuantity": int(quantity),
        "dateReceived": arrived,
        "closedFlag": True,
    }


def settle_line(world: World, row: Document, member: str) -> Document:
    """The order's sums and ledgers after a line changed; what is left of a part receipt waits."""
    rest = row["quantity"] - row["receivedQuantity"]
    # Cancelling the rest leaves no second line: what is missing will never come.
    if row["receivedStatus"] == "PartiallyReceiveCloneRest" and rest > 0:
        _clone_rest(world, row, rest, member)
    recalculate(world, row["purchaseOrderId"], member)
    return world.get("purchaseOrderLines", row["id"])


def _clone_rest(world: World, row: Document, rest: Decimal, member: str) -> None:
    """What has not come yet waits on a line of its own."""
    numbers = [line["lineNumber"] for line in lines_of(world, row["purchaseOrderId"])]
    waiting = _LINE | {"receivedQuantity": 0, "dateReceived": None}
    fresh = row | waiting | {"quantity": rest, "lineNumber": max(numbers) + 1}
    fresh["id"] = world.next_id("purchaseOrderLines")
    world.save("purchaseOrderLines", prepare_line(world, fresh, None, member), member)
    mine = row | {"quantity": Decimal(row["receivedQuantity"])}
    world.save("purchaseOrderLines", prepare_line(world, mine, None, member), member)


def lines_of(world: World, order_id: int) -> list[Document]:
    """The lines of an order, in their order."""
    rows = world.having("purchaseOrderLines", "purchaseOrderId", [order_id])
    return sorted(rows, key=lambda row: int(row["lineNumber"]))


def recalculate(world: World, order_id: int, member: str = OPERATOR) -> Document:
    """Sum an order from its lines and book every packing slip that has closed lines."""
    order = world.get("purchaseOrders", order_id)
    rows = [row for row in lines_of(world, order_id) if not row["canceledFlag"]]
    cost = sum((row["extCost"] for row in rows), ZERO)
    tax = sum((row["tax"] for row in rows), ZERO) + order["freightTaxTotal"]
    sums = {"subTotal": cost, "salesTax": tax, "total": cost + tax + order["freightCost"]}
    saved = world.save("purchaseOrders", order | sums, member)
    for slip in dict.fromkeys(row["packingSlip"] for row in rows if row["closedFlag"]):
        _post_slip(world, saved, slip, [row for row in rows if row["packingSlip"] == slip])
    return saved


def receive(
    world: World,
    order_id: int,
    packing_slip: str,
    *,
    quantities: dict[int, int] | None = None,
    vendor_invoice: str = "",
    member: str = OPERATOR,
) -> Document:
    """Receive an order's waiting lines under one packing slip.

    `quantities` names line numbers and what came of them; without it everything came.
    """
    with world.store.transaction():
        for row in lines_of(world, order_id):
            if row["closedFlag"] or (quantities and row["lineNumber"] not in quantities):
                continue
            came = (quantities or {}).get(row["lineNumber"], int(row["quantity"]))
            whole = came >= row["quantity"]
            arrived = row | {
                "receivedStatus": "FullyReceived" if whole else "PartiallyReceiveCloneRest",
                "receivedQuantity": came,
                "packingSlip": packing_slip,
            }
            ready = prepare_line(world, arrived, row, member)
            settle_line(world, world.save("purchaseOrderLines", ready, member), member)
        if vendor_invoice:
            order = world.get("purchaseOrders", order_id, "PurchaseOrder")
            dated = {
                "vendorInvoiceNumber": vendor_invoice,
                "vendorInvoiceDate": wire_time(world.now()),
            }
            world.save("purchaseOrders", order | dated, member)
        return recalculate(world, order_id, member)


def _rate(world: World, order: Document) -> Decimal:
    code = world.find("taxCodes", (order.get("taxCode") or {}).get("id"))
    found = levels(code) if code else []
    return sum((level["taxRate"] for level in found if level["taxProductsFlag"]), Decimal(0))


def _post_slip(world: World, order: Document, slip: str, rows: list[Document]) -> None:
    ledger_key = ledger.key("purchase", order["id"], slip)
    # What a batch has taken stays as it was, whatever happens to the order.
    known = ledger.find(world, ledger_key)
    if known is not None and any(entry["batch"] is not None for entry in known["entries"]):
        return
    closed = [row for row in rows if row["closedFlag"]]
    record = {"order": order["id"], "slip": slip}
    ledger.post(world, ledger_key, "purchase", record, _entries(world, order, closed))


def _entries(world: World, order: Document, rows: list[Document]) -> Iterator[Document]:
    mappings = world.all("glAccounts")
    for row in rows:
        item = world.find("catalog", row["product"]["id"]) or {}
        candidates: list[Candidate] = [
            ("Product Subcategory", (item.get("subcategory") or {}).get("id")),
            ("Product Category", (item.get("category") or {}).get("id")),
            ("Product Category", None),
            ("Location", None),
        ]
        cost, tax = received_value(row)
        yield _entry("RP", cost, resolve(mappings, "P", candidates), row)
        if tax:
            yield _entry("PT", tax, resolve(mappings, "PT", [("Location", None)]), row)


def received_value(row: Document) -> tuple[Decimal, Decimal]:
    """Cost and tax of what was received of a line."""
    ordered, received = Decimal(row["quantity"]), Decimal(row["receivedQuantity"])
    if received == ordered or not ordered:
        return row["extCost"], row["tax"]
    return cents(received * row["unitCost"]), cents(row["tax"] * received / ordered)


def _entry(gl_type: str, amount: Decimal, account: Account, row: Document) -> dict[str, Any]:
    extra = {"source": "purchaseOrderLines", "sourceId": row["id"]}
    return ledger.entry(gl_type, amount, account, extra | {"description": row["description"]})
