"""What a new invoice is made of, for the seed, the demo and `/_control/create_invoice`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

InvoiceType = Literal[
    "Agreement", "CreditMemo", "DownPayment", "Miscellaneous", "Progress", "Standard"
]
Key = int | str


class NewLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line. References are ids, identifiers or names; what is left out takes its default.

    `price` is per unit or hour, in the invoice's currency; amounts of credit memos are given
    positive, too.
    """

    kind: Literal["product", "time", "expense"] = "product"
    item: Key | None = None
    description: str = ""
    quantity: Decimal = Decimal(1)
    price: Decimal | None = None
    discount: Decimal = Decimal(0)
    taxable: bool = True
    tax_code: Key | None = None
    work_type: Key | None = None
    work_role: Key | None = None
    member: Key | None = None
    expense_type: Key | None = None
    agreement: int | None = None
    ticket: int | None = None
    date: str | None = None


class NewInvoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One invoice. It is closed at once unless `close` is false.

    `down_payment` and `progress` are amounts billed before that this one takes off.
    """

    company: Key
    type: InvoiceType = "Standard"
    location: Key | None = None
    department: Key | None = None
    number: str | None = None
    date: str | None = None
    due_date: str | None = None
    terms: Key | None = None
    tax_code: Key | None = None
    taxable: bool = True
    currency: Key | None = None
    reference: str = ""
    customer_po: str = ""
    top_comment: str = ""
    agreement: int | None = None
    agreement_amount: Decimal = Decimal(0)
    down_payment: Decimal = Decimal(0)
    progress: Decimal = Decimal(0)
    service_adjustment: Decimal = Decimal(0)
    lines: tuple[NewLine, ...] = ()
    close: bool = True
