"""What the PSA holds, in ConnectWise's words where it has one and independent of the vendor."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from psaltery.records.books import TaxMode
from psaltery.records.money import ZERO


class DocumentKind(StrEnum):
    """What a PSA document becomes in the books."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"
    BILL = "bill"  # procurement received
    EXPENSE = "expense"
    PURCHASE_ORDER = "purchase_order"


# What is, or is going to be, owed to others; it has accounts and taxes of its own.
PURCHASES = (DocumentKind.BILL, DocumentKind.EXPENSE, DocumentKind.PURCHASE_ORDER)


class Company(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    identifier: str
    name: str
    status: str = ""
    account_number: str = ""
    tax_number: str = ""
    email: str = ""  # where invoices go
    phone: str = ""
    website: str = ""
    address: tuple[str, ...] = ()
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    currency: str = ""
    tax_code: str = ""
    territory: str = ""
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    custom: dict[str, str] = {}  # the tenant's own fields, by caption
    is_vendor: bool = False
    deleted: bool = False
    updated_at: datetime | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    company_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    title: str = ""
    is_billing: bool = False
    is_default: bool = False
    active: bool = True
    updated_at: datetime | None = None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    company_id: str
    name: str
    type: str = ""
    state: str = ""  # active, cancelled, expired, inactive
    starts_on: date | None = None
    ends_on: date | None = None
    billing_cycle: str = ""
    bill_amount: Decimal = ZERO
    next_invoice_on: date | None = None
    location: str = ""
    department: str = ""
    currency: str = ""
    updated_at: datetime | None = None


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    agreement_id: str
    product: str
    description: str = ""
    quantity: Decimal = ZERO
    unit_price: Decimal = ZERO
    unit_cost: Decimal = ZERO
    billable: bool = True
    effective_on: date | None = None
    cancelled_on: date | None = None
    updated_at: datetime | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    company_id: str
    summary: str
    board: str = ""
    status: str = ""
    type: str = ""
    priority: str = ""
    owner: str = ""
    agreement_id: str = ""
    source: str = ""
    closed: bool = False
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    actual_hours: Decimal = ZERO
    budget_hours: Decimal = ZERO
    updated_at: datetime | None = None


class TimeEntry(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    company_id: str
    member: str
    worked_on: date | None
    hours: Decimal
    billable: str = ""
    ticket_id: str = ""
    agreement_id: str = ""
    invoice_id: str = ""
    work_type: str = ""
    work_role: str = ""
    rate: Decimal = ZERO
    amount: Decimal = ZERO
    notes: str = ""
    updated_at: datetime | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a list that a tenant defines: location, member, work type, tax code, …"""

    list: str
    external_id: str
    name: str
    code: str = ""
    active: bool = True
    rate: Decimal | None = None  # tax codes: total per cent
    details: dict[str, str] = {}


class DocumentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `amount` is the line's net or gross amount as the document's `tax_mode` says."""

    key: str  # stable within the document, e.g. product:55, time:91, agreement
    source: str  # product, time, expense, agreement, adjustment, freight
    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    taxable: bool = True
    tax_code: str = ""
    tax: Decimal | None = None  # when the PSA says the tax of this line
    discount: Decimal = ZERO
    product: str = ""
    category: str = ""
    work_type: str = ""
    work_role: str = ""
    agreement: str = ""
    agreement_type: str = ""
    expense_type: str = ""
    member: str = ""
    gl_account: str = ""  # what the PSA's own GL mapping says, if anything
    location: str = ""
    department: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A closed document of the PSA. Totals are positive, for invoices and for credit memos."""

    external_id: str
    kind: DocumentKind
    type: str  # the PSA's own type, e.g. Standard, Agreement, CreditMemo
    number: str
    company_id: str
    company_name: str
    currency: str
    issued_on: date
    due_on: date | None = None
    closed: bool = True
    status: str = ""
    location: str = ""
    department: str = ""
    territory: str = ""
    reference: str = ""
    customer_po: str = ""
    tax_code: str = ""
    tax_mode: TaxMode = TaxMode.EXCLUSIVE
    tax_mode_known: bool = True
    subtotal: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    payments: Decimal = ZERO
    credits: Decimal = ZERO
    balance: Decimal = ZERO  # open; of a purchase order, what has not been received yet
    agreement: str = ""
    agreement_type: str = ""
    ticket_id: str = ""
    applied_to: str = ""  # credit memo or down payment: the document it belongs to
    posted: bool = False  # the PSA's own marker (GL batch)
    vendor_number: str = ""
    custom: dict[str, str] = {}  # the tenant's own fields, by caption; the company's beside them
    tags: tuple[str, ...] = ()  # of its company
    board: str = ""  # of its ticket
    lines: tuple[DocumentLine, ...] = ()
    updated_at: datetime | None = None


class PsaPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment record on a PSA invoice."""

    external_id: str
    document_id: str
    amount: Decimal
    paid_on: date | None
    credit_id: str = ""  # the credit memo it applies, "" for money
    source: str = ""  # who recorded it: a person, or the PSA's own payment portal
    method: str = ""  # how it was paid, in the PSA's own words
    note: str = ""


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the credential must be allowed, and whether it is."""

    name: str
    needed_for: str
    granted: bool
    detail: str = ""
