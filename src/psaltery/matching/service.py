"""Which documents need a look at their payments. Cheap writes, inside the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from psaltery.connections.models import Organisation
from psaltery.ledger.models import BillingPayment
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Link
from psaltery.records.drafts import BooksKind


def books_changed(organisation: Organisation, invoice_ids: Iterable[str]) -> int:
    """Money on these invoices of the books changed: their linked documents wait for matching."""
    links = Link.objects.filter(organisation=organisation, books_id__among=list(invoice_ids))
    return _wait(organisation, links.values_list("document_id", flat=True))


def unreconciled(organisation: Organisation) -> int:
    """Whether payments count before they are reconciled was changed: those that are not are looked
    at again."""
    rows = BillingPayment.objects.filter(
        organisation=organisation, touch="payment", reconciled=False, state="active"
    )
    return books_changed(organisation, rows.values_list("invoice_external_id", flat=True))


def linked(organisation: Organisation, document_ids: Iterable[int]) -> int:
    """Documents were linked: money may already lie on them in the books."""
    links = Link.objects.filter(organisation=organisation, document_id__in=list(document_ids))
    _credit_notes_linked(organisation, links)
    by_invoice = dict(links.values_list("books_id", "document_id"))
    paid = BillingPayment.objects.filter(
        organisation=organisation, invoice_external_id__in=by_invoice, state="active"
    ).values_list("invoice_external_id", flat=True)
    return _wait(organisation, {by_invoice[invoice] for invoice in paid})


def overlooked(organisation: Organisation, since: datetime | None = None) -> list[int]:
    """Linked documents (since then) with money on them in the books that nobody has looked at.

    A process may die between a link and `linked`; and the money may have been stored in the very
    moment of the link, when neither transaction could see the other.
    """
    links = Link.objects.filter(
        organisation=organisation,
        books_kind=BooksKind.INVOICE,
        document__payment_back__isnull=True,
    )
    if since is not None:
        links = links.filter(linked_at__gte=since)
    money = BillingPayment.objects.filter(
        organisation=organisation, invoice_external_id=OuterRef("books_id"), state="active"
    )
    return list(links.filter(Exists(money)).values_list("document_id", flat=True))


def _credit_notes_linked(organisation: Organisation, links: QuerySet[Link]) -> None:
    """What they settle was counted as cash until now: those invoices are looked at again."""
    credit_notes = links.filter(books_kind=BooksKind.CREDIT_NOTE).values("books_id")
    settled = BillingPayment.objects.filter(
        organisation=organisation, touch="credit_note", touch_external_id__in=credit_notes
    )
    books_changed(organisation, settled.values_list("invoice_external_id", flat=True))


def _wait(organisation: Organisation, document_ids: Iterable[int]) -> int:
    rows = [
        PaymentBack(document_id=document, organisation=organisation)
        for document in set(document_ids)
    ]
    known = {back.pk: back for back in PaymentBack.objects.filter(pk__in=[row.pk for row in rows])}
    # Inside the page's transaction: no money is read without its document being looked at.
    PaymentBack.objects.bulk_create([row for row in rows if row.pk not in known])
    # One that is being written keeps its state: it is looked at again when it is settled.
    calm = (PaymentBack.State.IN_STEP, PaymentBack.State.HELD)
    # All of them, also those being written: the flag is what the end of a write looks at.
    PaymentBack.objects.filter(pk__in=known).update(dirty=True)
    PaymentBack.objects.filter(pk__in=known, state__in=calm).update(state=PaymentBack.State.WAITING)
    return len(rows)
