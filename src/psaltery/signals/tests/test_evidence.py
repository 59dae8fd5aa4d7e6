"""Every row of evidence leads to what it is: here, or in the PSA's own client."""

import html
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Connection, Feed
from psaltery.contacts.models import Suggestion
from psaltery.desk.models import Company, TimeEntry
from psaltery.ledger.models import BillingInvoice
from psaltery.ledger.models import Customer as BooksContact
from psaltery.mapping.models import ContactLink
from psaltery.portfolio.models import Customer
from psaltery.signals import gather, service
from psaltery.signals.evidence import addresses
from psaltery.signals.models import Alert
from psaltery.signals.tests.test_look import both, close, leak, of
from psaltery.signals.thresholds import Thresholds
from psaltery.testing.situations import fell_due

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def reader(client):
    person = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(person, backend=BACKEND)
    return client


def page_of(reader, alert):
    return html.unescape(reader.get(reverse("signals:alert", args=[alert.pk])).content.decode())


def worked(company, ticket):
    month = gather.leak_month(timezone.localdate(), Thresholds())
    return TimeEntry.objects.create(
        connection=company.connection, external_id=f"T{ticket}", hours=Decimal(2), rate=100,
        company_external_id=company.external_id, member="bob", worked_on=month, amount=200,
        billable="Billable", ticket_external_id=ticket, agreement_external_id="",
        invoice_external_id="", work_type="Remote", work_role="", notes="",
    )  # fmt: skip


def test_tickets_and_hours_lead_to_the_psa(rig, reader):
    both(rig)
    company = leak(rig, count=3)
    worked(company, "L1")
    worked(company, "")
    service.look()
    page = page_of(reader, of("service_without_invoice").get())
    assert page.count("recid=L1&") == 2  # the ticket, and the hours on it
    assert page.count("recid=L0&") == page.count("recid=L2&") == 1
    assert 'target="_blank"' in page
    # A site that can't be opened costs its links, and no page.
    Connection.objects.filter(pk=company.connection_id).update(secrets="of another key")
    page = page_of(reader, of("service_without_invoice").get())
    assert "recid=" not in page
    assert "Printer on fire" in page


def test_what_one_side_alone_knows_leads_to_where_it_is_paired(rig, reader):
    close(rig)
    both(rig)
    ContactLink.objects.all().delete()
    service.look()
    company = Company.objects.get(name=BillingInvoice.objects.get().customer_name)
    alone = of("unmapped").get(organisation=None)
    customer = Customer.objects.get(company=company)
    assert reverse("hub:customer", args=[customer.pk]) in page_of(reader, alone)
    contact = of("unmapped").get(organisation__isnull=False)
    Suggestion.objects.get_or_create(
        organisation=contact.organisation,
        contact_external_id=BooksContact.objects.get(pk=contact.evidence[0]["id"]).external_id,
        defaults={"contact_name": contact.evidence[0]["label"], "found_at": timezone.now()},
    )
    (address,) = set(addresses(contact.evidence))
    assert address in page_of(reader, contact)
    assert contact.evidence[0]["label"] in html.unescape(reader.get(address).content.decode())


def test_invoices_documents_and_feeds_lead_to_their_pages(rig, reader):
    close(rig)
    both(rig)
    invoice = BillingInvoice.objects.get()
    fell_due(10)
    Feed.objects.filter(name="tickets").update(finished_at=timezone.now() - timedelta(days=9))
    service.look()
    assert reverse("ledger:invoice", args=[invoice.pk]) in page_of(
        reader, of("invoice_overdue").get()
    )
    stale = of("stale_source").get()
    assert reverse("connections:detail", args=[rig.site.connection_id]) in page_of(reader, stale)


def test_addresses_take_a_fixed_number_of_queries(rig, django_assert_max_num_queries):
    both(rig)
    leak(rig, count=40)
    service.look()
    alert = Alert.objects.get(signal="service_without_invoice")
    with django_assert_max_num_queries(6):
        found = addresses(alert.evidence)
    assert len(found) == 40
    assert all("recid=L" in one for one in found)
