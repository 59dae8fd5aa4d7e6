"""The audit log with a million entries: search, export, sealing and verifying the hash chain."""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from bench.measure import Measure, Size, percentile
from bench.rows import analyse
from bench.scratch import peak_megabytes

ENTRIES = {Size.FULL: 1_000_000, Size.TINY: 400}
SEALED = {Size.FULL: 100_000, Size.TINY: 100}
TIMES = {Size.FULL: 20, Size.TINY: 2}
SEARCH_MS, SEAL_SECONDS, EXPORT_MEGABYTES = 150.0, 10.0, 20.0
# From words that every entry has to one that a single entry has.
ADDRESSES = {
    "no filter": "",
    "a word of every entry": "q=harbourline",
    "a word of each second entry": "q=created",
    "two common words": "q=harbourline+created",
    "three common words": "q=invoice+was+created",
    "a word of one in a hundred": "q=refused",
    "a common and a rare word": "q=harbourline+refused",
    "a number": "q=INV-123456",
    "a word that is nowhere": "q=wherever",
    "common words that never meet": "q=created+contacts",
    "failed": "outcome=failed",
    "a document": "document=INV-123456",
    "a customer": "customer=Customer+417",
    "a customer and a word": "customer=Customer+417&q=created",
    "a person": "actor=ann@example.com",
    "a week of decisions": "kind=decision&at_from=2026-01-08&at_to=2026-01-14",
    "a common word, oldest first": "q=created&sort=at",
}


def run(size: Size) -> list[Measure]:
    """Search and export pages through all of Django, and the chain."""
    count = ENTRIES[size]
    fill(count)
    analyse()
    measures = [_seal(SEALED[size]), _verify(count)]
    client = _signed_in()
    measures += [_search(client, *one, count, TIMES[size]) for one in ADDRESSES.items()]
    return [*measures, *(_export(client, kind) for kind in ("json", "csv"))]


def _signed_in() -> Any:
    from django.test import Client

    from psaltery.accounts.models import Role
    from psaltery.accounts.service import add_person

    client = Client(SERVER_NAME="localhost")
    client.force_login(
        add_person("bench@example.com", "Bench", Role.ADMIN, password="a-long-passw0rd!"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


def fill(count: int) -> None:
    """Entries over six months, half of them requests with bodies of about a kilobyte."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_make_partition(timestamptz '2026-01-01' + n * interval '1 month')"
            " FROM generate_series(0, 5) n"
        )
        cursor.execute(_FILL, [count, count])


_FILL = """
INSERT INTO audit_entries (at, actor, kind, system, organisation_id, organisation, operation,
    method, address, status, duration_ms, bytes_out, bytes_in, document_kind, documents, customer,
    sentence, failed, request, response, found_by)
SELECT timestamptz '2026-01-01' + n * (interval '180 days' / %s),
    CASE WHEN n %% 500 = 0 THEN 'ann@example.com' ELSE 'worker' END,
    CASE WHEN n %% 2 = 0 THEN 'request' ELSE 'decision' END, 'xero', 1 + n %% 3, 'Harbourline IT',
    CASE WHEN n %% 2 = 0 THEN 'invoices.create' ELSE 'contacts.match' END, 'PUT',
    'https://api.example/Invoices', 200, 80, 900, 1100, 'invoice', ARRAY['INV-' || n],
    'Customer ' || n %% 2000, s.sentence, n %% 100 = 0,
    CASE WHEN n %% 2 = 0 THEN repeat(md5(n::text), 15) ELSE '' END,
    CASE WHEN n %% 2 = 0 THEN repeat(md5((n + 1)::text), 20) ELSE '' END,
    lower('Harbourline IT INV-' || n || ' Customer ' || n %% 2000
        || CASE WHEN n %% 2 = 0 THEN ' invoices.create ' ELSE ' contacts.match ' END || s.sentence)
FROM generate_series(1, %s) n, LATERAL (SELECT CASE
    WHEN n %% 100 = 0 THEN 'INV-' || n || ' was refused: the account 200 is archived.'
    WHEN n %% 2 = 0 THEN 'INV-' || n || ': the invoice was created in the books to the cent.'
    ELSE 'INV-' || n || ' is matched with its contact by its e-mail address.' END) s(sentence)
"""


def _seal(count: int) -> Measure:
    from datetime import timedelta

    from psaltery.audit import chain

    started, sealed = perf_counter(), 0
    while sealed < count and (more := chain.seal(settle=timedelta(0), seconds=0.0)):
        sealed += more
    taken = perf_counter() - started
    while chain.seal(settle=timedelta(0)):
        pass
    return Measure(
        what=f"seal {sealed:,} entries into the hash chain",
        budget=f"< {SEAL_SECONDS:g} s",
        measured=f"{taken:.1f} s",
        kept=taken < SEAL_SECONDS,
        remark=f"{taken / sealed * 1e6:.0f} µs an entry, off the path that inserts it",
        figures={"seconds": taken},
    )


def _verify(count: int) -> Measure:
    from psaltery.audit.verify import verify

    before = peak_megabytes()
    found = verify()
    grown = peak_megabytes() - before
    assert (found.count, found.entries) == (0, count), found.problems
    return Measure(
        what=f"verify {count:,} entries",
        budget="constant memory",
        measured=f"{found.took_ms / 1000:.1f} s, {grown:.0f} MB more",
        kept=grown < EXPORT_MEGABYTES,
        remark=f"{found.took_ms / count * 1000:.0f} µs an entry",
        figures={"seconds": found.took_ms / 1000, "megabytes": grown},
    )


def _search(client: Any, what: str, query: str, count: int, times: int) -> Measure:
    def ask() -> None:
        answer = client.get(f"/audit/?{query}")
        assert answer.status_code == 200
        assert b"takes too long" not in answer.content

    taken = _milliseconds(ask, times)
    p95, middle = percentile(taken, 0.95), percentile(taken, 0.5)
    return Measure(
        what=f"search {count:,} entries: {what}",
        budget=f"p95 < {SEARCH_MS:g} ms",
        measured=f"{p95:.0f} ms",
        kept=p95 < SEARCH_MS,
        remark=f"median {middle:.0f} ms",
        figures={"p95_ms": p95, "median_ms": middle},
    )


def _milliseconds(ask: Callable[[], None], times: int) -> list[float]:
    ask()
    taken = []
    for _ in range(times):
        started = perf_counter()
        ask()
        taken.append((perf_counter() - started) * 1000)
    return taken


def _export(client: Any, kind: str) -> Measure:
    address = "/audit/entries.json" if kind == "json" else "/audit/?format=csv"
    _drain(client.get(f"{address}&kind=sign_in".replace(".json&", ".json?")).streaming_content)
    before, started = peak_megabytes(), perf_counter()
    size = _drain(client.get(address).streaming_content)
    taken, grown = perf_counter() - started, peak_megabytes() - before
    return Measure(
        what=f"export all of it as {kind.upper()}, {size / 1e6:,.0f} MB",
        budget="constant memory",
        measured=f"{grown:.0f} MB more",
        kept=grown < EXPORT_MEGABYTES,
        remark=f"{taken:.0f} s",
        figures={"seconds": taken, "megabytes": grown},
    )


def _drain(parts: Iterable[bytes]) -> int:
    return sum(len(part) for part in parts)
