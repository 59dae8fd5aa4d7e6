"""Reads a feed, page by page. Each page, its jobs and its checkpoint are one transaction."""

import time
from functools import partial
from typing import Any

from django.db import connection, transaction

from psaltery.adapters import registry
from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Books, Page, Role
from psaltery.adapters.errors import Failure
from psaltery.connections import opening
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.organisations import BILLS, pin
from psaltery.connections.service import note_success
from psaltery.desk import service as desk
from psaltery.desk.models import Company
from psaltery.kit.clock import now
from psaltery.ledger import service as ledger
from psaltery.mapping.service import companies_changed
from psaltery.matching.service import books_changed, overlooked
from psaltery.matching.taken import service as taken
from psaltery.matching.unapplied import service as unapplied
from psaltery.posting.merged import drifting
from psaltery.posting.models import Link
from psaltery.posting.orders import without_orders
from psaltery.posting.watch import examine, examine_records
from psaltery.sync import push, queue
from psaltery.sync.ahead import reader
from psaltery.sync.backfill import (
    begin_pass,
    called_off,
    halt,
    halted,
    hold_open,
    note_read,
    turn_back,
    wanted,
)
from psaltery.sync.failures import feed_failed, feed_works, identity_checked
from psaltery.sync.models import Run
from psaltery.sync.pacing import bring_forward, next_reading
from psaltery.sync.pairing import run_ended
from psaltery.sync.runs import run
from psaltery.sync.taken import reconsider as reconsider_taken

SLICE_SECONDS = 20.0
SETTINGS = "settings"


def pull(feed_id: int, priority: Priority, seconds: float = SLICE_SECONDS) -> bool:
    """Read on from the checkpoint for at most about `seconds`; True when there is more.

    The four failures are kept on the feed and the connection, told, and raised.
    """
    feed = Feed.objects.select_related("organisation__connection").get(pk=feed_id)
    if halted(feed):
        halt(feed)
        return False
    turn_back(feed)
    _begin(feed)
    try:
        with run(feed.organisation, "pull", feed.name) as row:
            adapter = _open(feed, priority)
            more = _pages(feed, adapter, row, seconds)
    except Failure as failure:
        feed_failed(feed, failure)
        raise
    note_success(feed.organisation)
    if not more:
        feed_works(feed)
        if feed.name in unapplied.FEEDS and _role(feed.organisation) == Role.BOOKS:
            unapplied.look(feed.organisation)
    elif halted(feed):
        halt(feed)
        return False
    return more


def _open(feed: Feed, priority: Priority) -> Any:
    return opening.open_adapter(feed.organisation, priority, _role(feed.organisation))


def _begin(feed: Feed) -> None:
    """Begin a run, or go on with one that was cut off."""
    if feed.state in (Feed.State.IDLE, Feed.State.QUEUED) or feed.started_at is None:
        spec = next(
            spec
            for spec in registry.manifest(feed.organisation.connection.kind).feeds
            if spec.name == feed.name
        )
        last = feed.full_pass_at
        old = last is None or (now() - last).total_seconds() >= spec.full_pass_seconds
        if old or wanted(feed):
            # A pass over everything: deltas miss by design what writes no journal, such as a due
            # date on a part-paid invoice, or a contact's balance.
            # https://developer.xero.com/documentation/api/requests-and-responses
            begin_pass(feed)
        feed.started_at, feed.done, feed.changed, feed.total = now(), 0, 0, None
    feed.state = Feed.State.RUNNING
    feed.save(update_fields=_RUN)


# What a run writes of its feed. Not how often it is read, nor when next while it runs: a person or
# a webhook may set these meanwhile.
_RUN = (
    *("state", "cursor", "running_full", "started_at", "finished_at", "full_pass_at"),
    *("done", "total", "changed", "failure_code", "failure", "failed_since"),
)


def _pages(feed: Feed, adapter: Any, row: Run, seconds: float) -> bool:
    until = time.monotonic() + seconds
    if feed.name == SETTINGS:
        _settings(feed, adapter, row)
        return False
    fetch = partial(_fetch, feed.organisation, adapter)
    page, prepared = fetch(feed.name, feed.cursor)
    with reader(fetch) as begin:
        while True:
            # Decided before, so that no page is fetched which this slice does not store.
            stop = time.monotonic() > until or halted(feed) or called_off(feed)
            go_on = page.more and not stop
            coming = begin(feed.name, page.cursor) if go_on else None
            if not _keep(feed, page, prepared, row):
                return True
            if coming is None:
                break
            page, prepared = coming.result()
    return page.more


def _fetch(
    organisation: Organisation, adapter: Any, feed: str, cursor: str | None
) -> tuple[Page[Any], ledger.Prepared | None]:
    """A page and, where it is mirrored, its rows: made while the page before it is stored."""
    page: Page[Any] = adapter.pull(feed, cursor)
    # What is owed to vendors is watched for changes of ours, and not mirrored.
    mirrored = _role(organisation) == Role.BOOKS and feed != BILLS
    return page, ledger.prepare(organisation, page.records) if mirrored else None


def _role(organisation: Organisation) -> Role:
    return registry.manifest(organisation.connection.kind).role


def _keep(feed: Feed, page: Page[Any], prepared: ledger.Prepared | None, row: Run) -> bool:
    """Store a page and its checkpoint; False where a person has sent the feed back to its start."""
    with transaction.atomic(), connection.cursor() as cursor:
        # A page that a crash of PostgreSQL took is read again: its checkpoint went with it.
        cursor.execute("SET LOCAL synchronous_commit TO off")
        changed = _store(feed, page, prepared)
        if feed.name == "payments" and feed.running_full and not page.more:
            # All money of the books is known now: what of it was passed by is looked at.
            push.after_links(feed.organisation, overlooked(feed.organisation))
        if feed.running_full and not page.more:
            hold_open(feed)
        ours = _is_ours(feed)
        if ours:
            _checkpoint(feed, page, changed)
        if ours and not page.more:
            run_ended(feed)
    row.read += len(page.records)
    row.changed += changed
    return ours


def _is_ours(feed: Feed) -> bool:
    """Whether the run is still the one that began; locks the row until the page is stored."""
    row = Feed.objects.select_for_update().filter(pk=feed.pk).values_list("started_at", "seconds")
    started_at, feed.seconds = row.get()
    return bool(started_at == feed.started_at)


def _checkpoint(feed: Feed, page: Page[Any], changed: int) -> None:
    # In the transaction of the page: a crash takes both or neither, so no page is passed by.
    feed.cursor = page.cursor
    feed.done += len(page.records)
    feed.changed += changed
    feed.total = page.total if page.total is not None else feed.total
    if not page.more:
        _finish(feed)
    feed.save(update_fields=_RUN if page.more else (*_RUN, "due_at", "moved_at"))
    if feed.changed and not page.more:
        bring_forward(feed)


def _finish(feed: Feed) -> None:
    feed.state = Feed.State.IDLE
    feed.finished_at = now()
    feed.failure = feed.failure_code = ""
    feed.failed_since = None
    if feed.changed and not feed.running_full:
        feed.moved_at = now()
    feed.due_at = next_reading(feed)
    if feed.running_full:
        # From its start: what changed while it ran may have been behind the pages already.
        feed.full_pass_at = feed.started_at
        note_read(feed)
        feed.running_full = False


def _store(feed: Feed, page: Page[Any], prepared: ledger.Prepared | None) -> int:
    """Store the page and queue what it makes necessary."""
    organisation = feed.organisation
    if _role(organisation) == Role.PSA:
        changed = _store_desk(organisation, page)
        if feed.name == "lookups" and changed:
            push.catalogue_changed()
        return changed
    # An organisation that is only read has no links, so that its pages need not ask for them.
    linked = Link.objects.filter(organisation=organisation).exists()
    # Before the mirror takes the records: after that nothing shows any more what was changed.
    drifted = examine_records(organisation, page.records) if linked else 0
    if prepared is None:
        return drifted
    stored = ledger.remember(organisation, prepared)
    if linked:
        _links_touched(organisation, stored)
    if feed.name == "contacts" and stored.changed:
        push.reconsider(organisation, prefix="contact_")
        examine(organisation, drifting(organisation))
    return stored.changed


def _links_touched(organisation: Organisation, stored: ledger.Stored) -> None:
    """Look at what of ours was changed in the books, and at the money on it."""
    examine(organisation, stored.changed_invoices)
    touched = stored.touched_invoices | stored.changed_invoices
    if books_changed(organisation, touched) | len(taken.books_changed(organisation, touched)):
        queue.payments(organisation.pk)


def _store_desk(organisation: Organisation, page: Page[Any]) -> int:
    stored = desk.remember(organisation.connection, without_orders(page.records))
    if stored.documents:
        push.enqueue(stored.documents)
    push.reroute_unrouted(organisation.connection, set(stored.touched) - set(stored.documents))
    for books in taken.psa_changed(organisation.connection, stored.touched):
        queue.payments(books)
    if stored.companies:
        _companies_changed(organisation, stored.companies)
    return stored.changed


def _companies_changed(organisation: Organisation, ids: list[int]) -> None:
    changed = Company.objects.filter(pk__in=ids).values_list("external_id", flat=True)
    push.reconsider_companies(organisation.connection, list(changed))
    for books in companies_changed(ids):
        queue.post(books.pk)


def _settings(feed: Feed, books: Books, row: Run) -> None:
    """The lists that mappings choose from, and the organisation's own facts."""
    found = books.settings()
    with transaction.atomic():
        # A lock that was moved releases what it held, though no list has changed.
        before = (feed.organisation.period_lock_on, feed.organisation.year_lock_on)
        pin(feed.organisation, found.organisation)
        changed = ledger.remember_settings(feed.organisation, found)
        feed.organisation.refresh_from_db()
        moved = before != (feed.organisation.period_lock_on, feed.organisation.year_lock_on)
        if changed or moved:
            push.reconsider(feed.organisation)
            reconsider_taken(feed.organisation)
        feed.done = len(found.accounts) + len(found.tax_rates)
        feed.changed = changed
        _finish(feed)
        feed.save(update_fields=(*_RUN, "due_at"))
        identity_checked(feed.organisation)
    row.read, row.changed = 0, changed
