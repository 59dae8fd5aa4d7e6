"""Stores deliveries: each event once, many deliveries in one statement."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from django.db import connection

from psaltery.adapters.connectwise.webhooks import Notice as Callback
from psaltery.adapters.xero.webhooks import Delivery, Notice
from psaltery.inbound.models import ConnectWiseEvent, Outcome, XeroEvent
from psaltery.kit.clock import now
from psaltery.kit.text import clean

# Part of a statement (see sync/deliveries.py): `told` is what arrived, `stored` what of it is new.
# In the order of their ids: two processes that store the same events don't block each other.
XERO_STORED = """
    told AS (
        SELECT * FROM unnest(
            %(event_id)s::text[], %(connection)s::bigint[], %(category)s::text[],
            %(action)s::text[], %(external_id)s::text[], %(feeds)s::text[], %(tenant)s::text[],
            %(at)s::timestamptz[], %(first)s::bigint[], %(last)s::bigint[]
        ) AS told (event_id, connection, category, action, external_id, feeds, tenant, at, first,
                   last)
    ),
    stored AS (
        INSERT INTO xero_webhook_events (
            event_id, connection_id, category, action, external_id, outcome, received_at,
            tenant_id, organisation_id, event_at, first_sequence, last_sequence)
        SELECT told.event_id, told.connection, told.category, told.action, told.external_id,
               CASE WHEN told.feeds = '' THEN %(ignored)s
                    WHEN synced.id IS NULL THEN %(unknown)s ELSE %(woke)s END,
               %(now)s, told.tenant, synced.id, told.at, told.first, told.last
        FROM told
        LEFT JOIN LATERAL (
            SELECT organisation.id FROM connections_organisation organisation
            JOIN connections_connection owner ON owner.id = organisation.connection_id
            WHERE organisation.external_id = told.tenant AND organisation.chosen
                  AND owner.kind = 'xero' LIMIT 1
        ) AS synced ON true
        ORDER BY told.tenant, told.event_id
        ON CONFLICT (tenant_id, event_id) DO NOTHING
        RETURNING event_id, organisation_id, outcome
    )
"""
_CONNECTWISE = """
    INSERT INTO connectwise_callback_events (
        event_id, connection_id, category, action, external_id, outcome, received_at, handled_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (connection_id, event_id) DO NOTHING
    RETURNING id
"""
_COLUMNS = (
    "event_id", "connection", "category", "action", "external_id", "feeds", "tenant", "at",
    "first", "last",
)  # fmt: skip


class Arrived(msgspec.Struct, frozen=True):
    """A delivery of Xero whose signature was right, and the connection whose key it was."""

    delivery: Delivery
    connection_id: int


def xero_values(arrived: Sequence[Arrived]) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of XERO_STORED for some deliveries, and for each event its delivery's place."""
    rows: list[tuple[Any, ...]] = []
    owners: dict[str, int] = {}
    for number, one in enumerate(arrived):
        for notice in one.delivery.notices:
            if notice.event_id not in owners:
                owners[notice.event_id] = number
                rows.append(_row(one, notice))
    columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    words = {outcome.name.lower(): outcome.value for outcome in Outcome}
    return {**columns, **words, "now": now()}, owners


def _row(one: Arrived, notice: Notice) -> tuple[Any, ...]:
    return (
        notice.event_id,
        one.connection_id,
        _cut(notice.category, 64),
        _cut(notice.action, 32),
        _cut(notice.external_id, 100),
        ",".join(notice.feeds),
        _cut(notice.organisation_external_id, 100),
        notice.at,
        one.delivery.first,
        one.delivery.last,
    )


def store_callback(connection_id: int, notice: Callback, *, waits: bool) -> bool:
    """Store one callback of ConnectWise; whether it was new. `waits`: its record is to be read."""
    outcome, moment = Outcome.WOKE if notice.feeds else Outcome.IGNORED, now()
    values: list[Any] = [
        notice.event_id,
        connection_id,
        _cut(notice.category, 64),
        _cut(notice.action, 32),
        _cut(notice.external_id, 100),
        outcome,
        moment,
        None if waits else moment,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTWISE, values)
        return cursor.fetchone() is not None


def _cut(text: str, most: int) -> str:
    # The sender's word: what would not fit must not make the whole delivery fail for ever.
    return clean(text)[:most]


def forget_old(days: int | None) -> int:
    """Delete events older than so many days (None: keep all); how many."""
    if days is None:
        return 0
    before = now() - timedelta(days=days)
    return sum(
        model.objects.filter(received_at__lt=before).delete()[0]
        for model in (XeroEvent, ConnectWiseEvent)
    )
