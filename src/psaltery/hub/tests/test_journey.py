"""Customers and alerts in the browser: a leak, its evidence, the customer, and the timeline."""

import re

import pytest
from playwright.sync_api import expect

from psaltery.accounts import service as accounts
from psaltery.accounts.models import Role
from psaltery.ledger.models import BillingInvoice
from psaltery.posting.models import Link
from psaltery.signals import service
from psaltery.signals.tests.test_look import both, close, leak
from psaltery.testing.situations import fell_due
from psaltery.web import assets

PASSWORD = "a long enough secret"
BUILT = pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup")


def sign_in(page, url, role=Role.BOOKKEEPER):
    person = accounts.add_person("ada@example.com", "Ada", role, password=PASSWORD)
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.journey
@BUILT
def test_from_a_leak_to_its_evidence_and_the_customer(rig, page, live_app, console):
    both(rig)
    company = leak(rig)
    sign_in(page, live_app.url)
    page.get_by_role("link", name="Alerts").click()
    expect(page.get_by_text("Nothing to look at")).to_be_visible()
    signals = page.get_by_role("region", name="Signals")
    expect(signals.get_by_text("not checked").first).to_be_visible()
    page.get_by_role("button", name="Look now").click()
    signals.get_by_role("link", name="Service without an invoice").click()
    row = page.get_by_role("row").filter(has_text="4 tickets")
    expect(row).to_contain_text(company.name)
    row.get_by_role("link", name="4 tickets").click()
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence.get_by_text("Printer on fire")).to_have_count(4)
    page.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Note").fill("Ann invoices it")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Ann invoices it")).to_be_visible()
    page.get_by_role("link", name=company.name).click()
    expect(page.get_by_role("heading", name=company.name)).to_be_visible()
    expect(page.get_by_role("region", name="Alerts").get_by_text("acknowledged")).to_be_visible()
    expect(page.get_by_role("region", name="Agreements")).to_contain_text("managed services")
    page.get_by_label("Billing").select_option("charity")
    page.get_by_role("button", name="Save billing").click()
    expect(page.get_by_text("The next look at this customer")).to_be_visible()
    service.look()
    page.reload()
    expect(page.get_by_role("region", name="Alerts").get_by_text("4 tickets")).to_have_count(0)
    assert console == []


@pytest.mark.journey
@BUILT
def test_the_list_the_money_and_the_timeline(rig, page, live_app, console):
    for number in range(45):
        close(rig, f"{100 + number}.00")
    both(rig)
    link = Link.objects.select_related("document").order_by("pk").first()
    rig.pay(link, link.total, str(link.document.issued_on))
    both(rig)
    fell_due(40, BillingInvoice.objects.filter(amount_due__gt=0))
    service.look()
    sign_in(page, live_app.url)
    page.get_by_role("link", name="Customers").click()
    page.get_by_label("Overdue").check()
    row = page.get_by_role("row").filter(has_text=link.document.company_name)
    expect(row).to_contain_text("5,929.00")
    expect(row).to_contain_text("Watch")
    row.get_by_role("link", name=link.document.company_name).click()
    money = page.get_by_role("region", name="Money in AUD")
    expect(money).to_contain_text("5,929.00")
    expect(money).to_contain_text("contracted MRR")
    chart = page.get_by_role("img", name="Invoiced and paid by month")
    expect(chart.locator("canvas")).to_be_visible()
    payments = page.get_by_role("region", name="Payments")
    expect(payments.get_by_role("link", name=link.number)).to_be_visible()
    page.get_by_role("link", name="Timeline").click()
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.locator("[data-kind]").nth(39)).to_be_visible()
    page.get_by_label("Invoices").check()
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"kind=invoice"))
    page.get_by_role("link", name="Older events").scroll_into_view_if_needed()
    expect(timeline.locator("[data-kind=invoice]")).to_have_count(45)
    expect(timeline.locator("[data-kind=ticket]")).to_have_count(0)
    assert console == []
