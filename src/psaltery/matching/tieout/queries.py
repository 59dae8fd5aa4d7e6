"""Reads of stored tie-outs, for the pages and the command."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum

from psaltery.ledger.models import BillingInvoice
from psaltery.matching.models import TieOut, TieOutCustomer, TieOutDocument
from psaltery.matching.tieout.causes import LABELS, Cause
from psaltery.matching.tieout.service import NOWHERE, due_organisations, latest, sentence


def newest() -> list[TieOut]:
    """The last tie-out of each set of books; what has no organisation only while it has any."""
    found = [row for one in due_organisations() if (row := latest(one)) is not None]
    return [row for row in found if row.organisation_id or row.sums]


def name_of(row: TieOut) -> str:
    """The organisation, or what stands for none."""
    return str(row.organisation) if row.organisation else NOWHERE


def causes(row: TieOut) -> list[dict[str, Any]]:
    """What the difference is made of: one entry a cause and currency, the most money first."""
    grouped = TieOutDocument.objects.filter(tieout=row).values("cause", "currency").order_by()
    found = grouped.annotate(sum=Sum("amount"), papers=Count("pk"))
    entries = [
        {
            "cause": one["cause"],
            "label": LABELS[Cause(one["cause"])],
            "currency": one["currency"],
            "amount": one["sum"],
            "documents": one["papers"],
        }
        for one in found
    ]
    return sorted(entries, key=_weight)


def _weight(entry: dict[str, Any]) -> tuple[bool, Decimal]:
    # What nothing explains stands first, however small.
    return entry["cause"] != Cause.UNEXPLAINED, -abs(entry["amount"])


def customers(row: TieOut) -> QuerySet[TieOutCustomer]:
    """Customers with what each side has."""
    return TieOutCustomer.objects.filter(tieout=row)


def differing(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Customers whose two sides differ, or whose documents cancel out."""
    return rows.filter(~Q(difference=0) | Q(documents__gt=0))


def documents(row: TieOut) -> QuerySet[TieOutDocument]:
    """The documents that make the difference, with the number of the mirrored invoice."""
    mirrored = BillingInvoice.objects.filter(
        organisation=row.organisation_id, external_id=OuterRef("books_id")
    )
    rows = TieOutDocument.objects.filter(tieout=row)
    return rows.annotate(invoice_pk=Subquery(mirrored.values("pk")[:1]))


def history(row: TieOut, most: int = 14) -> list[TieOut]:
    """Earlier tie-outs of the same books, newest first."""
    rows = TieOut.objects.filter(organisation=row.organisation, at__lt=row.at)
    return list(rows.select_related("organisation").order_by("-at")[:most])


def as_data(row: TieOut, *, documents: bool) -> dict[str, Any]:
    """A tie-out as the command tells it."""
    told: dict[str, Any] = {
        "tieout": row.pk,
        "organisation": name_of(row),
        "state": row.state,
        "at": row.at,
        "psa_as_of": row.psa_as_of,
        "books_as_of": row.books_as_of,
        "stale": row.stale,
        "sentence": sentence(row),
        "sums": row.sums,
        "causes": causes(row),
    }
    if documents:
        told["documents"] = list(_plain(TieOutDocument.objects.filter(tieout=row)))
    return told


def _plain(rows: Iterable[TieOutDocument]) -> Iterable[dict[str, Any]]:
    for row in rows:
        yield {
            "customer": row.name,
            "currency": row.currency,
            "cause": row.cause,
            "amount": row.amount,
            "number": row.number,
            "sentence": row.sentence,
            "exception": row.card_id,
        }
