"""Strange records on either side, and causes that go away by themselves.

Records one at a time are in adapters/*/tests; here the whole engine meets them.
"""

from decimal import Decimal

import pytest

from psaltery.connections.models import Feed, Organisation
from psaltery.desk.models import Company, Document
from psaltery.ledger.models import BillingInvoice, Customer
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Blocked
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import (
    LINE,
    all_in_step,
    at,
    change_psa,
    close,
    close_everywhere,
    edit_books,
    later,
    open_cards,
    states,
    the_card,
    with_few_feeds,
)
from psaltery.testing.tallies import paid_once, posted_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    return with_few_feeds(rig)


STRANGE = {
    "an unknown enumeration": {"Status": "SUPERSEDED"},
    "a missing field": {"Contact": None, "DueDate": None},
    "a date out of range": {"DueDate": "/Date(253402300800000+0000)/"},
    "a date before time": {"Date": "/Date(-62135596800000+0000)/"},
    "NUL and emoji": {"Reference": "PO \x00 🧾 \u202e"},
    "text without end": {"Reference": "x" * 5000},
}


@pytest.mark.parametrize("members", STRANGE.values(), ids=STRANGE)
def test_a_strange_invoice_in_the_books_does_not_hide_the_others(rig: Rig, worker, members):
    invoices = [close(rig), close(rig)]
    later(worker)
    all_in_step(rig, invoices)
    strange, other = Link.objects.order_by("pk")
    edit_books(rig, strange, **members)
    rig.pay(other, Decimal("10"), str(other.document.issued_on))
    later(worker)
    paid_once(rig.psa_url, {other.number: Decimal("10")})
    row = BillingInvoice.objects.get(external_id=other.books_id)
    assert row.amount_paid == 10
    assert set(Feed.objects.values_list("state", flat=True)) == {"idle"}
    assert set(states().values()) == {"in_step"}


PSA_STRANGE = {
    "an unknown enumeration": {"type": "Hologram"},
    "a missing field": {"company": None, "billToCompany": None},
    "a missing number": {"invoiceNumber": None},
    "a date out of range": {"date": "9999-12-31T23:59:59Z", "dueDate": "0001-01-01T00:00:00Z"},
    "no date at all": {"date": None, "dueDate": None},
    "NUL and emoji": {"customerPO": "PO \x00 🧾", "topComment": "\x00🧾\u202e"},
}


@pytest.mark.parametrize("fields", PSA_STRANGE.values(), ids=PSA_STRANGE)
def test_a_strange_invoice_in_the_psa_does_not_hide_the_others(rig: Rig, worker, fields):
    strange, other = close(rig), close(rig)
    change_psa(rig, "invoices", strange["id"], **fields)
    later(worker)
    assert states()[other["invoiceNumber"]] == "in_step"
    assert set(Feed.objects.values_list("state", flat=True)) == {"idle"}
    document = Document.objects.get(external_id=str(strange["id"]))
    # It is posted, or it is listed with a reason: never silent.
    assert document.posting.state in ("in_step", "held", "skipped")
    assert document.posting.why
    if document.posting.state == "held":
        assert Blocked.objects.filter(document=document, card__state="open").exists()


def test_text_with_nul_and_emoji_reaches_the_books_readable(rig: Rig, worker):
    line = {**LINE, "description": "Café 🧾 \x00 \x1b[31m cable"}
    company = rig.companies("Sydney")[0]
    change_psa(rig, "companies", company, name="Ünï\x00cødé 🧾 Pty Ltd")
    invoices = [close(rig, lines=[line])]
    later(worker)
    all_in_step(rig, invoices)
    (link,) = Link.objects.all()
    found = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert "Café 🧾" in found["LineItems"][0]["Description"]
    assert "\x00" not in str(found)
    assert found["Contact"]["Name"] == "Ünïcødé 🧾 Pty Ltd"


def test_a_zero_invoice_is_listed_and_not_posted(rig: Rig, worker):
    made = close(rig, lines=[{**LINE, "price": "0"}])
    later(worker)
    posting = Posting.objects.get()
    assert posting.state == "skipped"
    assert "zero" in posting.why
    assert open_cards() == {}
    assert made["invoiceNumber"] == posting.document.number
    posted_once(rig.books_url, [])


def test_an_invoice_that_changes_while_it_is_read_and_sent(rig: Rig, worker):
    """E50: what was decided about must be what the PSA has; else it is decided about again."""
    first = close(rig)
    rig.read(Feed.objects.get(organisation=rig.site, name="companies"))
    rig.read(Feed.objects.get(organisation=rig.site, name="invoices"))
    lines = [{**LINE, "price": "300.00"}]
    body = {"id": first["id"], "lines": lines}
    changed = call(f"{rig.psa_url}/_control/edit_invoice", "POST", body)
    later(worker)
    all_in_step(rig, [changed])
    assert Decimal(str(changed["total"])) == Link.objects.get().total


# Documents: the cause goes away by itself.


def test_a_lock_that_is_moved_lets_the_documents_go(rig: Rig, worker):
    locked = {"tenant": at(rig, "Sydney").external_id, "PeriodLockDate": "2099-12-31"}
    call(f"{rig.books_url}/_control/organisations", "POST", locked)
    invoices = [*close_everywhere(rig), close(rig)]
    later(worker)
    card = the_card("period_locked")
    blocked = Blocked.objects.filter(card=card)
    money = [Decimal(str(row["total"])) for row in (invoices[0], invoices[3])]
    assert sorted(blocked.values_list("amount", flat=True)) == sorted(money)
    assert sorted(states().values()) == ["held", "held", "in_step", "in_step"]
    call(f"{rig.books_url}/_control/organisations", "POST", {**locked, "PeriodLockDate": None})
    later(worker)
    all_in_step(rig, invoices)


def test_a_currency_that_is_added_lets_the_document_go(rig: Rig, worker):
    foreign = rig.companies("Auckland")[0]
    invoices = [close(rig), close(rig, company=foreign)]
    later(worker)
    card = the_card("currency_not_subscribed")
    assert (card.subject, card.blocked.get().currency) == ("NZD", "NZD")
    wanted = {"tenant": at(rig, "Sydney").external_id, "currencies": ["NZD"]}
    call(f"{rig.books_url}/_control/organisations", "POST", wanted)
    later(worker)
    all_in_step(rig, invoices)


def test_an_account_that_is_archived_and_restored_in_the_books(rig: Rig, worker):
    later(worker)
    office = at(rig, "Sydney")
    accounts = rig.in_books(office, "Accounts")["Accounts"]
    mapped = office.mappings.get(list="account").target
    account = next(one for one in accounts if one.get("Code") == mapped)
    set_account(rig, office, account, "ARCHIVED")
    later(worker)
    invoices = close_everywhere(rig)
    later(worker)
    card = the_card("account_archived")
    assert card.blocked.get().document.number == invoices[0]["invoiceNumber"]
    set_account(rig, office, account, "ACTIVE")
    later(worker)
    all_in_step(rig, invoices)


def set_account(rig: Rig, office: Organisation, account, status: str) -> None:
    body = {"tenant": office.external_id, "kind": "Accounts", "id": account["AccountID"]}
    changed = {**body, "changes": {"Status": status}, "raw": True}
    call(f"{rig.books_url}/_control/edit", "POST", changed)


def test_a_contact_that_is_archived_and_restored_in_the_books(rig: Rig, worker):
    invoices = [close(rig)]
    later(worker)
    later(worker)  # what was made there is read back
    (contact,) = Customer.objects.filter(organisation=at(rig, "Sydney"))
    edit_contact(rig, contact, "ARCHIVED")
    later(worker)
    invoices.append(close(rig))
    later(worker)
    card = the_card("contact_archived")
    assert contact.name in card.sentence
    edit_contact(rig, contact, "ACTIVE")
    later(worker)
    all_in_step(rig, invoices)


def edit_contact(rig: Rig, contact: Customer, status: str) -> None:
    body = {"tenant": contact.organisation.external_id, "kind": "Contacts"}
    changed = {"id": contact.external_id, "changes": {"ContactStatus": status}}
    call(f"{rig.books_url}/_control/edit", "POST", {**body, **changed})


def test_a_number_that_becomes_free_in_the_psa_lets_the_document_go(rig: Rig, worker):
    office = at(rig, "Sydney")
    line = {"Description": "x", "Quantity": 1, "UnitAmount": 1, "AccountCode": "200"}
    theirs = {"Type": "ACCREC", "InvoiceNumber": "TAKEN-1", "Contact": {"Name": "Somebody else"}}
    rig.write_books(office, "Invoices", {**theirs, "LineItems": [line]})
    made = close(rig, number="TAKEN-1")
    later(worker)
    card = the_card("number_taken")
    assert "TAKEN-1" in card.sentence
    assert card.blocked.get().amount == Decimal(str(made["total"]))
    change_psa(rig, "invoices", made["id"], invoiceNumber="FREE-1")
    later(worker)
    assert states() == {"FREE-1": "in_step"}
    assert open_cards() == {}


def test_a_company_that_is_read_after_its_invoice(rig: Rig, worker):
    """An invoice may be read before its company: it goes as soon as the company is known."""
    Company.objects.all().delete()
    Feed.objects.filter(name="companies").update(cursor=None, full_pass_at=None)
    rig.fault("psa", path="/company/companies$", kind="status", status=500, times=-1)
    invoices = [close(rig)]
    later(worker, hours=0)
    customer = str(invoices[0]["company"]["id"])
    assert not Company.objects.filter(external_id=customer).exists()
    assert set(states().values()) == {"held"}
    assert "has not been read yet" in the_card("company_unknown").sentence
    call(f"{rig.psa_url}/_control/faults", "DELETE")
    later(worker)
    all_in_step(rig, invoices)
