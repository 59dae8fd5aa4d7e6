"""Dates and locked periods: on which day a document stands in the books, and what forbids it. Pure.

Nothing is written into a locked period, also where the books would allow it (an adviser's
connection): reference/prior-art.md 1.7.
"""

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

import msgspec

from psaltery.posting.situation import Linked, Situation
from psaltery.review.reasons import Reason

_DAY = timedelta(days=1)
_REFERENCE = 200  # of 255 characters: the note must not be what is cut off


class Dating(msgspec.Struct, frozen=True):
    """The date in the books; `moved_from` is the PSA's where the two differ for a lock."""

    issued_on: date
    moved_from: date | None = None
    as_draft: bool = False


def dating(situation: Situation) -> Dating:
    """The date that the document has, or would have, in the books.

    Whether it may be written at all is said by `locked`.
    """
    link, wanted = situation.link, situation.document.issued_on
    if link is not None and not situation.reissue:
        posted = link.posted
        if posted is None or wanted == (posted.moved_from or posted.issued_on):
            # It stays where it stands, whatever was locked since.
            return Dating(posted.issued_on, posted.moved_from) if posted else Dating(wanted)
    # A new one, or one that the PSA has dated anew: now the lock of today counts.
    until, way = situation.book.locked_until, _way(situation)
    if until is None or wanted > until or way == "hold":
        return Dating(wanted)
    return Dating(until + _DAY, wanted, as_draft=way == "draft")


def _way(situation: Situation) -> str:
    """What the organisation wants, or what a person has said about this document."""
    # A re-issue replaces what stands already; to hold it would leave the books half corrected.
    said = situation.reissue or "period_locked" in situation.waived
    return "next_day" if said else situation.book.policy.lock


def note(reference: str, dates: Dating) -> str:
    """The reference in the books, with the PSA's date where it is not the books'."""
    if dates.moved_from is None:
        return reference
    return f"{reference[:_REFERENCE]} ({remark(dates)})".strip()


def remark(dates: Dating) -> str:
    """Why the dates differ, for those who read the document in the books."""
    return f"PSA date {dates.moved_from:%d %b %Y}" if dates.moved_from else ""


def locked(situation: Situation) -> Reason | None:
    """Why its date forbids to write the document now; None when it may be written.

    What is in the books is adopted all the same: nothing is written for that.
    """
    until = situation.book.locked_until
    if until is None or dating(situation).issued_on > until:
        return None
    return Reason(
        code="period_locked",
        about=f"lock:{until}",
        subject=situation.book.name,
        sentence=f"{situation.book.name} is locked up to {until:%d %B %Y}; "
        "documents dated on or before that day wait.",
        details={"locked_until": str(until)},
    )


def is_behind_lock(situation: Situation, link: Linked) -> bool:
    """Whether the document of the books lies in a period that was locked after it was written."""
    until = situation.book.locked_until
    stands_on = link.posted.issued_on if link.posted else situation.document.issued_on
    return until is not None and stands_on <= until


def next_lock(until: date | None, chosen: date | None, today: date) -> date:
    """The day up to which the books are expected to be locked next.

    The chosen day while it lies ahead of the lock; else the end of the last month, or, when that is
    locked already, the end of the first month that is not.
    """
    if chosen is not None and (until is None or chosen > until):
        return chosen
    # Months are closed one after the other: the last is next, unless it is closed already.
    last_month = today.replace(day=1) - _DAY
    return last_month if until is None or until < last_month else _end_of_month(until + _DAY)


def _end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def explained(dates: Dating) -> dict[str, Any]:
    """For the trace: why the document has another date in the books; nothing where it has not."""
    if dates.moved_from is None:
        return {}
    why = f"{dates.moved_from:%d %B %Y} lies in a locked period: the first open day"
    return {"issued_on": why + (", as a draft" if dates.as_draft else "")}
