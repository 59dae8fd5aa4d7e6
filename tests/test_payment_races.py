"""Two processes at one payment, and money that moves while it is decided about.

What one of them does while the other stands still is played at the very moment between two calls
of the other's adapter, so that nothing here depends on how fast the machine is.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from tests.test_payments_taken import DAY, balance, due, enter, in_books, psa, take_payments

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Feed
from psaltery.connections.opening import open_books, open_psa
from psaltery.connections.organisations import site_of
from psaltery.matching import carry_out
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.matching.taken import carry_out as taken
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


class Interrupted:
    """A real adapter; something else happens once, before or after one of its calls."""

    def __init__(
        self,
        adapter: Any,
        method: str,
        *,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        self._adapter, self._method, self._before, self._after = adapter, method, before, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._adapter, name)
        return self._interrupted(real) if name == self._method else real

    def _interrupted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call_(*given: Any) -> Any:
            before, self._before = self._before, None
            if before is not None:
                before()
            answer = real(*given)
            after, self._after = self._after, None
            if after is not None:
                after()
            return answer

        return call_


@pytest.fixture
def link(rig: Rig) -> Link:
    """An invoice of 220.00 that is in the books."""
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    return Link.objects.select_related("document__connection", "organisation").get()


def read_money(rig: Rig, link: Link) -> None:
    for feed in Feed.objects.filter(
        organisation=link.organisation, name__in=("payments", "invoices")
    ):
        rig.read(feed)


def to_psa(link: Link) -> Any:
    return open_psa(site_of(link.document.connection), Priority.SCHEDULE)


def write_back(link: Link, adapter: Any) -> None:
    """As a worker does: what waits or is in doubt for this organisation."""
    for back in carry_out.waiting(link.organisation, 10):
        carry_out.carry_out(back, adapter, carry_out.Report())


def another_worker(link: Link) -> None:
    """It finds the write long in doubt, looks it up, and goes on."""
    for rows, grace in ((PaymentBack, carry_out.GRACE), (PaymentTaken, taken.GRACE)):
        doubtful = rows.objects.filter(state__in=("posting", "uncertain"))
        doubtful.update(booked_at=F("booked_at") - grace - timedelta(seconds=1))
    write_back(link, to_psa(link))


def the_back() -> PaymentBack:
    return PaymentBack.objects.get()


def several_payments(rig: Rig) -> None:
    """A PSA that takes a second payment, as ConnectWise does."""
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": True})


@pytest.mark.parametrize("refusing", [True, False])
def test_a_payment_begun_too_late_leaves_one(rig: Rig, link: Link, refusing: bool):
    if not refusing:
        several_payments(rig)
    rig.pay(link, Decimal(60), DAY)
    read_money(rig, link)
    late = Interrupted(to_psa(link), "create_payment", before=lambda: another_worker(link))
    write_back(link, late)
    (shown,) = rig.psa_payments(link.document)
    assert (the_back().state, the_back().psa_payment_id) == ("in_step", str(shown["id"]))
    assert not Card.objects.filter(code="payment_refused").exists()
    assert balance(rig, link) == due(rig, link) == 160


def test_an_amount_written_too_late_is_put_right(rig: Rig, link: Link):
    rig.pay(link, Decimal(60), DAY)
    rig.sync()
    rig.pay(link, Decimal(30), DAY)
    read_money(rig, link)

    def meanwhile() -> None:
        another_worker(link)
        rig.pay(link, Decimal(10), DAY)
        read_money(rig, link)
        write_back(link, to_psa(link))

    late = Interrupted(to_psa(link), "update_payment", before=meanwhile)
    write_back(link, late)
    rig.sync()
    (shown,) = rig.psa_payments(link.document)
    assert Decimal(str(shown["amount"])) == the_back().amount == 100
    assert the_back().state == "in_step"
    assert balance(rig, link) == due(rig, link) == 120


def test_money_that_moves_during_a_refusal_is_decided_about_again(rig: Rig, link: Link):
    rig.pay(link, Decimal(60), DAY)
    read_money(rig, link)
    rig.fault("psa", method="POST", path="payments$", kind="status", status=400, times=1)

    def moved() -> None:
        rig.pay(link, Decimal(10), DAY)
        read_money(rig, link)

    write_back(link, Interrupted(to_psa(link), "create_payment", before=moved))
    assert the_back().state == "waiting"
    assert not Card.objects.filter(code="payment_refused").exists()
    rig.sync()
    assert (the_back().state, the_back().amount) == ("in_step", 70)


# Payments that were entered in the PSA.


@pytest.fixture
def entered(rig: Rig, link: Link) -> Link:
    """A payment of 120.00 was entered in the PSA and read; the books don't have it yet."""
    several_payments(rig)
    take_payments(link.organisation)
    enter(rig, link, "120.00")
    for feed in Feed.objects.filter(organisation=rig.site, name="invoices"):
        rig.read(feed)
    assert taken.read(link.document, to_psa(link))
    assert PaymentTaken.objects.get().state == "waiting"
    return link


def to_books(link: Link) -> Any:
    return open_books(link.organisation, Priority.SCHEDULE)


def change(rig: Rig, link: Link, amount: int) -> None:
    """A person changes the payment in the PSA, and it is read."""
    (shown,) = rig.psa_payments(link.document)
    psa(rig, link, "change_payment", {"payment": shown["id"], "amount": amount})
    read_again(rig, link)


def read_again(rig: Rig, link: Link) -> None:
    for feed in Feed.objects.filter(organisation=rig.site, name="invoices"):
        rig.read(feed)
    assert taken.read(link.document, to_psa(link))


@pytest.mark.parametrize("call_", ["payments_on", "send"])
def test_a_change_in_the_psa_during_the_entry_is_not_passed_by(rig: Rig, entered, call_):
    books = Interrupted(to_books(entered), call_, after=lambda: change(rig, entered, 90))
    taken.carry_out(entered.document, books)
    taken.carry_out(entered.document, to_books(entered))
    (payment,) = in_books(rig, entered)
    assert Decimal(str(payment["Amount"])) == 90
    row = PaymentTaken.objects.get()
    assert (row.state, row.posted_amount) == ("in_step", 90)


def test_a_removal_in_the_psa_as_it_is_found_in_step_is_not_passed_by(rig: Rig, entered: Link):
    taken.carry_out(entered.document, to_books(entered))
    assert len(in_books(rig, entered)) == 1
    PaymentTaken.objects.update(state="waiting")

    def removed() -> None:
        (shown,) = rig.psa_payments(entered.document)
        psa(rig, entered, "remove_payment", {"payment": shown["id"]})
        read_again(rig, entered)

    books = Interrupted(to_books(entered), "payments_on", after=removed)
    taken.carry_out(entered.document, books)
    taken.carry_out(entered.document, to_books(entered))
    assert in_books(rig, entered) == []
    assert PaymentTaken.objects.get().state == "removed"


def test_an_entry_begun_too_late_leaves_one(rig: Rig, entered: Link):
    def meanwhile() -> None:
        doubtful = PaymentTaken.objects.filter(state="posting")
        doubtful.update(booked_at=F("booked_at") - taken.GRACE - timedelta(seconds=1))
        taken.carry_out(entered.document, to_books(entered))

    taken.carry_out(entered.document, Interrupted(to_books(entered), "send", before=meanwhile))
    (payment,) = in_books(rig, entered)
    row = PaymentTaken.objects.get()
    assert (row.state, row.books_payment_id) == ("in_step", payment["PaymentID"])
    assert due(rig, entered) == 100


# Links that nobody followed: the process died right after it had made them.


def test_money_on_a_link_that_was_not_followed_reaches_the_psa_with_the_next_posting(rig, link):
    rig.pay(link, Decimal(60), DAY)
    read_money(rig, link)
    PaymentBack.objects.all().delete()
    rig.work()
    assert the_back().amount == 60
    assert balance(rig, link) == due(rig, link) == 160


def test_money_that_was_passed_by_long_ago_is_found_by_the_full_pass(rig: Rig, link: Link):
    Link.objects.update(linked_at=F("linked_at") - timedelta(days=3))
    rig.pay(link, Decimal(60), DAY)
    read_money(rig, link)
    PaymentBack.objects.all().delete()
    rig.work()
    assert rig.psa_payments(link.document) == []
    Feed.objects.filter(name="payments").update(full_pass_at=None)
    rig.sync()
    assert the_back().amount == 60
    assert balance(rig, link) == due(rig, link) == 160
