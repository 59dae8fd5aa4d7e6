"""In Chromium: a document is held, a mail arrives, its link leads to the repair, it goes out."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from psaltery.accounts.models import Role
from psaltery.mapping.models import Mapping
from psaltery.notify.models import Message
from psaltery.notify.tests.world import PASSWORD, impatient, parts, person
from psaltery.posting.models import Posting
from psaltery.testing.signed_in import signed_in_as
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]

LINE = {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"}


def look(worker) -> None:
    """What the worker's clock asks for every half minute."""
    with suppress(AlreadyEnqueued):
        app.configure_task("notify", queue="upkeep").defer(timestamp=0)
    worker.drain()


def signed_in(page: Page, who, url: str, settings) -> None:
    signed_in_as(who, page, url)


def test_from_the_mail_to_the_released_document(rig, live_app, page, worker, mail_server, console):
    person("bea@example.com", Role.BOOKKEEPER)
    look(worker)  # her mailbox begins
    impatient()
    Mapping.objects.filter(list="account").delete()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[LINE])
    rig.sync()
    look(worker)
    (mail,) = mail_server.mails
    html = parts(mail)[1]
    assert mail["To"] == "bea@example.com"
    assert "(1 document, 265.21 AUD)" in mail["Subject"]

    # She opens the mail, follows its link, and signs in on the way.
    page.set_content(html)
    page.get_by_role("link", name="Open it").click()
    page.get_by_label("Email").fill("bea@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile(rf"{live_app.url}/exceptions/\d+/"))
    page.get_by_label("Account", exact=True).select_option("200")
    page.get_by_label("Everything else").check()
    page.get_by_role("button", name=re.compile("release 1 document")).click()
    expect(page.locator("#messages")).to_contain_text("1 document was released")
    rig.work()
    assert Posting.objects.get().state == "in_step"

    # Nothing more is told: she mended it herself, and the second look finds all well.
    look(worker)
    assert len(mail_server.mails) == 1
    page.get_by_role("button", name="Bea").click()
    page.get_by_role("link", name="Notifications").click()
    expect(page.get_by_text("At once", exact=True)).to_be_visible()
    page.get_by_role("link", name=re.compile("265.21 AUD")).click()
    expect(page.locator(".notify-text")).to_contain_text("265.21 AUD")
    assert console == []


def test_rules_and_a_channel_by_the_pages(live_app, page, ada, httpserver, console, settings):
    httpserver.expect_request("/services/secret").respond_with_data("ok")
    signed_in(page, ada, live_app.url, settings)
    page.goto(f"{live_app.url}/settings/notifications/")
    page.get_by_role("link", name="Add a rule").click()
    page.get_by_role("radio", name="Once a day").check()
    page.get_by_label("Time of day").select_option("06:00")
    page.get_by_label("Payments on their way back").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Warnings and errors about payments", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove…").last.click()
    page.get_by_role("button", name="Remove 1 rule").click()
    expect(page.get_by_text("Warnings and errors about payments", exact=True)).to_be_hidden()

    page.get_by_role("link", name="Add a channel").click()
    page.get_by_label("Name of the channel").fill("#books")
    page.get_by_label("Webhook address").fill("http://example.com/x")
    page.get_by_role("button", name="Add the channel").click()
    expect(page.get_by_text("must begin with https://")).to_be_visible()
    page.get_by_label("Webhook address").fill(httpserver.url_for("/services/secret"))
    page.get_by_role("button", name="Add the channel").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#messages")).to_contain_text("The test was sent to #books (Slack).")
    assert Message.objects.get().state == "sent"
    assert console == []
