"""`/_control/…`: what a person would do in ConnectWise's own screens, for tests and the demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import msgspec
from werkzeug.wrappers import Request, Response

from psaltery.adapters.connectwise.sandbox import billing, invoices, ledger, payments, purchasing
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.errors import ApiError, not_found
from psaltery.adapters.connectwise.sandbox.lines import PARTS, detach, records
from psaltery.adapters.connectwise.sandbox.resources import MODULES
from psaltery.adapters.connectwise.sandbox.world import Behaviour, World
from psaltery.adapters.sandboxing import Document, decode, encode, json_response

Action = Callable[[World, Document], Any]
PERSON = "hmoreau"


def answer(world: World, request: Request) -> Response:
    """The answer to a control address. GET of `behaviour` and `permissions` shows what is set."""
    name = request.path.removeprefix("/_control/").strip("/")
    action = ACTIONS.get(name)
    if action is None:
        raise ApiError(404, "NotFound", f"There is no control called {name}.")
    body = decode(request.data) if request.data else {}
    with world.store.transaction():
        return json_response(action(world, body))


def _create_invoice(world: World, body: Document) -> Document:
    return invoices.create(world, msgspec.convert(body, NewInvoice))


def _close_invoice(world: World, body: Document) -> Document:
    return invoices.close(world, _invoice(world, body)["id"])


def _edit_invoice(world: World, body: Document) -> Document:
    """Reopen, change and close an invoice as a person does.

    `fields` replaces header fields, `lines` all lines, `stale` leaves the old GL entries, as an
    edit does that forgets to flip the status.
    """
    # Stale entries are what a shop gets that edits a closed invoice and forgets "GL Reload".
    invoice = _invoice(world, body)
    was_closed, stale = invoices.is_closed(invoice), bool(body.get("stale"))
    if was_closed and not stale:
        invoice = invoices.reopen(world, invoice["id"])
    invoice = world.save("invoices", invoice | body.get("fields", {}))
    if "lines" in body:
        _replace_lines(world, invoice, body["lines"])
    if was_closed and not stale:
        return invoices.close(world, invoice["id"])
    return invoices.recalculate(world, invoice["id"])


def _replace_lines(world: World, invoice: Document, rows: list[Document]) -> None:
    lines = msgspec.convert(rows, list[NewLine])
    for line in lines:
        billing.check_line(world, line)
    for name in PARTS:
        for record in records(world, invoice["id"], name):
            detach(world, invoice["id"], name, record["id"])
            world.remove(name, record)
    for line in lines:
        billing.add_line(world, invoice, line, PERSON)


def _drop_gl_entries(world: World, body: Document) -> Document:
    """Lose an invoice's GL entries: it no longer shows as unposted until it is closed again."""
    invoice = _invoice(world, body)
    ledger.drop(world, ledger.key("invoice", invoice["id"]))
    return invoice


def _invoice(world: World, body: Document) -> Document:
    if "id" in body:
        return world.get("invoices", body["id"], "Invoice")
    for invoice in world.all("invoices"):
        if invoice["invoiceNumber"] == body.get("number"):
            return invoice
    raise not_found("Invoice", body.get("number"))


def _enter_payment(world: World, body: Document) -> Document:
    """A person records money on an invoice: `{"number" or "id", "amount", "paymentDate"}`."""
    return payments.create(world, _invoice(world, body)["id"], body, PERSON)


def _change_payment(world: World, body: Document) -> Document:
    """Change what a person recorded: `{"number" or "id", "payment", "amount", …}`."""
    return payments.replace(world, _invoice(world, body)["id"], body["payment"], body, PERSON)


def _remove_payment(world: World, body: Document) -> None:
    payments.delete(world, _invoice(world, body)["id"], body["payment"], PERSON)


def _receive(world: World, body: Document) -> Document:
    return purchasing.receive(
        world,
        body["id"],
        body.get("packing_slip", ""),
        quantities={int(number): came for number, came in body.get("lines", {}).items()},
        vendor_invoice=body.get("vendor_invoice", ""),
    )


def _close_batch(world: World, body: Document) -> Document:
    return world.change("batches", body["id"], closedFlag=True)


def _permissions(world: World, body: Document) -> list[Document]:
    """Set levels of one module for one API key: `{"public_key", "module", "inquire": false, …}`."""
    if body:
        if body["module"] not in MODULES:
            raise ApiError(400, "InvalidObject", f"{body['module']} is not one of {MODULES}.")
        name = f"{body['public_key']}:{body['module']}"
        world.store.put("permissions", name, body)
    return world.all("permissions")


def _behaviour(world: World, body: Document) -> Document:
    """Set switches of `Behaviour` by name; answers all of them."""
    known = {field.name for field in fields(Behaviour)}
    if unknown := set(body) - known:
        raise ApiError(400, "InvalidObject", f"Unknown: {sorted(unknown)}; known: {sorted(known)}.")
    wanted = msgspec.json.decode(encode(asdict(world.behaviour) | body), type=Behaviour)
    for name in known:
        setattr(world.behaviour, name, getattr(wanted, name))
    return asdict(world.behaviour)


def _change(world: World, body: Document) -> Document:
    """Change fields of any record as a person would: `{"collection", "id", "fields"}`."""
    return world.change(body["collection"], body["id"], **body["fields"])


ACTIONS: dict[str, Action] = {
    "create_invoice": _create_invoice,
    "close_invoice": _close_invoice,
    "edit_invoice": _edit_invoice,
    "drop_gl_entries": _drop_gl_entries,
    "enter_payment": _enter_payment,
    "change_payment": _change_payment,
    "remove_payment": _remove_payment,
    "receive_purchase_order": _receive,
    "close_batch": _close_batch,
    "permissions": _permissions,
    "behaviour": _behaviour,
    "change": _change,
}
