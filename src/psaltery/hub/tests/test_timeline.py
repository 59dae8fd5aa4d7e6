"""The timeline: every kind of event, each once and in order, however it is cut into stretches."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from psaltery.accounts.models import Person, Role
from psaltery.desk.models import Agreement, Ticket
from psaltery.hub import timeline
from psaltery.ledger.models import BillingCreditMemo, BillingInvoice, BillingPayment
from psaltery.portfolio.models import AgreementChange, Customer
from psaltery.posting.models import Link
from psaltery.review.models import Blocked
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold
from psaltery.rmm.models import RmmAlert
from psaltery.signals.models import Alert
from psaltery.signals.tests.test_look import both, close

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
# Midnight: events of a day and those of a moment meet here, and must not be mixed up.
MIDNIGHT = datetime(2026, 9, 1, tzinfo=UTC)
MOMENTS = [MIDNIGHT + timedelta(hours=hours) for hours in (0, 0, 1, 24, 25)]


def copies(row, **fields):
    """The row at each of the moments; in days where its field has only days."""
    for number, at in enumerate(MOMENTS):
        row.pk, row._state.adding = None, True
        for name, value in fields.items():
            setattr(row, name, value(number, at))
        row.save()


def day(_, at):
    return at.date()


def key(number, _):
    return f"copy-{number}"


@pytest.fixture
def busy(rig):
    """A customer with five events of each source, at moments that several of them share."""
    close(rig)
    both(rig)
    link = Link.objects.select_related("document").get()
    rig.pay(link, link.total, str(link.document.issued_on))
    both(rig)
    from psaltery.portfolio.service import refresh

    refresh()
    invoice = BillingInvoice.objects.get()
    customer = Customer.objects.get(contacts__external_id=invoice.customer_external_id)
    company = customer.company
    payment = BillingPayment.objects.get(touch="payment")
    copies(payment, external_id=key, paid_on=day)
    BillingCreditMemo.objects.bulk_create(
        BillingCreditMemo(
            organisation=invoice.organisation, external_id=f"credit-{n}", number=f"C-{n}",
            kind="receivable", status="authorised", currency="AUD", issued_on=at.date(),
            customer_external_id=invoice.customer_external_id, customer_name=invoice.customer_name,
            source="xero", subtotal=1, tax=0, total=1, remaining=1,
        )
        for n, at in enumerate(MOMENTS)
    )  # fmt: skip
    copies(invoice, external_id=key, issued_on=day, number=lambda n, _: f"I-{n}")
    Ticket.objects.all().delete()
    for n, at in enumerate(MOMENTS):
        Ticket.objects.create(
            connection=company.connection, external_id=f"T{n}", closed=False, summary=f"Help {n}",
            company_external_id=company.external_id, board="Help", status="New", type="",
            priority="", owner="", agreement_external_id="", source="", opened_at=at,
            actual_hours=0, budget_hours=0,
        )  # fmt: skip
        AgreementChange.objects.create(
            customer=customer, at=at, agreement_external_id="1", sentence=f"Change {n}."
        )
        RmmAlert.objects.create(
            external_id=f"r-{n}", company=company, at=at, severity="error", title=f"Disk {n}",
            received_at=at,
        )  # fmt: skip
        Alert.objects.create(
            signal="invoice_overdue", subject=f"customer:{customer.pk}", customer=customer,
            state="resolved", severity=1, sentence=f"Late {n}.", opened_at=at, seen_at=at,
        )  # fmt: skip
    agreement = Agreement.objects.filter(company_external_id=company.external_id).first()
    copies(agreement, external_id=key, starts_on=day)
    reason = Reason(code="tax_unmapped", about="GST", sentence="No tax.")
    hold([Held(link.document, link.organisation, [reason])])
    Blocked.objects.update(since=MIDNIGHT)
    Link.objects.update(linked_at=MIDNIGHT)
    return customer


def walk(customer, kinds):
    """All stretches, one after the other, by their marks."""
    found, after = [], ""
    for _ in range(200):
        stretch = timeline.page_of(customer, kinds, after)
        found += stretch.events
        after = stretch.after
        if not after:
            return found
    raise AssertionError("the timeline has no end")


def test_every_event_comes_once_and_in_order_however_it_is_cut(busy, monkeypatch):
    kinds = list(timeline.KINDS)
    monkeypatch.setattr(timeline, "SIZE", 10_000)
    whole = timeline.page_of(busy, kinds).events
    # Of each source the rows of the fixture, and of some the one that was there before.
    counts = {source.name: 0 for source in timeline.SOURCES}
    for event in whole:
        counts[event.source] += 1
    once = {"blocked", "posted"}
    assert {name for name, count in counts.items() if count < 5} == once
    assert all(counts[name] == 1 for name in once)
    keys = [event.key for event in whole]
    assert keys == sorted(keys, reverse=True)
    assert len(set(keys)) == len(keys)
    for size in (1, 2, 7):
        monkeypatch.setattr(timeline, "SIZE", size)
        assert [event.key for event in walk(busy, kinds)] == keys


def test_each_kind_can_be_shown_alone(busy, client):
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    address = reverse("hub:timeline", args=[busy.pk])
    told = {
        "invoice": "Invoice I-4", "payment": "Payment on", "credit": "Credit note C-4",
        "ticket": "Help 4", "agreement": "Change 4.", "sync": "written to the books",
        "alert": "Late 4.", "rmm": "Disk 4",
    }  # fmt: skip
    assert set(told) == set(timeline.KINDS)
    for kind, words in told.items():
        page = client.get(address, {"kind": kind}).content.decode()
        assert words in page
        assert page.count("data-kind=") == page.count(f'data-kind="{kind}"') > 0
    page = client.get(address, {"kind": ["ticket", "rmm"]}).content.decode()
    assert page.count("data-kind=") == 10
    # A mark that somebody shortened shows the newest, not an error.
    assert "Help 4" in client.get(address, {"kind": "ticket", "after": "WyIy"}).content.decode()


def test_a_stretch_costs_the_same_wherever_it_is(busy, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(timeline, "SIZE", 2)
    kinds = list(timeline.KINDS)
    queries = len(timeline.SOURCES) + 2
    after = ""
    for _ in itertools.repeat(None, 8):
        with django_assert_num_queries(queries):
            after = timeline.page_of(busy, kinds, after).after
        assert after


def test_amounts_are_told_with_their_sign(busy):
    credits = timeline.page_of(busy, ["credit"]).events
    assert {event.amount for event in credits} == {Decimal(-1)}
