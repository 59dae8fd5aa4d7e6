"""Invoices that somebody is to look at first go as drafts: a customer's first, and great ones."""

import pytest
from typer.testing import CliRunner

from psaltery.cli import app
from psaltery.posting.models import Link
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str) -> Link:
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    return Link.objects.select_related("document", "organisation").latest("pk")


def status(rig: Rig, link: Link) -> str:
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    return str(invoice["Status"])


def test_until_one_is_approved_and_above_an_amount(rig: Rig):
    sydney = at(rig, "Sydney")
    given = ["organisations", "set", str(sydney.pk), "draft_first=yes", "draft_above=500"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    first = close(rig, "100.00")
    assert status(rig, first) == "DRAFT"
    assert status(rig, close(rig, "100.00")) == "DRAFT"
    # An edit in the PSA reaches the draft and approves nothing.
    rig.edit(first, lines=[{"kind": "product", "description": "Two", "price": "120.00"}])
    rig.sync()
    assert status(rig, first) == "DRAFT"
    body = {"InvoiceID": first.books_id, "Status": "AUTHORISED"}
    rig.write_books(first.organisation, "Invoices", body, method="POST")
    rig.sync()
    assert status(rig, close(rig, "100.00")) == "AUTHORISED"
    great = close(rig, "600.00")
    assert status(rig, great) == "DRAFT"
    great.document.posting.refresh_from_db()
    assert great.document.posting.trace["status"] == "draft: more than 500.00"
