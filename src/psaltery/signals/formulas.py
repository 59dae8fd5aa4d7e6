"""When each signal fires, for how much, and on what evidence. Pure.

Formulas, defaults and the cases of silence: reference/signals.md, sections B and C. A formula that
lacks what it needs does not answer "nothing": whoever gathers the facts says "not checked".
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from psaltery.portfolio.recurring import (
    Contract,
    RecurringInvoice,
    contracted,
    invoiced,
    is_active,
    is_prepaid,
    months_between,
    months_of,
)
from psaltery.signals.thresholds import Thresholds

ZERO = Decimal(0)
LOW, MEDIUM, HIGH, CRITICAL = 1, 2, 3, 4
UNBILLED = frozenset({"internal", "charity", "parent"})

Money = tuple[tuple[Decimal, str], ...]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A row behind an alert: what it is, where to look, its day and its money."""

    kind: str  # invoice, ticket, time, agreement, document, feed, contact, company
    id: int = 0
    label: str = ""
    detail: str = ""
    day: date | None = None
    amount: Decimal | None = None
    currency: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a formula found about one subject."""

    sentence: str
    severity: int
    money: Money = ()
    evidence: tuple[Proof, ...] = ()


# L1: service without an invoice


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's month: what was done for it, and everything that may have invoiced it."""

    billing: str  # portfolio.Customer.Billing
    known_since: date | None
    month: date  # its first day
    tickets: Sequence[Proof] = ()  # resolved in the month
    time: Sequence["Work"] = ()
    books_net: Money = ()  # invoiced in the books less credits, by currency
    psa_documents: int = 0  # invoices of the PSA in the month, on their way to the books
    receipts: int = 0  # sales receipts, prepayments, and invoices over nothing
    contracts: Sequence[Contract] = ()
    recurring: Sequence[RecurringInvoice] = ()
    currency: str = ""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A time entry."""

    id: int
    day: date
    hours: Decimal
    rate: Decimal = ZERO
    billable: bool = True
    label: str = ""


def service_without_invoice(facts: Service, limits: Thresholds) -> Finding | None:
    """Work was done in a month that nothing invoiced."""
    hours = sum((one.hours for one in facts.time), ZERO)
    much = len(facts.tickets) >= limits.leak_tickets or hours >= limits.leak_hours
    # Silence first: an alert about a new, internal or covered customer costs the trust in all
    # others.
    if not much or facts.billing in UNBILLED or _is_new(facts, limits) or _is_covered(facts):
        return None
    worth = sum((_worth(one, limits) for one in facts.time if one.billable), ZERO)
    done = _listed([(len(facts.tickets), "ticket"), (hours, "hour")])
    evidence = (*facts.tickets, *(_time(one, facts.currency, limits) for one in facts.time))
    return Finding(
        sentence=f"{done} in {facts.month:%B %Y} and no invoice.",
        # Without rates there is no estimate, and what was not billed is not called grave.
        severity=HIGH if worth >= limits.leak_grave else MEDIUM,
        money=((worth, facts.currency),) if worth else (),
        evidence=evidence,
    )


def _is_new(facts: Service, limits: Thresholds) -> bool:
    end = _month_end(facts.month)
    return facts.known_since is None or facts.known_since > end - timedelta(
        days=int(limits.new_customer_days)
    )


def _is_covered(facts: Service) -> bool:
    if facts.psa_documents or facts.receipts or any(net > 0 for net, _ in facts.books_net):
        return True
    end = _month_end(facts.month)
    running = [one for one in facts.contracts if is_active(one, facts.month) or is_active(one, end)]
    # Hours bought beforehand were invoiced before: this month's work draws on them.
    if any(is_prepaid(one) for one in running):
        return True
    cycles = {one.name: one.cycle for one in running}
    # An earlier invoice of a quarter or a year covers its later months.
    return any(
        0 <= months_between(one.issued_on, facts.month) < (months_of(cycles[one.agreement]) or 1)
        for one in facts.recurring
        if one.agreement in cycles and one.amount > 0
    )


def _worth(one: Work, limits: Thresholds) -> Decimal:
    # Rounded here: a sum of rounded lines is what an invoice of them would come to.
    return (one.hours * (one.rate or limits.default_rate)).quantize(Decimal("0.01"))


def _time(one: Work, currency: str, limits: Thresholds) -> Proof:
    # What a row is worth is what it adds to the sum above it: else people would add up another one.
    worth = _worth(one, limits) if one.billable else ZERO
    return Proof(
        kind="time",
        id=one.id,
        label=one.label,
        detail=f"{one.hours.normalize():f} h" + ("" if one.billable else ", not to be billed"),
        day=one.day,
        amount=worth or None,
        currency=currency,
    )


# P1: overdue


class OpenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """A receivable of the books. `today`: the day where the books are."""

    id: int
    number: str
    status: str
    balance: Decimal
    currency: str
    due_on: date | None
    today: date
    organisation: str = ""

    @property
    def days_late(self) -> int:
        return (self.today - self.due_on).days if self.due_on else 0


def invoice_overdue(invoices: Iterable[OpenInvoice], limits: Thresholds) -> Finding | None:
    """One row a customer: authorised invoices past their due date by more than the grace."""
    late = [one for one in invoices if is_late(one, limits)]
    if not late:
        return None
    # The oldest first: the evidence is cut, and what was owed longest must be in it.
    late.sort(key=lambda one: -one.days_late)
    oldest = late[0].days_late
    money = _sums((one.balance, one.currency) for one in late)
    return Finding(
        sentence=f"{_counted(len(late), 'invoice')} overdue, the oldest for {oldest} days.",
        severity=_by_age(oldest, limits),
        money=money,
        evidence=tuple(
            Proof(
                kind="invoice",
                id=one.id,
                label=one.number,
                detail=f"{one.days_late} days late",
                day=one.due_on,
                amount=one.balance,
                currency=one.currency,
            )
            for one in late
        ),
    )


def is_late(one: OpenInvoice, limits: Thresholds) -> bool:
    """Whether an invoice is overdue by more than the grace."""
    # Drafts are not owed yet, and what is paid or voided no more.
    return one.status == "authorised" and one.balance > 0 and one.days_late > limits.overdue_grace


def _by_age(days: int, limits: Thresholds) -> int:
    ladder = (limits.overdue_critical, CRITICAL), (limits.overdue_high, HIGH)
    for least, severity in (*ladder, (limits.overdue_medium, MEDIUM)):
        if days >= least:
            return severity
    return LOW


# M4: contracted against invoiced


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's agreements, and what they invoiced, for one whole month."""

    billing: str
    month: date
    contracts: Sequence[Contract] = ()
    invoices: Sequence[RecurringInvoice] = ()


def mrr_gap(facts: Revenue, limits: Thresholds) -> Finding | None:
    """Agreements promise more for the month than they invoiced. Over-billing is no gap."""
    if facts.billing in UNBILLED:
        return None
    due = [one for one in facts.contracts if _is_due(one, facts)]
    promised = contracted(due, facts.month)
    names = {one.name for one in due}
    made = [one for one in facts.invoices if one.agreement in names]
    got = invoiced(made, {one.name: one.cycle for one in due}, facts.month)
    gaps = [
        (promised[currency] - got.get(currency, ZERO), currency)
        for currency in promised
        if _is_gap(promised[currency], got.get(currency, ZERO), limits)
    ]
    if not gaps:
        return None
    # The sentence names the largest; the others stand in its money, never added to it.
    gap, currency = max(gaps)
    return Finding(
        sentence=f"Agreements promise {promised[currency]:,.2f} {currency} for"
        f" {facts.month:%B %Y}, {got.get(currency, ZERO):,.2f} was invoiced.",
        severity=HIGH if gap >= limits.gap_grave else MEDIUM,
        money=tuple(sorted(gaps, reverse=True)),
        evidence=tuple(_agreement(one) for one in due),
    )


def _is_due(one: Contract, facts: Revenue) -> bool:
    """Whether an agreement should have invoiced the month by now."""
    end = _month_end(facts.month)
    if not (is_active(one, facts.month) and is_active(one, end)):
        return False  # begun or ended within the month: its share is not known here
    # A cycle that is not known can't be spread over months: a wrong share would cry wolf.
    if not months_of(one.cycle) or is_prepaid(one):
        return False
    # Billed in another currency than it was agreed in: no difference can be told.
    if any(made.currency != one.currency for made in _covering(one, facts)):
        return False
    # The first invoice is still to come: billed in arrears, or just begun.
    first = not any(made.agreement == one.name for made in facts.invoices)
    is_future = one.next_invoice_on is not None and one.next_invoice_on > end
    return not (first and is_future)


def _covering(one: Contract, facts: Revenue) -> list[RecurringInvoice]:
    covers = max(months_of(one.cycle) or 1, 1)
    return [
        made
        for made in facts.invoices
        if made.agreement == one.name and 0 <= months_between(made.issued_on, facts.month) < covers
    ]


def _is_gap(promised: Decimal, got: Decimal, limits: Thresholds) -> bool:
    gap = promised - got
    # A cent or two of rounding is no leak, whatever its share.
    return gap >= 1 and (gap > limits.gap_amount or gap * 100 > promised * limits.gap_percent)


def _agreement(one: Contract) -> Proof:
    return Proof(
        kind="agreement", label=one.name, detail=one.cycle, amount=one.amount, currency=one.currency
    )


# W5: drift between PSA and books


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A linked document on both sides. `settled`: neither side is being read or written now."""

    id: int
    number: str
    currency: str
    state: str  # posting's
    psa_total: Decimal
    psa_gone: bool = False
    books_total: Decimal | None = None  # None: the books don't have it
    books_status: str = ""
    psa_day: date | None = None
    books_day: date | None = None
    expected_contact: str = ""
    books_contact: str = ""
    accepted: frozenset[str] = frozenset()  # fields that a person accepted
    settled: bool = True


# What is being sent must differ: judged, every posting would raise an alert.
_ON_ITS_WAY = frozenset({"waiting", "posting", "uncertain", "held"})
_ENDED = frozenset({"voided", "deleted"})


class _Difference(NamedTuple):
    why: str
    amount: Decimal
    gone: bool = False  # the whole document is missing on one side


def psa_ledger_drift(pairs: Iterable[Pair], limits: Thresholds) -> Finding | None:
    """Linked documents that no longer say the same on both sides; one row a customer."""
    found = [(one, apart) for one in pairs for apart in _drift(one, limits)]
    if not found:
        return None
    money = _sums((apart.amount, one.currency) for one, apart in found)
    count = len({one.id for one, _ in found})
    return Finding(
        sentence=f"{_counted(count, 'document')} {'differs' if count == 1 else 'differ'} between"
        " the PSA and the books.",
        severity=HIGH if any(apart.gone for _, apart in found) else MEDIUM,
        money=tuple(pair for pair in money if pair[0]),
        evidence=tuple(
            Proof(
                kind="document",
                id=one.id,
                label=one.number,
                detail=apart.why,
                day=one.psa_day,
                amount=apart.amount,
                currency=one.currency,
            )
            for one, apart in found
        ),
    )


def _drift(one: Pair, limits: Thresholds) -> list[_Difference]:
    if one.state in _ON_ITS_WAY or not one.settled:
        return []
    if one.psa_gone:
        live = one.books_total is not None and one.books_status not in _ENDED
        total = one.books_total or ZERO
        told = _Difference("deleted in the PSA, live in the books", total, gone=True)
        return [told] if live else []
    if one.books_total is None or one.books_status in _ENDED:
        if "status" in one.accepted:
            return []
        word = "missing" if one.books_total is None else one.books_status
        why = f"{word} in the books, not in the PSA"
        return [_Difference(why, abs(one.psa_total), gone=True)]
    return _fields(one, one.books_total, limits)


def _fields(one: Pair, books_total: Decimal, limits: Thresholds) -> list[_Difference]:
    # Without signs: credit memos are below zero in the PSA, credit notes above it in Xero.
    gap = abs(abs(one.psa_total) - abs(books_total))
    found = []
    if gap > limits.drift_cents and "total" not in one.accepted:
        why = f"total {one.psa_total:,.2f} in the PSA, {books_total:,.2f} in the books"
        found.append(_Difference(why, gap))
    if one.books_day and one.psa_day != one.books_day and "date" not in one.accepted:
        why = f"dated {one.psa_day} in the PSA, {one.books_day} in the books"
        found.append(_Difference(why, ZERO))
    # Without a link nobody knows which contact is right.
    elsewhere = one.expected_contact and one.books_contact != one.expected_contact
    if elsewhere and "contact" not in one.accepted:
        found.append(_Difference("another customer in the books", ZERO))
    return found


# D1, D2: trust in the data


class Unpaired(msgspec.Struct, frozen=True, kw_only=True):
    """A contact or company without a partner."""

    id: int
    kind: str  # contact, company
    name: str
    supplier_only: bool = False
    archived: bool = False
    billing: str = "normal"
    last_used: date | None = None  # its last invoice, agreement or ticket
    outstanding: Money = ()


def unmapped(rows: Iterable[Unpaired], today: date, limits: Thresholds) -> Finding | None:
    """Customers that only one side knows: they are compared with nothing."""
    since = today - timedelta(days=int(limits.unmapped_days))
    found = [one for one in rows if _is_unmapped(one, since)]
    if not found:
        return None
    side = "contacts of the books have no company in the PSA"
    if found[0].kind == "company":
        side = "companies of the PSA have no contact in the books"
    if len(found) == 1:
        side = side.replace("contacts", "contact").replace("companies", "company")
        side = side.replace(" have ", " has ")
    return Finding(
        sentence=f"{len(found)} {side}.",
        severity=MEDIUM if len(found) >= limits.unmapped_many else LOW,
        money=_sums(pair for one in found for pair in one.outstanding),
        evidence=tuple(
            Proof(
                kind=one.kind,
                id=one.id,
                label=one.name,
                day=one.last_used,
                amount=one.outstanding[0][0] if one.outstanding else None,
                currency=one.outstanding[0][1] if one.outstanding else "",
            )
            for one in found
        ),
    )


def _is_unmapped(one: Unpaired, since: date) -> bool:
    # Old contacts that nobody uses are in all books; only those with business are worth a pairing.
    used = one.last_used is not None and one.last_used >= since
    return used and not (one.supplier_only or one.archived or one.billing == "internal")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A feed, with why it is too old (a sentence), or "" where it is fresh."""

    id: int
    name: str
    why: str
    paused: bool = False  # by a person
    chosen: bool = True
    removed: bool = False
    first_pass: bool = False  # being read for the first time, and progressing


def stale_source(feeds: Iterable[Source]) -> Finding | None:
    """Feeds of one organisation that are too old to say anything."""
    stale = [
        one
        for one in feeds
        if one.why and one.chosen and not (one.paused or one.removed or one.first_pass)
    ]
    if not stale:
        return None
    return Finding(
        sentence=f"{_counted(len(stale), 'feed')} too old: what depends on them is not checked.",
        severity=HIGH,
        evidence=tuple(
            Proof(kind="feed", id=one.id, label=one.name, detail=one.why) for one in stale
        ),
    )


def _month_end(month: date) -> date:
    # Four days after the 28th is always in the next month, in leap years too.
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _sums(pairs: Iterable[tuple[Decimal, str]]) -> Money:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for amount, currency in pairs:
        sums[currency] += amount
    return tuple(sorted(((amount, code) for code, amount in sums.items()), reverse=True))


def _counted(number: int | Decimal, noun: str) -> str:
    shown = f"{number.normalize():f}" if isinstance(number, Decimal) else f"{number:,}"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def _listed(parts: Sequence[tuple[int | Decimal, str]]) -> str:
    return " and ".join(_counted(number, noun) for number, noun in parts if number)
