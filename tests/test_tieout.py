"""The tie-out over both sandboxes: each cause arises as it does in life, and every cent has one."""

import json
from decimal import Decimal

import pytest
import time_machine

from psaltery import cli
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice
from psaltery.matching.models import TieOut, TieOutCustomer, TieOutDocument
from psaltery.matching.tieout.service import due_organisations, tie_out
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def tied(organisation=None) -> TieOut:
    row = tie_out(organisation, "ann@example.com")
    found = list(TieOutCustomer.objects.filter(tieout=row))
    for customer in found:
        parts = TieOutDocument.objects.filter(
            tieout=row, customer=customer.customer, currency=customer.currency
        )
        assert sum(part.amount for part in parts) == customer.difference, customer.name
    return row


def causes(row: TieOut) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in row.documents.all():
        found[part.cause] = found.get(part.cause, Decimal(0)) + part.amount
    return found


def the_link(kind: str = "invoice") -> Link:
    return Link.objects.select_related("document", "organisation").get(books_kind=kind)


def test_what_is_posted_and_paid_ties_without_a_difference(rig: Rig):
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    link = the_link()
    rig.pay(link, Decimal("20"), str(link.document.issued_on))
    rig.sync()
    row = tied(link.organisation)
    assert row.state == "ties"
    assert causes(row) == {}
    assert [(Decimal(one["psa"]), Decimal(one["books"])) for one in row.sums] == [(145, 145)]


def test_a_document_that_waits_or_is_held_or_skipped_is_named(rig: Rig):
    close(rig, "200.00")
    close(rig, "100.00")
    rig.site.connection.routes.filter(value="Adelaide").delete()
    close(rig, "50.00", location="Adelaide")
    for feed in rig.site.feeds.all():
        rig.read(feed)
    first, second, _ = Posting.objects.order_by("pk")
    Posting.objects.filter(pk=second.pk).update(state="skipped", why="Skipped by Ann.")
    for feed in rig.organisations[0].feeds.model.objects.filter(organisation__in=rig.organisations):
        rig.read(feed)
    row = tied(first.organisation)
    assert causes(row) == {"waiting": Decimal("220"), "skipped": Decimal("110")}
    assert row.state == "ties"
    unrouted = tied(None)
    part = unrouted.documents.get()
    assert (part.cause, part.amount) == ("held", Decimal("55"))
    assert Card.objects.get(pk=part.card_id).code == "no_route"
    assert None in due_organisations()


def test_money_on_its_way_back_and_money_that_the_psa_lost(rig: Rig):
    close(rig, "200.00")
    rig.sync()
    link = the_link()
    rig.pay(link, Decimal("70"), str(link.document.issued_on))
    for feed in rig.organisations[0].feeds.model.objects.filter(organisation=link.organisation):
        rig.read(feed)
    assert causes(tied(link.organisation)) == {"payment_not_back": Decimal("70")}
    rig.sync()
    assert causes(tied(link.organisation)) == {}
    for feed in rig.site.feeds.all():
        rig.read(feed)
    # Somebody took our payment out of the PSA: nothing on record says why it is open there again.
    Document.objects.filter(pk=link.document_id).update(balance=220, payments=0)
    row = tied(link.organisation)
    assert causes(row) == {"unexplained": Decimal("70")}
    assert row.state == "unexplained"
    card = Card.objects.get(code="tieout_unexplained")
    assert "70.00 AUD" in card.sentence
    Document.objects.filter(pk=link.document_id).update(balance=150, payments=70)
    assert tied(link.organisation).state == "ties"
    card.refresh_from_db()
    assert card.state == "resolved"


def test_a_stale_mirror_is_not_called_in_step(rig: Rig):
    close(rig, "200.00")
    rig.sync()
    organisation = the_link().organisation
    with time_machine.travel(now().timestamp() + 60 * 60 * 24 * 2):
        row = tie_out(organisation, "ann@example.com")
    assert row.state == "not_checked"
    assert any("invoices were last read" in sentence for sentence in row.stale)


def books(rig: Rig, link: Link, path: str, **body):
    contact = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]["Contact"]
    given = {"Contact": {"ContactID": contact["ContactID"]}, "Date": str(link.document.issued_on)}
    line = {"Description": "Goodwill", "Quantity": 1, "UnitAmount": "30.00", "AccountCode": "200"}
    given |= {"LineAmountTypes": "NoTax", "LineItems": [line], "Status": "AUTHORISED"}
    return rig.write_books(link.organisation, path, given | body)


def read_books(rig: Rig, link: Link) -> None:
    for feed in link.organisation.feeds.all():
        rig.read(feed)


def test_what_only_the_books_have(rig: Rig):
    close(rig, "200.00")
    rig.sync()
    link = the_link()
    books(rig, link, "CreditNotes", Type="ACCRECCREDIT", CreditNoteNumber="CN-1")
    due = str(link.document.issued_on)
    books(rig, link, "Invoices", Type="ACCREC", InvoiceNumber="OWN-1", DueDate=due)
    books(rig, link, "Invoices", Type="ACCREC", InvoiceNumber="OWN-2", DueDate=due, Status="DRAFT")
    read_books(rig, link)
    row = tied(link.organisation)
    assert causes(row) == {"books_credit": Decimal("30"), "books_only": Decimal("-30")}
    # Both are the same customer's: the customer's sides agree, and the documents are named still.
    customer = TieOutCustomer.objects.get(tieout=row)
    assert (customer.difference, customer.documents) == (0, 2)
    assert row.state == "ties"


def test_a_memo_that_the_books_have_allocated_and_the_psa_not_yet(rig: Rig):
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    invoice, memo = the_link(), the_link("credit_note")
    body = {
        "Allocations": [
            {
                "Invoice": {"InvoiceID": invoice.books_id},
                "Amount": "55",
                "Date": str(invoice.document.issued_on),
            }
        ]
    }
    rig.write_books(memo.organisation, f"CreditNotes/{memo.books_id}/Allocations", body)
    read_books(rig, memo)
    row = tied(memo.organisation)
    assert row.state == "ties"
    found = {part.document_id: (part.cause, part.amount) for part in row.documents.all()}
    assert found == {
        invoice.document_id: ("payment_not_back", Decimal("55")),
        memo.document_id: ("payment_not_back", Decimal("-55")),
    }
    rig.sync()
    # The memo's own balance is the PSA's to tell, at its next reading.
    assert causes(tied(memo.organisation)) == {"not_read": Decimal("-55")}
    rig.sync()
    assert causes(tied(memo.organisation)) == {}


def test_a_credit_that_was_refunded_stays_open_in_the_psa_only(rig: Rig):
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    memo = the_link("credit_note")
    account = next(
        one
        for one in rig.in_books(memo.organisation, "Accounts")["Accounts"]
        if one["Type"] == "BANK"
    )
    refund = {
        "CreditNote": {"CreditNoteID": memo.books_id},
        "Account": {"AccountID": account["AccountID"]},
        "Amount": "20",
        "Date": str(memo.document.issued_on),
    }
    rig.write_books(memo.organisation, "Payments", refund)
    rig.sync()
    row = tied(memo.organisation)
    assert row.state == "ties"
    assert causes(row) == {"credit_elsewhere": Decimal("-20")}


def test_a_draft_and_a_voided_document(rig: Rig):
    close(rig, "200.00")
    close(rig, "100.00")
    rig.sync()
    first, second = Link.objects.order_by("pk").select_related("organisation", "document")
    body = {"InvoiceID": first.books_id, "Status": "VOIDED"}
    rig.write_books(first.organisation, f"Invoices/{first.books_id}", body, "POST")
    read_books(rig, first)
    row = tied(first.organisation)
    assert causes(row) == {"voided": first.document.total}
    assert row.state == "ties"
    assert {part.document_id for part in row.documents.all()} == {first.document_id}
    # Under another customer in the books: each customer's difference names the same document.
    BillingInvoice.objects.filter(external_id=second.books_id).update(
        customer_external_id="somebody-else", customer_name="Somebody Else"
    )
    row = tied(first.organisation)
    parts = row.documents.filter(cause="other_customer").order_by("amount")
    assert [part.amount for part in parts] == [-second.document.total, second.document.total]
    assert row.state == "ties"


def test_the_command_says_by_its_end_whether_it_ties(rig: Rig, capsys):
    close(rig, "200.00")
    rig.sync()
    link = the_link()
    read_books(rig, link)

    def run(*arguments: str) -> int:
        code = cli.app(["tieout", *arguments], standalone_mode=False)
        return int(code or 0)

    number = str(link.organisation_id)
    assert run("--organisation", number, "--json") == 3
    assert run("--organisation", number, "--run", "--json") == 0
    capsys.readouterr()
    Document.objects.filter(pk=link.document_id).update(balance=100)
    assert run("--organisation", number, "--run", "--documents", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(part["cause"], part["amount"]) for part in told[0]["documents"]] == [
        ("paid_in_psa", "-120.0000")
    ]
    Link.objects.filter(pk=link.pk).update(books_id="gone")
    assert run("--organisation", number, "--run", "--json") == 1
    assert run("--organisation", "999999") == 2
