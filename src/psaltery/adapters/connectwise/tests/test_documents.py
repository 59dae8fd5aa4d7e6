"""Invoices as documents: the example, and that every invoice ties whatever it holds."""

from decimal import Decimal as D

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.billing_lines import REST, ROUNDING, Coding, Facts, Parts
from psaltery.adapters.connectwise.documents import document, is_closed, open_balance, unexplained
from psaltery.adapters.connectwise.taxes import levels
from psaltery.adapters.connectwise.tests.reading_fixtures import fixture
from psaltery.adapters.connectwise.wire_accounting import TaxCode
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import Document, DocumentKind, DocumentLine

CODES = fixture("tax_codes", list[TaxCode])
FACTS = Facts(
    tax_levels={code.id: levels(code) for code in CODES},
    tax_names={code.id: code.identifier or "" for code in CODES},
    categories={4: "Cloud"},
    coding={4711: Coding(products={901: "202"}, types={"RP": "210", "RA": "220"})},
)


def example() -> Document:
    info = fixture("invoice_info", wire.InvoiceInfo)
    assert info.invoice
    parts = Parts(products=info.products, time=info.time_entries, expenses=info.expenses)
    return document(info.invoice, parts, FACTS)


def line_of(found: Document, key: str) -> DocumentLine:
    return next(line for line in found.lines if line.key == key)


def test_the_example_ties_and_names_its_adjustment() -> None:
    found = example()
    assert [line.key for line in found.lines] == [
        "product:904",
        "product:901",
        "product:902",
        "time:551",
        "expense:77",
        "agreement",
        "adjustment:service",
    ]
    assert sum(line.amount for line in found.lines) == found.subtotal == D("1940.73")
    assert line_of(found, "adjustment:service").amount == D("-10.00")
    assert unexplained(found) == 0


def test_the_head_of_the_example() -> None:
    found = example()
    assert found.kind is DocumentKind.INVOICE
    assert (found.company_id, found.company_name) == ("15", "Alder Group 🌳")
    assert (found.number, found.currency, found.customer_po) == ("10471", "AUD", "PO-77")
    assert found.due_on is None  # 0001-01-01 is a placeholder
    assert found.issued_on.isoformat() == "2026-10-31"
    assert (found.agreement, found.agreement_type) == ("Gold support", "Managed Services")
    assert found.balance == D("1753.58")
    assert not found.posted


def test_what_the_agreement_covers_is_off_the_product_and_free_ones_are_zero() -> None:
    found = example()
    assert line_of(found, "product:901").amount == D("254.49")
    assert line_of(found, "product:904").amount == 0


def test_mapping_keys_of_lines() -> None:
    found = example()
    product, time = line_of(found, "product:901"), line_of(found, "time:551")
    assert (product.product, product.category, product.gl_account) == ("M365-BP", "Cloud", "202")
    assert line_of(found, "product:902").gl_account == "210"
    assert (time.work_type, time.member) == ("Remote support", "hmoreau")
    assert time.description == "2026-10-12 Remote support, hmoreau: Replaced the switch"
    assert product.location == "Sydney"


def test_tax_flags_of_the_code_decide_per_group() -> None:
    found = example()
    # 10 % on everything but the expense, and the adjustment is never taxed by us.
    base = found.subtotal - D("22.00") + D("10.00")
    assert cents(base * D("0.1")) == D("192.87")
    assert found.tax == D("162.85")  # what the site says does not follow from its levels
    assert all(line.tax is None for line in found.lines)
    assert not line_of(found, "expense:77").taxable
    assert line_of(found, "time:551").taxable


# -- any invoice ---------------------------------------------------------------------------------

money = st.decimals(min_value=D("-500"), max_value=D("5000"), places=2)
price = st.decimals(min_value=D("0"), max_value=D("900"), places=6)
quantity = st.decimals(min_value=D("-20"), max_value=D("40"), places=2)


@st.composite
def products(draw: st.DrawFn) -> wire.ProductItem:
    count, each = draw(quantity), draw(price)
    extended = cents(count * each)
    return wire.ProductItem(
        id=draw(st.integers(1, 10**9)),
        quantity=count,
        price=each,
        ext_price=extended,
        discount=draw(st.sampled_from([None, ZERO, D("5.00")])),
        agreement_amount=draw(st.sampled_from([None, ZERO, D("1.25")])),
        billable_option=draw(st.sampled_from([None, "Billable", "NoCharge", "OfNextYear"])),
        taxable_flag=draw(st.sampled_from([None, True, False])),
        tax_code=draw(st.sampled_from([None, wire.Ref(id=1), wire.Ref(id=2), wire.Ref(id=9)])),
    )


@st.composite
def times(draw: st.DrawFn) -> wire.TimeEntry:
    hours, rate = draw(quantity), draw(money)
    billed = draw(st.sampled_from([None, cents(hours * rate), ZERO]))
    return wire.TimeEntry(
        id=draw(st.integers(1, 10**9)),
        invoice_hours=hours,
        hourly_rate=rate,
        extended_invoice_amount=billed,
    )


@st.composite
def invoices(draw: st.DrawFn) -> wire.Invoice:
    return wire.Invoice(
        id=1,
        type=draw(st.sampled_from(["Standard", "CreditMemo", "DownPayment", "OfNextYear", None])),
        taxable_flag=draw(st.sampled_from([None, True, False])),
        tax_code=draw(st.sampled_from([None, wire.Ref(id=1), wire.Ref(id=2), wire.Ref(id=3)])),
        agreement_amount=draw(st.one_of(st.none(), money)),
        service_adjustment_amount=draw(st.one_of(st.none(), money)),
        downpayment_applied=draw(st.one_of(st.none(), money)),
        subtotal=draw(money),
        sales_tax=draw(money),
    )


def parts_of(draw_products: list[wire.ProductItem], draw_times: list[wire.TimeEntry]) -> Parts:
    return Parts(products=draw_products, time=draw_times)


@given(invoices(), st.lists(products(), max_size=5), st.lists(times(), max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_invoice_ties(
    head: wire.Invoice, sold: list[wire.ProductItem], worked: list[wire.TimeEntry]
) -> None:
    head.total = (head.subtotal or ZERO) + (head.sales_tax or ZERO)
    found = document(head, parts_of(sold, worked), FACTS)
    assert sum((line.amount for line in found.lines), ZERO) == found.subtotal
    assert found.subtotal + found.tax == found.total
    assert found.total >= 0
    assert (found.kind is DocumentKind.CREDIT_MEMO) == (
        head.type == "CreditMemo" or head.total < 0 or (head.total == 0 and head.subtotal < 0)
    )
    taxes = [line.tax for line in found.lines]
    assert None in taxes or sum(taxes, ZERO) == found.tax or not found.lines


@given(
    st.lists(products(), min_size=1, max_size=6),
    st.lists(times(), max_size=4),
    st.sampled_from([(False, False), (False, True), (True, False), (True, True)]),
    st.sampled_from([D(1), D(-1)]),
)
@settings(max_examples=300, deadline=None)
def test_each_reading_of_the_parts_is_recognised(
    sold: list[wire.ProductItem],
    worked: list[wire.TimeEntry],
    reading: tuple[bool, bool],
    sign: D,
) -> None:
    """Whatever of discount and agreement the site has taken off, and whichever sign its head has,
    there is no unexplained line."""
    subtotal = ZERO
    for item in sold:
        value = item.ext_price or ZERO
        value -= (item.discount or ZERO) if reading[0] else ZERO
        value -= (item.agreement_amount or ZERO) if reading[1] else ZERO
        subtotal += value if item.billable_option in (None, "Billable") else ZERO
    for entry in worked:
        told = entry.extended_invoice_amount
        hours, rate = entry.invoice_hours or ZERO, entry.hourly_rate or ZERO
        subtotal += cents(hours * rate) if told is None else told
    head = wire.Invoice(id=1, type="Standard", subtotal=subtotal * sign, total=subtotal * sign)
    found = document(head, parts_of(sold, worked), FACTS)
    assert not [line for line in found.lines if line.key in (REST, ROUNDING)]
    assert sum((line.amount for line in found.lines), ZERO) == found.subtotal


def taxed_product(number: int, value: str, code: int | None = 1) -> wire.ProductItem:
    return wire.ProductItem(
        id=number,
        quantity=D(1),
        price=D(value),
        ext_price=D(value),
        taxable_flag=True,
        tax_code=wire.Ref(id=code) if code else None,
    )


def test_a_credit_memo_with_either_sign_is_positive() -> None:
    for sign in (D(1), D(-1)):
        head = wire.Invoice(
            id=2,
            type="CreditMemo",
            subtotal=D("20.00") * sign,
            sales_tax=D("2.00") * sign,
            total=D("22.00") * sign,
            balance=D("22.00") * sign,
            credits=D("5.00") * sign,
            taxable_flag=True,
        )
        found = document(head, Parts(products=[taxed_product(1, "20.00")]), FACTS)
        assert found.kind is DocumentKind.CREDIT_MEMO
        assert (found.subtotal, found.tax, found.total) == (D(20), D(2), D(22))
        assert (found.balance, found.credits) == (D(22), D(5))
        assert [(line.quantity, line.unit_price, line.amount) for line in found.lines] == [
            (D(1), D(20), D(20))
        ]
        assert found.lines[0].tax == D(2)


def test_a_negative_standard_invoice_becomes_a_credit_memo() -> None:
    item = taxed_product(1, "10.00")
    item.quantity, item.ext_price = D("-3"), D("-30.00")
    head = wire.Invoice(id=2, type="Standard", subtotal=D(-30), sales_tax=D(-3), total=D(-33))
    found = document(head, Parts(products=[item]), FACTS)
    assert found.kind is DocumentKind.CREDIT_MEMO
    assert found.type == "Standard"
    assert found.lines[0].quantity == D(3)
    assert found.lines[0].amount == D(30)
    assert open_balance(head) == D(33)


def test_an_exempt_customer_has_no_taxable_lines() -> None:
    head = wire.Invoice(id=2, subtotal=D(20), sales_tax=ZERO, total=D(20), taxable_flag=True)
    found = document(head, Parts(products=[taxed_product(1, "20.00")]), FACTS)
    assert not found.lines[0].taxable
    assert found.lines[0].tax == 0


def test_a_zero_rate_is_taxable_at_nothing() -> None:
    head = wire.Invoice(id=2, subtotal=D(20), sales_tax=ZERO, total=D(20), taxable_flag=True)
    found = document(head, Parts(products=[taxed_product(1, "20.00", code=3)]), FACTS)
    assert found.lines[0].taxable
    assert found.lines[0].tax_code == "FREE"
    assert found.lines[0].tax == 0


def test_a_zero_invoice_and_one_without_parts() -> None:
    empty = document(wire.Invoice(id=2, total=ZERO, subtotal=ZERO), Parts(), FACTS)
    assert empty.lines == ()
    head = wire.Invoice(id=2, type="DownPayment", subtotal=D(500), total=D(500), taxable_flag=False)
    paid_ahead = document(head, Parts(), FACTS)
    assert [(line.source, line.amount) for line in paid_ahead.lines] == [("down_payment", D(500))]
    assert unexplained(paid_ahead) == 0


def test_what_no_part_explains_is_marked() -> None:
    head = wire.Invoice(id=2, subtotal=D(25), total=D(25))
    found = document(head, Parts(products=[taxed_product(1, "20.00")]), FACTS)
    assert found.lines[-1].key == REST
    assert unexplained(found) == D(5)
    near = wire.Invoice(id=2, subtotal=D("20.01"), total=D("20.01"))
    assert (
        document(near, Parts(products=[taxed_product(1, "20.00")]), FACTS).lines[-1].key == ROUNDING
    )


def test_closed_by_reference_or_by_list_of_statuses() -> None:
    told = wire.Invoice(id=1, status=wire.Ref(id=3, is_closed=True))
    silent = wire.Invoice(id=1, status=wire.Ref(id=3))
    assert is_closed(told)
    assert is_closed(silent, [3])
    assert not is_closed(silent, [4])
    assert not is_closed(wire.Invoice(id=1))


def test_every_field_may_be_missing() -> None:
    found = document(msgspec.json.decode(b'{"id": 8}', type=wire.Invoice), Parts(), Facts())
    assert (found.external_id, found.number, found.total) == ("8", "8", 0)
