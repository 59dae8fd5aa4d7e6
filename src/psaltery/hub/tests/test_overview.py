"""All customers together: by currency, with DSO; the board of renewals; what viewers may not do."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from psaltery.accounts.models import Person, Role
from psaltery.hub.overview import portfolios
from psaltery.hub.tests.test_journey import BUILT, sign_in
from psaltery.ledger.models import BillingInvoice
from psaltery.portfolio.models import Customer
from psaltery.portfolio.receivables import dso_countback
from psaltery.signals import renewals, service
from psaltery.signals.models import Renewal, Snapshot
from psaltery.signals.tests.test_look import both, close
from psaltery.testing.situations import fell_due

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
TODAY = date(2026, 11, 22)
SALES = [
    (date(2026, 11, 1), Decimal(1000)),
    (date(2026, 10, 1), Decimal(2000)),
    (date(2026, 9, 1), Decimal(500)),
]


@pytest.mark.parametrize(
    ("owed", "days"),
    [
        (0, Decimal(0)),
        (500, Decimal(11)),  # half of what was sold in 22 days
        (1000, Decimal(22)),
        (2000, Decimal("37.5")),  # and half of October
        (3500, Decimal(83)),
        (3501, None),  # more than was ever sold
    ],
)
def test_dso_counts_back_month_by_month(owed, days):
    assert dso_countback(Decimal(owed), SALES, TODAY) == days
    assert dso_countback(Decimal(1), [], TODAY) is None


@pytest.fixture
def late(rig):
    """A customer in each of two currencies, one of them long overdue."""
    close(rig)
    new_zealand = rig.companies("Auckland")[0]
    close(rig, "90.00", company=new_zealand, location="Auckland", tax_code="NZGST")
    both(rig)
    fell_due(70, BillingInvoice.objects.filter(currency="AUD"))
    service.look()
    return rig


def test_currencies_stay_apart_and_every_number_has_its_rows(late, client):
    found = {one.currency: one for one in portfolios(timezone.localdate())}
    assert found["AUD"].outstanding == found["AUD"].sums["days_90"] == Decimal(220)
    assert found["AUD"].sums["contracted_mrr"] == sum(
        Customer.objects.filter(currency="AUD").values_list("contracted", flat=True)
    )
    assert found["AUD"].dso == timezone.localdate().day
    assert set(found) <= {"AUD", "NZD"}
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    page = client.get(reverse("hub:overview")).content.decode()
    assert "220.00" in page
    assert "1 watched" in page
    customer = Customer.objects.get(risk="watch")
    address = reverse("signals:renewal", args=[customer.pk])
    assert client.get(address).status_code == 200
    assert client.post(address, {"stage": "lost"}).status_code == 403
    assert not Renewal.objects.exists()


@pytest.mark.django_db
def test_before_the_first_look_nobody_is_called_safe(client):
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    page = client.get(reverse("hub:overview")).content.decode()
    assert "Nobody was looked at yet" in page
    assert "Connect a system" in page
    service.look()
    page = client.get(reverse("hub:overview")).content.decode()
    assert "Nobody is at risk" in page


@pytest.mark.journey
@BUILT
def test_a_customer_walks_over_the_board(late, page, live_app, console):
    customer = Customer.objects.get(risk="watch")
    before = timezone.localdate() - timedelta(days=timezone.localdate().weekday() + 7)
    Snapshot.objects.create(customer=customer, week=before, points=10)
    sign_in(page, live_app.url)
    page.get_by_role("link", name="Customers").click()
    page.get_by_role("link", name="Renewals", exact=True).click()
    noticed = page.get_by_role("region", name="Noticed")
    expect(noticed).to_contain_text("An invoice is 70 days overdue")
    expect(noticed).to_contain_text("+15 since the week before")
    noticed.get_by_role("link", name=customer.name).click()
    page.get_by_label("Stage").select_option("Plan agreed")
    page.get_by_label("Owner").select_option("Ada")
    page.get_by_role("textbox", name="Note").fill("They pay in three parts.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Notes")).to_contain_text("They pay in three parts.")
    page.get_by_role("link", name="Renewals", exact=True).first.click()
    plan = page.get_by_role("region", name="Plan agreed")
    expect(plan).to_contain_text(customer.name)
    expect(plan).to_contain_text("Ada")
    expect(page.get_by_role("region", name="Noticed")).to_contain_text("Nobody")
    page.get_by_role("link", name="All together").click()
    expect(page.get_by_role("region", name="All customers in AUD")).to_contain_text("220.00")
    expect(page.get_by_role("region", name="Customers at risk")).to_contain_text(customer.name)
    assert console == []


def test_who_was_saved_long_ago_leaves_the_board(late):
    customer = Customer.objects.get(risk="watch")
    renewals.move(customer, "saved")
    assert [one.pk for one in renewals.customers()] == [customer.pk]
    Renewal.objects.update(moved_at=timezone.now() - timedelta(days=91))
    assert not renewals.customers().exists()
