"""Xero's structs into records: pure, and the only place besides `elements.py` that knows both.

Settlements are made one for each touch of money or credit on an invoice. Payments carry their own;
for credit notes, overpayments and prepayments all touches come with the document, so that a touch
which is no longer among them is gone: Xero sends no tombstone for a removed allocation.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from psaltery.adapters.xero import wire
from psaltery.adapters.xero.dates import day, iana_zone, lock_day, moment
from psaltery.records.books import (
    Account,
    BrandingTheme,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    Organisation,
    Settlement,
    Status,
    TaxMode,
    TaxRate,
    Tenant,
    TrackingCategory,
    TrackingOption,
    Unallocated,
)
from psaltery.records.money import ZERO

_STATUSES = {status.value.upper(): status for status in Status}
_TAX_MODES = {
    "Exclusive": TaxMode.EXCLUSIVE,
    "Inclusive": TaxMode.INCLUSIVE,
    "NoTax": TaxMode.NO_TAX,
}
# ACCPAY and ACCPAYCREDIT; AP…PAYMENT; SPEND-OVERPAYMENT and SPEND-PREPAYMENT.
_PAYABLE_TYPES = ("ACCPAY", "AP", "SPEND")
_NO_TRACKING: tuple[str, ...] = ()


def status(text: str) -> Status:
    """Xero's status; UNKNOWN for a word that is not on our list."""
    # A status that Xero adds one day must not stop a feed.
    return _STATUSES.get(text, Status.UNKNOWN)


def kind(type_: str) -> str:
    """ "payable" for ACCPAY, ACCPAYCREDIT, AP…, SPEND-…; "receivable" for all others."""
    return "payable" if type_.startswith(_PAYABLE_TYPES) else "receivable"


def customer(raw: wire.Contact) -> Customer:
    city, country = _place(raw.addresses)
    return Customer(
        external_id=raw.contact_id,
        name=raw.name,
        email=raw.email_address,
        tax_number=raw.tax_number,
        account_number=raw.account_number,
        contact_number=raw.contact_number,
        phone=_phone(raw.phones),
        website=raw.website,
        city=city,
        country=country,
        currency=raw.default_currency,
        is_customer=raw.is_customer,
        is_supplier=raw.is_supplier,
        state=_CONTACT_STATES.get(raw.contact_status, raw.contact_status.lower()),
        merged_into=raw.merged_to,
        updated_at=moment(raw.updated),
    )


# "ACTIVE" and "ARCHIVED" become our words by their lower case alone.
_CONTACT_STATES = {"": "active", "GDPRREQUEST": "gdpr_request"}


def _phone(phones: list[wire.Phone]) -> str:
    """The first number that is set: DEFAULT before the others."""
    for phone in sorted(phones, key=lambda phone: phone.phone_type != "DEFAULT"):
        if phone.phone_number:
            country = phone.phone_country_code.lstrip("+")
            parts = (f"+{country}" if country else "", phone.phone_area_code, phone.phone_number)
            return " ".join(part for part in parts if part)
    return ""


def _place(addresses: list[wire.Address]) -> tuple[str, str]:
    """City and country of the mailing address (POBOX), else of any other."""
    for address in sorted(addresses, key=lambda address: address.address_type != "POBOX"):
        if address.city or address.country:
            return address.city, address.country
    return "", ""


def invoice(raw: wire.Invoice) -> Invoice:
    contact = raw.contact
    return Invoice(
        external_id=raw.invoice_id,
        kind=kind(raw.type),
        number=raw.invoice_number,
        status=_STATUSES.get(raw.status, Status.UNKNOWN),
        customer_id=contact.contact_id,
        customer_name=contact.name,
        currency=raw.currency_code,
        issued_on=day(raw.date),
        due_on=day(raw.due_date),
        fully_paid_on=day(raw.fully_paid_on_date),
        reference=raw.reference,
        tax_mode=_TAX_MODES.get(raw.line_amount_types, TaxMode.EXCLUSIVE),
        rate=raw.currency_rate,
        subtotal=raw.sub_total,
        tax=raw.total_tax,
        total=raw.total,
        amount_due=raw.amount_due,
        amount_paid=raw.amount_paid,
        amount_credited=raw.amount_credited,
        url=raw.url,
        repeating_id=raw.repeating_invoice_id,
        # Lists inside `tuple` here and below: a third faster than generators, on every record.
        lines=tuple([_line(line) for line in raw.line_items]),
        updated_at=moment(raw.updated),
    )


def _line(raw: wire.Line) -> InvoiceLine:
    return InvoiceLine(
        external_id=raw.line_item_id,
        description=raw.description,
        quantity=raw.quantity,
        unit_amount=raw.unit_amount,
        line_amount=raw.line_amount,
        tax_amount=raw.tax_amount,
        tax_type=raw.tax_type,
        account_code=raw.account_code,
        item_code=raw.item_code,
        tracking=tuple([f"{entry.name}: {entry.option}" for entry in raw.tracking])
        if raw.tracking
        else _NO_TRACKING,
    )


def credit_note(raw: wire.CreditNote) -> Iterator[CreditNote | Settlement]:
    """The note, then every touch of its credit: allocations and refunds."""
    yield CreditNote(
        external_id=raw.external_id,
        kind=kind(raw.type),
        number=raw.number,
        status=status(raw.status),
        customer_id=raw.contact.contact_id,
        customer_name=raw.contact.name,
        currency=raw.currency_code,
        issued_on=day(raw.date),
        reference=raw.reference,
        subtotal=raw.sub_total,
        tax=raw.total_tax,
        total=raw.total,
        remaining=raw.remaining_credit,
        lines=tuple([_line(line) for line in raw.line_items]),
        updated_at=moment(raw.updated),
    )
    yield from _touches(raw, "credit_note")


def overpayment(raw: wire.Overpayment) -> Iterator[Unallocated | Settlement]:
    """The overpayment, then every touch of its money: allocations and refunds."""
    yield _unallocated(raw, "overpayment", raw.external_id)
    yield from _touches(raw, "overpayment")


def prepayment(raw: wire.Prepayment) -> Iterator[Unallocated | Settlement]:
    """The prepayment, then every touch of its money: allocations and refunds."""
    yield _unallocated(raw, "prepayment", raw.external_id)
    yield from _touches(raw, "prepayment")


def _unallocated(raw: wire.Credit, source: str, external_id: str) -> Unallocated:
    return Unallocated(
        external_id=external_id,
        source=source,
        customer_id=raw.contact.contact_id,
        customer_name=raw.contact.name,
        currency=raw.currency_code,
        received_on=day(raw.date),
        total=raw.total,
        remaining=raw.remaining_credit,
        status=status(raw.status),
        kind=kind(raw.type),
        reference=raw.reference,
        updated_at=moment(raw.updated),
    )


def _touches(
    raw: wire.CreditNote | wire.Overpayment | wire.Prepayment, source: str
) -> Iterator[Settlement]:
    seen: dict[str, int] = {}
    for entry in raw.allocations:
        touch = entry.allocation_id
        if not touch:
            # Older answers leave the id out; note, invoice and a counter stand in for it.
            target = entry.invoice.invoice_id
            seen[target] = seen.get(target, 0) + 1
            touch = f"{raw.external_id}:{target}:{seen[target]}"
        yield _allocation(raw, source, entry, touch)
    for payment_ in raw.payments:
        yield _refund(raw, source, payment_)


def _allocation(
    raw: wire.CreditNote | wire.Overpayment | wire.Prepayment,
    source: str,
    entry: wire.Allocation,
    touch: str,
) -> Settlement:
    return Settlement(
        external_id=touch,
        source=source,
        source_id=raw.external_id,
        invoice_id=entry.invoice.invoice_id,
        amount=entry.amount,
        currency=raw.currency_code,
        # Xero's page calls an allocation's date the later of both documents' dates.
        paid_on=day(entry.date) or day(raw.date),
        kind=kind(raw.type),
        source_number=raw.number,
        reference=raw.reference,
        rate=raw.currency_rate,
        state="deleted" if entry.is_deleted else "active",
        updated_at=moment(raw.updated),
    )


def _refund(
    raw: wire.CreditNote | wire.Overpayment | wire.Prepayment,
    source: str,
    entry: wire.NestedPayment,
) -> Settlement:
    return Settlement(
        external_id=entry.payment_id,
        source=source,
        source_id=raw.external_id,
        invoice_id="",
        amount=entry.amount,
        currency=raw.currency_code,
        paid_on=day(entry.date) or day(raw.date),
        kind=kind(raw.type),
        source_number=raw.number,
        reference=entry.reference,
        rate=entry.currency_rate,
        updated_at=moment(raw.updated),
    )


def payment(raw: wire.Payment) -> Settlement:
    """A payment on an invoice, or a refund of credit (then `invoice_id` is "")."""
    source, source_id, target = _paid(raw)
    batch = raw.batch_payment
    return Settlement(
        external_id=raw.payment_id,
        source=source,
        source_id=source_id,
        invoice_id=target.invoice_id if source == "payment" else "",
        amount=raw.amount,
        currency=target.currency_code,
        paid_on=day(raw.date),
        kind=kind(raw.payment_type),
        source_number="" if source == "payment" else target.number,
        reference=raw.reference,
        account_id=raw.account.account_id,
        batch_id=raw.batch_payment_id or (batch.batch_payment_id if batch else ""),
        rate=raw.currency_rate,
        # The flag of a member may stay false although its batch is reconciled.
        # https://github.com/XeroAPI/Xero-OpenAPI/issues/205
        reconciled=raw.is_reconciled or bool(batch and batch.is_reconciled),
        state="deleted" if raw.status == "DELETED" else "active",
        updated_at=moment(raw.updated),
    )


def _paid(raw: wire.Payment) -> tuple[str, str, wire.DocumentRef]:
    """Source, source id and the document that a payment is on."""
    if raw.overpayment:
        return "overpayment", raw.overpayment.overpayment_id, raw.overpayment
    if raw.prepayment:
        return "prepayment", raw.prepayment.prepayment_id, raw.prepayment
    if raw.credit_note:
        return "credit_note", raw.credit_note.credit_note_id, raw.credit_note
    document = raw.invoice or wire.DocumentRef()
    # In lists, a refunded credit note stands under `Invoice`, told apart by its type alone.
    if document.type.endswith("CREDIT"):
        return "credit_note", document.invoice_id, document
    return "payment", raw.payment_id, document


def organisation(raw: wire.Organisation) -> Organisation:
    zone = iana_zone(raw.timezone)
    return Organisation(
        external_id=raw.organisation_id,
        name=raw.name,
        short_code=raw.short_code,
        base_currency=raw.base_currency,
        country=raw.country_code,
        time_zone=zone,
        legal_name=raw.legal_name,
        plan=raw.plan,
        pays_tax=raw.pays_tax,
        demo=raw.is_demo_company,
        period_lock_on=lock_day(raw.period_lock_date, zone),
        year_lock_on=lock_day(raw.end_of_year_lock_date, zone),
    )


def account(raw: wire.Account) -> Account:
    return Account(
        external_id=raw.account_id,
        code=raw.code,
        name=raw.name,
        type=raw.type,
        account_class=raw.account_class,
        tax_type=raw.tax_type,
        active=raw.status in ("", "ACTIVE"),
        # A bank account always does; others only when someone has ticked the box.
        takes_payments=raw.type == "BANK" or raw.enable_payments_to_account,
        system=raw.system_account,
        currency=raw.currency_code,
    )


def tax_rate(raw: wire.TaxRate) -> TaxRate:
    flags = (
        ("ASSET", raw.can_apply_to_assets),
        ("EQUITY", raw.can_apply_to_equity),
        ("EXPENSE", raw.can_apply_to_expenses),
        ("LIABILITY", raw.can_apply_to_liabilities),
        ("REVENUE", raw.can_apply_to_revenue),
    )
    # Effective: with compound components worked out, as it is charged.
    rate = raw.effective_rate if raw.effective_rate is not None else raw.display_tax_rate
    return TaxRate(
        tax_type=raw.tax_type,
        name=raw.name,
        rate=rate if rate is not None else ZERO,
        active=raw.status in ("", "ACTIVE"),
        classes=tuple(name for name, applies in flags if applies),
    )


def tracking_category(raw: wire.TrackingCategory) -> TrackingCategory:
    return TrackingCategory(
        external_id=raw.tracking_category_id,
        name=raw.name,
        active=raw.status in ("", "ACTIVE"),
        options=tuple(
            TrackingOption(
                external_id=option.tracking_option_id,
                name=option.name,
                active=option.status in ("", "ACTIVE"),
            )
            for option in raw.options
        ),
    )


def branding_theme(raw: wire.BrandingTheme) -> BrandingTheme:
    return BrandingTheme(external_id=raw.branding_theme_id, name=raw.name)


def tenants(links: Iterable[wire.Link]) -> tuple[Tenant, ...]:
    """Only real organisations: PRACTICE and PRACTICEMANAGER hold no books of their own."""
    return tuple(
        Tenant(
            external_id=link.tenant_id,
            connection_id=link.id,
            # A name may be null in the list; the organisation itself tells it later.
            name=link.tenant_name or link.tenant_id,
        )
        for link in links
        if link.tenant_type.upper() == "ORGANISATION"
    )


def records_of(feed: str, page: Any) -> tuple[Any, ...]:
    """All records of a decoded page of `feed`, in the page's order."""
    if feed in _ONE_EACH:
        one = _ONE_EACH[feed]
        return tuple([one(raw) for raw in page.records])
    several = _SEVERAL_EACH[feed]
    return tuple([record for raw in page.records for record in several(raw)])


_ONE_EACH: dict[str, Callable[[Any], Any]] = {
    "contacts": customer,
    "invoices": invoice,
    "bills": invoice,
    "payments": payment,
}
_SEVERAL_EACH: dict[str, Callable[[Any], Iterator[Any]]] = {
    "credit_notes": credit_note,
    "overpayments": overpayment,
    "prepayments": prepayment,
}
