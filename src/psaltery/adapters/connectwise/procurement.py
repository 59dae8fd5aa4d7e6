"""Received purchase orders as bills, and approved expenses. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.reading import (
    amount,
    currency,
    day,
    identifier,
    name,
    plain,
    ref_id,
    text,
    updated_at,
)
from psaltery.records.books import TaxMode
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import Document, DocumentKind, DocumentLine

# Habit of the field: an order has room for one supplier invoice number, so further ones are
# entered as a line of this product whose description is the number.
SUPPLIER_INVOICE = "SUPPLIER-INVOICE"
APPROVED = frozenset(
    {"ApprovedByTierTwo", "ReadyToBill", "Billed", "BilledAgreement", "WrittenOff"}
)
ONE = Decimal(1)
Names = Mapping[int, str]


def bill_id(order_id: int, slip: str) -> str:
    """The external id of one bill: the order, and the packing slip where there is one."""
    return f"{order_id}-{slip}" if slip else str(order_id)


def order_of(external_id: str) -> tuple[int, str]:
    """The inverse of `bill_id`."""
    order, _, slip = external_id.partition("-")
    return int(order), slip


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What orders only refer to, by id."""

    locations: Names = {}
    categories: Names = {}  # catalog item → product category
    tax_codes: Names = {}  # tax code → its identifier


def bills(
    order: wire.PurchaseOrder, lines: Iterable[wire.PurchaseOrderLine], known: Known
) -> list[Document]:
    """One bill a packing slip, of what was received and closed."""
    slips: dict[str, list[wire.PurchaseOrderLine]] = {}
    for line in sorted(lines, key=lambda line: (line.line_number or 0, line.id)):
        if _received(line):
            slips.setdefault(text(line.packing_slip), []).append(line)
    with_freight = _slip_with_freight(order, slips)
    return [
        _bill(order, slip, mine, freight=slip == with_freight, known=known)
        for slip, mine in slips.items()
    ]


def _slip_with_freight(order: wire.PurchaseOrder, slips: Iterable[str]) -> str | None:
    """The bill that carries the freight: exactly one, and the same one however many follow.

    A slip that is named and has not come is waited for until the order is closed.
    """
    known, named = list(slips), text(order.freight_packing_slip)
    if named in known:
        return named
    return next(iter(known), None) if not named or order.closed_flag else None


def _received(line: wire.PurchaseOrderLine) -> bool:
    # Ordered is not owed: a bill holds only what has come.
    if line.canceled_flag or not amount(line.received_quantity):
        return False
    return line.closed_flag if line.closed_flag is not None else line.received_status != "Waiting"


def _bill(
    order: wire.PurchaseOrder,
    slip: str,
    received: Sequence[wire.PurchaseOrderLine],
    *,
    freight: bool,
    known: Known,
) -> Document:
    numbers = [text(r.description) for r in received if _carries_number(r)]
    vendor_number = next(iter(numbers), text(order.vendor_invoice_number))
    location = name(order.location) or known.locations.get(order.location_id or 0, "")
    lines = [_line(order, r, location, known) for r in received if not _carries_number(r)]
    lines += _freight(order, location, known) if freight else []
    subtotal = sum((line.amount for line in lines), ZERO)
    tax = sum((line.tax or ZERO for line in lines), ZERO)
    po_number = text(order.po_number) or str(order.id)
    return Document(
        external_id=bill_id(order.id, slip),
        kind=DocumentKind.BILL,
        type="PurchaseOrder",
        number=vendor_number or (f"{po_number}/{slip}" if slip else po_number),
        company_id=ref_id(order.vendor_company),
        company_name=name(order.vendor_company),
        currency=currency(order.currency),
        issued_on=_billed_on(order, received),
        status=name(order.status),
        location=location,
        department=name(order.business_unit),
        reference=po_number,
        tax_code=_tax_code(order, known),
        subtotal=subtotal,
        tax=tax,
        total=subtotal + tax,
        balance=subtotal + tax,
        posted=all(line.batched_flag for line in received),
        vendor_number=vendor_number,
        lines=tuple(lines),
        updated_at=updated_at(order),
    )


def purchase_order(
    order: wire.PurchaseOrder, lines: Iterable[wire.PurchaseOrderLine], known: Known
) -> Document:
    """The order itself, with all that was ordered; `balance` is what has not been received."""
    wanted = [
        line
        for line in sorted(lines, key=lambda line: (line.line_number or 0, line.id))
        if not line.canceled_flag and not _carries_number(line)
    ]
    location = name(order.location) or known.locations.get(order.location_id or 0, "")
    ordered = [_line(order, line, location, known, whole=True) for line in wanted]
    waiting = [o for o, line in zip(ordered, wanted, strict=True) if not _received(line)]
    parts = [*ordered, *_freight(order, location, known)]
    subtotal = sum((part.amount for part in parts), ZERO)
    tax = sum((part.tax or ZERO for part in parts), ZERO)
    changed = updated_at(order)
    last = changed.date() if changed else date(1970, 1, 1)
    return Document(
        external_id=str(order.id),
        kind=DocumentKind.PURCHASE_ORDER,
        type="PurchaseOrder",
        number=text(order.po_number) or str(order.id),
        company_id=ref_id(order.vendor_company),
        company_name=name(order.vendor_company),
        currency=currency(order.currency),
        issued_on=day(order.po_date) or last,
        status=name(order.status),
        location=location,
        department=name(order.business_unit),
        tax_code=_tax_code(order, known),
        subtotal=subtotal,
        tax=tax,
        total=subtotal + tax,
        balance=sum((part.amount for part in waiting), ZERO),
        lines=tuple(parts),
        updated_at=changed,
    )


def _carries_number(line: wire.PurchaseOrderLine) -> bool:
    return identifier(line.product).upper() == SUPPLIER_INVOICE


def _billed_on(order: wire.PurchaseOrder, received: Sequence[wire.PurchaseOrderLine]) -> date:
    days = [found for line in received if (found := day(line.date_received))]
    changed = updated_at(order)
    last = changed.date() if changed else date(1970, 1, 1)
    return day(order.vendor_invoice_date) or max(days, default=day(order.po_date) or last)


def _tax_code(order: wire.PurchaseOrder, known: Known) -> str:
    code = order.tax_code
    return known.tax_codes.get((code.id if code else None) or 0, name(code))


def _line(
    order: wire.PurchaseOrder,
    line: wire.PurchaseOrderLine,
    location: str,
    known: Known,
    *,
    whole: bool = False,
) -> DocumentLine:
    """What was received of a line, or (`whole`) all that was ordered."""
    quantity = amount(line.quantity)
    received = quantity if whole else amount(line.received_quantity)
    whole = received == quantity
    value = amount(line.unit_cost) * received
    tax = amount(line.tax)
    if whole and line.ext_cost is not None:
        value = line.ext_cost
    elif not whole and quantity:
        # The line's tax is that of the ordered quantity; the rest comes on another line.
        tax = tax * received / quantity
    return DocumentLine(
        key=f"line:{line.id}",
        source="product",
        description=text(line.description),
        quantity=plain(received),
        unit_price=plain(line.unit_cost),
        amount=cents(value),
        taxable=bool(tax),
        tax_code=_tax_code(order, known),
        tax=cents(tax),
        product=identifier(line.product),
        category=known.categories.get((line.product.id if line.product else None) or 0, ""),
        location=location,
        department=name(order.business_unit),
    )


def _freight(order: wire.PurchaseOrder, location: str, known: Known) -> list[DocumentLine]:
    cost, tax = amount(order.freight_cost), amount(order.freight_tax_total)
    if not cost and not tax:
        return []
    line = DocumentLine(
        key="freight",
        source="freight",
        description="Freight",
        quantity=ONE,
        unit_price=plain(cost),
        amount=cents(cost),
        taxable=bool(tax),
        tax_code=_tax_code(order, known),
        tax=cents(tax),
        location=location,
        department=name(order.business_unit),
    )
    return [line]


def is_approved(entry: wire.ExpenseEntry) -> bool:
    """Whether the expense may be posted."""
    return entry.status in APPROVED


def expense(entry: wire.ExpenseEntry, locations: Names) -> Document:
    """An expense as a document owed to the member who paid it; `company_id` is "member:" and id.

    Whether the amount contains its taxes is documented nowhere: it is read as containing them, as
    on a receipt, and `tax_mode_known` is false where there are any.
    """
    total = cents(amount(entry.amount))
    tax = cents(sum((amount(one.amount) for one in entry.taxes or []), ZERO))
    member = identifier(entry.member)
    changed = updated_at(entry)
    return Document(
        external_id=str(entry.id),
        kind=DocumentKind.EXPENSE,
        type=name(entry.classification),
        number=f"EXP-{entry.id}",
        company_id=f"member:{ref_id(entry.member)}",
        company_name=name(entry.member) or member,
        currency=currency(entry.currency),
        issued_on=day(entry.date) or (changed.date() if changed else date(1970, 1, 1)),
        closed=is_approved(entry),
        status=text(entry.status),
        location=locations.get(entry.location_id or 0, ""),
        reference=ref_id(entry.expense_report),
        tax_mode=TaxMode.INCLUSIVE if tax else TaxMode.EXCLUSIVE,
        tax_mode_known=not tax,
        subtotal=total - tax,
        tax=tax,
        total=total,
        balance=total,
        agreement=name(entry.agreement),
        ticket_id=ref_id(entry.ticket),
        lines=(_expense_line(entry, total, tax, locations),),
        updated_at=changed,
    )


def _expense_line(
    entry: wire.ExpenseEntry, total: Decimal, tax: Decimal, locations: Names
) -> DocumentLine:
    taxes = [name(one.type) for one in entry.taxes or [] if name(one.type)]
    return DocumentLine(
        key=f"expense:{entry.id}",
        source="expense",
        description=text(entry.notes) or name(entry.type),
        quantity=ONE,
        unit_price=plain(total),
        amount=total,
        taxable=bool(tax),
        tax_code=taxes[0] if taxes else "",
        tax=tax,
        expense_type=name(entry.type),
        category=name(entry.payment_method),
        agreement=name(entry.agreement),
        member=identifier(entry.member),
        location=locations.get(entry.location_id or 0, ""),
    )
