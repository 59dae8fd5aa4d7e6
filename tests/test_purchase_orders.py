"""Purchase orders go to the books, are kept up to date, and are billed with their bill."""

from decimal import Decimal

import msgspec
import pytest

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.posting import leftovers
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.sync.repairs import repair
from psaltery.testing.orders import change, order, receive, reprice, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def take_orders(organisation: Organisation, **more) -> None:
    policy = read_policy(organisation.settings)
    policy = msgspec.structs.replace(policy, purchase_orders=True, **more)
    organisations.change(organisation, organisations.Wanted(policy=policy))


@pytest.fixture
def books(rig: Rig) -> Organisation:
    organisation = take_bills(rig)
    take_orders(organisation)
    return organisation


def orders(rig: Rig, organisation: Organisation):
    rows = rig.in_books(organisation, "PurchaseOrders")["PurchaseOrders"]
    return {row["PurchaseOrderNumber"]: row for row in rows}


def test_an_order_is_entered_to_the_cent_and_once(rig: Rig, books):
    made = order(rig, vendor(rig), (3, "99.95"), (7, "0.333"), freight="12.50")
    for _ in range(2):
        rig.sync()
    (there,) = orders(rig, books).values()
    assert there["PurchaseOrderNumber"] == made["poNumber"]
    assert there["Status"] == "AUTHORISED"
    document = Document.objects.get(kind="purchase_order")
    assert Decimal(str(there["Total"])) == document.total
    assert Decimal(str(there["TotalTax"])) == document.tax
    assert [line["Quantity"] for line in there["LineItems"]][:2] == [3, 7]
    assert Link.objects.get().books_kind == "purchase_order"


def test_a_change_of_the_order_is_written_through(rig: Rig, books):
    made = order(rig, vendor(rig), (3, "10"))
    rig.sync()
    reprice(rig, made, "20")
    rig.sync()
    assert Decimal(str(orders(rig, books)[made["poNumber"]]["SubTotal"])) == 60


def test_it_is_billed_when_its_last_bill_is_posted(rig: Rig, books):
    made = order(rig, vendor(rig), (3, "10"), (2, "5"))
    rig.sync()
    receive(rig, made, "PS1", "INV-1", lines={1: 3})
    rig.sync()
    assert Link.objects.filter(books_kind="bill").count() == 1
    assert orders(rig, books)[made["poNumber"]]["Status"] == "AUTHORISED"
    receive(rig, made, "PS2", lines={2: 2})
    rig.sync()
    # An order has room for one number: that the rest came on the same paper, a person says.
    repair(Card.objects.get(state="open", code="bill_twice"), "post_anyway", {}, "somebody")
    for _ in range(2):
        rig.sync()
    assert Link.objects.filter(books_kind="bill").count() == 2
    assert orders(rig, books)[made["poNumber"]]["Status"] == "BILLED"
    change(rig, made, vendorOrderNumber="9")
    rig.sync()
    assert not Card.objects.filter(state="open").exists()
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}


def test_what_was_received_before_is_not_entered(rig: Rig, books):
    receive(rig, order(rig, vendor(rig)), "PS1", "INV-1")
    rig.sync()
    assert orders(rig, books) == {}
    assert Posting.objects.get(document__kind="purchase_order").state == "skipped"


def test_orders_are_not_even_kept_where_nobody_wants_them(rig: Rig):
    organisation = take_bills(rig)
    order(rig, vendor(rig))
    rig.sync()
    assert not Document.objects.filter(kind="purchase_order").exists()
    take_orders(organisation)
    rig.sync()
    assert len(orders(rig, organisation)) == 1


def test_one_that_is_there_already_is_adopted(rig: Rig, books):
    supplier = vendor(rig)
    first = order(rig, supplier, (3, "10"))
    rig.sync()
    link = Link.objects.get()
    Attempt.objects.all().delete()
    link.delete()
    Posting.objects.update(state="waiting")
    rig.work()
    assert list(orders(rig, books)) == [first["poNumber"]]
    assert Link.objects.get().how == "adopted"


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
def test_an_order_whose_answer_is_lost_is_entered_once(rig: Rig, books, monkeypatch, kind):
    from datetime import timedelta

    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    made = order(rig, vendor(rig))
    rig.fault("books", method="PUT", path="/PurchaseOrders", kind=kind, times=1)
    rig.sync(quiet=True)
    for _ in range(3):
        rig.work(quiet=True)
    assert list(orders(rig, books)) == [made["poNumber"]]
    assert Link.objects.get().books_kind == "purchase_order"
