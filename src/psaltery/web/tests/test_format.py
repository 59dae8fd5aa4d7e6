"""How values are written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from psaltery.web import format as write

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "places", "text"),
    [
        ("1234.5", "AUD", None, "1,234.50"),
        ("-1234567.891", "AUD", None, "-1,234,567.89"),
        ("0.005", "AUD", None, "0.01"),
        ("-0.001", "AUD", None, "0.00"),
        ("1234", "JPY", None, "1,234"),
        ("0.123456", "NZD", 4, "0.1235"),
    ],
)
def test_amount(amount, currency, places, text):
    assert write.amount_text(Decimal(amount), currency, places) == text


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12
    )
)
def test_amount_reads_back_as_itself(amount):
    assert Decimal(write.amount_text(amount, "AUD").replace(",", "")) == amount


def test_money_says_what_is_missing_and_escapes_a_currency():
    assert "none" in write.money(None)
    assert "<b>" not in write.money(Decimal(1), "<b>")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=2, minutes=50), "2 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=5), "5 days ago"),
        (-timedelta(minutes=3), "in 3 min"),
        (timedelta(days=40), "12 Oct 2026"),
    ],
)
def test_relative(span, text):
    assert write.relative_text(NOW - span, NOW) == text


def test_exact_time_is_in_the_persons_zone():
    with timezone.override(ZoneInfo("Australia/Sydney")):
        assert write.exact_text(NOW) == "21 Nov 2026, 23:00:00 AEDT"
        assert write.day_text(datetime(2026, 11, 21, 14, tzinfo=UTC)) == "22 Nov 2026"
    assert write.day_text(date(2026, 12, 6)) == "6 Dec 2026"


def test_states_are_one_vocabulary():
    assert "In step" in write.state("in step")
    assert "state-in-step" in write.state("in_step")
    with pytest.raises(KeyError):
        write.state("synced")


def test_unknown_icon_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"icons\.txt"):
        write.icon("no-such-icon")
