"""What is to happen to one document. Pure: no database, no HTTP, no clock.

"Why was invoice 4711 not sent?" is answered here.
"""

from typing import Any

import msgspec

from psaltery.mapping.contacts import Unsure, choose, reference
from psaltery.posting import locks, purchases
from psaltery.posting.draft import build, explain, is_purchase
from psaltery.posting.policy import posted_kinds
from psaltery.posting.reissue.steps import Way, plan
from psaltery.posting.situation import Existing, Linked, Situation
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, ContactDraft, Draft
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import Company, DocumentKind
from psaltery.review.reasons import Reason

Trace = dict[str, Any]


class Create(msgspec.Struct, frozen=True):
    draft: Draft
    trace: Trace


class Update(msgspec.Struct, frozen=True):
    draft: Draft
    trace: Trace


class Void(msgspec.Struct, frozen=True):
    """Remove what was posted; no money has moved on it."""

    books_id: str
    delete: bool  # a draft is deleted, an approved document voided
    why: str


class Adopt(msgspec.Struct, frozen=True):
    """The document is already in the books: link it, write nothing."""

    existing: Existing
    why: str


class NewContact(msgspec.Struct, frozen=True):
    """The contact must be made before the document."""

    draft: ContactDraft


class LinkContact(msgspec.Struct, frozen=True):
    """The company is this contact; decide again with it."""

    contact_id: str
    name: str
    how: str


class Nothing(msgspec.Struct, frozen=True):
    """In step. `settles`: the PSA changed, but nothing that the books show."""

    why: str
    settles: bool = False


class Skip(msgspec.Struct, frozen=True):
    """Deliberately not posted; listed with its reason."""

    why: str


class Hold(msgspec.Struct, frozen=True):
    reasons: tuple[Reason, ...]


Decision = Create | Update | Void | Adopt | NewContact | LinkContact | Nothing | Skip | Hold

_EDITABLE = (Status.DRAFT, Status.SUBMITTED, Status.AUTHORISED)


def decide(situation: Situation) -> Decision:
    """The one thing to do now for this document."""
    # What is in the books goes first: whatever the PSA says now, it is never made a second time.
    if situation.link is not None:
        return _linked(situation, situation.link)
    document = situation.document
    if situation.gone or not document.closed:
        return Skip("It was removed or reopened in the PSA before it was posted.")
    if document.kind not in posted_kinds(situation.book.policy):
        return Skip(f"{_WORDS[document.kind]} are not posted here.")
    # Sent now it would only stand beside its bill: Xero turns no order into one.
    if document.kind is DocumentKind.PURCHASE_ORDER and document.balance == ZERO:
        return Skip("All of it was received: its bill stands for it.")
    if document.total == ZERO:
        return Skip("The total is zero: there is nothing to collect or to pay.")
    # The contact before the number: only with it can a document of that number be told as ours.
    return _first_problem(situation) or _contact(situation) or _new(situation)


_WORDS = {
    DocumentKind.INVOICE: "Invoices",
    DocumentKind.CREDIT_MEMO: "Credit memos",
    DocumentKind.BILL: "Bills from procurement",
    DocumentKind.EXPENSE: "Expenses",
    DocumentKind.PURCHASE_ORDER: "Purchase orders",
}


def _linked(situation: Situation, link: Linked) -> Decision:
    if situation.gone:
        # The deletion was dealt with before: nobody is asked again.
        if link.fingerprint == situation.fingerprint:
            return Nothing("It is gone from the PSA; the books keep what they have.")
        return _gone(situation, link)
    if not situation.document.closed:
        return _reopened(situation, link)
    if link.status is Status.BILLED:
        return Nothing("Its bill has come: the order is billed in the books.", settles=True)
    if link.fingerprint == situation.fingerprint and not link.revert and not situation.billed:
        return Nothing("The books have it as the PSA has it.")
    # Shaped before it is judged: an edit of what the books don't show needs no person.
    shaped = build(situation, external_id=link.books_id)
    if isinstance(shaped, Draft) and _shows(link, shaped) and not _wants_more(situation, link):
        return Nothing("Nothing that the books show has changed.", settles=True)
    return (
        _not_editable(situation, link) or _behind_lock(situation, link) or _edit(situation, shaped)
    )


def _edit(situation: Situation, shaped: Draft | tuple[Reason, ...]) -> Decision:
    problem = _first_problem(situation) or _locked(situation) or _contact(situation)
    if problem is not None:
        return problem
    if isinstance(shaped, Draft):
        return Update(shaped, explain(situation, shaped))
    return Hold(shaped)


def _wants_more(situation: Situation, link: Linked) -> bool:
    """Whether the books are written to though they show the same lines."""
    return link.revert or situation.billed


def _shows(link: Linked, draft: Draft) -> bool:
    """Whether the books show all that this draft says already."""
    # Of an adopted document only the sums are known; its lines were somebody else's.
    if link.posted is None:
        return (cents(link.total), cents(link.tax)) == (draft.total, draft.tax)
    return _content(link.posted) == _content(draft)


def _content(draft: Draft) -> tuple[Any, ...]:
    # Not the amounts of lines: the books compute those themselves.
    lines = [
        (
            *(line.description, line.quantity, line.unit_amount, line.account_code),
            *(line.tax_type, line.tax_amount, line.item_code, line.tracking),
        )
        for line in draft.lines
    ]
    head = (draft.number, draft.issued_on, draft.due_on, draft.currency, draft.tax_mode)
    return (*head, draft.reference, draft.contact_id, draft.total, draft.tax, lines)


def _not_editable(situation: Situation, link: Linked) -> Hold | None:
    if purchases.is_approved(situation, link):
        return _hold(situation, "status_not_editable", "was approved in the books, and it")
    if link.status in (Status.VOIDED, Status.DELETED):
        return _hold(situation, "voided_in_books", "was voided or deleted in the books, and it")
    # Xero changes no amounts under a payment or a credit, and to take those off is for a person.
    # https://developer.xero.com/documentation/api/accounting/invoices
    if link.has_money or link.status is Status.PAID:
        return _hold(situation, "has_payments", "has payments or credits in the books, and it")
    if link.status not in _EDITABLE:
        return _hold(situation, "status_not_editable", "can't be edited in the books, and it")
    return None


def _behind_lock(situation: Situation, link: Linked) -> Hold | None:
    """What is locked is not changed, also where the books would allow it."""
    if not locks.is_behind_lock(situation, link):
        return None
    return _hold(situation, "locked_edit", "lies in a locked period of the books, and it")


def _gone(situation: Situation, link: Linked) -> Decision:
    if link.status in (Status.VOIDED, Status.DELETED):
        return Nothing("It is gone from both sides.", settles=True)
    if link.has_money or link.status is Status.PAID:
        number = situation.document.number
        sentence = f"{number} was deleted in the PSA, but money lies on it in the books."
        return Hold((_about_document(situation, "has_payments", sentence, **_ways(situation)),))
    if purchases.is_approved(situation, link):
        sentence = f"{situation.document.number} was deleted in the PSA, but approved in the books."
        return Hold((_about_document(situation, "status_not_editable", sentence),))
    if locks.is_behind_lock(situation, link):
        number = situation.document.number
        sentence = f"{number} was deleted in the PSA, but lies in a locked period of the books."
        return Hold((_about_document(situation, "locked_edit", sentence, **_ways(situation)),))
    # The books delete what was never posted to the ledger, and void what was.
    by_delete = link.status in (Status.DRAFT, Status.SUBMITTED)
    return Void(link.books_id, by_delete, "It was deleted in the PSA.")


def _reopened(situation: Situation, link: Linked) -> Decision:
    """To reopen is how ConnectWise edits: the books wait for what it becomes."""
    number = situation.document.number
    sentence = f"{number} was reopened in the PSA; the books keep it as it was until it is closed."
    return Hold((_about_document(situation, "reopened", sentence),))


def _hold(situation: Situation, code: str, what: str) -> Hold:
    number = situation.document.number
    sentence = f"{number} {what} has changed in the PSA since it was posted."
    return Hold((_about_document(situation, code, sentence, **_ways(situation)),))


def _ways(situation: Situation) -> dict[str, Any]:
    """What a person may have done about an invoice that can't be edited, in words."""
    link, document = situation.link, situation.document
    if link is None or link.status not in (Status.AUTHORISED, Status.PAID):
        return {}
    kind, current = link.as_posted()
    if kind != BooksKind.INVOICE:
        return {}
    way, name = (Way.CREDIT_ONLY, "credit_it") if situation.gone else (Way.CREDIT, "credit_anew")
    words = plan(way, document.number, current, cents(link.total), document.total)
    return {"plan": {name: words}}


def _about_document(situation: Situation, code: str, sentence: str, **details: Any) -> Reason:
    return Reason(
        code=code,
        about=f"document:{situation.document_id}",
        subject=situation.document.number,
        sentence=sentence,
        details=details,
    )


def _first_problem(situation: Situation) -> Hold | None:
    """What makes a document unpostable whatever its lines say."""
    document, book = situation.document, situation.book
    if not document.number:
        return Hold((_about_document(situation, "number_missing", "It has no number."),))
    doubt = purchases.doubt(situation)
    if doubt is not None:
        return Hold((doubt,))
    # The books take no invoice below zero; whether it is to be a credit note a person says.
    if document.total < ZERO:
        sentence = f"{document.number} is below zero ({document.total:,.2f} {document.currency})."
        return Hold((_about_document(situation, "negative_total", sentence),))
    if not document.lines:
        return Hold((_about_document(situation, "no_lines", f"{document.number} has no lines."),))
    # Currencies are never added unasked: in Xero they can't be removed again.
    currency = document.currency or book.base_currency
    if currency != book.base_currency and currency not in book.currencies:
        sentence = f"{book.name} does not have the currency {currency}."
        reason = Reason(
            code="currency_not_subscribed",
            about=f"currency:{currency}",
            subject=currency,
            sentence=sentence,
        )
        return Hold((reason,))
    return None


def _locked(situation: Situation) -> Hold | None:
    if situation.document.kind is DocumentKind.PURCHASE_ORDER:
        return None  # an order moves nothing in the ledger
    reason = locks.locked(situation)
    return Hold((reason,)) if reason is not None else None


def _contact(situation: Situation) -> Decision | None:
    """What must happen to the contact first; None when a live one is linked."""
    if situation.contact_link_id:
        return _linked_contact(situation)
    company = situation.company
    if company is None:
        sentence = f"The company {situation.document.company_name} has not been read yet."
        reason = Reason(
            code="company_unknown",
            about=f"company:{situation.document.company_id}",
            subject=situation.document.company_name,
            sentence=sentence,
        )
        return Hold((reason,))
    found = choose(company, situation.candidates)
    if isinstance(found, Unsure):
        return Hold((_unsure(situation, company, found),))
    if found is not None:
        return LinkContact(found.candidate.external_id, found.candidate.name, found.how)
    # Who works here is no vendor that may be made unseen: a person says whom the books owe.
    if not situation.book.policy.create_contacts or situation.document.kind is DocumentKind.EXPENSE:
        sentence = f"{company.name} is not in {situation.book.name}."
        return Hold((_about_company(situation, "contact_missing", company, sentence),))
    return NewContact(contact_draft(company))


def _linked_contact(situation: Situation) -> Decision | None:
    contact = situation.contact
    if contact is None or contact.state == "active":
        return None
    # The books keep the merged contact readable, but documents go to the one that is left.
    if contact.merged_into:
        return LinkContact(contact.merged_into, contact.name, "merged")
    company = situation.company
    sentence = f"The contact {contact.name} is archived in {situation.book.name}."
    return Hold(
        (
            Reason(
                code="contact_archived",
                about=f"contact:{contact.external_id}",
                subject=contact.name,
                sentence=sentence,
                details={
                    "contact_id": contact.external_id,
                    "company_id": company.external_id if company else "",
                },
            ),
        )
    )


_UNSURE = {
    "contact_ambiguous": "{company} could be {count} contacts of {book}: {names}.",
    "contact_archived": "{company} is archived in {book} as {names}.",
    "contact_taken": "{names} in {book} already stands for another company than {company}.",
}

_MAYBE = "{company} could be the contact {names} of {book}, which has its e-mail address."


def _unsure(situation: Situation, company: Company, unsure: Unsure) -> Reason:
    names = ", ".join(candidate.name for candidate in unsure.candidates)
    # Found by its address alone: that may be an accountant's who looks after several companies.
    one = unsure.why == "contact_ambiguous" and len(unsure.candidates) == 1
    sentence = (_MAYBE if one else _UNSURE[unsure.why]).format(
        company=company.name,
        book=situation.book.name,
        names=names,
        count=len(unsure.candidates),
    )
    reason = _about_company(situation, unsure.why, company, sentence)
    candidates = [
        {"id": c.external_id, "name": c.name, "email": c.email, "state": c.state}
        for c in unsure.candidates
    ]
    details = {**reason.details, "candidates": candidates}
    if unsure.why == "contact_archived":
        # The repair restores it from the archive; only with one candidate is it clear which.
        details["contact_id"] = unsure.candidates[0].external_id
    return msgspec.structs.replace(reason, details=details)


def _about_company(situation: Situation, code: str, company: Company, sentence: str) -> Reason:
    return Reason(
        code=code,
        about=f"company:{company.external_id}",
        subject=company.name,
        sentence=sentence,
        details={"company_id": company.external_id},
    )


def contact_draft(company: Company) -> ContactDraft:
    """The contact that a company becomes."""
    return ContactDraft(
        name=company.name,
        contact_number=reference(company.external_id),
        email=company.email,
        phone=company.phone,
        tax_number=company.tax_number,
        account_number=company.account_number,
        address=company.address,
        city=company.city,
        region=company.region,
        postcode=company.postcode,
        country=company.country,
    )


def _new(situation: Situation) -> Decision:
    """Adopt what is there, or create."""
    if situation.existing is not None:
        return _same_number(situation, situation.existing)
    # After the look for one to adopt: what the books have is linked however old it is.
    before = situation.book.policy.post_from
    if before is not None and situation.document.issued_on < before:
        return Skip(f"Dated before {before:%d %B %Y}, when posting starts; not in the books.")
    # Another connector or a person exported it: to post it as well would invoice it twice.
    if situation.document.posted and not situation.exported_by_us:
        return Skip("The PSA says that it was exported before, and not by Psaltery.")
    problem = _contact_currency(situation) or _locked(situation)
    if problem is not None:
        return problem
    shaped = build(situation)
    return Create(shaped, explain(situation, shaped)) if isinstance(shaped, Draft) else Hold(shaped)


def _contact_currency(situation: Situation) -> Hold | None:
    """The contact is billed in another currency: the books would take it, the customer may not."""
    contact, document, book = situation.contact, situation.document, situation.book
    currency = document.currency or book.base_currency
    if contact is None or contact.currency in ("", currency):
        return None
    if "contact_currency" in situation.waived:
        return None
    reason = Reason(
        code="contact_currency",
        about=f"contact_currency:{contact.external_id}:{currency}",
        subject=contact.name,
        sentence=f"{contact.name} is billed in {contact.currency} in {book.name}, but the PSA "
        f"bills it in {currency}.",
        details={"contact_id": contact.external_id, "company_id": document.company_id},
    )
    return Hold((reason,))


def _same_number(situation: Situation, existing: Existing) -> Decision:
    document = situation.document
    # A number alone proves nothing: it may be an invoice that somebody typed into the books.
    same_money = cents(existing.total) == cents(document.total)
    same_contact = existing.contact_id == situation.contact_link_id
    live = existing.status not in (Status.VOIDED, Status.DELETED)
    if same_money and same_contact and live and not purchases.is_of_another(situation, existing):
        return Adopt(existing, "Number, customer and total agree: it was in the books already.")
    sentence = (
        f"{document.number} is already used in {situation.book.name} for {existing.contact_name}, "
        f"{existing.total:,.2f} {existing.currency} ({existing.status.value}); "
        f"the PSA has {document.company_name}, {document.total:,.2f}."
    )
    details = {
        "books_id": existing.books_id,
        "books_total": str(existing.total),
        "books_contact": existing.contact_name,
        "books_status": existing.status.value,
        "books_date": str(existing.issued_on or ""),
    }
    is_order = document.kind is DocumentKind.PURCHASE_ORDER
    code = "bill_taken" if is_purchase(document) and not is_order else "number_taken"
    return Hold((_about_document(situation, code, sentence, **details),))
