"""What is particular about bills: numbers are the vendor's, and nobody keeps them unique. Pure."""

from collections.abc import Sequence

from psaltery.posting.draft import is_purchase
from psaltery.posting.kinds import kind_of
from psaltery.posting.situation import Existing, Linked, Situation
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, Outcome
from psaltery.records.money import cents
from psaltery.records.psa import DocumentKind
from psaltery.review.reasons import Reason

_GONE = (Status.VOIDED, Status.DELETED)


def is_approved(situation: Situation, link: Linked) -> bool:
    """Whether somebody approved the bill in the books: what they saw is not changed behind them."""
    return (
        kind_of(situation) is BooksKind.BILL
        and link.status is Status.AUTHORISED
        and situation.book.policy.bill_status is not Status.AUTHORISED
    )


def doubt(situation: Situation) -> Reason | None:
    """Why a person must look at a bill before it is posted, whatever its lines say."""
    document = situation.document
    if document.kind is not DocumentKind.BILL:
        return None
    # Without the vendor's number nobody can see later that the same bill came twice.
    if not document.vendor_number and "vendor_number_missing" not in situation.waived:
        return _reason(
            situation,
            "vendor_number_missing",
            f"{document.number} was received from {document.company_name}, but the number of the "
            "vendor's invoice is not entered.",
        )
    twin = situation.twin
    if twin is None or situation.link is not None or "bill_twice" in situation.waived:
        return None
    stands = "is posted" if twin.posted else "comes first"
    return _reason(
        situation,
        "bill_twice",
        f"{document.company_name}'s invoice {document.vendor_number} was received twice: for "
        f"{twin.name}, which {stands}, and here for {document.total:,.2f} {document.currency}.",
    )


def _reason(situation: Situation, code: str, sentence: str) -> Reason:
    return Reason(
        code=code,
        about=f"document:{situation.document_id}",
        subject=situation.document.number,
        sentence=sentence,
    )


def is_of_another(situation: Situation, existing: Existing) -> bool:
    """Whether a bill of the books carries the link to another document of the PSA."""
    own = not existing.url or existing.url == situation.source_url
    return is_purchase(situation.document) and not own


def pick(situation: Situation, found: Sequence[Outcome]) -> Outcome | None:
    """The bill of the books that this document may be already; None when none is like it.

    Ours by its link; else of the same vendor and number; else of the same number and total, which
    is likely the same paper under another contact. A number alone says nothing: vendors choose
    their own.
    """
    live = [one for one in found if one.status not in _GONE]
    if "bill_taken" in situation.waived:
        # A person has said that those of the same number are others: only what is ours counts.
        live = [one for one in live if one.url and one.url == situation.source_url]
    contact, total = situation.contact_link_id, cents(situation.document.total)
    ours = [one for one in live if one.url and one.url == situation.source_url]
    same_vendor = [one for one in live if one.contact_id == contact]
    same_money = [one for one in live if cents(one.total) == total and not one.url]
    both = [one for one in same_money if one in same_vendor]
    # The surest first: what is likely only is not adopted but shown to a person.
    return next(iter([*ours, *both, *same_vendor, *same_money]), None)


def number_in_books(situation: Situation) -> str:
    """The number that the document has, or is going to have, in the books."""
    return (situation.books_number or situation.document.number).strip()
