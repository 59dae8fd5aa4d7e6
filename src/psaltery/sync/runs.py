"""Runs: one row for each run of the engine, for the dashboard and for people who ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from psaltery.adapters.errors import Failure, TryLater
from psaltery.connections.models import Organisation
from psaltery.kit.clock import now
from psaltery.sync.models import Run


@contextmanager
def run(organisation: Organisation, what: str, feed: str = "") -> Iterator[Run]:
    """A run around some work. A failure of the four ends it as paused or failed and goes on up."""
    # Not stored yet: most polls find nothing, and leave no row behind.
    row = Run(organisation=organisation, what=what, feed=feed, started_at=now())
    try:
        yield row
    except Failure as failure:
        row.outcome = "paused" if isinstance(failure, TryLater) else "failed"
        row.sentence = str(failure)
        _keep(row)
        raise
    row.outcome = "done"
    # Polls that found nothing are counted by the feed; they would bury the runs that did something.
    if row.read or row.changed or row.written or row.held:
        _keep(row)


def failed_in_a_row(organisation_id: int, what: str, most: int = 8) -> int:
    """How many of the last runs of this kind failed or paused, up to the last that did not."""
    rows = Run.objects.filter(organisation_id=organisation_id, what=what)
    outcomes = list(rows.order_by("-started_at").values_list("outcome", flat=True)[:most])
    return next((n for n, outcome in enumerate(outcomes) if outcome == "done"), len(outcomes))


# Tries come at most five minutes apart, unless the other side names a later moment.
_APART = timedelta(minutes=30)
_TRIES = 500


def failing_since(organisation_id: int, what: str) -> datetime | None:
    """When the first of the last runs of this kind began that all had to be tried again.

    None when the last one went well, or is long past.
    """
    rows = Run.objects.filter(organisation_id=organisation_id, what=what).order_by("-started_at")
    since, later = None, now()
    for outcome, started in rows.values_list("outcome", "started_at")[:_TRIES]:
        if outcome != "paused" or later - started > _APART:
            break
        since = later = started
    return since


def _keep(row: Run) -> None:
    row.finished_at = now()
    row.save()
