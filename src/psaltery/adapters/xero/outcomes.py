"""Xero's answer to a batch, one outcome for each element. Pure.

With `summarizeErrors=false` a batch is answered by 200 and a verdict for each element; saved
elements may carry warnings. https://developer.xero.com/documentation/api/accounting/responsecodes
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from psaltery.adapters.answers import Answer, unreadable
from psaltery.adapters.contract import Prepared
from psaltery.adapters.errors import TryLater
from psaltery.adapters.xero import elements, translate, wire
from psaltery.adapters.xero.dates import moment
from psaltery.adapters.xero.messages import problems_in, warnings_in
from psaltery.records.books import Status
from psaltery.records.drafts import Outcome, Problem

T = TypeVar("T")
replace = msgspec.structs.replace
_ZERO_ID = "00000000-0000-0000-0000-000000000000"
Element = dict[str, Any]


def outcomes(answer: Answer, sent: Sequence[Prepared], collection: str) -> tuple[Outcome, ...]:
    """One outcome for each of `sent`, in their order.

    Raises TryLater(uncertain=True) when an element got no verdict: it may have been carried out.
    """
    told = _body(answer)
    refused_whole = "Elements" in told
    verdicts = told.get("Elements" if refused_whole else collection)
    if not isinstance(verdicts, list):
        raise unreadable(answer)
    # What was really sent is compared, not what we think of it now.
    wanted = [msgspec.json.decode(element.body, type=dict[str, Any]) for element in sent]
    matched = _matched(wanted, verdicts, collection)
    if matched is None:
        # A 400 names only the bad elements although the good ones were saved: look them up.
        raise TryLater(
            f"Xero answered for {len(verdicts)} of {len(sent)} documents; the others may have been "
            "saved and are looked up.",
            uncertain=True,
        )
    return tuple(outcome(verdict, collection, refused=refused_whole) for verdict in matched)


def outcome(element: Element, collection: str, *, refused: bool = False) -> Outcome:
    """What Xero says of one element; `refused` when the whole request was."""
    problems = problems_in(element)
    warnings = warnings_in(element)
    described = _described(element, collection)
    if refused or _is_refused(element, described.external_id, bool(problems)):
        if not problems:
            problems = (Problem(code="rejected", message="Xero refused and gave no reason."),)
        return replace(described, accepted=False, problems=problems, warnings=warnings)
    # Saved all the same: an old error deeper in the document, such as the contact's e-mail address.
    notes = warnings + tuple(problem.message for problem in problems)
    return replace(described, warnings=notes)


def allocation_problems(answer: Answer) -> tuple[Problem, ...]:
    """Why an allocation was refused; nothing when it was made."""
    told = _body(answer)
    verdicts = told.get("Elements", told.get("Allocations", []))
    if not isinstance(verdicts, list):
        raise unreadable(answer)
    found = tuple(problem for verdict in verdicts for problem in problems_in(verdict))
    if "Elements" in told and not found:
        return (Problem(code="rejected", message="Xero refused and gave no reason."),)
    return found


def _is_refused(element: Element, external_id: str, has_problems: bool) -> bool:
    verdict = str(element.get("StatusAttributeString", "")).upper()
    # Nothing was saved under no id, whatever else the element says.
    if not external_id or verdict == "ERROR":
        return True
    if element.get("HasErrors") is True or element.get("HasValidationErrors") is True:
        return True
    # Without a word on the whole, errors anywhere inside are taken as a refusal.
    return has_problems and verdict not in ("OK", "WARNING", "WARN")


def _described(element: Element, collection: str) -> Outcome:
    if collection == "Contacts":
        return _contact_outcome(_as(element, wire.Contact))
    if collection == "CreditNotes":
        return note_outcome(_as(element, wire.CreditNote))
    if collection == "PurchaseOrders":
        return order_outcome(_as(element, wire.PurchaseOrder))
    if collection == "BankTransactions":
        return spend_outcome(_as(element, wire.BankTransaction))
    if collection == "Items":
        return item_outcome(_as(element, wire.Item))
    if collection == "Payments":
        return _payment_outcome(_as(element, wire.Payment))
    return invoice_outcome(_as(element, wire.Invoice))


_Document = wire.Invoice | wire.CreditNote | wire.PurchaseOrder | wire.BankTransaction


def _document(raw: _Document, external_id: str, number: str, amount_due: Decimal) -> Outcome:
    """What all documents have in common."""
    return Outcome(
        accepted=True,
        external_id=_real(external_id),
        number=number,
        status=translate.status(raw.status),
        contact_id=_real(raw.contact.contact_id),
        subtotal=raw.sub_total,
        tax=raw.total_tax,
        total=raw.total,
        amount_due=amount_due,
        updated_at=moment(raw.updated),
    )


def invoice_outcome(raw: wire.Invoice) -> Outcome:
    """An invoice or a bill as it is in Xero."""
    found = _document(raw, raw.invoice_id, raw.invoice_number, raw.amount_due)
    return replace(found, url=raw.url, reference=raw.reference)


def note_outcome(raw: wire.CreditNote) -> Outcome:
    """A credit note as it is in Xero; `amount_due` is what is left of its credit."""
    found = _document(raw, raw.external_id, raw.number, raw.remaining_credit)
    return replace(found, reference=raw.reference)


def _contact_outcome(raw: wire.Contact) -> Outcome:
    return Outcome(
        accepted=True,
        external_id=_real(raw.contact_id),
        number=raw.contact_number,
        status=Status.UNKNOWN,
        contact_id=_real(raw.contact_id),
        reference=raw.name,
        updated_at=moment(raw.updated),
    )


def order_outcome(raw: wire.PurchaseOrder) -> Outcome:
    """A purchase order as it is in Xero."""
    return _document(raw, raw.purchase_order_id, raw.number, raw.total)


def spend_outcome(raw: wire.BankTransaction) -> Outcome:
    """Money spent as it is in Xero; `number` is its reference. Once it is reconciled nothing is
    due: it can't be changed any more, as if it were paid."""
    due = Decimal(0) if raw.is_reconciled else raw.total
    found = _document(raw, raw.bank_transaction_id, raw.reference, due)
    return replace(found, url=raw.url, reference=raw.reference)


def item_outcome(raw: wire.Item) -> Outcome:
    """An item as it is in Xero; `number` is its code, `reference` its name."""
    return Outcome(
        accepted=True,
        external_id=_real(raw.item_id),
        number=raw.code,
        reference=raw.name,
        updated_at=moment(raw.updated),
    )


def _payment_outcome(raw: wire.Payment) -> Outcome:
    return Outcome(
        accepted=True,
        external_id=_real(raw.payment_id),
        status=translate.status(raw.status),
        total=raw.amount,
        reference=raw.reference,
        updated_at=moment(raw.updated),
    )


# Failed elements come back with an id of zeros.
def _real(external_id: str) -> str:
    return "" if external_id == _ZERO_ID else external_id


def _as(element: Element, type_: type[T]) -> T:
    """The element as a struct; a member of another shape costs that member, not the verdict."""
    try:
        return msgspec.convert(element, type_, strict=False)
    except msgspec.ValidationError:
        # The id and the status are text, and without them a saved document would be sent again.
        scalars = {name: value for name, value in element.items() if isinstance(value, str)}
        return msgspec.convert(scalars, type_, strict=False)


def _matched(
    wanted: Sequence[Element], verdicts: Sequence[Element], collection: str
) -> list[Element] | None:
    """The verdict on each wanted element: by position where nothing contradicts it, else by id,
    number or name. None when some element has no verdict of its own."""
    members = (elements.ID_MEMBERS[collection], elements.NUMBER_MEMBERS[collection], "Name")
    if len(wanted) == len(verdicts) and all(
        _same(one, other, members) is not False for one, other in zip(wanted, verdicts, strict=True)
    ):
        return list(verdicts)
    found = [
        [verdict for verdict in verdicts if _same(element, verdict, members)] for element in wanted
    ]
    # Two candidates are as bad as none: the wrong id would be kept for a document.
    if any(len(candidates) != 1 for candidates in found):
        return None
    distinct = {id(candidates[0]) for candidates in found}
    return [candidates[0] for candidates in found] if len(distinct) == len(wanted) else None


def _same(wanted: Element, verdict: Element, members: Sequence[str]) -> bool | None:
    """Whether a verdict is on an element, by the first member that both have; None without one."""
    for member in members:
        ours, theirs = _real(str(wanted.get(member, ""))), _real(str(verdict.get(member, "")))
        if ours and theirs:
            return ours == theirs
    return None


def _body(answer: Answer) -> Element:
    try:
        told = wire.plain(answer.body)
    except msgspec.DecodeError as wrong:
        raise unreadable(answer) from wrong
    if not isinstance(told, dict):
        raise unreadable(answer)
    return told
