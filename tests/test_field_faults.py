"""Faults that users of existing connectors meet, made in the sandboxes and driven to their end.

The table that names every row of the field's catalogue, its code, its repair and the test that
shows it is in docs/errors/matrix.md; those rows that no other test drives are driven here.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.opening import open_psa
from psaltery.ledger.models import LedgerAccount, LedgerTrackingOption
from psaltery.mapping.models import ContactLink, Mapping
from psaltery.mapping.service import set_mapping
from psaltery.matching.models import PaymentTaken
from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import Policy, read_policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import REDIRECT, Rig
from psaltery.testing.situations import (
    LINE,
    at,
    change_psa,
    close,
    open_cards,
    states,
    the_card,
    with_few_feeds,
)
from psaltery.testing.tallies import contacts_of_books, posted_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
PERSON = "robin@example.test"


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """One organisation, read once."""
    rig.organisations = [at(rig, "Sydney")]
    others = Organisation.objects.exclude(pk__in=[rig.site.pk, rig.organisations[0].pk])
    Feed.objects.filter(organisation__in=others).delete()
    with_few_feeds(rig)
    rig.sync()
    rig.organisations[0].refresh_from_db()
    return rig


def sydney(rig: Rig) -> Organisation:
    return rig.organisations[0]


def read(rig: Rig, organisation: Organisation, *names: str) -> None:
    for feed in Feed.objects.filter(organisation=organisation, name__in=names):
        rig.read(feed)


def post_unread(rig: Rig) -> None:
    """Posts what was closed, while what somebody did in the books has not been read yet."""
    read(rig, rig.site, "companies", "invoices")
    rig.work()


def settled(rig: Rig, *made: Any) -> None:
    assert states() == {row["invoiceNumber"]: "in_step" for row in made}, list(
        Posting.objects.values_list("why", flat=True)
    )
    assert open_cards() == {}
    posted_once(rig.books_url, list(made))


def mend(rig: Rig, code: str, name: str, **answers: str) -> None:
    """The repair of the only card, and what it releases."""
    repair(the_card(code), name, answers, PERSON)
    rig.work()


def hand(rig: Rig, path: str, body: Any, method: str = "PUT") -> Any:
    """The bookkeeper's own work."""
    return rig.write_books(sydney(rig), path, body, method)[path.partition("/")[0]][0]


def edit(rig: Rig, kind: str, identifier: str, **changes: Any) -> None:
    body = {"tenant": sydney(rig).external_id, "kind": kind, "id": identifier}
    call(f"{rig.books_url}/_control/edit", "POST", {**body, "changes": changes, "raw": True})


def company(rig: Rig) -> Any:
    wanted = rig.companies("Sydney")[0]
    return next(row for row in rig.psa_documents("companies") if row["id"] == wanted)


def books_of(rig: Rig, link: Link) -> Any:
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


def contacts(rig: Rig) -> dict[str, Any]:
    rows = contacts_of_books(rig.books_url)[f"{sydney(rig).external_id}/Contacts"]
    return {row["Name"]: row for row in rows}


def by_hand(rig: Rig, number: str, amount: Decimal | str, **more: Any) -> Any:
    """An invoice that the bookkeeper has entered; `amount` before tax."""
    line = {"Description": "x", "Quantity": 1, "UnitAmount": str(amount), "AccountCode": "200"}
    body = {
        "Type": "ACCREC",
        "InvoiceNumber": number,
        "Status": "AUTHORISED",
        "Date": "2026-11-02",
        "DueDate": "2026-11-16",
        "LineItems": [{**line, "TaxType": "OUTPUT"}],
        **more,
    }
    return hand(rig, "Invoices", body)


# Contacts.


def test_e01_a_name_that_somebody_took_meanwhile_is_linked(rig: Rig):
    theirs = hand(rig, "Contacts", {"Name": company(rig)["name"]})
    made = close(rig)
    post_unread(rig)
    post_unread(rig)
    settled(rig, made)
    assert ContactLink.objects.get().contact_external_id == theirs["ContactID"]


def test_e03_a_merged_contact_is_followed(rig: Rig):
    first = close(rig)
    rig.sync()
    loser = ContactLink.objects.get()
    winner = hand(rig, "Contacts", {"Name": "The survivor"})["ContactID"]
    merged = {"loser": loser.contact_external_id, "winner": winner}
    body = {"tenant": sydney(rig).external_id, **merged}
    call(f"{rig.books_url}/_control/merge_contact", "POST", body)
    second = close(rig)
    # It was not read yet: the refusal is told, and ends when it is read.
    post_unread(rig)
    assert the_card("contact_archived").blocked.count() == 1
    for _ in range(2):
        rig.sync()
    settled(rig, first, second)
    assert ContactLink.objects.get().contact_external_id == winner
    link = Link.objects.get(number=second["invoiceNumber"])
    assert books_of(rig, link)["Contact"]["ContactID"] == winner


def test_e04_an_account_number_that_another_contact_holds(rig: Rig):
    change_psa(rig, "companies", company(rig)["id"], accountNumber="A-77")
    theirs = hand(rig, "Contacts", {"Name": "Holder of the number", "AccountNumber": "A-77"})
    hand(rig, "Contacts", {"ContactID": theirs["ContactID"], "ContactStatus": "ARCHIVED"}, "POST")
    made = close(rig)
    post_unread(rig)
    card = the_card("account_number_taken")
    assert "Account Number already exists" in card.sentence
    # Now the books are read: it is that contact, archived; one click brings it back.
    read(rig, sydney(rig), "contacts")
    mend(rig, "account_number_taken", "retry")
    mend(rig, "contact_archived", "restore_contact")
    settled(rig, made)


def test_e05_our_contact_number_on_an_archived_contact(rig: Rig):
    number = f"PSA-{company(rig)['id']}"
    theirs = hand(rig, "Contacts", {"Name": "Old name", "ContactNumber": number})
    hand(rig, "Contacts", {"ContactID": theirs["ContactID"], "ContactStatus": "ARCHIVED"}, "POST")
    read(rig, sydney(rig), "contacts")
    made = close(rig)
    post_unread(rig)
    mend(rig, "contact_archived", "restore_contact")
    settled(rig, made)
    assert ContactLink.objects.get().contact_external_id == theirs["ContactID"]


@pytest.mark.parametrize("email", ["", "no address at all", "jörg@example"])
def test_e06_to_e09_an_address_that_is_missing_or_wrong_stops_nothing(rig: Rig, email: str):
    change_psa(rig, "companies", company(rig)["id"], invoiceToEmailAddress=email)
    made = close(rig)
    post_unread(rig)
    settled(rig, made)
    contact = contacts(rig)[company(rig)["name"]]
    assert contact["EmailAddress"] == ""
    # People of a company are never sent: nothing to double, nothing that needs an address.
    assert contact["ContactPersons"] == []


# Accounts, tax, tracking.


def test_e12_an_account_that_no_invoice_may_use(rig: Rig):
    mapped = Mapping.objects.get(organisation=sydney(rig), list="account").target
    account = LedgerAccount.objects.get(organisation=sydney(rig), code=mapped)
    edit(rig, "Accounts", account.external_id, SystemAccount="DEBTORS", Type="CURRENT")
    read(rig, sydney(rig), "settings")
    made = close(rig)
    post_unread(rig)
    other = LedgerAccount.objects.filter(
        organisation=sydney(rig), type__in=("REVENUE", "SALES"), active=True
    ).exclude(code=mapped)[0]
    mend(rig, "account_invalid", "map_account", target=other.code)
    settled(rig, made)


def test_e13_a_rate_that_the_account_does_not_take(rig: Rig):
    good = Mapping.objects.get(organisation=sydney(rig), list="account").target
    costs = LedgerAccount.objects.filter(
        organisation=sydney(rig), account_class="EXPENSE", active=True
    )[0]
    set_mapping(sydney(rig), "account", "any", "", costs.code)
    made = close(rig)
    post_unread(rig)
    mend(rig, "tax_not_for_account", "map_account", target=good)
    settled(rig, made)


def test_e14_a_line_without_a_tax_code(rig: Rig):
    Mapping.objects.filter(organisation=sydney(rig), key_kind="exempt").delete()
    made = close(rig, lines=[{**LINE, "taxable": False}])
    post_unread(rig)
    assert "lines without tax" in the_card("tax_unmapped").sentence
    mend(rig, "tax_unmapped", "map_tax", target="EXEMPTOUTPUT")
    settled(rig, made)


def test_e17_a_tracking_option_that_is_missing_and_then_archived(rig: Rig):
    option, other = LedgerTrackingOption.objects.filter(organisation=sydney(rig), active=True)[:2]
    set_mapping(sydney(rig), "tracking", "location", "Perth", option.external_id)
    first = close(rig)
    post_unread(rig)
    assert "location “Sydney”" in the_card("tracking_unmapped").sentence
    mend(rig, "tracking_unmapped", "map_tracking", target=option.external_id)
    settled(rig, first)
    # The bookkeeper archives it.
    LedgerTrackingOption.objects.filter(pk=option.pk).update(active=False)
    second = close(rig)
    post_unread(rig)
    assert option.name in the_card("tracking_invalid").sentence
    mend(rig, "tracking_invalid", "map_tracking", target=other.external_id)
    settled(rig, first, second)


def test_e10_an_account_that_nobody_mapped(rig: Rig):
    good = Mapping.objects.get(organisation=sydney(rig), list="account").target
    Mapping.objects.filter(organisation=sydney(rig), list="account").delete()
    made = [close(rig), close(rig)]
    post_unread(rig)
    card = the_card("account_unmapped")
    total = sum(Decimal(str(row["total"])) for row in made)
    assert sum(blocked.amount for blocked in card.blocked.all()) == total
    mend(rig, "account_unmapped", "map_account", target=good)
    settled(rig, *made)


# Amounts.


@pytest.mark.parametrize(
    ("quantity", "price"), [("1", "0.01"), ("7", "0.3333333"), ("0.75", "27.187555")]
)
def test_e20_and_e22_odd_prices_and_one_cent_come_out_exactly(rig: Rig, quantity, price):
    made = close(rig, lines=[{**LINE, "quantity": quantity, "price": price}])
    post_unread(rig)
    settled(rig, made)


def test_e21_and_e23_a_total_that_the_lines_do_not_make(rig: Rig):
    made = close(rig)
    change_psa(rig, "invoices", made["id"], total=float(made["total"]) + 3)
    post_unread(rig)
    card = the_card("total_mismatch")
    assert f"{made['total']:,.2f}" in card.sentence
    assert f"{made['total'] + 3:,.2f}" in card.sentence
    mend(rig, "total_mismatch", "skip")
    assert states() == {made["invoiceNumber"]: "skipped"}
    posted_once(rig.books_url, [])


def test_e24_a_total_below_zero_becomes_a_credit_note(rig: Rig):
    made = close(rig, lines=[{**LINE, "quantity": "-2"}])
    post_unread(rig)
    assert states() == {made["invoiceNumber"]: "in_step"}
    link = Link.objects.get()
    assert link.books_kind == "credit_note"
    note = rig.in_books(sydney(rig), f"CreditNotes/{link.books_id}")["CreditNotes"][0]
    assert Decimal(note["Total"]) == -made["total"] > 0
    assert open_cards() == {}


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


def lock(rig: Rig, until: str | None) -> None:
    body = {"tenant": sydney(rig).external_id, "PeriodLockDate": until}
    call(f"{rig.books_url}/_control/organisations", "POST", body)


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
