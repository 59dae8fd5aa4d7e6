"""The report of rounding: every cent that was added is listed, with its document."""

import json
from decimal import Decimal

import pytest
from playwright.sync_api import expect
from tests.test_payments_taken_pages import sign_in
from typer.testing import CliRunner

from psaltery.cli import app
from psaltery.posting.models import Link
from psaltery.testing.rig import Rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]


def sold(*prices: str) -> list[dict[str, str]]:
    return [
        {"kind": "product", "description": f"Part {number}", "quantity": "1", "price": price}
        for number, price in enumerate(prices)
    ]


@pytest.fixture
def rounded(rig: Rig) -> Link:
    """The PSA taxes the sum of the lines, the books each line: here they differ by two cents."""
    given = {"company": 1, "location": "Sydney", "tax_code": "GST"}
    rig.close_invoice(**given, lines=sold("0.24", "0.24", "0.24", "0.24", "0.24"))
    rig.close_invoice(**given, lines=sold("100.00"))
    rig.sync()
    return Link.objects.exclude(tax_rounding=0).get()


def test_what_was_rounded_is_listed_with_its_document(rig: Rig, rounded: Link, live_app, page):
    assert Link.objects.count() == 2
    found = rig.in_books(rounded.organisation, f"Invoices/{rounded.books_id}")["Invoices"][0]
    assert Decimal(str(found["Total"])) == rounded.document.total
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/documents/")
    page.get_by_role("link", name="Rounding").click()
    row = page.get_by_role("row").filter(has_text=rounded.document.number)
    expect(row).to_contain_text(f"{rounded.tax_rounding:.2f}")
    expect(page.get_by_text("Added in AUD by lines")).to_be_visible()
    row.get_by_role("link", name=rounded.document.number).click()
    expect(page.get_by_role("heading", name=rounded.document.number)).to_be_visible()


def test_the_command_lists_the_same(rounded: Link):
    told = CliRunner().invoke(app, ["documents", "rounding", "--json"])
    (row,) = json.loads(told.output)
    assert row["number"] == rounded.document.number
    assert Decimal(row["tax_changed"]) == rounded.tax_rounding
    assert Decimal(row["line_added"]) == 0
    none = CliRunner().invoke(app, ["documents", "rounding", "--until", "2001-01-01"])
    assert "Nothing was rounded." in none.output
