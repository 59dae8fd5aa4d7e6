"""What the mirrors say of all customers' money, read in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from psaltery.portfolio.recurring import Contract, RecurringInvoice

# Today where the customer's books are: a due date is a day there.
TODAY = "(now() AT TIME ZONE coalesce(nullif(o.time_zone, ''), 'UTC'))::date"

_OPEN = f"""
SELECT c.customer_id, i.currency,
  sum(i.amount_due) FILTER (WHERE i.due_on IS NULL OR i.due_on >= {TODAY}),
  sum(i.amount_due) FILTER (WHERE {TODAY} - i.due_on BETWEEN 1 AND 30),
  sum(i.amount_due) FILTER (WHERE {TODAY} - i.due_on BETWEEN 31 AND 60),
  sum(i.amount_due) FILTER (WHERE {TODAY} - i.due_on BETWEEN 61 AND 90),
  sum(i.amount_due) FILTER (WHERE {TODAY} - i.due_on > 90)
FROM billing_invoices i
JOIN connections_organisation o ON o.id = i.organisation_id
JOIN portfolio_contacts c
  ON c.organisation_id = i.organisation_id AND c.external_id = i.customer_external_id
WHERE i.amount_due > 0 AND i.kind = 'receivable' AND i.status = 'authorised'
  AND (%(one)s::bigint IS NULL OR c.customer_id = %(one)s)
GROUP BY 1, 2"""  # noqa: S608 -- of our own parts

# Of one customer, from the index: else everybody's invoices of two months would be read.
_MINE = """AND (organisation_id, customer_external_id) IN (
    SELECT organisation_id, external_id FROM portfolio_contacts WHERE customer_id = %(one)s)"""


def _month(mine: str) -> str:
    return f"""
SELECT c.customer_id, d.currency, sum(d.amount) FROM (
  SELECT organisation_id, customer_external_id, currency, issued_on, subtotal AS amount
  FROM billing_invoices
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid') AND issued_on >= %(since)s {mine}
  UNION ALL
  SELECT organisation_id, customer_external_id, currency, issued_on, -subtotal
  FROM billing_credit_memos
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid') AND issued_on >= %(since)s {mine}
) d
JOIN connections_organisation o ON o.id = d.organisation_id
JOIN portfolio_contacts c
  ON c.organisation_id = d.organisation_id AND c.external_id = d.customer_external_id
WHERE d.issued_on BETWEEN date_trunc('month', {TODAY})::date AND {TODAY}
GROUP BY 1, 2"""  # noqa: S608


_MONTH, _MONTH_OF_ONE = _month(""), _month(_MINE)

_CONTRACTS = """
SELECT p.id, a.external_id, a.name, coalesce(nullif(a.currency, ''), nullif(co.currency, ''), ''),
  a.bill_amount + coalesce((
    SELECT sum(x.quantity * x.unit_price) FROM desk_additions x
    WHERE x.connection_id = a.connection_id AND x.agreement_external_id = a.external_id
      AND x.billable AND coalesce(x.effective_on, %(today)s) <= %(today)s
      AND coalesce(x.cancelled_on, %(today)s) >= %(today)s), 0),
  a.billing_cycle, a.type, a.state, a.starts_on, a.ends_on, a.next_invoice_on
FROM desk_agreements a
JOIN desk_companies co
  ON co.connection_id = a.connection_id AND co.external_id = a.company_external_id
JOIN portfolio_customers p ON p.company_id = co.id
WHERE (%(one)s::bigint IS NULL OR p.id = %(one)s)
ORDER BY p.id, a.name"""

_RECURRING = """
SELECT p.id, d.agreement, d.currency,
  CASE d.kind WHEN 'credit_memo' THEN -abs(d.subtotal) ELSE d.subtotal END, d.issued_on
FROM desk_documents d
JOIN desk_companies co
  ON co.connection_id = d.connection_id AND co.external_id = d.company_external_id
JOIN portfolio_customers p ON p.company_id = co.id
WHERE d.kind IN ('invoice', 'credit_memo') AND d.agreement <> '' AND NOT d.gone
  AND d.issued_on >= %(since)s
  AND (%(one)s::bigint IS NULL OR p.id = %(one)s)"""

BUCKETS = ("not_due", "days_30", "days_60", "days_90", "older")
Sums = dict[tuple[int, str], Decimal]


def receivables(one: int | None = None) -> dict[tuple[int, str], dict[str, Decimal]]:
    """What each customer owes, by currency and by days past due; of one customer, or of all."""
    return {
        (row[0], row[1]): {
            name: amount or Decimal(0) for name, amount in zip(BUCKETS, row[2:], strict=True)
        }
        for row in _rows(_OPEN, one=one)
    }


def invoiced_this_month(today: date, one: int | None = None) -> Sums:
    """Net of tax and credits, by currency; `today` is the latest day anywhere."""
    # Where it is another day already, the month may be another one too.
    since = today.replace(day=1)
    before = date(since.year - (since.month == 1), (since.month - 2) % 12 + 1, 1)
    rows = _rows(_MONTH if one is None else _MONTH_OF_ONE, one=one, since=before)
    return {(row[0], row[1]): row[2] for row in rows}


def contracts(today: date, one: int | None = None) -> dict[int, list[Contract]]:
    """The agreements of each customer, ended ones too, with what a period of each bills."""
    found: dict[int, list[Contract]] = defaultdict(list)
    names = ("id", "name", "currency", "amount", "cycle", "type", "state",
             "starts_on", "ends_on", "next_invoice_on")  # fmt: skip
    for row in _rows(_CONTRACTS, one=one, today=today):
        found[row[0]].append(Contract(**dict(zip(names, row[1:], strict=True))))
    return found


def recurring_invoices(since: date, one: int | None = None) -> dict[int, list[RecurringInvoice]]:
    """What agreements invoiced each customer since a day, credits negative."""
    found: dict[int, list[RecurringInvoice]] = defaultdict(list)
    for customer, agreement, currency, amount, day in _rows(_RECURRING, one=one, since=since):
        found[customer].append(
            RecurringInvoice(agreement=agreement, currency=currency, amount=amount, issued_on=day)
        )
    return found


def _rows(statement: str, **values: Any) -> Iterable[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
