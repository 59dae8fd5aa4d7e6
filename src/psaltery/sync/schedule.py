"""What is due now. Runs every few seconds; queues, and does nothing itself.

Also the net under the queue: work that waits in a table with no job (a job lost, a process killed
between two lines) is queued here again. Work whose last jobs ended in a bug rests, ever longer.
"""

from typing import TypeVar

from django.db import transaction
from django.db.models import Model, Q, QuerySet

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.inbound import real_time
from psaltery.inbound.models import ConnectWiseEvent, Outcome
from psaltery.kit.clock import now
from psaltery.matching.carry_out import due
from psaltery.matching.models import PaymentsToRead
from psaltery.matching.taken import carry_out as taken
from psaltery.posting.leftovers import ripe
from psaltery.posting.models import Link, Posting
from psaltery.posting.reissue import carry_out as reissues
from psaltery.review.service import wake
from psaltery.sync import backlog, queue
from psaltery.sync.backlog import Backlog
from psaltery.sync.failures import close_idle


def queue_feeds() -> int:
    """Queue the feeds whose time has come; returns how many."""
    with transaction.atomic():
        return _feeds(backlog.look())


def queue_due() -> int:
    """Queue everything that is due; returns how many jobs were asked for."""
    wake()
    close_idle()
    with transaction.atomic():
        queued = backlog.look()
        steps = (_feeds, _postings, _payments, _marks, _callbacks)
        return sum(step(queued) for step in steps)


Row = TypeVar("Row", bound=Model)

# What may be worked on now. Elsewhere jobs would only find out, every few seconds, that they can't.
_ACTIVE = Q(
    organisation__chosen=True,
    organisation__paused=False,
    organisation__connection__state=Connection.State.CONNECTED,
) & ~Q(organisation__state=Organisation.State.REMOVED)
_WRITABLE = (
    _ACTIVE
    & Q(organisation__connection__read_only=False)
    & ~Q(organisation__state=Organisation.State.MISMATCH)
)
_PSA_REACHED = Q(organisation__paused=False, document__connection__state=Connection.State.CONNECTED)


def _feeds(queued: Backlog) -> int:
    """Feeds whose time has come, the PSA's lists first: documents need them."""
    moment = now()
    busy, resting = queued.under_way("pull_feed"), queued.resting("pull_feed")
    known = Feed.objects.filter(_ACTIVE).exclude(pk__in=resting)
    # One that is queued or running without a job was left so by a process that died.
    left = known.filter(state__in=(Feed.State.RUNNING, Feed.State.QUEUED)).exclude(pk__in=busy)
    fresh = known.filter(due_at__lte=moment).exclude(
        state__in=(Feed.State.RUNNING, Feed.State.QUEUED)
    )
    # One that is being written just now is left to the next time: two that wait for each other's
    # feeds would be a deadlock.
    free = (fresh | left).select_for_update(of=("self",), skip_locked=True)
    found = list(free.select_related("organisation__connection"))
    found.sort(key=lambda feed: (_order(feed), feed.due_at or moment))
    for feed in found:
        if feed.state != Feed.State.RUNNING:
            Feed.objects.filter(pk=feed.pk).exclude(state=Feed.State.PAUSED).update(
                state=Feed.State.QUEUED
            )
        queue.pull(feed.pk, feed.organisation_id)
    return len(found)


def _order(feed: Feed) -> int:
    manifest = registry.manifest(feed.organisation.connection.kind)
    names = [spec.name for spec in manifest.feeds]
    return names.index(feed.name) + (100 if manifest.role == Role.PSA else 0)


def _postings(queued: Backlog) -> int:
    waiting = Posting.objects.filter(_WRITABLE, state=Posting.State.WAITING)
    wanted = _organisations(waiting) | _organisations(ripe().filter(_WRITABLE))
    wanted |= _organisations(reissues.ready().filter(_WRITABLE))
    wanted -= queued.settled("post_documents")
    for pk in wanted:
        queue.post(pk)
    return len(wanted)


def _payments(queued: Backlog) -> int:
    wanted = _organisations(due().filter(_PSA_REACHED))
    wanted |= _organisations(PaymentsToRead.objects.filter(_WRITABLE & _PSA_REACHED))
    wanted |= _organisations(taken.due().filter(_WRITABLE))
    wanted -= queued.settled("match_payments")
    for pk in wanted:
        queue.payments(pk)
    return len(wanted)


def _marks(queued: Backlog) -> int:
    unmarked = Link.objects.filter(_PSA_REACHED, psa_marked_at__isnull=True)
    wanted = _organisations(unmarked) - queued.settled("mark_posted")
    for pk in wanted:
        queue.marks(pk)
    return len(wanted)


def _callbacks(queued: Backlog) -> int:
    """PSA sites whose callbacks are to be looked at, and those that called and were not read."""
    due = real_time.due()
    for connection in due:
        queue.callbacks(connection.pk)
    unread = ConnectWiseEvent.objects.filter(handled_at__isnull=True, outcome=Outcome.WOKE)
    sites = Organisation.objects.filter(
        connection__in=unread.values("connection"),
        connection__state=Connection.State.CONNECTED,
        paused=False,
    )
    found = set(sites.values_list("pk", flat=True)) - queued.resting("read_called")
    found -= queued.under_way("read_called")
    for pk in found:
        queue.called(pk)
    return len(due) + len(found)


def _organisations(rows: QuerySet[Row]) -> set[int]:
    return set(rows.order_by().values_list("organisation_id", flat=True).distinct())
