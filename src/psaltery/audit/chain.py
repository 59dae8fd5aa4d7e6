"""The audit log's hash chain: seals entries into blocks, each built on the one before.

Sealing reads entries and writes a block for a thousand of them; inserting an entry costs nothing
more. What is sealed can't be changed, removed or added to without `verify` naming the entry.
"""

import hashlib
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec
from django.db import connection, transaction

from psaltery.audit.models import Block
from psaltery.kit.clock import now

ENTRIES_A_BLOCK = 1_000
HASH_BYTES = 32
# What is so young is left for the next time: its transactions may still be under way.
SETTLE = timedelta(seconds=10)
WAIT_SECONDS = 2.0
_LOCK = 7_120_231  # of the advisory lock that one sealer at a time holds

# The canonical form of an entry: a JSON array of all that was told, hashed where it lies. Without
# `found_by`, which only repeats other columns for searching. Stated in docs/audit.md; another form
# would make every sealed entry look changed.
HASH = """
sha256(convert_to(jsonb_build_array(
    id, (extract(epoch FROM at) * 1000000)::bigint, actor, kind, system, organisation_id,
    organisation, operation, method, address, status, duration_ms, bytes_out, bytes_in,
    document_kind, to_jsonb(documents), customer, sentence, failed, request, response
)::text, 'UTF8'))
"""
_NEXT = f"""
SELECT id, at, {HASH} FROM audit_entries WHERE id > %s AND id <= %s ORDER BY id LIMIT %s
"""  # noqa: S608 -- a constant


class Sealed(msgspec.Struct, frozen=True):
    """One entry on its way into a block."""

    id: int
    at: datetime
    hash: bytes


def seal(*, settle: timedelta = SETTLE, seconds: float = 20.0) -> int:
    """Seal what is settled, for about so many seconds; how many entries.

    Must not run inside a transaction: it waits for those that began before it. Entries are sealed
    in the order of their ids, none left out, so an unsealed one behind the last sealed id can only
    have been put there afterwards.
    """
    # Taken before the writers are waited for: a lower id can only come from one of them.
    newest = _settled_id(now() - settle)
    if newest is None or not _others_ended():
        return 0
    until = time.monotonic() + seconds
    sealed = 0
    while (count := _seal_some(newest)) and time.monotonic() < until:
        sealed += count
    return sealed + count


def _settled_id(before: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM audit_entries WHERE at < %s ORDER BY id DESC LIMIT 1", [before]
        )
        found = cursor.fetchone()
    return found[0] if found else None


def _others_ended() -> bool:
    """Whether every transaction that was writing entries has ended: one that got its id before the
    newest settled one took its lock before, and none can bring a lower id any more."""
    began = _writers()
    until = time.monotonic() + WAIT_SECONDS
    while began & _writers():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _writers() -> set[str]:
    # An INSERT holds this lock from before it takes its id to the end of its transaction. (The
    # transaction ids of pg_current_snapshot would count other databases of the server, too.)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT virtualtransaction FROM pg_locks WHERE relation = 'audit_entries'::regclass"
            " AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()"
        )
        return {found for (found,) in cursor.fetchall()}


def _seal_some(newest: int) -> int:
    """The next blocks, in one transaction; how many entries they hold."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Held to the end of the transaction, so that two sealers can't build on the same block.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        last = Block.objects.defer("ids", "hashes").order_by("-number").first()
        after = last.last_id if last else 0
        cursor.execute(_NEXT, [after, newest, ENTRIES_A_BLOCK])
        found = [Sealed(number, at, bytes(digest)) for number, at, digest in cursor.fetchall()]
        months = sorted({month_of(entry.at) for entry in found})
        for month in months:
            mine = [entry for entry in found if month_of(entry.at) == month]
            last = _block(last, month, (after, found[-1].id), mine)
            last.save(force_insert=True)
    return len(found)


def month_of(at: datetime) -> date:
    """The first day of the entry's month in UTC: a block lies in one partition."""
    return at.date().replace(day=1)


def _block(
    last: Block | None, month: date, span: tuple[int, int], entries: Sequence[Sealed]
) -> Block:
    block = Block(
        number=last.number + 1 if last else 1,
        month=month,
        after_id=span[0],
        last_id=span[1],
        first_at=min(entry.at for entry in entries),
        last_at=max(entry.at for entry in entries),
        entries=len(entries),
        ids=[entry.id for entry in entries],
        hashes=b"".join(entry.hash for entry in entries),
        previous=last.digest if last else "",
        sealed_at=now(),
    )
    block.digest = digest(block)
    return block


def digest(block: Block) -> str:
    """SHA-256 in hex over the block's place, its entries' ids and hashes, and the digest before."""
    place = [block.number, block.month, block.after_id, block.last_id, block.previous]
    head = msgspec.json.encode([*place, block.ids])
    return hashlib.sha256(head + b"\n" + bytes(block.hashes)).hexdigest()


def forget(months: Sequence[date]) -> None:
    """These months were dropped: their blocks keep no hashes, and only the digests that others
    build on. Must run inside the transaction that drops them."""
    Block.objects.filter(month__in=months).update(dropped=True, ids=[], hashes=b"")
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM audit_blocks b USING audit_blocks next"
            " WHERE b.dropped AND next.dropped AND next.number = b.number + 1"
        )
