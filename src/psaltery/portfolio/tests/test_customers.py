"""Who is a customer: what becomes of those that end, and since when each is known."""

from datetime import date
from decimal import Decimal

import pytest

from psaltery.accounts.models import Person, Role
from psaltery.audit.models import Entry
from psaltery.desk.models import Company
from psaltery.ledger.models import BillingInvoice
from psaltery.ledger.models import Customer as BooksContact
from psaltery.mapping.models import ContactLink
from psaltery.portfolio import service
from psaltery.portfolio.models import Customer
from psaltery.review.models import Card
from psaltery.signals import renewals
from psaltery.signals import service as signals
from psaltery.signals.models import Alert, Snapshot
from psaltery.signals.tests.test_look import both, close
from psaltery.testing.situations import fell_due


def overdue(rig):
    """A customer with an overdue invoice, its alert and the card that tells of it."""
    close(rig)
    both(rig)
    fell_due(40)
    signals.look()
    return Customer.objects.get(outstanding__gt=0)


def test_a_company_that_is_deleted_leaves_what_it_owes_and_what_was_said(rig):
    before = overdue(rig)
    renewals.move(before, "contacted")
    renewals.note(before, "ann@example.com", "They close down.")
    told = Card.objects.get(topic="alert", code="invoice_overdue")
    alert = Alert.objects.get(signal="invoice_overdue")
    Company.objects.filter(pk=before.company_id).update(deleted=True)
    signals.look()
    assert not Customer.objects.filter(pk=before.pk).exists()
    after = Customer.objects.get(outstanding__gt=0)
    assert (after.company, after.outstanding) == (None, Decimal(220))
    assert (after.renewal.stage, said_of(after)) == ("contacted", ["They close down."])
    # The same alert and the same card: nobody is told a second time of what they know.
    alert.refresh_from_db()
    told.refresh_from_db()
    assert (alert.customer, alert.state, alert.card) == (after, "open", told)
    assert (told.state, told.subject_ref) == ("open", f"customer:{after.pk}")
    assert Alert.objects.filter(signal="invoice_overdue").count() == 1


def said_of(customer):
    return [one.text for one in customer.renewal.notes.order_by("pk")]


@pytest.fixture
def ann(db):
    return Person.objects.create_user("ann@example.com", name="Ann", role=Role.BOOKKEEPER)


@pytest.fixture
def alone(rig):
    """A customer that only the books know, with an overdue invoice, and its link undone."""
    close(rig)
    both(rig)
    link = ContactLink.objects.get()
    ContactLink.objects.all().delete()
    fell_due(40)
    signals.look()
    customer = Customer.objects.get(outstanding__gt=0)
    assert customer.company is None
    assert customer.alerts.filter(state="open").exists()
    return customer, link


def paired(link, contact=""):
    ContactLink.objects.create(
        organisation=link.organisation, company=link.company, how="person",
        contact_external_id=contact or link.contact_external_id, contact_name=link.contact_name,
    )  # fmt: skip


def test_a_contact_that_becomes_a_company_brings_all_that_was_said_of_it(alone, ann):
    customer, link = alone
    renewals.move(customer, "plan")
    renewals.assign(customer, ann)
    renewals.note(customer, "ann@example.com", "Ask for the switch.")
    payer = Customer.objects.exclude(pk=customer.pk).exclude(company=link.company).first()
    service.set_billing(payer, "parent", customer)
    service.set_billing(customer, "internal", None)
    alert = customer.alerts.get(signal="invoice_overdue")
    signals.acknowledge(alert, "ann@example.com", "called")
    weeks = list(Snapshot.objects.filter(customer=customer).values_list("week", "points"))
    assert weeks
    paired(link)
    signals.look()
    assert not Customer.objects.filter(pk=customer.pk).exists()
    heir = Customer.objects.get(outstanding__gt=0)
    assert (heir.company, heir.billing) == (link.company, "internal")
    payer.refresh_from_db()
    assert (payer.billing, payer.billed_to) == ("parent", heir)
    assert (heir.renewal.stage, heir.renewal.owner) == ("plan", ann)
    assert said_of(heir) == ["Ask for the switch."]
    assert list(Snapshot.objects.filter(customer=heir).values_list("week", "points")) == weeks
    alert.refresh_from_db()
    assert (alert.customer, alert.state, alert.note) == (heir, "acknowledged", "called")
    assert alert.card.state == "snoozed"
    assert alert.card.sentence.startswith(heir.name)
    assert Entry.objects.filter(operation="renewal.hand_over").count() == 1


def test_a_company_that_was_taken_up_itself_keeps_its_own_and_gains_the_notes(alone, ann):
    customer, link = alone
    company = Customer.objects.get(company=link.company)
    renewals.move(customer, "contacted")
    renewals.assign(customer, ann)
    renewals.note(customer, "ann@example.com", "Of the contact.")
    renewals.move(company, "saved")
    renewals.note(company, "ann@example.com", "Of the company.")
    paired(link)
    signals.look()
    company.refresh_from_db()
    assert (company.renewal.stage, company.renewal.owner) == ("saved", ann)
    assert said_of(company) == ["Of the contact.", "Of the company."]


def second(customer, link):
    """Another contact of the same books that owes money, a customer of its own."""
    contact = BooksContact.objects.get(external_id=link.contact_external_id)
    copy(contact, external_id="second", name="Second")
    copy(
        BillingInvoice.objects.first(),
        external_id="second",
        number="S-2",
        customer_external_id="second",
    )
    signals.look()
    return Customer.objects.get(contact_key=f"{link.organisation_id}:second")


def test_a_contact_merged_in_the_books_goes_on_as_the_survivor(alone):
    customer, link = alone
    other = second(customer, link)
    renewals.note(other, "ann@example.com", "Of the second.")
    assert Alert.objects.filter(signal="invoice_overdue", state="open").count() == 2
    BooksContact.objects.filter(external_id="second").update(merged_into=link.contact_external_id)
    signals.look()
    assert not Customer.objects.filter(pk=other.pk).exists()
    assert said_of(customer) == ["Of the second."]
    # Its invoices count for the survivor before they are read again; one alert is left of two.
    customer.refresh_from_db()
    assert customer.outstanding == Decimal(440)
    alert = Alert.objects.get(signal="invoice_overdue", state="open")
    assert (alert.customer, alert.evidence_count) == (customer, 2)
    cards = Card.objects.filter(topic="alert", code="invoice_overdue", state="open")
    assert list(cards) == [alert.card]


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
