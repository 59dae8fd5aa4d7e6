"""Events once more: what they were about is read again, from before they came."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.budget import Priority
from psaltery.adapters.connectwise import cursors as connectwise
from psaltery.adapters.connectwise.webhooks import FEEDS as CONNECTWISE_FEEDS
from psaltery.adapters.xero import feeds as xero
from psaltery.adapters.xero.webhooks import FEEDS as XERO_FEEDS
from psaltery.audit.service import record_change
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import connection_source
from psaltery.connections.organisations import site_of
from psaltery.inbound.models import ConnectWiseEvent, Outcome, XeroEvent
from psaltery.kit.clock import now
from psaltery.sync import queue
from psaltery.sync.called import READ_BY_ID

Events = QuerySet[XeroEvent] | QuerySet[ConnectWiseEvent]
_REWOUND = {"xero": xero.rewound, "connectwise": connectwise.rewound}


class Replayed(msgspec.Struct, frozen=True):
    """How many events were replayed, how many feeds are read for them, and how many are left out
    because they are being read at this moment: replay again when that is done."""

    events: int
    feeds: int
    busy: int


def replay(connection: Connection, events: Iterable[XeroEvent | ConnectWiseEvent]) -> Replayed:
    """Have what these events of a connection were about read again, ahead of everything else.

    Feeds go back to before the oldest of them; records that are read by their id are read again.
    What led to nothing then (an organisation that was not synced) is looked at as things are now.
    """
    chosen = list(events)
    # One transaction: events marked as replayed are never without their reading.
    with transaction.atomic():
        if connection.kind == "xero":
            feeds, busy = _rewind(_of_xero(chosen), connection.kind)
            _mark(XeroEvent.objects.filter(pk__in=[one.pk for one in chosen]))
        else:
            feeds, busy = _rewind(_of_connectwise(connection, chosen), connection.kind)
            _mark(ConnectWiseEvent.objects.filter(pk__in=[one.pk for one in chosen]))
        record_change(
            f"{len(chosen)} events of {connection.name} were replayed.",
            source=connection_source(connection),
            operation="webhooks.replay",
        )
    return Replayed(len(chosen), feeds, busy)


def _mark(rows: Events) -> None:
    rows.update(replayed_at=now())


Oldest = dict[tuple[int, str], datetime]


def _of_xero(events: Iterable[XeroEvent | ConnectWiseEvent]) -> Oldest:
    """For each feed that the events were about, the oldest of them."""
    chosen = [one for one in events if isinstance(one, XeroEvent)]
    synced = _synced({one.tenant_id for one in chosen})
    found: Oldest = {}
    for one in chosen:
        # As things stand now: an organisation that was chosen since is read too.
        if one.tenant_id in synced:
            for feed in XERO_FEEDS.get(one.category, ()):
                key = (synced[one.tenant_id], feed)
                # Xero's own time where there is one: the cursor is by its clock.
                _keep_oldest(found, key, one.event_at or one.received_at)
    return found


def _synced(tenants: set[str]) -> dict[str, int]:
    rows = Organisation.objects.filter(
        external_id__in=tenants, chosen=True, connection__kind="xero"
    )
    return dict(rows.values_list("external_id", "pk"))


def _of_connectwise(
    connection: Connection, events: Iterable[XeroEvent | ConnectWiseEvent]
) -> Oldest:
    site = site_of(connection)
    found: Oldest = {}
    by_id = []
    for one in events:
        if one.category in READ_BY_ID:
            by_id.append(one.pk)
            continue
        for feed in CONNECTWISE_FEEDS.get(one.category, ()):
            _keep_oldest(found, (site.pk, feed), one.received_at)
    if by_id:
        again = ConnectWiseEvent.objects.filter(pk__in=by_id)
        # Open again, so that the job that reads by id finds them as if they had just come.
        again.update(handled_at=None, outcome=Outcome.WOKE)
        queue.called(site.pk)
    return found


def _keep_oldest(found: Oldest, key: tuple[int, str], at: datetime) -> None:
    found[key] = min(at, found.get(key, at))


def _rewind(oldest: Oldest, kind: str) -> tuple[int, int]:
    """Set the feeds back and queue them: how many were, and how many are being read just now."""
    names = {name for _, name in oldest}
    # In one order and locked: a page that is stored now would overwrite the cursor that is set
    # back.
    rows = Feed.objects.select_for_update().filter(
        organisation_id__in={organisation for organisation, _ in oldest}, name__in=names
    )
    wanted = [row for row in rows.order_by("pk") if (row.organisation_id, row.name) in oldest]
    free = [row for row in wanted if row.state != Feed.State.RUNNING]
    for row in free:
        row.cursor = _REWOUND[kind](row.cursor, oldest[row.organisation_id, row.name])
        row.save(update_fields=["cursor"])
        queue.pull(row.pk, row.organisation_id, Priority.INTERACTIVE)
    return len(free), len(wanted) - len(free)
