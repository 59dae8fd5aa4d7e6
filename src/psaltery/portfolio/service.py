"""Keeps the customers and their money in step with the mirrors."""

import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from psaltery.audit.service import record_change
from psaltery.connections.mirror import store
from psaltery.kit.clock import now
from psaltery.portfolio import agreements, gather, recurring, succession
from psaltery.portfolio.models import Customer, CustomerMoney

# The number of our advisory lock: one process at a time works it out.
_LOCK = 41_004

# In this order: companies, contacts linked to them, contacts that are nobody's yet.
_CUSTOMERS = (
    """INSERT INTO portfolio_customers (name, company_id, billing, currency, outstanding, overdue,
         invoiced, contracted, risk, risk_points, risk_reasons)
       SELECT c.name, c.id, 'normal', '', 0, 0, 0, 0, 'unknown', 0, '[]'
       FROM desk_companies c WHERE NOT c.is_vendor AND NOT c.deleted
       ON CONFLICT (company_id) DO UPDATE SET name = excluded.name
       WHERE portfolio_customers.name <> excluded.name""",
    """INSERT INTO portfolio_contacts (organisation_id, external_id, customer_id)
       SELECT DISTINCT ON (l.organisation_id, l.contact_external_id)
         l.organisation_id, l.contact_external_id, p.id
       FROM mapping_contactlink l JOIN portfolio_customers p ON p.company_id = l.company_id
       JOIN desk_companies c ON c.id = l.company_id AND NOT c.deleted AND NOT c.is_vendor
       WHERE l.contact_external_id <> ''
       ORDER BY l.organisation_id, l.contact_external_id, p.id
       ON CONFLICT (organisation_id, external_id)
       DO UPDATE SET customer_id = excluded.customer_id
       WHERE portfolio_contacts.customer_id <> excluded.customer_id""",
    # A link that was undone, or a company that is gone: the contact is a customer of its own
    # again, with what it owes.
    """DELETE FROM portfolio_contacts k USING portfolio_customers p
       WHERE p.id = k.customer_id AND p.company_id IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM mapping_contactlink l
         JOIN desk_companies c ON c.id = l.company_id AND NOT c.deleted AND NOT c.is_vendor
         WHERE l.organisation_id = k.organisation_id
           AND l.contact_external_id = k.external_id AND l.company_id = p.company_id)""",
    """INSERT INTO portfolio_customers (name, contact_key, billing, currency, outstanding, overdue,
         invoiced, contracted, risk, risk_points, risk_reasons)
       SELECT b.name, b.organisation_id || ':' || b.external_id, 'normal', '', 0, 0, 0, 0,
         'unknown', 0, '[]'
       FROM customers b WHERE b.is_customer AND b.merged_into = '' AND NOT EXISTS (
         SELECT 1 FROM mapping_contactlink l
         JOIN desk_companies c ON c.id = l.company_id AND NOT c.deleted AND NOT c.is_vendor
         WHERE l.organisation_id = b.organisation_id AND l.contact_external_id = b.external_id)
       ON CONFLICT (contact_key) DO UPDATE SET name = excluded.name
       WHERE portfolio_customers.name <> excluded.name""",
    """INSERT INTO portfolio_contacts (organisation_id, external_id, customer_id)
       SELECT b.organisation_id, b.external_id, p.id
       FROM portfolio_customers p
       JOIN customers b ON p.contact_key = b.organisation_id || ':' || b.external_id
       ON CONFLICT (organisation_id, external_id) DO NOTHING""",
    # Merged in the books before anybody linked it: it is whoever the survivor is.
    """UPDATE portfolio_contacts k SET customer_id = s.customer_id
       FROM customers b JOIN portfolio_contacts s
         ON s.organisation_id = b.organisation_id AND s.external_id = b.merged_into
       WHERE b.merged_into <> '' AND k.organisation_id = b.organisation_id
         AND k.external_id = b.external_id AND k.customer_id <> s.customer_id
         AND NOT EXISTS (SELECT 1 FROM mapping_contactlink l
           WHERE l.organisation_id = k.organisation_id
             AND l.contact_external_id = k.external_id)""",
    """UPDATE portfolio_customers p SET known_since = least(
         (SELECT min(a.starts_on) FROM desk_agreements a WHERE a.connection_id = c.connection_id
            AND a.company_external_id = c.external_id),
         (SELECT min(d.issued_on) FROM desk_documents d WHERE d.connection_id = c.connection_id
            AND d.company_external_id = c.external_id),
         (SELECT min(t.opened_at)::date FROM desk_tickets t WHERE t.connection_id = c.connection_id
            AND t.company_external_id = c.external_id))
       FROM desk_companies c
       WHERE c.id = p.company_id AND (p.known_since IS NULL OR %(thorough)s)""",
    # The first of all its contacts: an UPDATE takes only one row of a join, and any of them.
    """UPDATE portfolio_customers p SET known_since = least(p.known_since, f.first)
       FROM (SELECT k.customer_id, min(m.day) AS first
             FROM portfolio_customers q JOIN portfolio_contacts k ON k.customer_id = q.id,
             LATERAL (SELECT min(i.issued_on) AS day FROM billing_invoices i
               WHERE i.organisation_id = k.organisation_id
                 AND i.customer_external_id = k.external_id) m
             WHERE q.known_since IS NULL OR %(thorough)s GROUP BY 1) f
       WHERE f.customer_id = p.id AND p.known_since IS DISTINCT FROM least(p.known_since, f.first)
       """,
)

# Companies that are none any more, and contacts that became a company's.
_ENDED = """
SELECT p.id FROM portfolio_customers p LEFT JOIN desk_companies c ON c.id = p.company_id
WHERE c.deleted OR c.is_vendor OR p.company_id IS NULL AND NOT EXISTS (
  SELECT 1 FROM portfolio_contacts k WHERE k.customer_id = p.id)"""

_RISKS = """
UPDATE portfolio_customers p SET risk = n.risk, risk_points = n.points, risk_reasons = n.reasons
FROM jsonb_to_recordset(%s::jsonb) AS n(id bigint, risk text, points integer, reasons jsonb)
WHERE p.id = n.id AND (p.risk, p.risk_points, p.risk_reasons)
  IS DISTINCT FROM (n.risk, n.points, n.reasons)"""

# The currency in which most is owed, or else promised, stands for the customer in the list.
_SUMMARY = """
UPDATE portfolio_customers p SET currency = m.currency, outstanding = m.outstanding,
  overdue = m.overdue, invoiced = m.invoiced_month, contracted = m.contracted_mrr
FROM (
  SELECT DISTINCT ON (customer_id) customer_id, currency, invoiced_month, contracted_mrr,
    days_30 + days_60 + days_90 + older AS overdue,
    not_due + days_30 + days_60 + days_90 + older AS outstanding
  FROM portfolio_money
  ORDER BY customer_id, 6 DESC, contracted_mrr DESC, invoiced_month DESC, currency
) m
WHERE m.customer_id = p.id AND (p.currency, p.outstanding, p.overdue, p.invoiced, p.contracted)
  IS DISTINCT FROM (m.currency, m.outstanding, m.overdue, m.invoiced_month, m.contracted_mrr)"""

_NO_MONEY = """
UPDATE portfolio_customers p SET outstanding = 0, overdue = 0, invoiced = 0, contracted = 0
WHERE NOT EXISTS (SELECT 1 FROM portfolio_money m WHERE m.customer_id = p.id)
  AND (outstanding, overdue, invoiced, contracted) IS DISTINCT FROM (0, 0, 0, 0)"""

SALES_MONTHS = 13
_SALES = """
INSERT INTO portfolio_sales (currency, month, total)
SELECT currency, date_trunc('month', issued_on)::date, sum(amount) FROM (
  SELECT currency, issued_on, total AS amount FROM billing_invoices
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid') AND issued_on >= %s
  UNION ALL
  SELECT currency, issued_on, -total FROM billing_credit_memos
  WHERE kind = 'receivable' AND status IN ('authorised', 'paid') AND issued_on >= %s
) d GROUP BY 1, 2"""

_AMOUNTS = (*gather.BUCKETS, "invoiced_month", "contracted_mrr", "invoiced_mrr")


def refresh(*, thorough: bool = False) -> bool:
    """Bring all customers, their money and the changes of their agreements up to date.

    `thorough` also looks again since when each is known. False when another process is at it.
    """
    with transaction.atomic():
        if not _may_work():
            return False
        with connection.cursor() as cursor:
            for statement in _CUSTOMERS:
                cursor.execute(statement, {"thorough": thorough})
        _forget_ended()
        _money(now().date())
        _sales(now().date())
        agreements.note_changes(now())
    return True


def _forget_ended() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ENDED)
        ended = [row[0] for row in cursor.fetchall()]
    succession.hand_over(ended)
    # With what refers to them, which Django knows and the statements above don't.
    Customer.objects.filter(pk__in=ended).delete()


def _may_work() -> bool:
    with connection.cursor() as cursor:
        # Tried, not waited for: who comes second would only do the same work again. It ends with
        # the transaction, also when the process dies.
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _money(today: date) -> None:
    rows = money_rows(today)
    values = [[*key, *(row[name] for name in _AMOUNTS)] for key, row in rows.items()]
    store(
        CustomerMoney,
        ("customer_id", "currency"),
        ("customer_id", "currency", *_AMOUNTS),
        values,
        aside=(),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM portfolio_money m WHERE NOT EXISTS (SELECT 1 FROM unnest(%s::bigint[],"
            " %s::text[]) AS k(c, y) WHERE k.c = m.customer_id AND k.y = m.currency)",
            [[key[0] for key in rows], [key[1] for key in rows]],
        )
        cursor.execute(_SUMMARY)
        cursor.execute(_NO_MONEY)


def _sales(today: date) -> None:
    """A year of sales by month: what the receivables are measured by."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM portfolio_sales")
        cursor.execute(_SALES, [recurring.month_start(today, SALES_MONTHS - 1)] * 2)


Row = dict[str, Decimal]


def money_rows(today: date, one: int | None = None) -> dict[tuple[int, str], Row]:
    """Every customer's money, one row a currency; of one customer, or of all. Four queries."""
    rows: dict[tuple[int, str], Row] = {}

    def row_of(key: tuple[int, str]) -> Row:
        return rows.setdefault(key, dict.fromkeys(_AMOUNTS, Decimal(0)))

    for key, buckets in gather.receivables(one).items():
        row_of(key).update(buckets)
    for key, amount in gather.invoiced_this_month(today, one).items():
        row_of(key)["invoiced_month"] = amount
    found = gather.contracts(today, one)
    month = recurring.month_start(today, 1)
    invoices = gather.recurring_invoices(recurring.month_start(today, 13), one)
    for customer, contracts in found.items():
        for currency, amount in recurring.contracted(contracts, today).items():
            row_of((customer, currency))["contracted_mrr"] = amount
    for customer, made in invoices.items():
        cycles = {contract.name: contract.cycle for contract in found.get(customer, [])}
        for currency, amount in recurring.invoiced(made, cycles, month).items():
            row_of((customer, currency))["invoiced_mrr"] = amount
    return {key: row for key, row in rows.items() if any(row.values())}


def set_billing(customer: Customer, billing: str, billed_to: Customer | None) -> None:
    """Say how a customer is billed: signals about missing invoices stay silent accordingly."""
    with transaction.atomic():
        customer.billing = billing
        customer.billed_to = billed_to if billing == Customer.Billing.PARENT else None
        customer.save(update_fields=["billing", "billed_to"])
        how = Customer.Billing(billing).label
        if customer.billed_to:
            how += f" ({customer.billed_to.name})"
        record_change(f"{customer.name} is {how}.", operation="customer.billing")


def set_risks(rows: Iterable[tuple[int, str, int, list[Any]]]) -> None:
    """Store what was found of each customer's risk: id, band, points, reasons."""
    names = ("id", "risk", "points", "reasons")
    found = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(_RISKS, [found])
