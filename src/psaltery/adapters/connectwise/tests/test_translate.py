"""Records other than invoices, from fixtures with the faults of real data."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

import msgspec
import pytest

from psaltery.adapters.connectwise import lookups, procurement, translate, wire
from psaltery.adapters.connectwise.reading import currency, day, moment, text
from psaltery.adapters.connectwise.tests.reading_fixtures import fixture
from psaltery.adapters.connectwise.wire_accounting import TaxCode
from psaltery.records.books import TaxMode
from psaltery.records.psa import DocumentKind


class Order(msgspec.Struct):
    order: wire.PurchaseOrder
    lines: list[wire.PurchaseOrderLine]


def test_company() -> None:
    found = translate.company(fixture("company", wire.Company))
    assert found.name == "Alder Group Pty Ltd"
    assert (found.account_number, found.tax_number) == ("", "51 824 753 556")
    assert found.address == ("1 Harbour Street",)
    assert (found.currency, found.country, found.region) == ("AUD", "Australia", "NSW")
    assert found.is_vendor  # by its type: the flag is not there on older sites
    assert found.updated_at == datetime(2026, 10, 31, 21, 4, 5, tzinfo=UTC)


def test_contact_prefers_the_default_address() -> None:
    items = [
        wire.CommunicationItem(communication_type="Email", value="old@alder.example"),
        wire.CommunicationItem(
            communication_type="Email", value="new@alder.example", default_flag=True
        ),
        wire.CommunicationItem(communication_type="OfNextYear", value="?"),
    ]
    row = wire.Contact(
        id=3, communication_items=items, default_phone_nbr="555", default_billing_flag=True
    )
    found = translate.contact(row)
    assert (found.email, found.phone, found.is_billing) == ("new@alder.example", "555", True)
    assert found.active


def test_agreement_ends_when_it_was_cancelled() -> None:
    row = wire.Agreement(
        id=4,
        cancelled_flag=True,
        end_date="2027-06-30T00:00:00Z",
        date_cancelled="2026-12-31T00:00:00Z",
    )
    found = translate.agreement(row)
    assert (found.state, found.ends_on) == ("cancelled", date(2026, 12, 31))
    forever = wire.Agreement(id=4, no_ending_date_flag=True, end_date="2027-06-30T00:00:00Z")
    assert translate.agreement(forever).ends_on is None
    assert translate.agreement(wire.Agreement(id=4, agreement_status="Expired")).state == "expired"


def test_ticket_with_a_closing_date_is_closed_whatever_its_flag_says() -> None:
    row = wire.Ticket(id=5, closed_flag=False, closed_date="2026-10-01T09:00:00Z")
    assert translate.ticket(row).closed


def test_payment_and_body() -> None:
    row = wire.InvoicePayment(
        id=6, amount=D("12.50"), payment_date="2026-10-01T00:00:00Z", credit=wire.Ref(id=9)
    )
    found = translate.payment(row, "4711")
    assert (found.document_id, found.credit_id, found.amount) == ("4711", "9", D("12.50"))
    assert translate.money_body(D("1.10"), date(2026, 1, 2)) == {
        "amount": D("1.10"),
        "paymentDate": "2026-01-02T00:00:00Z",
    }


KNOWN = procurement.Known(locations={2: "Sydney"}, categories={31: "Hardware"})


def test_one_bill_for_each_packing_slip() -> None:
    row = fixture("purchase_order", Order)
    first, second = procurement.bills(row.order, row.lines, KNOWN)
    assert (first.external_id, first.number, first.total) == ("88-PS-1", "INV-900", D("1633.50"))
    assert first.posted
    assert second.kind is DocumentKind.BILL
    assert (second.external_id, second.vendor_number) == ("88-PS-2", "INV-901")
    assert [line.key for line in second.lines] == ["line:2", "freight"]
    # Two of three came: their cost, and two thirds of the tax.
    assert (second.lines[0].amount, second.lines[0].tax) == (D("502.81"), D("50.28"))
    assert second.total == D("502.81") + D("50.28") + D("15.00") + D("1.50")
    assert not second.posted
    assert {bill.location for bill in (first, second)} == {"Sydney"}
    assert first.issued_on == date(2026, 10, 9)


@pytest.mark.parametrize(
    ("slip", "closed", "carrying"),
    [("PS-2", False, "PS-2"), ("", False, "PS-1"), ("PS-9", False, None), ("PS-9", True, "PS-1")],
)
def test_freight_is_on_one_bill(slip: str, closed: bool, carrying: str | None) -> None:
    row = fixture("purchase_order", Order)
    row.order.freight_packing_slip, row.order.closed_flag = slip, closed
    with_freight = [
        bill.external_id.removeprefix("88-")
        for bill in procurement.bills(row.order, row.lines, KNOWN)
        if any(line.source == "freight" for line in bill.lines)
    ]
    assert with_freight == ([carrying] if carrying else [])


def test_bill_ids_lead_back_to_order_and_slip() -> None:
    for slip in ("", "PS-1", "a-b-c"):
        assert procurement.order_of(procurement.bill_id(88, slip)) == (88, slip)


def test_expense_with_tax_is_read_as_gross_and_marked() -> None:
    row = wire.ExpenseEntry(
        id=7,
        amount=D("22.00"),
        member=wire.Ref(id=9, identifier="hmoreau", name="Hélène Moreau"),
        status="ReadyToBill",
        date="2026-10-01T00:00:00Z",
        taxes=[wire.ExpenseTax(amount=D("2.00"), type=wire.Ref(name="GST"))],
    )
    found = procurement.expense(row, {})
    assert (found.company_id, found.company_name) == ("member:9", "Hélène Moreau")
    assert (found.tax_mode, found.tax_mode_known) == (TaxMode.INCLUSIVE, False)
    assert (found.subtotal, found.tax, found.total) == (D("20.00"), D("2.00"), D("22.00"))
    assert found.closed
    assert found.lines[0].amount == D("22.00")
    assert not procurement.is_approved(wire.ExpenseEntry(id=8, status="StatusOfNextYear"))


def test_tax_codes_as_lookups() -> None:
    rows = [lookups.tax_code("tax_codes", row) for row in fixture("tax_codes", list[TaxCode])]
    assert [(row.code, row.rate, row.active) for row in rows] == [
        ("GST", D("10.0"), True),
        ("US-CA", D("7.2500"), False),
        ("FREE", D("0"), True),
    ]
    assert rows[1].details == {"level_1": "0.06", "level_2": "0.0125"}


def test_lists_of_a_tenant() -> None:
    member = wire.Listed(
        id=9, identifier="hmoreau", first_name="Hélène", last_name="Moreau", vendor_number="E9"
    )
    found = lookups.listed("members", member)
    assert (found.name, found.code, found.details["vendor_number"]) == (
        "Hélène Moreau",
        "hmoreau",
        "E9",
    )
    mapping = wire.Listed(
        id=1,
        gl_type="RP",
        mapped_type=wire.Ref(name="Product Category"),
        mapped_record=wire.Ref(name="Cloud"),
        segment1="202",
    )
    account = lookups.gl_account("gl_accounts", mapping)
    assert (account.name, account.code) == ("RP Product Category Cloud", "202")
    euro = wire.Listed(id=2, name="Francs", currency_code=wire.Ref(id=5, name="EUR"))
    assert lookups.currency("currencies", euro).code == "EUR"


@pytest.mark.parametrize("value", [None, "", "0001-01-01T00:00:00Z", "9999-12-31", "soon"])
def test_dates_that_are_none(value: str | None) -> None:
    assert day(value) is None
    assert moment(value) is None


def test_values() -> None:
    assert moment("2026-01-31T10:00:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert moment("2026-01-31T10:00:00+10:00") == datetime(2026, 1, 31, tzinfo=UTC)
    assert text(" a\x00b 🌳 ") == "ab 🌳"
    assert currency(wire.Ref(name="Francs", iso_code="EUR")) == "EUR"
    assert currency(wire.Ref(name="Francs")) == ""
