"""A look over both sandboxes: alerts open, change, rest and end; what was not checked says so."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from psaltery.connections.models import Feed
from psaltery.desk.models import Company, Ticket
from psaltery.ledger.models import BillingInvoice
from psaltery.notify import outbox
from psaltery.notify.models import Notice, Recipient
from psaltery.notify.models import Rule as NotifyRule
from psaltery.portfolio.models import AgreementChange, Customer
from psaltery.portfolio.recurring import month_start
from psaltery.review.models import Card
from psaltery.signals import gather, queries, service
from psaltery.signals.models import Alert, Check, Snapshot
from psaltery.signals.thresholds import Thresholds
from psaltery.testing.situations import fell_due


def close(rig, price="200.00", **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def leak(rig, count=4):
    """Tickets of a company last month, and no invoice."""
    company = Company.objects.get(external_id=str(rig.companies("Sydney")[0]))
    Ticket.objects.all().delete()
    month = gather.leak_month(timezone.localdate(), Thresholds())
    for number in range(count):
        Ticket.objects.create(
            connection=company.connection, external_id=f"L{number}", closed=True,
            company_external_id=company.external_id, summary="Printer on fire", board="Help Desk",
            status="Closed", type="", priority="", owner="", agreement_external_id="", source="",
            opened_at=datetime(month.year, month.month, 3, tzinfo=UTC),
            closed_at=datetime(month.year, month.month, 4, tzinfo=UTC),
            actual_hours=Decimal(1), budget_hours=0,
        )  # fmt: skip
    return company


def both(rig):
    """What is written in the first cycle is read back in the second."""
    rig.sync()
    rig.sync()


def of(signal):
    return Alert.objects.filter(signal=signal)


@pytest.fixture
def synced(rig):
    both(rig)
    return rig


def test_a_leak_is_found_told_and_resolved_by_itself(synced):
    company = leak(synced)
    channel = Recipient.objects.create(kind=Recipient.Kind.SLACK, name="ops")
    NotifyRule.objects.create(
        recipient=channel, topics=["alert"], since=timezone.now(), wait_minutes=0
    )
    service.look()
    alert = of("service_without_invoice").get()
    assert alert.customer.company == company
    assert (alert.evidence_count, alert.state) == (4, "open")
    assert alert.evidence[0]["label"] == "Printer on fire"
    outbox.book()
    assert Notice.objects.filter(card=alert.card, recipient=channel).exists()
    assert "Printer" not in alert.card.sentence
    assert alert.customer.name in alert.card.sentence
    service.look()
    assert of("service_without_invoice").get() == alert
    month = gather.leak_month(timezone.localdate(), Thresholds())
    close(synced, company=int(company.external_id), date=month.isoformat())
    synced.sync()
    service.look()
    alert.refresh_from_db()
    assert (alert.state, alert.state_by) == ("resolved", "Psaltery")
    assert Card.objects.get(pk=alert.card_id).state == "resolved"


def test_what_was_not_read_is_not_checked_and_changes_nothing(synced):
    leak(synced)
    service.look()
    alert = of("service_without_invoice").get()
    Ticket.objects.all().delete()
    long_ago = timezone.now() - timedelta(days=9)
    Feed.objects.filter(name="tickets").update(finished_at=long_ago)
    Customer.objects.filter(pk=alert.customer_id).update(risk="watch", risk_points=30)
    service.look()
    check = Check.objects.get(signal="account_health")
    assert check.looked_at == 0
    assert check.not_checked_count > 0
    assert "tickets were last read" in check.not_checked[0]
    assert Customer.objects.get(pk=alert.customer_id).risk == "watch"
    # Its tickets are gone, but from a mirror that is nine days old.
    assert of("service_without_invoice").get().state == "open"
    stale = of("stale_source").get()
    assert stale.sentence.endswith("1 feed too old: what depends on them is not checked.")
    assert [one["label"] for one in stale.evidence] == ["tickets"]
    standing = next(s for s in queries.standings() if s.signal.code == "account_health")
    assert standing.is_blind
    # Who set a longer limit is content with a mirror of nine days: it is judged by.
    service.set_limit("stale_intervals", Decimal(40))
    service.look()
    assert of("stale_source").get().state == "resolved"
    assert not Check.objects.get(signal="account_health").not_checked
    service.set_limit("stale_intervals", None)
    Feed.objects.filter(name="tickets").update(finished_at=timezone.now())
    service.look()
    assert of("stale_source").get().state == "resolved"
    assert of("service_without_invoice").get().state == "resolved"


@pytest.mark.django_db
def test_nothing_connected_is_not_checked_rather_than_zero():
    service.look()
    whys = {check.signal: check.not_checked for check in Check.objects.all()}
    assert whys["service_without_invoice"] == ["No PSA has been read yet."]
    assert whys["invoice_overdue"] == ["No books have been read yet."]
    assert not Alert.objects.exists()
    assert [one.is_blind for one in queries.standings()].count(True) >= 6


def test_overdue_is_one_row_a_customer_and_gets_graver(synced):
    close(synced)
    close(synced, "50.00")
    both(synced)
    fell_due(10)
    service.look()
    alert = of("invoice_overdue").get()
    assert (alert.amount, alert.currency, alert.evidence_count) == (Decimal(275), "AUD", 2)
    assert alert.get_severity_display() == "low"
    service.acknowledge(alert, "ann@example.com", "called them")
    service.look()
    alert.refresh_from_db()
    assert (alert.state, alert.note) == ("acknowledged", "called them")
    assert alert.card.state == "snoozed"
    fell_due(70)
    service.look()
    alert.refresh_from_db()
    assert (alert.state, alert.get_severity_display()) == ("open", "critical")
    assert Card.objects.get(pk=alert.card_id).severity == "error"
    assert Card.objects.get(pk=alert.card_id).state == "open"
    customer = Customer.objects.get(pk=alert.customer_id)
    assert (customer.risk, customer.overdue) == ("watch", Decimal(275))
    assert Snapshot.objects.get(customer=customer).points == 25
    assert list(customer.risk_reasons) == ["An invoice is 70 days overdue."]


def test_a_snoozed_alert_comes_back_and_one_that_ended_comes_again(synced):
    close(synced)
    both(synced)
    fell_due(10)
    service.look()
    alert = of("invoice_overdue").get()
    service.snooze_until(alert, timezone.now() + timedelta(days=2), "ann@example.com")
    service.look()
    assert of("invoice_overdue").get().state == "snoozed"
    Alert.objects.update(snoozed_until=timezone.now() - timedelta(minutes=1))
    service.look()
    assert of("invoice_overdue").get().state == "open"
    BillingInvoice.objects.update(amount_due=0)
    service.look()
    assert of("invoice_overdue").get().state == "resolved"
    BillingInvoice.objects.update(amount_due=10)
    service.look()
    assert sorted(of("invoice_overdue").values_list("state", flat=True)) == ["open", "resolved"]


def test_drift_and_what_is_in_one_system_only(synced):
    close(synced)
    both(synced)
    service.look()
    assert not of("psa_ledger_drift").exists()
    alone = of("unmapped").get(organisation=None)
    assert "companies of the PSA have no contact in the books" in alone.sentence
    BillingInvoice.objects.update(total=Decimal(1))
    Feed.objects.update(finished_at=timezone.now() + timedelta(hours=2))
    service.look()
    drift = of("psa_ledger_drift").get()
    assert (drift.amount, drift.currency) == (Decimal(219), "AUD")
    BillingInvoice.objects.update(total=Decimal(220))
    service.look()
    assert of("psa_ledger_drift").get().state == "resolved"


def test_agreements_that_did_not_bill_and_their_changes(synced):
    service.look()
    gaps = of("mrr_gap")
    assert gaps.count() == Customer.objects.filter(contracted__gt=0).count() > 0
    gap = gaps.first()
    assert gap.amount == Customer.objects.get(pk=gap.customer_id).contracted
    assert not AgreementChange.objects.exists()
    from psaltery.desk.models import Agreement

    mine = Agreement.objects.get(company_external_id=gap.customer.company.external_id)
    Agreement.objects.filter(pk=mine.pk).update(state="cancelled")
    service.look()
    gap.refresh_from_db()
    assert gap.state == "resolved"
    change = AgreementChange.objects.get()
    assert change.sentence == f"{mine.name}: state was active, is cancelled."
    assert change.customer_id == gap.customer_id


def test_a_customer_that_is_not_billed_is_left_alone(synced):
    company = leak(synced)
    from psaltery.portfolio.service import refresh, set_billing

    refresh()
    set_billing(Customer.objects.get(company=company), "internal", None)
    service.look()
    assert not of("service_without_invoice").exists()
    assert not of("mrr_gap").filter(customer__company=company).exists()


def test_low_alerts_are_told_to_those_who_are_told_everything(synced):
    channel = Recipient.objects.create(kind=Recipient.Kind.SLACK, name="ops")
    NotifyRule.objects.create(recipient=channel, since=timezone.now(), wait_minutes=0)
    close(synced)
    both(synced)
    fell_due(10)
    service.look()
    alert = of("invoice_overdue").get()
    assert alert.get_severity_display() == "low"
    outbox.book()
    assert Notice.objects.filter(card=alert.card, recipient=channel).exists()


def test_a_month_is_the_month_of_the_installation(synced):
    company = leak(synced, count=3)
    # The first of the next month has begun in Sydney; in London it is still the month before.
    Ticket.objects.update(closed_at=datetime(2026, 9, 30, 20, tzinfo=UTC))
    service.look()

    def served(month, zone):
        found = gather.services(month, Thresholds(), ZoneInfo(zone))
        return [facts.tickets for customer, facts in found if customer.company == company]

    assert served(date(2026, 9, 1), "Australia/Sydney") == []
    (tickets,) = served(date(2026, 10, 1), "Australia/Sydney")
    assert {one.day for one in tickets} == {date(2026, 10, 1)}
    (tickets,) = served(date(2026, 9, 1), "Europe/London")
    assert len(tickets) == 3


def test_limits_and_switches(synced):
    leak(synced, count=4)
    service.set_limit("leak_tickets", Decimal(5))
    service.look()
    assert not of("service_without_invoice").exists()
    service.set_limit("leak_tickets", None)
    service.look()
    assert of("service_without_invoice").get().state == "open"
    service.mute("service_without_invoice", True)
    service.look()
    assert of("service_without_invoice").get().state == "resolved"


def test_months():
    assert month_start(date(2026, 1, 31), 1) == date(2025, 12, 1)
    assert month_start(date(2026, 1, 31), -1) == date(2026, 2, 1)
    assert gather.leak_month(date(2026, 11, 9), Thresholds()) == date(2026, 9, 1)
    assert gather.leak_month(date(2026, 11, 10), Thresholds()) == date(2026, 10, 1)
