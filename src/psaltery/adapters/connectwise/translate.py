"""Wire to records, all but documents (documents.py, procurement.py). Pure."""

from datetime import date
from decimal import Decimal

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.reading import (
    amount,
    currency,
    custom,
    day,
    entered_at,
    identifier,
    moment,
    name,
    ref_id,
    text,
    updated_at,
)
from psaltery.records.psa import (
    Addition,
    Agreement,
    Company,
    Contact,
    PsaPayment,
    Ticket,
    TimeEntry,
)


def company(found: wire.Company) -> Company:
    """A company, customer or supplier."""
    lines = (text(found.address_line1), text(found.address_line2))
    return Company(
        external_id=str(found.id),
        identifier=text(found.identifier),
        name=text(found.name),
        status=name(found.status),
        account_number=text(found.account_number),
        tax_number=text(found.tax_identifier),
        email=text(found.invoice_to_email_address),
        phone=text(found.phone_number),
        website=text(found.website),
        address=tuple(line for line in lines if line),
        city=text(found.city),
        region=text(found.state),
        postcode=text(found.zip),
        country=name(found.country),
        currency=currency(found.currency),
        tax_code=name(found.tax_code),
        territory=name(found.territory),
        types=tuple(name(one) for one in found.types or [] if name(one)),
        tags=tuple(text(tag) for tag in found.integrator_tags or () if text(tag)),
        custom=custom(found.custom_fields),
        is_vendor=bool(found.is_vendor_flag) or _has_vendor_type(found),
        deleted=bool(found.deleted_flag),
        updated_at=updated_at(found),
    )


def _has_vendor_type(found: wire.Company) -> bool:
    # isVendorFlag is newer than the type of that name, and older sites have only the type.
    return found.is_vendor_flag is None and any(
        name(one).lower() == "vendor" for one in found.types or []
    )


def contact(found: wire.Contact) -> Contact:
    """A person at a company."""
    return Contact(
        external_id=str(found.id),
        company_id=ref_id(found.company),
        first_name=text(found.first_name),
        last_name=text(found.last_name),
        email=_reach(found, "Email"),
        phone=_reach(found, "Phone") or text(found.default_phone_nbr),
        title=text(found.title),
        is_billing=bool(found.default_billing_flag),
        is_default=bool(found.default_flag),
        active=not found.inactive_flag,
        updated_at=updated_at(found),
    )


def _reach(found: wire.Contact, kind: str) -> str:
    items = [item for item in found.communication_items or [] if item.communication_type == kind]
    # Stable: among those that are no default the site's own order stays.
    items.sort(key=lambda item: not item.default_flag)
    return next((text(item.value) for item in items if text(item.value)), "")


def agreement(found: wire.Agreement) -> Agreement:
    """A contract. `state` is worked out where the site doesn't tell it."""
    ends_on = None if found.no_ending_date_flag else day(found.end_date)
    return Agreement(
        external_id=str(found.id),
        company_id=ref_id(found.company),
        name=text(found.name),
        type=name(found.type),
        state=text(found.agreement_status).lower() or _state(found),
        starts_on=day(found.start_date),
        ends_on=_earlier(ends_on, day(found.date_cancelled)),
        billing_cycle=name(found.billing_cycle),
        bill_amount=amount(found.bill_amount),
        next_invoice_on=day(found.next_invoice_date),
        location=name(found.location),
        department=name(found.department),
        currency=currency(found.currency),
        updated_at=updated_at(found),
    )


def _state(found: wire.Agreement) -> str:
    return "cancelled" if found.cancelled_flag else "active"


def _earlier(one: date | None, other: date | None) -> date | None:
    return min(one, other) if one and other else one or other


def addition(found: wire.Addition, agreement_id: int) -> Addition:
    """A product that an agreement bills with every invoice."""
    return Addition(
        external_id=str(found.id),
        agreement_id=str(found.agreement_id or agreement_id),
        product=identifier(found.product),
        description=text(found.invoice_description) or text(found.description),
        quantity=amount(found.quantity),
        unit_price=amount(found.unit_price),
        unit_cost=amount(found.unit_cost),
        billable=found.bill_customer in (None, "Billable"),
        effective_on=day(found.effective_date),
        cancelled_on=day(found.cancelled_date),
        updated_at=updated_at(found),
    )


def ticket(found: wire.Ticket) -> Ticket:
    """A service ticket. closedFlag is not to be trusted where status names are reused, so a closing
    date counts too."""
    closed_at = moment(found.closed_date)
    return Ticket(
        external_id=str(found.id),
        company_id=ref_id(found.company),
        summary=text(found.summary),
        board=name(found.board),
        status=name(found.status),
        type=name(found.type),
        priority=name(found.priority),
        owner=identifier(found.owner),
        agreement_id=ref_id(found.agreement),
        source=name(found.source),
        closed=bool(found.closed_flag) or closed_at is not None,
        opened_at=entered_at(found),
        closed_at=closed_at,
        actual_hours=amount(found.actual_hours),
        budget_hours=amount(found.budget_hours),
        updated_at=updated_at(found),
    )


def time_entry(found: wire.TimeEntry) -> TimeEntry:
    """Time worked. `amount` is what its invoice bills for it."""
    return TimeEntry(
        external_id=str(found.id),
        company_id=ref_id(found.company),
        member=identifier(found.member),
        worked_on=day(found.time_start),
        hours=amount(found.actual_hours),
        billable=text(found.billable_option),
        ticket_id=ref_id(found.ticket),
        agreement_id=ref_id(found.agreement),
        invoice_id=ref_id(found.invoice),
        work_type=name(found.work_type),
        work_role=name(found.work_role),
        rate=amount(found.hourly_rate),
        amount=amount(found.extended_invoice_amount),
        notes=text(found.notes),
        updated_at=updated_at(found),
    )


def payment(found: wire.InvoicePayment, document_id: str) -> PsaPayment:
    """A payment record, or a credit memo's application where `credit_id` is set."""
    return PsaPayment(
        external_id=str(found.id),
        document_id=ref_id(found.invoice) or document_id,
        amount=amount(found.amount),
        paid_on=day(found.payment_date),
        credit_id=ref_id(found.credit),
        source=text(found.source),
        method=text(found.type),
    )


def money_body(paid: Decimal, paid_on: date) -> dict[str, object]:
    """Amount and date as payment records take them: the ledger's day, as midnight UTC."""
    return {"amount": paid, "paymentDate": f"{paid_on:%Y-%m-%d}T00:00:00Z"}
