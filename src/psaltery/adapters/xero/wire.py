"""Xero's JSON as structs: only the members that are used, every one optional, enumerations open.

Money is Decimal straight from the text. Unknown members are skipped without being built, which is
most of the speed. https://github.com/XeroAPI/Xero-OpenAPI (xero_accounting.yaml)
"""

import json
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec

from psaltery.kit.text import clean
from psaltery.records.money import ZERO

T = TypeVar("T")


# No struct refers back to its owner, so the collector need not watch the hundred thousands of them.
class Wire(msgspec.Struct, rename="pascal", gc=False):
    """The parent of all wire structs."""


# The one object that Xero writes in camel case.
class Pagination(msgspec.Struct, rename="camel", gc=False):
    page: int = 0
    page_size: int = 0
    page_count: int = 0
    item_count: int = 0


class Envelope(Wire):
    """What stands around every list."""

    pagination: Pagination | None = msgspec.field(name="pagination", default=None)
    answered_at: str = msgspec.field(name="DateTimeUTC", default="")


class Phone(Wire):
    phone_type: str = ""
    phone_number: str = ""
    phone_area_code: str = ""
    phone_country_code: str = ""


class Address(Wire):
    address_type: str = ""
    city: str = ""
    country: str = ""


# Inside documents a contact is an id and a name, with empty lists around them.
class ContactRef(Wire):
    contact_id: str = msgspec.field(name="ContactID", default="")
    name: str = ""


class Contact(Wire):
    contact_id: str = msgspec.field(name="ContactID", default="")
    merged_to: str = msgspec.field(name="MergedToContactID", default="")
    contact_number: str = ""
    account_number: str = ""
    contact_status: str = ""
    name: str = ""
    email_address: str = ""
    tax_number: str = ""
    default_currency: str = ""
    website: str = ""
    is_customer: bool = False
    is_supplier: bool = False
    phones: list[Phone] = []
    addresses: list[Address] = []
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class LineTracking(Wire):
    name: str = ""
    option: str = ""


class Line(Wire):
    line_item_id: str = msgspec.field(name="LineItemID", default="")
    description: str = ""
    quantity: Decimal = ZERO
    unit_amount: Decimal = ZERO
    line_amount: Decimal = ZERO
    tax_amount: Decimal = ZERO
    tax_type: str = ""
    account_code: str = ""
    item_code: str = ""
    tracking: list[LineTracking] = []


# Payments and credits stand in here too, but without account, status and what was deleted; the
# feeds of their own have all of it.
class Invoice(Wire):
    invoice_id: str = msgspec.field(name="InvoiceID", default="")
    type: str = ""
    invoice_number: str = ""
    reference: str = ""
    status: str = ""
    contact: ContactRef = msgspec.field(default_factory=ContactRef)
    currency_code: str = ""
    currency_rate: Decimal | None = None
    line_amount_types: str = ""
    date: str = ""
    due_date: str = ""
    fully_paid_on_date: str = ""
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_due: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO
    url: str = ""
    repeating_invoice_id: str = msgspec.field(name="RepeatingInvoiceID", default="")
    line_items: list[Line] = []
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class DocumentRef(Wire):
    """A document as it stands inside a payment or an allocation."""

    invoice_id: str = msgspec.field(name="InvoiceID", default="")
    credit_note_id: str = msgspec.field(name="CreditNoteID", default="")
    overpayment_id: str = msgspec.field(name="OverpaymentID", default="")
    prepayment_id: str = msgspec.field(name="PrepaymentID", default="")
    type: str = ""
    invoice_number: str = ""
    credit_note_number: str = ""
    currency_code: str = ""

    @property
    def number(self) -> str:
        return self.invoice_number or self.credit_note_number


class Allocation(Wire):
    allocation_id: str = msgspec.field(name="AllocationID", default="")
    invoice: DocumentRef = msgspec.field(default_factory=DocumentRef)
    amount: Decimal = ZERO
    date: str = ""
    is_deleted: bool = False


class NestedPayment(Wire):
    """A refund as it stands inside a credit note, an overpayment or a prepayment."""

    payment_id: str = msgspec.field(name="PaymentID", default="")
    date: str = ""
    amount: Decimal = ZERO
    reference: str = ""
    currency_rate: Decimal | None = None


class Credit(Wire):
    """What credit notes, overpayments and prepayments have in common: all but id and number."""

    type: str = ""
    reference: str = ""
    status: str = ""
    contact: ContactRef = msgspec.field(default_factory=ContactRef)
    currency_code: str = ""
    currency_rate: Decimal | None = None
    date: str = ""
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    remaining_credit: Decimal = ZERO
    allocations: list[Allocation] = []
    payments: list[NestedPayment] = []
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class CreditNote(Credit):
    external_id: str = msgspec.field(name="CreditNoteID", default="")
    number: str = msgspec.field(name="CreditNoteNumber", default="")
    line_items: list[Line] = []


# The specification has no number for overpayments; some answers do.
class Overpayment(Credit):
    external_id: str = msgspec.field(name="OverpaymentID", default="")
    number: str = msgspec.field(name="InvoiceNumber", default="")


class Prepayment(Credit):
    external_id: str = msgspec.field(name="PrepaymentID", default="")
    number: str = msgspec.field(name="InvoiceNumber", default="")


class AccountRef(Wire):
    account_id: str = msgspec.field(name="AccountID", default="")
    code: str = ""


# Here flags and amounts arrive as text: "false", "50.00".
class BatchRef(Wire):
    batch_payment_id: str = msgspec.field(name="BatchPaymentID", default="")
    is_reconciled: bool = False


class Payment(Wire):
    payment_id: str = msgspec.field(name="PaymentID", default="")
    batch_payment_id: str = msgspec.field(name="BatchPaymentID", default="")
    batch_payment: BatchRef | None = None
    payment_type: str = ""
    status: str = ""
    date: str = ""
    amount: Decimal = ZERO
    reference: str = ""
    currency_rate: Decimal | None = None
    is_reconciled: bool = False
    account: AccountRef = msgspec.field(default_factory=AccountRef)
    invoice: DocumentRef | None = None
    credit_note: DocumentRef | None = None
    overpayment: DocumentRef | None = None
    prepayment: DocumentRef | None = None
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class PurchaseOrder(Wire):
    purchase_order_id: str = msgspec.field(name="PurchaseOrderID", default="")
    number: str = msgspec.field(name="PurchaseOrderNumber", default="")
    status: str = ""
    contact: ContactRef = msgspec.field(default_factory=ContactRef)
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class BankTransaction(Wire):
    bank_transaction_id: str = msgspec.field(name="BankTransactionID", default="")
    type: str = ""
    status: str = ""
    reference: str = ""
    contact: ContactRef = msgspec.field(default_factory=ContactRef)
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    is_reconciled: bool = False
    url: str = ""
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class Item(Wire):
    item_id: str = msgspec.field(name="ItemID", default="")
    code: str = ""
    name: str = ""
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class Account(Wire):
    account_id: str = msgspec.field(name="AccountID", default="")
    code: str = ""
    name: str = ""
    type: str = ""
    account_class: str = msgspec.field(name="Class", default="")
    tax_type: str = ""
    status: str = ""
    enable_payments_to_account: bool = False
    system_account: str = ""
    currency_code: str = ""


class TaxRate(Wire):
    tax_type: str = ""
    name: str = ""
    status: str = ""
    effective_rate: Decimal | None = None
    display_tax_rate: Decimal | None = None
    can_apply_to_assets: bool = False
    can_apply_to_equity: bool = False
    can_apply_to_expenses: bool = False
    can_apply_to_liabilities: bool = False
    can_apply_to_revenue: bool = False


class TrackingOption(Wire):
    tracking_option_id: str = msgspec.field(name="TrackingOptionID", default="")
    name: str = ""
    status: str = ""


class TrackingCategory(Wire):
    tracking_category_id: str = msgspec.field(name="TrackingCategoryID", default="")
    name: str = ""
    status: str = ""
    options: list[TrackingOption] = []


class Currency(Wire):
    code: str = ""


class BrandingTheme(Wire):
    branding_theme_id: str = msgspec.field(name="BrandingThemeID", default="")
    name: str = ""


# `Class` grows new plans without notice, `Timezone` new zones: both stay text.
class Organisation(Wire):
    organisation_id: str = msgspec.field(name="OrganisationID", default="")
    name: str = ""
    legal_name: str = ""
    short_code: str = ""
    base_currency: str = ""
    country_code: str = ""
    timezone: str = ""
    plan: str = msgspec.field(name="Class", default="")
    pays_tax: bool = True
    is_demo_company: bool = False
    period_lock_date: str = ""
    end_of_year_lock_date: str = ""


class Invoices(Envelope):
    records: list[Invoice] = msgspec.field(name="Invoices", default=[])


class Contacts(Envelope):
    records: list[Contact] = msgspec.field(name="Contacts", default=[])


class CreditNotes(Envelope):
    records: list[CreditNote] = msgspec.field(name="CreditNotes", default=[])


class Payments(Envelope):
    records: list[Payment] = msgspec.field(name="Payments", default=[])


class PurchaseOrders(Envelope):
    records: list[PurchaseOrder] = msgspec.field(name="PurchaseOrders", default=[])


class BankTransactions(Envelope):
    records: list[BankTransaction] = msgspec.field(name="BankTransactions", default=[])


class Items(Envelope):
    records: list[Item] = msgspec.field(name="Items", default=[])


class Overpayments(Envelope):
    records: list[Overpayment] = msgspec.field(name="Overpayments", default=[])


class Prepayments(Envelope):
    records: list[Prepayment] = msgspec.field(name="Prepayments", default=[])


class Organisations(Envelope):
    records: list[Organisation] = msgspec.field(name="Organisations", default=[])


class Accounts(Envelope):
    records: list[Account] = msgspec.field(name="Accounts", default=[])


class TaxRates(Envelope):
    records: list[TaxRate] = msgspec.field(name="TaxRates", default=[])


class TrackingCategories(Envelope):
    records: list[TrackingCategory] = msgspec.field(name="TrackingCategories", default=[])


class Currencies(Envelope):
    records: list[Currency] = msgspec.field(name="Currencies", default=[])


class BrandingThemes(Envelope):
    records: list[BrandingTheme] = msgspec.field(name="BrandingThemes", default=[])


class Link(msgspec.Struct, rename="camel", gc=False):
    """One entry of /connections."""

    id: str = ""
    tenant_id: str = ""
    tenant_type: str = ""
    tenant_name: str = ""


class Event(msgspec.Struct, rename="camel", gc=False):
    """One event of a webhook delivery."""

    resource_id: str = ""
    event_date_utc: str = ""
    event_type: str = ""
    event_category: str = ""
    tenant_id: str = ""
    tenant_type: str = ""


class Delivery(msgspec.Struct, rename="camel", gc=False):
    """One webhook request."""

    events: list[Event] = []
    first_event_sequence: int = 0
    last_event_sequence: int = 0


def decode(body: bytes, type_: type[T]) -> T:
    """`body` as `type_`. Nulls, blank numbers, control characters and the like are mended first.

    Raises msgspec.ValidationError for JSON of another shape, msgspec.DecodeError for no JSON.
    """
    # Raw, a NUL would be no JSON at all, so that only its escape has to be looked for.
    if b"\\u0000" in body:
        return _mended(body, type_)
    try:
        # The cache wants something hashable, which mypy can't see in `type[T]`.
        key: Any = type_
        decoder: msgspec.json.Decoder[T] = _decoder(key)
        return decoder.decode(body)
    except msgspec.DecodeError:
        # Either another shape, or a lone half of a surrogate pair; a cut body fails again there.
        return _mended(body, type_)


def plain(body: bytes) -> Any:
    """`body` as dicts and lists, numbers as Decimal, text cleaned, nulls left out."""
    return _cleaned(_loads(body))


def _mended(body: bytes, type_: type[T]) -> T:
    # Several times slower than the direct way, and taken only by answers that need it.
    return msgspec.convert(plain(body), type_, strict=False)


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, strict=False)
    except (ValueError, RecursionError) as wrong:
        raise msgspec.DecodeError(str(wrong)) from wrong


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case dict():
            return {
                clean(name): _cleaned(member)
                for name, member in value.items()
                if member is not None and member != ""
            }
        case list():
            return [_cleaned(member) for member in value if member is not None]
        case _:
            return value


@cache
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    # Not strict: "true" is a flag and "3" a count in nested objects.
    return msgspec.json.Decoder(type_, strict=False)
