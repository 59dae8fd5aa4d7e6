"""The next step of a re-issue, from what the books have now. Pure.

Each step is done once however often it is asked for: numbers of invoices and credit notes are
unique in the books, and an allocation takes all that is left of the credit or of the invoice.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from psaltery.records.books import Status
from psaltery.records.drafts import Outcome
from psaltery.records.money import ZERO, cents

_GONE = (Status.VOIDED, Status.DELETED)


class Way(StrEnum):
    """What happens to the invoice that is in the books."""

    VOID = "void"
    CREDIT = "credit"
    CREDIT_ONLY = "credit_only"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The documents of a re-issue as the books have them now; None: not there."""

    way: Way
    number: str  # of the new invoice
    old: Outcome | None
    credit: Outcome | None = None
    new: Outcome | None = None
    rename_refused: bool = False


class Rename(msgspec.Struct, frozen=True):
    """The old invoice gives its number free: whether that of a voided one is, Xero does not say."""


class VoidOld(msgspec.Struct, frozen=True):
    pass


class MakeCredit(msgspec.Struct, frozen=True):
    pass


class MakeNew(msgspec.Struct, frozen=True):
    pass


class Allocate(msgspec.Struct, frozen=True):
    credit_id: str
    invoice_id: str
    amount: Decimal
    to_new: bool


class Done(msgspec.Struct, frozen=True):
    left: Decimal = ZERO  # credit that nothing took up


class Stop(msgspec.Struct, frozen=True):
    """It can't go on as it was asked for: a person decides again."""

    why: str


Step = Rename | VoidOld | MakeCredit | MakeNew | Allocate | Done | Stop


def next_step(facts: Facts) -> Step:
    """The one thing to do now."""
    return _void(facts) if facts.way is Way.VOID else _credit(facts)


def _void(facts: Facts) -> Step:
    old = facts.old
    if old is not None and old.status not in _GONE:
        if old.status is Status.PAID or cents(old.amount_due) != cents(old.total):
            # To void it now would leave that money without an invoice.
            return Stop("Money was applied to it in the books meanwhile.")
        return Rename() if old.number == facts.number and not facts.rename_refused else VoidOld()
    return MakeNew() if facts.new is None else Done()


def _credit(facts: Facts) -> Step:
    old, credit, new = facts.old, facts.credit, facts.new
    if old is None or old.status in _GONE:
        return Stop("It was voided or deleted in the books meanwhile.")
    if credit is None:
        return MakeCredit()
    # The old one first: what it still owes must not be collected beside the new one.
    if credit.amount_due > ZERO and old.amount_due > ZERO:
        return _allocate(credit, old, to_new=False)
    if facts.way is Way.CREDIT_ONLY:
        return Done(credit.amount_due)
    if new is None:
        return MakeNew()
    # Credit goes to approved invoices of the same contact only; else it stays with the customer.
    takes = new.contact_id == credit.contact_id and new.status is Status.AUTHORISED
    if takes and credit.amount_due > ZERO and new.amount_due > ZERO:
        return _allocate(credit, new, to_new=True)
    return Done(credit.amount_due)


def _allocate(credit: Outcome, invoice: Outcome, *, to_new: bool) -> Allocate:
    amount = min(credit.amount_due, invoice.amount_due)
    return Allocate(credit.external_id, invoice.external_id, amount, to_new)


def next_number(number: str, current: str) -> str:
    """The number of the invoice that replaces `current`; `number` is the PSA's."""
    revision = current.removeprefix(f"{number}-")
    counted = revision != current and revision.isdecimal()
    return f"{number}-{int(revision) + 1 if counted else 2}"


def credit_number(number: str) -> str:
    """The number of the credit note that takes an invoice back."""
    return f"{number}-CR"


def retired_number(number: str) -> str:
    """The number that a voided invoice keeps, where its own is wanted again."""
    return f"{number} void"


def plan(way: Way, number: str, current: str, old_total: Decimal, new_total: Decimal) -> str:
    """What a re-issue will do, in words, for the person who confirms it.

    `number` is the PSA's, `current` the one that the invoice has in the books.
    """
    if way is Way.VOID:
        return (
            f"{current} ({old_total:,.2f}) is voided in the books and issued anew with "
            f"{new_total:,.2f}, under the same number."
        )
    credit = f"The credit note {credit_number(current)} takes back {current} ({old_total:,.2f})"
    if way is Way.CREDIT_ONLY:
        return f"{credit}; what the customer has paid stays as credit."
    return (
        f"{credit}, and {next_number(number, current)} is issued with {new_total:,.2f}. What the "
        "customer has paid goes over to the new invoice."
    )
