"""What procurement received becomes bills: to the cent, once, and nothing unseen."""

from decimal import Decimal

import pytest

from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.orders import COSTS, order, receive, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def bills(rig: Rig, organisation):
    answer = rig.in_books(organisation, "Invoices", where='Type=="ACCPAY"')
    return [row for row in answer["Invoices"] if row["Status"] not in ("DELETED", "VOIDED")]


def states():
    return dict(Posting.objects.values_list("document__number", "state"))


def test_a_received_order_becomes_a_draft_bill_to_the_cent(rig: Rig):
    organisation = take_bills(rig)
    received = receive(rig, order(rig, vendor(rig), (3, "99.95"), freight="15"), "PS1", "INV-77")
    rig.sync()
    (bill,) = bills(rig, organisation)
    assert states() == {"INV-77": "in_step"}
    link = Link.objects.get()
    assert (link.books_kind, link.books_id) == ("bill", bill["InvoiceID"])
    assert bill["InvoiceNumber"] == "INV-77"
    assert bill["Status"] == "DRAFT"
    assert bill["Contact"]["Name"] == "Northgate Distribution"
    assert Decimal(bill["Total"]) == Decimal(received["total"]) == Decimal("344.84")
    whole = rig.in_books(organisation, f"Invoices/{bill['InvoiceID']}")["Invoices"][0]
    assert [line["AccountCode"] for line in whole["LineItems"]] == [COSTS, COSTS]
    assert [line["TaxType"] for line in whole["LineItems"]] == ["INPUT", "EXEMPTEXPENSES"]
    assert whole["Url"].endswith("#PS1")
    assert link.psa_batch_id
    assert not Card.objects.exists()
