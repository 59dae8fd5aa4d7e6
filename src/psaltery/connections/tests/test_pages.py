"""The connection pages in Chromium, against the sandboxes: from nothing to organisations synced."""

import re

import pytest
from playwright.sync_api import expect

from psaltery.adapters.connectwise.sandbox import ApiKey, Sandbox
from psaltery.connections.models import Connection, Organisation
from psaltery.testing.consent import allow_access

pytestmark = pytest.mark.journey


def test_xero_is_connected_by_a_person(vendor, signed_in, live_app, console):
    page = signed_in
    page.goto(f"{live_app.url}/connections/")
    page.get_by_role("link", name="Add a connection").first.click()
    page.get_by_role("link", name="Connect Xero").click()
    expect(page.get_by_text(f"{live_app.url}/connections/callback")).to_be_visible()
    page.get_by_label("Name").fill("Our books")
    # The field is checked when it is left.
    page.get_by_label("Client id").fill("no")
    page.get_by_label("Client secret").fill("sandbox-secret")
    expect(page.get_by_text("does not look like a client id")).to_be_visible()
    page.get_by_label("Client id").fill("sandbox-client")
    page.get_by_role("button", name="Go on to Xero").click()
    allow_access(page)
    expect(page.get_by_text("3 found, 0 synced")).to_be_visible()
    page.get_by_role("button", name="Sync the ticked ones").click()
    expect(page.get_by_text("Choose at least one organisation")).to_be_visible()
    page.get_by_role("button", name=re.compile("Select all 3 found")).click()
    expect(page.get_by_text("Everything works")).to_be_visible()
    assert Organisation.objects.filter(chosen=True).count() == 3
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_text("21 feeds of 3 organisations stop")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_text("is disconnected. Its records are kept.")).to_be_visible()
    assert Connection.objects.get().state == "disconnected"
    # The one 404 is the favicon of the vendor's consent page.
    assert [text for text in console if "404" not in text] == []


def test_a_declined_consent_comes_back_with_a_sentence(vendor, signed_in, live_app):
    page = signed_in
    page.goto(f"{live_app.url}/connections/add/xero/")
    page.get_by_label("Name").fill("Our books")
    page.get_by_label("Client id").fill("sandbox-client")
    page.get_by_label("Client secret").fill("sandbox-secret")
    page.get_by_role("button", name="Go on to Xero").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The consent was declined")).to_be_visible()


def test_connectwise_names_the_permission_that_is_missing(signed_in, live_app, console):
    sandbox = Sandbox(companies=2, keys=(ApiKey("public", "private-key-1"),))
    server = sandbox.start()
    try:
        page = signed_in
        page.goto(f"{live_app.url}/connections/add/connectwise/")
        expect(page.get_by_text("Finance > Accounting Interface")).to_be_visible()
        page.get_by_label("Name").fill("Our PSA")
        page.get_by_label("Site").fill(server.url)
        page.get_by_label("Company").fill("harbour")
        page.get_by_label("Public key").fill("public")
        page.get_by_label("Private key").fill("wrong-key-12")
        page.get_by_label("Client id").fill("0000-1111")
        page.get_by_role("button", name="Connect and try each permission").click()
        expect(page.get_by_text("ConnectWise refused the keys")).to_be_visible()
        page.get_by_label("Private key").fill("private-key-1")
        page.get_by_role("button", name="Connect and try each permission").click()
        expect(page.get_by_text("Everything works")).to_be_visible()
        assert Connection.objects.get().state == "connected"
        page.goto(f"{live_app.url}/audit/")
        expect(page.get_by_text("Company info").first).to_be_visible()
        page.get_by_label("Outcome").select_option("failed")
        expect(page.get_by_text("401").first).to_be_visible()
        assert console == []
    finally:
        server.stop()
        sandbox.close()
