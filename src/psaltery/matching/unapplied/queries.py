"""Money that is not applied, and the open invoices of its customer that the PSA has."""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import OuterRef, QuerySet, Subquery

from psaltery.connections.models import Organisation
from psaltery.ledger.models import BillingInvoice, Customer, Unallocated
from psaltery.matching.unapplied.decide import Candidate, Money, Open, rank
from psaltery.posting.models import Link
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind


def left_over(organisation: Organisation) -> QuerySet[Unallocated]:
    """What customers paid and of what something is left."""
    return Unallocated.objects.filter(
        organisation=organisation,
        kind="receivable",
        remaining__gt=0,
        status=Status.AUTHORISED,
    )


def candidates(
    organisation: Organisation, money: Iterable[Unallocated]
) -> list[tuple[Unallocated, list[Candidate]]]:
    """Each piece of money that may be for an invoice of the PSA, with its candidates."""
    rows = list(money)
    if not rows:
        return []
    survivors = _survivors(organisation)
    invoices = _open_invoices(organisation, survivors, rows)
    found = [(row, rank(_money(row), invoices[_of(row, survivors)])) for row in rows]
    return [(row, ranked) for row, ranked in found if ranked]


def _of(row: Unallocated | BillingInvoice, survivors: dict[str, str]) -> str:
    return survivors.get(row.customer_external_id, row.customer_external_id)


def _money(row: Unallocated) -> Money:
    return Money(left=row.remaining, currency=row.currency, reference=row.reference)


def _survivors(organisation: Organisation) -> dict[str, str]:
    """Contact that was merged away → the one that is left of it."""
    merged = Customer.objects.filter(organisation=organisation).exclude(merged_into="")
    return dict(merged.values_list("external_id", "merged_into"))


def _open_invoices(
    organisation: Organisation, survivors: dict[str, str], money: Iterable[Unallocated]
) -> dict[str, list[Open]]:
    """By customer (the survivor): what is open in the books and linked to the PSA."""
    wanted = {_of(row, survivors) for row in money}
    wanted |= {lost for lost, left in survivors.items() if left in wanted}
    links = Link.objects.filter(
        organisation=organisation,
        books_kind=BooksKind.INVOICE,
        books_id=OuterRef("external_id"),
    )
    rows = (
        BillingInvoice.objects.filter(
            organisation=organisation,
            kind="receivable",
            status=Status.AUTHORISED,
            amount_due__gt=0,
            customer_external_id__in=wanted,
        )
        .annotate(document=Subquery(links.values("document_id")[:1]))
        .exclude(document=None)
    )
    found: dict[str, list[Open]] = defaultdict(list)
    for row in rows:
        found[_of(row, survivors)].append(_open(row))
    return found


def _open(row: BillingInvoice) -> Open:
    return Open(
        invoice=row.external_id,
        document=row.document,  # type: ignore[attr-defined]
        number=row.number,
        due=row.amount_due,
        currency=row.currency,
        issued_on=row.issued_on,
        due_on=row.due_on,
    )
