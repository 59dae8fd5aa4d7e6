"""Reading invoices whole: head, parts and facts, stable or not at all."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.billing_lines import Parts
from psaltery.adapters.connectwise.client import Client
from psaltery.adapters.connectwise.conditions import slices
from psaltery.adapters.connectwise.documents import document, is_closed, unexplained
from psaltery.adapters.connectwise.facts import FactFinder
from psaltery.adapters.connectwise.failures import NOT_FOUND, has_code
from psaltery.adapters.errors import Rejected, TryLater
from psaltery.records.psa import Document

PATH = "/finance/invoices"
# Two to compare, and one more for a change that came between them.
_READS = 3
UNSTABLE = "unstable"  # TryLater.limit of an invoice that keeps changing
T = TypeVar("T", wire.ProductItem, wire.TimeEntry, wire.ExpenseEntry)


class Unstable(msgspec.Struct, frozen=True):
    """An invoice that kept changing while it was read."""

    invoice_id: int


class InvoiceReader:
    """Reads invoices of one site."""

    def __init__(self, client: Client, finder: FactFinder) -> None:
        self._client = client
        self._finder = finder

    def many(self, heads: Sequence[wire.Invoice]) -> list[Document | Unstable]:
        """The closed ones of `heads` with their lines.

        Three calls read the parts of all of them; an invoice that does not tie then is read again
        by itself, because the likely cause is that it changed in between.
        """
        closed = self._closed(heads)
        if not closed:
            return []
        parts = self._parts([head.id for head in closed])
        facts = self._finder.facts(closed, parts.values())
        found = [(head, document(head, parts[head.id], facts)) for head in closed]
        # One that ties but changed since its head was read has a newer lastUpdated: the next run
        # reads it again.
        return [one if not unexplained(one) else self._again(head) for head, one in found]

    def one(self, external_id: str) -> Document | None:
        """One invoice read until it is stable; None when it is gone. Raises TryLater when it
        changes all the time."""
        try:
            return self._stable(external_id)
        except Rejected as refused:
            if has_code(refused, NOT_FOUND):
                return None
            raise

    def _again(self, head: wire.Invoice) -> Document | Unstable:
        try:
            return self.one(str(head.id)) or Unstable(head.id)
        except TryLater as later:
            if later.limit == UNSTABLE:
                return Unstable(head.id)
            raise

    def _stable(self, external_id: str) -> Document:
        """E50: the site hands out invoices that are still being put together. One read is enough
        when the lines explain the subtotal; otherwise two reads must agree."""
        before: Document | None = None
        for _ in range(_READS):
            found = self._whole(external_id)
            if not unexplained(found) or found == before:
                return found
            before = found
        raise TryLater(
            f"ConnectWise invoice {external_id} changes while it is read; it is read again later.",
            limit=UNSTABLE,
        )

    def _whole(self, external_id: str) -> Document:
        info = self._client.invoice_info(external_id)
        # From the same answer where it can be: head and parts are then of one moment.
        head = info.invoice or self._client.invoice(external_id)
        parts = _parts_of(info)
        facts = self._finder.facts([head], [parts])
        return document(head, parts, facts, closed=bool(self._closed([head])))

    def _closed(self, heads: Sequence[wire.Invoice]) -> list[wire.Invoice]:
        statuses: Iterable[int] = ()
        if any(head.status and head.status.is_closed is None for head in heads):
            statuses = self._finder.closed_statuses()
        return [head for head in heads if is_closed(head, statuses)]

    def _parts(self, ids: Sequence[int]) -> dict[int, Parts]:
        try:
            return self._listed_parts(ids)
        except Rejected:
            # A site that can't filter by a list of invoices is asked for each.
            return {one: _parts_of(self._client.invoice_info(str(one))) for one in ids}

    def _listed_parts(self, ids: Sequence[int]) -> dict[int, Parts]:
        products = self._of_invoices("/procurement/products", wire.ProductItem, ids)
        time = self._of_invoices("/time/entries", wire.TimeEntry, ids)
        expenses = self._of_invoices("/expense/entries", wire.ExpenseEntry, ids)
        return {
            one: Parts(products=products[one], time=time[one], expenses=expenses[one])
            for one in ids
        }

    def _of_invoices(
        self, path: str, type_: type[T], ids: Sequence[int]
    ) -> defaultdict[int | None, list[T]]:
        found: defaultdict[int | None, list[T]] = defaultdict(list)
        for some in slices(ids):
            for row in self._client.by_ids(path, type_, some, field="invoice/id"):
                found[row.invoice.id if row.invoice else None].append(row)
        return found


def _parts_of(info: wire.InvoiceInfo) -> Parts:
    return Parts(
        products=info.products or [],
        time=info.time_entries or [],
        expenses=info.expenses or [],
    )
