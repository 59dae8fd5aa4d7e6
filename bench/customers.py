"""Customers and alerts with a million invoices: their pages, and a look for all signals."""

from datetime import timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any

from bench import world
from bench.counting import statements
from bench.measure import Measure, Size
from bench.pages import asked, measured, signed_in
from bench.rows import analyse, multiply

# Invoices, on both sides; and customers, every tenth of them known to one system only.
ROWS = {Size.FULL: (20_000, 1_000_000), Size.TINY: (200, 600)}
# More than a page of them, so that the lists have a next one at both sizes.
CUSTOMERS = {Size.FULL: (300, 5_000), Size.TINY: (100, 100)}
TIMES = {Size.FULL: 30, Size.TINY: 2}
# Looked for every five minutes, beside everything else that the worker does.
MOST_SECONDS = 30.0
# Queries that are only asked where a signal found something, as it does with many rows.
MORE_QUERIES = 15
ADDRESSES = (
    "/customers/",
    "/customers/?sort=-overdue",
    "/customers/?sort=name",
    "/customers/?sort=-risk_points",
    "/customers/?q=Customer+417",
    "/customers/?owing=1",
    "/customers/?alerted=1",
    "/customers/?known=both",
    "/portfolio/",
    "/renewals/",
    "/alerts/",
)


def run(size: Size) -> list[Measure]:
    """Pages and looks with few rows and with many: what they ask must be the same."""
    few, many = ROWS[size]
    with world.rig(companies=4, contacts=2) as rig:
        _begin(rig)
        client = signed_in()
        _fill(few, CUSTOMERS[size][0])
        _look()
        before = {what: asked(client, one).queries for what, one in _addresses().items()}
        look_before = _look()[1]
        _fill(many - few, CUSTOMERS[size][1], first=few)
        looks = _looks(many, look_before)
        pages = [
            measured(client, one, before[what], many, TIMES[size])
            for what, one in _addresses().items()
        ]
    return [*pages, *looks]


def _addresses() -> dict[str, str]:
    """The lists, and the pages of a customer that both systems know and that has alerts."""
    from psaltery.portfolio.models import Customer

    known = Customer.objects.filter(company__isnull=False, contacts__isnull=False)
    one = known.filter(alerts__state="open").order_by("-outstanding", "pk").first()
    assert one is not None
    mine = {"hub": f"/customers/{one.pk}/", "timeline": f"/customers/{one.pk}/timeline/"}
    return {address: address for address in ADDRESSES} | mine


def _looks(invoices: int, queries: int) -> list[Measure]:
    first, _ = _look()
    second, asked_now = _look()
    third, _ = _look(days=1)
    return [
        _looked("the first look", invoices, first, None),
        _looked(
            "a look that finds nothing new", invoices, second, asked_now <= queries + MORE_QUERIES
        ),
        _looked("a look on the next day", invoices, third, None),
    ]


def _looked(what: str, invoices: int, seconds: float, fixed: bool | None) -> Measure:
    from psaltery.signals.models import Alert

    once = what == "the first look"
    alerts = Alert.objects.exclude(state="resolved").count()
    return Measure(
        what=f"{what}, {invoices:,} invoices",
        budget=""
        if once
        else f"< {MOST_SECONDS:g} s" + ("" if fixed is None else ", fixed queries"),
        measured=f"{seconds:.1f} s",
        kept=None if once else seconds < MOST_SECONDS and fixed is not False,
        remark=f"{alerts:,} alerts" + ("; more queries than with few rows" * (fixed is False)),
        figures={"seconds": seconds, "alerts": alerts},
    )


def _look(days: int = 0) -> tuple[float, int]:
    """Customers brought up to date and all signals looked for: seconds and queries."""
    from psaltery.connections.models import Feed
    from psaltery.kit.clock import now
    from psaltery.signals import service

    moment = now() + timedelta(days=days)
    # Everything was just read: what is too old is not judged, and costs nothing.
    Feed.objects.update(finished_at=moment)
    started = perf_counter()
    with statements() as seen:
        found = service.look(moment)
    assert found["invoice_overdue"], found
    return perf_counter() - started, len(seen)


def _begin(rig: Any) -> None:
    """One real row of everything."""
    from psaltery.posting.models import Link

    world.close_invoices(rig, 1, 1)
    rig.sync()
    link = Link.objects.select_related("document").get()
    rig.pay(link, Decimal("10.00"), str(link.document.issued_on))
    rig.sync()


def _fill(count: int, customers: int, first: int = 0) -> None:
    """`count` more invoices on both sides, of `customers` more customers."""
    _customers(customers, first)
    numbers = f"generate_series({first + 1}, {first + count}) AS n"
    values = _Of(customers, first)
    _documents(numbers, values)
    _books(numbers, values)
    analyse()


class _Of:
    """SQL of what belongs to the row `n`; hashed, because a remainder would repeat itself."""

    def __init__(self, customers: int, first: int) -> None:
        self.customer = f"'{first}-' || (n % {customers})"
        self.day = "current_date - ((hashint4(n::int) & 1048575) % 1500)"
        # The last month's, and a few that were forgotten.
        recent = "(hashint4(n::int) & 1048575) % 1500 < 30"
        self.is_open = f"({recent} OR (hashint4(n::int + 7) & 255) = 0)"
        self.external = "'copy-' || n"


def _row(model: Any) -> Any:
    found = model.objects.order_by("pk").first()
    assert found is not None, model
    return found.pk


def _customers(count: int, first: int) -> None:
    """Companies with contacts, agreements, additions, tickets and hours."""
    from psaltery.desk.models import Addition, Agreement, Company, Ticket, TimeEntry
    from psaltery.ledger.models import Customer
    from psaltery.mapping.models import ContactLink

    key = f"'{first}-' || n"
    some, name = f"generate_series(0, {count - 1}) AS n", f"'Customer {first} ' || n"
    of = {"company_external_id": key}
    multiply("desk_companies", _row(Company), among=some, external_id=key, name=name,
             identifier=key, is_vendor="false", deleted="false")  # fmt: skip
    multiply("customers", _row(Customer), among=some, external_id=key, name=name,
             name_key=f"lower({name})", is_customer="true", state="'active'",
             merged_into="''")  # fmt: skip
    linked = f"(SELECT id, external_id, name FROM desk_companies WHERE external_id LIKE '{first}-%'"
    multiply("mapping_contactlink", _row(ContactLink), company_id="d.id",
             among=f"{linked} AND substr(external_id, {len(str(first)) + 2})::int % 10 <> 0) AS d",
             contact_external_id="d.external_id", contact_name="d.name")  # fmt: skip
    multiply("desk_agreements", _row(Agreement), among=some, external_id=key, name="'Managed'",
             state="'active'", billing_cycle="'Monthly'", starts_on="current_date - 700",
             ends_on="NULL", **of)  # fmt: skip
    three = f"(SELECT n, m FROM {some}, generate_series(1, 3) AS m) AS each"
    multiply("desk_additions", _row(Addition), among=three, external_id=f"{key} || '-' || m",
             agreement_external_id=key)  # fmt: skip
    forty = f"(SELECT n, m, (hashint4(n * 40 + m) & 65535) % 365 AS ago FROM {some},"
    forty += " generate_series(1, 40) AS m) AS each"
    each = {"external_id": f"{key} || '-' || m", **of}
    multiply("desk_tickets", _row(Ticket), among=forty, opened_at="now() - ago * interval '1 day'",
             closed="m % 10 > 0", closed_at="now() - ago * interval '1 day'", **each)  # fmt: skip
    multiply("desk_time_entries", _row(TimeEntry), among=forty, worked_on="current_date - ago",
             **each)  # fmt: skip


def _documents(numbers: str, values: _Of) -> None:
    from psaltery.desk.models import Document
    from psaltery.posting.models import Link, Posting

    link = Link.objects.order_by("pk").first()
    assert link is not None
    multiply("desk_documents", _row(Document), among=numbers, external_id=values.external,
             number="'D-' || n", company_external_id=values.customer, issued_on=values.day,
             agreement="CASE WHEN n % 5 = 0 THEN 'Managed' ELSE '' END",
             balance=f"CASE WHEN {values.is_open} THEN old.total ELSE 0 END")  # fmt: skip
    new = "(SELECT d.id, substr(d.external_id, 6) AS n FROM desk_documents d LEFT JOIN"
    new += " posting_posting p ON p.document_id = d.id WHERE p.document_id IS NULL) AS d"
    posting = Posting.objects.get(document=link.document_id)
    multiply("posting_posting", posting.pk, among=new, document_id="d.id")
    multiply("posting_link", link.pk, among=new.replace("posting_posting", "posting_link"),
             document_id="d.id", books_id="'copy-' || d.n", number="'D-' || d.n",
             draft="'{}'", linked_at="now() - interval '1 day'",
             written_at="now() - interval '1 day'")  # fmt: skip


def _books(numbers: str, values: _Of) -> None:
    from psaltery.ledger.models import BillingInvoice, BillingPayment

    multiply("billing_invoices", _row(BillingInvoice), among=numbers, external_id=values.external,
             number="'D-' || n", customer_external_id=values.customer, issued_on=values.day,
             due_on=f"{values.day} + 14", fully_paid_on=f"{values.day} + 14 + (n % 30)::int",
             status=f"CASE WHEN {values.is_open} THEN 'authorised' ELSE 'paid' END",
             amount_due=f"CASE WHEN {values.is_open} THEN old.total ELSE 0 END")  # fmt: skip
    multiply("billing_payments", _row(BillingPayment), among=numbers, external_id=values.external,
             invoice_external_id=values.external, paid_on=f"{values.day} + 14")  # fmt: skip
