"""What is due now. Runs every few seconds; queues, and does nothing itself.

Also the net under the queue: work that waits in a table with no job (a job lost, a process killed
between two lines) is queued here again.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.service import wake
from psaltery.sync import queue

# A running feed whose job is gone: its slice is long over.
STUCK = timedelta(minutes=2)


def queue_due() -> int:
    """Queue everything that is due; returns how many jobs were asked for."""
    wake()
    with transaction.atomic():
        return _feeds() + _postings() + _payments() + _marks()


def _usable() -> Q:
    return Q(
        organisation__chosen=True,
        organisation__paused=False,
        organisation__connection__state=Connection.State.CONNECTED,
    ) & ~Q(organisation__state=Organisation.State.REMOVED)


def _feeds() -> int:
    """Feeds whose time has come, the PSA's lists first: documents need them."""
    moment = now()
    due = Feed.objects.filter(_usable(), due_at__lte=moment).exclude(
        state__in=(Feed.State.RUNNING, Feed.State.QUEUED)
    )
    stuck = Feed.objects.filter(
        _usable(), state__in=(Feed.State.RUNNING, Feed.State.QUEUED), due_at__lte=moment - STUCK
    )
    found = list((due | stuck).select_related("organisation__connection"))
    found.sort(key=lambda feed: (_order(feed), feed.due_at))
    for feed in found:
        if feed.state != Feed.State.RUNNING:
            Feed.objects.filter(pk=feed.pk).exclude(state=Feed.State.PAUSED).update(
                state=Feed.State.QUEUED
            )
        Feed.objects.filter(pk=feed.pk).update(due_at=moment)
        queue.pull(feed.pk, feed.organisation_id)
    return len(found)


def _order(feed: Feed) -> int:
    manifest = registry.manifest(feed.organisation.connection.kind)
    names = [spec.name for spec in manifest.feeds]
    return names.index(feed.name) + (100 if manifest.role == Role.PSA else 0)


def _postings() -> int:
    waiting = Posting.objects.filter(_usable(), state=Posting.State.WAITING)
    open_attempts = Attempt.objects.filter(_usable(), state__in=("booked", "uncertain"))
    ids = set(waiting.values_list("organisation_id", flat=True).distinct())
    ids |= set(open_attempts.values_list("organisation_id", flat=True).distinct())
    for pk in ids:
        queue.post(pk)
    return len(ids)


def _payments() -> int:
    states = ("waiting", "posting", "uncertain")
    ids = set(
        PaymentBack.objects.filter(state__in=states).values_list("organisation_id", flat=True)
    )
    for pk in ids:
        queue.payments(pk)
    return len(ids)


def _marks() -> int:
    ids = set(
        Link.objects.filter(psa_marked_at__isnull=True).values_list("organisation_id", flat=True)
    )
    for pk in ids:
        queue.marks(pk)
    return len(ids)
