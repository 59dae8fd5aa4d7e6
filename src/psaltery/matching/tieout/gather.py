"""Lays both sides of an organisation's receivables beside each other, in the database.

Only what is open on either side is taken, so the work grows with the open documents, not with all.
The rows lie in a temporary table of the transaction: the memory used here is one slice of them.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection

from psaltery.connections.models import Organisation

# Enough for few round trips, little enough for the memory of a small machine.
SLICE = 2_000

# What counts in the books: drafts and voided documents owe nothing (matching/tieout/decide.py).
_OPEN_BOOKS = """
CREATE TEMPORARY TABLE tieout_open ON COMMIT DROP AS
SELECT 'invoice' AS kind, external_id, number, status, total, amount_due AS due, currency,
       customer_external_id AS customer, customer_name AS name, updated_at, amount_due AS open
FROM billing_invoices
WHERE organisation_id = %(org)s AND kind = 'receivable' AND amount_due > 0
  AND status NOT IN ('draft', 'submitted', 'voided', 'deleted')
UNION ALL
SELECT 'credit_note', external_id, number, status, total, remaining, currency,
       customer_external_id, customer_name, updated_at, -remaining
FROM billing_credit_memos
WHERE organisation_id = %(org)s AND kind = 'receivable' AND remaining <> 0
  AND status NOT IN ('draft', 'submitted', 'voided', 'deleted')
UNION ALL
SELECT touch, external_id, reference, status, total, remaining, currency,
       customer_external_id, customer_name, updated_at, -remaining
FROM billing_unallocated
WHERE organisation_id = %(org)s AND kind = 'receivable' AND remaining <> 0
  AND status NOT IN ('draft', 'submitted', 'voided', 'deleted');
ANALYZE tieout_open
"""

# Documents of the PSA that are open there, or linked to what is open in the books.
_WANTED = """
CREATE TEMPORARY TABLE tieout_wanted ON COMMIT DROP AS
SELECT d.id
FROM desk_documents d
LEFT JOIN posting_link l ON l.document_id = d.id
LEFT JOIN posting_posting p ON p.document_id = d.id
WHERE d.kind IN ('invoice', 'credit_memo') AND d.balance <> 0 AND d.closed AND NOT d.gone
  AND COALESCE(l.organisation_id, p.organisation_id) IS NOT DISTINCT FROM %(org)s
UNION
SELECT l.document_id
FROM tieout_open o
JOIN posting_link l
  ON l.organisation_id = %(org)s AND l.books_kind = o.kind AND l.books_id = o.external_id;
ANALYZE tieout_wanted
"""

_PAIRS = """
CREATE TEMPORARY TABLE tieout_pairs ON COMMIT DROP AS
WITH known AS (
    SELECT external_id, name, COALESCE(NULLIF(merged_into, ''), external_id) AS survivor
    FROM customers WHERE organisation_id = %(org)s
), sides AS (
    SELECT d.id AS document, d.connection_id AS site, d.external_id AS psa_id,
           d.number AS psa_number, d.kind AS psa_kind,
           COALESCE(NULLIF(d.currency, ''), %(base)s) AS psa_currency,
           COALESCE(k.survivor, cl.contact_external_id,
                    'company:' || d.connection_id || ':' || d.company_external_id) AS psa_customer,
           COALESCE(k.name, d.company_name) AS psa_name,
           d.total AS psa_total, d.balance, d.closed, d.gone,
           CASE WHEN d.gone OR NOT d.closed THEN 0
                WHEN d.kind = 'credit_memo' THEN -d.balance ELSE d.balance END AS psa_open,
           COALESCE(p.state, '') AS state, COALESCE(p.why, '') AS why,
           l.id IS NOT NULL AS linked, GREATEST(l.linked_at, l.written_at) AS linked_at,
           COALESCE(l.books_kind, '') AS books_kind, COALESCE(l.books_id, '') AS books_id,
           COALESCE(bi.number, bc.number) AS books_number,
           COALESCE(bi.status, bc.status) AS status,
           COALESCE(bi.total, bc.total) AS books_total,
           COALESCE(bi.amount_due, bc.remaining) AS due,
           COALESCE(bi.currency, bc.currency) AS books_currency,
           COALESCE(bi.customer_external_id, bc.customer_external_id) AS books_contact,
           COALESCE(bi.customer_name, bc.customer_name) AS books_name,
           COALESCE(bi.updated_at, bc.updated_at) AS books_at
    FROM tieout_wanted w
    JOIN desk_documents d ON d.id = w.id
    LEFT JOIN posting_posting p ON p.document_id = d.id
    LEFT JOIN posting_link l ON l.document_id = d.id
    LEFT JOIN desk_companies co
      ON co.connection_id = d.connection_id AND co.external_id = d.company_external_id
    LEFT JOIN mapping_contactlink cl ON cl.company_id = co.id AND cl.organisation_id = %(org)s
    LEFT JOIN known k ON k.external_id = cl.contact_external_id
    LEFT JOIN billing_invoices bi
      ON l.books_kind = 'invoice' AND bi.organisation_id = %(org)s AND bi.external_id = l.books_id
    LEFT JOIN billing_credit_memos bc
      ON l.books_kind = 'credit_note' AND bc.organisation_id = %(org)s
     AND bc.external_id = l.books_id
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '', '',
           false, NULL, o.kind, o.external_id, o.number, o.status, o.total, o.due, o.currency,
           o.customer, o.name, o.updated_at
    FROM tieout_open o
    WHERE NOT EXISTS (
        SELECT FROM posting_link l WHERE l.organisation_id = %(org)s
           AND l.books_kind = o.kind AND l.books_id = o.external_id)
)
SELECT row_number() OVER () AS seq, s.*, COALESCE(k.survivor, s.books_contact) AS books_customer,
       COALESCE(o.open, 0) AS books_open
FROM sides s
LEFT JOIN known k ON k.external_id = s.books_contact
LEFT JOIN tieout_open o ON o.kind = s.books_kind AND o.external_id = s.books_id;
ALTER TABLE tieout_pairs ADD PRIMARY KEY (seq);
ANALYZE tieout_pairs
"""

# Summed in the database from the rows themselves, independent of how they are explained.
_CUSTOMERS = """
INSERT INTO matching_tieoutcustomer
    (tieout_id, customer, name, currency, psa, books, difference, unexplained, documents)
SELECT %(tieout)s, customer, max(name), currency, sum(psa), sum(books), sum(psa) - sum(books), 0, 0
FROM (
    SELECT psa_customer AS customer, psa_name AS name, psa_currency AS currency,
           psa_open AS psa, 0 AS books
    FROM tieout_pairs WHERE document IS NOT NULL AND psa_open <> 0
    UNION ALL
    SELECT books_customer, books_name, books_currency, 0, books_open
    FROM tieout_pairs WHERE books_open <> 0
) sides
GROUP BY customer, currency
"""

# By the key, not by OFFSET, which would read all rows before it again for each slice.
_DIFFERING = """
SELECT * FROM tieout_pairs
WHERE seq > %s
  AND (psa_open <> books_open OR psa_customer IS DISTINCT FROM books_customer
       OR psa_currency IS DISTINCT FROM books_currency)
ORDER BY seq LIMIT %s
"""

# What of a difference its documents don't explain: reckoned from the stored rows, so that an error
# of the explanation would show here as well.
_UNEXPLAINED = """
UPDATE matching_tieoutcustomer c
SET documents = found.documents, unexplained = c.difference - found.explained
FROM (
    SELECT c.id, count(DISTINCT COALESCE(d.document_id::text, d.books_id)) AS documents,
           COALESCE(sum(d.amount) FILTER (WHERE d.cause <> 'unexplained'), 0) AS explained
    FROM matching_tieoutcustomer c
    LEFT JOIN matching_tieoutdocument d
      ON d.tieout_id = c.tieout_id AND d.customer = c.customer AND d.currency = c.currency
    WHERE c.tieout_id = %(tieout)s
    GROUP BY c.id
) found
WHERE c.id = found.id
"""


def lay_out(organisation: Organisation | None) -> None:
    """Fill the temporary table; an organisation of None takes what no rule sends anywhere."""
    values = {
        "org": organisation.pk if organisation else None,
        "base": organisation.base_currency if organisation else "",
    }
    for sql in (_OPEN_BOOKS, _WANTED, _PAIRS):
        _execute(sql, values)


def sum_up(tieout: int) -> None:
    """Store what each customer has open on both sides."""
    _execute(_CUSTOMERS, {"tieout": tieout})


def subtract(tieout: int) -> None:
    """Store for each customer what the stored documents leave unexplained."""
    _execute(_UNEXPLAINED, {"tieout": tieout})


def differing() -> Iterator[list[dict[str, Any]]]:
    """The rows that make a difference, some at a time."""
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_DIFFERING, [last, SLICE])
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if rows:
            yield rows
        if len(rows) < SLICE:
            return
        last = rows[-1]["seq"]


def _execute(sql: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        for statement in sql.split(";\n"):
            cursor.execute(statement, values if "%(" in statement else None)
