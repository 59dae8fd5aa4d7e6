"""Where a feed stands, as the opaque text that the hub keeps. Pure."""

from datetime import datetime, timedelta

import msgspec

from psaltery.adapters.connectwise.conditions import Dates, changed_since

# Records change while a run reads, and several servers share a site: what was written shortly
# before the run began is read once more.
OVERLAP = timedelta(minutes=10)


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`since` None: everything. `after`: the last id of the run. `started`: when the run began, by
    the site's clock. `step`: which list (lookups). `again`: invoices that were not stable."""

    since: datetime | None = None
    started: datetime | None = None
    after: int = 0
    step: int = 0
    total: int | None = None
    dates: Dates = Dates.ISO
    again: tuple[int, ...] = ()

    @property
    def full(self) -> bool:
        return self.since is None

    @property
    def conditions(self) -> str:
        return changed_since(self.since, self.dates) if self.since else ""


def read(text: str | None) -> Cursor:
    """The cursor of a stored text; one that can't be read begins at the beginning."""
    if not text:
        return Cursor()
    try:
        return msgspec.json.decode(text, type=Cursor)
    # Reading all again costs time; guessing a place could leave records out for ever.
    except msgspec.MsgspecError:
        return Cursor()


def written(cursor: Cursor) -> str:
    """The text to store."""
    return msgspec.json.encode(cursor).decode()


def rewound(text: str | None, at: datetime) -> str | None:
    """The cursor that reads what changed since `at` once more, besides what it would read.

    One in the middle of a run stays as it is: the run must come to its end.
    """
    cursor = read(text)
    since = at - OVERLAP
    if cursor.since is None or cursor.after or cursor.step or cursor.since <= since:
        return text
    return written(msgspec.structs.replace(cursor, since=since))


def following(cursor: Cursor, *, last: int, more: bool, at: datetime) -> Cursor:
    """The cursor after a page that ended with the id `last`, read at `at` by the site's clock.

    The next run begins where this run began, less the overlap, so that nothing falls between.
    """
    # The start of the run and not its end: a record that changed behind the reader's back has a
    # later lastUpdated and an id that has been passed.
    started = cursor.started or at
    if more:
        return msgspec.structs.replace(cursor, after=last, started=started)
    return Cursor(since=started - OVERLAP, dates=cursor.dates, again=cursor.again)
