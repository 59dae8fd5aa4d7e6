"""Receipts in the PSA that carry the same invoice number of the same vendor."""

from collections.abc import Iterable, Sequence

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.posting.models import Posting
from psaltery.posting.situation import Twin
from psaltery.records.psa import DocumentKind

_Key = tuple[int, str, str]


def twins(organisation: Organisation, rows: Sequence[Document]) -> dict[int, Twin]:
    """Document id → the other receipt that goes before it: the one that is posted, else the older.

    One query, and none where there are no bills.
    """
    bills = [row for row in rows if row.kind == DocumentKind.BILL and row.vendor_number]
    if not bills:
        return {}
    others = (
        Document.objects.filter(
            kind=DocumentKind.BILL,
            vendor_number__in={row.vendor_number for row in bills},
            company_external_id__in={row.company_external_id for row in bills},
            posting__organisation=organisation,
            gone=False,
            closed=True,
        )
        # What was skipped or is worth nothing takes no place from another receipt.
        .exclude(total=0)
        .exclude(posting__state=Posting.State.SKIPPED)
        .select_related("link")
        .defer("lines")
        .order_by("pk")
    )
    found = _by_key(others)
    pairs = ((row, _before(row, found.get(_key(row), []))) for row in bills)
    return {row.pk: _twin(other) for row, other in pairs if other is not None}


def _key(row: Document) -> _Key:
    return row.connection_id, row.company_external_id, row.vendor_number


def _by_key(rows: Iterable[Document]) -> dict[_Key, list[Document]]:
    found: dict[_Key, list[Document]] = {}
    for row in rows:
        found.setdefault(_key(row), []).append(row)
    return found


def _before(row: Document, same: Sequence[Document]) -> Document | None:
    others = [other for other in same if other.pk != row.pk]
    posted = [other for other in others if _is_posted(other)]
    older = [other for other in others if other.pk < row.pk]
    # One of two must go through: the older waits for nobody unless the younger is posted.
    return next(iter([*posted, *older]), None)


def _is_posted(row: Document) -> bool:
    return hasattr(row, "link")


def _twin(row: Document) -> Twin:
    name = f"{row.reference} ({row.total:,.2f} {row.currency})"
    return Twin(name=name, posted=_is_posted(row))
