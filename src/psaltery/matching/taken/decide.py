"""What is to happen to one payment that was entered in the PSA. Pure.

Nothing keeps a payment unique in the books, so the books' own payments on the invoice are looked at
before each is entered: ours are known by their reference, a bookkeeper's by amount and day.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.records.books import Status
from psaltery.records.money import ZERO, cents


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The payment as the PSA has it, and what we know of it in the books."""

    number: str  # of the invoice
    amount: Decimal
    paid_on: date | None
    reference: str
    gone: bool = False
    apart: bool = False  # a person said that it is none of the books' payments
    same: bool = False  # a person said that the one of the same amount is it
    books_payment_id: str = ""
    posted_amount: Decimal = ZERO
    posted_on: date | None = None
    ours: bool = True


class InBooks(msgspec.Struct, frozen=True, kw_only=True):
    """A payment on the invoice in the books. `known`: it stands for another one of the PSA."""

    external_id: str
    amount: Decimal
    paid_on: date | None
    reference: str = ""
    active: bool = True
    known: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice in the books now, and where payments of this kind go."""

    books: str  # the organisation's name
    status: Status
    due: Decimal
    payments: Sequence[InBooks]
    account_id: str = ""  # "": nothing is mapped
    account_problem: str = ""
    method: str = ""
    locked_until: date | None = None


class Enter(msgspec.Struct, frozen=True):
    """Enter it in the books."""

    amount: Decimal
    paid_on: date


class Remove(msgspec.Struct, frozen=True):
    """Delete ours in the books: it is gone from the PSA, or other there."""

    payment_id: str


class Found(msgspec.Struct, frozen=True):
    """It is in the books already."""

    payment: InBooks
    ours: bool
    why: str


class Done(msgspec.Struct, frozen=True):
    why: str


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do for anybody yet."""

    why: str


class Ask(msgspec.Struct, frozen=True):
    """A person must look. `code` is a key of the catalogue."""

    code: str
    sentence: str
    subject: str = ""


Decision = Enter | Remove | Found | Done | Wait | Ask

_NOT_YET = (Status.DRAFT, Status.SUBMITTED)
_NO_MORE = (Status.VOIDED, Status.DELETED, Status.UNKNOWN)


def decide(taken: Taken, facts: Facts) -> Decision:
    """The next step for this payment."""
    if taken.books_payment_id:
        return _entered(taken, facts)
    if taken.gone:
        return Done("It was removed in the PSA.")
    # First whether it is there: what is in the books needs no room, account or open period.
    return _there_already(taken, facts) or _impossible(taken, facts) or _doubt(taken, facts)


def _entered(taken: Taken, facts: Facts) -> Decision:
    mine = next((one for one in facts.payments if one.external_id == taken.books_payment_id), None)
    alive = mine is not None and mine.active
    if taken.gone:
        # Only ours: what a bookkeeper entered is removed by a bookkeeper.
        if alive and taken.ours:
            return Remove(taken.books_payment_id)
        return Done("It was removed in the PSA.")
    # Not entered again by itself: whoever removed it there may have had a reason.
    if not alive:
        return Ask(
            "payment_taken_removed",
            f"{taken.number}: the payment of {taken.amount:,.2f} was removed in {facts.books}; the "
            "PSA still has it.",
        )
    same = (cents(taken.amount), taken.paid_on) == (cents(taken.posted_amount), taken.posted_on)
    if same or not taken.ours:
        return Done(f"{facts.books} has it as the PSA has it.")
    return Remove(taken.books_payment_id)


def _there_already(taken: Taken, facts: Facts) -> Found | None:
    """Ours by its reference; a bookkeeper's by amount and day."""
    alive = [one for one in facts.payments if one.active and not one.known]
    for one in alive:
        if one.reference == taken.reference:
            return Found(one, True, f"It is in {facts.books}.")
    same = [] if taken.apart else [one for one in alive if cents(one.amount) == cents(taken.amount)]
    for one in same:
        if one.paid_on == taken.paid_on:
            return Found(one, False, f"A payment of this amount and day is in {facts.books}.")
    if same and taken.same:
        return Found(same[0], False, f"Somebody said which payment of {facts.books} it is.")
    # Days may differ: money is entered in the PSA before the bank shows it.
    if len(same) == 1 and facts.due < taken.amount:
        why = f"A payment of this amount is in {facts.books}, and there is no room for a second."
        return Found(same[0], False, why)
    return None


def _impossible(taken: Taken, facts: Facts) -> Wait | Ask | None:
    if facts.status in _NOT_YET:
        return Wait(f"{taken.number} is not authorised in {facts.books} yet ({facts.status}).")
    if facts.status in _NO_MORE:
        sentence = f"{taken.number}: a payment was taken in the PSA, but it is {facts.status} in "
        return Ask("payment_taken_refused", f"{sentence}{facts.books}.")
    if taken.amount <= ZERO or taken.paid_on is None:
        sentence = f"{taken.number}: the PSA has a payment of {taken.amount:,.2f} without a day, or"
        return Ask("payment_taken_refused", f"{sentence} below zero; enter it by hand.")
    # Xero refuses more than what is outstanding; how to split it a person knows.
    # https://developer.xero.com/documentation/api/accounting/payments
    if taken.amount > facts.due:
        return Ask(
            "payment_exceeds_due",
            f"{taken.number}: {taken.amount:,.2f} was taken in the PSA, but only "
            f"{facts.due:,.2f} is open in {facts.books}.",
        )
    return None


def _doubt(taken: Taken, facts: Facts) -> Ask | Enter:
    alike = [
        one
        for one in facts.payments
        if one.active and not one.known and cents(one.amount) == cents(taken.amount)
    ]
    if alike and not taken.apart:
        return Ask(
            "payment_taken_twice",
            f"{taken.number}: the PSA has a payment of {taken.amount:,.2f} on {taken.paid_on}, "
            f"{facts.books} one on {alike[0].paid_on}.",
        )
    if not facts.account_id or facts.account_problem:
        words = facts.account_problem or "Nothing is mapped."
        return Ask(
            "payment_account_unmapped",
            f"No account of {facts.books} takes payments by “{facts.method or 'any method'}”. "
            f"{words}",
            facts.method,
        )
    assert taken.paid_on is not None  # _impossible has asked
    if facts.locked_until is not None and taken.paid_on <= facts.locked_until:
        return Ask(
            "payment_locked",
            f"{taken.number}: the payment of {taken.paid_on} lies in the period that "
            f"{facts.books} has locked up to {facts.locked_until}.",
        )
    return Enter(cents(taken.amount), taken.paid_on)
