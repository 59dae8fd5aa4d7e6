"""Faults that users of existing connectors meet, driven to their end: numbers, locks, payments.

The table that names every row of the field's catalogue, its code, its buttons and the test that
shows it is docs/errors/matrix.md; those rows that no other test drives are driven here.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_psa
from psaltery.ledger.models import LedgerAccount
from psaltery.mapping.service import set_mapping
from psaltery.matching.models import PaymentTaken
from psaltery.posting.models import Link
from psaltery.posting.policy import Policy, read_policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.testing.http_calls import call
from psaltery.testing.office import (
    books_of,
    by_hand,
    company,
    contacts,
    edit,
    hand,
    lock,
    mend,
    post_unread,
    read,
    settled,
    sydney,
    with_one_office,
)
from psaltery.testing.rig import REDIRECT, Rig
from psaltery.testing.situations import (
    LINE,
    change_psa,
    close,
    open_cards,
    states,
    the_card,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    return with_one_office(rig)


# Numbers.


def theirs_like(rig: Rig, made: Any, **more: Any) -> Any:
    contact = {"Name": company(rig)["name"]}
    net = Decimal(LINE["quantity"]) * Decimal(LINE["price"])
    return by_hand(rig, made["invoiceNumber"], net, Contact=contact, **more)


def test_e26_the_same_invoice_that_is_paid_already_is_linked_and_not_edited(rig: Rig):
    made = close(rig)
    theirs = theirs_like(rig, made)
    bank = next(
        row for row in rig.in_books(sydney(rig), "Accounts")["Accounts"] if row["Type"] == "BANK"
    )
    paid = {
        "Invoice": {"InvoiceID": theirs["InvoiceID"]},
        "Account": {"AccountID": bank["AccountID"]},
        "Amount": str(theirs["Total"]),
        "Date": theirs["DateString"][:10],
    }
    hand(rig, "Payments", paid)
    for _ in range(2):
        rig.sync()
    settled(rig, made)
    link = Link.objects.get()
    assert (link.how, link.books_id) == ("adopted", theirs["InvoiceID"])
    # Money from before we knew of it comes back as well (E46).
    payments = rig.psa_payments(link.document)
    assert [Decimal(str(row["amount"])) for row in payments] == [link.total]


def test_e27_only_the_number_counts_not_the_reference(rig: Rig):
    made = close(rig)
    contact = {"Name": company(rig)["name"]}
    theirs = by_hand(rig, "CONV-1", "99", Contact=contact, Reference=made["invoiceNumber"])
    rig.sync()
    assert states() == {made["invoiceNumber"]: "in_step"}
    assert Link.objects.get().books_id != theirs["InvoiceID"]
    assert open_cards() == {}


def test_e29_lines_that_somebody_replaced_in_the_books(rig: Rig):
    made = close(rig)
    rig.sync()
    link = Link.objects.get()
    (line,) = books_of(rig, link)["LineItems"]
    same = ("Description", "Quantity", "UnitAmount", "AccountCode", "TaxType")
    again = {"LineItems": [{name: str(line[name]) for name in same}]}
    hand(rig, f"Invoices/{link.books_id}", again, "POST")
    assert books_of(rig, link)["LineItems"][0]["LineItemID"] != line["LineItemID"]
    link.refresh_from_db()
    open_psa(rig.site).unmark_posted(link.psa_batch_id)
    body = {"id": made["id"], "lines": [{**LINE, "price": "300"}]}
    changed = call(f"{rig.psa_url}/_control/edit_invoice", "POST", body)
    rig.sync()
    settled(rig, changed)


# State and locks.


def test_e30_what_is_in_the_books_is_linked_though_its_period_is_locked(rig: Rig):
    made = close(rig)
    theirs = theirs_like(rig, made)
    lock(rig, "2099-12-31")
    rig.sync()
    settled(rig, made)
    assert Link.objects.get().books_id == theirs["InvoiceID"]


def take_payments(rig: Rig) -> Link:
    """Payments of the PSA are entered in the books from now on; an invoice that waits for one."""
    made = close(rig)
    rig.sync()
    bank = LedgerAccount.objects.filter(organisation=sydney(rig), type="BANK")[0]
    set_mapping(sydney(rig), "payment", "any", "", bank.external_id)
    wanted = msgspec.structs.replace(read_policy(sydney(rig).settings), psa_payments=True)
    organisations.change(sydney(rig), organisations.Wanted(policy=wanted))
    return Link.objects.select_related("document").get(number=made["invoiceNumber"])


def enter(rig: Rig, link: Link, amount: str, day: str) -> None:
    body = {"number": link.number, "amount": int(amount), "paymentDate": f"{day}T00:00:00Z"}
    call(f"{rig.psa_url}/_control/enter_payment", "POST", body)


def test_e31_a_payment_in_a_locked_period_waits_and_goes_when_the_lock_moves(rig: Rig):
    link = take_payments(rig)
    day = str(link.document.issued_on)
    lock(rig, day)
    read(rig, sydney(rig), "settings")
    enter(rig, link, "50", day)
    rig.sync()
    assert link.number in the_card("payment_locked").sentence
    lock(rig, None)
    for _ in range(2):
        rig.sync()
    assert PaymentTaken.objects.get().state == "in_step"
    assert Decimal(books_of(rig, link)["AmountPaid"]) == 50
    assert open_cards() == {}


def test_e33_a_reconciled_payment_stays_and_says_so(rig: Rig):
    link = take_payments(rig)
    enter(rig, link, "50", str(link.document.issued_on))
    rig.sync()
    row = PaymentTaken.objects.get()
    edit(rig, "Payments", row.books_payment_id, IsReconciled=True)
    (paid,) = rig.psa_payments(link.document)
    world = rig.psa_sandbox.world
    with world.store.transaction():
        world.remove("payments", world.get("payments", paid["id"]))
        world.change("invoices", int(link.document.external_id))
    for _ in range(2):
        rig.sync()
    assert "reconciled" in the_card("reconciled").sentence
    assert Decimal(books_of(rig, link)["AmountPaid"]) == 50


# Plan and permission.


def test_e36_the_plans_limit_of_approved_invoices(rig: Rig):
    limits = {"settings": {"limit_approved_invoices": 0}}
    body = {"tenant": sydney(rig).external_id, **limits}
    call(f"{rig.books_url}/_control/organisations", "POST", body)
    policy = Policy(status=Status.AUTHORISED)
    Organisation.objects.filter(pk=sydney(rig).pk).update(settings=stored_policy(policy))
    made = [close(rig), close(rig)]
    post_unread(rig)
    assert the_card("plan_limit").blocked.count() == 2
    # Its button leads to the settings: drafts are not counted.
    drafts = msgspec.structs.replace(policy, status=Status.DRAFT)
    sydney(rig).refresh_from_db()
    organisations.change(sydney(rig), organisations.Wanted(policy=drafts))
    rig.work()
    settled(rig, *made)


def test_e38_the_user_who_authorised_has_lost_the_right(rig: Rig):
    first = close(rig)
    rig.sync()
    rig.fault("books", method="PUT", path="/Invoices", kind="forbidden", times=-1)
    made = [close(rig), close(rig)]
    post_unread(rig)
    card = the_card("permission_denied")
    assert "user who authorised" in card.sentence
    assert card.blocked.count() == 2
    call(f"{rig.books_url}/_control/faults", "DELETE")
    mend(rig, "permission_denied", "retry")
    settled(rig, first, *made)


def test_e39_a_scope_that_the_app_does_not_have(rig: Rig):
    address = begin_consent(rig.connection, redirect_uri=REDIRECT)
    state = address.partition("state=")[2].partition("&")[0]
    refused = f"{REDIRECT}?error=invalid_scope&error_description=Invalid+scope&state={state}"
    with pytest.raises(Exception, match="scope"):
        complete_consent(refused, connection=rig.connection)
    rig.connection.refresh_from_db()
    assert rig.connection.state == "connected"


# Payments and credits.


def test_e44_a_payment_on_an_invoice_that_is_not_ours(rig: Rig):
    theirs = by_hand(rig, "OTHER-1", "100", Contact={"Name": "Somebody else"})
    bank = next(
        row for row in rig.in_books(sydney(rig), "Accounts")["Accounts"] if row["Type"] == "BANK"
    )
    body = {
        "Invoice": {"InvoiceID": theirs["InvoiceID"]},
        "Account": {"AccountID": bank["AccountID"]},
        "Amount": "50",
        "Date": theirs["DateString"][:10],
    }
    hand(rig, "Payments", body)
    rig.sync()
    assert rig.psa_documents("payments") == []
    assert open_cards() == {}


def test_e45_one_credit_over_two_invoices(rig: Rig):
    credit = close(rig, type="CreditMemo", lines=[{**LINE, "quantity": "1", "price": "80"}])
    invoices = [close(rig), close(rig)]
    rig.sync()
    links = {link.number: link for link in Link.objects.select_related("document")}
    note = links[credit["invoiceNumber"]]
    for made, amount in zip(invoices, ("30", "58"), strict=True):
        invoice = links[made["invoiceNumber"]]
        one = {"Invoice": {"InvoiceID": invoice.books_id}, "Amount": amount}
        body = {"Allocations": [{**one, "Date": str(invoice.document.issued_on)}]}
        rig.write_books(sydney(rig), f"CreditNotes/{note.books_id}/Allocations", body)
    rig.sync()
    for made, amount in zip(invoices, (30, 58), strict=True):
        found = rig.psa_payments(links[made["invoiceNumber"]].document)
        assert [Decimal(str(row["amount"])) for row in found] == [amount]
    assert open_cards() == {}


def test_e47_a_payment_keeps_the_date_of_the_books(rig: Rig):
    close(rig)
    rig.sync()
    link = Link.objects.select_related("document").get()
    day = link.document.issued_on - timedelta(days=40)
    rig.pay(link, Decimal("50"), str(day))
    rig.sync()
    (payment,) = rig.psa_payments(link.document)
    assert payment["paymentDate"][:10] == str(day)


def test_e51_names_and_texts_that_the_books_refuse(rig: Rig):
    change_psa(rig, "companies", company(rig)["id"], name="Smith <and> Sons & Co  Ltd")
    long = "A very long story. " * 400
    made = close(rig, lines=[{**LINE, "description": long}, {**LINE, "description": ""}])
    post_unread(rig)
    settled(rig, made)
    assert "Smith and Sons & Co Ltd" in contacts(rig)
    lines = books_of(rig, Link.objects.get())["LineItems"]
    assert len(lines[0]["Description"]) <= 4000
    assert all(line["Description"] for line in lines)
    assert Card.objects.count() == 0
