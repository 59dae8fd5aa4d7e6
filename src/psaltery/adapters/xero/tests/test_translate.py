"""Wire to records, on made-up answers in Xero's shape."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from psaltery.adapters.xero import translate, wire
from psaltery.records.books import CreditNote, Settlement, Status, TaxMode, Unallocated

FIXTURES = Path(__file__).parent / "fixtures"
UPDATED = datetime(2026, 10, 1, 0, 3, 20, 250000, tzinfo=UTC)


def _records(feed: str, type_: Any) -> tuple[Any, ...]:
    return translate.records_of(feed, wire.decode((FIXTURES / f"{feed}.json").read_bytes(), type_))


def test_an_invoice_with_its_lines() -> None:
    full, bare = _records("invoices", wire.Invoices)
    assert (full.kind, full.number, full.status) == ("receivable", "MSP-1041", Status.AUTHORISED)
    assert (full.issued_on, full.due_on) == (date(2026, 9, 30), date(2026, 10, 14))
    assert full.tax_mode is TaxMode.INCLUSIVE
    assert (full.total, full.tax, full.amount_due) == (
        Decimal("230.10"),
        Decimal("20.92"),
        Decimal("200.10"),
    )
    assert full.customer_name == "Harbour View Dental"
    assert full.url == "https://hub.example/documents/1041"
    assert full.updated_at == UPDATED
    first, note = full.lines
    assert first.unit_amount == Decimal("104.5955")
    assert first.description.endswith("🎻")
    assert first.tracking == ("Region: Sydney", "Department: Service")
    assert (note.line_amount, note.account_code) == (Decimal(0), "")
    assert (bare.status, bare.issued_on, bare.updated_at) == (Status.UNKNOWN, None, None)


def test_a_credit_note_brings_all_touches_of_its_credit() -> None:
    note, *touches = _records("credit_notes", wire.CreditNotes)
    assert isinstance(note, CreditNote)
    assert (note.number, note.remaining, note.kind) == ("CM-12", Decimal("12.00"), "receivable")
    assert [(touch.invoice_id, touch.amount) for touch in touches] == [
        ("i1", Decimal("25.00")),
        ("i2", Decimal("5.50")),
        ("i2", Decimal("5.50")),
        ("", Decimal("2.00")),
    ]
    assert {touch.source_id for touch in touches} == {note.external_id}
    assert len({touch.external_id for touch in touches}) == 4
    assert touches[2].paid_on == note.issued_on
    assert touches[3].external_id == "9a000000-0000-4000-8000-000000000009"


def test_payments_know_what_they_are_on() -> None:
    paid, refund, returned, bill = _records("payments", wire.Payments)
    assert (paid.source, paid.source_id, paid.invoice_id) == ("payment", "p1", "i1")
    assert (paid.currency, paid.account_id, paid.batch_id) == ("NZD", "acc1", "b1")
    assert paid.reconciled is True
    assert (refund.source, refund.source_id, refund.invoice_id) == ("credit_note", "cn1", "")
    assert (refund.state, refund.source_number) == ("deleted", "CM-5")
    assert (returned.source, returned.source_id, returned.invoice_id) == ("overpayment", "o1", "")
    assert (bill.kind, bill.invoice_id) == ("payable", "b9")


def test_an_overpayment_and_its_allocation() -> None:
    rest, touch, supplier = _records("overpayments", wire.Overpayments)
    assert isinstance(rest, Unallocated)
    assert (rest.source, rest.total, rest.remaining) == ("overpayment", 20, 15)
    assert isinstance(touch, Settlement)
    assert (touch.source, touch.invoice_id, touch.paid_on) == (
        "overpayment",
        "i1",
        date(2026, 10, 2),
    )
    assert (supplier.kind, supplier.status) == ("payable", Status.PAID)


def test_contacts() -> None:
    full, bare = _records("contacts", wire.Contacts)
    assert (full.state, full.merged_into) == ("archived", "c9")
    assert (full.city, full.country, full.phone) == ("Sydney", "Australia", "+61 2 555 1212")
    assert (bare.state, bare.phone, bare.city) == ("gdpr_request", "", "")


def test_settings_lists() -> None:
    raw = wire.Account(code="090", type="BANK", status="ARCHIVED", account_class="ASSET")
    assert (translate.account(raw).active, translate.account(raw).takes_payments) == (False, True)
    rate = translate.tax_rate(
        wire.TaxRate(
            tax_type="OUTPUT",
            status="ACTIVE",
            effective_rate=Decimal(10),
            can_apply_to_revenue=True,
            can_apply_to_assets=True,
        )
    )
    assert (rate.rate, rate.classes, rate.active) == (Decimal(10), ("ASSET", "REVENUE"), True)


def test_an_organisation_reads_its_locks_at_home() -> None:
    raw = wire.Organisation(
        organisation_id="org",
        timezone="NEWZEALANDSTANDARDTIME",
        period_lock_date="/Date(1419937200000+0000)/",
    )
    found = translate.organisation(raw)
    assert (found.time_zone, found.period_lock_on, found.year_lock_on) == (
        "Pacific/Auckland",
        date(2014, 12, 31),
        None,
    )


@pytest.mark.parametrize("kind", ["PRACTICE", "PRACTICEMANAGER", "APPLICATION", ""])
def test_only_organisations_are_tenants(kind: str) -> None:
    links = [
        wire.Link(id="l1", tenant_id="t1", tenant_type=kind, tenant_name="No books"),
        wire.Link(id="l2", tenant_id="t2", tenant_type="ORGANISATION", tenant_name="Books"),
    ]
    assert [tenant.external_id for tenant in translate.tenants(links)] == ["t2"]


def test_every_list_has_a_translation() -> None:
    empty: dict[str, Any] = {
        "contacts": wire.Contacts,
        "invoices": wire.Invoices,
        "credit_notes": wire.CreditNotes,
        "payments": wire.Payments,
        "overpayments": wire.Overpayments,
        "prepayments": wire.Prepayments,
    }
    for feed, type_ in empty.items():
        assert translate.records_of(feed, msgspec.json.decode(b"{}", type=type_)) == ()
