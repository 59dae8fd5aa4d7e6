"""List pages with a million invoices in the tables: server time, and the number of queries."""

from decimal import Decimal
from typing import Any

from bench import world
from bench.measure import Measure, Size
from bench.pages import asked, measured, signed_in
from bench.rows import analyse, multiply

ROWS = {Size.FULL: (1_000, 1_000_000), Size.TINY: (120, 300)}
TIMES = {Size.FULL: 30, Size.TINY: 2}
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


def run(size: Size) -> list[Measure]:
    """Each page with few rows and with many, through all of Django's layers but the socket."""
    few, many = ROWS[size]
    with world.rig(companies=4, contacts=2) as rig:
        _begin(rig)
        _fill(few, first=0)
        client = signed_in()
        before = {address: asked(client, address).queries for address in ADDRESSES}
        _fill(many - few, first=few)
        return [measured(client, one, before[one], many, TIMES[size]) for one in ADDRESSES]


def _begin(rig: Any) -> None:
    """One real row of everything."""
    from psaltery.posting.models import Link

    world.close_invoices(rig, 1, 1)
    rig.sync()
    link = Link.objects.select_related("document").get()
    rig.pay(link, Decimal("10.00"), str(link.document.issued_on))
    rig.sync()


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
