"""Paging through a list of Xero, and the cursor that survives a stop after any page.

Pages are ordered by id, not by time of change as is the default: a record changed during the run
would move to the end, and the one behind its place would be skipped. By id nothing ever moves, and
what is new meanwhile has a later time of change than the run's start, so the next run has it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from psaltery.adapters.contract import Page
from psaltery.adapters.errors import BadSettings, Rejected, TryLater
from psaltery.adapters.xero import client, translate
from psaltery.adapters.xero.client import PAGE_MOST, Api, Slice
from psaltery.adapters.xero.dates import moment
from psaltery.kit.clock import parse_http_date
from psaltery.records.drafts import Problem

# If-Modified-Since has whole seconds, its boundary is undocumented, and Xero's servers need not
# agree to the second.
OVERLAP = timedelta(minutes=3)
# Each size divides the one before, so that a page at any size starts where some page would.
_SIZES = (PAGE_MOST, 200, 50)

LISTS: dict[str, tuple[Callable[[Api, Slice], Any], str]] = {
    "contacts": (client.contacts, "contact_id"),
    "invoices": (client.invoices, "invoice_id"),
    "bills": (client.bills, "invoice_id"),
    "credit_notes": (client.credit_notes, "external_id"),
    "payments": (client.payments, "payment_id"),
    "overpayments": (client.overpayments, "external_id"),
    "prepayments": (client.prepayments, "external_id"),
}


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a run stands. `since` "" asks for everything; `started`: Xero's time of its page 1."""

    since: str = ""
    page: int = 1
    size: int = PAGE_MOST
    started: str = ""
    full: bool = False


def pull(api: Api, feed: str, cursor: str | None) -> Page[Any]:
    """The page of `feed` at `cursor`; None begins a run over everything.

    Raises BadSettings for a feed that does not exist.
    """
    if feed not in LISTS:
        raise BadSettings(f"Xero has no feed {feed!r}.", which="feed")
    at = _read(cursor)
    at, raw = _fetched(api, feed, at)
    _check_ids(feed, raw.records)
    # Of the first page: what changes while the others are read belongs to the next run.
    started = at.started or _second(raw.answered_at)
    more = _more(raw, at)
    after = (
        msgspec.structs.replace(at, page=at.page + 1, started=started)
        if more
        else Cursor(since=_overlapped(started))
    )
    return Page(
        records=translate.records_of(feed, raw),
        cursor=msgspec.json.encode(after).decode(),
        more=more,
        total=raw.pagination.item_count if raw.pagination else None,
        full=at.full,
    )


def count(api: Api, feed: str) -> int | None:
    """How many records the list has; None where Xero tells no pagination for it."""
    fetch, _ = LISTS[feed]
    raw = fetch(api, Slice(page=1, size=1))
    return raw.pagination.item_count if raw.pagination else None


def rewound(cursor: str | None, at: datetime) -> str | None:
    """The cursor that reads what changed since `at` once more, besides what it would read. Pure.

    One in the middle of a run stays as it is: the run must come to its end.
    """
    where = _read(cursor)
    moment_text = f"{at - OVERLAP:%Y-%m-%dT%H:%M:%S}"
    if where.full or where.page > 1 or where.since <= moment_text:
        return cursor
    return msgspec.json.encode(msgspec.structs.replace(where, since=moment_text)).decode()


def _read(cursor: str | None) -> Cursor:
    """The cursor; one that can't be read (a damaged row) begins from the beginning."""
    if cursor:
        try:
            return msgspec.json.decode(cursor, type=Cursor)
        except msgspec.DecodeError:
            return Cursor(full=True)
    return Cursor(full=True)


def _fetched(api: Api, feed: str, at: Cursor) -> tuple[Cursor, Any]:
    """The page, asked for in smaller ones while it takes too long or is too large."""
    fetch, _ = LISTS[feed]
    while True:
        try:
            return at, fetch(api, Slice(page=at.page, size=at.size, since=at.since))
        except TryLater as failure:
            smaller = _smaller(at)
            # Other reasons to wait have nothing to do with the size of a page.
            if failure.limit not in ("timeout", "size") or smaller is None:
                raise
            at = smaller


def _smaller(at: Cursor) -> Cursor | None:
    """The same place in the list with the next smaller size; None when there is none."""
    size = next((size for size in _SIZES if size < at.size), None)
    if size is None:
        return None
    return msgspec.structs.replace(at, size=size, page=(at.page - 1) * (at.size // size) + 1)


def _more(raw: Any, at: Cursor) -> bool:
    # Some lists leave `pagination` out: then a page that is not full is the last.
    if raw.pagination and raw.pagination.page_count:
        return bool(at.page < raw.pagination.page_count)
    return len(raw.records) >= at.size


def _second(answered_at: str) -> str:
    """Xero's clock as If-Modified-Since wants it: UTC, whole seconds, no zone."""
    at = moment(answered_at) or parse_http_date(answered_at)
    if at is None:
        raise TryLater("Xero's answer tells no time, so the next run would not know its start.")
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def _overlapped(started: str) -> str:
    at = moment(started)
    return f"{at - OVERLAP:%Y-%m-%dT%H:%M:%S}" if at else ""


def _check_ids(feed: str, records: list[Any]) -> None:
    _, identity = LISTS[feed]
    for record in records:
        if not getattr(record, identity):
            number = getattr(record, "invoice_number", "") or getattr(record, "number", "")
            sentence = f"Xero sent one of the {feed.replace('_', ' ')} without its id {number}"
            raise Rejected([Problem(code="answer_unknown_shape", message=sentence.strip())])
