"""The first reading of 120 organisations with the vendor's limits on: calls and time beside their
floors, as the worker does it that is shipped."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic, sleep
from typing import Any

from bench import books
from bench.books import Amounts
from bench.measure import Measure, Size
from bench.scratch import ROOT

ORGANISATIONS = {Size.FULL: 120, Size.TINY: 2}
AMOUNTS = {
    Size.FULL: Amounts(contacts=300, invoices=1_500, payments=1_200),
    Size.TINY: Amounts(contacts=20, invoices=60, payments=40),
}
PAGE = 1000
# Read in pages; the sandbox has a credit note or two, and money received, in each organisation.
ONE_PAGE_EACH = ("creditnotes", "overpayments", "prepayments")
PATIENCE_SECONDS = 1800


def run(size: Size) -> list[Measure]:
    """Connect all of them at once, and let the worker read until every feed has ended."""
    amounts, count = AMOUNTS[size], ORGANISATIONS[size]
    with books.sandbox(amounts, orgs=count, limits=True) as url:
        books.connect(url, per_minute=None)
        mark, _ = books.requests(url)
        with _worker():
            seconds = _until_read(count)
        _, log = books.requests(url, mark)
    return [_calls(log, amounts, count), _limits(log), _time(log, seconds, amounts, count)]


@contextmanager
def _worker() -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "psaltery.cli", "--parent", str(os.getpid()), "worker"], cwd=ROOT
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _until_read(count: int) -> float:
    """Seconds until every feed of every organisation has been read to its end."""
    from psaltery.connections.models import Feed

    feeds = Feed.objects.filter(organisation__chosen=True)
    # Bills are read where bills of ours are; here are none.
    wanted = feeds.exclude(name="bills")
    assert feeds.values("organisation").distinct().count() == count
    started = monotonic()
    while wanted.filter(full_pass_at__isnull=True).exclude(name="settings").exists():
        if monotonic() - started > PATIENCE_SECONDS:
            left = Counter(wanted.filter(full_pass_at__isnull=True).values_list("name", "state"))
            raise TimeoutError(f"not read after {PATIENCE_SECONDS} s: {left}")
        sleep(0.5)
    return monotonic() - started


def _calls(log: list[dict[str, Any]], amounts: Amounts, count: int) -> Measure:
    made = Counter(entry["path"].rpartition("/")[2].lower() for entry in log)
    floor = {
        "contacts": count * ceil(amounts.contacts / PAGE),
        "invoices": count * ceil(amounts.invoices / PAGE),
        "payments": count * ceil(amounts.payments / PAGE),
        **dict.fromkeys(ONE_PAGE_EACH, count),
    }
    read = {name: made[name] for name in floor}
    others = sum(made.values()) - sum(read.values())
    return Measure(
        what=f"calls to read {count} organisations",
        budget=f"ceil(n/{PAGE}) a type: {sum(floor.values()):,}",
        measured=f"{sum(read.values()):,}",
        kept=read == floor,
        remark=f"{others:,} others: settings, identity, consent",
        figures={**{name: float(number) for name, number in read.items()}, "others": others},
    )


def _limits(log: list[dict[str, Any]]) -> Measure:
    refused = sum(entry["status"] == 429 for entry in log)
    return Measure(
        what="calls refused for a limit",
        budget="0",
        measured=str(refused),
        kept=refused == 0,
    )


def _time(log: list[dict[str, Any]], seconds: float, amounts: Amounts, count: int) -> Measure:
    """The floor is what 30 calls a minute allow to the organisation with the most calls."""
    from psaltery.connections.models import Budget

    per_minute = Budget.objects.order_by("per_minute").values_list("per_minute", flat=True)[0]
    most = len(log) / count
    floor = most / per_minute * 60
    records = amounts.all * count
    return Measure(
        what=f"time for that, {records:,} records",
        budget="",
        measured=f"{seconds:,.0f} s",
        remark=f"{most:.0f} calls an organisation at {per_minute} a minute take {floor:.0f} s if "
        f"nothing else did; {records / seconds:,.0f} records/s",
        figures={"seconds": seconds, "floor_seconds": floor, "records": records},
    )
