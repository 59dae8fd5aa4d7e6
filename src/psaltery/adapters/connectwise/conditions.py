"""Expressions of ConnectWise's query language. Pure.

https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide#Conditions
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

# Addresses should stay below 2,000 characters, and percent-encoding comes on top.
MOST_IDS = 100


class Dates(StrEnum):
    """How a site wants moments written. Some on-premises sites refuse, or don't find, ISO times."""

    ISO = "iso"
    DAY = "day"


def quoted(text: str) -> str:
    """A text literal. A quotation mark has no escape and is left out, so what comes back must be
    compared with the text again; an opening bracket would begin a date and is doubled."""
    return '"' + text.replace('"', "").replace("[", "[[]") + '"'


def changed_since(moment: datetime, dates: Dates) -> str:
    """Records changed after `moment` (aware). With day precision, from the day before on, because
    the site's zone is unknown."""
    utc = moment.astimezone(UTC)
    if dates is Dates.DAY:
        # An on-premises site was seen to refuse ISO times and to find nothing by today's date.
        return f"lastUpdated>[{utc - timedelta(days=1):%Y-%m-%d}]"
    return f"lastUpdated>[{utc:%Y-%m-%dT%H:%M:%SZ}]"


def one_of(field: str, ids: Iterable[int]) -> str:
    """`field` has one of these ids."""
    return f"{field} in ({','.join(str(one) for one in ids)})"


def both(*expressions: str) -> str:
    """All of the expressions that are not empty."""
    return " and ".join(expression for expression in expressions if expression)


def slices(ids: Sequence[int], size: int = MOST_IDS) -> Iterator[Sequence[int]]:
    """Lists of ids short enough for one address."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
