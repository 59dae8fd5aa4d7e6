"""The documents of the books that PSA documents are, or may be: read from the mirror, in bulk."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.desk import models as desk
from psaltery.ledger.models import BillingCreditMemo, BillingInvoice
from psaltery.posting.kinds import BOOKS_KINDS
from psaltery.posting.models import Link
from psaltery.posting.situation import Existing, Linked
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, Draft
from psaltery.records.psa import DocumentKind

_GONE = (Status.VOIDED, Status.DELETED)


class Counterparts:
    """Invoices and credit notes with the ids or numbers in question; three queries."""

    def __init__(
        self, organisation: Organisation, rows: Sequence[desk.Document], links: Iterable[Link]
    ) -> None:
        ids = [link.books_id for link in links]
        numbers = [row.number for row in rows if row.number]
        wanted = Q(external_id__in=ids) | Q(number__in=numbers)
        self._found: dict[tuple[str, str], Any] = {}
        for kind, model in _MIRRORS.items():
            # Only numbers of what is sold are unique in the books; bills are asked for in bills.py.
            found = model.objects.filter(wanted, organisation=organisation, kind="receivable")
            self._found |= {(kind, row.external_id): row for row in found}
        linked = Link.objects.filter(
            organisation=organisation, books_id__in=[key[1] for key in self._found]
        )
        taken = set(linked.values_list("books_kind", "books_id"))
        self._free = {
            (kind, row.number): row
            for (kind, books_id), row in self._found.items()
            # A voided one is no answer to its number: nothing can be collected with it.
            if (kind, books_id) not in taken and row.status not in _GONE
        }

    def unlinked(self, row: desk.Document) -> Existing | None:
        """A live document of the same type and number that is linked to nothing."""
        found = self._free.get((BOOKS_KINDS[DocumentKind(row.kind)], row.number))
        return existing(found) if found is not None else None

    def of(self, link: Link) -> Linked:
        """What we know of a linked document: the mirror where it has it, else what was said."""
        row = self._found.get((link.books_kind, link.books_id))
        status = Status(row.status) if row else Status(link.status or Status.UNKNOWN)
        return Linked(
            books_id=link.books_id,
            kind=link.books_kind,
            number=link.number,
            fingerprint=link.fingerprint,
            status=status,
            has_money=row is not None and _has_money(row),
            total=link.total,
            tax=link.tax,
            revert=link.revert,
            posted=msgspec.convert(link.draft, Draft, strict=False) if link.draft else None,
        )


_MIRRORS: dict[str, Any] = {
    BooksKind.INVOICE: BillingInvoice,
    BooksKind.CREDIT_NOTE: BillingCreditMemo,
}


def _has_money(row: BillingInvoice | BillingCreditMemo) -> bool:
    if isinstance(row, BillingCreditMemo):
        # Part of the credit was used or refunded: to change the note now would undo that.
        return row.remaining != row.total
    return bool(row.amount_paid or row.amount_credited)


def existing(row: Any) -> Existing:
    """A mirrored invoice or credit note as decisions see it."""
    return Existing(
        books_id=row.external_id, number=row.number, contact_id=row.customer_external_id,
        contact_name=row.customer_name, total=row.total, tax=row.tax, currency=row.currency,
        status=Status(row.status), issued_on=row.issued_on,
    )  # fmt: skip
