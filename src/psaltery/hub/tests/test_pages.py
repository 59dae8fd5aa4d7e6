"""The customer pages over both sandboxes: what each system knows of one customer, on one page."""

import csv
import html
import re
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from psaltery.accounts.models import Person, Role
from psaltery.desk.models import Contact, Ticket
from psaltery.ledger.models import BillingInvoice
from psaltery.mapping.models import ContactLink
from psaltery.portfolio import service
from psaltery.portfolio.models import Customer
from psaltery.posting.models import Link
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold
from psaltery.signals import service as signals
from psaltery.testing.situations import fell_due

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def close(rig, price="200.00", **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def sign_in(client, role=Role.BOOKKEEPER):
    person = Person.objects.create_user(f"{role}@example.com", name="Vic", role=role)
    client.force_login(person, backend=BACKEND)


def test_one_customer_of_both_systems(rig, client):
    close(rig)
    rig.sync()
    rig.sync()
    assert service.refresh()
    link = ContactLink.objects.get()
    customer = Customer.objects.get(company=link.company)
    assert (customer.outstanding, customer.currency) == (Decimal(220), "AUD")
    assert customer.invoiced == Decimal(200)
    assert customer.contracted > 0
    sign_in(client)
    page = client.get(reverse("hub:index")).content.decode()
    assert customer.name in page
    assert "220.00" in page
    page = client.get(reverse("hub:customer", args=[customer.pk])).content.decode()
    number = Link.objects.get().number
    assert number in page
    assert "managed services" in page
    assert "go.xero.com" in page
    file = b"".join(client.get(reverse("hub:index"), {"format": "csv"}).streaming_content)
    rows = {row["Customer"]: row for row in csv.DictReader(file.decode("utf-8-sig").splitlines())}
    assert rows[customer.name]["Outstanding"] == "220.0000"
    page = client.get(reverse("hub:timeline", args=[customer.pk])).content.decode()
    assert f"Invoice {number}" in page
    assert f"{number} written to the books" in page


@pytest.fixture
def three(rig):
    """Three customers that owe: little for long, much for a while, and nothing overdue."""
    first, second = rig.companies("Sydney")[:2]
    other = rig.companies("Adelaide")[0]
    close(rig, "100.00", company=first)
    close(rig, "900.00", company=second)
    close(rig, "500.00", company=other, location="Adelaide")
    rig.sync()
    rig.sync()
    rows = BillingInvoice.objects.order_by("total")
    for row, days in zip(rows, (80, -10, 20), strict=True):
        fell_due(days, BillingInvoice.objects.filter(pk=row.pk))
    signals.look()
    return [row.customer_name for row in rows]


def names(client, **query):
    answer = client.get(reverse("hub:index"), {**query, "format": "csv"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return [row["Customer"] for row in csv.DictReader(text.splitlines())]


def test_the_list_is_sorted_by_money_and_risk_and_narrowed(three, client):
    small, middle, large = three
    sign_in(client)
    assert names(client, sort="-outstanding")[:3] == [large, middle, small]
    assert names(client, sort="-overdue")[:2] == [large, small]
    assert names(client, sort="-risk_points")[0] == small
    assert set(names(client, owing="1")) == {large, small}
    assert names(client, risk="watch") == [small]
    assert names(client, q=middle) == [middle]
    assert names(client, q="nobody at all") == []


def test_one_customers_page_shows_what_each_system_knows(three, client):
    small = Customer.objects.get(name=three[0])
    company = small.company
    Contact.objects.create(
        connection=company.connection, external_id="p1", company_external_id=company.external_id,
        first_name="Bea", last_name="Bill", email="bea@example.com", phone="555", active=True,
        is_billing=True, is_default=False,
    )  # fmt: skip
    Ticket.objects.create(
        connection=company.connection, external_id="T-9", company_external_id=company.external_id,
        summary="Printer on fire", board="Help", status="New", type="", priority="", owner="",
        agreement_external_id="", source="", closed=False, opened_at=timezone.now(),
        actual_hours=0, budget_hours=0,
    )  # fmt: skip
    link = Link.objects.select_related("document").get(document__company_name=small.name)
    reason = Reason(code="tax_unmapped", about="GST", sentence="GST has no tax rate.")
    hold([Held(link.document, link.organisation, [reason])])
    sign_in(client)
    page = html.unescape(client.get(reverse("hub:customer", args=[small.pk])).content.decode())
    assert re.search(r"<dt>61–90 days</dt><dd>[^/]*110\.00", page)
    assert "An invoice is 80 days overdue" in page  # why it is watched
    assert "GST has no tax rate." in page
    assert "bea@example.com" in page
    # Links into every system: the customer's and the ticket's own pages.
    assert f"recordType=CompanyFV&recid={company.external_id}&" in page
    assert "recordType=ServiceFV&recid=T-9&" in page
    assert "go.xero.com/app/" in page
    assert 'aria-label="Tickets opened by week"' in page
