"""Marking documents as posted in ConnectWise's Accounting Interface, and undoing that.

A batch marks GL entries as posted. There is one batch a document, because a batch can only be
undone whole. https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/Accountings
"""

from collections.abc import Iterator, Sequence
from typing import Any

from psaltery.adapters.connectwise.client import Client
from psaltery.adapters.connectwise.facts import export_request
from psaltery.adapters.connectwise.failures import NOT_FOUND, PERMISSION, has_code
from psaltery.adapters.connectwise.procurement import order_of
from psaltery.adapters.connectwise.reading import text
from psaltery.adapters.connectwise.wire import PurchaseOrder
from psaltery.adapters.connectwise.wire_accounting import (
    ExportTransaction,
    GLExport,
    UnpostedProcurement,
)
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.records.drafts import Problem
from psaltery.records.psa import DocumentKind

IDENTIFIER_LENGTH = 50


def mark(client: Client, kind: DocumentKind, external_id: str, identifier: str) -> str:
    """Put all GL entries of a document into a batch of this identifier; the batch's id.

    A batch of this identifier that exists is taken for ours. "" where the site keeps no such mark:
    the role lacks the Accounting Interface, or the document has no GL entries (no mapping, or a
    company without an account number).
    """
    try:
        return _mark(client, kind, external_id, identifier[:IDENTIFIER_LENGTH])
    except BadSettings as denied:
        if denied.which.startswith(PERMISSION):
            return ""
        raise


def unmark(client: Client, batch_id: str) -> None:
    """Delete the batch; its records are unposted again. One that is gone is no failure."""
    try:
        client.delete_batch(batch_id)
    except Rejected as refused:
        if not has_code(refused, NOT_FOUND):
            raise


def _mark(client: Client, kind: DocumentKind, external_id: str, identifier: str) -> str:
    # Looked for first: the answer to an earlier attempt may have been lost.
    if known := client.batches(identifier):
        return str(known[0].id)
    request = _request(client, kind, external_id, identifier)
    if request is None:
        return ""
    ids = _entry_ids(client, client.export(request), kind, external_id)
    if not ids:
        return ""
    flags = {key: value for key, value in request.items() if key.startswith("export")}
    # An export knows payments, a batch does not.
    flags.pop("exportPaymentsFlag")
    client.create_batch(
        {"batchIdentifier": identifier, **flags, "processedRecordIds": sorted(set(ids))}
    )
    # The answer is an export without the batch's id, so that it is asked for by our identifier.
    made = client.batches(identifier)
    return str(made[0].id) if made else ""


def _request(
    client: Client, kind: DocumentKind, external_id: str, identifier: str
) -> dict[str, Any] | None:
    if kind is DocumentKind.BILL:
        products = _unposted_products(client, external_id)
        return export_request(products=products, identifier=identifier) if products else None
    if kind is DocumentKind.EXPENSE:
        return export_request(expenses=[int(external_id)], identifier=identifier)
    return export_request(invoices=[int(external_id)], identifier=identifier)


def _unposted_products(client: Client, external_id: str) -> Sequence[str]:
    order_id, _ = order_of(external_id)
    rows = client.every(
        "/finance/accounting/unpostedprocurement",
        UnpostedProcurement,
        conditions=f"purchaseOrder/id={order_id}",
    )
    return [text(row.unposted_product_id) for row in rows if text(row.unposted_product_id)]


def _entry_ids(
    client: Client, exported: GLExport, kind: DocumentKind, external_id: str
) -> list[int]:
    """The ids that a batch must hold: the ids of the entries, and of every detail row.

    Only of this document, even if the site exported more than it was asked for: a batch of too
    many would mark documents that were never posted.
    """
    if kind is DocumentKind.BILL:
        order_id, slip = order_of(external_id)
        return list(_purchase_ids(exported, client.purchase_order(order_id), slip))
    if kind is DocumentKind.EXPENSE:
        return list(_expense_ids(exported))
    return list(_invoice_ids(_only(client, exported.transactions or [], external_id)))


def _only(
    client: Client, found: Sequence[ExportTransaction], external_id: str
) -> Sequence[ExportTransaction]:
    if len(found) < 2:
        return found
    number = client.invoice(external_id).invoice_number
    return [transaction for transaction in found if transaction.document_number == number]


def _invoice_ids(found: Sequence[ExportTransaction]) -> Iterator[int]:
    for transaction in found:
        written = text(transaction.gl_entry_ids).split(",")
        # All ids of a document, those of its entries and of every detail row: with some of them
        # missing the site does not count it as posted.
        yield from (int(one) for one in written if one.strip().isdigit())
        yield from (row.id for row in transaction.detail or [] if row.id)


def _purchase_ids(exported: GLExport, order: PurchaseOrder, slip: str) -> Iterator[int]:
    for purchase in exported.purchase_transactions or []:
        numbered = text(purchase.document_number) == text(order.po_number)
        # Several slips of an order are several bills, each with a batch of its own.
        if numbered and text(purchase.packing_slip) == slip:
            rows = (*(purchase.purchase_detail or []), *(purchase.purchase_detail_tax or []))
            yield from (row.id for row in rows if row.id)


def _expense_ids(exported: GLExport) -> Iterator[int]:
    expenses, bills = exported.expenses or [], exported.expense_bills or []
    # Nothing tells for sure which one was asked for, and a wrong mark is worse than none.
    if len(expenses) + len(bills) > 1:
        sentence = "ConnectWise exported several expenses where one was asked for; none is marked."
        raise Rejected([Problem(code="psa_export_ambiguous", message=sentence)])
    yield from (row.id for row in expenses if row.id)
    for bill in bills:
        for row in bill.detail or []:
            yield from row.id or []
