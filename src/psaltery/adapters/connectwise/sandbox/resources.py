"""The lists of the API: address, model, security module, and which writes they take.

Addresses as in https://developer.connectwise.com/Products/ConnectWise_PSA/REST (login).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from psaltery.adapters.connectwise.sandbox import accounting, ledger, payments, pricing
from psaltery.adapters.connectwise.sandbox.accounts import MAPPED_TYPES
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document

ACCOUNTING = "Finance > Accounting Interface"
INVOICING = "Finance > Invoicing"
AGREEMENTS = "Finance > Agreements"
COMPANIES = "Companies > Company Maintenance"
CONTACTS = "Companies > Contacts"
CATALOG = "Procurement > Product Catalog"
PRODUCTS = "Procurement > Products"
ORDERS = "Procurement > Purchase Orders"
TICKETS = "Service Desk > Service Tickets"
TIME = "Time & Expense > Time Entry"
EXPENSES = "Time & Expense > Expense Entry"
MEMBERS = "System > Member Maintenance"
TABLES = "System > Table Setup"
MODULES = (
    ACCOUNTING, INVOICING, AGREEMENTS, COMPANIES, CONTACTS, CATALOG,
    PRODUCTS, ORDERS, TICKETS, TIME, EXPENSES, MEMBERS, TABLES,
)  # fmt: skip

WRITABLE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READ_ONLY: frozenset[str] = frozenset()

Rows = Callable[[World, int], Iterable[Document]]


@dataclass(frozen=True)
class Resource:
    """One list. A nested one has `{parent}` in its address.

    `parent`: the collection of the parent and the path to its id in a row. `rows` computes lists
    that are not stored as they are shown; its second argument is the parent's id, or 0.
    """

    path: str
    collection: str
    model: str
    label: str
    module: str
    methods: frozenset[str] = WRITABLE
    parent: tuple[str, str] | None = None
    rows: Rows | None = None

    @property
    def parent_field(self) -> str:
        """The field of a row that holds its parent: `company`, `agreementId`."""
        return self.parent[1].split("/")[0] if self.parent else ""


def _table(path: str, collection: str, model: str, label: str, module: str = TABLES) -> Resource:
    return Resource(path, collection, model, label, module)


def _tax_levels(world: World, code_id: int) -> Iterable[Document]:
    return pricing.levels(world.get("taxCodes", code_id, "TaxCode"))


def _gl_entries(world: World, invoice_id: int) -> Iterable[Document]:
    world.get("invoices", invoice_id, "Invoice")
    found = ledger.find(world, ledger.key("invoice", invoice_id))
    return map(ledger.shown, found["entries"] if found else ())


def _mapped_types(world: World, parent: int) -> Iterable[Document]:
    return [{"id": n, "name": name} for n, name in enumerate(MAPPED_TYPES, start=1)]


def _unposted(path: str, model: str, rows: Rows) -> Resource:
    address = f"/finance/accounting/{path}"
    return Resource(address, path, model, model, ACCOUNTING, READ_ONLY, rows=rows)


RESOURCES = (
    _table("/company/companies", "companies", "Company", "Company", COMPANIES),
    Resource(
        "/company/companies/{parent}/sites", "sites", "CompanySite", "CompanySite", COMPANIES,
        parent=("companies", "company/id"),
    ),
    _table("/company/companies/statuses", "companyStatuses", "CompanyStatus", "CompanyStatus"),
    _table("/company/companies/types", "companyTypes", "CompanyType", "CompanyType"),
    _table("/company/contacts", "contacts", "Contact", "Contact", CONTACTS),
    _table("/finance/agreements", "agreements", "Agreement", "Agreement", AGREEMENTS),
    _table("/finance/agreements/types", "agreementTypes", "AgreementType", "AgreementType"),
    Resource(
        "/finance/agreements/{parent}/additions", "additions", "Addition", "Addition", AGREEMENTS,
        parent=("agreements", "agreementId"),
    ),
    _table("/service/tickets", "tickets", "Ticket", "Ticket", TICKETS),
    Resource(
        "/service/tickets/{parent}/notes", "ticketNotes", "ServiceNote", "ServiceNote", TICKETS,
        parent=("tickets", "ticketId"),
    ),
    _table("/service/boards", "boards", "Board", "Board"),
    Resource(
        "/service/boards/{parent}/statuses", "boardStatuses", "BoardStatus", "BoardStatus", TABLES,
        parent=("boards", "board/id"),
    ),
    _table("/time/entries", "timeEntries", "TimeEntry", "TimeEntry", TIME),
    _table("/time/workTypes", "workTypes", "WorkType", "WorkType"),
    _table("/time/workRoles", "workRoles", "WorkRole", "WorkRole"),
    _table("/expense/entries", "expenses", "ExpenseEntry", "ExpenseEntry", EXPENSES),
    _table("/expense/types", "expenseTypes", "ExpenseType", "ExpenseType"),
    _table("/finance/invoices", "invoices", "Invoice", "Invoice", INVOICING),
    Resource(
        "/finance/invoices/{parent}/payments", "payments", "InvoicePayment", "InvoicePayment",
        INVOICING, READ_ONLY, rows=payments.listed,
    ),
    Resource(
        "/finance/invoices/{parent}/glEntries", "glEntries", "GLEntry", "GLEntry", INVOICING,
        READ_ONLY, rows=_gl_entries,
    ),
    _table("/finance/billingStatuses", "billingStatuses", "BillingStatus", "BillingStatus"),
    _table("/finance/glAccounts", "glAccounts", "GLAccount", "GLAccount"),
    Resource(
        "/finance/glAccounts/mappedTypes", "mappedTypes", "MappedTypeReference", "MappedType",
        TABLES, READ_ONLY, rows=_mapped_types,
    ),
    _table("/finance/taxCodes", "taxCodes", "TaxCode", "TaxCode"),
    Resource(
        "/finance/taxCodes/{parent}/taxCodeLevels", "taxCodeLevels", "TaxCodeLevel",
        "TaxCodeLevel", TABLES, READ_ONLY, rows=_tax_levels,
    ),
    _table("/finance/billingTerms", "billingTerms", "BillingTerm", "BillingTerm"),
    _table("/finance/currencies", "currencies", "FinanceCurrency", "Currency"),
    _table("/finance/billingCycles", "billingCycles", "BillingCycle", "BillingCycle"),
    _table("/procurement/products", "products", "ProductItem", "ProductItem", PRODUCTS),
    _table("/procurement/catalog", "catalog", "CatalogItem", "CatalogItem", CATALOG),
    _table(
        "/procurement/purchaseorders", "purchaseOrders", "PurchaseOrder", "PurchaseOrder", ORDERS
    ),
    Resource(
        "/procurement/purchaseorders/{parent}/lineitems", "purchaseOrderLines",
        "PurchaseOrderLineItem", "PurchaseOrderLineItem", ORDERS,
        parent=("purchaseOrders", "purchaseOrderId"),
    ),
    _table(
        "/procurement/purchaseorderstatuses", "purchaseOrderStatuses", "PurchaseOrderStatus",
        "PurchaseOrderStatus",
    ),
    _table("/system/locations", "locations", "Location", "Location"),
    _table("/system/departments", "departments", "Department", "Department"),
    _table("/system/members", "members", "Member", "Member", MEMBERS),
    _table(
        "/system/userDefinedFields", "userDefinedFields", "UserDefinedField", "UserDefinedField"
    ),
    # Any API member may manage its own callbacks, so no module guards them.
    _table("/system/callbacks", "callbacks", "CallbackEntry", "CallbackEntry", ""),
    _unposted("unpostedinvoices", "UnpostedInvoice", accounting.unposted_invoices),
    _unposted("unpostedprocurement", "UnpostedProcurement", accounting.unposted_procurement),
    _unposted("unpostedexpenses", "UnpostedExpense", accounting.unposted_expenses),
    Resource(
        "/finance/accounting/unpostedinvoices/{parent}/taxableLevels", "taxableLevels",
        "UnpostedInvoiceTaxableLevel", "TaxableLevel", ACCOUNTING, READ_ONLY,
        rows=accounting.taxable_levels,
    ),
    Resource(
        "/finance/accounting/batches", "batches", "AccountingBatch", "AccountingBatch", ACCOUNTING,
        frozenset({"DELETE"}), rows=accounting.batches,
    ),
    Resource(
        "/finance/accounting/batches/{parent}/entries", "batchEntries", "BatchEntry", "BatchEntry",
        ACCOUNTING, READ_ONLY, rows=accounting.batch_entries,
    ),
)  # fmt: skip
