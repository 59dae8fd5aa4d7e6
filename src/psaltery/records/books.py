"""What the books hold, in accounting's words and independent of the vendor. Amounts are Decimal.

Statuses are the lower-case words of Xero's life cycle, which QuickBooks' maps onto:
draft, submitted, authorised, paid, voided, deleted.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from psaltery.records.money import ZERO


class Status(StrEnum):
    """The state of a document in the books."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    AUTHORISED = "authorised"
    PAID = "paid"
    VOIDED = "voided"
    DELETED = "deleted"
    BILLED = "billed"  # a purchase order whose bill has come
    UNKNOWN = "unknown"


class TaxMode(StrEnum):
    """Whether line amounts contain the tax."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"
    NO_TAX = "no_tax"


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A contact of the books, customer or supplier or neither yet."""

    external_id: str
    name: str
    email: str = ""
    tax_number: str = ""
    account_number: str = ""
    contact_number: str = ""
    phone: str = ""
    website: str = ""
    city: str = ""
    country: str = ""
    currency: str = ""
    is_customer: bool = False
    is_supplier: bool = False
    state: str = "active"  # active, archived, gdpr_request
    merged_into: str = ""
    updated_at: datetime | None = None


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str = ""
    description: str = ""
    quantity: Decimal = ZERO
    unit_amount: Decimal = ZERO
    line_amount: Decimal = ZERO
    tax_amount: Decimal = ZERO
    tax_type: str = ""
    account_code: str = ""
    item_code: str = ""
    tracking: tuple[str, ...] = ()  # "Category: Option"


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A receivable invoice (`kind` "receivable") or a bill (`kind` "payable")."""

    external_id: str
    kind: str
    number: str
    status: Status
    customer_id: str
    customer_name: str
    currency: str
    issued_on: date | None
    due_on: date | None = None
    fully_paid_on: date | None = None
    reference: str = ""
    tax_mode: TaxMode = TaxMode.EXCLUSIVE
    rate: Decimal | None = None
    subtotal: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_due: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO
    url: str = ""
    repeating_id: str = ""
    lines: tuple[InvoiceLine, ...] = ()
    updated_at: datetime | None = None


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    kind: str  # receivable, payable
    number: str
    status: Status
    customer_id: str
    customer_name: str
    currency: str
    issued_on: date | None
    reference: str = ""
    subtotal: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    remaining: Decimal = ZERO
    lines: tuple[InvoiceLine, ...] = ()
    updated_at: datetime | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One touch of money (or credit) on one invoice: one row of `billing_payments`.

    `source`: payment, credit_note, overpayment, prepayment. `source_id` is the paying document's id
    (for a payment its own id); `external_id` identifies the touch itself and never changes.
    A removed touch comes with state "deleted".
    """

    external_id: str
    source: str
    source_id: str
    invoice_id: str  # "" for money not applied to an invoice (refunds, the rest of an overpayment)
    amount: Decimal
    currency: str
    paid_on: date | None
    kind: str = "receivable"
    source_number: str = ""
    reference: str = ""
    account_id: str = ""
    batch_id: str = ""
    rate: Decimal | None = None
    reconciled: bool = False
    state: str = "active"  # active, deleted
    updated_at: datetime | None = None


class Unallocated(msgspec.Struct, frozen=True, kw_only=True):
    """An overpayment or prepayment: money received that is not (wholly) applied yet."""

    external_id: str
    source: str  # overpayment, prepayment
    customer_id: str
    customer_name: str
    currency: str
    received_on: date | None
    total: Decimal
    remaining: Decimal
    status: Status
    kind: str = "receivable"
    reference: str = ""
    updated_at: datetime | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    code: str
    name: str
    type: str  # the vendor's type in upper case, e.g. REVENUE, SALES, BANK, DIRECTCOSTS
    account_class: str  # ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE
    tax_type: str = ""
    active: bool = True
    takes_payments: bool = False
    system: str = ""
    currency: str = ""


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    tax_type: str
    name: str
    rate: Decimal  # per cent
    active: bool = True
    classes: tuple[str, ...] = ()  # account classes it may be used with


class TrackingOption(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    name: str
    active: bool = True


class TrackingCategory(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    name: str
    active: bool = True
    options: tuple[TrackingOption, ...] = ()


class BrandingTheme(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    name: str


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """The books' own facts; id, short code and base currency pin the organisation."""

    external_id: str
    name: str
    short_code: str
    base_currency: str
    country: str
    time_zone: str
    legal_name: str = ""
    plan: str = ""
    pays_tax: bool = True
    demo: bool = False
    period_lock_on: date | None = None
    year_lock_on: date | None = None


class BooksSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a mapping may choose from, read in one go."""

    organisation: Organisation
    accounts: tuple[Account, ...]
    tax_rates: tuple[TaxRate, ...]
    tracking: tuple[TrackingCategory, ...]
    currencies: tuple[str, ...]
    branding_themes: tuple[BrandingTheme, ...] = ()


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """One organisation that a consent gives access to."""

    external_id: str
    connection_id: str  # the vendor's id of the link, needed to remove it
    name: str
    kind: str = "ORGANISATION"
