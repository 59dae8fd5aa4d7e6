"""Faults that users of existing connectors meet, driven to their end: contacts, mappings, amounts.

The table that names every row of the field's catalogue, its code, its buttons and the test that
shows it is docs/errors/matrix.md; those rows that no other test drives are driven here.
"""

from decimal import Decimal

import pytest

from psaltery.ledger.models import LedgerAccount, LedgerTrackingOption
from psaltery.mapping.models import ContactLink, Mapping
from psaltery.mapping.service import set_mapping
from psaltery.posting.models import Link
from psaltery.testing.http_calls import call
from psaltery.testing.office import (
    books_of,
    company,
    contacts,
    edit,
    hand,
    mend,
    post_unread,
    read,
    settled,
    sydney,
    with_one_office,
)
from psaltery.testing.rig import Rig
from psaltery.testing.situations import (
    LINE,
    change_psa,
    close,
    open_cards,
    states,
    the_card,
)
from psaltery.testing.tallies import posted_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    return with_one_office(rig)


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
