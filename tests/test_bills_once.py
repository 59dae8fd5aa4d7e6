"""No bill twice, none lost, though the books take a second one of the same number."""

from datetime import timedelta
from decimal import Decimal

import pytest

from psaltery.adapters.errors import TryLater
from psaltery.adapters.xero.books import XeroBooks
from psaltery.connections.models import Budget, Feed
from psaltery.posting import carry_out, leftovers
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.testing.orders import order, receive, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def later(monkeypatch):
    """Minutes go by: no server can still be at a request."""

    def pass_by():
        monkeypatch.setattr(leftovers, "BILL_GRACE", timedelta(0))

    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    return pass_by


@pytest.fixture
def books(rig: Rig):
    """Three bills are on their way: two of one vendor, and one of another with the same number."""
    organisation = take_bills(rig)
    first, second = vendor(rig, "Northgate Distribution"), vendor(rig, "Tasman Components")
    for supplier, number, cost in ((first, "1", "10"), (first, "2", "20"), (second, "1", "30")):
        receive(rig, order(rig, supplier, (1, cost)), "PS1", number)
    for feed in Feed.objects.filter(organisation__chosen=True):
        rig.read(feed)
    return organisation


def totals(rig: Rig, organisation):
    answer = rig.in_books(organisation, "Invoices", where='Type=="ACCPAY"', pageSize="1000")
    return sorted(Decimal(row["Total"]) for row in answer["Invoices"])


def each_once(rig: Rig, organisation) -> None:
    assert totals(rig, organisation) == [Decimal("11.00"), Decimal("22.00"), Decimal("33.00")]
    assert Link.objects.filter(books_kind="bill").count() == 3
    for link in Link.objects.select_related("document"):
        there = rig.in_books(organisation, f"Invoices/{link.books_id}")["Invoices"][0]
        assert Decimal(there["Total"]) == link.document.total
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}
    assert not Attempt.objects.filter(state__in=("booked", "uncertain")).exists()


@pytest.mark.parametrize("kind", ["lost_answer", "drop", "cut", "html"])
def test_a_bill_whose_answer_is_lost_is_made_once(rig: Rig, books, later, kind):
    rig.fault("books", method="PUT", path="/Invoices", kind=kind, times=1)
    rig.work(quiet=True)
    rig.work(quiet=True)
    arrived = len(totals(rig, books))
    # What arrived is found at once; what did not is not sent again before it is sure.
    assert Link.objects.filter(books_kind="bill").count() == arrived
    later()
    for _ in range(3):
        rig.work(quiet=True)
    each_once(rig, books)


def test_what_is_not_found_is_not_sent_again_too_soon(rig: Rig, books, later):
    rig.fault("books", method="PUT", path="/Invoices", kind="drop", times=3)
    for _ in range(4):
        rig.work(quiet=True)
    assert totals(rig, books) == []
    assert Attempt.objects.filter(kind="bill").count() == 3
    assert set(Posting.objects.values_list("state", flat=True)) == {"uncertain"}
    assert leftovers.ripe().filter(kind="bill").count() == 0
    later()
    for _ in range(4):
        rig.work(quiet=True)
    each_once(rig, books)


def test_a_worker_that_died_before_sending_sends_once(rig: Rig, books, later, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(XeroBooks, "send", _dies(XeroBooks.send))
        with pytest.raises(SystemExit):
            rig.work()
    assert Attempt.objects.filter(kind="bill", state="booked").exists()
    rig.work()
    later()
    for _ in range(3):
        rig.work()
    each_once(rig, books)


def _dies(send):
    """The process ends when it would send bills; contacts still go."""

    def sent(self, elements, key):
        if elements[0].kind == "bill":
            raise SystemExit(9)
        return send(self, elements, key)

    return sent


def test_a_worker_that_died_after_sending_finds_it_at_once(rig: Rig, books, later, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(carry_out, "_answered", _no_answer)
        with pytest.raises(SystemExit):
            rig.work()
    rig.work()
    each_once(rig, books)
    assert Attempt.objects.filter(kind="bill", state="found").exists()


def _no_answer(*_):
    raise SystemExit(9)


def test_a_request_that_is_begun_too_late_is_not_sent(rig: Rig, books, later, monkeypatch):
    """A process was stopped between its booking and its request, and wakes after the look-up."""
    monkeypatch.setattr(carry_out, "BEGIN_WITHIN", timedelta(seconds=-1))
    with pytest.raises(TryLater) as failure:
        rig.work()
    assert not failure.value.uncertain
    assert totals(rig, books) == []
    monkeypatch.undo()
    rig.work()
    each_once(rig, books)


def test_what_arrives_after_it_was_given_up_is_adopted(rig: Rig, books, later, monkeypatch):
    """The books were slower than any grace: the look before the next creation still finds it."""
    with monkeypatch.context() as patched:
        patched.setattr(carry_out, "_answered", _no_answer)
        with pytest.raises(SystemExit):
            rig.work()
    Attempt.objects.filter(kind="bill", state="booked").update(state="abandoned")
    Posting.objects.update(state="waiting")
    rig.work()
    each_once(rig, books)
    assert Link.objects.filter(how="adopted").exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_asked_again(rig: Rig, books, later, status):
    rig.fault("books", method="PUT", path="/Invoices", kind="status", status=status, times=2)
    later()
    for _ in range(6):
        Budget.objects.update(blocked_until=None)
        rig.work(quiet=True)
    each_once(rig, books)


def test_bills_are_looked_up_together_before_they_are_made(rig: Rig, books, monkeypatch):
    asked = []
    find = XeroBooks.find_documents

    def found(self, kind, numbers):
        asked.append(sorted(numbers))
        return find(self, kind, numbers)

    monkeypatch.setattr(XeroBooks, "find_documents", found)
    rig.work()
    each_once(rig, books)
    assert asked == [["1", "2"]]
