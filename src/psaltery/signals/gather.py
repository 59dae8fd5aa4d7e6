"""The facts that the formulas judge, read for all customers in a fixed number of queries."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Exists, OuterRef

from psaltery.kit.text import comparable_name
from psaltery.ledger.models import Customer as BooksContact
from psaltery.portfolio import gather as money
from psaltery.portfolio.models import Customer, CustomerContact
from psaltery.portfolio.recurring import Contract, is_active, month_start
from psaltery.signals.formulas import (
    OpenInvoice,
    Pair,
    Proof,
    Revenue,
    Service,
    Unpaired,
    Work,
    invoice_overdue,
)
from psaltery.signals.health import Health, Paid
from psaltery.signals.thresholds import Thresholds

_ZERO = Decimal(0)

# Merged into another one, or closed as a duplicate: no work of its own. By the words of the status,
# whose names are the tenant's own.
_REAL = "status !~* '(merge|duplicat)'"

# HAVING in the statement: only customers with enough work leave the database. A month begins where
# the MSP is: in Sydney its first day is hours old before UTC knows of it.
_SERVICE = f"""
SELECT p.id, sum(w.tickets), sum(w.hours) FROM (
  SELECT connection_id, company_external_id, 1 AS tickets, 0 AS hours FROM desk_tickets
  WHERE closed AND {_REAL} AND closed_at >= %(begins)s AND closed_at < %(ends)s
  UNION ALL
  SELECT connection_id, company_external_id, 0, hours FROM desk_time_entries
  WHERE worked_on >= %(first)s AND worked_on < %(next)s
) w
JOIN desk_companies c
  ON c.connection_id = w.connection_id AND c.external_id = w.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id
GROUP BY 1 HAVING sum(w.tickets) >= %(tickets)s OR sum(w.hours) >= %(hours)s"""  # noqa: S608

# Contacts of the books by customer. One contact may be several companies (their link tells): what
# it was invoiced may be for any of them.
_KNOWN = """(
  SELECT organisation_id, external_id, customer_id FROM portfolio_contacts
  UNION
  SELECT l.organisation_id, l.contact_external_id, p.id FROM mapping_contactlink l
  JOIN portfolio_customers p ON p.company_id = l.company_id)"""

# Net of credits and tax: an invoice that was credited in full covers nothing. Until the day of the
# look: who bills in arrears invoices the month in the first days of the next.
_NET = f"""
SELECT k.customer_id, d.currency, sum(d.amount) FROM (
  SELECT organisation_id, customer_external_id, currency, subtotal AS amount FROM billing_invoices
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid', 'submitted')
    AND issued_on >= %(first)s AND issued_on < %(until)s
  UNION ALL
  SELECT organisation_id, customer_external_id, currency, -subtotal FROM billing_credit_memos
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid')
    AND issued_on >= %(first)s AND issued_on < %(until)s
) d
JOIN {_KNOWN} k
  ON k.organisation_id = d.organisation_id AND k.external_id = d.customer_external_id
WHERE k.customer_id = ANY(%(customers)s) GROUP BY 1, 2"""  # noqa: S608

# Money on account (prepayments) may be for the work, so nobody is accused of having given it away;
# and an invoice over nothing says that somebody looked at the work and charged none.
_RECEIPTS = f"""
SELECT k.customer_id, count(*) FROM (
  SELECT organisation_id, customer_external_id FROM billing_unallocated
  WHERE kind = 'receivable' AND touch = 'prepayment'
    AND received_on >= %(first)s AND received_on < %(until)s
  UNION ALL
  SELECT organisation_id, customer_external_id FROM billing_invoices
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid') AND total = 0
    AND issued_on >= %(first)s AND issued_on < %(until)s
) u
JOIN {_KNOWN} k
  ON k.organisation_id = u.organisation_id AND k.external_id = u.customer_external_id
WHERE k.customer_id = ANY(%(customers)s) GROUP BY 1"""  # noqa: S608

# On their way to the books, perhaps held: that is an exception's matter, not a missing invoice.
_PSA_DOCUMENTS = """
SELECT p.id, count(*) FROM desk_documents d
JOIN desk_companies c
  ON c.connection_id = d.connection_id AND c.external_id = d.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id
WHERE d.kind = 'invoice' AND NOT d.gone AND d.subtotal >= 0
  AND d.issued_on >= %(first)s AND d.issued_on < %(until)s AND p.id = ANY(%(customers)s)
GROUP BY 1"""

# By the day where the books are: in Auckland it is tomorrow while Adelaide still works.
_OVERDUE = f"""
SELECT k.customer_id, i.id, i.number, i.status, i.amount_due, i.currency, i.due_on,
  {money.TODAY}, o.name
FROM billing_invoices i
JOIN connections_organisation o ON o.id = i.organisation_id
JOIN portfolio_contacts k
  ON k.organisation_id = i.organisation_id AND k.external_id = i.customer_external_id
WHERE i.amount_due > 0 AND i.kind = 'receivable' AND i.due_on < {money.TODAY}
ORDER BY i.due_on"""  # noqa: S608 -- of our own parts

# Against what was agreed to be written: a date moved out of a locked period is no drift.
_DRIFT = """
SELECT p.id, d.id, d.number, d.currency, coalesce(s.state, ''), d.total, d.gone,
  coalesce((l.draft->>'issued_on')::date, d.issued_on),
  coalesce(i.total, m.total), coalesce(i.status, m.status, ''), coalesce(i.issued_on, m.issued_on),
  coalesce(k.contact_external_id, ''),
  coalesce(i.customer_external_id, m.customer_external_id, ''), l.accepted, l.revert,
  l.organisation_id, coalesce(l.written_at, l.linked_at)
FROM posting_link l
JOIN desk_documents d ON d.id = l.document_id
LEFT JOIN posting_posting s ON s.document_id = d.id
JOIN desk_companies c
  ON c.connection_id = d.connection_id AND c.external_id = d.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id
LEFT JOIN billing_invoices i ON i.organisation_id = l.organisation_id
  AND i.external_id = l.books_id AND l.books_kind = 'invoice'
LEFT JOIN billing_credit_memos m ON m.organisation_id = l.organisation_id
  AND m.external_id = l.books_id AND l.books_kind = 'credit_note'
LEFT JOIN mapping_contactlink k ON k.organisation_id = l.organisation_id AND k.company_id = c.id
WHERE l.books_kind IN ('invoice', 'credit_note') AND (
  d.gone OR coalesce(i.total, m.total) IS NULL
  OR coalesce(i.status, m.status) IN ('voided', 'deleted')
  OR abs(d.total) <> abs(coalesce(i.total, m.total))
  OR coalesce((l.draft->>'issued_on')::date, d.issued_on) <> coalesce(i.issued_on, m.issued_on)
  OR k.contact_external_id <> coalesce(i.customer_external_id, m.customer_external_id))"""

# Stretches of 30 days, not months: February must not look like a fade.
_TICKETS = f"""
SELECT p.id, ((%(today)s::date - t.day) / 30) AS stretch, count(*)
FROM (SELECT connection_id, company_external_id, (opened_at AT TIME ZONE %(zone)s)::date AS day
      FROM desk_tickets WHERE opened_at > %(today)s::date - 122 AND {_REAL}) t
JOIN desk_companies c
  ON c.connection_id = t.connection_id AND c.external_id = t.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id
WHERE t.day > %(today)s::date - 120 AND t.day <= %(today)s::date
GROUP BY 1, 2"""  # noqa: S608

# Of those customers that nothing invoiced; all of them at once.
_WORKED = f"""
SELECT p.id, t.id, t.summary, t.actual_hours, (t.closed_at AT TIME ZONE %(zone)s)::date
FROM portfolio_customers p JOIN desk_companies c ON c.id = p.company_id
JOIN desk_tickets t ON t.connection_id = c.connection_id AND t.company_external_id = c.external_id
WHERE t.closed AND t.{_REAL} AND t.closed_at >= %(begins)s AND t.closed_at < %(ends)s
  AND p.id = ANY(%(customers)s)
ORDER BY t.closed_at, t.id"""  # noqa: S608
_TIMED = """
SELECT p.id, e.id, e.member, e.work_type, e.hours, e.rate, e.billable, e.worked_on
FROM portfolio_customers p JOIN desk_companies c ON c.id = p.company_id
JOIN desk_time_entries e
  ON e.connection_id = c.connection_id AND e.company_external_id = c.external_id
WHERE e.worked_on >= %(first)s AND e.worked_on < %(next)s AND p.id = ANY(%(customers)s)
ORDER BY e.worked_on, e.id"""

# Nine are all that the comparison of the last three with the six before needs.
_PAID = """
SELECT customer_id, late FROM (
  SELECT k.customer_id, i.fully_paid_on - i.due_on AS late,
    row_number() OVER (PARTITION BY k.customer_id ORDER BY i.fully_paid_on DESC, i.id DESC) AS n
  FROM billing_invoices i
  JOIN portfolio_contacts k
    ON k.organisation_id = i.organisation_id AND k.external_id = i.customer_external_id
  WHERE i.kind = 'receivable' AND i.status = 'paid' AND i.due_on IS NOT NULL
    AND i.fully_paid_on > %(today)s::date - 730 AND i.issued_on > %(today)s::date - 800
) x WHERE n <= 9 ORDER BY customer_id, n"""

_LONE_CONTACTS = """
SELECT b.organisation_id, b.id, b.name, b.state, b.is_supplier AND NOT b.is_customer, p.billing,
  (SELECT max(i.issued_on) FROM billing_invoices i WHERE i.organisation_id = b.organisation_id
     AND i.customer_external_id = b.external_id AND i.kind = 'receivable'
     AND i.status IN ('authorised', 'paid', 'submitted', 'draft')),
  p.outstanding, p.currency
FROM portfolio_customers p
JOIN portfolio_contacts k ON k.customer_id = p.id
JOIN customers b ON b.organisation_id = k.organisation_id AND b.external_id = k.external_id
WHERE p.company_id IS NULL"""

_LONE_COMPANIES = """
SELECT c.connection_id, c.id, c.name, p.billing, greatest(
  (SELECT max(d.issued_on) FROM desk_documents d WHERE d.connection_id = c.connection_id
     AND d.company_external_id = c.external_id AND NOT d.gone),
  (SELECT %(today)s::date FROM desk_agreements a WHERE a.connection_id = c.connection_id
     AND a.company_external_id = c.external_id AND a.state = 'active' LIMIT 1))
FROM portfolio_customers p
JOIN desk_companies c ON c.id = p.company_id
WHERE NOT EXISTS (SELECT 1 FROM portfolio_contacts k WHERE k.customer_id = p.id)
  AND NOT EXISTS (SELECT 1 FROM mapping_contactlink l WHERE l.company_id = c.id)"""


def leak_month(today: date, limits: Thresholds) -> date:
    """The month that is judged now: the last one, from the day on when its invoices are out."""
    return month_start(today, 1 if today.day >= limits.leak_day else 2)


def services(month: date, limits: Thresholds, zone: ZoneInfo) -> Iterator[tuple[Customer, Service]]:
    """Customers for whom enough was done in a month, with what may have invoiced it.

    The month is one of `zone`; the days of the PSA's documents and hours have no zone.
    """
    window = _window(month, zone, int(limits.leak_day))
    least = {"tickets": limits.leak_tickets, "hours": limits.leak_hours}
    wanted = [row[0] for row in _rows(_SERVICE, **window, **least)]
    net: dict[int, list[tuple[Decimal, str]]] = defaultdict(list)
    for customer, currency, amount in _rows(_NET, **window, customers=wanted):
        net[customer].append((amount, currency))
    receipts = dict(_rows(_RECEIPTS, **window, customers=wanted))
    documents = dict(_rows(_PSA_DOCUMENTS, **window, customers=wanted))
    # Only of those that nothing invoiced are the rows read.
    left = [
        one for one in wanted if one not in documents and all(sum_ <= 0 for sum_, _ in net[one])
    ]
    tickets, time = _tickets(window, left), _time(window, left)
    contracts = money.contracts(month)
    recurring = money.recurring_invoices(month_start(month, 12))
    for customer in Customer.objects.filter(pk__in=left).select_related("company"):
        yield (
            customer,
            Service(
                billing=customer.billing,
                known_since=customer.known_since,
                month=month,
                tickets=tickets[customer.pk],
                time=time[customer.pk],
                books_net=tuple(net[customer.pk]),
                receipts=receipts.get(customer.pk, 0),
                contracts=contracts.get(customer.pk, []),
                recurring=recurring.get(customer.pk, []),
                currency=_currency(customer),
            ),
        )


def _window(month: date, zone: ZoneInfo, days: int) -> dict[str, Any]:
    """The month's first day and the next one's, the moments at which they begin, and until when
    it may be invoiced."""
    following = month_start(month, -1)
    return {
        "first": month,
        "next": following,
        "until": following + timedelta(days=days),
        "begins": datetime(month.year, month.month, 1, tzinfo=zone),
        "ends": datetime(following.year, following.month, 1, tzinfo=zone),
        "zone": zone.key,
    }


def _currency(customer: Customer) -> str:
    return customer.currency or (customer.company.currency if customer.company else "")


def _tickets(window: dict[str, Any], customers: list[int]) -> dict[int, list[Proof]]:
    """What was resolved for each customer, by day."""
    found: dict[int, list[Proof]] = defaultdict(list)
    for customer, key, summary, hours, day in _rows(_WORKED, **window, customers=customers):
        detail = f"{hours.normalize():f} h"
        found[customer].append(Proof(kind="ticket", id=key, label=summary, detail=detail, day=day))
    return found


def _time(window: dict[str, Any], customers: list[int]) -> dict[int, list[Work]]:
    """What was worked for each customer, by day."""
    found: dict[int, list[Work]] = defaultdict(list)
    for customer, key, member, kind, hours, rate, billable, day in _rows(
        _TIMED, **window, customers=customers
    ):
        found[customer].append(
            Work(
                id=key,
                day=day,
                hours=hours,
                rate=rate,
                # ConnectWise's words: DoNotBill and NoCharge are work that was meant to be free.
                billable=billable in ("", "Billable"),
                label=f"{member}: {kind or 'work'}",
            )
        )
    return found


def lookalikes(customers: Iterable[Customer]) -> set[int]:
    """Of customers without a contact in the books, those whose name the books know."""
    # Of one name, so probably the same and only not linked: no work was given away there.
    keys = {comparable_name(one.name): one.pk for one in customers}
    found = BooksContact.objects.filter(name_key__in=[key for key in keys if key])
    return {keys[key] for key in found.values_list("name_key", flat=True)}


def overdue() -> dict[int, list[OpenInvoice]]:
    """The receivables past their due date, by customer."""
    found: dict[int, list[OpenInvoice]] = defaultdict(list)
    for customer, key, number, status, balance, currency, due, today, name in _rows(_OVERDUE):
        found[customer].append(
            OpenInvoice(
                id=key,
                number=number or "without number",
                status=status,
                balance=balance,
                currency=currency,
                due_on=due,
                today=today,
                organisation=name,
            )
        )
    return found


def revenues(today: date) -> dict[int, Revenue]:
    """Every customer's agreements and what they invoiced, for the last whole month."""
    month = month_start(today, 1)
    contracts = money.contracts(month)
    # A year back, because a yearly invoice covers its later months.
    invoices = money.recurring_invoices(month_start(month, 13))
    billing = dict(Customer.objects.filter(pk__in=contracts).values_list("pk", "billing"))
    return {
        customer: Revenue(
            billing=billing[customer],
            month=month,
            contracts=rows,
            invoices=invoices.get(customer, []),
        )
        for customer, rows in contracts.items()
    }


# What the books' own clock may lag behind what was written.
_SETTLES = timedelta(hours=1)


def pairs(books_as_of: dict[int, Any]) -> dict[int, list[Pair]]:
    """Linked documents that are not the same on both sides, by customer.

    `books_as_of`: until when each organisation's invoices were read; later writes are not judged.
    """
    found: dict[int, list[Pair]] = defaultdict(list)
    for row in _rows(_DRIFT):
        read = books_as_of.get(row[15])
        # Books read before our write can't show it yet; a revert that was asked for is not drift
        # any more.
        settled = not row[14] and read is not None and row[16] + _SETTLES < read
        accepted = frozenset(str(one.get("field", "")) for one in _list(row[13]))
        found[row[0]].append(
            Pair(
                id=row[1],
                number=row[2],
                currency=row[3],
                state=row[4],
                psa_total=row[5],
                psa_gone=row[6],
                psa_day=row[7],
                books_total=row[8],
                books_status=row[9],
                books_day=row[10],
                expected_contact=row[11],
                books_contact=row[12],
                accepted=accepted,
                settled=settled,
            )
        )
    return found


def _list(value: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(value) if isinstance(value, str) else value
    return found or []


def healths(
    today: date, late: dict[int, list[OpenInvoice]], limits: Thresholds, zone: ZoneInfo
) -> Iterator[tuple[Customer, Health]]:
    """Every customer with what its health is judged by."""
    tickets: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for customer, stretch, count in _rows(_TICKETS, today=today, zone=zone.key):
        tickets[customer][stretch] = count
    paid: dict[int, list[Paid]] = defaultdict(list)
    for customer, days in _rows(_PAID, today=today):
        paid[customer].append(Paid(days_late=days))
    contracts = money.contracts(today)
    # In chunks: thousands of customers need not be in memory at once.
    for one in Customer.objects.order_by("pk").iterator(chunk_size=2_000):
        mine = late.get(one.pk, [])
        finding = invoice_overdue(mine, limits)
        yield (
            one,
            Health(
                known_since=one.known_since,
                today=today,
                oldest_overdue_days=_oldest(mine),
                overdue=finding.money if finding else (),
                late_invoices=finding.evidence if finding else (),
                paid=paid.get(one.pk, []),
                tickets=tickets.get(one.pk, [0, 0, 0, 0]),
                tickets_known=one.company_id is not None,
                next_end=_next_end(contracts.get(one.pk, []), today),
                has_left=_has_left(contracts.get(one.pk, []), today),
            ),
        )  # fmt: skip


def _oldest(invoices: list[OpenInvoice]) -> int:
    return max((row.days_late for row in invoices if row.status == "authorised"), default=0)


def _next_end(contracts: list[Contract], today: date) -> date | None:
    ends = (row.ends_on for row in contracts if row.state == "active")
    return min((day for day in ends if day and day >= today), default=None)


def _has_left(contracts: list[Contract], today: date) -> bool:
    return bool(contracts) and not any(is_active(one, today) for one in contracts)


def lone_contacts() -> dict[int, list[Unpaired]]:
    """Contacts of each organisation's books that no company of the PSA is."""
    found: dict[int, list[Unpaired]] = defaultdict(list)
    for organisation, key, name, state, supplier, billing, used, owed, code in _rows(
        _LONE_CONTACTS
    ):
        found[organisation].append(
            Unpaired(
                id=key,
                kind="contact",
                name=name,
                supplier_only=supplier,
                archived=state != "active",
                billing=billing,
                last_used=used,
                outstanding=((owed, code),) if owed else (),
            )
        )
    return found


def lone_companies(today: date) -> dict[int, list[Unpaired]]:
    """Companies of each PSA that no contact of the books is."""
    found: dict[int, list[Unpaired]] = defaultdict(list)
    for site, key, name, billing, used in _rows(_LONE_COMPANIES, today=today):
        found[site].append(
            Unpaired(id=key, kind="company", name=name, billing=billing, last_used=used)
        )
    return found


def without_contact(customers: Iterable[int]) -> list[Customer]:
    """Of these customers, those that no contact of the books is linked to."""
    linked = CustomerContact.objects.filter(customer=OuterRef("pk"))
    return list(Customer.objects.filter(~Exists(linked), pk__in=list(customers)))


def _rows(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
