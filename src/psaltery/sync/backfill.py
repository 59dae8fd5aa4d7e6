"""A back-fill as a job: begun after an estimate, paused, resumed, cancelled, with live progress.

A pause keeps each feed's checkpoint: what was read is not read again. A cancelled one leaves each
feed where it stood before: what changed since then is read from there, so nothing is passed by.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet, Sum

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings
from psaltery.audit.actor import actor
from psaltery.audit.service import record_change
from psaltery.connections.models import Feed, Organisation, Usage
from psaltery.connections.opening import source_of
from psaltery.kit.clock import now
from psaltery.sync import queue
from psaltery.sync.forecast import Estimate
from psaltery.sync.models import Backfill, Run

_OPEN = (Backfill.State.RUNNING, Backfill.State.PAUSED)
# Where nothing was measured yet: an invoice of three lines, compressed.
_BYTES_A_RECORD = 400
_MEASURED_FROM = 1_000


def begin(organisation: Organisation, estimate: Estimate | None) -> Backfill:
    """Read everything of an organisation again from the start, behind all other work.

    Raises BadSettings while one is open.
    """
    if of(organisation) is not None:
        raise BadSettings(f"{organisation.name} has a back-fill already.", which="organisation")
    feeds = list(organisation.feeds.order_by("pk"))
    known = [part.records for part in estimate.parts] if estimate else [None]
    # Row and jobs are committed together: no back-fill is shown as running that no job works on.
    with transaction.atomic():
        row = Backfill.objects.create(
            organisation=organisation,
            feeds=[feed.name for feed in feeds],
            asked_by=actor(),
            asked_at=now(),
            records=None if None in known else sum(one or 0 for one in known),
            calls=estimate.calls if estimate else 0,
            minutes=estimate.minutes if estimate else 0,
        )
        for feed in feeds:
            # What is read now comes to its end first; see `wanted`.
            Feed.objects.filter(pk=feed.pk).exclude(state=Feed.State.RUNNING).update(
                state=Feed.State.QUEUED, due_at=now()
            )
            queue.pull(feed.pk, organisation.pk, Priority.BACKFILL)
        _tell(row, "is read from the start")
    return row


def of(organisation: Organisation) -> Backfill | None:
    """The back-fill of an organisation that is not over."""
    return Backfill.objects.filter(organisation=organisation, state__in=_OPEN).first()


def pause(row: Backfill) -> None:
    """Stop after the page that is being read; nothing for one that is not running."""
    with transaction.atomic():
        # Only from running: a second click, or an end meanwhile, changes nothing.
        running = Backfill.objects.filter(pk=row.pk, state=Backfill.State.RUNNING)
        if running.update(state=Backfill.State.PAUSED, paused_at=now()):
            for feed in _unread(row):
                # One that runs halts by itself, between two pages, with its checkpoint kept.
                if feed.state != Feed.State.RUNNING:
                    halt(feed)
            _tell(row, "is not read on until it is resumed")


def resume(row: Backfill) -> None:
    """Go on from the checkpoints; nothing for one that is not paused."""
    with transaction.atomic():
        # Locked, because rested time is added up: two resumes at once must not count it twice.
        paused = Backfill.objects.select_for_update().filter(pk=row.pk, state=Backfill.State.PAUSED)
        for one in paused:
            one.rested += now() - (one.paused_at or now())
            one.state, one.paused_at = Backfill.State.RUNNING, None
            one.save()
            for feed in _unread(one):
                # Begun: it goes on where it stopped, and its count too.
                state = Feed.State.RUNNING if _begun(feed, one) else Feed.State.QUEUED
                Feed.objects.filter(pk=feed.pk).update(state=state, due_at=now())
                queue.pull(feed.pk, feed.organisation_id, Priority.BACKFILL)
            _tell(one, "is read on")


def cancel(row: Backfill) -> None:
    """Go no further: feeds go on from where they stood before; nothing for one that is over."""
    with transaction.atomic():
        for one in Backfill.objects.select_for_update().filter(pk=row.pk, state__in=_OPEN):
            one.state, one.finished_at = Backfill.State.CANCELLED, now()
            one.save(update_fields=["state", "finished_at"])
            for feed in _unread(one):
                # One that runs turns back by itself, between two pages; see `turn_back`.
                resting = Feed.objects.filter(pk=feed.pk, state=Feed.State.PAUSED)
                if resting.update(state=Feed.State.QUEUED, due_at=now()):
                    queue.pull(feed.pk, feed.organisation_id)
            _tell(one, "is not read any further")


def _tell(row: Backfill, what: str) -> None:
    name = row.organisation.name
    record_change(
        f"{name} {what}.", source=source_of(row.organisation), operation="organisation.backfill"
    )


# What the reading of feeds asks.


def halted(feed: Feed) -> bool:
    """Whether a paused back-fill holds this feed. What it has read through goes on as ever."""
    return _unread_by(feed, Backfill.State.PAUSED).exists()


def wanted(feed: Feed) -> bool:
    """Whether the next run of this feed is to pass over everything."""
    return _unread_by(feed, Backfill.State.RUNNING).exists()


def called_off(feed: Feed) -> bool:
    """Whether the pass that is under way was begun for a back-fill that is cancelled."""
    return _called_off(feed) is not None


def turn_back(feed: Feed) -> None:
    """Let the pass of a cancelled back-fill go, and stand where the feed stood before it. Changes
    the row in memory only; for whoever is about to read it on."""
    row = _called_off(feed)
    if row is not None:
        feed.cursor, feed.running_full, feed.state = row.kept[feed.name], False, Feed.State.IDLE


def begin_pass(feed: Feed) -> None:
    """A pass over everything begins, or goes on where it was cut off. Changes the row in memory."""
    running = _unread_by(feed, Backfill.State.RUNNING)
    if not feed.running_full or any(_asked_since(row, feed) for row in running):
        _keep_aside(feed)
        feed.cursor = None
    feed.running_full = True


def _called_off(feed: Feed) -> Backfill | None:
    if not feed.running_full or feed.started_at is None:
        return None
    # A pass that began after the cancelling is none of its.
    rows = Backfill.objects.filter(
        organisation=feed.organisation_id,
        state=Backfill.State.CANCELLED,
        asked_at__lte=feed.started_at,
        finished_at__gte=feed.started_at,
        kept__has_key=feed.name,
    )
    return rows.order_by("-asked_at").first()


def _asked_since(row: Backfill, feed: Feed) -> bool:
    # What a pass has read that began before is older than what was asked for.
    return feed.started_at is None or feed.started_at < row.asked_at


def _keep_aside(feed: Feed) -> None:
    """Remember where a feed stands that is read for its changes; a first pass has no such place."""
    if feed.running_full or not feed.cursor:
        return
    with transaction.atomic():
        for row in _unread_by(feed, Backfill.State.RUNNING).select_for_update():
            row.kept[feed.name] = feed.cursor
            row.save(update_fields=["kept"])


def _unread_by(feed: Feed, state: str) -> QuerySet[Backfill]:
    """Back-fills of this state (one at most) that have not read this feed through."""
    rows = Backfill.objects.filter(
        organisation=feed.organisation_id, state=state, feeds__contains=[feed.name]
    )
    return rows.exclude(read__has_key=feed.name)


def hold_open(feed: Feed) -> None:
    """Nobody pauses, resumes or cancels a back-fill before this transaction ends.

    For whoever locks the feed's row and calls `note_read`: the back-fill's row comes first, as it
    does for people, or the two would wait for each other.
    """
    rows = Backfill.objects.filter(organisation=feed.organisation_id, state__in=_OPEN)
    list(rows.select_for_update().values_list("pk"))


def note_read(feed: Feed) -> None:
    """A feed was passed over whole. Must run inside the transaction of its last page."""
    # A pass that began before the back-fill was asked for does not count: it may have passed by
    # what changed since.
    for row in Backfill.objects.select_for_update().filter(
        organisation=feed.organisation_id, state__in=_OPEN, asked_at__lte=feed.started_at
    ):
        row.read[feed.name] = feed.done
        if set(row.feeds) <= set(row.read):
            row.state, row.finished_at = Backfill.State.DONE, now()
        row.save(update_fields=["read", "state", "finished_at"])


def halt(feed: Feed) -> None:
    """Put a feed to rest at its checkpoint, until the back-fill is resumed."""
    Feed.objects.filter(pk=feed.pk).update(state=Feed.State.PAUSED, due_at=None)


def _unread(row: Backfill) -> list[Feed]:
    """The feeds that have not been read through since it was begun."""
    feeds = Feed.objects.filter(organisation=row.organisation, name__in=row.feeds)
    return list(feeds.exclude(name__in=row.read).order_by("pk"))


def _begun(feed: Feed, row: Backfill) -> bool:
    started = feed.started_at
    return feed.running_full and started is not None and started >= row.asked_at


# What people see.


@dataclass(frozen=True)
class Part:
    """One feed of it."""

    name: str
    label: str
    done: int
    total: int | None
    state: str
    failure: str = ""


@dataclass(frozen=True)
class Progress:
    """Where a back-fill stands. `ends_at` None: paused, over, or not to be said yet."""

    row: Backfill
    parts: list[Part]
    done: int
    total: int | None
    bytes_expected: int | None
    ends_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.row.state in _OPEN


def progress(organisation: Organisation) -> Progress | None:
    """The last back-fill of an organisation; None when there never was one."""
    row = Backfill.objects.filter(organisation=organisation).order_by("-asked_at").first()
    if row is None:
        return None
    feeds = Feed.objects.filter(organisation=organisation, name__in=row.feeds).order_by("pk")
    parts = [_part(feed, row) for feed in feeds]
    done = sum(part.done for part in parts)
    total = _total(row, parts)
    return Progress(row, parts, done, total, _bytes(row, total), _ends_at(row, done, total))


def _part(feed: Feed, row: Backfill) -> Part:
    label = feed.name.replace("_", " ").capitalize()
    if feed.name in row.read:
        count = row.read[feed.name]
        return Part(feed.name, label, count, count, "in_step")
    begun = _begun(feed, row)
    state = "failed" if feed.state == Feed.State.FAILED else "waiting"
    return Part(
        name=feed.name,
        label=label,
        done=feed.done if begun else 0,
        total=feed.total if begun else None,
        state="posting" if begun and feed.state == Feed.State.RUNNING else state,
        failure=feed.failure,
    )


def _total(row: Backfill, parts: list[Part]) -> int | None:
    """By the vendor's count as it is read; what is not begun counts as it was reckoned."""
    told = [part.total for part in parts]
    known = sum(one for one in told if one is not None)
    if None not in told:
        return known
    return max(row.records, known) if row.records is not None else None


def _bytes(row: Backfill, total: int | None) -> int | None:
    """By what a record of this organisation took until now."""
    if total is None:
        return None
    taken = Usage.objects.filter(organisation=row.organisation).aggregate(sum=Sum("bytes_in"))
    read = Run.objects.filter(organisation=row.organisation).aggregate(sum=Sum("read"))
    records = read["sum"] or 0
    # Few records say little: the first answers are mostly lists and headers.
    if records < _MEASURED_FROM:
        return total * _BYTES_A_RECORD
    return total * int(taken["sum"] or 0) // records


def _ends_at(row: Backfill, done: int, total: int | None) -> datetime | None:
    """At the pace until now, pauses left out; before anything was read, as it was reckoned."""
    if row.state != Backfill.State.RUNNING:
        return None
    busy = now() - row.asked_at - row.rested
    if not done or not total:
        return row.asked_at + row.rested + timedelta(minutes=row.minutes) if row.minutes else None
    return now() + busy * max(0, total - done) / done
