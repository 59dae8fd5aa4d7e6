"""The addresses that are no plain lists: info, payments, the accounting interface, searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from psaltery.adapters.connectwise.sandbox import (
    accounting,
    bodies,
    crud,
    export,
    invoices,
    payments,
    resources,
)
from psaltery.adapters.connectwise.sandbox.errors import ApiError
from psaltery.adapters.connectwise.sandbox.lines import PARTS, records
from psaltery.adapters.connectwise.sandbox.pricing import ZERO
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document, decode, json_response


@dataclass(frozen=True)
class Call:
    """One authenticated request: what is asked, and on whose behalf."""

    world: World
    request: Request
    member: str
    parent: int = 0
    record: int = 0

    @property
    def body(self) -> Any:
        """The JSON of the request. Raises 415 when it says that it is something else."""
        kind = self.request.mimetype
        if kind and "json" not in kind:
            raise ApiError(415, "UnsupportedMediaType", f"{kind} is not supported.")
        return decode(self.request.data)

    @property
    def fields(self) -> Document:
        """The body, which has to be an object."""
        body = self.body
        if not isinstance(body, dict):
            raise ApiError(400, "InvalidObject", "The body must be a JSON object.")
        return body

    @property
    def lacks_rows(self) -> bool:
        """Whether the fault `missing_rows` is played: lists come out one row short.

        So a client can be tried against sites that hand out invoices still being put together.
        """
        fault = self.request.environ.get("sandbox.fault")
        return fault is not None and fault.kind == "missing_rows"


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Endpoint:
    """One address and method outside the plain lists, and the permission that it needs."""

    method: str
    path: str
    module: str
    verb: str
    handle: Handler


def system_info(call: Call) -> Response:
    """`GET /system/info`."""
    return json_response(
        {
            "version": "v2025.1.99999",
            "isCloud": True,
            "serverTimeZone": "AUS Eastern Standard Time",
            "licenseBits": [],
            "cloudRegion": "AU",
            "maxWorkFlowRecordsAllowed": 500,
        }
    )


def invoice_info(call: Call) -> Response:
    """`GET /finance/info/invoice/{id}`: an invoice with everything that it bills."""
    invoice = call.world.get("invoices", call.record, "Invoice")
    billed = {name: records(call.world, invoice["id"], name) for name in PARTS}
    if call.lacks_rows:
        billed = {name: rows[:-1] for name, rows in billed.items()}
    return json_response(
        {
            "id": invoice["id"],
            "invoice": shown_invoice(call.world, invoice),
            **billed,
            "agreementBillingInfo": _agreement_info(call.world, invoice),
            "bundledComponentsInfo": [],
            "_info": invoice["_info"],
        }
    )


def _agreement_info(world: World, invoice: Document) -> list[Document]:
    agreement = world.find("agreements", (invoice.get("agreement") or {}).get("id"))
    if agreement is None:
        return []
    return [
        {
            "agreementRecId": agreement["id"],
            "agreementName": agreement["name"],
            "agreementType": agreement["type"]["name"],
            "agreementAmount": invoice["agreementAmount"],
            "parentRecId": (agreement.get("parentAgreement") or {}).get("id"),
        }
    ]


MONEY = ("serviceTotal", "expenseTotal", "productTotal", "agreementAmount", "subtotal", "salesTax")
MONEY_OF_MEMO = (*MONEY, "total", "payments", "credits", "balance")


def shown_invoice(world: World, invoice: Document) -> Document:
    """An invoice as the API shows it; a memo's signs turned when that is asked for."""
    if invoice["type"] != "CreditMemo" or not world.behaviour.positive_credit_memos:
        return invoice
    return invoice | {name: -(invoice[name] or ZERO) for name in MONEY_OF_MEMO}


def post_payment(call: Call) -> Response:
    """`POST /finance/invoices/{id}/payments`."""
    return json_response(payments.create(call.world, call.parent, call.fields, call.member), 201)


def put_payment(call: Call) -> Response:
    """`PUT /finance/invoices/{id}/payments/{id}`."""
    return json_response(
        payments.replace(call.world, call.parent, call.record, call.fields, call.member)
    )


def patch_payment(call: Call) -> Response:
    """`PATCH /finance/invoices/{id}/payments/{id}`."""
    before = payments.one(call.world, call.parent, call.record)
    row = bodies.patched(before, call.body, payments.LABEL)
    return json_response(payments.replace(call.world, call.parent, call.record, row, call.member))


def delete_payment(call: Call) -> Response:
    """`DELETE /finance/invoices/{id}/payments/{id}`."""
    payments.delete(call.world, call.parent, call.record, call.member)
    return Response(status=204)


def change_closed_invoice(call: Call) -> Response:
    """`PUT, PATCH /finance/closedInvoices/{id}`: the status and the internal notes, only those."""
    world, invoice = call.world, call.world.get("invoices", call.record, "Invoice")
    body = call.body
    if call.request.method == "PATCH":
        shown = {name: invoice.get(name) for name in ("status", "internalNotes")}
        body = bodies.patched(shown, body, "ClosedInvoice")
    given = bodies.checked(world, "ClosedInvoice", "ClosedInvoice", body)
    notes = given.get("internalNotes", invoice["internalNotes"])
    # The only door to a closed invoice: PATCH of the invoice itself is refused.
    changed = _flip(world, invoice, given.get("status") or invoice["status"], call.member)
    changed = world.save("invoices", changed | {"internalNotes": notes}, call.member)
    return json_response(
        {name: changed[name] for name in ("id", "status", "internalNotes", "_info")}
    )


def _flip(world: World, invoice: Document, status: Document, member: str) -> Document:
    if invoices.is_closed(invoice) and not status["isClosed"]:
        invoice = invoices.reopen(world, invoice["id"], member)
    elif status["isClosed"] and not invoices.is_closed(invoice):
        return invoices.close(world, invoice["id"], member) | {"status": status}
    return invoice | {"status": status}


def export_preview(call: Call) -> Response:
    """`POST /finance/accounting/export`: a preview; nothing is posted."""
    return json_response(export.preview(call.world, call.fields))


def create_batch(call: Call) -> Response:
    """`POST /finance/accounting/batches`; the answer does not tell the batch's id."""
    return json_response(accounting.create_batch(call.world, call.fields, call.member), 201)


def export_batch(call: Call) -> Response:
    """`POST /finance/accounting/batches/{id}/export`."""
    return json_response(accounting.export_batch(call.world, call.record))


def search_tickets(call: Call) -> Response:
    """`POST /service/tickets/search`: conditions in the body, for those too long for an address."""
    given = {name: str(value) for name, value in call.fields.items() if value is not None}
    query = {**call.request.args.to_dict(), **given}
    resource = next(row for row in resources.RESOURCES if row.path == "/service/tickets")
    page = crud.page(call.world, resource, 0, query, call.request.base_url, forward_only=False)
    return json_response(page.rows)


def bill_agreement(call: Call) -> Response:
    """`POST /finance/agreements/{id}/invoice`: bills the agreement; answers the invoice's id."""
    agreement = call.world.get("agreements", call.record, "Agreement")
    return json_response(invoices.bill(call.world, agreement, call.member)["id"])


def _payment(method: str, path: str, verb: str, handle: Handler) -> Endpoint:
    address = f"/finance/invoices/{{parent}}/payments{path}"
    return Endpoint(method, address, resources.INVOICING, verb, handle)


_ACCOUNTING = resources.ACCOUNTING
ENDPOINTS = (
    Endpoint("GET", "/system/info", "", "inquire", system_info),
    Endpoint("GET", "/finance/info/invoice/{record}", resources.INVOICING, "inquire", invoice_info),
    _payment("POST", "", "add", post_payment),
    _payment("PUT", "/{record}", "edit", put_payment),
    _payment("PATCH", "/{record}", "edit", patch_payment),
    _payment("DELETE", "/{record}", "delete", delete_payment),
    *(
        Endpoint(
            method,
            "/finance/closedInvoices/{record}",
            resources.INVOICING,
            "edit",
            change_closed_invoice,
        )
        for method in ("PUT", "PATCH")
    ),
    Endpoint("POST", "/finance/accounting/export", _ACCOUNTING, "inquire", export_preview),
    Endpoint("POST", "/finance/accounting/batches", _ACCOUNTING, "add", create_batch),
    Endpoint(
        "POST", "/finance/accounting/batches/{record}/export", _ACCOUNTING, "inquire", export_batch
    ),
    Endpoint("POST", "/service/tickets/search", resources.TICKETS, "inquire", search_tickets),
    Endpoint(
        "POST", "/finance/agreements/{record}/invoice", resources.AGREEMENTS, "edit", bill_agreement
    ),
)
