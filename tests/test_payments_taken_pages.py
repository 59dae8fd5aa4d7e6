"""Payments of the PSA in the browser: the setting, the card, the account, the list."""

import pytest
from playwright.sync_api import expect

from psaltery.accounts import service
from psaltery.accounts.models import Role
from psaltery.ledger.models import LedgerAccount
from psaltery.matching.models import PaymentTaken
from psaltery.posting.models import Link
from psaltery.testing.http_calls import call
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
PASSWORD = "a long enough secret"


def sign_in(page, url):
    person = service.add_person("ada@example.com", "Ada", Role.ADMIN, password=PASSWORD)
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_from_the_setting_to_the_payment_in_the_books(rig, page, live_app, console):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/organisations/{link.organisation_id}/settings/")
    page.get_by_label("Payments entered in the PSA become payments").check()
    page.get_by_label("Products become items").check()
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("post the PSA's payments no → yes")).to_be_visible()
    given = {"amount": 120, "paymentDate": "2026-10-05T00:00:00Z", "type": "Card"}
    call(
        f"{rig.psa_url}/_control/enter_payment",
        "POST",
        {"number": link.document.number, **given},
    )
    rig.sync()
    page.get_by_role("link", name="Exceptions").first.click()
    page.get_by_role("link", name="takes payments by “Card”").first.click()
    bank = LedgerAccount.objects.filter(organisation=link.organisation, type="BANK").first()
    choice = page.get_by_label("Account that takes the payments")
    choice.select_option(value=bank.external_id)
    page.get_by_role("button", name="Map the account").click()
    expect(page.get_by_text("released")).to_be_visible()
    rig.work()
    assert PaymentTaken.objects.get().state == "in_step"
    page.goto(f"{live_app.url}/payments-of-the-psa/")
    row = page.get_by_role("row").filter(has_text=link.document.number)
    expect(row).to_contain_text("In step")
    expect(row).to_contain_text("120.00")
    row.get_by_role("link", name=link.document.number).click()
    expect(page.get_by_text("was entered in the PSA")).to_be_visible()
    page.goto(f"{live_app.url}/mapping/?organisation={link.organisation_id}&list=payment")
    expect(page.get_by_text("Card").first).to_be_visible()
    assert console == []
