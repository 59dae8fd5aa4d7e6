"""Customers that go on as another: what people said of the one goes to the other.

A contact that is paired with a company, a contact that was merged in the books, a company that was
deleted in the PSA while its contact lives: each time one customer ends and another holds its
contacts.
"""

from collections.abc import Mapping, Sequence

from django.db import connection, models
from django.db.models import F
from django.dispatch import Signal

from psaltery.portfolio.models import AgreementChange, Customer

# Sent within the transaction, before those that end are forgotten; `heirs`: their ids, and whose.
# A signal because what hangs on customers lives in slices above this one.
succeeded = Signal()

# Two joins instead of one with OR: thousands may be paired in one pass.
_HEIRS = """
SELECT DISTINCT ON (ended) ended, heir FROM (
  SELECT p.id AS ended, k.customer_id AS heir, 0 AS place
  FROM portfolio_customers p JOIN portfolio_contacts k
    ON p.contact_key = k.organisation_id || ':' || k.external_id
  WHERE p.id = ANY(%(ended)s)
  UNION ALL
  SELECT p.id, k.customer_id, l.id FROM portfolio_customers p
  JOIN mapping_contactlink l ON l.company_id = p.company_id
  JOIN portfolio_contacts k ON k.organisation_id = l.organisation_id
    AND k.external_id = l.contact_external_id
  WHERE p.id = ANY(%(ended)s)
) found WHERE heir <> ALL(%(ended)s)
ORDER BY ended, place, heir"""


def hand_over(ended: Sequence[int]) -> dict[int, int]:
    """Give what people said of customers that end to those who hold their contacts now.

    The heir of each that has one. To be called in the transaction that forgets them.
    """
    if not ended:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_HEIRS, {"ended": list(ended)})
        heirs = dict(cursor.fetchall())
    if heirs:
        _billing(heirs)
        repoint(AgreementChange, "customer", heirs)
        succeeded.send(sender=Customer, heirs=heirs)
    return heirs


def repoint(model: type[models.Model], field: str, heirs: Mapping[int, int]) -> None:
    """Write the heir wherever this foreign key of a model names one that ends."""
    table, column = model._meta.db_table, f"{field}_id"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} t SET {column} = n.heir"  # noqa: S608 -- names of our own models
            " FROM unnest(%s::bigint[], %s::bigint[]) AS n(ended, heir)"
            f" WHERE t.{column} = n.ended",
            [list(heirs), list(heirs.values())],
        )


def _billing(heirs: Mapping[int, int]) -> None:
    """How they are billed, where somebody said so and nobody said otherwise of the heir."""
    normal = Customer.Billing.NORMAL
    for one in Customer.objects.filter(pk__in=heirs).exclude(billing=normal):
        heir = Customer.objects.filter(pk=heirs[one.pk], billing=normal)
        heir.update(billing=one.billing, billed_to=one.billed_to_id)
    repoint(Customer, "billed_to", heirs)
    # Billed to the one it has become: that is billed as usual.
    Customer.objects.filter(billed_to=F("pk")).update(billing=normal, billed_to=None)
