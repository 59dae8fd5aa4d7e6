"""Payments, credit and money on account against the sandbox, as settlements."""

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from psaltery.adapters.xero.tests.world import TODAY, World, draft, line
from psaltery.records.books import Settlement
from psaltery.records.drafts import (
    Action,
    BooksKind,
)


def test_payments_are_settlements_and_a_removed_one_says_so(world: World) -> None:
    customer = world.contact("Paying Dental")
    (made,) = world.create(draft("P-1", customer))
    payment = world.edit(
        "Payments",
        Invoice={"InvoiceID": made.external_id},
        Account={"Code": "090"},
        Date=TODAY.isoformat(),
        Amount=100,
        Reference="thanks",
    )
    touches = _touches(world, made.external_id)
    assert [(one.amount, one.state, one.paid_on, one.reference) for one in touches] == [
        (Decimal(100), "active", TODAY, "thanks")
    ]
    assert touches[0].currency == "AUD"
    now = world.books.get_document(BooksKind.INVOICE, made.external_id)
    assert now is not None
    assert now.amount_due == made.total - 100
    world.edit("Payments", payment["PaymentID"], Status="DELETED")
    assert [one.state for one in _touches(world, made.external_id)] == ["deleted"]


def _touches(world: World, invoice_id: str) -> list[Settlement]:
    payments, _ = world.everything("payments")
    return [one for one in payments if one.invoice_id == invoice_id]


def _put(world: World, path: str, **body: Any) -> Any:
    """What the adapter does not write (yet): credit given to invoices."""
    token = world.sandbox.grant()["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "Xero-Tenant-Id": world.tenant,
        "Accept": "application/json",
    }
    answer = httpx2.put(f"{world.url}/api.xro/2.0/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _credit_touches(world: World, feed: str, source_id: str) -> dict[str, Decimal]:
    records, _ = world.everything(feed)
    return {
        one.invoice_id: one.amount
        for one in records
        if isinstance(one, Settlement) and one.source_id == source_id
    }


def test_a_credit_note_is_given_to_invoices_and_refunded(world: World) -> None:
    customer = world.contact("Credited Dental")
    first, second = world.create(draft("CR-1", customer), draft("CR-2", customer))
    (note,) = world.create(draft("CR-N", customer, kind=BooksKind.CREDIT_NOTE))
    allocations = [
        {"Invoice": {"InvoiceID": first.external_id}, "Amount": 100},
        {"Invoice": {"InvoiceID": second.external_id}, "Amount": 50.25},
    ]
    _put(world, f"CreditNotes/{note.external_id}/Allocations", Allocations=allocations)
    refund = {"CreditNote": {"CreditNoteID": note.external_id}, "Account": {"Code": "090"}}
    world.edit("Payments", **refund, Date=TODAY.isoformat(), Amount=7)
    assert _credit_touches(world, "credit_notes", note.external_id) == {
        first.external_id: Decimal(100),
        second.external_id: Decimal("50.25"),
        "": Decimal(7),
    }
    left = world.books.get_document(BooksKind.CREDIT_NOTE, note.external_id)
    assert left is not None
    assert left.amount_due == Decimal("287.64") - Decimal("157.25")
    payments, _ = world.everything("payments")
    assert note.external_id not in {payment.source_id for payment in payments}


@pytest.mark.parametrize("word", ["Overpayment", "Prepayment"])
def test_money_without_an_invoice_and_its_later_use(world: World, word: str) -> None:
    customer = world.contact(f"{word} Dental")
    (invoice,) = world.create(draft(f"{word}-1", customer))
    line = {"Description": "on account", "Quantity": 1, "UnitAmount": 110}
    made = world.edit(
        "BankTransactions",
        Type=f"RECEIVE-{word.upper()}",
        Contact={"ContactID": customer},
        BankAccount={"Code": "090"},
        Date=TODAY.isoformat(),
        LineAmountTypes="NoTax",
        LineItems=[line if word == "Overpayment" else line | {"AccountCode": "200"}],
    )
    credit, feed = made[f"{word}ID"], f"{word.lower()}s"
    assert _credit_touches(world, feed, credit) == {}
    target = {"Invoice": {"InvoiceID": invoice.external_id}, "Amount": 30}
    _put(world, f"{word}s/{credit}/Allocations", Allocations=[target])
    assert _credit_touches(world, feed, credit) == {invoice.external_id: Decimal(30)}
    (rest,) = [
        one for one in world.everything(feed)[0] if getattr(one, "external_id", "") == credit
    ]
    assert (rest.total, rest.remaining, rest.source) == (110, 80, word.lower())


def test_an_invoice_that_was_paid_is_not_edited(world: World) -> None:
    customer = world.contact("Paid Dental")
    (made,) = world.create(draft("PD-1", customer))
    world.edit(
        "Payments",
        Invoice={"InvoiceID": made.external_id},
        Account={"Code": "090"},
        Date=TODAY.isoformat(),
        Amount=10,
    )
    lines = (line(quantity=Decimal(3)),)
    changed = draft("PD-1", customer, external_id=made.external_id, lines=lines)
    (refused,) = world.books.send([world.books.prepare(Action.UPDATE, changed)], "update PD-1")
    codes = {problem.code for problem in refused.problems}
    assert not refused.accepted
    assert codes & {"has_payments", "status_not_editable"}
