"""What an organisation wants: the policies that decisions obey. Stored on the organisation."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from psaltery.records.books import Status
from psaltery.records.psa import DocumentKind


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Policies of one organisation. Defaults are the careful ones."""

    status: Status = Status.AUTHORISED  # what posted documents become: draft, submitted, authorised
    # Whether a customer's first invoice, and those of more than this, are drafts all the same.
    draft_first: bool = False
    draft_above: Decimal | None = None
    credit_notes: bool = True  # whether credit memos become credit notes
    bills: bool = False  # whether what procurement received becomes bills
    bill_status: Status = Status.DRAFT  # what bills become: approvals stay in the books
    purchase_orders: bool = False  # whether orders go to the books until their bill has come
    # Whether approved expenses become bills, or money spent from this account (its id).
    expenses: Literal["off", "bills", "spend"] = "off"
    spend_account: str = ""
    items: bool = False  # whether products become items of the books, named on the lines
    psa_payments: bool = False  # whether payments entered in the PSA are entered in the books
    # Whether the PSA shows each payment of the books by itself, or one payment for their sum.
    payments_each: bool = False
    # Whether the PSA hears of a payment only once the books have matched it with the bank.
    payments_reconciled: bool = False
    create_contacts: bool = True
    # Whether linked contacts follow what changes in the PSA, or are only linked.
    contacts: Literal["link", "keep"] = "link"
    post_from: date | None = None  # older documents are adopted or skipped, never posted
    due_days: int = 14  # where neither the PSA nor its terms give a due date
    adjustment_cap: Decimal = Decimal("0.05")  # greatest rounding line, and greatest tax override
    adjustment_account: str = ""  # "": the books' own ROUNDING account
    branding_theme_id: str = ""
    # Rates of exchange that are fixed, such as "EUR 0.61, USD 0.6512"; of others the books have
    # their own of the day.
    rates: str = ""
    # Documents dated in a locked period: wait, or go on the first open day, as drafts or as usual.
    lock: Literal["hold", "draft", "next_day"] = "hold"
    next_lock_on: date | None = None  # up to when it is locked next; None: the end of the month


def read_policy(settings: dict[str, Any]) -> Policy:
    """The policy in an organisation's settings; what is not set has its default."""
    return msgspec.convert(settings, Policy, strict=False)


def stored_policy(policy: Policy) -> dict[str, Any]:
    """The form that `read_policy` reads."""
    plain: dict[str, Any] = msgspec.to_builtins(policy)
    return plain


def posted_kinds(policy: Policy) -> tuple[DocumentKind, ...]:
    """The kinds of documents that go to the books; the others are kept and shown as skipped."""
    wanted = {
        DocumentKind.INVOICE: True,
        DocumentKind.CREDIT_MEMO: policy.credit_notes,
        DocumentKind.BILL: policy.bills,
        DocumentKind.EXPENSE: policy.expenses != "off",
        DocumentKind.PURCHASE_ORDER: policy.purchase_orders,
    }
    return tuple(kind for kind, posted in wanted.items() if posted)
