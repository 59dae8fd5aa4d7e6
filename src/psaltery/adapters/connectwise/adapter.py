"""ConnectWise PSA as the hub sees it: the `Psa` Protocol of contract.py, and callbacks."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from psaltery.adapters.connectwise import posted, probe, procurement, translate, wire
from psaltery.adapters.connectwise.client import Client
from psaltery.adapters.connectwise.documents import open_balance
from psaltery.adapters.connectwise.facts import FactFinder
from psaltery.adapters.connectwise.failures import NOT_FOUND, has_code
from psaltery.adapters.connectwise.feeds import Feeds
from psaltery.adapters.connectwise.invoices import InvoiceReader
from psaltery.adapters.connectwise.site import record_address
from psaltery.adapters.contract import Page
from psaltery.adapters.errors import Rejected
from psaltery.adapters.http import Caller
from psaltery.records.psa import Document, DocumentKind, Permission, PsaPayment

# What ConnectWise's client calls the windows of records. ServiceFV and CompanyFV are seen in use;
# the others follow their pattern.
_WINDOWS = {
    "invoice": "InvoiceFV",
    "credit_memo": "InvoiceFV",
    "bill": "PurchaseOrderFV",
    "purchase_order": "PurchaseOrderFV",
    "expense": "ExpenseFV",
    "company": "CompanyFV",
    "contact": "ContactFV",
    "agreement": "AgreementFV",
    "ticket": "ServiceFV",
}


class ConnectWise:
    """One site. Holds nothing but its caller and what it looked up in this life."""

    def __init__(self, fields: Mapping[str, str], caller: Caller) -> None:
        self._fields = fields
        self._client = Client(caller, fields)
        finder = FactFinder(self._client, gl_coding=fields.get("gl_coding") == "yes")
        # One finder for all: its look-ups are then made once for invoices, orders and expenses.
        self._finder = finder
        self._reader = InvoiceReader(self._client, finder)
        self._feeds = Feeds(self._client, finder, self._reader)

    def probe(self) -> tuple[Permission, ...]:
        """Try each permission that the product needs; one entry each, granted or not."""
        return probe.permissions(self._client)

    def pull(self, feed: str, cursor: str | None) -> Page[Any]:
        """The next page of a feed of the manifest; companies → Company, contacts → Contact,
        agreements → Agreement, additions → Addition, tickets → Ticket, time_entries → TimeEntry,
        invoices, purchase_orders, expenses → Document, lookups → Lookup."""
        return self._feeds.pull(feed, cursor)

    def document(self, kind: DocumentKind, external_id: str) -> Document | None:
        """One document with its lines, read until it is stable (E50); None when it is gone.

        An invoice that was opened again comes back with `closed` false.
        """
        if kind in (DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO):
            return self._reader.one(external_id)
        try:
            if kind in (DocumentKind.BILL, DocumentKind.PURCHASE_ORDER):
                return self._of_order(kind, external_id)
            entry = self._client.expense(external_id)
        except Rejected as refused:
            if has_code(refused, NOT_FOUND):
                return None
            raise
        return procurement.expense(entry, self._finder.locations())

    def _of_order(self, kind: DocumentKind, external_id: str) -> Document | None:
        order_id, _ = procurement.order_of(external_id)
        for found in self._feeds.of_order(self._client.purchase_order(order_id)):
            if (found.kind, found.external_id) == (kind, external_id):
                return found
        return None

    # -- payments ------------------------------------------------------------------------------

    def payments(self, document_id: str) -> tuple[PsaPayment, ...]:
        """All payment records of an invoice, applied credit memos included (`credit_id`)."""
        found = self._client.payments(document_id)
        return tuple(translate.payment(one, document_id) for one in found)

    def create_payment(
        self, document_id: str, amount: Decimal, paid_on: date, note: str
    ) -> PsaPayment:
        """A new payment record as ConnectWise stored it; it may have cut the amount to the balance,
        so compare. `note` has no place in ConnectWise's model and is not sent.

        Raises TryLater(uncertain=True) when the answer was lost: look with `payments` then. Raises
        Rejected where the site takes one record an invoice and there is one: update that.
        """
        # Invoice, amount and date are known to be enough; the values of `type` are documented
        # nowhere.
        body = {"invoice": {"id": int(document_id)}, **translate.money_body(amount, paid_on)}
        return translate.payment(self._client.create_payment(document_id, body), document_id)

    def apply_credit(
        self, document_id: str, credit_id: str, amount: Decimal, applied_on: date
    ) -> PsaPayment:
        """Apply a credit memo to an invoice. ConnectWise refuses more than the memo has left."""
        body = {
            "invoice": {"id": int(document_id)},
            "credit": {"id": int(credit_id)},
            **translate.money_body(amount, applied_on),
        }
        return translate.payment(self._client.create_payment(document_id, body), document_id)

    def update_payment(self, payment: PsaPayment, amount: Decimal, paid_on: date) -> PsaPayment:
        """Change amount and date of a record; safe to repeat."""
        changed = self._client.patch_payment(
            payment.document_id, payment.external_id, translate.money_body(amount, paid_on)
        )
        return translate.payment(changed, payment.document_id)

    def delete_payment(self, payment: PsaPayment) -> None:
        """Remove a record; one that is gone already is no failure."""
        try:
            self._client.delete_payment(payment.document_id, payment.external_id)
        except Rejected as refused:
            if not has_code(refused, NOT_FOUND):
                raise

    def balance(self, document_id: str) -> Decimal:
        """The open balance as ConnectWise computes it now; for a credit memo what is left of it."""
        return open_balance(self._client.invoice(document_id))

    # -- posted --------------------------------------------------------------------------------

    def mark_posted(self, kind: DocumentKind, external_id: str, identifier: str) -> str:
        """Mark as exported under our identifier, idempotently; the batch's id, or "" when
        ConnectWise keeps no such mark for it. See posted.py."""
        if kind is DocumentKind.PURCHASE_ORDER:
            return ""  # the export knows what was received, not what was ordered
        return posted.mark(self._client, kind, external_id, identifier)

    def unmark_posted(self, batch_id: str) -> None:
        """Delete the batch. Raises Rejected when someone closed it in ConnectWise."""
        if batch_id:
            posted.unmark(self._client, batch_id)

    # -- callbacks -----------------------------------------------------------------------------

    def callbacks(self) -> tuple[wire.CallbackEntry, ...]:
        """All registered callbacks that the API member sees, other integrations' included."""
        return tuple(self._client.callbacks())

    def create_callback(self, record_type: str, url: str) -> wire.CallbackEntry:
        """Have ConnectWise call `url` for every change of a type (Invoice, Company, …).

        ConnectWise appends the record's id and the action, so `url` should end in "?recordId=".
        https://developer.connectwise.com/Best_Practices/PSA_Callbacks
        """
        return self._client.create_callback(
            {
                "url": url,
                "objectId": 1,  # with the level "owner": everything
                "type": record_type,
                "level": "owner",
                "description": "Psaltery",
                # Our own writes need not come back to us; its effect is told by its name alone.
                "isSelfSuppressedFlag": True,
                "inactiveFlag": False,
            }
        )

    def delete_callback(self, callback_id: str) -> None:
        """Stop the calls; a callback that is gone already is no failure."""
        try:
            self._client.delete_callback(callback_id)
        except Rejected as refused:
            if not has_code(refused, NOT_FOUND):
                raise

    def web_address(self, kind: str, external_id: str) -> str:
        """Where a person sees it in ConnectWise's client. Pure."""
        record_id = external_id.partition("-")[0] if kind == "bill" else external_id
        address = record_address(self._fields, _WINDOWS.get(kind, "ServiceFV"), record_id)
        _, _, slip = external_id.partition("-") if kind == "bill" else ("", "", "")
        # Each bill of an order has an address of its own: the books are searched by it.
        return f"{address}#{quote(slip)}" if slip else address
