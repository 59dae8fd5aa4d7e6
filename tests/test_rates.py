"""Rates of exchange: the organisation's fixed ones, or the books' own; kept once posted."""

from decimal import Decimal

import pytest
from typer.testing import CliRunner

from psaltery.cli import app
from psaltery.mapping.models import ContactLink
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at

pytestmark = pytest.mark.django_db(transaction=True)


def rate_in_books(rig: Rig, link: Link) -> Decimal:
    row = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert row["CurrencyCode"] == "NZD"
    return Decimal(str(row["CurrencyRate"]))


def test_a_foreign_invoice_goes_at_the_fixed_rate_and_keeps_it(rig: Rig):
    sydney = at(rig, "Sydney")
    wanted = {"tenant": sydney.external_id, "currencies": ["NZD"]}
    call(f"{rig.books_url}/_control/organisations", "POST", wanted)
    rig.sync()
    invoke = CliRunner().invoke
    said = invoke(app, ["organisations", "set", str(sydney.pk), "rates=NZD 1.0875"])
    assert said.exit_code == 0, said.output
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    foreign = rig.companies("Auckland")[0]
    rig.close_invoice(company=foreign, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    assert rate_in_books(rig, link) == Decimal("1.0875")
    # Another rate is for what is posted from now on.
    assert invoke(app, ["organisations", "set", str(sydney.pk), "rates=NZD 1.2"]).exit_code == 0
    rig.edit(link, lines=[{**lines[0], "price": "300.00"}])
    rig.sync()
    link.refresh_from_db()
    assert link.total == 330
    assert rate_in_books(rig, link) == Decimal("1.0875")


def test_a_contact_that_is_billed_in_another_currency_is_asked_about_first(rig: Rig):
    sydney = at(rig, "Sydney")
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines}
    rig.close_invoice(**given)
    rig.sync()
    first = ContactLink.objects.get(organisation=sydney)
    body = {"ContactID": first.contact_external_id, "DefaultCurrency": "NZD"}
    rig.write_books(sydney, "Contacts", body, method="POST")
    rig.sync()
    for _ in range(2):
        rig.close_invoice(**given)
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "contact_currency"
    assert "is billed in NZD" in card.sentence
    assert "bills it in AUD" in card.sentence
    assert Link.objects.count() == 1
    # Mended in the books, all that waited for it goes by itself.
    body["DefaultCurrency"] = "AUD"
    rig.write_books(sydney, "Contacts", body, method="POST")
    rig.sync()
    assert Link.objects.count() == 3
    assert not Card.objects.filter(state="open").exists()
    body["DefaultCurrency"] = "NZD"
    rig.write_books(sydney, "Contacts", body, method="POST")
    for _ in range(2):
        rig.close_invoice(**given)
    rig.sync()
    assert repair(Card.objects.get(state="open"), "post_anyway", {}, "ann@example.com") == 2
    rig.work()
    assert Link.objects.count() == 5
