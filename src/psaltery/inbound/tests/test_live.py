"""The whole way: sandboxes that call us over HTTP, a worker, and what people then see."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import expect

from psaltery.audit.models import Entry
from psaltery.connections.models import Feed
from psaltery.hub.tests.test_journey import BUILT, sign_in
from psaltery.inbound import keys, real_time
from psaltery.inbound.models import ConnectWiseEvent, XeroEvent
from psaltery.inbound.tests.conftest import KEY
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice
from psaltery.posting.models import Link
from psaltery.signals import service as signals
from psaltery.testing.rig import call

pytestmark = pytest.mark.journey
# On a busy machine; alone it takes about three.
SECONDS = 30


def until(condition, seconds=SECONDS):
    """The condition's value once it is true; fails when time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    return pytest.fail(f"not within {seconds} s: {condition}")


@pytest.fixture
def told(rig, live_app):
    """The sandbox of the books sends its webhooks to us."""
    keys.add(rig.connection, KEY)
    sent = {"url": f"{live_app.url}/api/webhooks/xero", "key": KEY}
    call(f"{rig.books_url}/_control/webhooks", "POST", sent)
    return rig


def new_invoice(rig, organisation, number):
    contact = rig.in_books(organisation, "Contacts")["Contacts"]
    line = {"Description": "Support", "Quantity": "1", "UnitAmount": "80", "AccountCode": "200"}
    invoice = {
        "Type": "ACCREC",
        "InvoiceNumber": number,
        "Contact": {"ContactID": contact[0]["ContactID"]} if contact else {"Name": "Harbour"},
        "Date": "2026-11-02",
        "DueDate": "2026-12-02",
        "LineItems": [line],
        "Status": "AUTHORISED",
    }
    answer = rig.write_books(organisation, "Invoices", {"Invoices": [invoice]})
    return answer["Invoices"][0]


def test_an_invoice_made_in_xero_is_seen_within_seconds(told, worker):
    rig = told
    rig.sync()
    organisation = rig.organisations[0]
    with worker.running():
        made = new_invoice(rig, organisation, "BOOKS-1")
        rows = BillingInvoice.objects.filter(external_id=made["InvoiceID"])
        until(rows.exists)
    assert XeroEvent.objects.filter(category="INVOICE", organisation=organisation).exists()


@BUILT
def test_an_invoice_changed_in_xero_is_seen_on_the_customers_page(told, worker, page, console):
    rig = told
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    rig.sync()
    link = Link.objects.get()
    signals.look()
    # What is seen from here on is seen by the webhook: no feed is due for an hour.
    Feed.objects.update(due_at=now() + timedelta(hours=1))
    sign_in(page, django_settings.PUBLIC_URL)
    page.get_by_role("link", name="Customers").click()
    page.get_by_role("link", name=link.document.company_name).click()
    money = page.get_by_role("region", name="Money in AUD")
    invoices = page.get_by_role("region", name="Invoices")
    expect(money).to_contain_text("220.00")
    line = {"Description": "Two switches", "Quantity": "2", "UnitAmount": "200.00"}
    changed = {
        "InvoiceID": link.books_id,
        "LineItems": [{**line, "AccountCode": "200", "TaxType": "OUTPUT"}],
    }
    with worker.running():
        rig.write_books(link.organisation, "Invoices", {"Invoices": [changed]}, "POST")
        # Nobody reloads: the page renews itself.
        expect(money).to_contain_text("440.00", timeout=SECONDS * 1000)
        expect(invoices).to_contain_text("440.00")
        rig.pay(link, Decimal("140.00"), link.document.issued_on.isoformat())
        expect(money).to_contain_text("300.00", timeout=SECONDS * 1000)
        payments = page.get_by_role("region", name="Payments")
        expect(payments).to_contain_text("140.00")
    assert console == []


def test_an_invoice_closed_in_connectwise_is_in_xero_within_seconds(rig, live_app, worker):
    rig.sync()
    row = real_time.switch(rig.site.connection, True)
    assert row.address.startswith(live_app.url)
    with worker.running():
        closed = rig.close_invoice(company=2, location="Sydney", lines=[{"item": "MON-27"}])
        link = until(lambda: Link.objects.filter(document__external_id=str(closed["id"])).first())
        found = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"]
    assert found[0]["InvoiceNumber"] == closed["invoiceNumber"]
    assert ConnectWiseEvent.objects.filter(category="Invoice", handled_at__isnull=False).exists()


def test_an_invoice_deleted_in_connectwise_is_read_before_that_is_believed(rig, live_app, worker):
    closed = rig.close_invoice(company=2, location="Sydney", lines=[{"item": "MON-27"}])
    rig.sync()
    link = Link.objects.get()
    real_time.switch(rig.site.connection, True)
    with worker.running():
        world = rig.psa_sandbox.world
        with world.store.transaction():
            world.remove("invoices", world.get("invoices", closed["id"]))
        removed_at = now()
        until(lambda: type(link.document).objects.filter(pk=link.document_id, gone=True).exists())
    # Anybody could say so: ConnectWise itself was asked for it, by its id.
    asked = Entry.objects.filter(system="connectwise", method="GET", at__gte=removed_at)
    (answer,) = asked.filter(sentence=f"Invoice {closed['id']} not found")
    assert answer.status == 404, answer.address


def test_xeros_probe_is_answered_as_it_wants(told):
    answer = call(f"{told.books_url}/_control/webhooks/intent", "POST", {})
    assert answer == {"ok": True, "statuses": [401, 200, 401, 401]}


def test_doubled_and_reversed_deliveries_are_stored_once(told):
    organisation = told.organisations[0]
    for number in range(5):
        new_invoice(told, organisation, f"BOOKS-{number}")
    until(lambda: XeroEvent.objects.filter(category="INVOICE").count() >= 5)
    before = XeroEvent.objects.count()
    for how in ("duplicate", "reversed"):
        again = call(f"{told.books_url}/_control/webhooks/replay", "POST", {"how": how})
        assert {one["status"] for one in again} == {200}
        assert not any(one["answer"] for one in again)
    assert XeroEvent.objects.count() == before
