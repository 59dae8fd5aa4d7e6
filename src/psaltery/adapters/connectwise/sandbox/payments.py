"""Payments and applied credit memos of an invoice, and the rules that bound them.

Which of these rules today's REST API has is not settled; `Behaviour` holds those that are in doubt.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import references
from psaltery.adapters.connectwise.sandbox.errors import not_found, refused
from psaltery.adapters.connectwise.sandbox.invoices import is_closed, open_balance
from psaltery.adapters.connectwise.sandbox.lines import attach, detach, records
from psaltery.adapters.connectwise.sandbox.world import World, wire_day, wire_time
from psaltery.adapters.sandboxing import Document

LABEL = "InvoicePayment"


def listed(world: World, invoice_id: int) -> list[Document]:
    """The payment records of an invoice."""
    world.get("invoices", invoice_id, "Invoice")
    return [_shown(world, row) for row in records(world, invoice_id, "payments")]


def one(world: World, invoice_id: int, payment_id: int) -> Document:
    """One payment record of an invoice; 404 when it is not there."""
    return _shown(world, _find(world, invoice_id, payment_id))


def create(world: World, invoice_id: int, body: Document, member: str) -> Document:
    """Record a payment, or apply a credit memo when the body has `credit`.

    Raises `ApiError` 400 for a second payment or a memo that is used up, unless switched off.
    """
    invoice = world.get("invoices", invoice_id, "Invoice")
    row = _row(world, body, member)
    _check_cardinality(world, invoice, row)
    row["amount"] = _bounded(world, invoice, row, Decimal(0))
    saved = world.add("payments", row | {"invoice": references.invoice(invoice)}, member)
    attach(world, invoice_id, "payments", saved["id"])
    if saved["credit"]:
        attach(world, saved["credit"]["id"], "applied", saved["id"])
    _refresh(world, saved, member)
    return one(world, invoice_id, saved["id"])


def replace(
    world: World, invoice_id: int, payment_id: int, body: Document, member: str
) -> Document:
    """Replace a payment record's amount and date; the memo of a credit record stays.

    Raises `ApiError` 400 as `create` does.
    """
    before = _own(world, invoice_id, payment_id)
    invoice = world.get("invoices", invoice_id)
    row = before | _row(world, body, member) | {"credit": before["credit"]}
    row["amount"] = _bounded(world, invoice, row, before["amount"])
    saved = world.save("payments", row, member)
    _refresh(world, saved, member)
    return one(world, invoice_id, payment_id)


def delete(world: World, invoice_id: int, payment_id: int, member: str) -> None:
    """Take a payment or an applied memo back."""
    row = _own(world, invoice_id, payment_id)
    detach(world, invoice_id, "payments", payment_id)
    if row["credit"]:
        detach(world, row["credit"]["id"], "applied", payment_id)
    world.remove("payments", row, member)
    _refresh(world, row, member)


def _find(world: World, invoice_id: int, payment_id: int) -> Document:
    row = world.find("payments", payment_id)
    if row is None or row["invoice"]["id"] != invoice_id:
        raise not_found(LABEL, payment_id)
    return row


def _own(world: World, invoice_id: int, payment_id: int) -> Document:
    row = _find(world, invoice_id, payment_id)
    # ConnectWise's own payment chain keeps these.
    if row["source"] == "WisePay":
        raise refused(LABEL, "InvalidObject", "WisePay payments are read-only.", "source")
    return row


def _row(world: World, body: Document, member: str) -> Document:
    amount = body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise refused(LABEL, "MissingRequiredField", "The amount field is required.", "amount")
    memo = _memo(world, body.get("credit"))
    return {
        "type": body.get("type") or ("Credit" if memo else "Payment"),
        "source": "Default",
        "credit": references.invoice(memo) if memo else None,
        "amount": Decimal(amount),
        "paymentDate": wire_day(str(body.get("paymentDate") or wire_time(world.now()))),
        "appliedBy": member,
        "paymentSyncStatus": body.get("paymentSyncStatus") or "Unapplied",
    }


def _memo(world: World, given: Any) -> Document | None:
    if not isinstance(given, dict):
        return None
    memo = world.find("invoices", given.get("id"))
    if memo is None or memo["type"] != "CreditMemo":
        raise refused(LABEL, "InvalidReference", "The credit is not a credit memo.", "credit")
    if not is_closed(memo):
        raise refused(LABEL, "InvalidObject", "A credit memo must be closed first.", "credit")
    return memo


def _check_cardinality(world: World, invoice: Document, row: Document) -> None:
    known = records(world, invoice["id"], "payments")
    if row["credit"] is None:
        if not world.behaviour.several_payments and any(r["credit"] is None for r in known):
            message = "The invoice already has a payment; change that one."
            raise refused(LABEL, "ObjectExists", message, "invoice")
    elif any(r["credit"] and r["credit"]["id"] == row["credit"]["id"] for r in known):
        raise refused(LABEL, "ObjectExists", "The credit is already applied here.", "credit")


def _bounded(world: World, invoice: Document, row: Document, before: Decimal) -> Decimal:
    """The amount as it will be kept: never more than what is open, on either side."""
    amount: Decimal = row["amount"]
    room: Decimal = invoice["balance"] + before
    # A negative invoice is paid with negative amounts, anything else with positive ones.
    if amount * invoice["total"] < 0:
        message = "The amount has the wrong sign for this invoice."
        raise refused(LABEL, "InvalidObject", message, "amount")
    if row["credit"]:
        _check_memo(world, row["credit"]["id"], amount, before)
        if abs(amount) > abs(room):
            message = f"The credit exceeds the invoice balance of {room}."
            raise refused(LABEL, "InvalidObject", message, "amount")
    if abs(amount) <= abs(room) or world.behaviour.over_balance == "accept":
        return amount
    if world.behaviour.over_balance == "cut":
        # The older SOAP call was seen to cut amounts: clients have to compare what was stored.
        return room
    raise refused(LABEL, "InvalidObject", f"The amount exceeds the balance of {room}.", "amount")


def _check_memo(world: World, memo_id: int, amount: Decimal, before: Decimal) -> None:
    # A memo's balance is negative; what this record already uses of it can be used again.
    usable: Decimal = before - world.get("invoices", memo_id)["balance"]
    if amount > usable:
        message = f"The credit memo has only {usable} left to apply."
        raise refused(LABEL, "InvalidObject", message, "amount")


def _refresh(world: World, row: Document, member: str) -> None:
    # Both sides: a memo that is used has less left.
    touched = [row["invoice"]["id"], *([row["credit"]["id"]] if row["credit"] else [])]
    for invoice_id in touched:
        invoice = world.get("invoices", invoice_id)
        world.save("invoices", invoice | open_balance(world, invoice), member)


def _shown(world: World, row: Document) -> Document:
    invoice = world.get("invoices", row["invoice"]["id"])
    return row | {
        "balance": Decimal("0.00"),
        "invoiceBalance": invoice["balance"],
        "invoiceTotal": invoice["total"],
    }
