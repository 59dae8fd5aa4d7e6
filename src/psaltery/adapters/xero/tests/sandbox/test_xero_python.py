"""Xero's official Python client works against the sandbox, unchanged but for the address."""

from datetime import date
from decimal import Decimal

import pytest
from xero_python.accounting import AccountingApi
from xero_python.accounting import models as m
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token, TokenApi
from xero_python.exceptions import AccountingBadRequestException, HTTPStatusException
from xero_python.identity import IdentityApi

from .conftest import WEB_APP

pytestmark = pytest.mark.peers


@pytest.fixture
def granted(sandbox):
    return sandbox.grant(WEB_APP.id)


@pytest.fixture
def client(granted, server, monkeypatch):
    monkeypatch.setattr(TokenApi, "refresh_token_url", f"{server.url}/connect/token")
    kept = dict(granted, scope=granted["scope"].split())
    token = OAuth2Token(client_id=WEB_APP.id, client_secret=WEB_APP.secret)
    made = ApiClient(Configuration(oauth2_token=token))
    made.oauth2_token_getter(lambda: dict(kept))
    made.oauth2_token_saver(kept.update)
    made.kept = kept
    return made


@pytest.fixture
def accounting(client, server):
    return AccountingApi(client, base_url=f"{server.url}/api.xro/2.0")


@pytest.fixture
def tenant(sandbox):
    return sandbox.organisations()[0]["tenantId"]


def invoice(number, account="200"):
    line = m.LineItem(description="Support", quantity=2.0, unit_amount=50.125, account_code=account)
    return m.Invoice(
        type="ACCREC",
        contact=m.Contact(name="Acme"),
        date=date(2026, 11, 2),
        due_date=date(2026, 11, 16),
        line_items=[line],
        invoice_number=number,
        status="AUTHORISED",
    )


def test_identity_lists_the_connections(client, server, tenant):
    identity = IdentityApi(client, base_url=server.url)
    connections = identity.get_connections()
    assert tenant in [connection.tenant_id for connection in connections]
    assert {c.tenant_type for c in connections} == {"ORGANISATION", "PRACTICE"}


def test_it_refreshes_an_expired_token_and_saves_the_pair(client, accounting, tenant, xero):
    before = client.kept["refresh_token"]
    xero.control("clock", offset_seconds=1801)
    with pytest.raises(HTTPStatusException):
        accounting.get_organisations(tenant)
    client.refresh_oauth2_token()
    assert client.kept["refresh_token"] != before
    assert accounting.get_organisations(tenant).organisations[0].short_code.startswith("!")


def test_it_creates_and_lists_invoices(accounting, tenant):
    sent = m.Invoices(invoices=[invoice("SDK-1"), invoice("SDK-2")])
    made = accounting.create_invoices(tenant, sent, summarize_errors=False, unitdp=4).invoices
    assert [i.total for i in made] == [Decimal("110.28")] * 2
    assert made[0].line_items[0].unit_amount == Decimal("50.125")
    assert made[0].date == date(2026, 11, 2)
    listed = accounting.get_invoices(tenant, page=1, page_size=1000, statuses=["AUTHORISED"])
    assert sorted(i.invoice_number for i in listed.invoices) == ["SDK-1", "SDK-2"]
    assert listed.pagination.item_count == 2
    assert accounting.get_invoice(tenant, "SDK-2").invoices[0].contact.name == "Acme"


def test_it_sees_the_errors_of_a_batch(accounting, tenant):
    accounting.create_invoices(tenant, m.Invoices(invoices=[invoice("SDK-1")]))
    batch = m.Invoices(invoices=[invoice("SDK-1"), invoice("SDK-3"), invoice("SDK-4", "999")])
    made = accounting.create_invoices(tenant, batch, summarize_errors=False).invoices
    assert [i.has_errors for i in made] == [True, False, True]
    assert made[0].validation_errors[0].message == "Invoice # must be unique."
    assert made[1].status == "AUTHORISED"


def test_without_summarize_errors_it_raises_and_the_good_are_written(accounting, tenant):
    batch = m.Invoices(invoices=[invoice("SDK-1", "999"), invoice("SDK-2")])
    with pytest.raises(AccountingBadRequestException) as caught:
        accounting.create_invoices(tenant, batch)
    assert "not a valid code" in str(caught.value.error_data)
    listed = accounting.get_invoices(tenant).invoices
    assert [i.invoice_number for i in listed] == ["SDK-2"]


def test_contacts(accounting, tenant):
    sent = m.Contacts(contacts=[m.Contact(name="Zed Ltd", email_address="z@example.com")])
    made = accounting.create_contacts(tenant, sent).contacts[0]
    changed = m.Contacts(contacts=[m.Contact(contact_status="ARCHIVED")])
    accounting.update_contact(tenant, made.contact_id, changed)
    assert accounting.get_contacts(tenant).contacts == []
    archived = accounting.get_contacts(tenant, include_archived=True).contacts
    assert archived[0].email_address == "z@example.com"


def test_payments_and_credit(accounting, tenant, bank):
    made = accounting.create_invoices(tenant, m.Invoices(invoices=[invoice("SDK-1")]), unitdp=4)
    target = m.Invoice(invoice_id=made.invoices[0].invoice_id)
    account = m.Account(account_id=bank["AccountID"])
    part = m.Payment(invoice=target, account=account, date=date(2026, 11, 5), amount=60.28)
    paid = accounting.create_payment(tenant, part).payments[0]
    assert paid.payment_type == "ACCRECPAYMENT"
    note = m.CreditNote(
        type="ACCRECCREDIT",
        status="AUTHORISED",
        contact=m.Contact(name="Acme"),
        line_items=[
            m.LineItem(description="Back", quantity=1.0, unit_amount=45.4545, account_code="200")
        ],
    )
    credit = accounting.create_credit_notes(tenant, m.CreditNotes(credit_notes=[note]), unitdp=4)
    source = credit.credit_notes[0]
    assert source.remaining_credit == 50
    allocation = m.Allocation(amount=50.0, invoice=target, date=date(2026, 11, 6))
    sent = m.Allocations(allocations=[allocation])
    accounting.create_credit_note_allocation(tenant, source.credit_note_id, sent)
    settled = accounting.get_invoice(tenant, "SDK-1").invoices[0]
    assert (settled.status, settled.amount_due) == ("PAID", 0)
    assert (settled.amount_paid, settled.amount_credited) == (Decimal("60.28"), 50)


def test_settings(accounting, tenant):
    assert len(accounting.get_accounts(tenant).accounts) > 20
    rates = accounting.get_tax_rates(tenant).tax_rates
    assert {r.tax_type for r in rates} >= {"OUTPUT", "INPUT", "EXEMPTOUTPUT"}
    categories = accounting.get_tracking_categories(tenant).tracking_categories
    assert [c.name for c in categories] == ["Region", "Department"]
    assert accounting.get_currencies(tenant).currencies[0].code.value == "AUD"
    assert accounting.get_branding_themes(tenant).branding_themes[0].name == "Standard"
    assert accounting.get_organisation_actions(tenant).actions[0].status == "ALLOWED"
