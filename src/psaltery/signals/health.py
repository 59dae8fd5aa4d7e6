"""How a customer is: a list of reasons with points, not a black box. Pure.

Points and bands: reference/signals.md, section D. The anchor is overdue money AND tickets that
spike or fade, for the same customer.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from psaltery.signals.formulas import CRITICAL, HIGH, MEDIUM, Finding, Money, Proof
from psaltery.signals.thresholds import Thresholds

# Weeks of tickets that a comparison needs.
BASELINE_DAYS = 120
_REASONS_SHOWN = 3


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that was paid in full: how many days after its due date (before: negative)."""

    days_late: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a customer. Tickets: by stretches of 30 days, newest first."""

    known_since: date | None
    today: date
    oldest_overdue_days: int = 0
    overdue: Money = ()
    late_invoices: Sequence[Proof] = ()
    paid: Sequence[Paid] = ()  # newest first
    tickets: Sequence[int] = (0, 0, 0, 0)  # the last 30 days, and the three stretches before
    tickets_known: bool = True
    next_end: date | None = None  # of the agreement that ends first
    has_left: bool = False  # had agreements, and none runs any more


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    points: int
    sentence: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Band: high, watch, none, or unknown where tickets can't be judged and nothing else speaks."""

    band: str
    points: int
    reasons: tuple[Reason, ...]

    @property
    def shown(self) -> list[str]:
        """The gravest reasons, in words."""
        return [reason.sentence for reason in self.reasons[:_REASONS_SHOWN]]

    def has(self, *codes: str) -> bool:
        """Whether one of these reasons is there."""
        return any(reason.code in codes for reason in self.reasons)


def judged(facts: Health, limits: Thresholds) -> Verdict:
    """The reasons to watch a customer, their points and the band."""
    reasons = [
        reason
        for reason in (
            _overdue(facts, limits),
            _paying_slower(facts, limits),
            _spike(facts, limits),
            _fade(facts, limits),
        )
        if reason
    ]
    # The gravest first: three are shown.
    reasons.sort(key=lambda reason: -reason.points)
    points = sum(reason.points for reason in reasons)
    # An agreement that ends is no trouble by itself; it makes every other trouble urgent.
    if points and (ending := _ending(facts)):
        reasons.append(ending)
        points = points * 3 // 2
    return Verdict(band=_band(facts, points, limits), points=points, reasons=tuple(reasons))


def account_health(facts: Health, limits: Thresholds) -> Finding | None:
    """Renewal risk: money overdue while tickets spike or fade, or as many points otherwise."""
    verdict = judged(facts, limits)
    # Either alone has many harmless causes; both at once is how customers leave.
    anchored = verdict.has("overdue") and verdict.has("spike", "fade")
    if not anchored and verdict.band != "high":
        return None
    by_points = CRITICAL if verdict.points >= 2 * limits.risk_high else MEDIUM
    proofs = (
        Proof(kind="reason", label=one.sentence, detail=f"{one.points} points")
        for one in verdict.reasons
    )
    return Finding(
        sentence=f"At risk: {' '.join(verdict.shown)}",
        severity=max(by_points, HIGH if anchored else MEDIUM),
        money=facts.overdue,
        evidence=(
            *proofs,
            *facts.late_invoices,
        ),
    )


def can_judge_tickets(facts: Health) -> bool:
    """Whether there is a past to compare with."""
    if not facts.tickets_known or facts.known_since is None:
        return False
    return facts.known_since <= facts.today - timedelta(days=BASELINE_DAYS)


def _band(facts: Health, points: int, limits: Thresholds) -> str:
    if points >= limits.risk_high:
        return "high"
    if points >= limits.risk_watch:
        return "watch"
    return "none" if can_judge_tickets(facts) else "unknown"


def _overdue(facts: Health, limits: Thresholds) -> Reason | None:
    if facts.oldest_overdue_days <= limits.risk_overdue_days:
        return None
    days = facts.oldest_overdue_days
    return Reason(code="overdue", points=25, sentence=f"An invoice is {days} days overdue.")


def _paying_slower(facts: Health, limits: Thresholds) -> Reason | None:
    last, before = facts.paid[:3], facts.paid[3:9]
    # One slow month of few invoices is no trend.
    if len(last) < 3 or len(before) < 3:
        return None
    slower = _mean(last) - _mean(before)
    if slower < limits.slower_days:
        return None
    return Reason(
        code="slower",
        points=15,
        sentence=f"The last three were paid {slower:.0f} days later than before.",
    )


def _mean(paid: Sequence[Paid]) -> Decimal:
    return Decimal(sum(one.days_late for one in paid)) / len(paid)


def _baseline(facts: Health) -> Decimal:
    return Decimal(sum(facts.tickets[1:4])) / 3


def _spike(facts: Health, limits: Thresholds) -> Reason | None:
    mean, last = _baseline(facts), facts.tickets[0]
    # A factor and a number: two tickets instead of one are twice as many, and mean nothing.
    spikes = last >= mean * limits.spike_factor and last - mean >= limits.spike_tickets
    if not spikes or not can_judge_tickets(facts):
        return None
    return Reason(
        code="spike",
        points=20,
        sentence=f"{last} tickets in 30 days, against {mean:.0f} a month before.",
    )


def _fade(facts: Health, limits: Thresholds) -> Reason | None:
    mean, last = _baseline(facts), facts.tickets[0]
    # Who hardly ever calls can't fade.
    fades = mean >= limits.fade_least and last <= mean * limits.fade_factor
    # Who has left calls no more, and nothing is left to be renewed.
    if not fades or facts.has_left or not can_judge_tickets(facts):
        return None
    return Reason(
        code="fade",
        points=15,
        sentence=f"Only {last} tickets in 30 days, against {mean:.0f} a month before.",
    )


def _ending(facts: Health) -> Reason | None:
    if facts.next_end is None or not facts.today <= facts.next_end <= facts.today + timedelta(
        days=90
    ):
        return None
    return Reason(
        code="ending", points=0, sentence=f"An agreement ends on {facts.next_end:%d %b %Y}."
    )
