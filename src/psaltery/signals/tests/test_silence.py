"""Harmless cases, from the mirrors: what reference/signals.md says must not alarm."""

from datetime import timedelta

import pytest
from django.utils import timezone

from psaltery.desk.models import Company, Ticket
from psaltery.ledger.models import BillingInvoice
from psaltery.ledger.models import Customer as BooksContact
from psaltery.mapping.models import ContactLink
from psaltery.portfolio.recurring import month_start
from psaltery.signals import gather, service
from psaltery.signals.models import Alert
from psaltery.signals.tests.test_look import both, close, leak, of
from psaltery.signals.thresholds import Thresholds


@pytest.fixture
def leaking(rig):
    """A company that was served last month and not invoiced: its alert stands."""
    both(rig)
    company = leak(rig)
    service.look()
    assert of("service_without_invoice").get().state == "open"
    return company


def month():
    return gather.leak_month(timezone.localdate(), Thresholds())


def is_silent():
    service.look()
    return not of("service_without_invoice").exclude(state="resolved").exists()


def in_the_books(rig, company, day, total):
    """An invoice that was written in the books only, on a contact that the company is linked to."""
    close(rig, company=rig.companies("Sydney")[1])
    both(rig)
    row = BillingInvoice.objects.get()
    contact = BooksContact.objects.get(external_id=row.customer_external_id)
    contact.pk, contact.external_id, contact.name = None, "by-hand", "By hand"
    contact.save()
    row.pk, row.external_id, row.number, row.issued_on = None, "by-hand", "B-1", day
    row.total, row.subtotal, row.amount_due, row.status = total, total, 0, "paid"
    row.customer_external_id = contact.external_id
    row.save()
    linked(row.organisation, company)


def linked(organisation, company):
    ContactLink.objects.update_or_create(
        organisation=organisation,
        company=company,
        defaults={"contact_external_id": "by-hand", "how": "person"},
    )


def test_an_invoice_of_the_second_for_the_month_before(rig, leaking):
    following = month_start(month(), -1)
    in_the_books(rig, leaking, following + timedelta(days=1), 100)
    assert is_silent()


def test_an_invoice_much_later_is_for_something_else(rig, leaking):
    following = month_start(month(), -1)
    in_the_books(rig, leaking, following + timedelta(days=10), 100)
    assert not is_silent()


def test_an_invoice_over_nothing(rig, leaking):
    in_the_books(rig, leaking, month(), 0)
    assert is_silent()


def test_two_companies_that_are_one_contact(rig, leaking):
    in_the_books(rig, leaking, month(), 100)
    other = Company.objects.get(external_id=str(rig.companies("Sydney")[1]))
    linked(ContactLink.objects.get(company=leaking).organisation, other)
    # One of them is the contact's customer; the invoice may be for the work of either.
    for served in (leaking, other):
        Ticket.objects.update(company_external_id=served.external_id)
        assert is_silent()
    alone = Alert.objects.get(signal="unmapped", organisation=None, state="open")
    assert not {leaking.name, other.name} & {one["label"] for one in alone.evidence}


@pytest.mark.parametrize("status", ["Merged", ">Closed (duplicate)"])
def test_tickets_that_were_merged_or_are_duplicates(leaking, status):
    Ticket.objects.filter(external_id__in=["L0", "L1"]).update(status=status)
    assert is_silent()
