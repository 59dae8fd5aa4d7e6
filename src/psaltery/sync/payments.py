"""Brings the PSA's payments in step with the books, document by document."""

import time

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Psa
from psaltery.adapters.errors import Failure
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_psa
from psaltery.connections.organisations import site_of
from psaltery.matching.carry_out import Report, carry_out, due, waiting
from psaltery.matching.taken import carry_out as taken
from psaltery.matching.taken.service import wanted
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.runs import failing_since, run
from psaltery.sync.taken import take

# Short, so that a stop or something more urgent waits for seconds; the rest is queued again.
SLICE_SECONDS = 20.0
BATCH = 100


def match(organisation_id: int, priority: Priority, slice_seconds: float = SLICE_SECONDS) -> bool:
    """Write what waits; True when there is more."""
    organisation = Organisation.objects.select_related("connection").get(pk=organisation_id)
    until = time.monotonic() + slice_seconds
    # First what people entered in the PSA: it may be what the books have as well.
    more = _take(organisation, priority, until)
    batch = waiting(organisation, BATCH)
    if not batch:
        return more
    sites: dict[int, Psa] = {}
    report = Report()
    with run(organisation, "payments") as row:
        for back in batch:
            if time.monotonic() > until:
                return True
            connection = back.document.connection
            site = site_of(connection)
            try:
                if connection.pk not in sites:
                    sites[connection.pk] = open_psa(site, priority)
                carry_out(back, sites[connection.pk], report)
            except Failure as failure:
                since = failing_since(organisation.pk, "payments")
                step_failed(site, failure, "payments", since)
                raise
            # Also for a run that fails: what was written before the failure must be seen in it.
            finally:
                row.read, row.written, row.held = report.seen, report.written, report.held
    for site in {site_of(back.document.connection) for back in batch}:
        # An organisation that had nothing to write says nothing about one that could not.
        if report.written or not due().filter(document__connection=site.connection).exists():
            step_works(site, "payments")
    return more or len(batch) == BATCH


def _take(organisation: Organisation, priority: Priority, until: float) -> bool:
    if not wanted(organisation) or not taken.documents(organisation, 1):
        return False
    with run(organisation, "payments") as row:
        return take(organisation, priority, row, until)
