"""Writes the audit log. Entries are appended and never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from psaltery.adapters.exchange import Exchange
from psaltery.audit import actor
from psaltery.audit.models import Entry
from psaltery.kit.clock import now
from psaltery.kit.text import clean, cut

Row = tuple[Any, ...]
_FOUND_BY_LENGTH = 600
_COLUMNS = (
    "at, actor, kind, system, organisation_id, organisation, operation, method, address, status, "
    "duration_ms, bytes_out, bytes_in, document_kind, documents, customer, sentence, failed, "
    "request, response, found_by"
)
_PLACES = "(" + ", ".join(["%s"] * 21) + ")"
# Reads are told without waiting for the disk: a crash of PostgreSQL itself (not of ours) may lose
# the last half second of them. Writes and decisions are always on the disk.
_RELAXED = "WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true)) "


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The system and organisation that an entry concerns."""

    system: str = ""
    organisation_id: int | None = None
    organisation: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided or changed, in one sentence; `detail` is text or JSON for the reader."""

    sentence: str
    operation: str = ""
    document_kind: str = ""
    documents: tuple[str, ...] = ()
    customer: str = ""
    detail: str = ""
    failed: bool = False


class AuditRecorder:
    """Tells the audit log of every exchange of one organisation's caller."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def record(self, exchange: Exchange) -> None:
        """Keep the exchange at once: callers are in no transaction that could take it back."""
        record_exchange(self._source, exchange)


def record_exchange(source: Source, exchange: Exchange) -> None:
    """Append one request with its answer, about the present subject, by the present actor."""
    subject = actor.subject()
    failed = bool(exchange.failure) or not 0 < exchange.status < 400
    row = (
        exchange.at,
        actor.actor(),
        Entry.Kind.REQUEST,
        *_source_columns(source),
        exchange.operation,
        exchange.method,
        exchange.address,
        exchange.status,
        exchange.duration_ms,
        exchange.bytes_out,
        exchange.bytes_in,
        subject.document_kind,
        list(subject.documents),
        subject.customer,
        clean(exchange.failure),
        failed,
        exchange.request,
        exchange.response,
        _found_by(
            source, subject.documents, subject.customer, exchange.operation, exchange.failure
        ),
    )
    _insert([row], relaxed=not exchange.write and not failed)


def record_decision(source: Source, decision: Decision) -> None:
    """Append one decision, in the transaction of the work it belongs to, if there is one."""
    record_decisions([(source, decision)])


def record_decisions(decisions: Sequence[tuple[Source, Decision]]) -> None:
    """Append many decisions in one statement."""
    at = now()
    _insert([_decision_row(at, Entry.Kind.DECISION, *one) for one in decisions])


def record_change(
    sentence: str,
    *,
    source: Source = Source(),  # noqa: B008 -- frozen
    operation: str = "",
    documents: Sequence[str] = (),
) -> None:
    """Append that somebody changed something in Psaltery: a connection, a mapping, a setting.

    `documents`: the numbers of those that it concerns.
    """
    decision = Decision(sentence=sentence, operation=operation, documents=tuple(documents))
    _insert([_decision_row(now(), Entry.Kind.CHANGE, source, decision)])


def record_sign_in(who: str, sentence: str, *, failed: bool = False) -> None:
    """Append that somebody signed in, or tried to."""
    decision = Decision(sentence=sentence, operation="sign_in", failed=failed)
    with actor.acting_as(who):
        _insert([_decision_row(now(), Entry.Kind.SIGN_IN, Source(), decision)])


def _decision_row(at: datetime, kind: str, source: Source, decision: Decision) -> Row:
    words = (source, decision.documents, decision.customer, decision.operation, decision.sentence)
    return (
        at,
        actor.actor(),
        kind,
        *_source_columns(source),
        decision.operation,
        "",
        "",
        None,
        None,
        None,
        None,
        decision.document_kind,
        list(decision.documents),
        decision.customer,
        clean(decision.sentence),
        decision.failed,
        clean(decision.detail),
        "",
        _found_by(*words),
    )


def _source_columns(source: Source) -> tuple[str, int | None, str]:
    return source.system, source.organisation_id, source.organisation


def _found_by(
    source: Source, documents: Sequence[str], customer: str, operation: str, sentence: str
) -> str:
    words = (source.organisation, *documents[:50], customer, operation, sentence)
    return clean(cut(" ".join(word for word in words if word), _FOUND_BY_LENGTH)).lower()


def _insert(rows: Sequence[Row], *, relaxed: bool = False) -> None:
    if not rows:
        return
    if relaxed:
        places = ", ".join(["%s"] * 21)
        sql = f"{_RELAXED}INSERT INTO audit_entries ({_COLUMNS}) SELECT {places} FROM relaxed"  # noqa: S608
    else:
        values = ", ".join([_PLACES] * len(rows))
        sql = f"INSERT INTO audit_entries ({_COLUMNS}) VALUES {values}"  # noqa: S608 -- names are constants
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in row])
