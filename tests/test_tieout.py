"""The tie-out over both sandboxes: each cause arises as it does in life, and every cent has one."""

from decimal import Decimal

import pytest
import time_machine

from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.matching.models import TieOut, TieOutCustomer, TieOutDocument
from psaltery.matching.tieout.service import due_organisations, tie_out
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def tied(organisation=None) -> TieOut:
    row = tie_out(organisation, "ann@example.com")
    found = list(TieOutCustomer.objects.filter(tieout=row))
    for customer in found:
        parts = TieOutDocument.objects.filter(
            tieout=row, customer=customer.customer, currency=customer.currency
        )
        assert sum(part.amount for part in parts) == customer.difference, customer.name
    return row


def causes(row: TieOut) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in row.documents.all():
        found[part.cause] = found.get(part.cause, Decimal(0)) + part.amount
    return found


def the_link(kind: str = "invoice") -> Link:
    return Link.objects.select_related("document", "organisation").get(books_kind=kind)


def test_what_is_posted_and_paid_ties_without_a_difference(rig: Rig):
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    link = the_link()
    rig.pay(link, Decimal("20"), str(link.document.issued_on))
    rig.sync()
    row = tied(link.organisation)
    assert row.state == "ties"
    assert causes(row) == {}
    assert [(Decimal(one["psa"]), Decimal(one["books"])) for one in row.sums] == [(145, 145)]


def test_a_document_that_waits_or_is_held_or_skipped_is_named(rig: Rig):
    close(rig, "200.00")
    close(rig, "100.00")
    rig.site.connection.routes.filter(value="Adelaide").delete()
    close(rig, "50.00", location="Adelaide")
    for feed in rig.site.feeds.all():
        rig.read(feed)
    first, second, _ = Posting.objects.order_by("pk")
    Posting.objects.filter(pk=second.pk).update(state="skipped", why="Skipped by Ann.")
    for feed in rig.organisations[0].feeds.model.objects.filter(organisation__in=rig.organisations):
        rig.read(feed)
    row = tied(first.organisation)
    assert causes(row) == {"waiting": Decimal("220"), "skipped": Decimal("110")}
    assert row.state == "ties"
    unrouted = tied(None)
    part = unrouted.documents.get()
    assert (part.cause, part.amount) == ("held", Decimal("55"))
    assert Card.objects.get(pk=part.card_id).code == "no_route"
    assert None in due_organisations()


def test_money_on_its_way_back_and_money_that_the_psa_lost(rig: Rig):
    close(rig, "200.00")
    rig.sync()
    link = the_link()
    rig.pay(link, Decimal("70"), str(link.document.issued_on))
    for feed in rig.organisations[0].feeds.model.objects.filter(organisation=link.organisation):
        rig.read(feed)
    assert causes(tied(link.organisation)) == {"payment_not_back": Decimal("70")}
    rig.sync()
    assert causes(tied(link.organisation)) == {}
    # Somebody took our payment out of the PSA: nothing on record says why it is open there again.
    Document.objects.filter(pk=link.document_id).update(balance=220, payments=0)
    row = tied(link.organisation)
    assert causes(row) == {"unexplained": Decimal("70")}
    assert row.state == "unexplained"
    card = Card.objects.get(code="tieout_unexplained")
    assert "70.00 AUD" in card.sentence
    Document.objects.filter(pk=link.document_id).update(balance=150, payments=70)
    assert tied(link.organisation).state == "ties"
    card.refresh_from_db()
    assert card.state == "resolved"


def test_a_stale_mirror_is_not_called_in_step(rig: Rig):
    close(rig, "200.00")
    rig.sync()
    organisation = the_link().organisation
    with time_machine.travel(now().timestamp() + 60 * 60 * 24 * 2):
        row = tie_out(organisation, "ann@example.com")
    assert row.state == "not_checked"
    assert any("invoices were last read" in sentence for sentence in row.stale)
