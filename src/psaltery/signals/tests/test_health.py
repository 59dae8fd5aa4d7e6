"""Account health: reasons, points and bands; and when it must stay silent."""

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest

from psaltery.signals import health
from psaltery.signals.formulas import CRITICAL, HIGH
from psaltery.signals.health import Health, Paid
from psaltery.signals.thresholds import Thresholds

USUAL = Thresholds()
TODAY = date(2026, 11, 22)
WELL = Health(
    known_since=date(2024, 1, 1),
    today=TODAY,
    overdue=((Decimal(900), "AUD"),),
    tickets=(8, 8, 8, 8),
)
LATE = {"oldest_overdue_days": 31}
SPIKE = {"tickets": (20, 8, 8, 8)}
FADE = {"tickets": (3, 8, 8, 8)}


def of(**changes):
    return msgspec.structs.replace(WELL, **changes)


def paid(*days):
    return [Paid(days_late=one) for one in days]


def test_overdue_and_a_spike_are_a_risk_with_reasons_and_money():
    found = health.account_health(of(**LATE, **SPIKE), USUAL)
    assert found.severity == HIGH
    assert found.money == WELL.overdue
    assert "31 days overdue" in found.sentence
    assert "20 tickets in 30 days, against 8 a month before" in found.sentence
    assert [one.detail for one in found.evidence] == ["25 points", "20 points"]


def test_overdue_and_a_fade_are_a_risk():
    assert "Only 3 tickets" in health.account_health(of(**LATE, **FADE), USUAL).sentence


def test_an_agreement_that_ends_makes_it_graver():
    ending = of(
        **LATE, **SPIKE, next_end=TODAY + timedelta(days=60), paid=paid(40, 40, 40, 0, 0, 0)
    )
    verdict = health.judged(ending, USUAL)
    assert (verdict.points, verdict.band) == (90, "high")
    assert len(verdict.shown) == 3
    assert health.account_health(msgspec.structs.replace(ending), USUAL).severity == HIGH
    low = Thresholds(risk_high=Decimal(45))
    assert health.account_health(ending, low).severity == CRITICAL


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param({}, id="well"),
        pytest.param(LATE, id="overdue alone"),
        pytest.param(SPIKE, id="a spike alone"),
        pytest.param(FADE, id="a fade alone"),
        pytest.param({**LATE, "tickets": (12, 8, 8, 8)}, id="fewer than five more"),
        pytest.param({**LATE, "tickets": (25, 20, 20, 20)}, id="five more, but under 1.5 times"),
        pytest.param({**LATE, "tickets": (0, 5, 5, 5)}, id="too few before to call it a fade"),
        pytest.param({**LATE, "tickets": (5, 8, 8, 8)}, id="more than half of before"),
        pytest.param({"oldest_overdue_days": 30, **SPIKE}, id="thirty days are not over thirty"),
        pytest.param({**LATE, **SPIKE, "tickets_known": False}, id="no tickets are known"),
        pytest.param(
            {**LATE, **SPIKE, "known_since": TODAY - timedelta(days=119)},
            id="no past to compare with",
        ),
        pytest.param({"next_end": TODAY + timedelta(days=10)}, id="an end alone"),
        pytest.param({**LATE, **FADE, "has_left": True}, id="has left, the last invoice is open"),
    ],
)
def test_account_health_stays_silent(silent):
    assert health.account_health(of(**silent), USUAL) is None


@pytest.mark.parametrize(
    ("days", "is_slower"),
    [
        ((20, 20, 20, 5, 5, 5, 5, 5, 5), True),
        ((14, 14, 14, 5, 5, 5, 5, 5, 5), False),
        ((20, 20, 5, 5), False),
        ((-5, -5, -5, 9, 9, 9), False),
    ],
)
def test_paying_slower_compares_the_last_three_with_those_before(days, is_slower):
    assert health.judged(of(paid=paid(*days)), USUAL).has("slower") is is_slower


def test_bands():
    assert health.judged(WELL, USUAL).band == "none"
    assert health.judged(of(**LATE), USUAL).band == "watch"
    assert health.judged(of(known_since=None), USUAL).band == "unknown"
    assert health.judged(of(**LATE, next_end=TODAY - timedelta(days=1)), USUAL).points == 25
