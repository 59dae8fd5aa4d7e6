"""Purchase orders: which are billed, and whose bills they wait for."""

from collections.abc import Iterable, Sequence
from typing import Any

from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Document
from psaltery.posting.models import Link
from psaltery.posting.policy import read_policy
from psaltery.records import psa
from psaltery.records.psa import DocumentKind

_ORDER, _BILL = DocumentKind.PURCHASE_ORDER, DocumentKind.BILL


def wanted(organisations: Iterable[Organisation]) -> bool:
    """Whether any of these organisations takes purchase orders."""
    return any(read_policy(one.settings).purchase_orders for one in organisations)


def without_orders(records: Sequence[Any]) -> Sequence[Any]:
    """The records of a page; orders are left out where nobody wants them."""
    orders = any(isinstance(one, psa.Document) and one.kind is _ORDER for one in records)
    if not orders or wanted(Organisation.objects.filter(chosen=True)):
        return records
    return [one for one in records if not (isinstance(one, psa.Document) and one.kind is _ORDER)]


def billed(organisation: Organisation, rows: Sequence[Document]) -> set[int]:
    """Those of these orders of which all was received and every bill is in the books.

    Costs no query where there are none, which is nearly always.
    """
    orders = [row for row in rows if row.kind == _ORDER and not row.balance]
    found: set[int] = set()
    for order in orders:
        bills = _bills(order.connection, order.external_id)
        ids = set(bills.values_list("pk", flat=True))
        linked = Link.objects.filter(organisation=organisation, document__in=ids)
        # One bill that is missing keeps the order open: it still stands for goods that came.
        if ids and linked.count() == len(ids):
            found.add(order.pk)
    return found


def _bills(connection: Connection, order: str) -> Any:
    """The bills of an order: their ids are its own, with a packing slip behind."""
    rows = Document.objects.filter(connection=connection, kind=_BILL, gone=False)
    # With the hyphen, or order 12 would take the bills of order 120 for its own.
    return rows.filter(external_id=order) | rows.filter(external_id__startswith=f"{order}-")


def of_bills(documents: Iterable[int]) -> list[int]:
    """The purchase orders that these bills are of."""
    bills = Document.objects.filter(pk__in=list(documents), kind=_BILL)
    found: list[int] = []
    for connection, external_id in bills.values_list("connection_id", "external_id"):
        order = external_id.partition("-")[0]
        rows = Document.objects.filter(connection=connection, kind=_ORDER, external_id=order)
        found += rows.values_list("pk", flat=True)
    return found
