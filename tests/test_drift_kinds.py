"""Drift of bills and credit notes: told field by field, accepted, reverted, made the rule."""

from decimal import Decimal

import pytest

from psaltery.mapping.models import Mapping
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.sync.repairs import repair
from psaltery.testing.orders import order, receive, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
PATHS = {"bill": "Invoices", "credit_note": "CreditNotes"}
IDS = {"bill": "InvoiceID", "credit_note": "CreditNoteID"}


def post_credit_note(rig: Rig) -> Link:
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES, type="CreditMemo")
    rig.sync()
    return Link.objects.select_related("document", "organisation").get()


def post_bill(rig: Rig) -> Link:
    take_bills(rig)
    receive(rig, order(rig, vendor(rig)), "PS1", "INV-77")
    rig.sync()
    rig.sync()  # the feed of bills begins with the first of ours
    return Link.objects.select_related("document", "organisation").get()


MAKE = {"bill": post_bill, "credit_note": post_credit_note}


def in_books(rig: Rig, link: Link):
    collection = PATHS[link.books_kind]
    return rig.in_books(link.organisation, f"{collection}/{link.books_id}")[collection][0]


def change(rig: Rig, link: Link, lines=None, **fields) -> None:
    body = {IDS[link.books_kind]: link.books_id, **fields}
    if lines is not None:
        body["LineItems"] = lines
    rig.write_books(link.organisation, f"{PATHS[link.books_kind]}?unitdp=4", body, method="POST")
    rig.sync()


def lines_of(rig: Rig, link: Link):
    kept = ("LineItemID", "Description", "Quantity", "UnitAmount", "AccountCode", "TaxType")
    return [
        {name: line[name] for name in kept if name in line}
        for line in in_books(rig, link)["LineItems"]
    ]


def drift() -> Card:
    return Card.objects.get(state="open", topic="drift")


@pytest.fixture(params=["bill", "credit_note"])
def link(rig: Rig, request) -> Link:
    made = MAKE[request.param](rig)
    assert made.books_kind == request.param
    rig.sync()
    assert not Card.objects.filter(topic="drift").exists()
    return made


def test_a_change_is_told_field_by_field_and_accepted(rig: Rig, link: Link):
    lines = lines_of(rig, link)
    lines[0]["Description"] = "Something else"
    change(rig, link, lines=lines)
    card = drift()
    assert [one["field"] for one in card.details["differences"]] == ["description"]
    assert "Something else" in card.sentence
    repair(card, "accept_drift", {}, "ann@example.com")
    rig.sync()
    assert not Card.objects.filter(state="open").exists()


def test_reverting_writes_the_psas_version_again(rig: Rig, link: Link):
    total = Decimal(str(in_books(rig, link)["Total"]))
    lines = lines_of(rig, link)
    lines[0]["UnitAmount"] = str(Decimal(str(lines[0]["UnitAmount"])) + 10)
    change(rig, link, lines=lines)
    assert {one["field"] for one in drift().details["differences"]} >= {"price", "total"}
    repair(drift(), "revert_drift", {}, "ann@example.com")
    rig.work()
    assert Decimal(str(in_books(rig, link)["Total"])) == total
    assert Attempt.objects.filter(action="update", state="settled").count() == 1
    rig.sync()
    assert not Card.objects.filter(state="open").exists()
    assert Posting.objects.get().state == "in_step"


def test_an_account_chosen_in_the_books_becomes_the_rule(rig: Rig, link: Link):
    lines = lines_of(rig, link)
    types = ("EXPENSE", "DIRECTCOSTS") if link.books_kind == "bill" else ("REVENUE", "SALES")
    codes = {
        account["Code"]
        for account in rig.in_books(link.organisation, "Accounts")["Accounts"]
        if account["Type"] in types and account["Status"] == "ACTIVE"
    }
    other = sorted(codes - {line["AccountCode"] for line in lines})[0]
    lines[0]["AccountCode"] = other
    change(rig, link, lines=lines)
    repair(drift(), "make_rule", {}, "ann@example.com")
    list_ = "purchase_account" if link.books_kind == "bill" else "account"
    assert Mapping.objects.filter(organisation=link.organisation, list=list_, target=other).exists()
    assert not Card.objects.filter(state="open").exists()


def test_one_that_is_removed_in_the_books_is_told_at_once(rig: Rig, link: Link):
    status = "DELETED" if in_books(rig, link)["Status"] == "DRAFT" else "VOIDED"
    change(rig, link, Status=status)
    assert drift().code == "voided_in_books"
