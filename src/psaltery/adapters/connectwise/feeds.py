"""The feeds of the manifest: pages of records since a cursor."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from psaltery.adapters.connectwise import cursors, procurement, translate, wire
from psaltery.adapters.connectwise.client import PAGE_SIZE, Client, Rows
from psaltery.adapters.connectwise.conditions import Dates
from psaltery.adapters.connectwise.cursors import Cursor
from psaltery.adapters.connectwise.facts import FactFinder
from psaltery.adapters.connectwise.invoices import PATH as INVOICES
from psaltery.adapters.connectwise.invoices import InvoiceReader, Unstable
from psaltery.adapters.connectwise.lookups import LISTS, member_company
from psaltery.adapters.contract import Page
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.records.psa import Document

R = TypeVar("R", bound=wire.Record)
DOCUMENTS = 50  # documents a page: each page is one transaction of the hub, and bounded in calls


class Plain(msgspec.Struct, frozen=True):
    """A feed whose rows are its records."""

    path: str
    type: type[wire.Record]
    translate: Callable[[Any], object]


# https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/Companies, …/Contacts,
# …/Agreements, …/Tickets (service tickets; projects have their own list), …/TimeEntries
PLAIN = {
    "companies": Plain("/company/companies", wire.Company, translate.company),
    "contacts": Plain("/company/contacts", wire.Contact, translate.contact),
    "agreements": Plain("/finance/agreements", wire.Agreement, translate.agreement),
    "tickets": Plain("/service/tickets", wire.Ticket, translate.ticket),
    "time_entries": Plain("/time/entries", wire.TimeEntry, translate.time_entry),
}


class Feeds:
    """Pulls the feeds of one site. Each pull makes a bounded number of calls."""

    def __init__(self, client: Client, finder: FactFinder, reader: InvoiceReader) -> None:
        self._client = client
        self._finder = finder
        self._reader = reader
        self._special: dict[str, Callable[[Cursor], Page[Any]]] = {
            "invoices": self._invoices,
            "additions": self._additions,
            "purchase_orders": self._purchase_orders,
            "expenses": self._expenses,
            "lookups": self._lookups,
        }

    def pull(self, feed: str, text: str | None) -> Page[Any]:
        """The next page of a feed. Raises BadSettings for a feed that doesn't exist."""
        cursor = cursors.read(text)
        if feed in PLAIN:
            return self._plain(PLAIN[feed], cursor)
        if feed in self._special:
            return self._special[feed](cursor)
        raise BadSettings(f"ConnectWise has no feed {feed!r}.", which="feed")

    def _plain(self, feed: Plain, cursor: Cursor) -> Page[Any]:
        rows, cursor = self._changed(feed.path, feed.type, cursor, PAGE_SIZE)
        return _page([feed.translate(row) for row in rows.rows], rows, cursor)

    def _invoices(self, cursor: Cursor) -> Page[Document]:
        rows, cursor = self._changed(INVOICES, wire.Invoice, cursor, DOCUMENTS)
        # Open ones come too: no condition on the status is documented. An invoice that is reopened
        # for an edit is silent until it is closed again.
        heads = list(rows.rows)
        if cursor.again and not cursor.after:
            known = {head.id for head in heads}
            missing = [one for one in cursor.again if one not in known]
            heads += self._client.by_ids(INVOICES, wire.Invoice, missing)
            cursor = msgspec.structs.replace(cursor, again=())
        read = self._reader.many(heads)
        unstable = tuple(one.invoice_id for one in read if isinstance(one, Unstable))
        # The run goes on without them; they are the first thing that the next run reads.
        cursor = msgspec.structs.replace(cursor, again=(*cursor.again, *unstable))
        return _page([one for one in read if isinstance(one, Document)], rows, cursor)

    def _additions(self, cursor: Cursor) -> Page[Any]:
        rows, cursor = self._changed("/finance/agreements", wire.Id, cursor, DOCUMENTS, count=False)
        # There is no list of all additions, and whether one that changes touches its agreement is
        # not documented: the full pass finds what this misses.
        found = [
            translate.addition(addition, row.id)
            for row in rows.rows
            for addition in self._client.every(
                f"/finance/agreements/{row.id}/additions", wire.Addition
            )
        ]
        return _page(found, rows, cursor)

    def _purchase_orders(self, cursor: Cursor) -> Page[Document]:
        path = "/procurement/purchaseorders"
        rows, cursor = self._changed(path, wire.PurchaseOrder, cursor, DOCUMENTS, count=False)
        found = [document for order in rows.rows for document in self.of_order(order)]
        return _page(found, rows, cursor)

    def of_order(self, order: wire.PurchaseOrder) -> list[Document]:
        """The bills of what was received of one order, and the order itself."""
        path = f"/procurement/purchaseorders/{order.id}/lineitems"
        lines = list(self._client.every(path, wire.PurchaseOrderLine))
        known = self._finder.of_orders(lines)
        whole = procurement.purchase_order(order, lines, known)
        return [*procurement.bills(order, lines, known), *([whole] if whole.lines else [])]

    def _expenses(self, cursor: Cursor) -> Page[Document]:
        path = "/expense/entries"
        rows, cursor = self._changed(path, wire.ExpenseEntry, cursor, PAGE_SIZE)
        # Before approval an expense may still change or be rejected.
        approved = [row for row in rows.rows if procurement.is_approved(row)]
        locations = self._finder.locations() if approved else {}
        return _page([procurement.expense(row, locations) for row in approved], rows, cursor)

    def _lookups(self, cursor: Cursor) -> Page[Any]:
        """One page of one list, members as companies too: expenses are owed to them. The lists
        are small and have no reliable change date, so every run reads them whole."""
        chosen = LISTS[cursor.step]
        rows = self._client.page(chosen.path, chosen.type, after=cursor.after)
        found: list[Any] = [chosen.translate(chosen.name, row) for row in rows.rows]
        if chosen.name == "members":
            found += [member_company(row) for row in rows.rows]
        step = cursor.step if rows.more else cursor.step + 1
        more = step < len(LISTS)
        following = Cursor(step=step, after=rows.last if rows.more else 0) if more else Cursor()
        return Page(records=tuple(found), cursor=cursors.written(following), more=more, full=True)

    def _changed(
        self, path: str, type_: type[R], cursor: Cursor, size: int, *, count: bool = True
    ) -> tuple[Rows[R], Cursor]:
        """The next rows of a run, and the cursor with what was learned."""
        try:
            rows = self._rows(path, type_, cursor, size)
        except Rejected:
            if cursor.full or cursor.dates is Dates.DAY:
                raise
            # Whatever the words of the refusal, the condition is what differs from a full pass that
            # worked. Some on-premises sites refuse a time of day in conditions; see README.md.
            cursor = msgspec.structs.replace(cursor, dates=Dates.DAY)
            rows = self._rows(path, type_, cursor, size)
        if count and cursor.full and not cursor.after:
            total = self._client.count(path) if rows.more else len(rows.rows)
            cursor = msgspec.structs.replace(cursor, total=total)
        return rows, cursor

    def _rows(self, path: str, type_: type[R], cursor: Cursor, size: int) -> Rows[R]:
        return self._client.page(
            path, type_, conditions=cursor.conditions, after=cursor.after, size=size
        )


def _page(records: Sequence[Any], rows: Rows[Any], cursor: Cursor) -> Page[Any]:
    following = cursors.following(cursor, last=rows.last, more=rows.more, at=rows.at)
    return Page(
        records=tuple(records),
        cursor=cursors.written(following),
        more=rows.more,
        total=cursor.total,
        full=cursor.full,
    )
