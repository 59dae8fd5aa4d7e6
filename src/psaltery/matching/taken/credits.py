"""Credit memos that people apply in the PSA: the credit note of the books is applied too. Pure.

An allocation has no uniqueness in the books either. So what lies of the note on the invoice is
asked before each, and only what is missing is applied. Once both sides agree the books lead, as
with every other credit: what is taken off there is taken off in the PSA.
"""

from decimal import Decimal

import msgspec

from psaltery.matching.taken.decide import Ask, Done, Taken, Wait
from psaltery.records.books import Status
from psaltery.records.money import ZERO, cents


class CreditFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The credit note and the invoice in the books now."""

    books: str  # the organisation's name
    note_id: str = ""  # "": the memo is not in the books yet
    note_number: str = ""
    elsewhere: str = ""  # the organisation that has the note, where it is another one
    note_status: Status = Status.UNKNOWN
    left: Decimal = ZERO  # of the note
    status: Status = Status.UNKNOWN
    due: Decimal = ZERO
    applied: Decimal = ZERO  # of the note, on this invoice
    replaced: bool = False  # the PSA has another record of the same memo on this invoice


class Apply(msgspec.Struct, frozen=True):
    """Apply so much of the note to the invoice; `before`: what lay there when it was decided."""

    credit_id: str
    amount: Decimal
    before: Decimal


_NOT_YET = (Status.DRAFT, Status.SUBMITTED)
_USABLE = (Status.AUTHORISED, Status.PAID)


def decide(taken: Taken, facts: CreditFacts) -> Apply | Done | Wait | Ask:
    """The next step for a credit memo that was applied in the PSA. Pure."""
    number, books = taken.number, facts.books
    if taken.gone:
        return _taken_off(taken, facts)
    if facts.elsewhere:
        return _ask(f"{number}: a credit memo was applied that is in {facts.elsewhere}.")
    if not facts.note_id:
        return Wait(f"{number}: the credit memo that was applied is not in {books} yet.")
    missing = cents(taken.amount) - cents(facts.applied)
    # Applied once: what the bookkeeper took off since is not put there again.
    if missing == ZERO or cents(taken.posted_amount) == cents(taken.amount):
        return Done(f"{facts.note_number} was applied in {books} too.")
    if missing < ZERO:
        return _ask(
            f"{number}: the PSA has {taken.amount:,.2f} of {facts.note_number} applied, {books} "
            f"{facts.applied:,.2f}; take the rest off there."
        )
    return _room(taken, facts) or Apply(facts.note_id, missing, cents(facts.applied))


def _taken_off(taken: Taken, facts: CreditFacts) -> Done | Ask:
    if facts.applied == ZERO or facts.replaced:
        return Done("It was taken off in the PSA.")
    # Not undone by itself: whoever applied it in the books as well may want it so.
    return _ask(
        f"{taken.number}: {facts.note_number} was taken off in the PSA, but {facts.applied:,.2f} "
        f"of it lies on the invoice in {facts.books}; take it off there too."
    )


def _room(taken: Taken, facts: CreditFacts) -> Wait | Ask | None:
    """Why it can't be applied, or not yet."""
    for status, what in ((facts.status, taken.number), (facts.note_status, facts.note_number)):
        if status in _NOT_YET:
            return Wait(f"{what} is not authorised in {facts.books} yet ({status}).")
        if status not in _USABLE:
            return _ask(f"{taken.number}: a credit memo was applied in the PSA, but {what} is "
                        f"{status} in {facts.books}.")  # fmt: skip
    # The books refuse more than either side has left; how to go on a person knows.
    # https://developer.xero.com/documentation/api/accounting/creditnotes
    missing = cents(taken.amount) - cents(facts.applied)
    if missing > min(facts.due, facts.left):
        sentence = (
            f"{taken.number}: {missing:,.2f} of {facts.note_number} was applied in the PSA, but "
            f"{facts.books} has {facts.due:,.2f} open on the invoice and {facts.left:,.2f} left "
            "of the credit note."
        )
        return Ask("payment_exceeds_due", sentence)
    return None


def _ask(sentence: str) -> Ask:
    return Ask("payment_taken_refused", sentence)
