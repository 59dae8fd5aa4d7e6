"""Each signal: when it fires, for how much, and every case in which it must stay silent."""

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest

from psaltery.portfolio.recurring import Contract, RecurringInvoice
from psaltery.signals import formulas
from psaltery.signals.formulas import (
    CRITICAL,
    HIGH,
    LOW,
    MEDIUM,
    OpenInvoice,
    Pair,
    Proof,
    Revenue,
    Service,
    Source,
    Unpaired,
    Work,
)
from psaltery.signals.thresholds import BY_NAME, LIMITS, Thresholds

USUAL = Thresholds()
OCTOBER = date(2026, 10, 1)
TODAY = date(2026, 11, 22)


def changed(facts, **changes):
    return msgspec.structs.replace(facts, **changes)


def contract(cycle="Monthly", **changes):
    given = {
        "id": "1",
        "name": "Managed services",
        "currency": "AUD",
        "amount": Decimal(1000),
        "cycle": cycle,
        "starts_on": date(2025, 1, 1),
    }
    return Contract(**{**given, **changes})


def billed(day, amount="1000", agreement="Managed services"):
    return RecurringInvoice(
        agreement=agreement, currency="AUD", amount=Decimal(amount), issued_on=day
    )


# service_without_invoice

LEAK = Service(
    billing="normal",
    known_since=date(2024, 1, 1),
    month=OCTOBER,
    tickets=[
        Proof(kind="ticket", id=number, label="Printer", day=date(2026, 10, 5))
        for number in (1, 2, 3)
    ],
    time=[Work(id=9, day=date(2026, 10, 5), hours=Decimal("1.5"), rate=Decimal(120))],
    currency="AUD",
)


def test_work_without_an_invoice_is_found_with_its_money_and_its_rows():
    found = formulas.service_without_invoice(LEAK, USUAL)
    assert found.sentence == "3 tickets and 1.5 hours in October 2026 and no invoice."
    assert found.money == ((Decimal("180.00"), "AUD"),)
    assert [one.kind for one in found.evidence] == ["ticket"] * 3 + ["time"]


def test_two_hours_alone_are_enough_and_a_thousand_is_grave():
    work = [Work(id=1, day=OCTOBER, hours=Decimal(2), rate=Decimal(500))]
    assert (
        formulas.service_without_invoice(changed(LEAK, tickets=[], time=work), USUAL).severity
        == HIGH
    )


def test_hours_without_a_rate_are_worth_the_default_rate_or_nothing_known():
    work = [Work(id=1, day=OCTOBER, hours=Decimal(3))]
    facts = changed(LEAK, time=work)
    assert formulas.service_without_invoice(facts, USUAL).money == ()
    rated = Thresholds(default_rate=Decimal(100))
    assert formulas.service_without_invoice(facts, rated).money == ((Decimal(300), "AUD"),)


def test_time_that_is_not_billable_is_work_but_no_money():
    work = [Work(id=1, day=OCTOBER, hours=Decimal(3), rate=Decimal(100), billable=False)]
    found = formulas.service_without_invoice(changed(LEAK, time=work), USUAL)
    assert found.money == ()
    assert (found.evidence[-1].amount, found.evidence[-1].detail) == (None, "3 h, not to be billed")


def test_the_rows_of_a_leak_add_up_to_its_money():
    work = [
        Work(id=1, day=OCTOBER, hours=Decimal("0.333"), rate=Decimal("99.99")),
        Work(id=2, day=OCTOBER, hours=Decimal(2)),
        Work(id=3, day=OCTOBER, hours=Decimal(1), rate=Decimal(80), billable=False),
    ]
    found = formulas.service_without_invoice(
        changed(LEAK, time=work), Thresholds(default_rate=Decimal(50))
    )
    assert found.money == ((sum(row.amount or 0 for row in found.evidence), "AUD"),)
    assert found.money[0][0] == Decimal("133.30")


def test_an_invoice_that_a_credit_takes_back_is_none():
    facts = changed(LEAK, books_net=((Decimal(0), "AUD"),))
    assert formulas.service_without_invoice(facts, USUAL) is not None


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({"tickets": LEAK.tickets[:2]}, id="trivial: two tickets, under two hours"),
        pytest.param({"books_net": ((Decimal("0.01"), "AUD"),)}, id="invoiced in the month"),
        pytest.param({"psa_documents": 1}, id="invoiced in the PSA, on its way to the books"),
        pytest.param({"receipts": 1}, id="paid without an invoice: receipt or prepayment"),
        pytest.param({"billing": "internal"}, id="internal"),
        pytest.param({"billing": "charity"}, id="charity"),
        pytest.param({"billing": "parent"}, id="billed to its parent"),
        pytest.param({"known_since": date(2026, 10, 10)}, id="new: first 30 days"),
        pytest.param({"known_since": None}, id="new: nobody knows since when"),
        pytest.param(
            {"contracts": [contract("Quarterly")], "recurring": [billed(date(2026, 8, 31))]},
            id="quarterly agreement, invoiced earlier in the quarter",
        ),
        pytest.param(
            {"contracts": [contract("Yearly")], "recurring": [billed(date(2025, 11, 1))]},
            id="yearly agreement, invoiced eleven months before",
        ),
        pytest.param(
            {"contracts": [contract("NotRecurring", type="Prepaid Block")]}, id="prepaid block"
        ),
    ],
)
def test_service_without_invoice_stays_silent(silent):
    assert formulas.service_without_invoice(changed(LEAK, **silent), USUAL) is None


@pytest.mark.parametrize(
    "loud",
    [
        pytest.param(
            {"contracts": [contract("Quarterly")], "recurring": [billed(date(2026, 7, 31))]},
            id="the quarter that was invoiced is over",
        ),
        pytest.param(
            {"contracts": [contract("Yearly")], "recurring": [billed(date(2025, 11, 1), "-1000")]},
            id="a credit covers nothing",
        ),
        pytest.param(
            {
                "contracts": [contract("NotRecurring", type="Prepaid", ends_on=date(2026, 9, 30))],
            },
            id="the prepaid block has ended",
        ),
        pytest.param(
            {"contracts": [contract("Monthly")], "recurring": [billed(date(2026, 9, 30))]},
            id="a monthly agreement covers its own month only",
        ),
    ],
)
def test_service_without_invoice_is_not_fooled(loud):
    assert formulas.service_without_invoice(changed(LEAK, **loud), USUAL) is not None


# invoice_overdue


def invoice(days, **changes):
    given = {
        "id": days,
        "number": f"INV-{days}",
        "status": "authorised",
        "balance": Decimal(100),
        "currency": "AUD",
        "due_on": TODAY - timedelta(days=days),
        "today": TODAY,
    }
    return OpenInvoice(**{**given, **changes})


@pytest.mark.parametrize(
    ("days", "severity"),
    [(4, LOW), (14, LOW), (15, MEDIUM), (30, MEDIUM), (31, HIGH), (60, CRITICAL)],
)
def test_the_older_the_graver(days, severity):
    assert formulas.invoice_overdue([invoice(days)], USUAL).severity == severity


def test_one_row_a_customer_with_all_its_invoices_by_currency():
    rows = [invoice(5), invoice(40), invoice(9, currency="NZD", balance=Decimal(30))]
    found = formulas.invoice_overdue(rows, USUAL)
    assert found.sentence == "3 invoices overdue, the oldest for 40 days."
    assert found.money == ((Decimal(200), "AUD"), (Decimal(30), "NZD"))
    assert [one.label for one in found.evidence] == ["INV-40", "INV-9", "INV-5"]


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(invoice(3), id="within the grace"),
        pytest.param(invoice(0), id="due today"),
        pytest.param(invoice(-5), id="not due"),
        pytest.param(invoice(50, due_on=None), id="without a due date"),
        pytest.param(invoice(50, balance=Decimal(0)), id="paid"),
        pytest.param(invoice(50, status="draft"), id="draft"),
        pytest.param(invoice(50, status="voided"), id="voided"),
        # East of the books the next day has begun: the day that counts is theirs.
        pytest.param(invoice(4, today=TODAY - timedelta(days=1)), id="not due where the books are"),
    ],
)
def test_invoice_overdue_stays_silent(silent):
    assert formulas.invoice_overdue([silent], USUAL) is None


# mrr_gap

GAP = Revenue(billing="normal", month=OCTOBER, contracts=[contract()], invoices=[])


def test_a_month_that_was_not_billed_is_a_gap():
    found = formulas.mrr_gap(changed(GAP, invoices=[billed(date(2026, 9, 1))]), USUAL)
    assert found.money == ((Decimal(1000), "AUD"),)
    assert "October 2026" in found.sentence
    assert [one.label for one in found.evidence] == ["Managed services"]


def test_a_part_and_a_credit_make_a_gap_of_their_difference():
    made = [billed(date(2026, 10, 1)), billed(date(2026, 10, 9), "-300")]
    assert formulas.mrr_gap(changed(GAP, invoices=made), USUAL).money == ((Decimal(300), "AUD"),)


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({"invoices": [billed(date(2026, 10, 31))]}, id="billed in full"),
        pytest.param({"invoices": [billed(date(2026, 10, 1), "980")]}, id="two percent"),
        pytest.param({"invoices": [billed(date(2026, 10, 1), "1500")]}, id="billed too much"),
        pytest.param(
            {"invoices": [billed(OCTOBER), billed(OCTOBER, "-1000"), billed(date(2026, 10, 9))]},
            id="invoiced, credited in full, and invoiced anew",
        ),
        pytest.param(
            {
                "contracts": [contract(currency="NZD")],
                "invoices": [billed(date(2026, 10, 1), "900")],
            },
            id="billed in another currency",
        ),
        pytest.param(
            {
                "contracts": [contract(amount=Decimal("9.99"))],
                "invoices": [billed(OCTOBER, "9.49")],
            },
            id="cents of rounding, whatever their share",
        ),
        pytest.param(
            {"contracts": [contract("Quarterly")], "invoices": [billed(date(2026, 8, 1))]},
            id="quarterly, billed earlier",
        ),
        pytest.param(
            {"contracts": [contract("Yearly")], "invoices": [billed(date(2025, 11, 30))]},
            id="yearly, spread over twelve months",
        ),
        pytest.param({"contracts": [contract("NotRecurring")]}, id="does not recur"),
        pytest.param({"contracts": [contract("Fortnights")]}, id="a cycle nobody knows"),
        pytest.param({"contracts": [contract(state="cancelled")]}, id="cancelled"),
        pytest.param({"contracts": [contract(starts_on=date(2026, 10, 2))]}, id="began within"),
        pytest.param({"contracts": [contract(ends_on=date(2026, 10, 30))]}, id="ended within"),
        pytest.param({"contracts": [contract(type="Block of hours")]}, id="prepaid"),
        pytest.param(
            {"contracts": [contract(next_invoice_on=date(2026, 11, 1))]},
            id="its first invoice is still to come",
        ),
        pytest.param({"billing": "parent"}, id="billed to its parent"),
        pytest.param({"billing": "internal"}, id="internal"),
        pytest.param({"billing": "charity"}, id="charity"),
        pytest.param({"contracts": []}, id="no agreement"),
    ],
)
def test_mrr_gap_stays_silent(silent):
    assert formulas.mrr_gap(changed(GAP, **silent), USUAL) is None


def test_currencies_are_never_added():
    rows = [contract(), contract(name="NZ office", currency="NZD", amount=Decimal(200))]
    made = [billed(date(2026, 10, 1), "1200")]
    assert formulas.mrr_gap(changed(GAP, contracts=rows, invoices=made), USUAL).money == (
        (Decimal(200), "NZD"),
    )


# psa_ledger_drift

PAIR = Pair(
    id=1,
    number="4711",
    currency="AUD",
    state="in_step",
    psa_total=Decimal(220),
    books_total=Decimal(220),
    books_status="authorised",
    psa_day=OCTOBER,
    books_day=OCTOBER,
    expected_contact="c1",
    books_contact="c1",
)


@pytest.mark.parametrize(
    ("change", "money", "why"),
    [
        ({"books_total": Decimal(200)}, 20, "total 220.00 in the PSA, 200.00 in the books"),
        ({"books_status": "voided"}, 220, "voided in the books, not in the PSA"),
        ({"books_total": None}, 220, "missing in the books, not in the PSA"),
        ({"psa_gone": True}, 220, "deleted in the PSA, live in the books"),
        (
            {"books_day": date(2026, 10, 2)},
            0,
            "dated 2026-10-01 in the PSA, 2026-10-02 in the books",
        ),
        ({"books_contact": "c2"}, 0, "another customer in the books"),
    ],
)
def test_a_document_that_differs(change, money, why):
    found = formulas.psa_ledger_drift([changed(PAIR, **change)], USUAL)
    assert found.evidence[0].detail == why
    assert found.money == (((Decimal(money), "AUD"),) if money else ())


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        ({"books_total": Decimal(200)}, MEDIUM),
        ({"books_contact": "c2"}, MEDIUM),
        ({"books_status": "voided"}, HIGH),
        ({"books_total": None}, HIGH),
        ({"psa_gone": True}, HIGH),
    ],
)
def test_a_document_that_is_gone_on_one_side_is_graver_than_one_that_differs(change, severity):
    found = formulas.psa_ledger_drift([changed(PAIR, **change)], USUAL)
    assert found.severity == severity
    assert found.sentence == "1 document differs between the PSA and the books."


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({}, id="the same on both sides"),
        pytest.param({"books_total": Decimal("219.99")}, id="a cent"),
        pytest.param({"books_total": None, "state": "waiting"}, id="waits to be written"),
        pytest.param({"books_total": None, "state": "posting"}, id="being written"),
        pytest.param({"books_total": None, "state": "uncertain"}, id="answer lost, looked up"),
        pytest.param({"books_total": Decimal(1), "state": "held"}, id="held: an exception says so"),
        pytest.param({"books_total": None, "settled": False}, id="not read since it was written"),
        pytest.param({"books_total": Decimal(1), "accepted": frozenset({"total"})}, id="accepted"),
        pytest.param(
            {"books_status": "voided", "accepted": frozenset({"status"})}, id="void accepted"
        ),
        pytest.param({"books_day": TODAY, "accepted": frozenset({"date"})}, id="date accepted"),
        pytest.param({"psa_gone": True, "books_status": "voided"}, id="gone on both sides"),
        pytest.param({"psa_total": Decimal(-220)}, id="a credit memo's sign"),
        pytest.param({"expected_contact": ""}, id="no contact to compare"),
    ],
)
def test_psa_ledger_drift_stays_silent(silent):
    assert formulas.psa_ledger_drift([changed(PAIR, **silent)], USUAL) is None


# unmapped

LONE = Unpaired(
    id=1, kind="contact", name="Acme", last_used=TODAY, outstanding=((Decimal(50), "AUD"),)
)


def test_what_only_one_side_knows_is_counted_with_what_it_owes():
    found = formulas.unmapped([LONE, changed(LONE, id=2)], TODAY, USUAL)
    assert found.sentence == "2 contacts of the books have no company in the PSA."
    assert found.money == ((Decimal(100), "AUD"),)
    company = changed(LONE, kind="company", outstanding=())
    single = formulas.unmapped([company], TODAY, USUAL)
    assert single.sentence == "1 company of the PSA has no contact in the books."
    assert single.severity == LOW
    assert formulas.unmapped([company] * 10, TODAY, USUAL).severity == MEDIUM


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({"supplier_only": True}, id="a supplier"),
        pytest.param({"archived": True}, id="archived"),
        pytest.param({"billing": "internal"}, id="internal"),
        pytest.param({"last_used": TODAY - timedelta(days=366)}, id="not used for a year"),
        pytest.param({"last_used": None}, id="never used"),
    ],
)
def test_unmapped_stays_silent(silent):
    assert formulas.unmapped([changed(LONE, **silent)], TODAY, USUAL) is None


# stale_source

STALE = Source(id=1, name="invoices", why="Sydney: invoices were last read 1 October.")


def test_a_feed_that_is_too_old_is_told_with_its_reason():
    found = formulas.stale_source([STALE, changed(STALE, id=2, why="")])
    assert found.sentence == "1 feed too old: what depends on them is not checked."
    assert found.evidence[0].detail == STALE.why


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({"why": ""}, id="fresh"),
        pytest.param({"paused": True}, id="paused by a person"),
        pytest.param({"chosen": False}, id="not chosen"),
        pytest.param({"removed": True}, id="removed at the other side"),
        pytest.param({"first_pass": True}, id="being read for the first time"),
    ],
)
def test_stale_source_stays_silent(silent):
    assert formulas.stale_source([changed(STALE, **silent)]) is None


def test_every_threshold_has_a_limit_and_a_default_within_it():
    assert {limit.name for limit in LIMITS} == set(Thresholds.__struct_fields__)
    for name, limit in BY_NAME.items():
        assert limit.least <= getattr(USUAL, name) <= limit.most
