"""Money of the books that lies on no invoice: a card with candidates, one click, the PSA has it."""

from decimal import Decimal

import pytest
from typer.testing import CliRunner

from psaltery.adapters.errors import BadSettings
from psaltery.cli import app
from psaltery.connections.models import Feed
from psaltery.ledger.models import Unallocated
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Link
from psaltery.review import queries
from psaltery.review.models import Card
from psaltery.sync.repairs import offered, repair
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at, close
from psaltery.testing.writes import balance, money_comes_in

pytestmark = pytest.mark.django_db(transaction=True)
PERSON = "robin@example.test"


@pytest.fixture
def links(rig: Rig) -> list[Link]:
    """Two invoices of one customer, 482.90 and 110.00, posted and open."""
    rig.organisations = [at(rig, "Sydney")]
    others = Feed.objects.exclude(organisation__in=[*rig.organisations, rig.site])
    others.delete()
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "100.00"}]
    made = [close(rig), close(rig, lines=lines)]
    rig.sync()
    rows = Link.objects.select_related("document", "organisation")
    return [rows.get(number=one["invoiceNumber"]) for one in made]


def the_card() -> Card:
    return Card.objects.get(code="payment_unmatched", state="open")


def no_card() -> bool:
    return not Card.objects.filter(code="payment_unmatched", state="open").exists()


def test_money_on_no_invoice_is_a_card_and_one_click_applies_it(rig: Rig, links: list[Link]):
    first, second = links
    money_comes_in(rig, second, "110", reference="August")
    rig.sync()
    card = the_card()
    assert f"it may be for {second.number} (exactly this amount) or 1 more" in card.sentence
    assert "110.00 AUD" in card.sentence
    assert queries.money_of(queries.cards().get(pk=card.pk)) == [(Decimal("110"), "AUD")]
    assert (card.topic, card.severity, list(offered(card))) == (
        "payment",
        "warning",
        ["apply_money"],
    )
    assert [one["number"] for one in card.details["invoices"]] == [second.number, first.number]
    repair(card, "apply_money", {"invoice": second.books_id}, PERSON)
    card.refresh_from_db()
    assert card.state == "resolved"
    assert second.number in card.resolution
    rig.sync()
    assert balance(rig, second) == 0
    assert balance(rig, first) == first.total
    assert PaymentBack.objects.get(document=second.document).parts[0]["touch"] == "overpayment"
    assert no_card()


def test_what_is_left_after_one_invoice_is_asked_about_again(rig: Rig, links: list[Link]):
    first, second = links
    money_comes_in(rig, second, "150", reference=f"{second.number} and more")
    rig.sync()
    repair(the_card(), "apply_money", {"invoice": second.number}, PERSON)
    rig.sync()
    rest = the_card()
    assert "40.00 AUD" in rest.sentence
    assert rest.own_amount == 40
    repair(rest, "apply_money", {"invoice": first.number}, PERSON)
    rig.sync()
    assert (balance(rig, second), balance(rig, first)) == (0, first.total - 40)
    assert no_card()


@pytest.mark.parametrize("kind", ["OVERPAYMENT", "PREPAYMENT"])
def test_applied_in_the_books_the_card_closes_and_the_psa_follows(rig, links, kind):
    _, second = links
    money = money_comes_in(rig, second, "30", kind=kind)
    rig.sync()
    card = the_card()
    word = kind.capitalize()
    target = {"Invoice": {"InvoiceID": second.books_id}, "Amount": "30"}
    path = f"{word}s/{money[f'{word}ID']}/Allocations"
    rig.write_books(second.organisation, path, {"Allocations": [target]})
    rig.sync()
    card.refresh_from_db()
    assert (card.state, card.resolved_by) == ("resolved", "Psaltery")
    assert balance(rig, second) == second.total - 30


def test_money_of_somebody_without_open_invoices_is_no_exception(rig: Rig, links: list[Link]):
    for link in links:
        rig.pay(link, link.total, str(link.document.issued_on))
    rig.sync()
    money_comes_in(rig, links[0], "75")
    rig.sync()
    assert Unallocated.objects.get().remaining == 75
    assert no_card()


def test_an_invoice_that_is_no_candidate_is_refused(rig: Rig, links: list[Link]):
    money_comes_in(rig, links[0], "75")
    rig.sync()
    with pytest.raises(BadSettings, match="Choose one of the open invoices"):
        repair(the_card(), "apply_money", {"invoice": "SOMETHING-1"}, PERSON)
    assert the_card().state == "open"
    assert Unallocated.objects.get().remaining == 75


def test_paid_meanwhile_in_the_books_nothing_is_applied(rig: Rig, links: list[Link]):
    _, second = links
    money_comes_in(rig, second, "75")
    rig.sync()
    rig.pay(second, second.total, str(second.document.issued_on))
    with pytest.raises(BadSettings, match="settled already"):
        repair(the_card(), "apply_money", {"invoice": second.number}, PERSON)
    assert applied(rig, second) == []


def test_from_the_command_line(rig: Rig, links: list[Link]):
    _, second = links
    money_comes_in(rig, second, "110")
    rig.sync()
    number = str(the_card().pk)
    shown = CliRunner().invoke(app, ["exceptions", "show", number, "--json"])
    assert second.number in shown.stdout
    assert '"blocks": "110.00 AUD"' in shown.stdout
    given = ["--answer", f"invoice={second.number}"]
    done = CliRunner().invoke(app, ["exceptions", "repair", number, "apply_money", *given])
    assert done.exit_code == 0, done.stdout
    assert applied(rig, second) == [Decimal("110")]


def applied(rig: Rig, link: Link) -> list[Decimal]:
    """What of overpayments lies on an invoice, as the books have it."""
    rows = rig.in_books(link.organisation, "Overpayments")["Overpayments"]
    return [
        Decimal(str(one["Amount"]))
        for row in rows
        for one in row["Allocations"]
        if one["Invoice"]["InvoiceID"] == link.books_id
    ]
