"""The hash chain: whatever is done to a sealed entry behind the triggers is found, and named."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.urls import reverse

from psaltery import cli
from psaltery.accounts.models import Person, Role
from psaltery.audit import chain, queries, retention, service
from psaltery.audit.models import Block, Entry
from psaltery.audit.tests.test_log import XERO, exchange
from psaltery.audit.verify import Period, verify
from psaltery.kit.clock import now

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = timedelta(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(chain, "ENTRIES_A_BLOCK", 4)


def write(count: int, at: datetime | None = None) -> None:
    for number in range(count):
        service.record_exchange(
            XERO, exchange(operation=f"op{number}", request='{"a":1}', at=at or now())
        )


def ids() -> list[int]:
    return list(Entry.objects.order_by("id").values_list("id", flat=True))


def behind(sql: str, *values: object) -> None:
    """What somebody with the database's own password can do."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)


def problems(**more) -> list[tuple[str, int]]:
    return [(one["kind"], one["id"]) for one in verify(**more).problems]


def test_a_log_that_nobody_touched_verifies():
    write(10)
    assert chain.seal(settle=AT_ONCE) == 10
    write(3)
    found = verify()
    assert (found.count, found.entries, found.unsealed, found.blocks) == (0, 10, 3, 3)
    assert chain.seal(settle=AT_ONCE) == 3
    assert chain.seal(settle=AT_ONCE) == 0
    assert problems() == []


@pytest.mark.parametrize(
    "change",
    ["sentence = 'nothing happened'", "actor = 'eve@example.com'", "response = ''",
     "status = NULL", "documents = ARRAY['4711']", "at = at + interval '1 microsecond'"],
)  # fmt: skip
def test_a_changed_entry_is_named(change):
    write(9)
    chain.seal(settle=AT_ONCE)
    changed = ids()[5]
    behind(f"UPDATE audit_entries SET {change} WHERE id = %s", changed)
    assert problems() == [("changed", changed)]


def test_removed_and_inserted_entries_are_named():
    write(9)
    chain.seal(settle=AT_ONCE)
    before = ids()
    behind("DELETE FROM audit_entries WHERE id = ANY(%s)", [before[0], before[8]])
    assert problems() == [("removed", before[0]), ("removed", before[8])]
    behind(
        "INSERT INTO audit_entries (id, at, actor, kind) VALUES (%s, now(), 'eve', 'change')",
        before[0],
    )
    assert problems() == [("changed", before[0]), ("removed", before[8])]
    behind(
        "INSERT INTO audit_entries (id, at, actor, kind) VALUES (0, now(), 'eve', 'change'),"
        " (%s, '2020-01-05', 'eve', 'change')",
        before[8],
    )
    # An entry of another month counts as well, whichever partition it lies in.
    assert set(problems()) == {("changed", before[0]), ("changed", before[8])}
    behind("UPDATE audit_entries SET id = -5 WHERE id = 0")
    write(1)
    chain.seal(settle=AT_ONCE)
    assert {kind for kind, _ in problems()} == {"changed"}


def test_an_entry_put_between_two_others_is_named():
    write(3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('audit_entries_id_seq')")
        (skipped,) = cursor.fetchone()
    write(3)
    chain.seal(settle=AT_ONCE)
    behind(
        "INSERT INTO audit_entries (id, at, actor, kind) VALUES (%s, now(), 'eve', 'change')",
        skipped,
    )
    assert problems() == [("inserted", skipped)]


def test_a_forged_block_breaks_the_chain_even_where_it_fits_its_entries():
    write(12)
    chain.seal(settle=AT_ONCE)
    changed = ids()[4]
    behind("UPDATE audit_entries SET sentence = 'never' WHERE id = %s", changed)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {chain.HASH} FROM audit_entries WHERE id = %s", [changed])
        (_, forged) = cursor.fetchone()
    block = Block.objects.get(number=2)
    block.hashes = bytes(forged) + bytes(block.hashes)[32:]
    block.save()
    assert problems() == [("chain", 2)]
    block.digest = chain.digest(block)
    block.save()
    assert problems() == [("chain", 3)]
    Block.objects.filter(number=2).delete()
    assert ("chain", 3) in problems()


def test_a_log_cut_or_rewritten_as_a_whole_differs_from_the_head_noted_before():
    write(8)
    chain.seal(settle=AT_ONCE)
    head = verify().head
    last = ids()[-1]
    behind("DELETE FROM audit_entries WHERE id = %s", last)
    Block.objects.all().delete()
    chain.seal(settle=AT_ONCE)
    assert problems() == [("chain", 2)]
    assert [one["kind"] for one in verify(anchor=head).problems] == ["chain", "chain"]


def test_only_the_entries_of_a_period_are_read():
    write(4, datetime(2024, 3, 15, tzinfo=UTC))
    write(4)
    chain.seal(settle=AT_ONCE)
    behind("UPDATE audit_entries SET actor = 'eve' WHERE id = %s", ids()[0])
    since = datetime(2025, 1, 1, tzinfo=UTC)
    assert problems(period=Period(since=since)) == []
    assert verify(Period(since=since)).entries == 4
    assert problems(period=Period(until=since)) == [("changed", ids()[0])]


def test_months_that_were_dropped_leave_their_digest_and_nothing_else():
    old = datetime(2024, 3, 15, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_partition(%s)", [old])
    write(9, old)
    write(2)
    write(1, old)
    write(6)
    chain.seal(settle=AT_ONCE)
    assert problems() == []
    assert retention.keep_up(365) == ["audit_entries_2024_03"]
    found = verify()
    assert (found.count, found.entries) == (0, 8)
    stubs = Block.objects.filter(dropped=True)
    assert stubs.count() < 4
    assert all(not stub.ids and stub.digest for stub in stubs)
    write(3)
    chain.seal(settle=AT_ONCE)
    assert problems() == []
    changed = ids()[0]
    behind("UPDATE audit_entries SET actor = 'eve' WHERE id = %s", changed)
    assert problems() == [("changed", changed)]


def test_an_entry_of_a_transaction_that_is_still_open_holds_the_seal_back(monkeypatch):
    monkeypatch.setattr(chain, "WAIT_SECONDS", 0.2)
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("INSERT INTO audit_entries (actor, kind) VALUES ('slow', 'change')")
        write(2)
        assert chain.seal(settle=AT_ONCE) == 0
        other.commit()
    finally:
        other.close()
    assert chain.seal(settle=AT_ONCE) == 3
    assert problems() == []


def test_entries_of_the_last_seconds_wait():
    write(2)
    assert chain.seal() == 0


def test_the_command_ends_by_what_it_found(capsys):
    def run(*arguments: str) -> int:
        return int(cli.app(["audit", "verify", *arguments], standalone_mode=False) or 0)

    write(5, now() - timedelta(minutes=1))
    assert run("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["entries"], told["problems"], told["found"]) == (5, 0, [])
    assert run("--anchor", told["head"]) == 0
    assert run("--anchor", f"1:{'0' * 64}") == 1
    behind("UPDATE audit_entries SET actor = 'eve' WHERE id = %s", ids()[2])
    capsys.readouterr()
    assert run("--json") == 1
    found = json.loads(capsys.readouterr().out)["found"]
    assert [(one["kind"], one["id"]) for one in found] == [("changed", ids()[2])]
    assert run("--from", "2100-01-01") == 0
    assert run("--from", "whenever") == 2


def test_the_page_says_what_the_last_look_found(client):
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert "not been verified yet" in client.get(reverse("audit:index")).content.decode()
    write(5)
    chain.seal(settle=AT_ONCE)
    verify()
    page = client.get(reverse("audit:index")).content.decode()
    assert "Nothing was changed" in page
    behind("UPDATE audit_entries SET actor = 'eve' WHERE id = %s", ids()[0])
    verify()
    page = client.get(reverse("audit:index")).content.decode()
    assert f"Entry {ids()[0]} was changed" in page
    assert queries.entry(ids()[0]) is not None
