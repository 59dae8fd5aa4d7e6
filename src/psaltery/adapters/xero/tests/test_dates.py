"""Dates: every form that Xero is known to send, and any that it might."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.xero.dates import day, iana_zone, lock_day, moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("/Date(1759363200000+0000)/", datetime(2025, 10, 2, tzinfo=UTC)),
        ("/Date(1759363200123)/", datetime(2025, 10, 2, 0, 0, 0, 123000, tzinfo=UTC)),
        ("/Date(-86400000+0000)/", datetime(1969, 12, 31, tzinfo=UTC)),
        ("/Date(0)/", EPOCH),
        ("/Date(1759363200000+1300)/", datetime(2025, 10, 2, tzinfo=UTC)),
        ("2026-10-02T03:14:05.1234560", datetime(2026, 10, 2, 3, 14, 5, 123456, tzinfo=UTC)),
        ("2026-10-02T03:14:05.5Z", datetime(2026, 10, 2, 3, 14, 5, 500000, tzinfo=UTC)),
        ("2026-10-02T03:14:05+13:00", datetime(2026, 10, 1, 14, 14, 5, tzinfo=UTC)),
        ("2026-10-02", datetime(2026, 10, 2, tzinfo=UTC)),
    ],
)
def test_moments(text: str, at: datetime) -> None:
    assert moment(text) == at


@pytest.mark.parametrize(
    "text", ["", "/Date(x)/", "/Date(99999999999999999+0000)/", "soon", "0000-00-00", "/Date("]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert moment(text) is None
    assert day(text) is None


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_a_calendar_date_is_never_shifted(on: date) -> None:
    milliseconds = (on - EPOCH.date()).days * 86_400_000
    assert day(f"/Date({milliseconds}+0000)/") == on
    assert day(f"/Date({milliseconds})/") == on
    assert day(f"{on.isoformat()}T00:00:00") == on


@given(st.integers(-2_000_000_000_000, 7_000_000_000_000))
def test_a_moment_survives_to_the_millisecond(milliseconds: int) -> None:
    at = EPOCH + timedelta(milliseconds=milliseconds)
    assert moment(f"/Date({milliseconds}+0000)/") == at


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert moment(text) is None or moment(text).tzinfo is not None
    day(text)


def test_lock_dates_are_read_where_the_organisation_is() -> None:
    # 11:00 UTC is midnight of the next day in New Zealand (summer time).
    assert lock_day("/Date(1419937200000+0000)/", "Pacific/Auckland") == date(2014, 12, 31)
    assert lock_day("/Date(1546214400000+0000)/", "Pacific/Auckland") == date(2018, 12, 31)
    assert lock_day("", "Pacific/Auckland") is None
    assert lock_day("/Date(1419937200000+0000)/", "No/Where") == date(2014, 12, 30)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("NEWZEALANDSTANDARDTIME", "Pacific/Auckland"),
        ("AUSEASTERNSTANDARDTIME", "Australia/Sydney"),
        ("CENAUSTRALIASTANDARDTIME", "Australia/Adelaide"),
        ("CENTRALSTANDARDTIME(MEXICO)", "America/Mexico_City"),
        ("UTC", "Etc/UTC"),
        ("ATLANTISSTANDARDTIME", "UTC"),
        ("", "UTC"),
    ],
)
def test_time_zones(name: str, zone: str) -> None:
    assert iana_zone(name) == zone
    assert ZoneInfo(iana_zone(name))
