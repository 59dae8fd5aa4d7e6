"""List pages with a million invoices in the tables: server time, and the number of queries."""

import re
from decimal import Decimal
from time import perf_counter, thread_time
from typing import Any, NamedTuple

from bench import world
from bench.counting import statements
from bench.measure import Measure, Size, percentile
from bench.rows import analyse, multiply

ROWS = {Size.FULL: (1_000, 1_000_000), Size.TINY: (120, 300)}
TIMES = {Size.FULL: 30, Size.TINY: 2}
MOST_MS = 150.0
ADDRESSES = (
    "/documents/",
    "/documents/?state=held",
    "/documents/?state=in_step&sort=-total",
    "/documents/?q=Customer+417",
    "/documents/?q=D-123456",
    "/ledger/invoices/",
    "/ledger/invoices/?status=paid",
    "/ledger/invoices/?q=Customer+417",
    "/ledger/payments/",
    "/ledger/customers/?q=tomer+41",
    "/exceptions/",
    "/exceptions/?q=account",
    "/audit/",
    "/audit/?q=posted",
    "/audit/?outcome=failed",
    "/",
)
_NEXT = re.compile(r"after=[\w=%-]+")


def run(size: Size) -> list[Measure]:
    """Each page with few rows and with many, through all of Django's layers but the socket."""
    few, many = ROWS[size]
    with world.rig(companies=4, contacts=2) as rig:
        _begin(rig)
        _fill(few, first=0)
        client = _signed_in()
        before = {address: _asked(client, address).queries for address in ADDRESSES}
        _fill(many - few, first=few)
        return [_measured(client, one, before[one], many, TIMES[size]) for one in ADDRESSES]


def _begin(rig: Any) -> None:
    """One real row of everything."""
    from psaltery.posting.models import Link

    world.close_invoices(rig, 1, 1)
    rig.sync()
    link = Link.objects.select_related("document").get()
    rig.pay(link, Decimal("10.00"), str(link.document.issued_on))
    rig.sync()


def _signed_in() -> Any:
    from django.test import Client

    from psaltery.accounts.models import Role
    from psaltery.accounts.service import FirstPerson, set_up

    person = set_up(FirstPerson("Bench", "Bench", "bench@example.com", "a-long-passw0rd!", "UTC"))
    assert person.role == Role.ADMIN
    client = Client(SERVER_NAME="localhost")
    client.force_login(person)
    return client


class Answer(NamedTuple):
    queries: int
    milliseconds: float
    busy: float  # milliseconds of CPU of ours, PostgreSQL's not among them
    text: str


def _asked(client: Any, address: str) -> Answer:
    with statements() as seen:
        started, busy = perf_counter(), thread_time()
        answer = client.get(address)
        taken, busy = (perf_counter() - started) * 1000, (thread_time() - busy) * 1000
    assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.headers}"
    return Answer(len(seen), taken, busy, answer.content.decode())


def _measured(client: Any, address: str, before: int, rows: int, times: int) -> Measure:
    _asked(client, address)
    first = _asked(client, address)
    queries, more = first.queries, _NEXT.search(first.text)
    addresses = [address]
    if more:
        addresses.append(f"{address}{'&' if '?' in address else '?'}{more.group()}")
    answers = [_asked(client, one) for _ in range(times) for one in addresses]
    taken = [answer.milliseconds for answer in answers]
    p95, middle = percentile(taken, 0.95), percentile(taken, 0.5)
    busy = percentile([answer.busy for answer in answers], 0.5)
    fixed = queries == before
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


def _fill(count: int, first: int) -> None:
    """`count` more rows in each table, numbered from `first`."""
    numbers = f"generate_series({first + 1}, {first + count}) AS n"
    _documents(numbers)
    _ledger(numbers)
    _cards(count, first)
    _audit(numbers)
    analyse()


def _documents(numbers: str) -> None:
    from psaltery.desk.models import Document
    from psaltery.posting.models import Posting

    template = Document.objects.order_by("pk").first()
    assert template is not None
    multiply(
        "desk_documents",
        template.pk,
        among=numbers,
        external_id="'copy-' || n",
        number="'D-' || n",
        company_name="'Customer ' || (n % 2000)",
        total="(n % 100000) / 7.0",
        balance="(n % 3) * 10",
        issued_on="current_date - (n % 1500)::int",
    )
    multiply(
        "posting_posting",
        Posting.objects.get(document=template).pk,
        among="(SELECT d.id, d.id AS n FROM desk_documents d LEFT JOIN posting_posting p"
        " ON p.document_id = d.id WHERE p.document_id IS NULL) AS d",
        document_id="d.id",
        state="CASE WHEN n % 200 = 0 THEN 'held' WHEN n % 301 = 0 THEN 'waiting'"
        " WHEN n % 50 = 0 THEN 'skipped' ELSE 'in_step' END",
    )


def _ledger(numbers: str) -> None:
    from psaltery.ledger.models import BillingInvoice, BillingPayment, Customer

    customer, invoice, payment = (
        model.objects.order_by("pk").first() for model in (Customer, BillingInvoice, BillingPayment)
    )
    assert customer
    assert invoice
    assert payment
    same = {"external_id": "'copy-' || n"}
    multiply(
        "billing_invoices",
        invoice.pk,
        among=numbers,
        number="'I-' || n",
        customer_name="'Customer ' || (n % 10000 + 1) * 100",
        customer_external_id="'copy-' || (n % 10000 + 1) * 100",
        issued_on="current_date - (n % 1500)::int",
        due_on="current_date - (n % 1500)::int + 14",
        status="CASE WHEN n % 40 = 0 THEN 'authorised' WHEN n % 501 = 0 THEN 'draft'"
        " ELSE 'paid' END",
        amount_due="CASE WHEN n % 40 = 0 THEN old.total ELSE 0 END",
        **same,
    )
    paid = "current_date - (n % 1500)::int"
    of = "'copy-' || n"
    multiply(
        "billing_payments", payment.pk, among=numbers, paid_on=paid, invoice_external_id=of, **same
    )
    some = f"(SELECT * FROM {numbers} WHERE n % 100 = 0) AS each"
    multiply(
        "customers", customer.pk, among=some, name="'Customer ' || n", name_key="'customer ' || n",
        **same,
    )  # fmt: skip


def _cards(count: int, first: int) -> None:
    """A card for each 500 documents, one in ten of them open, over the documents that are held."""
    from django.db import connection

    from psaltery.review.models import Card

    card = Card.objects.filter(cause="bench").first() or Card.objects.create(
        code="account_unmapped", cause="bench", sentence="No account is mapped.", subject="bench"
    )
    cards = max(count // 500, 2)
    multiply(
        "review_card",
        card.pk,
        among=f"generate_series({first // 500 + 1}, {first // 500 + cards}) AS n",
        cause=f"'bench:{first}:' || n",
        subject="'account ' || n",
        state="CASE WHEN n % 10 = 0 THEN 'open' ELSE 'resolved' END",
        opened_at="now() - n * interval '1 minute'",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO review_blocked (card_id, document_id, amount, currency, since)"
            " SELECT (SELECT min(id) FROM review_card WHERE state = 'open') + p.document_id % 7,"
            " p.document_id, 10, 'AUD', now() FROM posting_posting p WHERE p.state = 'held'"
            " AND (SELECT min(id) FROM review_card WHERE state = 'open') + p.document_id % 7"
            " IN (SELECT id FROM review_card) ON CONFLICT DO NOTHING"
        )


def _audit(numbers: str) -> None:
    from psaltery.audit.models import Entry

    entry = Entry.objects.order_by("pk").first()
    assert entry is not None
    multiply(
        "audit_entries",
        entry.pk,
        id_="id",
        among=numbers,
        at="now() - (now() - date_trunc('month', now())) * random()",
        id="nextval(pg_get_serial_sequence('audit_entries', 'id'))",
        found_by="'Harbourline D-' || n || CASE WHEN n % 5 = 0 THEN ' was posted' ELSE '' END",
        failed="n % 97 = 0",
        documents="ARRAY['D-' || n]",
    )
