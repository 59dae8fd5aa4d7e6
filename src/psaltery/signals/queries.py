"""Reads of the alert pages and the command line."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.functions import Coalesce

from psaltery.signals.catalogue import SIGNALS, Signal
from psaltery.signals.models import Alert, Check, Muted

Money = list[tuple[Decimal, str]]


def alerts() -> QuerySet[Alert]:
    """All alerts, with their customers."""
    rows = Alert.objects.select_related("customer", "organisation")
    return rows.annotate(size=Coalesce("amount", Decimal(0)))


def open_count() -> int:
    """Alerts that wait for somebody."""
    return Alert.objects.filter(state=Alert.State.OPEN).count()


def money_of(alert: Alert) -> Money:
    """What an alert is about in money, the largest first."""
    return [(Decimal(amount), currency) for amount, currency in alert.money]


@dataclass(frozen=True)
class Standing:
    """A signal as it stands: its last look, what is open, and the money of that by currency."""

    signal: Signal
    check: Check | None
    open: int
    money: Money
    muted: bool

    @property
    def not_checked(self) -> list[str]:
        """Why it, or a part of it, says nothing."""
        if self.muted:
            return []
        return self.check.not_checked if self.check else ["It was not looked for yet."]

    @property
    def is_blind(self) -> bool:
        """Nothing at all could be judged: no number may stand for it, least of all zero."""
        if self.muted or self.open:
            return False
        # Some were judged: then the number is true for those, and the reasons stand beside it.
        return self.check is None or bool(self.check.not_checked and not self.check.looked_at)


def standings() -> list[Standing]:
    """How every signal stands; four queries."""
    checks = {check.signal: check for check in Check.objects.all()}
    muted = set(Muted.objects.values_list("pk", flat=True))
    waiting = Alert.objects.filter(state=Alert.State.OPEN).order_by()
    counts = dict(waiting.values_list("signal").annotate(Count("pk")))
    sums = _sums()
    return [
        Standing(
            signal,
            checks.get(signal.code),
            counts.get(signal.code, 0),
            sorted(sums[signal.code], reverse=True),
            signal.code in muted,
        )
        for signal in SIGNALS
    ]


def _sums() -> dict[str, Money]:
    """What open alerts are about in money, by signal; added up by PostgreSQL."""
    found: dict[str, Money] = defaultdict(list)
    with connection.cursor() as cursor:
        # Stored as text, which keeps every digit that a JSON number would lose.
        cursor.execute(
            "SELECT signal, one->>1, sum((one->>0)::numeric) FROM signals_alerts,"
            " jsonb_array_elements(money) AS one WHERE state = 'open' GROUP BY 1, 2"
        )
        for signal, currency, amount in cursor.fetchall():
            found[signal].append((amount, currency))
    return found


def as_data(alert: Alert, *, evidence: bool = False) -> dict[str, Any]:
    """An alert for programs; amounts as text."""
    found: dict[str, Any] = {
        "id": alert.pk,
        "signal": alert.signal,
        "customer": alert.customer.name if alert.customer else "",
        "organisation": alert.organisation.name if alert.organisation else "",
        "severity": alert.get_severity_display(),
        "state": alert.state,
        "sentence": alert.sentence,
        "money": [f"{amount} {currency}" for amount, currency in alert.money],
        "opened_at": alert.opened_at,
        "seen_at": alert.seen_at,
        "snoozed_until": alert.snoozed_until,
        "note": alert.note,
    }
    if evidence:
        found |= {"evidence": alert.evidence, "evidence_count": alert.evidence_count}
    return found
