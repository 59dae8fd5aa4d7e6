"""What Psaltery wants to exist in the books, and what the books answered."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from psaltery.records.books import Status, TaxMode
from psaltery.records.money import ZERO


class BooksKind(StrEnum):
    """The type of a document in the books."""

    INVOICE = "invoice"
    BILL = "bill"
    CREDIT_NOTE = "credit_note"
    PURCHASE_ORDER = "purchase_order"
    SPEND = "spend"  # money spent from a bank account, with its lines


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    VOID = "void"


class TrackingChoice(msgspec.Struct, frozen=True):
    category_id: str
    category: str
    option_id: str
    option: str


class DraftLine(msgspec.Struct, frozen=True, kw_only=True):
    description: str
    quantity: Decimal  # at most 4 decimals
    unit_amount: Decimal  # at most 4 decimals
    account_code: str
    tax_type: str
    line_amount: Decimal | None = None
    tax_amount: Decimal | None = None
    item_code: str = ""
    tracking: tuple[TrackingChoice, ...] = ()
    external_id: str = ""  # on an update, the books' own line id


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is to be in the books."""

    kind: BooksKind
    number: str
    contact_id: str
    status: Status
    issued_on: date
    due_on: date | None
    currency: str
    tax_mode: TaxMode
    lines: tuple[DraftLine, ...]
    reference: str = ""
    url: str = ""
    branding_theme_id: str = ""
    rate: Decimal | None = None
    moved_from: date | None = None  # the PSA's date, where it lies in a locked period
    bank_account_id: str = ""  # money spent: from which account
    external_id: str = ""  # set for an update or a void
    subtotal: Decimal = ZERO  # what we expect the books to compute
    tax: Decimal = ZERO
    total: Decimal = ZERO
    rounding: Decimal = ZERO  # what was added to the lines, so that their total is the PSA's
    tax_rounding: Decimal = ZERO  # what was added to the tax that the books would have computed


class ContactDraft(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    contact_number: str = ""  # our reference, so that a lost answer can be found again
    email: str = ""
    phone: str = ""
    tax_number: str = ""
    account_number: str = ""
    address: tuple[str, ...] = ()
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    currency: str = ""
    external_id: str = ""
    restore: bool = False  # un-archive


class ItemSide(msgspec.Struct, frozen=True, kw_only=True):
    """What an item costs, and where it is booked, when it is sold or bought."""

    account_code: str
    tax_type: str
    price: Decimal | None = None


class ItemDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it is to be in the books' own list of items."""

    code: str  # at most 30 characters
    name: str
    description: str = ""
    sales: ItemSide | None = None
    purchase: ItemSide | None = None
    external_id: str = ""


class PaymentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Money on an invoice, as it is to be in the books."""

    invoice_id: str
    account_id: str  # the bank (or other) account that takes it
    amount: Decimal
    paid_on: date
    reference: str  # ours alone on this invoice: a lost answer is found again by it


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why the books (or we) refused. `code` is a key of the error catalogue."""

    code: str
    message: str
    field: str = ""
    subject: str = ""  # the account code, contact name, … the problem is about


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The books' answer for one element of a batch."""

    accepted: bool
    external_id: str = ""
    number: str = ""
    status: Status = Status.UNKNOWN
    contact_id: str = ""
    subtotal: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_due: Decimal = ZERO
    url: str = ""
    reference: str = ""
    updated_at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
