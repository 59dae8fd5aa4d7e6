"""What becomes of a posted document, in the browser: edits in each state, locks, drift, force."""

import re
from decimal import Decimal

import pytest
from django.test import Client as Browser
from playwright.sync_api import expect

from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import Policy, stored_policy
from psaltery.records.books import Status
from psaltery.testing.http_calls import call
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
DEARER = [{**LINES[0], "price": "300.00"}]


@pytest.fixture
def ann(live_app, page, settings):
    """A page of an administrator."""
    from psaltery.accounts.models import Person, Role

    person = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    client = Browser()
    client.force_login(person, backend=BACKEND)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_app.url}]
    )
    return page


def post_one(rig, status=Status.AUTHORISED, **fields) -> Link:
    for organisation in rig.organisations:
        organisation.settings = stored_policy(Policy(status=status))
        organisation.save()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES, **fields)
    rig.sync()
    return Link.objects.select_related("document", "organisation").get()


def edit(rig, link) -> None:
    rig.edit(link, lines=DEARER)
    rig.sync()


def open_card(page, url, link) -> None:
    page.goto(f"{url}/documents/{link.document_id}/")
    page.get_by_role("region", name="State").locator("a[href^='/exceptions/']").first.click()


def confirm(page, name: str, says: str) -> None:
    """Press the repair, read what it will do in numbers, and say yes."""
    page.get_by_role("button", name=name).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(says)).to_be_visible()
    dialog.get_by_role("button", name=name).click()
    expect(page.get_by_text(re.compile("released", re.I)).first).to_be_visible()


def in_step(page, url, link, total: str) -> None:
    page.goto(f"{url}/documents/{link.document_id}/")
    expect(page.get_by_text("in step").first).to_be_visible()
    expect(page.get_by_text(total).first).to_be_visible()
    assert Posting.objects.get().state == "in_step"


@pytest.mark.parametrize("status", [Status.DRAFT, Status.SUBMITTED, Status.AUTHORISED])
def test_an_edit_is_written_through_without_asking(rig, ann, live_app, status):
    link = post_one(rig, status)
    edit(rig, link)
    in_step(ann, live_app.url, link, "330.00")


@pytest.mark.parametrize("paid", ["100", "220"])
def test_an_edit_of_what_is_paid_is_credited_and_issued_anew(rig, ann, live_app, paid):
    link = post_one(rig)
    rig.pay(link, Decimal(paid), str(link.document.issued_on))
    rig.sync()
    edit(rig, link)
    open_card(ann, live_app.url, link)
    confirm(ann, "Credit it and issue it anew", "-2 is issued with 330.00")
    rig.work()
    in_step(ann, live_app.url, link, "330.00")
    expect(ann.get_by_text(f"{link.document.number}-2").first).to_be_visible()


def test_an_edit_that_the_books_refuse_is_voided_and_issued_anew(rig, ann, live_app):
    link = post_one(rig)
    body = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": [
            {"ValidationErrors": [{"Message": "Invoice not of valid status for modification"}]}
        ],
    }
    json = {"Content-Type": "application/json"}
    refusal = {"kind": "status", "status": 400, "headers": json, "body": body}
    rig.fault("books", method="POST", path="/Invoices", times=1, **refusal)
    edit(rig, link)
    open_card(ann, live_app.url, link)
    confirm(ann, "Void it and issue it anew", "under the same number")
    rig.work()
    in_step(ann, live_app.url, link, "330.00")


def test_a_locked_document_is_forecast_and_goes_when_the_page_lets_it(rig, ann, live_app):
    url = live_app.url
    for organisation in rig.organisations:
        lock = {"tenant": organisation.external_id, "PeriodLockDate": "2026-10-31"}
        call(f"{rig.books_url}/_control/organisations", "POST", lock)
    rig.sync()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES, date="2026-10-15")
    rig.sync()
    ann.goto(f"{url}/documents/")
    ann.get_by_role("link", name="Next lock").click()
    sydney = ann.get_by_role("region", name="Harbourline IT (Sydney)")
    expect(sydney.get_by_text("will miss it")).to_be_visible()
    expect(sydney.get_by_text("220.00").first).to_be_visible()
    sydney.get_by_role("heading").get_by_role("link").click()
    ann.get_by_label("Documents dated in a locked period").select_option("next_day")
    ann.get_by_role("button", name="Save").click()
    expect(ann.get_by_text("1 held document goes again")).to_be_visible()
    rig.work()
    link = Link.objects.select_related("document").get()
    in_step(ann, url, link, "220.00")
    ann.goto(f"{url}/documents/lock/")
    expect(ann.get_by_text("Nothing will miss it.")).to_have_count(3)


def test_drift_is_shown_field_by_field_and_reverted(rig, ann, live_app):
    link = post_one(rig)
    body = {"InvoiceID": link.books_id, "Reference": "Changed by hand"}
    rig.write_books(link.organisation, "Invoices", body, method="POST")
    rig.sync()
    open_card(ann, live_app.url, link)
    expect(ann.get_by_text("Changed by hand").first).to_be_visible()
    ann.get_by_role("button", name="Write the PSA's version again").click()
    expect(ann.get_by_text(re.compile("released", re.I)).first).to_be_visible()
    rig.work()
    shown = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert shown.get("Reference", "") != "Changed by hand"


def test_all_found_documents_are_forced_after_saying_how_many(rig, ann, live_app):
    post_one(rig)
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    rig.sync()
    ann.goto(f"{live_app.url}/documents/?state=in_step")
    ann.get_by_role("link", name="Force-sync all 2 found").click()
    expect(ann.get_by_role("heading", name="Force-sync 2 documents?")).to_be_visible()
    ann.get_by_role("button", name="Force-sync 2 documents").click()
    expect(ann.get_by_text("2 documents are read again, ahead of everything else")).to_be_visible()


def test_a_back_fill_is_begun_paused_and_resumed(rig, ann, live_app):
    rig.sync()
    ann.goto(f"{live_app.url}/calls/{rig.organisations[0].pk}/")
    ann.get_by_role("button", name="Read everything…").click()
    ann.get_by_role("dialog").get_by_role("button", name="Read everything").click()
    part = ann.get_by_role("region", name="Back-fill")
    expect(part.get_by_text("Begun by ann@example.com")).to_be_visible()
    part.get_by_role("button", name="Pause").click()
    expect(part.get_by_text("Paused")).to_be_visible()
    part.get_by_role("button", name="Resume").click()
    for feed in rig.organisations[0].feeds.all():
        rig.read(feed)
    expect(part.get_by_text("Everything was read")).to_be_visible(timeout=15_000)
