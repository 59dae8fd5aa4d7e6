"""ConnectWise's JSON as structs, with only the fields that Psaltery reads.

Lenient on purpose: every field may be missing or null, enumerations are text and unknown fields
are ignored, because new models add fields without notice and on-premises sites lag years behind.
Field names: https://developer.connectwise.com/Products/ConnectWise_PSA/REST
"""

from decimal import Decimal
from typing import Any

import msgspec


class Wire(msgspec.Struct, kw_only=True, rename="camel"):
    """The base of all: camelCase on the wire."""


class Info(Wire):
    """`_info`: a map of strings; lastUpdated is UTC."""

    last_updated: str | None = None
    date_entered: str | None = None


class Ref(Wire):
    """A reference to another record. Which of the texts is filled depends on what it refers to."""

    id: int | None = None
    name: str | None = None
    identifier: str | None = None
    type: str | None = None
    is_closed: bool | None = None
    currency_code: str | None = None
    iso_code: str | None = None  # older payloads
    currency_identifier: str | None = None


class Record(Wire):
    """What every record has."""

    id: int
    info: Info | None = msgspec.field(name="_info", default=None)


class CompanyInfo(Wire, rename="pascal"):
    """The answer of /login/companyinfo."""

    codebase: str | None = None
    company_name: str | None = None


class Id(Record):
    """A record of which only the id matters."""


class CustomField(Wire):
    """A field that the tenant has made; its value may be text, a number or a flag."""

    caption: str | None = None
    value: Any = None


class Invoice(Record):
    # At most 15 characters, and the key that every connector of the field joins by.
    invoice_number: str | None = None
    type: str | None = None
    status: Ref | None = None
    company: Ref | None = None
    bill_to_company: Ref | None = None
    account_number: str | None = None
    reference: str | None = None
    customer_po: str | None = msgspec.field(name="customerPO", default=None)
    date: str | None = None
    due_date: str | None = None
    location: Ref | None = None
    location_id: int | None = None
    department: Ref | None = None
    department_id: int | None = None
    territory: Ref | None = None
    top_comment: str | None = None
    taxable_flag: bool | None = None
    tax_code: Ref | None = None
    # What the parts come to, by kind; the lines are checked against their sum, `subtotal`.
    service_total: Decimal | None = None
    expense_total: Decimal | None = None
    product_total: Decimal | None = None
    agreement_amount: Decimal | None = None
    service_adjustment_amount: Decimal | None = None
    previous_progress_applied: Decimal | None = None
    downpayment_applied: Decimal | None = None
    subtotal: Decimal | None = None
    sales_tax: Decimal | None = None
    total: Decimal | None = None
    payments: Decimal | None = None
    credits: Decimal | None = None
    balance: Decimal | None = None
    currency: Ref | None = None
    agreement: Ref | None = None
    ticket: Ref | None = None
    # Set once all GL entries stand in a batch of the Accounting Interface.
    gl_batch: Ref | None = None
    custom_fields: list[CustomField] | None = None


class ProductItem(Record):
    # Of the catalog's product; its category has to be looked up there.
    catalog_item: Ref | None = None
    description: str | None = None
    customer_description: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    ext_price: Decimal | None = None
    discount: Decimal | None = None
    # The share that an agreement covers, which is not billed.
    agreement_amount: Decimal | None = None
    billable_option: str | None = None
    taxable_flag: bool | None = None
    tax_code: Ref | None = None
    agreement: Ref | None = None
    invoice: Ref | None = None
    location: Ref | None = None
    location_id: int | None = None
    business_unit: Ref | None = None
    business_unit_id: int | None = None
    cancelled_flag: bool | None = None
    sequence_number: Decimal | None = None


class TimeEntry(Record):
    company: Ref | None = None
    member: Ref | None = None
    time_start: str | None = None
    actual_hours: Decimal | None = None
    # Billed hours: after rounding rules and what the agreement covers.
    invoice_hours: Decimal | None = None
    hours_billed: Decimal | None = None
    hourly_rate: Decimal | None = None
    extended_invoice_amount: Decimal | None = None
    agreement_amount: Decimal | None = None
    billable_option: str | None = None
    agreement: Ref | None = None
    ticket: Ref | None = None
    invoice: Ref | None = None
    work_type: Ref | None = None
    work_role: Ref | None = None
    tax_code: Ref | None = None
    notes: str | None = None
    location: Ref | None = None
    location_id: int | None = None
    department: Ref | None = None
    business_unit_id: int | None = None


class ExpenseTax(Wire):
    amount: Decimal | None = None
    type: Ref | None = None


class ExpenseEntry(Record):
    company: Ref | None = None
    member: Ref | None = None
    type: Ref | None = None
    classification: Ref | None = None
    payment_method: Ref | None = None
    amount: Decimal | None = None
    bill_amount: Decimal | None = None
    invoice_amount: Decimal | None = None
    agreement_amount: Decimal | None = None
    billable_option: str | None = None
    date: str | None = None
    notes: str | None = None
    status: str | None = None
    taxes: list[ExpenseTax] | None = None
    currency: Ref | None = None
    agreement: Ref | None = None
    ticket: Ref | None = None
    invoice: Ref | None = None
    expense_report: Ref | None = None
    location_id: int | None = None
    business_unit_id: int | None = None


class AgreementBilling(Wire):
    agreement_amount: Decimal | None = None
    agreement_name: str | None = None
    agreement_rec_id: int | None = None
    agreement_type: str | None = None


class InvoiceInfo(Wire):
    """An invoice with all that it bills."""

    invoice: Invoice | None = None
    products: list[ProductItem] | None = None
    time_entries: list[TimeEntry] | None = None
    expenses: list[ExpenseEntry] | None = None
    agreement_billing_info: list[AgreementBilling] | None = None


class InvoicePayment(Record):
    # Free text in every published model; WisePay's own records have the source "WisePay".
    type: str | None = None
    source: str | None = None
    invoice: Ref | None = None
    credit: Ref | None = None
    amount: Decimal | None = None
    payment_date: str | None = None
    applied_by: str | None = None


class Company(Record):
    identifier: str | None = None
    name: str | None = None
    status: Ref | None = None
    account_number: str | None = None
    tax_identifier: str | None = None
    invoice_to_email_address: str | None = None
    phone_number: str | None = None
    website: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: Ref | None = None
    currency: Ref | None = None
    tax_code: Ref | None = None
    territory: Ref | None = None
    types: list[Ref] | None = None
    # Newer than the company type of that name.
    is_vendor_flag: bool | None = None
    deleted_flag: bool | None = None
    billing_contact: Ref | None = None
    integrator_tags: list[str] | None = None
    custom_fields: list[CustomField] | None = None


class CommunicationItem(Wire):
    communication_type: str | None = None
    value: str | None = None
    default_flag: bool | None = None


class Contact(Record):
    first_name: str | None = None
    last_name: str | None = None
    company: Ref | None = None
    title: str | None = None
    communication_items: list[CommunicationItem] | None = None
    default_phone_nbr: str | None = None
    default_flag: bool | None = None
    default_billing_flag: bool | None = None
    inactive_flag: bool | None = None


class Agreement(Record):
    name: str | None = None
    type: Ref | None = None
    company: Ref | None = None
    agreement_status: str | None = None
    cancelled_flag: bool | None = None
    start_date: str | None = None
    end_date: str | None = None
    date_cancelled: str | None = None
    no_ending_date_flag: bool | None = None
    billing_cycle: Ref | None = None
    bill_amount: Decimal | None = None
    next_invoice_date: str | None = None
    location: Ref | None = None
    department: Ref | None = None
    currency: Ref | None = None
    taxable: bool | None = None
    tax_code: Ref | None = None
    invoice_description: str | None = None


class Addition(Record):
    agreement_id: int | None = None
    product: Ref | None = None
    description: str | None = None
    invoice_description: str | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    unit_cost: Decimal | None = None
    bill_customer: str | None = None
    effective_date: str | None = None
    cancelled_date: str | None = None


class Ticket(Record):
    summary: str | None = None
    company: Ref | None = None
    board: Ref | None = None
    status: Ref | None = None
    type: Ref | None = None
    priority: Ref | None = None
    owner: Ref | None = None
    agreement: Ref | None = None
    source: Ref | None = None
    # Not to be trusted where status names are reused; see translate.ticket.
    closed_flag: bool | None = None
    closed_date: str | None = None
    actual_hours: Decimal | None = None
    budget_hours: Decimal | None = None


class PurchaseOrder(Record):
    po_number: str | None = None
    po_date: str | None = None
    status: Ref | None = None
    vendor_company: Ref | None = None
    # Room for one invoice of the supplier, whatever the number of deliveries.
    vendor_invoice_number: str | None = None
    vendor_invoice_date: str | None = None
    vendor_order_number: str | None = None
    location: Ref | None = None
    location_id: int | None = None
    business_unit: Ref | None = None
    business_unit_id: int | None = None
    freight_cost: Decimal | None = None
    freight_packing_slip: str | None = None
    freight_tax_total: Decimal | None = None
    tax_code: Ref | None = None
    currency: Ref | None = None
    customer_company: Ref | None = None
    closed_flag: bool | None = None
    date_closed: str | None = None
    terms: Ref | None = None


class PurchaseOrderLine(Record):
    line_number: int | None = None
    product: Ref | None = None
    description: str | None = None
    quantity: Decimal | None = None
    received_quantity: Decimal | None = None
    unit_cost: Decimal | None = None
    ext_cost: Decimal | None = None
    # Of the ordered quantity, not of what was received.
    tax: Decimal | None = None
    received_status: str | None = None
    date_received: str | None = None
    packing_slip: str | None = None
    closed_flag: bool | None = None
    canceled_flag: bool | None = None
    batched_flag: bool | None = None
    vendor_order_number: str | None = None


class Listed(Record):
    """A row of any list that a tenant defines; the union of what those lists call their texts."""

    name: str | None = None
    identifier: str | None = None
    description: str | None = None
    inactive_flag: bool | None = None
    closed_flag: bool | None = None
    sent_flag: bool | None = None
    default_flag: bool | None = None
    first_name: str | None = None
    last_name: str | None = None
    office_email: str | None = None
    license_class: str | None = None
    vendor_number: str | None = None
    default_location: Ref | None = None
    default_department: Ref | None = None
    due_days: int | None = None
    terms_xref: str | None = None
    currency_code: Ref | None = None
    symbol: str | None = None
    number_of_decimals: int | None = None
    category: Ref | None = None
    subcategory: Ref | None = None
    type: Ref | None = None
    product_class: str | None = None
    price: Decimal | None = None
    taxable_flag: bool | None = None
    gl_type: str | None = None
    mapped_type: Ref | None = None
    mapped_record: Ref | None = None
    segment1: str | None = None
    segment2: str | None = None
    cogs1: str | None = None
    inventory: str | None = None
    product_id: str | None = None
    sales_code: str | None = None
    bill_time: str | None = None
    hourly_rate: Decimal | None = None
    location: Ref | None = None
    department: Ref | None = None
    project_flag: bool | None = None
    vendor_flag: bool | None = None
    integration_x_ref: str | None = msgspec.field(name="integrationXRef", default=None)


class CallbackEntry(Record):
    url: str | None = None
    object_id: int | None = None
    type: str | None = None
    level: str | None = None
    description: str | None = None
    inactive_flag: bool | None = None
    is_self_suppressed_flag: bool | None = None


class ErrorEntry(Wire):
    code: str | None = None
    message: str | None = None
    resource: str | None = None
    field: str | None = None


class ErrorBody(Wire):
    code: str | None = None
    message: str | None = None
    error: str | None = None  # only on 429
    errors: list[ErrorEntry] | None = None
