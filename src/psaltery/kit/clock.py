"""The one place that asks what time it is, so that tests can move it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def parse_http_date(text: str) -> datetime | None:
    """The moment of an HTTP date header, aware, in UTC; None when it is not one."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # RFC 9110: the only zone is GMT; a date without one is read so too.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
