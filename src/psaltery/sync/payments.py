"""Brings the PSA's payments in step with the books, document by document."""

import time
from collections.abc import Sequence

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Psa
from psaltery.adapters.errors import Failure, Rejected
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_psa
from psaltery.connections.organisations import site_of
from psaltery.matching.carry_out import Report, carry_out, due, waiting
from psaltery.matching.models import PaymentBack
from psaltery.matching.taken import carry_out as taken
from psaltery.matching.taken.service import wanted
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.models import Run
from psaltery.sync.runs import failing_since, run
from psaltery.sync.taken import take

# Short, so that a stop or something more urgent waits for seconds; the rest is queued again.
SLICE_SECONDS = 20.0
BATCH = 100


def match(organisation_id: int, priority: Priority, slice_seconds: float = SLICE_SECONDS) -> bool:
    """Write what waits; True when there is more. Raises the first failure after both ways."""
    organisation = Organisation.objects.select_related("connection").get(pk=organisation_id)
    until = time.monotonic() + slice_seconds
    more = False
    later: Failure | None = None
    # First what people entered in the PSA: it may be what the books have as well. What fails one
    # way must not hold up the other.
    for way in (_take, _give_back):
        try:
            more = way(organisation, priority, until) or more
        except Failure as failure:
            later = later or failure
    if later is not None:
        raise later
    return more


def _take(organisation: Organisation, priority: Priority, until: float) -> bool:
    if not wanted(organisation) or not taken.documents(organisation, 1):
        return False
    with run(organisation, "taken") as row:
        return take(organisation, priority, row, until)


def _give_back(organisation: Organisation, priority: Priority, until: float) -> bool:
    batch = waiting(organisation, BATCH)
    if not batch:
        return False
    written = 0
    with run(organisation, "payments") as row:
        written = _write(organisation, batch, priority, row, until)
    for site in {site_of(back.document.connection) for back in batch}:
        # An organisation that had nothing to write says nothing about one that could not.
        if written or not due().filter(document__connection=site.connection).exists():
            step_works(site, "payments")
    return time.monotonic() > until or len(batch) == BATCH


def _write(
    organisation: Organisation,
    batch: Sequence[PaymentBack],
    priority: Priority,
    row: Run,
    until: float,
) -> int:
    """How many were written in time. Raises what concerns a whole site at once, and what the PSA
    refuses of one document when the others are done."""
    sites: dict[int, Psa] = {}
    report = Report()
    refused: Rejected | None = None
    for back in batch:
        if time.monotonic() > until:
            break
        site = site_of(back.document.connection)
        try:
            if site.pk not in sites:
                sites[site.pk] = open_psa(site, priority)
            carry_out(back, sites[site.pk], report)
        # A document that the PSA does not know any more is no reason to keep others waiting; it has
        # a card of its own.
        except Rejected as failure:
            refused = failure
        except Failure as failure:
            step_failed(site, failure, "payments", failing_since(organisation.pk, "payments"))
            raise
        # Also for a run that fails: what was written before the failure must be seen in it.
        finally:
            row.read, row.written, row.held = report.seen, report.written, report.held
    if refused is not None:
        raise refused
    return report.written
