"""A refund of a credit note stands apart: it is nobody's payment, on no page and in no sum."""

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from psaltery.accounts import service
from psaltery.accounts.models import Role
from psaltery.cli import app
from psaltery.ledger import queries
from psaltery.ledger.models import BillingPayment
from psaltery.posting.models import Link
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


@pytest.fixture
def refunded(rig: Rig) -> Link:
    """An invoice of 220.00, and a credit note of 55.00 of which 20.00 was paid back."""
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    credit = Link.objects.select_related("organisation", "document").get(books_kind="credit_note")
    accounts = rig.in_books(credit.organisation, "Accounts")["Accounts"]
    bank = next(row for row in accounts if row["Type"] == "BANK")
    body = {
        "CreditNote": {"CreditNoteID": credit.books_id},
        "Account": {"AccountID": bank["AccountID"]},
        "Amount": "20.00",
        "Date": str(credit.document.issued_on),
    }
    rig.write_books(credit.organisation, "Payments", body)
    for _ in range(2):
        rig.sync()
    return credit


def test_a_refund_is_no_payment(rig: Rig, refunded: Link):
    row = BillingPayment.objects.get()
    assert (row.touch, row.invoice_external_id, row.amount) == ("credit_note", "", 20)
    assert not queries.payments().exists()
    assert [one.credit_number for one in queries.refunds()] == [refunded.number]
    assert rig.psa_documents("payments") == []
    invoice = Link.objects.select_related("document").get(books_kind="invoice")
    assert Decimal(str(rig.psa_invoice(invoice.document)["balance"])) == 220


def test_a_refund_that_is_taken_back_is_marked(rig: Rig, refunded: Link):
    rig.remove_payment(refunded, BillingPayment.objects.get().external_id)
    rig.sync()
    assert BillingPayment.objects.get().state == "deleted"


def test_pages_and_command_show_it_apart(rig: Rig, refunded: Link, client):
    person = service.add_person("ada@example.com", "Ada", Role.VIEWER, password="a long enough one")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    refunds = client.get("/ledger/refunds/").content.decode()
    assert refunded.number in refunds
    assert "20.00" in refunds
    assert "No payments yet" in client.get("/ledger/payments/").content.decode()
    assert "20.00" in client.get("/ledger/totals/refunds/").content.decode()
    shown = client.get(f"/documents/{refunded.document_id}/").content.decode()
    assert "Use of the credit" in shown
    assert "Refund" in shown
    told = CliRunner().invoke(app, ["payments", "refunds", "--json"], catch_exceptions=False)
    assert [row["number"] for row in json.loads(told.stdout)] == [refunded.number]
