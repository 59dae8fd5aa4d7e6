"""The lines of an invoice from what it bills, under the reading that explains its subtotal. Pure.

ConnectWise has no list of invoice lines: an invoice bills products, time, expenses and an
agreement's fee, and its head holds further amounts. What these don't explain becomes a line of the
source "adjustment" with the key "adjustment:rest" (or "adjustment:rounding" for cents), so that a
reader sees it and the total still ties.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations

import msgspec

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.reading import amount, day, identifier, name, plain, text
from psaltery.adapters.connectwise.taxes import Level
from psaltery.records.money import CENT, ZERO, cents
from psaltery.records.psa import DocumentLine

REST = "adjustment:rest"
ROUNDING = "adjustment:rounding"
ONE = Decimal(1)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What an invoice bills."""

    products: Sequence[wire.ProductItem] = ()
    time: Sequence[wire.TimeEntry] = ()
    expenses: Sequence[wire.ExpenseEntry] = ()


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    """GL accounts that ConnectWise's own mapping chose, for one invoice."""

    products: Mapping[int, str] = {}
    time: Mapping[int, str] = {}
    types: Mapping[str, str] = {}  # glTypeId → account, where all rows of that type agree


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked up beside an invoice, by id."""

    tax_levels: Mapping[int, Sequence[Level]] = {}
    tax_names: Mapping[int, str] = {}
    agreements: Mapping[int, wire.Agreement] = {}
    categories: Mapping[int, str] = {}  # catalog item → product category
    coding: Mapping[int, Coding] = {}  # invoice → coding


class LineDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A line with the id of its tax code, before signs and tax are settled."""

    line: DocumentLine
    code: int | None = None


def fitting(
    invoice: wire.Invoice, parts: Parts, facts: Facts, subtotal: Decimal
) -> list[LineDraft]:
    """The lines under the first reading of the parts that explains the subtotal.

    Whether a product's extPrice already has its discount and the agreement's share taken off is
    documented nowhere, and credit memos may come with either sign, so each reading is tried.
    """
    tried: list[list[LineDraft]] = []
    for reading in _readings(invoice, parts, facts):
        if (extra := _explained(invoice, subtotal - _sum(reading))) is not None:
            return [*reading, *extra]
        tried.append(reading)
    closest = min(tried, key=lambda reading: abs(subtotal - _sum(reading)))
    return [*closest, _rest(invoice, closest, subtotal - _sum(closest))]


def _readings(invoice: wire.Invoice, parts: Parts, facts: Facts) -> Iterator[list[LineDraft]]:
    fixed = [*_time(invoice, parts, facts), *_expenses(invoice, parts, facts)]
    fixed += _fee(invoice, facts)
    # The likeliest first: with amounts that are zero several readings are the same.
    for sign in (ONE, -ONE):
        for off_discount, off_agreement in ((0, 1), (0, 0), (1, 1), (1, 0)):
            products = _products(invoice, parts, facts, bool(off_discount), bool(off_agreement))
            yield [signed(draft, sign) for draft in (*products, *fixed)]


def _explained(invoice: wire.Invoice, leftover: Decimal) -> list[LineDraft] | None:
    """Lines for the amounts on the head that account for `leftover`; None when none do."""
    heads = [
        ("adjustment:service", "Service adjustment", amount(invoice.service_adjustment_amount)),
        (
            "adjustment:progress",
            "Progress billed before",
            -amount(invoice.previous_progress_applied),
        ),
        ("adjustment:down_payment", "Down payment applied", -amount(invoice.downpayment_applied)),
    ]
    heads = [head for head in heads if head[2]]
    # Whether `subtotal` contains each of them is not documented: the fewest that fit are taken.
    for size in range(len(heads) + 1):
        for chosen in combinations(heads, size):
            # To the cent: "nearly" would hide a line that ConnectWise does not show.
            if sum((value for _, _, value in chosen), ZERO) == leftover:
                return [_plain(key, label, value, invoice) for key, label, value in chosen]
    return None


def _rest(invoice: wire.Invoice, reading: Sequence[LineDraft], leftover: Decimal) -> LineDraft:
    if not reading:
        # Down payments and other special invoices may have a head only: it is the line.
        label = text(invoice.top_comment) or text(invoice.reference) or text(invoice.type)
        key = "down_payment" if invoice.type == "DownPayment" else "document"
        return _plain(key, label or "Invoice", leftover, invoice, source=key, taxable=True)
    # Prices have up to six decimals and each line is rounded here, the sum of them there.
    if abs(leftover) <= CENT * len(reading):
        return _plain(ROUNDING, "Rounding", leftover, invoice)
    return _plain(REST, "Adjustment (not shown by ConnectWise)", leftover, invoice)


def _plain(
    key: str,
    label: str,
    value: Decimal,
    invoice: wire.Invoice,
    *,
    source: str = "adjustment",
    taxable: bool = False,
) -> LineDraft:
    line = DocumentLine(
        key=key,
        source=source,
        description=label,
        quantity=ONE,
        unit_price=plain(value),
        amount=value,
        taxable=taxable and invoice.taxable_flag is not False,
        location=name(invoice.location),
        department=name(invoice.department),
    )
    return LineDraft(line=line, code=invoice.tax_code.id if invoice.tax_code and taxable else None)


def _products(
    invoice: wire.Invoice, parts: Parts, facts: Facts, off_discount: bool, off_agreement: bool
) -> Iterator[LineDraft]:
    coding = facts.coding.get(invoice.id, Coding())
    # The same order at every read, or a document would seem to change.
    ordered = sorted(parts.products, key=lambda item: (amount(item.sequence_number), item.id))
    for item in ordered:
        # Never billed, though the list may still hold it.
        if item.cancelled_flag:
            continue
        value = amount(item.ext_price)
        value -= amount(item.discount) if off_discount else ZERO
        value -= amount(item.agreement_amount) if off_agreement else ZERO
        # Shown to the customer at no charge, whatever its price.
        if item.billable_option not in (None, "Billable"):
            value = ZERO
        yield _coded(_product(invoice, item, facts, cents(value), coding), item.tax_code, invoice)


def _product(
    invoice: wire.Invoice, item: wire.ProductItem, facts: Facts, value: Decimal, coding: Coding
) -> DocumentLine:
    catalog_id = item.catalog_item.id if item.catalog_item else None
    return DocumentLine(
        key=f"product:{item.id}",
        source="product",
        description=text(item.customer_description) or text(item.description),
        quantity=ONE if item.quantity is None else plain(item.quantity),
        unit_price=plain(item.price),
        amount=value,
        taxable=item.taxable_flag is not False and invoice.taxable_flag is not False,
        tax_code=tax_name(item.tax_code or invoice.tax_code, facts),
        discount=plain(item.discount),
        product=identifier(item.catalog_item),
        category=facts.categories.get(catalog_id or 0, ""),
        agreement=name(item.agreement),
        agreement_type=text(item.agreement.type) if item.agreement else "",
        gl_account=coding.products.get(item.id) or coding.types.get("RP", ""),
        location=name(item.location) or name(invoice.location),
        department=name(item.business_unit) or name(invoice.department),
    )


def _time(invoice: wire.Invoice, parts: Parts, facts: Facts) -> Iterator[LineDraft]:
    coding = facts.coding.get(invoice.id, Coding())
    for entry in sorted(parts.time, key=lambda entry: (entry.time_start or "", entry.id)):
        line = DocumentLine(
            key=f"time:{entry.id}",
            source="time",
            description=_time_text(entry),
            quantity=plain(_hours(entry)),
            unit_price=plain(entry.hourly_rate),
            amount=cents(_time_amount(entry)),
            taxable=invoice.taxable_flag is not False,
            tax_code=tax_name(entry.tax_code or invoice.tax_code, facts),
            work_type=name(entry.work_type),
            work_role=name(entry.work_role),
            agreement=name(entry.agreement),
            agreement_type=text(entry.agreement.type) if entry.agreement else "",
            member=identifier(entry.member),
            gl_account=coding.time.get(entry.id) or coding.types.get("R", ""),
            location=name(entry.location) or name(invoice.location),
            department=name(entry.department) or name(invoice.department),
        )
        yield _coded(line, entry.tax_code, invoice)


def _time_text(entry: wire.TimeEntry) -> str:
    worked = day(entry.time_start)
    label = ", ".join(part for part in (name(entry.work_type), identifier(entry.member)) if part)
    when = f"{worked:%Y-%m-%d} " if worked else ""
    notes = text(entry.notes)
    return f"{when}{label}: {notes}" if notes else f"{when}{label}"


def _hours(entry: wire.TimeEntry) -> Decimal:
    for hours in (entry.invoice_hours, entry.hours_billed, entry.actual_hours):
        if hours is not None:
            return hours
    return ZERO


def _time_amount(entry: wire.TimeEntry) -> Decimal:
    # What the site says it bills; hours times rate only stands in.
    if entry.extended_invoice_amount is not None:
        return entry.extended_invoice_amount
    return _hours(entry) * amount(entry.hourly_rate)


def _expenses(invoice: wire.Invoice, parts: Parts, facts: Facts) -> Iterator[LineDraft]:
    coding = facts.coding.get(invoice.id, Coding())
    for entry in sorted(parts.expenses, key=lambda entry: (entry.date or "", entry.id)):
        # Null is "not told", zero is "billed at nothing": `or` would take one for the other.
        billed = entry.invoice_amount if entry.invoice_amount is not None else entry.bill_amount
        line = DocumentLine(
            key=f"expense:{entry.id}",
            source="expense",
            description=text(entry.notes) or name(entry.type),
            quantity=ONE,
            unit_price=plain(billed),
            amount=cents(amount(billed)),
            taxable=invoice.taxable_flag is not False,
            tax_code=tax_name(invoice.tax_code, facts),
            expense_type=name(entry.type),
            agreement=name(entry.agreement),
            member=identifier(entry.member),
            gl_account=coding.types.get("RE", ""),
            location=name(invoice.location),
            department=name(invoice.department),
        )
        yield _coded(line, None, invoice)


def _fee(invoice: wire.Invoice, facts: Facts) -> Iterator[LineDraft]:
    fee = amount(invoice.agreement_amount)
    if not fee:
        return
    agreement = agreement_of(invoice, facts)
    told = text(agreement.invoice_description) if agreement else ""
    # The invoice's head has one code; the agreement may be taxed by another.
    code = (agreement.tax_code if agreement else None) or invoice.tax_code
    taxable = invoice.taxable_flag is not False and not (agreement and agreement.taxable is False)
    coding = facts.coding.get(invoice.id, Coding())
    line = DocumentLine(
        key="agreement",
        source="agreement",
        description=told or name(invoice.agreement) or "Agreement",
        quantity=ONE,
        unit_price=plain(fee),
        amount=cents(fee),
        taxable=taxable,
        tax_code=tax_name(code, facts),
        agreement=name(invoice.agreement),
        agreement_type=agreement_type(invoice, agreement),
        gl_account=coding.types.get("RA", ""),
        location=name(invoice.location),
        department=name(invoice.department),
    )
    yield LineDraft(line=line, code=code.id if code else None)


def _coded(line: DocumentLine, own: wire.Ref | None, invoice: wire.Invoice) -> LineDraft:
    code = own or invoice.tax_code
    return LineDraft(line=line, code=code.id if code else None)


def _sum(drafts: Sequence[LineDraft]) -> Decimal:
    return sum((draft.line.amount for draft in drafts), ZERO)


def signed(draft: LineDraft, sign: Decimal) -> LineDraft:
    """The line times `sign` (1 or -1); the quantity stays positive where it can."""
    if sign > 0:
        return draft
    line = draft.line
    negative_quantity = line.quantity < 0
    turned = msgspec.structs.replace(
        line,
        amount=-line.amount,
        discount=-line.discount,
        quantity=-line.quantity if negative_quantity else line.quantity,
        unit_price=line.unit_price if negative_quantity else -line.unit_price,
    )
    return LineDraft(line=turned, code=draft.code)


def agreement_of(invoice: wire.Invoice, facts: Facts) -> wire.Agreement | None:
    """The agreement that the invoice bills, where it was looked up."""
    ref = invoice.agreement
    return facts.agreements.get(ref.id) if ref and ref.id else None


def agreement_type(invoice: wire.Invoice, agreement: wire.Agreement | None) -> str:
    """The agreement type's name, from the invoice's reference or from the agreement itself."""
    told = text(invoice.agreement.type) if invoice.agreement else ""
    return told or (name(agreement.type) if agreement else "")


def tax_name(ref: wire.Ref | None, facts: Facts) -> str:
    """The tax code's identifier, as the list of tax codes has it."""
    if ref is None:
        return ""
    return facts.tax_names.get(ref.id or 0) or name(ref)
