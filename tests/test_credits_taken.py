"""A credit memo that somebody applies in the PSA is applied in the books: once, then they lead."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from psaltery.adapters.xero.books import XeroBooks
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.matching.taken import carry_out
from psaltery.posting.models import Link
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def want(organisation, **policies) -> None:
    policy = msgspec.structs.replace(read_policy(organisation.settings), **policies)
    organisations.change(organisation, organisations.Wanted(policy=policy))


def sydney(rig: Rig):
    found = next(one for one in rig.organisations if "Sydney" in one.name)
    found.refresh_from_db()
    return found


def links() -> tuple[Link, Link]:
    found = {link.books_kind: link for link in Link.objects.select_related("document")}
    return found["invoice"], found["credit_note"]


@pytest.fixture
def both(rig: Rig) -> tuple[Link, Link]:
    """An invoice of 220.00 and a memo of 55.00 in the books, where the PSA's money is wanted."""
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    want(sydney(rig), psa_payments=True)
    return links()


def control(rig: Rig, link: Link, action: str, **given):
    body = {"number": link.document.number, **given}
    return call(f"{rig.psa_url}/_control/{action}", "POST", body)


def apply(rig: Rig, both: tuple[Link, Link], amount: int):
    """A person applies the memo to the invoice in the PSA."""
    invoice, memo = both
    given = {"amount": amount, "credit": {"id": int(memo.document.external_id)}}
    return control(rig, invoice, "enter_payment", **given)


def due(rig: Rig, link: Link) -> Decimal:
    row = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    return Decimal(str(row["AmountDue"]))


def note(rig: Rig, link: Link):
    return rig.in_books(link.organisation, f"CreditNotes/{link.books_id}")["CreditNotes"][0]


def balance(rig: Rig, link: Link) -> Decimal:
    return Decimal(str(rig.psa_invoice(link.document)["balance"]))


def test_it_is_applied_in_the_books_once_and_both_sides_agree(rig: Rig, both):
    invoice, memo = both
    apply(rig, both, 30)
    for _ in range(3):
        rig.sync()
    assert due(rig, invoice) == balance(rig, invoice) == 190
    (there,) = note(rig, memo)["Allocations"]
    assert Decimal(str(there["Amount"])) == 30
    assert Decimal(str(note(rig, memo)["RemainingCredit"])) == -balance(rig, memo) == 25
    row = PaymentTaken.objects.get()
    assert (row.state, row.method, row.credit_memo) == (
        "in_step", "Credit memo", memo.document.external_id,
    )  # fmt: skip
    # The person's own record stands for the allocation: none was added beside it.
    assert len(rig.psa_payments(invoice.document)) == 1
    (shown,) = PaymentBack.objects.get(document=invoice.document).credits
    assert shown["payment_id"] == row.psa_payment_id
    assert not Card.objects.filter(state="open").exists()


def test_what_the_bookkeeper_takes_off_later_is_taken_off_in_the_psa(rig: Rig, both):
    invoice, memo = both
    apply(rig, both, 30)
    for _ in range(2):
        rig.sync()
    (there,) = note(rig, memo)["Allocations"]
    rig.unallocate(memo, there["AllocationID"])
    for _ in range(2):
        rig.sync()
    assert due(rig, invoice) == balance(rig, invoice) == 220
    assert rig.psa_payments(invoice.document) == []
    assert PaymentTaken.objects.get().state in ("in_step", "removed")


def test_one_that_was_applied_on_both_sides_counts_once(rig: Rig, both):
    invoice, memo = both
    body = {"Allocations": [{"Invoice": {"InvoiceID": invoice.books_id}, "Amount": "30"}]}
    apply(rig, both, 30)
    rig.write_books(memo.organisation, f"CreditNotes/{memo.books_id}/Allocations", body)
    for _ in range(2):
        rig.sync()
    assert due(rig, invoice) == balance(rig, invoice) == 190
    assert len(note(rig, memo)["Allocations"]) == 1


def test_a_memo_that_is_not_in_the_books_yet_is_waited_for(rig: Rig):
    want(sydney(rig), psa_payments=True, credit_notes=False)
    close(rig, "200.00")
    made = close(rig, "50.00", type="CreditMemo")
    rig.sync()
    invoice = Link.objects.select_related("document").get()
    given = {"amount": 55, "credit": {"id": made["id"]}}
    control(rig, invoice, "enter_payment", **given)
    rig.sync()
    assert PaymentTaken.objects.get().state == "held"
    assert "is not in" in PaymentTaken.objects.get().why
    want(sydney(rig), credit_notes=True)
    for _ in range(2):
        rig.sync()
    assert due(rig, invoice) == balance(rig, invoice) == 165
    assert PaymentTaken.objects.get().state == "in_step"


def test_more_than_is_left_in_the_books_is_asked_about(rig: Rig, both):
    invoice, memo = both
    rig.pay(invoice, Decimal(200), str(invoice.document.issued_on))
    apply(rig, both, 30)
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "payment_exceeds_due"
    assert "20.00 open on the invoice and 55.00 left" in card.sentence
    assert due(rig, invoice) == 20
    assert note(rig, memo).get("Allocations", []) == []


def test_one_that_is_taken_off_in_the_psa_is_told(rig: Rig, both):
    invoice, memo = both
    made = apply(rig, both, 30)
    for _ in range(2):
        rig.sync()
    control(rig, invoice, "remove_payment", payment=made["id"])
    rig.sync()
    card = Card.objects.get(state="open")
    assert "was taken off in the PSA, but 30.00 of it lies on the invoice" in card.sentence
    (there,) = note(rig, memo)["Allocations"]
    rig.unallocate(memo, there["AllocationID"])
    for _ in range(2):
        rig.sync()
    assert not Card.objects.filter(state="open").exists()
    assert due(rig, invoice) == balance(rig, invoice) == 220


@pytest.mark.parametrize("kind", ["lost_answer", "drop", "cut", "html"])
def test_one_whose_answer_is_lost_is_applied_once(rig: Rig, both, monkeypatch, kind):
    invoice, memo = both
    apply(rig, both, 30)
    rig.fault("books", method="PUT", path="/Allocations", kind=kind, times=1)
    rig.sync(quiet=True)
    arrived = len(note(rig, memo).get("Allocations", []))
    assert PaymentTaken.objects.get().state == "uncertain"
    rig.sync(quiet=True)
    # What arrived is seen at once; what did not is not sent again before it is sure.
    assert len(note(rig, memo).get("Allocations", [])) == arrived
    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    for _ in range(3):
        rig.sync(quiet=True)
    assert len(note(rig, memo)["Allocations"]) == 1
    assert due(rig, invoice) == balance(rig, invoice) == 190
    assert PaymentTaken.objects.get().state == "in_step"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_applies_it_once(rig: Rig, both, monkeypatch, when):
    invoice, memo = both
    apply(rig, both, 30)
    allocate = XeroBooks.allocate

    def dies(self, credit_id, invoice_id, amount, key):
        if when == "after":
            allocate(self, credit_id, invoice_id, amount, key)
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(XeroBooks, "allocate", dies)
        with pytest.raises(SystemExit):
            rig.sync()
    assert PaymentTaken.objects.get().state == "posting"
    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    for _ in range(3):
        rig.sync()
    assert len(note(rig, memo)["Allocations"]) == 1
    assert due(rig, invoice) == balance(rig, invoice) == 190
