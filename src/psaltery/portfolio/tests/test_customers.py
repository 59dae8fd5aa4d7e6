"""Who is a customer: what becomes of those that end, and since when each is known."""

from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from psaltery.desk.models import Company
from psaltery.ledger.models import BillingInvoice
from psaltery.ledger.models import Customer as BooksContact
from psaltery.mapping.models import ContactLink
from psaltery.portfolio import service
from psaltery.portfolio.models import Customer
from psaltery.review.models import Card
from psaltery.signals import renewals
from psaltery.signals import service as signals
from psaltery.signals.models import Alert
from psaltery.signals.tests.test_look import both, close


def overdue(rig):
    """A customer with an overdue invoice, its alert and the card that tells of it."""
    close(rig)
    both(rig)
    BillingInvoice.objects.update(due_on=timezone.localdate() - timedelta(days=40))
    signals.look()
    return Customer.objects.get(outstanding__gt=0)


def test_a_company_that_is_deleted_leaves_what_it_owes(rig):
    before = overdue(rig)
    renewals.move(before, "contacted")
    renewals.note(before, "ann@example.com", "They close down.")
    told = Card.objects.get(topic="alert", code="invoice_overdue")
    Company.objects.filter(pk=before.company_id).update(deleted=True)
    signals.look()
    assert not Customer.objects.filter(pk=before.pk).exists()
    after = Customer.objects.get(outstanding__gt=0)
    assert (after.company, after.outstanding) == (None, Decimal(220))
    told.refresh_from_db()
    assert told.state == "resolved"
    again = Alert.objects.get(signal="invoice_overdue", state="open")
    assert again.customer == after
    assert again.card.state == "open"


def test_a_contact_that_becomes_a_company_brings_what_it_owes(rig):
    close(rig)
    both(rig)
    link = ContactLink.objects.get()
    ContactLink.objects.all().delete()
    BillingInvoice.objects.update(due_on=timezone.localdate() - timedelta(days=40))
    signals.look()
    alone = Customer.objects.get(outstanding__gt=0)
    assert (alone.company, alone.alerts.filter(state="open").count() > 0) == (None, True)
    ContactLink.objects.create(
        organisation=link.organisation, company=link.company, how="person",
        contact_external_id=link.contact_external_id, contact_name=link.contact_name,
    )  # fmt: skip
    signals.look()
    assert not Customer.objects.filter(pk=alone.pk).exists()
    assert Customer.objects.get(outstanding__gt=0).company == link.company
    assert Alert.objects.get(signal="invoice_overdue").customer.company == link.company


def copy(row, **changes):
    row.pk = None
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()


def test_a_customer_is_known_since_the_first_invoice_in_any_books(rig):
    close(rig)
    both(rig)
    company = ContactLink.objects.get().company
    years = (2011, 2009, 2010)
    for organisation, year in zip(rig.organisations, years, strict=True):
        key = {"organisation": organisation, "external_id": f"in-{year}"}
        copy(BooksContact.objects.first(), **key)
        copy(
            BillingInvoice.objects.first(),
            **key,
            customer_external_id=f"in-{year}",
            issued_on=date(year, 3, 1),
        )
        ContactLink.objects.update_or_create(
            organisation=organisation,
            company=company,
            defaults={"contact_external_id": f"in-{year}", "how": "person"},
        )
    service.refresh(thorough=True)
    assert Customer.objects.get(company=company).known_since == date(2009, 3, 1)
