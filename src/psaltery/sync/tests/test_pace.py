"""Ticks come often while the money of an organisation moves, seldom while it rests."""

from datetime import timedelta

import pytest
from django.utils import timezone

from psaltery.connections.models import Budget, Feed
from psaltery.kit.clock import now
from psaltery.sync.pace import pace
from psaltery.sync.pacing import seconds_now
from psaltery.sync.tests.test_spread import RECORDS
from psaltery.testing.situations import at

SIX_HOURS = 21_600
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@pytest.mark.parametrize(
    ("quiet", "seconds"),
    [
        (timedelta(0), 900),
        (HOUR, 900),
        (HOUR + timedelta(seconds=1), 3_600),
        (DAY, 3_600),
        (2 * DAY, 10_800),
        (WEEK + HOUR, SIX_HOURS),
        (None, SIX_HOURS),
    ],
)
def test_the_longer_it_rests_the_slower(quiet, seconds):
    assert pace(SIX_HOURS, quiet, 6, None, None) == seconds


@pytest.mark.parametrize(
    ("cap", "left", "seconds"),
    [
        (None, None, 900),
        (5_000, None, 900),
        (5_000, 1_200, 900),  # 96 ticks of 6 calls are 576
        (5_000, 1_100, 3_600),
        (1_000, None, 3_600),  # a quarter of it is 250; 24 ticks take 144
        (1_000, 280, 10_800),
        (1_000, 90, SIX_HOURS),
        (1_000, 0, SIX_HOURS),
    ],
)
def test_polls_leave_the_calls_of_the_day_to_others(cap, left, seconds):
    assert pace(SIX_HOURS, timedelta(0), 6, cap, left) == seconds


def test_never_below_what_people_may_set_nor_above_what_they_did():
    assert pace(3_600, timedelta(0), 6, None, None) == 300
    assert pace(300, timedelta(0), 6, None, None) == 300


@pytest.fixture
def resting(rig):
    """Everything was read once from its start: nothing moves yet."""
    rig.sync()
    return rig


def waits(organisation):
    rows = Feed.objects.filter(organisation=organisation, name__in=RECORDS)
    found = {row.due_at for row in rows}
    assert len(found) == 1, "one tick reads all kinds of records"
    return found.pop() - now()


def a_new_invoice(rig, organisation):
    line = {"Description": "By hand", "Quantity": 1, "UnitAmount": 10, "AccountCode": "200"}
    body = {
        "Type": "ACCREC", "Status": "AUTHORISED", "LineItems": [line],
        "Contact": {"Name": "By hand"},
        "Date": str(timezone.localdate()), "DueDate": str(timezone.localdate()),
    }  # fmt: skip
    rig.write_books(organisation, "Invoices", body)


def tick(rig, organisation):
    for feed in Feed.objects.filter(organisation=organisation, name__in=RECORDS).order_by("pk"):
        rig.read(feed)


def rested(span):
    for feed in Feed.objects.filter(moved_at__isnull=False):
        Feed.objects.filter(pk=feed.pk).update(moved_at=feed.moved_at - span)


def test_an_organisation_is_read_often_while_its_money_moves(resting):
    mine, other = at(resting, "Sydney"), resting.organisations[0]
    assert mine != other
    # History that is read for the first time is no news.
    assert waits(mine) > timedelta(minutes=30)
    a_new_invoice(resting, mine)
    tick(resting, mine)
    assert waits(mine) <= timedelta(minutes=17)
    assert not Feed.objects.filter(organisation=other, moved_at__isnull=False).exists()
    for span, longest in ((2 * HOUR, HOUR), (2 * DAY, 3 * HOUR), (WEEK, 6 * HOUR)):
        rested(span)
        tick(resting, mine)
        assert longest / 10 < waits(mine) <= longest * 1.1 + timedelta(seconds=1)


def test_the_calls_that_the_vendor_has_left_are_reckoned_with(resting):
    mine = at(resting, "Sydney")
    a_new_invoice(resting, mine)
    tick(resting, mine)
    feed = Feed.objects.get(organisation=mine, name="contacts")
    for cap, left, seconds in ((5_000, 4_000, 900), (1_000, 900, 3_600), (1_000, 50, SIX_HOURS)):
        Budget.objects.filter(organisation=mine).update(day_cap=cap, day_remaining=left)
        assert seconds_now(feed, now()) == seconds


def test_an_invoice_closed_in_the_psa_has_its_site_read_often(resting):
    due = Feed.objects.filter(organisation=resting.site)
    before = due.get(name="tickets").due_at
    line = {"kind": "product", "description": "Switch", "quantity": "1", "price": "5"}
    resting.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[line])
    resting.read(due.get(name="invoices"))
    assert due.get(name="invoices").moved_at is not None
    for name in ("invoices", "companies", "expenses"):
        assert due.get(name=name).due_at - now() <= timedelta(minutes=17)
    # No money is in tickets: they keep their own time.
    assert due.get(name="tickets").due_at == before


def test_an_interval_of_its_own_is_kept(resting):
    mine = at(resting, "Sydney")
    rows = Feed.objects.filter(organisation=mine)
    rows.filter(name="contacts").update(seconds=86_400, due_at=now() + timedelta(hours=20))
    a_new_invoice(resting, mine)
    resting.read(rows.get(name="invoices"))
    assert rows.get(name="contacts").due_at - now() > timedelta(hours=19)
    assert rows.get(name="payments").due_at - now() <= timedelta(minutes=17)
