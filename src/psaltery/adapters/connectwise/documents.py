"""A ConnectWise invoice with its parts, as a Document whose lines add up to its subtotal. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.billing_lines import (
    REST,
    Facts,
    LineDraft,
    Parts,
    agreement_of,
    agreement_type,
    fitting,
    signed,
    tax_name,
)
from psaltery.adapters.connectwise.reading import (
    amount,
    currency,
    custom,
    day,
    name,
    ref_id,
    text,
    updated_at,
)
from psaltery.adapters.connectwise.taxes import Taxed, applies, expected, spread
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import Document, DocumentKind, DocumentLine

ONE = Decimal(1)
_GROUPS = {"time": "services", "agreement": "services", "expense": "expenses"}


def is_closed(invoice: wire.Invoice, closed_statuses: Iterable[int] = ()) -> bool:
    """Whether the invoice is billed for good. Older models don't say so in the reference."""
    status = invoice.status
    if status is None:
        return False
    return status.is_closed if status.is_closed is not None else status.id in set(closed_statuses)


def document(invoice: wire.Invoice, parts: Parts, facts: Facts, *, closed: bool = True) -> Document:
    """The document, its amounts positive whether it is an invoice or a credit memo."""
    subtotal, tax, total = _totals(invoice)
    drafts = fitting(invoice, parts, facts, subtotal)
    # A negative invoice of any type is a credit in the books, which know no negative invoices.
    sign = -ONE if total < 0 or (total == 0 and subtotal < 0) else ONE
    credit = invoice.type == "CreditMemo" or sign < 0
    flipped = [signed(draft, sign) for draft in drafts]
    # The debtor in the books; the company itself may be a branch of it.
    debtor = invoice.bill_to_company or invoice.company
    agreement = agreement_of(invoice, facts)
    return Document(
        external_id=str(invoice.id),
        kind=DocumentKind.CREDIT_MEMO if credit else DocumentKind.INVOICE,
        type=text(invoice.type),
        number=text(invoice.invoice_number) or str(invoice.id),
        company_id=ref_id(debtor),
        company_name=name(debtor),
        currency=currency(invoice.currency),
        issued_on=_issued_on(invoice),
        due_on=day(invoice.due_date),
        closed=closed,
        status=name(invoice.status),
        location=name(invoice.location),
        department=name(invoice.department),
        territory=name(invoice.territory),
        reference=text(invoice.reference),
        customer_po=text(invoice.customer_po),
        tax_code=tax_name(invoice.tax_code, facts),
        subtotal=subtotal * sign,
        tax=tax * sign,
        total=total * sign,
        payments=abs(amount(invoice.payments)) if credit else amount(invoice.payments),
        credits=abs(amount(invoice.credits)) if credit else amount(invoice.credits),
        balance=open_balance(invoice),
        agreement=name(invoice.agreement),
        agreement_type=agreement_type(invoice, agreement),
        ticket_id=ref_id(invoice.ticket),
        posted=invoice.gl_batch is not None,
        custom=custom(invoice.custom_fields),
        lines=_with_tax(flipped, facts, tax * sign),
        updated_at=updated_at(invoice),
    )


def unexplained(found: Document) -> Decimal:
    """What no part of the invoice accounts for, beyond a cent a line: either the invoice was read
    while it changed, or the site bills something that the API doesn't show."""
    return sum((abs(line.amount) for line in found.lines if line.key == REST), ZERO)


def open_balance(invoice: wire.Invoice) -> Decimal:
    """What is still to be paid; for a credit memo what can still be applied, positive."""
    _, _, total = _totals(invoice)
    balance = invoice.balance
    if balance is None:
        balance = total - amount(invoice.payments) - amount(invoice.credits)
    return -balance if total < 0 else balance


def _totals(invoice: wire.Invoice) -> tuple[Decimal, Decimal, Decimal]:
    subtotal, tax, total = amount(invoice.subtotal), amount(invoice.sales_tax), invoice.total
    if total is None:
        total = subtotal + tax
    elif invoice.subtotal is None:
        subtotal = total - tax
    return _to_cents(subtotal), _to_cents(tax), _to_cents(total)


def _to_cents(value: Decimal) -> Decimal:
    """With two decimals; with more only where the site really says so, which a person must see."""
    rounded = cents(value)
    return rounded if rounded == value else value


def _issued_on(invoice: wire.Invoice) -> date:
    changed = updated_at(invoice)
    # Never today's date: the same invoice read tomorrow would be another document.
    fallback = changed.date() if changed else date(1970, 1, 1)
    return day(invoice.date) or day(invoice.due_date) or fallback


def _with_tax(drafts: Sequence[LineDraft], facts: Facts, tax: Decimal) -> tuple[DocumentLine, ...]:
    taxed = [_taxed(draft) for draft in drafts]
    codes = facts.tax_levels
    # None says "not known", and the books work the tax out; a guess would miss by cents.
    taxes = spread(taxed, codes, tax)
    # No tax where the codes ask for some: the customer is exempt, whatever the lines say.
    exempt = tax == 0 and expected(taxed, codes) != 0
    return tuple(
        msgspec.structs.replace(
            draft.line,
            tax=taxes[n] if taxes is not None else None,
            taxable=applies(taxed[n], codes) and not exempt,
        )
        for n, draft in enumerate(drafts)
    )


def _taxed(draft: LineDraft) -> Taxed:
    line = draft.line
    group = _GROUPS.get(line.source, "products")
    return Taxed(group=group, amount=line.amount, taxable=line.taxable, code=draft.code)
