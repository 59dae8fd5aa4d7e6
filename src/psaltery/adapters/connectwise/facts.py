"""What must be looked up beside invoices; each thing once in the life of an adapter object."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from psaltery.adapters.connectwise import wire, wire_accounting
from psaltery.adapters.connectwise.billing_lines import Coding, Facts, Parts
from psaltery.adapters.connectwise.client import Client
from psaltery.adapters.connectwise.conditions import slices
from psaltery.adapters.connectwise.failures import PERMISSION
from psaltery.adapters.connectwise.procurement import Known
from psaltery.adapters.connectwise.reading import name, text
from psaltery.adapters.connectwise.taxes import Level, levels
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.kit.clock import now

PREVIEW = "Psaltery preview"
_AHEAD = timedelta(days=366)  # an export ends at today by default; invoices may be dated later


class FactFinder:
    """Looks up tax codes, agreements, product categories and GL coding of invoices."""

    def __init__(self, client: Client, *, gl_coding: bool) -> None:
        self._client = client
        self._gl_coding = gl_coding
        self._taxes: tuple[dict[int, Sequence[Level]], dict[int, str]] | None = None
        self._agreements: dict[int, wire.Agreement] = {}
        self._categories: dict[int, str] = {}
        self._locations: dict[int, str] | None = None

    def facts(self, invoices: Sequence[wire.Invoice], parts: Iterable[Parts]) -> Facts:
        """All that these invoices need, in a few calls however many they are."""
        tax_levels, tax_names = self._tax_codes()
        self._learn_agreements(invoices)
        products = [item for each in parts for item in each.products]
        self._learn_categories(products)
        return Facts(
            tax_levels=tax_levels,
            tax_names=tax_names,
            agreements=self._agreements,
            categories=self._categories,
            coding=self._coding(invoices),
        )

    def locations(self) -> Mapping[int, str]:
        """Names of the locations by id, for records that hold the id alone."""
        if self._locations is None:
            rows = self._client.every("/system/locations", wire.Listed)
            self._locations = {row.id: text(row.name) for row in rows}
        return self._locations

    def closed_statuses(self) -> frozenset[int]:
        """Ids of the billing statuses that close an invoice."""
        rows = self._client.every("/finance/billingStatuses", wire.Listed)
        # Names and ids of statuses are each tenant's own; the flag alone says that one closes.
        return frozenset(row.id for row in rows if row.closed_flag)

    def _tax_codes(self) -> tuple[dict[int, Sequence[Level]], dict[int, str]]:
        if self._taxes is None:
            rows = self._client.every("/finance/taxCodes", wire_accounting.TaxCode)
            self._taxes = (
                {row.id: levels(row) for row in rows},
                {row.id: text(row.identifier) for row in rows},
            )
        return self._taxes

    def _learn_agreements(self, invoices: Iterable[wire.Invoice]) -> None:
        # Only where there is a fee: an agreement that bills nothing makes no line.
        wanted = {i.agreement.id for i in invoices if i.agreement and i.agreement_amount}
        missing = sorted(one for one in wanted if one and one not in self._agreements)
        for ids in slices(missing):
            rows = self._client.by_ids("/finance/agreements", wire.Agreement, ids)
            self._agreements |= {row.id: row for row in rows}

    def _learn_categories(self, products: Iterable[wire.ProductItem]) -> None:
        self._learn_items(item.catalog_item.id for item in products if item.catalog_item)

    def _learn_items(self, wanted: Iterable[int | None]) -> None:
        missing = sorted({one for one in wanted if one and one not in self._categories})
        rows = _if_allowed(lambda: self._catalog(missing), [])
        self._categories |= {row.id: name(row.category) for row in rows}

    def of_orders(self, lines: Iterable[wire.PurchaseOrderLine]) -> Known:
        """What the lines of purchase orders refer to; a call for what is not known yet."""
        self._learn_items(line.product.id for line in lines if line.product)
        return Known(
            locations=self.locations(),
            categories=self._categories,
            tax_codes=self._tax_codes()[1],
        )

    def _catalog(self, ids: Sequence[int]) -> list[wire.Listed]:
        found: list[wire.Listed] = []
        for some in slices(ids):
            found += self._client.by_ids("/procurement/catalog", wire.Listed, some)
        return found

    def _coding(self, invoices: Sequence[wire.Invoice]) -> dict[int, Coding]:
        if not self._gl_coding or not invoices:
            return {}
        by_number = {text(invoice.invoice_number): invoice.id for invoice in invoices}
        rows = _if_allowed(lambda: self._transactions(invoices), [])
        # The number is what an export and an invoice are known to share.
        found = ((by_number.get(text(row.document_number)), row) for row in rows)
        return {invoice_id: coding(row) for invoice_id, row in found if invoice_id is not None}

    def _transactions(
        self, invoices: Sequence[wire.Invoice]
    ) -> list[wire_accounting.ExportTransaction]:
        unposted = [invoice.id for invoice in invoices if invoice.gl_batch is None]
        # Posted ones are read from their batch, so that the coding of a document, and with it its
        # content, doesn't change by being posted.
        batches = {invoice.gl_batch.id for invoice in invoices if invoice.gl_batch}
        found = self._previewed(unposted)
        for batch_id in sorted(one for one in batches if one):
            export = self._client.export_batch(batch_id, export_request(invoices=[]))
            found += export.transactions or []
        return found

    def _previewed(self, ids: Sequence[int]) -> list[wire_accounting.ExportTransaction]:
        """The export of these invoices, less those that the site refuses to export (E10: a gap in
        its GL mapping), which would otherwise take the others with them."""
        if not ids:
            return []
        try:
            return self._client.export(export_request(invoices=ids)).transactions or []
        except Rejected:
            # Halves find one bad invoice of fifty in a dozen calls instead of fifty.
            half = len(ids) // 2
            return self._previewed(ids[:half]) + self._previewed(ids[half:]) if half else []


def export_request(
    *,
    invoices: Sequence[int] | None = None,
    products: Sequence[str] | None = None,
    expenses: Sequence[int] | None = None,
    identifier: str = PREVIEW,
) -> dict[str, Any]:
    """The body of an export of exactly these records; None leaves a kind out.

    An empty list of included ids means all of the kind.
    """
    request: dict[str, Any] = {
        "batchIdentifier": identifier,
        "thruDate": f"{now() + _AHEAD:%Y-%m-%dT00:00:00Z}",
        # Detailed, since the account of each product and time entry is wanted.
        "summarizeInvoices": "Detailed",
        "exportInvoicesFlag": invoices is not None,
        "exportProductsFlag": products is not None,
        "exportExpensesFlag": expenses is not None,
        # Payments belong to the site's own Wise-Pay chain and are left to it.
        "exportPaymentsFlag": False,
    }
    included = {
        "includedInvoiceIds": invoices,
        "includedProductIds": products,
        "includedExpenseIds": expenses,
    }
    return request | {key: ids for key, ids in included.items() if ids}


def coding(row: wire_accounting.ExportTransaction) -> Coding:
    """The accounts of one exported invoice, by product, time entry and type of row. Pure."""
    products: dict[int, str] = {}
    time: dict[int, str] = {}
    types: defaultdict[str, set[str]] = defaultdict(set)
    for detail in row.detail or []:
        account = text(detail.account_number) or text(detail.product_account_number)
        types[text(detail.gl_type_id)].add(account)
        if detail.product and detail.product.id:
            products[detail.product.id] = account
        if detail.time_entry and detail.time_entry.id:
            time[detail.time_entry.id] = account
    # Where rows of a type differ, none of the accounts can be told to be a line's own.
    agreed = {kind: next(iter(accounts)) for kind, accounts in types.items() if len(accounts) == 1}
    return Coding(products=products, time=time, types=agreed)


def _if_allowed(read: Callable[[], list[Any]], otherwise: list[Any]) -> list[Any]:
    """What `read` finds; `otherwise` where the role doesn't allow it.

    Only for what makes mapping finer: documents are whole without it, and the connection's probe
    names the missing permission.
    """
    try:
        return read()
    except BadSettings as denied:
        if denied.which.startswith(PERMISSION):
            return otherwise
        raise
