"""Edits in the PSA after posting, in each state of the document in the books."""

from decimal import Decimal

import pytest

from psaltery.connections.opening import open_psa
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.policy import Policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import force
from psaltery.sync.repairs import repair
from psaltery.testing.rig import Rig, call

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]


def post_one(rig: Rig, status: Status = Status.AUTHORISED) -> Link:
    for organisation in rig.organisations:
        organisation.settings = stored_policy(Policy(status=status))
        organisation.save()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    rig.sync()
    return Link.objects.select_related("document", "organisation").get()


def edit(rig: Rig, link: Link, **changes):
    """As people edit in ConnectWise: delete the batch, reopen, change, close."""
    link.refresh_from_db()
    if link.psa_batch_id:
        open_psa(rig.site).unmark_posted(link.psa_batch_id)
        Link.objects.filter(pk=link.pk).update(psa_batch_id="")
    body = {"id": int(link.document.external_id), **changes}
    return call(f"{rig.psa_url}/_control/edit_invoice", "POST", body)


def dearer(rig: Rig, link: Link) -> None:
    line = {"kind": "product", "description": "Switch, 48 ports", "quantity": "2", "price": "150"}
    edit(rig, link, lines=[line])
    rig.sync()


def in_books(rig: Rig, link: Link):
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


@pytest.mark.parametrize("status", [Status.DRAFT, Status.SUBMITTED, Status.AUTHORISED])
def test_an_edit_is_written_through_to_the_same_document(rig: Rig, status):
    link = post_one(rig, status)
    dearer(rig, link)
    invoice = in_books(rig, link)
    assert Decimal(invoice["Total"]) == Decimal("330.00")
    assert [line["Description"] for line in invoice["LineItems"]] == ["Switch, 48 ports"]
    assert invoice["Status"] == status.value.upper()
    assert Posting.objects.get().state == "in_step"
    assert Link.objects.get().books_id == link.books_id
    assert Attempt.objects.filter(action="update", state="settled").count() == 1


def test_an_update_whose_answer_is_lost_is_not_repeated_blindly(rig: Rig, monkeypatch):
    from datetime import timedelta

    from psaltery.posting import leftovers

    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    link = post_one(rig)
    rig.fault("books", method="POST", path="/Invoices", kind="lost_answer", times=1)
    edit(rig, link, lines=[{**LINES[0], "price": "300"}])
    rig.sync(quiet=True)
    assert Posting.objects.get().state == "uncertain"
    rig.work()
    assert Posting.objects.get().state == "in_step"
    assert Attempt.objects.filter(action="update").count() == 1
    assert Decimal(in_books(rig, link)["Total"]) == Decimal("330.00")


def test_an_edit_of_a_paid_document_asks_and_keeping_the_books_ends_it(rig: Rig):
    link = post_one(rig)
    rig.pay(link, Decimal("220"), str(link.document.issued_on))
    rig.sync()
    dearer(rig, link)
    card = Card.objects.get(state="open")
    assert card.code == "has_payments"
    assert Decimal(in_books(rig, link)["Total"]) == Decimal("220.00")
    repair(card, "accept_books", {}, "ann@example.com")
    rig.work()
    assert Posting.objects.get().state == "in_step"
    rig.sync()
    assert not Card.objects.filter(state="open", topic="posting").exists()


def test_a_document_voided_in_the_books_is_asked_about_when_it_changes(rig: Rig):
    link = post_one(rig)
    rig.write_books(
        link.organisation,
        "Invoices",
        {"InvoiceID": link.books_id, "Status": "VOIDED"},
        method="POST",
    )
    rig.sync()
    assert Card.objects.get(state="open").topic == "drift"
    dearer(rig, link)
    cards = Card.objects.filter(state="open")
    assert {card.code for card in cards} == {"voided_in_books"}
    repair(cards.get(topic="posting"), "accept_books", {}, "ann@example.com")
    rig.work()
    assert Posting.objects.get().state == "in_step"
    assert not Card.objects.filter(state="open").exists()


def test_a_reopened_document_waits_and_goes_on_when_it_is_closed_again(rig: Rig):
    link = post_one(rig)
    open_psa(rig.site).unmark_posted(link.psa_batch_id)
    Link.objects.update(psa_batch_id="")
    number = int(link.document.external_id)
    is_open = {"status": {"id": 1, "name": "Open", "isClosed": False}}
    change = {"collection": "invoices", "id": number, "fields": is_open}
    call(f"{rig.psa_url}/_control/change", "POST", change)
    force.refresh(link.document_id)
    rig.work()
    assert Posting.objects.get().state == "held"
    assert Card.objects.get(state="open").code == "reopened"
    assert in_books(rig, link)["Status"] == "AUTHORISED"
    call(f"{rig.psa_url}/_control/close_invoice", "POST", {"id": number})
    dearer(rig, link)
    assert Posting.objects.get().state == "in_step"
    assert not Card.objects.filter(state="open").exists()
    assert Decimal(in_books(rig, link)["Total"]) == Decimal("330.00")
