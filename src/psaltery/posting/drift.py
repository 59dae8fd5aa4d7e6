"""What somebody changed in the books in a document that we wrote. Pure."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, Draft, DraftLine
from psaltery.records.money import cents


class BooksLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as the books have it now."""

    description: str
    quantity: Decimal
    unit_amount: Decimal
    account_code: str
    tax_type: str
    tracking: tuple[str, ...] = ()  # "Category: Option"


class BooksState(msgspec.Struct, frozen=True, kw_only=True):
    """A document as the books have it now."""

    number: str
    contact_id: str
    contact_name: str
    status: Status
    issued_on: date | None
    due_on: date | None
    reference: str
    total: Decimal
    tax: Decimal
    lines: tuple[BooksLine, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differs. `line` counts from 1; 0 for the document itself."""

    field: str
    ours: str
    theirs: str
    line: int = 0


_GONE = (Status.VOIDED, Status.DELETED)


def compare(draft: Draft, books: BooksState, contact_name: str = "") -> tuple[Difference, ...]:
    """What differs from what we wrote; approving and paying are no differences.

    `contact_name` is what people call the draft's contact.
    """
    if books.status in _GONE:
        return (Difference(field="status", ours=draft.status.value, theirs=books.status.value),)
    head = _head(draft, books, contact_name)
    if draft.kind is BooksKind.CREDIT_NOTE and not books.lines and not head:
        return ()  # a list of the books may leave lines out; the sums say that nothing changed
    return (*head, *_lines(draft.lines, books.lines))


def _head(draft: Draft, books: BooksState, contact_name: str) -> list[Difference]:
    pairs = [
        ("number", draft.number, books.number),
        ("date", str(draft.issued_on), str(books.issued_on or "")),
        ("due date", str(draft.due_on or ""), str(books.due_on or "")),
        ("reference", draft.reference.strip(), books.reference.strip()),
        ("tax", str(cents(draft.tax)), str(cents(books.tax))),
        ("total", str(cents(draft.total)), str(cents(books.total))),
    ]
    if draft.kind is BooksKind.BILL:
        # A bill has no reference in the books: that is what its number is called there.
        pairs = [pair for pair in pairs if pair[0] != "reference"]
    # A credit note is due on no day; the books may show one all the same.
    if draft.kind is BooksKind.CREDIT_NOTE:
        pairs = [pair for pair in pairs if pair[0] != "due date"]
    found = [Difference(field=f, ours=ours, theirs=theirs) for f, ours, theirs in pairs]
    if draft.contact_id != books.contact_id:
        ours = contact_name or draft.contact_id
        found.append(Difference(field="contact", ours=ours, theirs=books.contact_name))
    return [one for one in found if one.ours != one.theirs]


def _lines(ours: Sequence[DraftLine], theirs: Sequence[BooksLine]) -> list[Difference]:
    """Line by line in their order; what one side has more is told as a whole."""
    found: list[Difference] = []
    for place in range(max(len(ours), len(theirs))):
        if place >= len(theirs):
            gone = ours[place].description
            found.append(Difference(field="line", ours=gone, theirs="", line=place + 1))
        elif place >= len(ours):
            added = theirs[place].description
            found.append(Difference(field="line", ours="", theirs=added, line=place + 1))
        else:
            found += _line(place + 1, ours[place], theirs[place])
    return found


def _line(number: int, ours: DraftLine, theirs: BooksLine) -> list[Difference]:
    tracking = sorted(f"{choice.category}: {choice.option}" for choice in ours.tracking)
    pairs = [
        ("description", _text(ours.description), _text(theirs.description)),
        ("quantity", _plain(ours.quantity), _plain(theirs.quantity)),
        ("price", _plain(ours.unit_amount), _plain(theirs.unit_amount)),
        ("account", ours.account_code, theirs.account_code),
        ("tax rate", ours.tax_type, theirs.tax_type),
        ("tracking", ", ".join(tracking), ", ".join(sorted(theirs.tracking))),
    ]
    return [
        Difference(field=field, ours=one, theirs=other, line=number)
        for field, one, other in pairs
        if one != other
    ]


def _text(text: str) -> str:
    # Line ends and doubled blanks may come back otherwise than they were sent: no edit by anybody.
    return " ".join(text.split())


def _plain(amount: Decimal) -> str:
    # 1, 1.0 and 1.0000 are the same quantity.
    return f"{amount.normalize():f}"


def sentence(number: str, organisation: str, differences: Sequence[Difference]) -> str:
    """What changed, in words."""
    first = differences[0]
    if first.field == "status":
        return f"{number} was {first.theirs} in {organisation}."
    words = [
        (f"line {one.line}: " if one.line else "")
        + f"{one.field} {one.ours or 'nothing'} → {one.theirs or 'nothing'}"
        for one in differences[:3]
    ]
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
    return f"{number} was changed in {organisation}: {'; '.join(words)}{more}."
