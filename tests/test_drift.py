"""What somebody changes in the books in a document of ours: shown, accepted, reverted, a rule."""

from decimal import Decimal

import pytest

from psaltery.mapping.models import Mapping
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.sync.repairs import repair
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [
    {"kind": "product", "description": "Switch", "quantity": "2", "price": "100.00"},
    {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "160.00"},
]


def post_one(rig: Rig) -> Link:
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    rig.sync()
    return Link.objects.select_related("document", "organisation").get()


def in_books(rig: Rig, link: Link):
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


def change(rig: Rig, link: Link, lines=None, **fields):
    body = {"InvoiceID": link.books_id, **fields}
    if lines is not None:
        body["LineItems"] = lines
    rig.write_books(link.organisation, "Invoices?unitdp=4", body, method="POST")
    rig.sync()


def lines_of(rig: Rig, link: Link):
    kept = ("LineItemID", "Description", "Quantity", "UnitAmount", "AccountCode", "TaxType")
    return [
        {name: line[name] for name in kept if name in line}
        for line in in_books(rig, link)["LineItems"]
    ]


def drift() -> Card:
    return Card.objects.get(state="open", topic="drift")


def test_what_we_wrote_and_what_is_paid_is_no_drift(rig: Rig):
    link = post_one(rig)
    rig.pay(link, Decimal("440"), str(link.document.issued_on))
    rig.sync()
    assert not Card.objects.filter(topic="drift").exists()


def test_a_change_is_told_field_by_field_and_accepting_ends_it(rig: Rig):
    link = post_one(rig)
    lines = lines_of(rig, link)
    lines[0]["Description"] = "Switch, refurbished"
    change(rig, link, lines=lines, Reference="PO 77")
    card = drift()
    assert "description Switch → Switch, refurbished" in card.sentence
    assert {one["field"] for one in card.details["differences"]} == {"reference", "description"}
    assert Posting.objects.get().state == "in_step"
    repair(card, "accept_drift", {}, "ann@example.com")
    rig.sync()
    change(rig, link, DueDate="2027-01-31")
    assert "due date" in drift().sentence


def test_reverting_writes_the_psas_version_again(rig: Rig):
    link = post_one(rig)
    lines = lines_of(rig, link)
    lines[1]["UnitAmount"] = "200.00"
    change(rig, link, lines=lines)
    assert Decimal(in_books(rig, link)["Total"]) == Decimal("550.00")
    repair(drift(), "revert_drift", {}, "ann@example.com")
    rig.work()
    assert Decimal(in_books(rig, link)["Total"]) == Decimal("484.00")
    assert Attempt.objects.filter(action="update", state="settled").count() == 1
    rig.sync()
    assert not Card.objects.filter(state="open").exists()


def test_an_account_chosen_in_the_books_becomes_the_rule(rig: Rig):
    link = post_one(rig)
    lines = lines_of(rig, link)
    codes = {
        account["Code"]
        for account in rig.in_books(link.organisation, "Accounts")["Accounts"]
        if account["Type"] in ("REVENUE", "SALES") and account["Status"] == "ACTIVE"
    }
    other = sorted(codes - {lines[0]["AccountCode"]})[0]
    lines[0]["AccountCode"] = other
    change(rig, link, lines=lines)
    repair(drift(), "make_rule", {}, "ann@example.com")
    mapping = Mapping.objects.get(organisation=link.organisation, list="account")
    assert mapping.target == other
    assert not Card.objects.filter(state="open").exists()


def test_a_voided_document_is_told_at_once(rig: Rig):
    link = post_one(rig)
    change(rig, link, Status="VOIDED")
    card = drift()
    assert card.code == "voided_in_books"
    repair(card, "accept_books", {}, "ann@example.com")
    rig.sync()
    assert not Card.objects.filter(state="open").exists()
