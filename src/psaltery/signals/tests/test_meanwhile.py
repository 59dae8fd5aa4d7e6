"""People act while a look is under way: what they said stays, whatever the look had read before."""

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from psaltery.portfolio.models import Customer
from psaltery.signals import service
from psaltery.signals.models import Alert, Snapshot
from psaltery.signals.tests.test_look import both, close, of
from psaltery.testing.situations import fell_due

ANN = "ann@example.com"


@contextmanager
def meanwhile(part, act):
    """Right after the first statement with this part about what is overdue, somebody else does
    `act`, in a connection of their own."""
    done = []

    def note(execute, sql, params, *rest):
        found = execute(sql, params, *rest)
        if part in sql and "invoice_overdue" in (params or ()) and not done:
            done.append(sql)
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join(20)
            assert not thread.is_alive(), "somebody else had to wait for the look"
        return found

    def elsewhere():
        try:
            act()
        finally:
            connection.close()

    with connection.execute_wrapper(note):
        yield
    assert done, f"nothing like {part} was asked"


def late(days):
    fell_due(days)


@pytest.fixture
def alert(rig):
    close(rig)
    both(rig)
    late(10)
    service.look()
    return of("invoice_overdue").get()


READ = 'LEFT OUTER JOIN "portfolio_customers"'


def test_an_alert_that_is_acknowledged_meanwhile_stays_so(alert):
    late(11)
    with meanwhile(READ, lambda: service.acknowledge(alert, ANN, "called")):
        service.look()
    alert.refresh_from_db()
    assert "oldest for 11 days" in alert.sentence
    assert (alert.state, alert.note, alert.state_by) == ("acknowledged", "called", ANN)
    alert.card.refresh_from_db()
    assert alert.card.state == "snoozed"


def test_an_alert_that_is_snoozed_anew_meanwhile_stays_asleep(alert):
    service.snooze_until(alert, timezone.now() + timedelta(days=1), ANN)
    Alert.objects.update(snoozed_until=timezone.now() - timedelta(minutes=1))
    until = timezone.now() + timedelta(days=9)
    with meanwhile('"snoozed_until" <=', lambda: service.snooze_until(alert, until, ANN, "away")):
        service.look()
    alert.refresh_from_db()
    assert (alert.state, alert.snoozed_until, alert.note) == ("snoozed", until, "away")


def test_a_week_that_ends_well_says_so(alert):
    late(70)
    service.look()
    assert Snapshot.objects.get().points == 25
    late(10)
    service.look()
    assert Snapshot.objects.get().points == 0
    assert Customer.objects.get(pk=alert.customer_id).risk_reasons == []
