"""The limits at which signals fire: defaults, names and explanations. Pure.

Defaults: reference/signals.md; all can be set on a page and on the command line.
"""

from decimal import Decimal
from typing import Any

import msgspec


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts are in the currency of what is judged."""

    leak_tickets: Decimal = Decimal(3)
    leak_hours: Decimal = Decimal(2)
    leak_day: Decimal = Decimal(10)
    leak_grave: Decimal = Decimal(1000)
    default_rate: Decimal = Decimal(0)
    new_customer_days: Decimal = Decimal(30)
    overdue_grace: Decimal = Decimal(3)
    overdue_medium: Decimal = Decimal(15)
    overdue_high: Decimal = Decimal(31)
    overdue_critical: Decimal = Decimal(60)
    gap_percent: Decimal = Decimal(2)
    gap_amount: Decimal = Decimal(50)
    gap_grave: Decimal = Decimal(1000)
    # A cent may be the vendors' rounding: Xero rounds each line, and the tax of each line.
    # https://developer.xero.com/documentation/api-guides/rounding-in-xero
    drift_cents: Decimal = Decimal("0.01")
    unmapped_days: Decimal = Decimal(365)
    unmapped_many: Decimal = Decimal(10)
    stale_intervals: Decimal = Decimal(2)
    risk_overdue_days: Decimal = Decimal(30)
    slower_days: Decimal = Decimal(10)
    spike_factor: Decimal = Decimal("1.5")
    spike_tickets: Decimal = Decimal(5)
    fade_factor: Decimal = Decimal("0.5")
    fade_least: Decimal = Decimal(6)
    risk_high: Decimal = Decimal(50)
    risk_watch: Decimal = Decimal(25)


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How a threshold is called, for which signal, and the values it may take."""

    name: str
    signal: str
    label: str
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(1_000_000)


def _l(name: str, signal: str, label: str, **more: Any) -> Limit:
    return Limit(name=name, signal=signal, label=label, **more)


_LEAK, _LATE, _GAP = "service_without_invoice", "invoice_overdue", "mrr_gap"
_DRIFT, _ALONE, _HEALTH = "psa_ledger_drift", "unmapped", "account_health"
_STALE = "stale_source"
LIMITS = (
    _l("leak_tickets", _LEAK, "Tickets resolved in the month", least=Decimal(1)),
    _l("leak_hours", _LEAK, "Or hours worked in the month"),
    _l("leak_day", _LEAK, "Looked at from this day of the next month on", most=Decimal(28)),
    _l("default_rate", _LEAK, "Rate of hours that have none (0: no estimate)"),
    _l("leak_grave", _LEAK, "High from this amount on"),
    _l("new_customer_days", _LEAK, "Days in which a customer is new"),
    _l("overdue_grace", _LATE, "Days of grace after the due date"),
    _l("overdue_medium", _LATE, "Medium from this many days on"),
    _l("overdue_high", _LATE, "High from this many days on"),
    _l("overdue_critical", _LATE, "Critical from this many days on"),
    _l("gap_percent", _GAP, "Gap in percent of what is contracted", most=Decimal(100)),
    _l("gap_amount", _GAP, "Or gap above this amount"),
    _l("gap_grave", _GAP, "High from this amount on"),
    _l("drift_cents", _DRIFT, "Difference of totals that is let pass"),
    _l("unmapped_days", _ALONE, "Only those used within this many days"),
    _l("unmapped_many", _ALONE, "Medium from this many on"),
    _l(
        "stale_intervals",
        _STALE,
        "Intervals without a reading",
        least=Decimal(1),
        most=Decimal(100),
    ),
    _l("risk_overdue_days", _HEALTH, "Days overdue that count"),
    _l("slower_days", _HEALTH, "Days by which paying became slower"),
    _l("spike_factor", _HEALTH, "Spike: times the monthly mean of before", least=Decimal(1)),
    _l("spike_tickets", _HEALTH, "Spike: and at least this many more"),
    _l("fade_factor", _HEALTH, "Fade: at most this part of the mean", most=Decimal(1)),
    _l("fade_least", _HEALTH, "Fade: only where the mean is at least"),
    _l("risk_high", _HEALTH, "Points of a high risk", least=Decimal(1)),
    _l("risk_watch", _HEALTH, "Points from which on to watch", least=Decimal(1)),
)
BY_NAME = {limit.name: limit for limit in LIMITS}
