"""Workers killed, stopped and doubled under load, with slow and lost answers.

In the end every document is in the books once and to the cent, its contact once, its batch once in
the PSA, and its payment once.
"""

import os
import random
import signal
import time
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pprint import pformat

import pytest
from django.db.models import F

from psaltery.connections.models import Feed
from psaltery.matching.carry_out import BEGIN_WITHIN
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.testing.rig import Rig
from psaltery.testing.tallies import marked_once, paid_once, posted_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.crash,
    pytest.mark.timeout(900),
]
OFFICES = (("Sydney", "GST"), ("Adelaide", "GST"), ("Auckland", "NZGST"))
# Under the load of a whole run on two cores; alone everything is there in a fifth of it.
PATIENCE = 240


class Load:
    """Invoices that are closed in the PSA and payments that arrive in the books."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.source = rig, random.Random(seed)
        self.invoices: list[dict] = []
        self.paid: dict[str, Decimal] = {}
        self.offices = [(office, tax, rig.companies(office)) for office, tax in OFFICES]

    def close(self, count: int) -> None:
        for _ in range(count):
            office, tax, companies = self.source.choice(self.offices)
            line = {
                "kind": "product",
                "description": "Managed switch",
                "quantity": str(self.source.randint(1, 9)),
                "price": str(Decimal(self.source.randint(100, 99999)) / 100),
            }
            given = {"company": self.source.choice(companies), "location": office, "tax_code": tax}
            self.invoices.append(self.rig.close_invoice(**given, lines=[line]))
        self.look(self.rig.site, "invoices")

    def pay(self, count: int) -> None:
        """Pays invoices in full or in part, a second part for some."""
        links = list(Link.objects.exclude(number__in=self.paid).order_by("pk")[:count])
        for link in links:
            day = str(link.document.issued_on)
            first = (link.total * self.source.choice((1, 1, Decimal("0.5")))).quantize(
                Decimal("0.01")
            )
            self.rig.pay(link, first, day)
            self.paid[link.number] = first
        for organisation in self.rig.organisations:
            self.look(organisation, "payments", "invoices")

    def look(self, organisation, *feeds: str) -> None:
        """What a webhook would say: look sooner."""
        rows = Feed.objects.filter(organisation=organisation, name__in=feeds)
        rows.update(due_at=F("due_at") - timedelta(days=1))

    def all_posted(self) -> bool:
        # As a person who forces a feed again while the old one is still being read.
        self.look(self.rig.site, "invoices")
        return Posting.objects.filter(state="in_step").count() == len(self.invoices)

    def all_paid(self) -> bool:
        age_doubts("uncertain")
        for organisation in self.rig.organisations:
            self.look(organisation, "payments", "invoices")
        backs = PaymentBack.objects.filter(state="in_step", amount__gt=0)
        return dict(backs.values_list("document__number", "amount")) == self.paid

    def all_marked(self) -> bool:
        return Link.objects.filter(psa_marked_at__isnull=False).count() == len(self.invoices)

    def settled(self) -> None:
        """Waits for the end, and counts."""
        wait_until(self.all_posted)
        wait_until(self.all_marked)
        wait_until(self.all_paid)
        posted_once(self.rig.books_url, self.invoices)
        marked_once(self.rig.psa_url, self.invoices)
        paid_once(self.rig.psa_url, self.paid)
        assert Link.objects.count() == len(self.invoices)
        # A worker that stood still may just be learning that another one was faster.
        wait_until(self.all_settled)

    def all_settled(self) -> bool:
        return not Attempt.objects.filter(state__in=("booked", "uncertain")).exists()


def age_doubts(*states: str) -> None:
    """Lets the minutes pass after which the PSA is asked whether a payment arrived.

    What is "posting" may be aged only while no live worker writes: these minutes are what keeps
    two workers from writing one payment.
    """
    doubtful = PaymentBack.objects.filter(state__in=states)
    doubtful.update(booked_at=F("booked_at") - timedelta(minutes=4))


def wait_until(done, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, pformat(state())
        time.sleep(0.3)


def state():
    return {
        "postings": Counter(Posting.objects.values_list("state", flat=True)),
        "why": set(Posting.objects.exclude(state="in_step").values_list("why", flat=True)),
        "attempts": Counter(Attempt.objects.values_list("kind", "state")),
        "payments": Counter(PaymentBack.objects.values_list("state", "why")),
        "unpaid": Counter(
            PaymentBack.objects.filter(amount=0).values_list("organisation__name", flat=True)
        ),
        "read": list(
            Feed.objects.filter(name="payments").values_list("organisation__name", "finished_at")
        ),
        "feeds": list(Feed.objects.exclude(state="idle").values_list("name", "state", "failure")),
    }


@pytest.fixture
def start(rig: Rig, psaltery_process):
    """`start()` gives a worker process on the rig's sandboxes."""
    addresses = dict.fromkeys(
        ("PSALTERY_XERO_API_URL", "PSALTERY_XERO_IDENTITY_URL", "PSALTERY_XERO_LOGIN_URL"),
        rig.books_url,
    )
    return lambda: psaltery_process("worker", **addresses)


def trouble(rig: Rig, seed: int) -> None:
    """Slow answers, so that kills hit requests under way, and some that get lost."""
    source = random.Random(seed)
    books = "/Invoices|/Contacts"
    for kind in ("lost_answer", "drop", "lost_answer"):
        rig.fault("books", method="PUT", path=books, kind=kind, after=source.randint(1, 6))
    for kind in ("lost_answer", "drop", "lost_answer", "cut"):
        rig.fault("psa", method="POST", path="payments$", kind=kind, after=source.randint(0, 9))
        rig.fault("psa", method="POST", path="batches$", kind=kind, after=source.randint(0, 20))
    rig.fault("books", method="PUT", path=books, kind="slow", seconds=0.4, times=-1)
    rig.fault("psa", method="POST", path="payments$|batches$", kind="slow", seconds=0.1, times=-1)


def kill(worker) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def test_workers_killed_again_and_again(rig: Rig, start):
    load, source = Load(rig, 1), random.Random(7)
    trouble(rig, 7)
    load.close(40)
    for turn in range(8):
        worker = start()
        time.sleep(source.uniform(1.2, 4.5))
        kill(worker)
        age_doubts("posting", "uncertain")
        if turn % 2:
            load.close(5)
        if turn > 2:
            load.pay(6)
    start()
    load.settled()


def test_two_workers_share_the_work(rig: Rig, start):
    load = Load(rig, 2)
    trouble(rig, 2)
    start()
    start()
    load.close(40)
    wait_until(load.all_posted)
    load.pay(20)
    load.settled()


@contextmanager
def stopped(worker):
    """The worker stands still, as on a machine that swaps or is suspended; then it goes on."""
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_a_worker_that_stood_still_doubles_no_document(rig: Rig, start):
    load = Load(rig, 3)
    trouble(rig, 3)
    sleeper = start()
    load.close(25)
    wait_until(lambda: Attempt.objects.filter(state="booked").exists())
    with stopped(sleeper):
        start()
        wait_until(load.all_posted)
        load.close(10)
    # It goes on where it stood: perhaps right before it sends.
    load.settled()


def test_a_worker_that_stood_still_doubles_no_payment(rig: Rig, start):
    load = Load(rig, 4)
    trouble(rig, 4)
    sleeper = start()
    load.close(20)
    wait_until(load.all_posted)
    load.pay(20)
    wait_until(lambda: PaymentBack.objects.filter(state="posting").exists())
    with stopped(sleeper):
        began = time.monotonic()
        age_doubts("posting")
        start()
        wait_until(load.all_paid)
        # The PSA refuses no second payment: what was not begun by now is not begun any more.
        time.sleep(max(0.0, BEGIN_WITHIN.total_seconds() + 1 - (time.monotonic() - began)))
    load.close(5)
    load.settled()
