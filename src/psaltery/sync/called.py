"""Reads again, by its id, what a PSA called us about: a closed invoice is posted within seconds.

Nothing in a callback is believed but the id. One job reads what several callbacks were about.
"""

from datetime import datetime

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Psa
from psaltery.adapters.errors import Failure, Rejected, TryLater
from psaltery.connections.models import Connection, Organisation
from psaltery.connections.opening import open_psa
from psaltery.desk import service as desk
from psaltery.desk.models import Document
from psaltery.inbound.models import ConnectWiseEvent, Outcome
from psaltery.kit.clock import now
from psaltery.records.psa import DocumentKind
from psaltery.sync import push
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.taken import psa_changed

# Callbacks whose record is read by its id; the others wake their feed.
READ_BY_ID = ("Invoice",)
# ConnectWise calls a credit memo an invoice too, and a deleted one can't be asked what it was.
_KINDS = (DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO)
# A job of seconds: the workers are shared with what people wait for.
MOST = 50
STEP = "refresh"


def waiting(connection: Connection) -> dict[str, list[int]]:
    """The ids of records that were called about and not read since, each with its callbacks."""
    # Unhandled until its record is stored: a crash in between loses no callback.
    rows = ConnectWiseEvent.objects.filter(
        connection=connection, handled_at__isnull=True, outcome=Outcome.WOKE
    )
    found: dict[str, list[int]] = {}
    for pk, external_id in rows.order_by("pk").values_list("pk", "external_id")[:1000]:
        found.setdefault(external_id, []).append(pk)
    return found


def _waiting_since(connection: Connection) -> datetime | None:
    rows = ConnectWiseEvent.objects.filter(
        connection=connection, handled_at__isnull=True, outcome=Outcome.WOKE
    )
    return rows.order_by("pk").values_list("received_at", flat=True).first()


def read_called(site_id: int) -> bool:
    """Read some of them and decide about what changed; True when there are more.

    Raises the four failures; the connection then says so, and what was not read still waits.
    """
    site = Organisation.objects.select_related("connection").get(pk=site_id)
    found = waiting(site.connection)
    if not found:
        return False
    later: TryLater | Rejected | None = None
    try:
        psa = open_psa(site, Priority.WEBHOOK)
        for external_id in list(found)[:MOST]:
            later = _try(site.connection, psa, external_id, found[external_id]) or later
    except Failure as failure:
        step_failed(site, failure, STEP, _waiting_since(site.connection))
        raise
    if isinstance(later, Rejected):
        step_failed(site, later, STEP)
    else:
        step_works(site, STEP)
    if later is not None:
        raise later
    return len(found) > MOST


def _try(
    connection: Connection, psa: Psa, external_id: str, events: list[int]
) -> TryLater | Rejected | None:
    """Read one; the failure when it concerns this record alone, which stops no other."""
    try:
        _read(connection, psa, external_id, events)
    except TryLater as failure:
        # Still being written. Every other one would meet the next record too.
        if failure.limit != "unstable":
            raise
        return failure
    except Rejected as failure:
        return failure
    return None


def _read(connection: Connection, psa: Psa, external_id: str, events: list[int]) -> None:
    # What is no number can't be an id of ConnectWise; nothing else gets into an address.
    fresh = psa.document(DocumentKind.INVOICE, external_id) if external_id.isdecimal() else None
    # The record, its decision and the end of its callbacks are one: done together, or done again.
    with transaction.atomic():
        if fresh is None:
            # The PSA itself said 404. A callback that says "deleted" is only a reason to look.
            gone = [desk.mark_gone(connection, kind, external_id) for kind in _KINDS]
            changed = [pk for pk in gone if pk is not None]
        elif fresh.closed or _is_known(connection, external_id):
            stored = desk.remember(connection, [fresh])
            changed = stored.documents
            # The feed will find nothing new about it: who paid it in the PSA is seen now or never.
            psa_changed(connection, stored.touched, Priority.WEBHOOK)
        else:
            changed = []  # not closed yet: it concerns nobody
        push.enqueue(changed, Priority.WEBHOOK)
        ConnectWiseEvent.objects.filter(pk__in=events).update(handled_at=now())


def _is_known(connection: Connection, external_id: str) -> bool:
    return Document.objects.filter(
        connection=connection, kind__in=_KINDS, external_id=external_id
    ).exists()
