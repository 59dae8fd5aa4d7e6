"""An invoice that can't be edited any more: voided or credited, and issued anew, each step once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from psaltery.adapters.errors import BadSettings, TryLater
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoiceLine, BillingPayment
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Attempt, Link, Posting, Reissue
from psaltery.posting.reissue import carry_out, service
from psaltery.posting.reissue.steps import Way
from psaltery.posting.service import skip
from psaltery.review.models import Card
from psaltery.sync import force
from psaltery.sync.repairs import offered, repair
from psaltery.testing.rig import Rig, call

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
DEARER = [{**LINES[0], "price": "300.00"}]
CHEAPER = [{**LINES[0], "price": "50.00"}]


def post_one(rig: Rig) -> Link:
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    rig.sync()
    return Link.objects.select_related("document", "organisation").get()


def invoices(rig: Rig, link: Link) -> dict[str, dict]:
    found = rig.in_books(link.organisation, "Invoices", page="1")["Invoices"]
    mine = [one for one in found if one["InvoiceNumber"].startswith(link.document.number)]
    return {one["InvoiceNumber"]: one for one in mine}


def notes(rig: Rig, link: Link) -> list[dict]:
    found = rig.in_books(link.organisation, "CreditNotes", page="1")["CreditNotes"]
    return [one for one in found if one["CreditNoteNumber"].startswith(link.document.number)]


def paid_then_edited(rig: Rig, paid: str, lines) -> Link:
    link = post_one(rig)
    rig.pay(link, Decimal(paid), str(link.document.issued_on))
    rig.sync()
    rig.edit(link, lines=lines)
    rig.sync()
    return link


def confirm(name: str) -> Card:
    card = Card.objects.get(state="open", topic="posting")
    assert name in offered(card)
    repair(card, name, {}, "ann@example.com")
    return card


def refuse(rig: Rig, method: str, path: str, words: str) -> None:
    """The books refuse the next such write."""
    body = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": [{"ValidationErrors": [{"Message": words}]}],
    }
    json = {"Content-Type": "application/json"}
    rig.fault(
        "books",
        method=method,
        path=path,
        kind="status",
        status=400,
        body=body,
        headers=json,
        times=1,
    )


def due(one: dict) -> Decimal:
    return Decimal(str(one["AmountDue"]))


@pytest.mark.parametrize(
    ("paid", "lines", "owed", "left"),
    [
        ("220", DEARER, "110.00", "0.00"),  # paid: the customer owes the difference
        ("100", DEARER, "230.00", "0.00"),  # part paid
        ("220", CHEAPER, "0.00", "165.00"),  # dearer than it should have been: credit is left
    ],
)
def test_a_paid_invoice_is_credited_and_issued_anew(rig: Rig, paid, lines, owed, left):
    link = paid_then_edited(rig, paid, lines)
    number = link.document.number
    card = confirm("credit_anew")
    assert f"{number}-2 is issued with" in card.details["plan"]["credit_anew"]
    rig.work()
    there = invoices(rig, link)
    assert due(there[number]) == Decimal(0)
    assert due(there[f"{number}-2"]) == Decimal(owed)
    (note,) = notes(rig, link)
    assert Decimal(str(note["Total"])) == Decimal("220.00")
    assert Decimal(str(note["RemainingCredit"])) == Decimal(left)
    moved = Link.objects.get()
    assert (moved.books_id, moved.number) == (there[f"{number}-2"]["InvoiceID"], f"{number}-2")
    assert Posting.objects.get().state == "in_step"
    rig.sync()
    assert not Card.objects.filter(state="open").exists()
    balance = Decimal(str(rig.psa_invoice(link.document)["balance"]))
    assert balance == Decimal(owed)


def test_the_psas_payment_is_not_touched_while_the_money_is_on_its_way(rig: Rig):
    link = paid_then_edited(rig, "220", DEARER)
    before = rig.psa_payments(link.document)
    confirm("credit_anew")
    rig.work()
    # The mirror does not show the allocation yet: nothing may be said of payments.
    PaymentBack.objects.update(state="waiting")
    rig.work()
    assert rig.psa_payments(link.document) == before
    rig.sync()
    touched = BillingPayment.objects.filter(invoice_external_id=Link.objects.get().books_id)
    assert [row.amount for row in touched] == [Decimal("220")]
    assert sum(Decimal(str(row["amount"])) for row in rig.psa_payments(link.document)) == 220


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/CreditNotes"), ("PUT", "/Invoices"), ("PUT", "/Allocations")],
)
def test_no_step_is_done_twice_when_its_answer_is_lost(rig: Rig, monkeypatch, method, path):
    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    rig.fault("books", method=method, path=path, kind="lost_answer", times=1)
    rig.work(quiet=True)
    assert Posting.objects.get().state == "uncertain"
    assert Attempt.objects.filter(state="uncertain").count() == 1
    rig.work()
    assert Posting.objects.get().state == "in_step"
    assert Attempt.objects.filter(reissue__isnull=False, state="found").count() == 1
    there = invoices(rig, link)
    assert sorted(there) == [link.document.number, f"{link.document.number}-2"]
    assert due(there[f"{link.document.number}-2"]) == Decimal("230.00")
    assert len(notes(rig, link)) == 1


def test_a_step_whose_answer_is_awaited_is_not_looked_at(rig: Rig):
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    rig.fault("books", method="PUT", path="/CreditNotes", kind="lost_answer", times=1)
    rig.work(quiet=True)
    rig.work()
    assert Posting.objects.get().state == "uncertain"
    assert len(notes(rig, link)) == 1
    Attempt.objects.filter(state="uncertain").update(booked_at=now() - timedelta(minutes=1))
    rig.work()
    assert Posting.objects.get().state == "in_step"


@pytest.mark.parametrize("step", range(4))
def test_it_goes_on_where_it_was_killed(rig: Rig, monkeypatch, step):
    """Killed after the write and before its answer was kept, at each step."""
    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    settle, calls = carry_out._settled, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == step + 1:
            raise KeyboardInterrupt
        settle(*arguments)

    monkeypatch.setattr(carry_out, "_settled", killed)
    with pytest.raises(KeyboardInterrupt):
        rig.work()
    rig.work()
    there = invoices(rig, link)
    assert due(there[f"{link.document.number}-2"]) == Decimal("230.00")
    assert len(there) == 2
    assert len(notes(rig, link)) == 1
    assert Posting.objects.get().state == "in_step"
    assert Reissue.objects.get().done_at is not None


def test_a_deleted_invoice_with_money_is_credited_when_a_person_says_so(rig: Rig):
    link = post_one(rig)
    rig.pay(link, Decimal("100"), str(link.document.issued_on))
    rig.sync()
    rig.psa_sandbox.world.store.delete("invoices", link.document.external_id)
    force.refresh(link.document_id)
    rig.work()
    assert due(invoices(rig, link)[link.document.number]) == Decimal("120.00")
    confirm("credit_it")
    rig.work()
    assert due(invoices(rig, link)[link.document.number]) == Decimal(0)
    (note,) = notes(rig, link)
    assert Decimal(str(note["RemainingCredit"])) == Decimal("100.00")
    assert Posting.objects.get().state == "in_step"
    rig.sync()
    assert not Card.objects.filter(state="open", topic="posting").exists()


def test_an_invoice_behind_the_lock_is_credited_in_the_open_period(rig: Rig):
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES, date="2026-10-15")
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    for organisation in rig.organisations:
        lock = {"tenant": organisation.external_id, "PeriodLockDate": "2026-10-31"}
        call(f"{rig.books_url}/_control/organisations", "POST", lock)
    rig.edit(link, lines=DEARER)
    rig.sync()
    assert Card.objects.get(state="open").code == "locked_edit"
    confirm("credit_anew")
    rig.work()
    there = invoices(rig, link)
    number = link.document.number
    assert there[number]["DateString"].startswith("2026-10-15")
    assert due(there[number]) == Decimal(0)
    assert there[f"{number}-2"]["DateString"].startswith("2026-11-01")
    assert due(there[f"{number}-2"]) == Decimal("330.00")


def test_an_invoice_that_the_books_refuse_to_edit_is_voided_and_keeps_its_number(rig: Rig):
    link = post_one(rig)
    words = "Invoice not of valid status for modification"
    refuse(rig, "POST", "/Invoices", words)
    rig.edit(link, lines=DEARER)
    rig.sync()
    assert Card.objects.get(state="open").code == "status_not_editable"
    confirm("void_anew")
    rig.work()
    there = invoices(rig, link)
    number = link.document.number
    assert there[f"{number} void"]["Status"] == "VOIDED"
    assert Decimal(str(there[number]["Total"])) == Decimal("330.00")
    assert Link.objects.get().books_id == there[number]["InvoiceID"] != link.books_id
    rig.sync()
    assert not Card.objects.filter(state="open").exists()


def test_a_refused_step_waits_for_a_person_who_may_end_it(rig: Rig):
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    words = "The account code is wrong"
    refuse(rig, "PUT", "/CreditNotes", words)
    rig.work()
    card = Card.objects.get(state="open", topic="posting")
    assert card.code == "reissue_stopped"
    assert words in card.sentence
    repair(card, "end_reissue", {}, "ann@example.com")
    rig.work()
    assert Card.objects.get(state="open", topic="posting").code == "has_payments"
    assert notes(rig, link) == []
    assert Link.objects.get().books_id == link.books_id


def test_a_vendor_in_trouble_leaves_it_for_later(rig: Rig):
    paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    rig.fault("books", method="PUT", path="/CreditNotes", kind="status", status=429, times=1)
    with pytest.raises(TryLater):
        rig.work()
    assert Posting.objects.get().state == "waiting"


def voided_anew(rig: Rig) -> Link:
    """An invoice that a person has said to void and issue anew."""
    link = post_one(rig)
    refuse(rig, "POST", "/Invoices", "Invoice not of valid status for modification")
    rig.edit(link, lines=DEARER)
    rig.sync()
    confirm("void_anew")
    return link


def test_a_new_invoice_that_arrives_after_it_was_taken_for_lost_is_ours(rig: Rig, monkeypatch):
    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    link = voided_anew(rig)
    rig.fault("books", method="PUT", path="/Invoices", kind="lost_answer", times=1)
    rig.work(quiet=True)
    # Looked up a moment too early, then refused for itself: its number was taken by then.
    Attempt.objects.filter(state="uncertain", action="create").update(state="abandoned")
    Reissue.objects.update(number=f"{link.document.number}-2")
    rig.work()
    there = invoices(rig, link)
    moved = Link.objects.get()
    assert (moved.number, moved.books_id) == (
        link.document.number,
        there[link.document.number]["InvoiceID"],
    )
    posting = Posting.objects.get()
    assert (posting.state, posting.books_number) == ("in_step", link.document.number)
    assert len(there) == 2


def test_the_way_is_not_changed_in_the_middle(rig: Rig):
    link = paid_then_edited(rig, "100", DEARER)
    row = service.ask(link, Way.CREDIT)
    with pytest.raises(BadSettings, match="end that first"):
        service.ask(link, Way.VOID)
    assert service.ask(link, Way.CREDIT).pk == row.pk
    assert Reissue.objects.get().way == "credit"


def test_nothing_more_is_written_once_a_person_has_ended_it(rig: Rig, monkeypatch):
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    read = carry_out.read

    def ended_meanwhile(row, books):
        with transaction.atomic():
            service.end(link)
        return read(row, books)

    monkeypatch.setattr(carry_out, "read", ended_meanwhile)
    rig.work()
    assert notes(rig, link) == []
    assert not Attempt.objects.filter(reissue__isnull=False).exists()


def test_skipping_it_ends_the_re_issue_and_lets_payments_go_on(rig: Rig):
    link = paid_then_edited(rig, "100", DEARER)
    confirm("credit_anew")
    refuse(rig, "PUT", "/CreditNotes", "The account code is wrong")
    rig.work()
    assert service.moving(now()).count() == 1
    skip([link.document_id], "ann@example.com")
    assert Reissue.objects.get().done_at is not None
    assert service.moving(now()).count() == 0


# What somebody entered in the books by hand, and was adopted.


def adopted(rig: Rig) -> Link:
    """An invoice of 220.00 that was entered by hand: two lines, one with a discount, and a text."""
    psa = rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    sydney = next(one for one in rig.organisations if "Sydney" in one.name)
    contact = {"Name": psa["company"]["name"]}
    made = rig.write_books(sydney, "Contacts", {"Contacts": [contact]})["Contacts"][0]
    line = {"AccountCode": "200", "TaxType": "OUTPUT", "Quantity": 1}
    lines = [
        {**line, "Description": "Switch", "UnitAmount": "150.00", "DiscountRate": 20},
        {**line, "Description": "Cables", "Quantity": 8, "UnitAmount": "10.00"},
        {"Description": "Thank you"},
    ]
    sent = {
        "Type": "ACCREC",
        "InvoiceNumber": psa["invoiceNumber"],
        "Contact": {"ContactID": made["ContactID"]},
        "Date": psa["date"][:10],
        "DueDate": psa["date"][:10],
        "Status": "AUTHORISED",
        "LineItems": lines,
    }
    rig.write_books(sydney, "Invoices", {"Invoices": [sent]})
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    assert (link.how, link.draft) == ("adopted", {})
    return link


def test_an_adopted_invoice_is_taken_back_as_the_books_have_it(rig: Rig):
    link = adopted(rig)
    number = link.document.number
    rig.pay(link, Decimal("100"), str(link.document.issued_on))
    rig.sync()
    rig.edit(link, lines=DEARER)
    rig.sync()
    card = Card.objects.get(state="open", topic="posting")
    assert card.details["plan"]["credit_anew"].startswith(
        f"The credit note {number}-CR takes back {number} (220.00), and {number}-2 is issued"
    )
    confirm("credit_anew")
    rig.work()
    (note,) = notes(rig, link)
    assert (Decimal(note["Total"]), Decimal(note["TotalTax"])) == (Decimal(220), Decimal(20))
    assert [line["Description"] for line in note["LineItems"]] == ["Switch", "Cables"]
    there = invoices(rig, link)
    assert due(there[number]) == Decimal(0)
    assert due(there[f"{number}-2"]) == Decimal("230.00")
    assert Posting.objects.get().state == "in_step"
    for _ in range(2):
        rig.sync()
    assert Decimal(str(rig.psa_invoice(link.document)["balance"])) == Decimal("230.00")
    assert not Card.objects.filter(state="open").exists()


def test_an_adopted_invoice_whose_lines_are_not_known_is_left_to_a_person(rig: Rig):
    link = adopted(rig)
    BillingInvoiceLine.objects.filter(invoice_external_id=link.books_id).delete()
    with pytest.raises(BadSettings, match="its lines are not known; credit it in the books"):
        service.ask(link, Way.CREDIT)
    assert not Reissue.objects.exists()
