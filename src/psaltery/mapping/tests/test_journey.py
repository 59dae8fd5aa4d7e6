"""Mapping in Chromium, against the sandboxes: gaps, rules tried and imported, contacts, ledger."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.posting.models import Link, Posting
from psaltery.testing.signed_in import signed_in_as
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
FIREWALL = {"kind": "product", "item": "FW-60F", "quantity": "2", "price": "120.55"}
TIME = {"kind": "time", "description": "Set-up", "quantity": "1.5", "price": "165"}


@pytest.fixture
def signed_in(live_app, page, settings):
    """A page of an administrator."""
    from psaltery.accounts.models import Person, Role

    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    return signed_in_as(ann, page, live_app.url)


def sydney_of(rig):
    return next(one for one in rig.organisations if "Sydney" in one.name)


def test_a_gap_is_mapped_and_its_document_goes_in_step(rig, signed_in, live_app, console):
    sydney, page = sydney_of(rig), signed_in
    Mapping.objects.filter(organisation=sydney, list="account").delete()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[FIREWALL, TIME])
    rig.sync()
    assert Posting.objects.get().state == "held"
    page.goto(f"{live_app.url}/")
    page.get_by_role("link", name="Mapping").click()
    page.get_by_label("Organisation", exact=True).select_option(label=sydney.name)
    expect(page.get_by_text("of the year's lines are covered")).to_be_visible()
    expect(page.locator(".stat-value").first).to_have_text("0 %")
    field = page.get_by_label("Account for product FW-60F")
    field.fill("999")
    field.press("Enter")
    expect(page.get_by_text("has no account “999”")).to_be_visible()
    expect(field).to_be_focused()
    field.fill("230 Hardware Sales")
    field.press("Enter")
    expect(page.get_by_role("status").filter(has_text="FW-60F → 230")).to_contain_text(
        "1 held document goes again"
    )
    rig.work()
    # The time still waits: one gap is left, and it is closed for all kinds of lines at once.
    page.reload()
    expect(page.locator(".stat-value").first).to_have_text("50 %")
    row = page.get_by_role("row").filter(has_text="Everything else")
    row.locator("summary").click()
    row.get_by_label("Account for everything else").fill("200 Sales")
    row.get_by_role("button", name="Map").click()
    expect(page.locator(".stat-value").first).to_have_text("100 %")
    rig.work()
    assert Posting.objects.get().state == "in_step", Posting.objects.get().why
    link = Link.objects.get()
    invoice = rig.in_books(sydney, f"Invoices/{link.books_id}")["Invoices"][0]
    assert [line["AccountCode"] for line in invoice["LineItems"]] == ["230", "200"]
    expect(page.get_by_text("Product “FW-60F” → 230 Hardware Sales")).to_be_visible()
    assert console == []


def test_rules_are_edited_tried_and_saved(rig, signed_in, live_app, console):
    page = signed_in
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[TIME])
    rig.sync()
    page.goto(f"{live_app.url}/mapping/routes/")
    bench = page.locator("#bench")
    expect(bench.locator(".bench-row").filter(has_text="Sydney")).to_contain_text("1 document")
    value = page.get_by_label("Value of rule 3")
    expect(value).to_have_value("Sydney")
    value.fill("Perth")
    value.press("Tab")
    expect(bench.get_by_text("Nowhere: held")).to_be_visible()
    expect(bench.get_by_text("nothing is saved yet")).to_be_visible()
    page.get_by_role("button", name="Add a rule").click()
    expect(page.get_by_label("Value of rule 4")).to_be_focused()
    page.keyboard.type("Sydney")
    page.get_by_label("Organisation of rule 4").select_option(label=sydney_of(rig).name)
    expect(bench.get_by_text("Nowhere: held")).to_be_hidden()
    up = page.get_by_role("row").filter(has=page.get_by_label("Value of rule 4"))
    up.get_by_role("button", name="Move up").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Value of rule 3")).to_have_value("Sydney")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("value", "up:2")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_text("The rules are saved.")).to_be_visible()
    assert list(Route.objects.values_list("value", flat=True)) == [
        "Adelaide", "Auckland", "Sydney", "Perth",
    ]  # fmt: skip
    assert console == []


def test_routes_come_from_a_csv_with_a_wrong_row(rig, signed_in, live_app, console, tmp_path):
    page, name = signed_in, sydney_of(rig).name
    file = tmp_path / "routes.csv"
    file.write_text(
        f"field,value,organisation\nlocation,Sydney,{name}\n"
        f"location,Perth,Nowhere Ltd\nany,,{name}\n"
    )
    page.goto(f"{live_app.url}/mapping/routes/")
    page.get_by_role("link", name="Import CSV").click()
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("There is no organisation “Nowhere Ltd”")).to_be_visible()
    assert Route.objects.count() == 3
    file.write_text(file.read_text().replace("Nowhere Ltd", name))
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Save 3 routes").click()
    expect(page.get_by_text("3 rules are saved.")).to_be_visible()
    expect(page.get_by_text("whatever it is")).to_be_visible()
    assert Route.objects.count() == 3
    assert console == []


def test_a_contact_is_unlinked_and_another_linked(rig, signed_in, live_app, console):
    page = signed_in
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[TIME])
    rig.close_invoice(company=2, location="Sydney", tax_code="GST", lines=[TIME])
    rig.sync()
    rig.sync()
    first, second = ContactLink.objects.order_by("company_id")
    page.goto(f"{live_app.url}/mapping/contacts/?organisation={first.organisation_id}")
    page.get_by_role("link", name=first.company.name).click()
    page.get_by_role("button", name="Unlink…").click()
    page.get_by_role("dialog").get_by_role("button", name="Unlink it").click()
    expect(page.get_by_text("is not linked any more")).to_be_visible()
    page.get_by_label("Search contacts").fill(second.contact_name)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Link {second.contact_name}").click()
    expect(page.get_by_text("linked by a person")).to_be_visible()
    assert ContactLink.objects.get(company=first.company).contact_name == second.contact_name
    assert console == []


def test_filters_of_the_ledger_stay_after_a_reload(rig, signed_in, live_app, console):
    page = signed_in
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[FIREWALL])
    rig.close_invoice(company=3, location="Auckland", tax_code="NZGST", lines=[TIME])
    rig.sync()
    rig.sync()
    page.goto(f"{live_app.url}/ledger/invoices/")
    totals = page.locator("#totals")
    expect(totals).to_contain_text("AUD invoiced")
    expect(totals).to_contain_text("NZD invoiced")
    page.get_by_label("Organisation").select_option(label=sydney_of(rig).name)
    page.get_by_label("Due", exact=True).select_option("open")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(totals).not_to_contain_text("NZD")
    expect(page).to_have_url(re.compile("due=open"))
    query = parse_qs(urlsplit(page.url).query)
    assert query == {"organisation": [str(sydney_of(rig).pk)], "due": ["open"]}
    # A request that is cut off by going on would be an error in the console.
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_label("Due", exact=True)).to_have_value("open")
    page.wait_for_load_state("networkidle")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", name="Lines")).to_be_visible()
    expect(page.get_by_role("link", name="Beside the PSA's document")).to_be_visible()
    assert console == []
