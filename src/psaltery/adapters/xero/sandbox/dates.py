"""Dates as Xero writes and reads them.

https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The offset may be missing, and times before 1970 are negative.
_WIRE = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")
_UTC = "+0000)/"
_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}")


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970; integers only, so that nothing is lost."""
    # Python's timestamp() is a float and would lose the last digit.
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def wire(moment: datetime) -> str:
    """`/Date(1759363200000+0000)/`."""
    return f"/Date({milliseconds(moment)}+0000)/"


@lru_cache(maxsize=4096)
def wire_date(day: date) -> str:
    """A calendar date as its UTC midnight."""
    return wire(datetime.combine(day, time(), UTC))


def wire_milliseconds(text: str) -> int | None:
    """The number inside `/Date(…)/`; None when the text is no such date."""
    # The common form without the pattern: filters look at every document of a list.
    if text.endswith(_UTC) and text[6:-7].isdecimal():
        return int(text[6:-7])
    found = _WIRE.match(text)
    return int(found[1]) if found else None


def from_wire(text: str) -> datetime | None:
    """The moment inside `/Date(…)/`; None when the text is no such date."""
    number = wire_milliseconds(text)
    return None if number is None else _EPOCH + timedelta(milliseconds=number)


def iso_day(day: date) -> str:
    """The `DateString` twin: `2026-10-02T00:00:00`."""
    return f"{day.isoformat()}T00:00:00"


def iso_moment(moment: datetime) -> str:
    """`2026-10-02T03:14:05.123`: UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def day_of(text: str) -> date | None:
    """The calendar date of an input: `2026-10-02`, with or without time, or the wire form."""
    moment = from_wire(text)
    if moment:
        return moment.date()
    # Other forms are refused: a guess would swap day and month.
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def modified_since(text: str) -> datetime | None:
    """An If-Modified-Since header: ISO without zone, or RFC 1123; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
    # Without a zone it is UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
