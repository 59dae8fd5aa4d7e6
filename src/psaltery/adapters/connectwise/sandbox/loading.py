"""After a bulk load of wire documents: what the server would have kept beside them."""

from __future__ import annotations

from psaltery.adapters.connectwise.sandbox import invoices, ledger, purchasing
from psaltery.adapters.connectwise.sandbox.lines import PARTS, attach
from psaltery.adapters.connectwise.sandbox.world import OPERATOR, World, wire_time
from psaltery.adapters.sandboxing import Document

# Kept by the sandbox for itself; not records of the site.
INTERNAL = ("invoiceParts", "ledgers", "permissions")


def complete(world: World) -> None:
    """Hang lines and payments on their invoices, and book what is closed and has no entries.

    Documents without `_info` get one. An invoice keeps the money it was loaded with unless lines
    were loaded for it.
    """
    with world.store.transaction():
        for name in world.store.collections():
            if name not in INTERNAL:
                _stamp(world, name)
        # Lines first: an invoice is priced from what hangs on it.
        priced = _hang(world)
        for invoice in world.all("invoices"):
            _complete_invoice(world, invoice, priced=invoice["id"] in priced)
        for row in world.all("expenses"):
            ledger.post_expense(world, row)
        for order in world.all("purchaseOrders"):
            purchasing.recalculate(world, order["id"])


def _stamp(world: World, collection: str) -> None:
    moment = wire_time(world.now())
    for document in world.all(collection):
        if "_info" not in document:
            info = {"lastUpdated": moment, "updatedBy": OPERATOR}
            info |= {"dateEntered": moment, "enteredBy": OPERATOR}
            world.store.put(collection, str(document["id"]), document | {"_info": info})


def _hang(world: World) -> set[int]:
    """The ids of the invoices that have lines."""
    priced = set()
    for name in PARTS:
        for row in world.all(name):
            if row.get("invoice"):
                attach(world, row["invoice"]["id"], name, row["id"])
                priced.add(row["invoice"]["id"])
    for row in world.all("payments"):
        attach(world, row["invoice"]["id"], "payments", row["id"])
        if row.get("credit"):
            attach(world, row["credit"]["id"], "applied", row["id"])
    return priced


def _complete_invoice(world: World, loaded: Document, *, priced: bool) -> None:
    whole = invoices.blank(world) | loaded
    whole = invoices.placed(world, whole) | whole
    if whole != loaded:
        world.store.put("invoices", str(loaded["id"]), whole)
    invoice = world.get("invoices", loaded["id"])
    if priced and ledger.find(world, ledger.key("invoice", invoice["id"])) is None:
        invoice = invoices.recalculate(world, invoice["id"])
    booked = ledger.find(world, ledger.key("invoice", invoice["id"])) is not None
    if invoices.is_closed(invoice) and not booked and not invoice["glBatch"]:
        ledger.post_invoice(world, invoice)
