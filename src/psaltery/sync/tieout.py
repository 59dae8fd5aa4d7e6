"""The tie-out as a job: every night over everything, and when a person asks."""

from datetime import timedelta

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Feed, Organisation
from psaltery.kit.clock import now
from psaltery.matching.tieout.freshness import BOOKS_FEEDS, PSA_FEEDS
from psaltery.matching.tieout.service import due_organisations
from psaltery.matching.tieout.service import tie_out as compare
from psaltery.sync import queue

NIGHT, ASKED = "every night", "on request"
# Mirrors older than this are read again before the night's tie-out, which waits so long for them.
YOUNG = timedelta(minutes=30)
WAIT_SECONDS = 600.0


def tie_out(organisation_id: int, asked_by: str) -> None:
    """Compare one organisation; 0 stands for the documents that no rule sends anywhere."""
    organisation = None
    if organisation_id:
        organisation = Organisation.objects.filter(pk=organisation_id, chosen=True).first()
        # No longer chosen since it was queued: nothing to compare, and no failure.
        if organisation is None:
            return
    compare(organisation, asked_by)


def tie_out_all() -> None:
    """Have old mirrors read, and everything compared afterwards."""
    old = Feed.objects.filter(
        organisation__chosen=True,
        name__in={*PSA_FEEDS, *BOOKS_FEEDS},
        finished_at__lt=now() - YOUNG,
        due_at__gt=now(),
    )
    with transaction.atomic():
        # A difference between mirrors of different age would be explained by nothing.
        after = WAIT_SECONDS if old.update(due_at=now()) else 1.0
        for organisation in due_organisations():
            queue.tieout(organisation.pk if organisation else 0, after=after)


def ask() -> int:
    """A person wants everything compared now, with the mirrors as they are; how many it are."""
    wanted = due_organisations()
    with transaction.atomic():
        for organisation in wanted:
            queue.tieout(organisation.pk if organisation else 0, Priority.INTERACTIVE)
    return len(wanted)
