"""The audit log on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from psaltery.adapters.exchange import Exchange
from psaltery.audit import actor, queries, retention, service
from psaltery.audit.models import Entry
from psaltery.kit.clock import now

XERO = service.Source(system="xero", organisation_id=7, organisation="Harbour IT")


def exchange(**changes):
    values = {
        "at": now(),
        "operation": "invoices.list",
        "method": "GET",
        "address": "https://api.example/Invoices?page=1",
        "write": False,
        "status": 200,
        "duration_ms": 12,
        "bytes_out": 0,
        "bytes_in": 20,
        "request": "",
        "response": "{}",
    }
    return Exchange(**(values | changes))


@pytest.mark.django_db
def test_a_request_is_told_with_actor_and_subject():
    with (
        actor.acting_as("ann@example.com"),
        actor.about(document_kind="invoice", documents=["4711"], customer="Acme"),
    ):
        service.record_exchange(XERO, exchange(write=True, method="PUT"))
    entry = Entry.objects.get()
    assert (entry.actor, entry.kind, entry.organisation_id) == ("ann@example.com", "request", 7)
    assert entry.documents == ["4711"]
    assert entry.customer == "Acme"
    assert not entry.failed


@pytest.mark.django_db
def test_a_read_is_told_too_and_a_missing_answer_counts_as_failed():
    service.record_exchange(XERO, exchange())
    service.record_exchange(XERO, exchange(status=0, failure="The answer broke off."))
    assert sorted(Entry.objects.values_list("failed", flat=True)) == [False, True]


@pytest.mark.django_db(transaction=True)
def test_a_decision_is_taken_back_with_its_transaction():
    with transaction.atomic():
        service.record_decision(XERO, service.Decision(sentence="Invoice 1 is created."))
        transaction.set_rollback(True)
    assert Entry.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", ["UPDATE audit_entries SET sentence = 'other'", "DELETE FROM audit_entries"]
)
def test_entries_can_be_neither_changed_nor_deleted(change):
    service.record_change("Ann connected Xero.")
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)


@pytest.mark.django_db
def test_search_by_text_document_failure_and_time():
    service.record_decision(
        XERO, service.Decision(sentence="Held: account 200 is not mapped.", documents=("A-1",))
    )
    service.record_decision(
        XERO, service.Decision(sentence="Created.", documents=("A-2",), customer="Zoë & Söhne")
    )
    service.record_exchange(XERO, exchange(failure="Validation", status=400))

    def found(**search):
        return [entry.sentence for entry in queries.page(queries.Search(**search))]

    assert found(text="MAPPED account") == ["Held: account 200 is not mapped."]
    assert found(document="A-2") == ["Created."]
    assert found(text="söhne") == found(text="SÖHNE") == ["Created."]
    assert found(failed=True) == ["Validation"]
    assert found(until=now() - timedelta(hours=1)) == []
    assert len(found(organisation_id=7)) == 3
    assert found(text="nul\x00l") == []
    assert found(text="100%") == found(text="_") == []


@pytest.mark.django_db
def test_pages_follow_each_other_without_gap_or_repeat():
    at = now()
    for number in range(7):
        service.record_exchange(XERO, exchange(at=at, operation=f"op{number}"))
    seen, after = [], None
    while rows := queries.page(queries.Search(), after=after, size=3):
        seen += [row.operation for row in rows]
        after = (rows[-1].at, rows[-1].id)
    assert seen == [f"op{number}" for number in range(6, -1, -1)]


@pytest.mark.django_db
def test_exports_hold_every_entry_and_no_formulas():
    service.record_decision(XERO, service.Decision(sentence="=1+1", documents=("A-1", "A-2")))
    lines = list(queries.csv_lines(queries.Search()))
    assert len(lines) == 2
    assert "'=1+1" in lines[1]
    text = b"".join(queries.json_lines(queries.Search()))
    assert b'"sentence":"=1+1"' in text
    assert b"".join(queries.json_lines(queries.Search(text="nothing"))) == b"[]\n"


@pytest.mark.django_db
def test_retention_drops_whole_months_and_makes_coming_ones():
    old = datetime(2024, 3, 15, tzinfo=UTC)
    service.record_exchange(XERO, exchange(at=old, write=True))
    service.record_exchange(XERO, exchange(write=True))
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_partition(%s)", [old])
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT audit_make_partition(%s)", [old])
        assert cursor.fetchone() == (False,)
        cursor.execute("SELECT count(*) FROM audit_entries_2024_03")
        assert cursor.fetchone() == (1,)
    assert retention.keep_up(None) == []
    assert retention.keep_up(365) == ["audit_entries_2024_03"]
    assert Entry.objects.count() == 1
