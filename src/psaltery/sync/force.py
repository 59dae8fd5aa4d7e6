"""Force-sync: of a record, a feed, an organisation; ahead of everything else."""

from collections.abc import Iterable, Sequence

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings, Failure
from psaltery.audit.service import record_change
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.opening import open_psa
from psaltery.connections.organisations import site_of
from psaltery.desk import service as desk
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.mapping.service import source
from psaltery.posting.service import unskip
from psaltery.records.psa import DocumentKind
from psaltery.sync import push, queue
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.taken import psa_changed

# At once: each costs a call to the PSA, and people wait for the first.
MOST = 2_000


def document(row: Document) -> None:
    """Queue a fresh read of one document from the PSA, its decision and its payments."""
    with transaction.atomic():
        record_change(
            f"{row.number} was forced.", operation="force.document", documents=[row.number]
        )
        queue.refresh(row.pk)


def documents(rows: Sequence[Document]) -> None:
    """Queue a fresh read of each of these documents, as `document` does for one."""
    with transaction.atomic():
        numbers = [row.number for row in rows]
        record_change(
            f"{len(rows)} documents were forced.", operation="force.documents", documents=numbers
        )
        for row in rows:
            queue.refresh(row.pk)


def take_up(ids: Iterable[int]) -> int:
    """Decide again about documents that a person had skipped; how many."""
    with transaction.atomic():
        found = unskip(ids)
        push.enqueue(found, Priority.INTERACTIVE)
    return len(found)


def refresh(document_id: int) -> None:
    """Read one document from the PSA now and decide about it again, changed or not.

    Raises the four failures; the connection then says so.
    """
    row = Document.objects.select_related("connection").get(pk=document_id)
    site = site_of(row.connection)
    try:
        fresh = open_psa(site, Priority.INTERACTIVE).document(
            DocumentKind(row.kind), row.external_id
        )
    except Failure as failure:
        step_failed(site, failure, "refresh")
        raise
    step_works(site, "refresh")
    with transaction.atomic():
        # Marked, not deleted: what was posted for it still stands in the books.
        if fresh is None:
            desk.mark_gone(row.connection, row.kind, row.external_id)
        else:
            stored = desk.remember(row.connection, [fresh])
            psa_changed(row.connection, stored.touched, Priority.INTERACTIVE)
        push.enqueue([row.pk], Priority.INTERACTIVE)


def feed(row: Feed, *, full: bool = False, priority: Priority = Priority.INTERACTIVE) -> None:
    """Queue a feed now; `full` passes over everything from the start."""
    with transaction.atomic():
        # Locked: a page that is being stored writes the cursor too, and one of the two would be
        # lost.
        row = Feed.objects.select_for_update().select_related("organisation").get(pk=row.pk)
        if full:
            row.cursor, row.full_pass_at, row.running_full = None, None, False
            row.started_at = None
        row.due_at = now()
        # Queued, its counts would begin anew in the middle of the run.
        if row.state != Feed.State.RUNNING:
            row.state = Feed.State.QUEUED
        row.save()
        queue.pull(row.pk, row.organisation_id, priority)
        record_change(
            f"{row.name} of {row.organisation.name} was forced.",
            source=source(row.organisation),
            operation="force.feed",
        )


def organisation(row: Organisation, *, names: tuple[str, ...] = (), full: bool = False) -> int:
    """Queue feeds of an organisation (all, or these), and what waits there; how many feeds.

    Raises BadSettings when no feed has one of the names.
    """
    feeds = list(row.feeds.all())
    unknown = set(names) - {one.name for one in feeds}
    if unknown:
        known = ", ".join(sorted(one.name for one in feeds))
        raise BadSettings(
            f"{row.name} has no feed {', '.join(sorted(unknown))}. It has: {known}.", which="type"
        )
    wanted = [one for one in feeds if not names or one.name in names]
    for one in wanted:
        feed(one, full=full)
    with transaction.atomic():
        queue.post(row.pk, Priority.INTERACTIVE)
        queue.payments(row.pk, Priority.INTERACTIVE)
    return len(wanted)


def steps() -> None:
    """Queue all that writes; a job that finds nothing to do costs nothing."""
    with transaction.atomic():
        for row in Organisation.objects.filter(chosen=True, routes__isnull=False).distinct():
            queue.post(row.pk, Priority.INTERACTIVE)
            queue.payments(row.pk, Priority.INTERACTIVE)
            queue.marks(row.pk)
