"""Defers jobs in the transaction that makes them necessary."""

from django.db import transaction
from procrastinate import exceptions
from procrastinate.contrib.django import app

from psaltery.adapters.budget import Priority

# Whoever waits at a screen goes first, a back-fill of thousands of pages goes last.
# Procrastinate does the jobs with the greater number first.
_ORDER = {
    Priority.INTERACTIVE: 30,
    Priority.WEBHOOK: 20,
    Priority.SCHEDULE: 10,
    Priority.BACKFILL: 0,
}


def defer(
    task: str,
    subject: int,
    *,
    lock: str,
    priority: Priority = Priority.SCHEDULE,
    after: float = 0,
) -> None:
    """Queue `task(subject, priority)`, once while it waits; jobs of one lock never run together.

    Where the same job waits already nothing is added, but as that one may begin before this
    transaction commits (and miss its rows), it is tried once more after the commit.
    """
    if not _try(task, subject, lock, priority, after):
        transaction.on_commit(lambda: _again(task, subject, lock, priority, after))


def _again(task: str, subject: int, lock: str, priority: Priority, after: float) -> None:
    _try(task, subject, lock, priority, after)


def _try(task: str, subject: int, lock: str, priority: Priority, after: float) -> bool:
    # One waiting job for each urgency, so that a forced one is not behind a scheduled one.
    waiting = f"{task}:{subject}:{priority.name}:{'later' if after else 'now'}"
    job = app.configure_task(
        task,
        lock=lock,
        queueing_lock=waiting,
        priority=_ORDER[priority],
        schedule_in={"seconds": after} if after else None,
    )
    try:
        # The savepoint keeps the caller's transaction alive when the job waits already.
        with transaction.atomic():
            job.defer(subject=subject, priority=priority.name)
    except exceptions.AlreadyEnqueued:
        return False
    return True


def pull(
    feed: int, organisation: int, priority: Priority = Priority.SCHEDULE, after: float = 0
) -> None:
    """Read a feed on from its checkpoint."""
    # One feed of an organisation at a time: Xero takes five calls at once, and writes need theirs.
    # https://developer.xero.com/documentation/guides/oauth2/limits/
    lock = f"pull:{organisation}"
    defer("pull_feed", feed, lock=lock, priority=priority, after=after)


def post(organisation: int, priority: Priority = Priority.SCHEDULE, after: float = 0) -> None:
    """Post what waits for an organisation."""
    # Never two posters of one organisation: both could find a document missing, and create it.
    lock = f"post:{organisation}"
    defer("post_documents", organisation, lock=lock, priority=priority, after=after)


def payments(organisation: int, priority: Priority = Priority.SCHEDULE, after: float = 0) -> None:
    """Bring the PSA's payments of an organisation's documents in step."""
    # Never two: ConnectWise holds one sum an invoice, and the later of two writers would win.
    lock = f"payments:{organisation}"
    defer("match_payments", organisation, lock=lock, priority=priority, after=after)


def marks(organisation: int, after: float = 0) -> None:
    """Mark posted documents in the PSA."""
    lock = f"marks:{organisation}"
    defer("mark_posted", organisation, lock=lock, priority=Priority.SCHEDULE, after=after)


def callbacks(connection: int) -> None:
    """Register the callbacks of a PSA connection, or look at them."""
    lock = f"callbacks:{connection}"
    defer("check_callbacks", connection, lock=lock, priority=Priority.SCHEDULE)


def called(site: int, after: float = 0) -> None:
    """Read what a PSA site called us about."""
    defer("read_called", site, lock=f"called:{site}", priority=Priority.WEBHOOK, after=after)


def refresh(document: int, after: float = 0) -> None:
    """Read one document again, ahead of everything else."""
    lock = f"refresh:{document}"
    defer("refresh_document", document, lock=lock, priority=Priority.INTERACTIVE, after=after)


def tieout(organisation: int, priority: Priority = Priority.SCHEDULE, after: float = 0) -> None:
    """Tie out an organisation of the books; 0: the documents that no rule sends anywhere."""
    lock = f"tieout:{organisation}"
    defer("tie_out", organisation, lock=lock, priority=priority, after=after)


def contacts(organisation: int) -> None:
    """Pair the contacts of an organisation with companies, after either has changed."""
    lock = f"contacts:{organisation}"
    defer("pair_contacts", organisation, lock=lock, priority=Priority.BACKFILL)
