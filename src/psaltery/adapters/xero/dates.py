"""Xero's dates: `/Date(1759363200000+0000)/`, ISO, and lock dates that are midnight somewhere else.

https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import win_tz

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY_MS = 86_400_000
_MS_DATE = re.compile(r"/Date\((-?\d+)(?:([+-])(\d\d)(\d\d))?\)/")
# Windows has dropped these two; Xero's list still has them.
_RETIRED = {"KAMCHATKASTANDARDTIME": "Asia/Kamchatka", "MIDATLANTICSTANDARDTIME": "Etc/GMT+2"}


def moment(text: str) -> datetime | None:
    """The moment of a timestamp, aware, in UTC; None when absent, unreadable or out of range."""
    try:
        if text.startswith("/Date("):
            milliseconds, _ = _ms_date(text)
            return _EPOCH + timedelta(milliseconds=milliseconds)
        return _iso(text) if text else None
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=8192)
def day(text: str) -> date | None:
    """The calendar date of a document date, never shifted to another zone; None as in `moment`.

    Documents of one page share few dates, hence the cache.
    """
    try:
        if text.startswith("/Date("):
            milliseconds, offset = _ms_date(text)
            return date.fromordinal(_EPOCH_DAY + (milliseconds + offset) // _DAY_MS)
        return date.fromisoformat(text[:10]) if text else None
    except (ValueError, OverflowError):
        return None


def lock_day(text: str, zone: str) -> date | None:
    """A lock date. UTC midnight means that date; any other time is a midnight in `zone` (IANA)."""
    at = moment(text)
    if at is None or (at.hour, at.minute, at.second) == (0, 0, 0):
        return day(text)
    # Captures show 11:00 UTC for a lock date in New Zealand, the specification UTC midnight.
    try:
        return at.astimezone(ZoneInfo(zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OverflowError):
        return day(text)


def iana_zone(xero_name: str) -> str:
    """The IANA name for Xero's spelling of a Windows time zone, "UTC" for an unknown one."""
    return _zones().get(_squeezed(xero_name), "UTC")


def _ms_date(text: str) -> tuple[int, int]:
    """Milliseconds since 1970 in UTC, and the written offset in milliseconds."""
    # The form of nearly all, without a regular expression: three times faster.
    if text.endswith("+0000)/"):
        return int(text[6:-7]), 0
    match = _MS_DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    milliseconds, sign, hours, minutes = match.groups()
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * 60_000
    return int(milliseconds), -offset if sign == "-" else offset


def _iso(text: str) -> datetime:
    # Xero writes up to seven fractional digits and often no zone; both mean UTC microseconds.
    whole, dot, rest = text.partition(".")
    digits = re.match(r"\d*", rest).group() if dot else ""  # type: ignore[union-attr]
    zone = rest[len(digits) :]
    parsed = datetime.fromisoformat(whole + (f".{digits[:6]:0<6}" if digits else "") + zone)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _squeezed(name: str) -> str:
    return re.sub(r"[\s.-]", "", name).upper()


@cache
def _zones() -> dict[str, str]:
    return {_squeezed(name): zone for name, zone in win_tz.items()} | _RETIRED
