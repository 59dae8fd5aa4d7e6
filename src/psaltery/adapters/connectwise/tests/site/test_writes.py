"""Payments, credits and batches against the sandbox, with answers lost on the way."""

from datetime import date
from decimal import Decimal as D

import pytest

from psaltery.adapters.connectwise.sandbox import NewInvoice, NewLine, ledger
from psaltery.adapters.connectwise.tests.site.driving import Driver
from psaltery.adapters.errors import Rejected, TryLater
from psaltery.records.psa import DocumentKind

DAY = date(2026, 10, 5)
INVOICE = DocumentKind.INVOICE


def test_a_payment_is_made_changed_and_removed(driver: Driver, invoice_id: str) -> None:
    adapter = driver.adapter
    made = adapter.create_payment(invoice_id, D("100.10"), DAY, "for two")
    assert (made.amount, made.paid_on, made.document_id) == (D("100.10"), DAY, invoice_id)
    assert adapter.balance(invoice_id) == D("999.90")
    changed = adapter.update_payment(made, D("600.00"), date(2026, 10, 6))
    assert (changed.external_id, changed.paid_on) == (made.external_id, date(2026, 10, 6))
    assert adapter.balance(invoice_id) == D("500.00")
    assert [one.amount for one in adapter.payments(invoice_id)] == [D("600.00")]
    adapter.delete_payment(made)
    adapter.delete_payment(made)  # gone already
    assert adapter.payments(invoice_id) == ()
    assert adapter.balance(invoice_id) == D("1100.00")


def test_a_second_record_where_one_is_the_rule(driver: Driver, invoice_id: str) -> None:
    driver.adapter.create_payment(invoice_id, D(100), DAY, "")
    with pytest.raises(Rejected) as caught:
        driver.adapter.create_payment(invoice_id, D(50), DAY, "")
    assert [problem.code for problem in caught.value.problems] == ["psa_exists"]
    driver.sandbox.world.behaviour.several_payments = True
    driver.adapter.create_payment(invoice_id, D(50), DAY, "")
    assert len(driver.adapter.payments(invoice_id)) == 2


def test_what_was_stored_is_told_when_the_amount_is_cut(driver: Driver, invoice_id: str) -> None:
    made = driver.adapter.create_payment(invoice_id, D(5000), DAY, "")
    assert made.amount == D("1100.00")
    driver.adapter.delete_payment(made)
    driver.sandbox.world.behaviour.over_balance = "refuse"
    with pytest.raises(Rejected):
        driver.adapter.create_payment(invoice_id, D(5000), DAY, "")


def test_a_lost_answer_to_a_payment_is_uncertain_and_can_be_looked_up(
    driver: Driver, invoice_id: str
) -> None:
    driver.fault("lost_answer", method="POST", path="payments")
    with pytest.raises(TryLater) as caught:
        driver.adapter.create_payment(invoice_id, D("12.34"), DAY, "")
    assert caught.value.uncertain
    [found] = driver.adapter.payments(invoice_id)
    assert (found.amount, found.paid_on) == (D("12.34"), DAY)


def test_a_credit_memo_is_applied_but_not_more_than_it_has(driver: Driver, invoice_id: str) -> None:
    line = NewLine(item="EDR", quantity=1, price=100, taxable=False)
    memo = driver.create(NewInvoice(company=1, type="CreditMemo", department=1, lines=(line,)))
    assert driver.adapter.balance(memo) == D(100)
    applied = driver.adapter.apply_credit(invoice_id, memo, D(60), DAY)
    assert (applied.credit_id, applied.amount) == (memo, D(60))
    assert driver.adapter.balance(invoice_id) == D(1040)
    assert driver.adapter.balance(memo) == D(40)
    with pytest.raises(Rejected):
        driver.adapter.apply_credit(invoice_id, memo, D(60), DAY)
    driver.adapter.delete_payment(applied)
    assert driver.adapter.balance(memo) == D(100)


def test_marking_is_idempotent_and_can_be_undone(driver: Driver, invoice_id: str) -> None:
    batch = driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 10001")
    assert batch
    assert driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 10001") == batch
    found = driver.adapter.document(INVOICE, invoice_id)
    assert found
    assert found.posted
    driver.adapter.unmark_posted(batch)
    driver.adapter.unmark_posted(batch)
    driver.adapter.unmark_posted("")
    found = driver.adapter.document(INVOICE, invoice_id)
    assert found
    assert not found.posted
    assert len(driver.sandbox.world.all("batches")) == 0


def test_only_the_document_itself_is_marked(driver: Driver, invoice_id: str) -> None:
    other = driver.create(NewInvoice(company=2, lines=(NewLine(item="EDR"),)))
    assert driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1")
    found = driver.adapter.document(INVOICE, other)
    assert found
    assert not found.posted


def test_a_lost_answer_to_a_batch_makes_no_second_one(driver: Driver, invoice_id: str) -> None:
    driver.fault("lost_answer", method="POST", path="accounting/batches$")
    with pytest.raises(TryLater) as caught:
        driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1")
    assert caught.value.uncertain
    assert driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1")
    assert len(driver.sandbox.world.all("batches")) == 1


def test_without_the_permission_nothing_is_marked(driver: Driver, invoice_id: str) -> None:
    driver.deny("Finance > Accounting Interface")
    driver.adapter = driver.open(gl_coding="yes")
    assert driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1") == ""
    [found], _ = driver.everything("invoices")
    assert {line.gl_account for line in found.lines} == {""}


def test_without_gl_entries_nothing_is_marked(driver: Driver, invoice_id: str) -> None:
    ledger.drop(driver.sandbox.world, ledger.key("invoice", invoice_id))
    assert driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1") == ""


def test_a_closed_batch_stays(driver: Driver, invoice_id: str) -> None:
    batch = driver.adapter.mark_posted(INVOICE, invoice_id, "Psaltery 1")
    driver.sandbox.world.change("batches", int(batch), closedFlag=True)
    with pytest.raises(Rejected):
        driver.adapter.unmark_posted(batch)


def test_expenses_are_marked(driver: Driver) -> None:
    line = NewLine(kind="expense", description="Parking", price=D("22.00"))
    driver.create(NewInvoice(company=1, lines=(line,)))
    [expense], _ = driver.everything("expenses")
    assert expense.total == D("22.00")
    assert driver.adapter.document(DocumentKind.EXPENSE, expense.external_id) == expense
    assert driver.adapter.mark_posted(DocumentKind.EXPENSE, expense.external_id, "Psaltery E") != ""
    assert driver.adapter.document(DocumentKind.EXPENSE, "9999") is None


def test_callbacks(driver: Driver) -> None:
    made = driver.adapter.create_callback("Invoice", "https://hub.example/cw?recordId=")
    assert [entry.id for entry in driver.adapter.callbacks()] == [made.id]
    assert made.is_self_suppressed_flag
    driver.adapter.delete_callback(str(made.id))
    driver.adapter.delete_callback(str(made.id))
    assert driver.adapter.callbacks() == ()
