"""In Chromium, against both sandboxes: exceptions repaired by their buttons, documents in step."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from psaltery.accounts.models import Person, Role
from psaltery.desk.models import Document
from psaltery.ledger.models import Customer
from psaltery.mapping.models import Mapping, Route
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig
from psaltery.testing.signed_in import signed_in_as
from psaltery.testing.writes import balance, money_comes_in
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]

LINES = [
    {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"},
    {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "165"},
]


@pytest.fixture
def bea(live_app, page, settings) -> Page:
    """The page of a bookkeeper who is signed in."""
    person = Person.objects.create_user("bea@example.com", name="Bea", role=Role.BOOKKEEPER)
    signed_in_as(person, page, live_app.url)
    page.set_viewport_size({"width": 1440, "height": 900})
    return page


def close(rig: Rig, **invoice):
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": LINES, **invoice}
    return rig.close_invoice(**given)


def test_three_exceptions_are_repaired_by_their_buttons(rig, live_app, bea, console):
    sydney = next(one for one in rig.organisations if "Sydney" in one.name)
    Mapping.objects.filter(list="account").delete()
    Route.objects.filter(value="Adelaide").delete()
    for suffix in ("Pty Ltd", "Limited"):
        rig.write_books(sydney, "Contacts", {"Name": f"Banksia Legal {suffix}"})
    close(rig, lines=LINES[:1])
    close(rig, company=2, lines=LINES[1:])
    close(rig, company=5, location="Adelaide")
    rig.sync()
    assert Card.objects.filter(state="open").count() == 3
    page = bea
    page.goto(f"{live_app.url}/exceptions/")
    expect(page.get_by_text("3 exceptions")).to_be_visible()

    page.get_by_role("link", name=re.compile("no account for the product")).click()
    page.get_by_label("Account", exact=True).select_option("200")
    page.get_by_label("Everything else").check()
    page.get_by_role("button", name="Map the account and release 1 document").click()
    expect(page.locator("#messages")).to_contain_text("1 document was released: 265.21 AUD")
    rig.work()
    # The row tells by itself that its document went out.
    expect(page.locator(".list .state-in-step")).to_be_visible()
    settled = page.url
    page.get_by_role("link", name="Next exception").click()
    expect(page).not_to_have_url(settled)

    page.goto(f"{live_app.url}/exceptions/")
    page.get_by_role("link", name=re.compile("No rule says")).click()
    page.get_by_label("They go to").select_option(label="Harbourline IT (Adelaide)")
    page.get_by_role("button", name="Add a route and release 1 document").click()
    expect(page.locator("#messages")).to_contain_text("Location Adelaide goes to")
    Mapping.objects.create(
        organisation=next(one for one in rig.organisations if "Adelaide" in one.name),
        list="account", key_kind="any", key="", target="200",
    )  # fmt: skip
    rig.work()

    page.goto(f"{live_app.url}/exceptions/")
    page.get_by_role("link", name=re.compile("could be 2 contacts")).click()
    page.get_by_label("Search contacts").fill("limited")
    expect(page.get_by_label("Banksia Legal Pty Ltd")).to_be_hidden()
    page.get_by_label("Banksia Legal Limited").check()
    page.get_by_role("button", name=re.compile("Link the contact and release 1")).click()
    expect(page.locator("#messages")).to_contain_text("is Banksia Legal Limited")
    rig.work()

    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}
    assert not Card.objects.exclude(state="resolved").exists()
    assert Link.objects.count() == 3
    assert Customer.objects.filter(name="Banksia Legal Limited").exists()
    page.goto(f"{live_app.url}/exceptions/")
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    assert console == []


def test_a_wrong_answer_is_said_beside_it_and_nothing_is_lost(rig, live_app, bea, console):
    Mapping.objects.filter(list="account").delete()
    close(rig, lines=LINES[:1])
    rig.sync()
    page = bea
    page.goto(f"{live_app.url}/exceptions/{Card.objects.get().pk}/")
    expect(page.get_by_label("Account", exact=True)).to_be_focused()
    page.get_by_label("Everything else").check()
    # The account is archived while the page is open.
    page.get_by_label("Account", exact=True).select_option("260")
    from psaltery.ledger.models import LedgerAccount

    LedgerAccount.objects.filter(code="260").update(active=False)
    page.get_by_role("button", name=re.compile("Map the account")).click()
    expect(page.locator(".invalid-feedback")).to_be_visible()
    expect(page.get_by_label("Everything else")).to_be_checked()
    assert Card.objects.get().state == "open"
    assert console == []


def test_exceptions_are_settled_by_keyboard(rig, live_app, bea, console):
    Mapping.objects.filter(list="tax", key="GST").delete()
    close(rig)
    close(rig, company=5, location="Adelaide")
    rig.sync()
    assert Card.objects.count() == 2
    page = bea
    page.goto(f"{live_app.url}/exceptions/")
    page.get_by_role("link", name=re.compile("no tax rate for the tax code")).first.press("Enter")
    for remaining in (1, 0):
        expect(page.get_by_label("Tax rate", exact=True)).to_be_focused()
        page.keyboard.type("GST on Income")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 document was released")).to_be_visible()
        assert Card.objects.filter(state="open").count() == remaining
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Exceptions")).to_be_visible()
    assert console == []


def test_a_documents_page_shows_both_sides_and_why(rig, live_app, bea, console):
    close(rig)
    rig.sync()
    link = Link.objects.select_related("document").get()
    rig.pay(link, Decimal("100.00"), str(link.document.issued_on))
    rig.sync()
    page = bea
    page.goto(f"{live_app.url}/documents/")
    page.get_by_role("link", name=link.document.number, exact=True).click()
    psa, books = page.get_by_label("In the PSA"), page.get_by_label("In the books")
    total = f"{link.document.total:,.2f}"
    expect(psa).to_contain_text(total)
    expect(books).to_contain_text(total)
    expect(books).to_contain_text("to the cent")
    expect(books).to_contain_text("Location “Sydney”")
    lines = page.get_by_label("Lines", exact=True)
    expect(lines.get_by_text("Everything else").first).to_be_visible()
    lines.get_by_text("4 tried").first.click()
    expect(lines.get_by_text(re.compile("^Product “")).first).to_be_visible()
    expect(page.get_by_text("The PSA shows 100.00 AUD paid")).to_be_visible()
    page.get_by_text("What was sent").click()
    expect(page.get_by_text('"InvoiceNumber"').first).to_be_visible()
    expect(page.get_by_role("link", name="Books", exact=True)).to_have_attribute(
        "href", re.compile(rf"https://go\.xero\.com/app/.*{link.books_id}")
    )
    page.get_by_role("button", name="Force-sync").click()
    expect(page.get_by_text("goes ahead of everything else")).to_be_visible()
    assert console == []


def test_filters_survive_a_reload_and_chosen_documents_are_forced(rig, live_app, bea, console):
    for company in (1, 2, 3):
        close(rig, company=company, lines=LINES[:1])
    Mapping.objects.filter(list="account").delete()
    rig.sync()
    page = bea
    page.goto(f"{live_app.url}/documents/")
    page.get_by_label("State").select_option("stopped")
    page.get_by_label("Search documents").fill("banksia")
    expect(page.get_by_text("1 document", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_label("State")).to_have_value("stopped")
    expect(page.get_by_label("Search documents")).to_have_value("banksia")
    expect(page.get_by_text("1 document", exact=True)).to_be_visible()
    number = Document.objects.get(company_name__startswith="Banksia").number
    page.get_by_label(f"Choose {number}").check()
    page.get_by_role("button", name="Force-sync chosen…").click()
    expect(page.get_by_role("heading", name="Force-sync 1 document?")).to_be_visible()
    page.get_by_role("button", name="Force-sync 1 document").click()
    expect(page.get_by_text("1 document is read again")).to_be_visible()
    page.goto(f"{live_app.url}/documents/?state=stopped")
    page.get_by_role("link", name="Force-sync all 3 found…").click()
    expect(page.get_by_role("heading", name="Force-sync 3 documents?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_label("State")).to_have_value("stopped")
    assert console == []


def test_money_on_no_invoice_is_applied_to_the_one_that_was_meant(rig, live_app, bea, console):
    close(rig)
    close(rig, lines=LINES[:1])
    rig.sync()
    first, second = Link.objects.select_related("document", "organisation").order_by("pk")
    money_comes_in(rig, second, str(second.total), reference=f"paid {first.number}")
    rig.sync()
    card = Card.objects.get(code="payment_unmatched")
    page = bea
    # The list and the card tell the money, although no document is blocked.
    page.goto(f"{live_app.url}/exceptions/?code=payment_unmatched")
    expect(page.get_by_role("row").nth(1)).to_contain_text(f"{second.total:.2f}")
    page.goto(f"{live_app.url}/exceptions/{card.pk}/")
    expect(page.locator("dl", has_text="Money")).to_contain_text(f"{second.total:.2f}")
    lines = page.get_by_role("radiogroup", name="Open invoices").locator("label")
    # What the customer named is first and chosen; the same amount comes after it.
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text(first.number)
    expect(lines.nth(0)).to_contain_text("in the reference")
    expect(lines.nth(0).get_by_role("radio")).to_be_checked()
    expect(lines.nth(1)).to_contain_text("same amount")
    lines.nth(1).get_by_role("radio").check()
    page.get_by_role("button", name="Apply it to an invoice").click()
    expect(page.get_by_text(f"was applied to {second.number}").first).to_be_visible()
    rig.sync()
    assert balance(rig, second) == 0
    assert balance(rig, first) == first.total
    page.goto(f"{live_app.url}/documents/{second.document_id}/")
    expect(page.get_by_text("Overpayment").first).to_be_visible()
    assert console == []
