"""In the browser: the audit log searched, narrowed, read and exported, after real work."""

import csv
import json

import pytest
from playwright.sync_api import Page, expect

from psaltery.accounts.models import Person, Role
from psaltery.audit.models import Entry
from psaltery.posting.models import Link
from psaltery.testing.rig import Rig
from psaltery.testing.signed_in import signed_in_as
from psaltery.testing.situations import close
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]


@pytest.fixture
def vic(live_app, page, settings) -> Page:
    """The page of somebody who only looks."""
    person = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    signed_in_as(person, page, live_app.url)
    page.set_viewport_size({"width": 1440, "height": 900})
    return page


def downloaded(page: Page, name: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).first.click()
    return waiting.value.path().read_text()


def test_search_narrow_read_and_export(rig: Rig, live_app, vic, console):
    close(rig)
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    rig.pay(link, link.total / 2, str(link.document.issued_on))
    rig.sync()
    page = vic
    page.goto(f"{live_app.url}/audit/")
    search = page.get_by_role("searchbox").first
    search.fill(link.number)
    rows = page.locator("#list-body tbody tr")
    mine = Entry.objects.filter(documents__contains=[link.number])
    expect(rows).to_have_count(mine.count())

    # The requests that wrote the payment to the PSA, and the decision about them; nothing else.
    page.get_by_label("Type").select_option("payment")
    payments = mine.filter(document_kind="payment")
    assert set(payments.values_list("kind", flat=True)) == {"request", "decision"}
    expect(rows).to_have_count(payments.count())
    assert payments.count() < mine.count()
    assert f"q={link.number}" in page.url
    assert "document_kind=payment" in page.url

    exported = json.loads(downloaded(page, "JSON with bodies"))
    assert {one["id"] for one in exported} == set(payments.values_list("pk", flat=True))
    assert any("paymentDate" in one["request"] for one in exported)
    table = list(csv.reader(downloaded(page, "CSV").splitlines()))
    assert len(table) == 1 + payments.count()

    decision = payments.get(kind="decision")
    page.get_by_role("row", name="Payment: back").get_by_role("link").first.click()
    expect(page).to_have_url(f"{live_app.url}/audit/{decision.pk}/")
    expect(page.get_by_text(decision.sentence).first).to_be_visible()
    assert console == []


def test_whatever_is_posted_is_found_by_type_customer_and_document(rig: Rig):
    close(rig)
    rig.sync()
    link = Link.objects.select_related("document").get()
    sent = Entry.objects.get(kind="request", method="PUT", address__contains="/Invoices")
    assert (sent.document_kind, sent.customer, sent.documents) == (
        "invoice",
        link.document.company_name,
        [link.number],
    )
