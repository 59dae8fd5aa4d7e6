"""What the documents of an organisation ask the mappings for: read for their coverage."""

from datetime import date

from django.db import connection

from psaltery.connections.models import Organisation
from psaltery.mapping.coverage import Use
from psaltery.mapping.lookup import PURCHASE_LISTS, what_of
from psaltery.posting.policy import posted_kinds, read_policy
from psaltery.records.money import ZERO
from psaltery.records.psa import PURCHASES, DocumentLine

# One row for all lines that ask for the same; what a line lacks its document says.
_USES = """
    SELECT COALESCE(line->>'source', ''), COALESCE(line->>'product', ''),
           COALESCE(line->>'category', ''), COALESCE(line->>'work_type', ''),
           COALESCE(line->>'work_role', ''), COALESCE(line->>'expense_type', ''),
           COALESCE(NULLIF(line->>'agreement_type', ''), d.agreement_type),
           COALESCE((line->>'taxable')::boolean, true),
           COALESCE(NULLIF(line->>'tax_code', ''), d.tax_code),
           COALESCE(NULLIF(line->>'location', ''), d.location),
           COALESCE(NULLIF(line->>'department', ''), d.department),
           d.currency, SUM((line->>'amount')::numeric), COUNT(*), ARRAY_AGG(d.id)
    FROM desk_documents d
    JOIN posting_posting p ON p.document_id = d.id
    CROSS JOIN LATERAL jsonb_array_elements(d.lines) AS line
    WHERE p.organisation_id = %s AND d.issued_on >= %s AND d.closed AND NOT d.gone
      AND d.kind = ANY(%s) AND d.total <> 0
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
"""


def uses(organisation: Organisation, since: date, list_: str) -> list[Use]:
    """The uses of documents that a list answers for: routed to an organisation, of the kinds that
    it posts, issued since a day; one query."""
    # Grouped by PostgreSQL: a page does not read a year of lines to count them.
    with connection.cursor() as cursor:
        cursor.execute(_USES, [organisation.pk, since, _kinds(organisation, list_)])
        rows = cursor.fetchall()
    return [
        Use(
            line=DocumentLine(
                key="", source=row[0], description="", quantity=ZERO, unit_price=ZERO, amount=ZERO,
                product=row[1], category=row[2], work_type=row[3], work_role=row[4],
                expense_type=row[5], agreement_type=row[6], taxable=row[7], tax_code=row[8],
                location=row[9], department=row[10],
            ),
            currency=row[11] or organisation.base_currency,
            amount=row[12],
            lines=row[13],
            documents=frozenset(row[14]),
        )
        for row in rows
    ]  # fmt: skip


def _kinds(organisation: Organisation, list_: str) -> list[str]:
    """Accounts and taxes are mapped apart for what is sold and what is bought; tracking is not."""
    posted = posted_kinds(read_policy(organisation.settings))
    if what_of(list_) == "tracking":
        return [str(kind) for kind in posted]
    bought = list_ in PURCHASE_LISTS
    return [str(kind) for kind in posted if (kind in PURCHASES) == bought]
