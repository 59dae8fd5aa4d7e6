"""Bills as the books have them now: the mirror holds receivables only, so the books are asked.

Nothing keeps a bill's number unique in Xero (reference/xero.md 3.6): each is looked up before it is
created, by its number and by the link to the PSA that it carries.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from psaltery.adapters.contract import Books
from psaltery.connections.models import Organisation
from psaltery.ledger.models import Customer
from psaltery.posting.draft import is_purchase
from psaltery.posting.kinds import kind_of
from psaltery.posting.models import Link
from psaltery.posting.plan import Planned
from psaltery.posting.policy import posted_kinds
from psaltery.posting.purchases import number_in_books, pick
from psaltery.posting.situation import Existing, Linked, Situation
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, Outcome
from psaltery.records.money import cents

replace = msgspec.structs.replace


def ask_books(organisation: Organisation, planned: Sequence[Planned], books: Books) -> None:
    """Put into each situation what the books have of its bill now.

    One call for each 50 new bills, and one for each posted bill that changed in the PSA. Raises the
    failures of the books.
    """
    for one in planned:
        if one.situation.link is not None:
            # Before an edit: what was approved or paid meanwhile must not be written over.
            one.situation = _with_link(one.situation, one.situation.link, books)
    new = [one for one in planned if _is_new(one.situation)]
    # Bills, money spent and orders are asked for at different addresses, each once for all numbers.
    for kind in dict.fromkeys(kind_of(one.situation) for one in new):
        some = [one for one in new if kind_of(one.situation) is kind]
        found = _free(organisation, kind, [number_in_books(one.situation) for one in some], books)
        names = _names(organisation, found)
        for one in some:
            like = pick(one.situation, found.get(number_in_books(one.situation).casefold(), ()))
            existing = _existing(one.situation, like, names) if like is not None else None
            one.situation = replace(one.situation, existing=existing)


def _is_new(situation: Situation) -> bool:
    """Whether it may be created now; a bill without a contact comes again when it has one."""
    document = situation.document
    return (
        situation.link is None
        and bool(situation.contact_link_id)
        and document.closed
        and not situation.gone
        and bool(document.number and document.total)
        and document.kind in posted_kinds(situation.book.policy)
    )


def _with_link(situation: Situation, link: Linked, books: Books) -> Situation:
    # No call for what nobody changed: a day has 1,000 to 5,000 of them for each organisation.
    # https://developer.xero.com/documentation/guides/oauth2/limits/
    unchanged = link.fingerprint == situation.fingerprint and not link.revert
    if situation.billed and link.status is not Status.BILLED:
        unchanged = False
    now = None if unchanged else books.get_document(kind_of(situation), link.books_id)
    if now is None:
        return situation
    # Less due than the total is how a payment or a credit on it shows in an answer.
    moved = now.status is Status.AUTHORISED and cents(now.amount_due) != cents(now.total)
    return replace(situation, link=replace(link, status=now.status, has_money=moved))


def _free(
    organisation: Organisation, kind: BooksKind, numbers: Sequence[str], books: Books
) -> dict[str, list[Outcome]]:
    """Bills of these numbers that no document is linked to, by number."""
    if not numbers:
        return {}
    found = books.find_documents(kind, list(dict.fromkeys(numbers)))
    links = Link.objects.filter(
        organisation=organisation, books_id__in=[one.external_id for one in found]
    )
    taken = set(links.values_list("books_id", flat=True))
    free: dict[str, list[Outcome]] = defaultdict(list)
    for one in found:
        if one.external_id not in taken:
            # Whoever types a vendor's number in the books minds no capitals.
            free[one.number.casefold()].append(one)
    return free


def _names(organisation: Organisation, found: dict[str, list[Outcome]]) -> dict[str, str]:
    ids = {one.contact_id for group in found.values() for one in group}
    rows = Customer.objects.filter(organisation=organisation, external_id__in=ids) if ids else ()
    return {row.external_id: row.name for row in rows}


def _existing(situation: Situation, found: Outcome, names: dict[str, str]) -> Existing:
    return Existing(
        books_id=found.external_id,
        number=found.number,
        contact_id=found.contact_id,
        contact_name=names.get(found.contact_id, "another contact"),
        total=found.total,
        tax=found.tax,
        currency=situation.document.currency,
        status=found.status,
        url=found.url,
    )


def apart(planned: Sequence[Planned]) -> tuple[list[Planned], list[Planned]]:
    """The documents that are in the mirror, and the bills, which are not."""
    # Apart, so that a failure to ask about bills leaves the invoices already sent.
    bills = [one for one in planned if is_purchase(one.situation.document)]
    return [one for one in planned if not is_purchase(one.situation.document)], bills
