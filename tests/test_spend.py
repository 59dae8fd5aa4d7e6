"""Expenses as money spent from a bank account: each once, though nothing there is unique."""

from datetime import timedelta
from decimal import Decimal

import httpx2
import msgspec
import pytest

from psaltery.adapters.errors import BadSettings
from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.connections.models import Connection, Organisation
from psaltery.ledger.models import LedgerAccount
from psaltery.posting import leftovers
from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.testing.http_calls import call
from psaltery.testing.orders import take_bills
from psaltery.testing.rig import REDIRECT, Rig

pytestmark = pytest.mark.django_db(transaction=True)


def allow_bank(rig: Rig) -> None:
    """The connection is made anew, with bank transactions allowed."""
    rig.connection.fields = {**rig.connection.fields, "bank": "yes"}
    rig.connection.save()
    page = begin_consent(rig.connection, redirect_uri=REDIRECT)
    answer = httpx2.get(f"{page}&sandbox_auto=allow")
    complete_consent(answer.headers["location"], connection=rig.connection)


def want(organisation: Organisation, **changes) -> None:
    organisation = Organisation.objects.select_related("connection").get(pk=organisation.pk)
    policy = msgspec.structs.replace(read_policy(organisation.settings), **changes)
    organisations.change(organisation, organisations.Wanted(policy=policy))


def bank(organisation: Organisation) -> str:
    rows = LedgerAccount.objects.filter(organisation=organisation, type="BANK", active=True)
    return rows.first().external_id


def spent(rig: Rig, organisation: Organisation):
    rows = rig.in_books(organisation, "BankTransactions")["BankTransactions"]
    return [row for row in rows if row["Type"] == "SPEND" and row["Status"] != "DELETED"]


@pytest.fixture
def books(rig: Rig) -> Organisation:
    """Sydney's books take expenses as money spent; one of a member waits."""
    organisation = take_bills(rig, bills=False)
    allow_bank(rig)
    want(organisation, expenses="spend", spend_account=bank(organisation))
    line = {"kind": "expense", "description": "Parking", "price": "24.50", "member": 1}
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[line])
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "contact_missing"
    rig.write_books(organisation, "Contacts", {"Name": card.subject})
    return organisation


def test_an_expense_becomes_money_spent(rig: Rig, books):
    for _ in range(2):
        rig.sync()
    (entry,) = spent(rig, books)
    assert Decimal(str(entry["Total"])) == Decimal("24.50")
    assert entry["Reference"].startswith("EXP-")
    assert entry["BankAccount"]["AccountID"] == bank(books)
    link = Link.objects.get(books_kind="spend")
    assert link.books_id == entry["BankTransactionID"]
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}


def edit(rig: Rig, **fields) -> None:
    (row,) = rig.psa_documents("expenses")
    body = {"collection": "expenses", "id": row["id"], "fields": fields}
    call(f"{rig.psa_url}/_control/change", "POST", body)


def test_an_edit_is_written_through_and_not_after_reconciliation(rig: Rig, books):
    rig.sync()
    edit(rig, amount=30)
    rig.sync()
    (entry,) = spent(rig, books)
    assert Decimal(str(entry["Total"])) == 30
    with rig.books_sandbox.store.transaction():
        book = rig.books_sandbox.world.books(books.external_id)
        row = book.get("BankTransactions", entry["BankTransactionID"])
        book.touch("BankTransactions", {**row, "IsReconciled": True})
    edit(rig, amount=40)
    rig.sync()
    assert Card.objects.get(state="open").code == "has_payments"
    assert Decimal(str(spent(rig, books)[0]["Total"])) == 30


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
def test_one_whose_answer_is_lost_is_entered_once(rig: Rig, books, monkeypatch, kind):
    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    rig.fault("books", method="PUT", path="/BankTransactions", kind=kind, times=1)
    rig.sync(quiet=True)
    arrived = len(spent(rig, books))
    rig.work(quiet=True)
    # What arrived is found at once; what did not is not sent again before it is sure.
    assert len(spent(rig, books)) == arrived
    monkeypatch.setattr(leftovers, "BILL_GRACE", timedelta(0))
    for _ in range(3):
        rig.work(quiet=True)
    assert len(spent(rig, books)) == 1
    assert Link.objects.filter(books_kind="spend").count() == 1


def test_the_setting_says_what_it_needs(rig: Rig):
    organisation = take_bills(rig, bills=False)
    with pytest.raises(BadSettings, match="Choose the bank account"):
        want(organisation, expenses="spend")
    Connection.objects.filter(pk=rig.connection.pk).update(scopes="accounting.invoices")
    with pytest.raises(BadSettings, match="may not create bank transactions"):
        want(organisation, expenses="spend", spend_account=bank(organisation))
    assert read_policy(Organisation.objects.get(pk=organisation.pk).settings).expenses == "off"
