"""Explains what is open on one document on either side, to the cent. Pure.

A document counts with what is open on it: an invoice above zero, credit below. The difference of a
customer is the PSA's sum less the books'; the amounts given here always add up to it.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from psaltery.matching.tieout.causes import Cause
from psaltery.records.money import ZERO

_GONE = ("voided", "deleted")
_DRAFT = ("draft", "submitted")
_CREDIT = ("credit_memo", "credit_note", "overpayment", "prepayment")


class PsaSide(msgspec.Struct, frozen=True, kw_only=True):
    """A document of the PSA; amounts are positive for credit memos too."""

    number: str
    kind: str  # invoice, credit_memo
    customer: str
    currency: str
    total: Decimal
    balance: Decimal
    closed: bool = True
    gone: bool = False
    state: str = ""  # of its posting; "" when nobody has decided about it
    why: str = ""

    @property
    def counted(self) -> Decimal:
        """What it adds to the PSA's receivables; open and deleted documents are none."""
        return signed(self.kind, self.balance) if self.closed and not self.gone else ZERO


class BooksSide(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice, credit note, overpayment or prepayment of the books; amounts are positive."""

    number: str
    kind: str  # invoice, credit_note, overpayment, prepayment
    customer: str
    currency: str
    status: str
    total: Decimal
    due: Decimal

    @property
    def counted(self) -> Decimal:
        """What it adds to the books' receivables; drafts and voided documents are none."""
        return ZERO if self.status in (*_GONE, *_DRAFT) else signed(self.kind, self.due)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the money on a linked document.

    `shown`: what we have written to the PSA. `reached`: what the mirror of the books has on it and
    can go to the PSA. `elsewhere`: credit of a memo that was refunded, or used on invoices that the
    PSA does not have. `unread`: what the books say is settled, whose payments are still to be read.
    `unseen`: what we have written to the PSA since it was last read. `unreconciled`: payments that
    the PSA is to hear of once they are matched with the bank.
    """

    shown: Decimal = ZERO
    reached: Decimal = ZERO
    elsewhere: Decimal = ZERO
    unread: Decimal = ZERO
    unseen: Decimal = ZERO
    unreconciled: Decimal = ZERO
    moving: bool = False  # it is to be written, or held by a card
    why: str = ""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The same document on both sides, or one that only one side has."""

    psa: PsaSide | None = None
    books: BooksSide | None = None
    linked: bool = False
    read_since: bool = False  # the books have been read since it was linked
    settled: Settled = Settled()


class Explained(msgspec.Struct, frozen=True):
    """A part of a customer's difference and its cause."""

    cause: Cause
    amount: Decimal
    customer: str
    currency: str
    sentence: str


def signed(kind: str, amount: Decimal) -> Decimal:
    """Credit is below zero."""
    return -amount if kind in _CREDIT else amount


def explain(pair: Pair) -> list[Explained]:
    """The parts of the difference that this document makes, none of them zero."""
    return [part for part in _explain(pair) if part.amount]


def _explain(pair: Pair) -> Iterator[Explained]:
    psa, books = pair.psa, pair.books
    if psa is not None and books is not None:
        yield from _both(psa, books, pair.settled)
    elif psa is not None:
        cause, sentence = _not_there(psa, pair)
        yield _of(psa, cause, psa.counted, sentence)
    elif books is not None:
        cause, sentence = _only_there(books)
        yield _of(books, cause, -books.counted, sentence)


def _of(side: PsaSide | BooksSide, cause: Cause, amount: Decimal, sentence: str) -> Explained:
    return Explained(cause, amount, side.customer, side.currency, sentence)


def _both(psa: PsaSide, books: BooksSide, settled: Settled) -> Iterator[Explained]:
    if psa.currency != books.currency:
        sentence = (
            f"{psa.number} is in {psa.currency} in the PSA, in {books.currency} in the books."
        )
        yield _of(psa, Cause.CURRENCY, psa.counted, sentence)
        yield _of(books, Cause.CURRENCY, -books.counted, sentence)
        return
    # Twice with opposite signs: it leaves one customer and stands with the other.
    if psa.customer != books.customer:
        sentence = f"{psa.number} is another customer's in the books than in the PSA."
        yield _of(psa, Cause.OTHER_CUSTOMER, books.counted, sentence)
        yield _of(books, Cause.OTHER_CUSTOMER, -books.counted, sentence)
    for cause, amount, sentence in _difference(psa, books, settled):
        yield _of(psa, cause, amount, sentence)


Part = tuple[Cause, Decimal, str]


def _difference(psa: PsaSide, books: BooksSide, settled: Settled) -> Iterable[Part]:
    """Why the two sides of one document show different open amounts."""
    whole = psa.counted - books.counted
    if not whole:
        return ()
    found = _state(psa, books)
    if found is not None:
        return [(found[0], whole, found[1])]
    sign = signed(psa.kind, Decimal(1))
    parts = [_total(psa, books), *_settling(psa, books, settled)]
    return [(cause, sign * amount, sentence) for cause, amount, sentence in parts]


def _state(psa: PsaSide, books: BooksSide) -> tuple[Cause, str] | None:
    number = psa.number
    if books.status in _GONE:
        return Cause.VOIDED, f"{number} was {books.status} in the books, not in the PSA."
    if books.status in _DRAFT:
        return Cause.DRAFT, f"{number} is not authorised in the books yet ({books.status})."
    if psa.gone:
        return Cause.GONE, f"{number} was deleted in the PSA; the books still have it."
    if not psa.closed:
        return Cause.REOPENED, f"{number} was reopened in the PSA; the books keep it as it was."
    return None


def _total(psa: PsaSide, books: BooksSide) -> Part:
    sentence = f"{psa.number}: the total is {psa.total:,.2f} in the PSA, {books.total:,.2f} in "
    return Cause.TOTAL, psa.total - books.total, f"{sentence}the books."


def _settling(psa: PsaSide, books: BooksSide, settled: Settled) -> Iterator[Part]:
    """Why the two sides have different amounts settled, as amounts that the PSA is too high."""
    in_psa, in_books = psa.total - psa.balance, books.total - books.due
    rest = in_books - in_psa
    # Each cause takes no more than it can explain; what is left is never given to one that is
    # merely likely.
    for cause, most, sentence in _candidates(psa.number, in_psa, settled):
        part = _as_far(rest, most)
        rest -= part
        yield cause, part, sentence
    sentence = f"{psa.number}: {in_psa:,.2f} is settled in the PSA, {in_books:,.2f} in the books"
    yield Cause.UNEXPLAINED, rest, f"{sentence}, and nothing on record says why."


def _candidates(number: str, in_psa: Decimal, settled: Settled) -> Iterator[Part]:
    yield (
        Cause.CREDIT_ELSEWHERE,
        settled.elsewhere,
        f"{number}: {settled.elsewhere:,.2f} of it was refunded, or used on invoices that the PSA "
        "does not have.",
    )
    yield Cause.NOT_READ, settled.unread, f"{number}: its payments have not been read yet."
    unseen = f"{number}: its money in the PSA was changed by Psaltery, and not read since."
    yield Cause.NOT_READ, settled.unseen, unseen
    yield (
        Cause.NOT_RECONCILED,
        settled.unreconciled,
        f"{number}: {settled.unreconciled:,.2f} is paid in the books and waits to be reconciled "
        "with the bank.",
    )
    if settled.moving:
        why = settled.why or "It waits to be written."
        yield Cause.PAYMENT_NOT_BACK, settled.reached - settled.shown, f"{number}: {why}"
    yield (
        Cause.PAID_IN_PSA,
        min(settled.shown - in_psa, ZERO),
        f"{number}: {in_psa:,.2f} is settled in the PSA, {settled.shown:,.2f} of it by Psaltery "
        "from the books.",
    )


def _as_far(rest: Decimal, most: Decimal) -> Decimal:
    """As much of `rest` as something of at most this size, and of this sign, can explain."""
    if rest > 0 and most > 0:
        return min(rest, most)
    return max(rest, most) if rest < 0 and most < 0 else ZERO


def _not_there(psa: PsaSide, pair: Pair) -> tuple[Cause, str]:
    if pair.linked:
        if pair.read_since:
            return Cause.UNEXPLAINED, f"{psa.number} was posted, but the books don't show it."
        return Cause.NOT_READ, f"{psa.number} was posted; the books have not been read since."
    cause = _POSTING.get(psa.state, Cause.UNEXPLAINED)
    if cause is Cause.UNEXPLAINED:
        return cause, f"{psa.number} counts as posted, but no document of the books is linked."
    return cause, f"{psa.number}: {psa.why or 'It waits for its turn.'}"


# States that are not here (in step without a link) explain nothing, and are shown so.
_POSTING = {
    "": Cause.WAITING,
    "waiting": Cause.WAITING,
    "posting": Cause.WAITING,
    "uncertain": Cause.WAITING,
    "held": Cause.HELD,
    "failed": Cause.HELD,
    "skipped": Cause.SKIPPED,
}


def _only_there(books: BooksSide) -> tuple[Cause, str]:
    name = books.number or "A document without number"
    if books.kind == "invoice":
        return Cause.BOOKS_ONLY, f"{name} is in the books and not from the PSA."
    if books.kind == "credit_note":
        return Cause.BOOKS_CREDIT, f"{name} is a credit note of the books, not a memo of the PSA."
    return Cause.UNAPPLIED, f"{name}: {books.kind} with {books.due:,.2f} not applied to an invoice."
