"""Pages asked for as a browser does: server time, and the number of queries."""

import re
from time import perf_counter, thread_time
from typing import Any, NamedTuple

from bench.counting import statements
from bench.measure import Measure, percentile

MOST_MS = 150.0
# A list that goes on after the page is counted, by one query; with few rows it ends there.
COUNTED = 1
_NEXT = re.compile(r"after=[\w=%-]+")


def signed_in() -> Any:
    """A browser's worth of Django, signed in as an administrator."""
    from django.test import Client

    from psaltery.accounts.models import Role
    from psaltery.accounts.service import FirstPerson, set_up

    person = set_up(FirstPerson("Bench", "Bench", "bench@example.com", "a-long-passw0rd!", "UTC"))
    assert person.role == Role.ADMIN
    client = Client(SERVER_NAME="localhost")
    client.force_login(person)
    return client


class Answer(NamedTuple):
    """One page, asked for once."""

    queries: int
    milliseconds: float
    busy: float  # milliseconds of CPU of ours, PostgreSQL's not among them
    text: str


def asked(client: Any, address: str) -> Answer:
    """Ask for a page through all of Django's layers but the socket."""
    with statements() as seen:
        started, busy = perf_counter(), thread_time()
        answer = client.get(address)
        taken, busy = (perf_counter() - started) * 1000, (thread_time() - busy) * 1000
    assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.headers}"
    return Answer(len(seen), taken, busy, answer.content.decode())


def measured(client: Any, address: str, before: int, rows: int, times: int) -> Measure:
    """A page and the one after it, asked for `times` times; `before`: its queries with few rows."""
    asked(client, address)
    first = asked(client, address)
    queries, more = first.queries, _NEXT.search(first.text)
    addresses = [address]
    if more:
        addresses.append(f"{address}{'&' if '?' in address else '?'}{more.group()}")
    answers = [asked(client, one) for _ in range(times) for one in addresses]
    taken = [answer.milliseconds for answer in answers]
    p95, middle = percentile(taken, 0.95), percentile(taken, 0.5)
    busy = percentile([answer.busy for answer in answers], 0.5)
    fixed = queries <= before + COUNTED
    return Measure(
        what=f"{address} with {rows:,} rows",
        budget=f"p95 < {MOST_MS:g} ms, fixed queries",
        measured=f"{p95:.0f} ms, {queries} queries",
        kept=p95 < MOST_MS and fixed,
        remark=f"median {middle:.0f} ms, {busy:.0f} ms of it CPU of ours"
        + ("" if fixed else f"; {before} queries with few rows")
        + ("; the next page too" if more else ""),
        figures={"p95_ms": p95, "median_ms": middle, "cpu_ms": busy, "queries": queries},
    )
