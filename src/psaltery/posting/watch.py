"""Watches what becomes of posted documents in the books: drift is shown, never undone by itself."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from psaltery.connections.models import Organisation
from psaltery.ledger.models import BillingInvoice, BillingInvoiceLine
from psaltery.mapping.models import ContactLink
from psaltery.posting.drift import BooksLine, BooksState, Difference, compare, sentence
from psaltery.posting.merged import follow
from psaltery.posting.models import Link
from psaltery.records.books import CreditNote, Invoice, Status
from psaltery.records.drafts import Action, BooksKind, Draft
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release

TOPIC = "drift"


def examine(organisation: Organisation, invoice_ids: Collection[str]) -> int:
    """Compare linked invoices that changed in the books with what we wrote; returns how many drift.

    Must run inside the page's transaction.
    """
    links = _linked(organisation, [BooksKind.INVOICE], invoice_ids)
    return _examine(organisation, links, _states(organisation, [link.books_id for link in links]))


def examine_records(organisation: Organisation, records: Iterable[object]) -> int:
    """The same for bills and credit notes, whose lines the mirror does not keep: as just read.

    Must run inside the page's transaction.
    """
    read = {
        one.external_id: state
        for one in records
        if isinstance(one, Invoice | CreditNote) and (state := _state(one)) is not None
    }
    links = _linked(organisation, [BooksKind.BILL, BooksKind.CREDIT_NOTE], read)
    return _examine(organisation, links, read)


def _linked(organisation: Organisation, kinds: list[BooksKind], ids: Collection[str]) -> list[Link]:
    """Documents of ours among these; what was adopted has no draft to compare with."""
    rows = Link.objects.filter(
        organisation=organisation, books_kind__in=kinds, books_id__among=list(ids)
    )
    return list(rows.exclude(draft={}).select_related("document")) if ids else []


def _state(one: Invoice | CreditNote) -> BooksState | None:
    if isinstance(one, Invoice) and one.kind == "receivable":
        return None
    return BooksState(
        number=one.number, contact_id=one.customer_id, contact_name=one.customer_name,
        status=one.status, issued_on=one.issued_on, reference=one.reference, total=one.total,
        due_on=one.due_on if isinstance(one, Invoice) else None, tax=one.tax,
        lines=tuple(
            BooksLine(
                description=line.description, quantity=line.quantity, tracking=line.tracking,
                unit_amount=line.unit_amount, account_code=line.account_code,
                tax_type=line.tax_type,
            )
            for line in one.lines
        ),
    )  # fmt: skip


def _examine(
    organisation: Organisation, links: list[Link], states: Mapping[str, BooksState]
) -> int:
    if not links:
        return 0
    names = _contact_names(organisation, links)
    held = []
    for link in links:
        state = states.get(link.books_id)
        # Not told yet, and not released either: the next read tells which it was.
        if state is None or _under_way(link):
            continue
        draft = msgspec.convert(link.draft, Draft, strict=False)
        name = names.get(draft.contact_id, "")
        found = compare(follow(organisation, draft, state.contact_id), state, name)
        if found and msgspec.to_builtins(list(found)) != link.accepted:
            held.append(Held(link.document, organisation, [_reason(link, found)]))
        else:
            release([link.document_id], "It is as we wrote it, or was accepted.", topic=TOPIC)
    hold(held, topic=TOPIC)
    return len(held)


def _under_way(link: Link) -> bool:
    """A write of ours that is not settled yet explains any difference."""
    if link.document.reissues.filter(done_at=None).exists():
        return True
    return link.document.attempts.filter(
        state__in=("booked", "uncertain"), action__in=(Action.UPDATE, Action.VOID)
    ).exists()


def _reason(link: Link, found: tuple[Difference, ...]) -> Reason:
    gone = found[0].field == "status"
    return Reason(
        code="voided_in_books" if gone else "drift",
        about=f"drift:{link.document_id}",
        subject=link.number,
        sentence=sentence(link.number, link.organisation.name, found),
        details={"differences": msgspec.to_builtins(list(found)), "books_id": link.books_id},
    )


def _states(organisation: Organisation, ids: list[str]) -> dict[str, BooksState]:
    lines: dict[str, list[BooksLine]] = defaultdict(list)
    rows = BillingInvoiceLine.objects.filter(
        organisation=organisation, invoice_external_id__in=ids
    ).order_by("invoice_external_id", "position")
    for row in rows:
        lines[row.invoice_external_id].append(
            BooksLine(
                description=row.description,
                quantity=row.quantity,
                unit_amount=row.unit_amount,
                account_code=row.account_code,
                tax_type=row.tax_type,
                tracking=tuple(row.tracking),
            )
        )
    invoices = BillingInvoice.objects.filter(organisation=organisation, external_id__in=ids)
    return {
        row.external_id: BooksState(
            number=row.number, contact_id=row.customer_external_id,
            contact_name=row.customer_name, status=Status(row.status), issued_on=row.issued_on,
            due_on=row.due_on, reference=row.reference, total=row.total, tax=row.tax,
            lines=tuple(lines[row.external_id]),
        )
        for row in invoices
    }  # fmt: skip


def _contact_names(organisation: Organisation, links: list[Link]) -> dict[str, str]:
    ids = {link.draft.get("contact_id", "") for link in links}
    rows = ContactLink.objects.filter(organisation=organisation, contact_external_id__in=ids)
    return dict(rows.values_list("contact_external_id", "contact_name"))


def accept(link: Link, differences: list[dict[str, object]]) -> None:
    """The books stay as they are; these differences are no longer told."""
    Link.objects.filter(pk=link.pk).update(accepted=differences)


def revert(link: Link) -> None:
    """What we wrote is to be written again."""
    # What was accepted before was of another state: it is told again if it comes back.
    Link.objects.filter(pk=link.pk).update(revert=True, accepted=[])
