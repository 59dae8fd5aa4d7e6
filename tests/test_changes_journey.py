"""What becomes of a posted document, in the browser: edits in each state, locks, drift, force."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from psaltery.connections.models import Feed
from psaltery.mapping.models import Mapping
from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import Policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import force
from psaltery.testing.http_calls import call
from psaltery.testing.signed_in import signed_in_as
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
    return signed_in_as(person, page, live_app.url)


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


def lock(rig, until: str | None) -> None:
    """The bookkeeper moves the lock date, and Psaltery reads the settings."""
    for organisation in rig.organisations:
        body = {"tenant": organisation.external_id, "PeriodLockDate": until}
        call(f"{rig.books_url}/_control/organisations", "POST", body)
    for feed in Feed.objects.filter(name="settings", organisation__in=rig.organisations):
        rig.read(feed)


def invoice(rig, link):
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


def press(page, name: str) -> None:
    """Press a repair that asks nothing, and see that it released what it held."""
    page.get_by_role("button", name=name).click()
    expect(page.get_by_text(re.compile("released", re.I)).first).to_be_visible()


def delete_in_the_psa(rig, link) -> None:
    rig.psa_sandbox.world.store.delete("invoices", link.document.external_id)
    force.refresh(link.document_id)
    rig.work()


def state(page, url, link):
    """The part of the document's page that says how it stands."""
    page.goto(f"{url}/documents/{link.document_id}/")
    return page.get_by_role("region", name="State")


# Locks.


def test_parked_documents_go_by_themselves_when_the_lock_moves(rig, ann, live_app):
    lock(rig, "2026-10-31")
    for day in ("2026-10-15", "2026-10-20"):
        rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES, date=day)
    rig.sync()
    ann.goto(f"{live_app.url}/exceptions/")
    ann.get_by_role("link", name="is locked up to 31 October 2026").click()
    expect(ann).to_have_url(re.compile(r"/exceptions/\d+/"))
    expect(ann.get_by_role("region", name="Facts").get_by_text("440.00")).to_be_visible()
    expect(ann.get_by_text("Move the lock date in the books").first).to_be_visible()
    assert not Link.objects.exists()
    lock(rig, "2026-09-30")
    rig.work()
    ann.reload()
    expect(ann.get_by_role("region", name="Facts").get_by_text("resolved")).to_be_visible()
    dates = {invoice(rig, link)["DateString"][:10] for link in Link.objects.all()}
    assert dates == {"2026-10-15", "2026-10-20"}
    ann.goto(f"{live_app.url}/documents/?state=in_step")
    expect(ann.get_by_role("row").filter(has_text="220.00")).to_have_count(2)


def test_an_edit_behind_the_lock_is_credited_and_issued_in_the_open_period(rig, ann, live_app):
    link = post_one(rig, date="2026-10-15")
    lock(rig, "2026-10-31")
    edit(rig, link)
    open_card(ann, live_app.url, link)
    expect(ann.get_by_text("lies in a locked period").first).to_be_visible()
    confirm(ann, "Credit it and issue it anew", "-2 is issued with 330.00")
    rig.work()
    in_step(ann, live_app.url, link, "330.00")
    assert invoice(rig, link)["DateString"].startswith("2026-10-15")
    link.refresh_from_db()
    assert invoice(rig, link)["DateString"].startswith("2026-11-01")


# Removed or reopened in the PSA.


@pytest.mark.parametrize(
    ("status", "end"), [(Status.DRAFT, "DELETED"), (Status.AUTHORISED, "VOIDED")]
)
def test_a_removal_in_the_psa_is_carried_over_where_no_money_lies(rig, ann, live_app, status, end):
    link = post_one(rig, status)
    delete_in_the_psa(rig, link)
    expect(state(ann, live_app.url, link).get_by_text("in step").first).to_be_visible()
    assert invoice(rig, link)["Status"] == end
    assert not Card.objects.filter(state="open").exists()


def test_a_removal_in_the_psa_asks_where_money_lies(rig, ann, live_app):
    link = post_one(rig)
    rig.pay(link, Decimal("100"), str(link.document.issued_on))
    rig.sync()
    delete_in_the_psa(rig, link)
    assert invoice(rig, link)["Status"] == "AUTHORISED"
    open_card(ann, live_app.url, link)
    confirm(ann, "Credit it", "what the customer has paid stays as credit")
    rig.work()
    expect(state(ann, live_app.url, link).get_by_text("in step").first).to_be_visible()
    assert Decimal(str(invoice(rig, link)["AmountDue"])) == 0


# Drift.


def change(rig, link, **fields) -> None:
    """Somebody edits the invoice in the books."""
    body = {"InvoiceID": link.books_id, **fields}
    rig.write_books(link.organisation, "Invoices", body, method="POST")
    rig.sync()


def test_drift_is_accepted_and_told_no_more(rig, ann, live_app):
    link = post_one(rig)
    change(rig, link, Reference="Changed by hand")
    open_card(ann, live_app.url, link)
    differs = ann.get_by_role("table", name="What differs")
    expect(differs.get_by_role("rowheader", name="Reference")).to_be_visible()
    expect(differs.get_by_text("Changed by hand")).to_be_visible()
    press(ann, "Accept the books' version")
    rig.sync()
    in_step(ann, live_app.url, link, "220.00")
    assert invoice(rig, link)["Reference"] == "Changed by hand"
    assert not Card.objects.filter(state="open").exists()


def test_an_account_chosen_in_the_books_becomes_the_rule_for_the_next(rig, ann, live_app):
    link = post_one(rig)
    (line,) = invoice(rig, link)["LineItems"]
    kept = {name: line[name] for name in ("LineItemID", "Description", "Quantity", "UnitAmount")}
    used = line["AccountCode"]
    accounts = rig.in_books(link.organisation, "Accounts")["Accounts"]
    revenue = [a["Code"] for a in accounts if a["Type"] == "REVENUE" and a["Status"] == "ACTIVE"]
    other = next(code for code in revenue if code != used)
    kept["TaxType"] = line["TaxType"]
    change(rig, link, LineItems=[{**kept, "AccountCode": other}])
    open_card(ann, live_app.url, link)
    differs = ann.get_by_role("table", name="What differs")
    expect(differs.get_by_role("rowheader", name="Line 1: Account")).to_be_visible()
    press(ann, "Make it the rule")
    assert Mapping.objects.get(organisation=link.organisation, list="account").target == other
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    rig.sync()
    later = Link.objects.exclude(pk=link.pk).get()
    assert [one["AccountCode"] for one in invoice(rig, later)["LineItems"]] == [other]
    assert not Card.objects.filter(state="open").exists()


def test_what_was_voided_in_the_books_is_posted_again(rig, ann, live_app):
    link = post_one(rig)
    change(rig, link, Status="VOIDED")
    open_card(ann, live_app.url, link)
    expect(ann.get_by_text("was voided in").first).to_be_visible()
    ann.get_by_role("button", name="Post it again").first.click()
    dialog = ann.get_by_role("dialog")
    expect(dialog.get_by_text("posted again as a new one")).to_be_visible()
    dialog.get_by_role("button", name="Post it again").click()
    expect(ann.get_by_text(re.compile("released", re.I)).first).to_be_visible()
    rig.work()
    # The number of a voided invoice stays its own in the sandbox; of Xero it is not known.
    open_card(ann, live_app.url, link)
    again = ann.get_by_role("region", name="Post it under another number")
    expect(again.get_by_role("textbox")).to_have_value(f"{link.number}-2")
    again.get_by_role("button").click()
    expect(ann.get_by_text(re.compile("released", re.I)).first).to_be_visible()
    rig.work()
    in_step(ann, live_app.url, link, "220.00")
    assert Link.objects.get().number == f"{link.number}-2"
