"""Looks whether sealed entries are as they were: every changed, removed or added one by its number.

Reads a thousand entries at a time, so the memory it takes does not grow with the log.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, groupby
from typing import Any

import msgspec
from django.db import connection

from psaltery.audit.actor import actor
from psaltery.audit.chain import HASH, HASH_BYTES, digest
from psaltery.audit.models import Block, Verification
from psaltery.kit.clock import now

# A log that was rewritten has a problem for each entry; the first ones say where to look.
PROBLEMS_KEPT = 100
GAP_MOST = 1_000
_PAGE = 20
_ENTRIES = f"""
SELECT id, {HASH} FROM audit_entries WHERE id > %s AND id <= %s ORDER BY id
"""  # noqa: S608 -- a constant


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it was sealed. `kind`: changed, removed, inserted, chain."""

    kind: str
    id: int  # of the entry; of the block where the chain itself is broken
    sentence: str


class Period(msgspec.Struct, frozen=True):
    """Which entries to look at; times are aware, `until` is exclusive. Links are always checked."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, blocks: Sequence[Block]) -> bool:
        """Whether any of the blocks has an entry of the period."""
        return any(
            (self.since is None or block.last_at >= self.since)
            and (self.until is None or block.first_at < self.until)
            for block in blocks
        )


class _Count(msgspec.Struct):
    blocks: int = 0
    entries: int = 0


def verify(period: Period = Period(), anchor: str = "") -> Verification:  # noqa: B008 -- frozen
    """Check the chain and the entries of a period; the stored result.

    `anchor`: a head noted earlier (number:digest). A log that was rewritten as a whole, hashes and
    all, agrees with itself, but not with that.
    """
    began, count = time.monotonic(), _Count()
    kept: list[Problem] = []
    number = 0
    for number, problem in enumerate(_problems(period, anchor, count), start=1):  # noqa: B007
        if len(kept) < PROBLEMS_KEPT:
            kept.append(problem)
    head = Block.objects.defer("ids", "hashes").order_by("-number").first()
    return Verification.objects.create(
        at=now(),
        took_ms=round((time.monotonic() - began) * 1000),
        asked_by=actor(),
        since=period.since,
        until=period.until,
        blocks=count.blocks,
        entries=count.entries,
        unsealed=_unsealed(head.last_id if head else 0),
        head=str(head) if head else "",
        count=number,
        problems=msgspec.to_builtins(kept),
    )


def latest() -> Verification | None:
    """The last look at the whole log."""
    return Verification.objects.filter(since=None, until=None).order_by("-at").first()


def _problems(period: Period, anchor: str, count: _Count) -> Iterator[Problem]:
    reached, before = 0, None
    for span, group in groupby(_blocks(), key=lambda block: (block.after_id, block.last_id)):
        blocks = list(group)
        for block in blocks:
            yield from _link(before, block)
            before = block
        count.blocks += len(blocks)
        # Between two spans lie ids of dropped months only.
        yield from _strangers(reached, span[0])
        if period.has(blocks):
            yield from _entries(blocks, count)
        reached = span[1]
    yield from _anchored(anchor)


def _blocks() -> Iterator[Block]:
    after = 0
    while page := list(Block.objects.filter(number__gt=after).order_by("number")[:_PAGE]):
        yield from page
        after = page[-1].number


def _link(before: Block | None, block: Block) -> Iterator[Problem]:
    """Whether the block is as sealed, and built on the one before."""
    if not block.dropped and digest(block) != block.digest:
        yield Problem("chain", block.number, f"Block {block.number} is not as it was sealed.")
    follows = before is not None and before.number == block.number - 1
    if before is not None and follows and before.digest != block.previous:
        sentence = f"Block {block.number} is not built on block {before.number} as it is now."
        yield Problem("chain", block.number, sentence)
    if not follows and not block.dropped and block.number != 1:
        yield Problem("chain", block.number, f"The block before block {block.number} is missing.")


def _entries(blocks: Sequence[Block], count: _Count) -> Iterator[Problem]:
    """Compare the entries of a span with the hashes that its blocks hold."""
    sealed = dict(chain.from_iterable(_hashes(block) for block in blocks))
    for number, found in _hashed(blocks[0].after_id, blocks[0].last_id):
        count.entries += 1
        expected = sealed.pop(number, None)
        if expected is None:
            yield _inserted(number)
        elif expected != found:
            yield Problem("changed", number, f"Entry {number} was changed after it was sealed.")
    for number in sealed:
        yield Problem("removed", number, f"Entry {number} was removed.")


def _hashes(block: Block) -> Iterator[tuple[int, bytes]]:
    hashes = bytes(block.hashes)
    for place, number in enumerate(block.ids):
        yield number, hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _hashed(after: int, last: int) -> Iterator[tuple[int, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [after, last])
        for number, found in cursor.fetchall():
            yield number, bytes(found)


def _strangers(after: int, last: int) -> Iterator[Problem]:
    """Entries where there can be none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM audit_entries WHERE id > %s AND id <= %s ORDER BY id LIMIT %s",
            [after, last, GAP_MOST],
        )
        found: list[Any] = cursor.fetchall()
    for (number,) in found:
        yield _inserted(number)


def _inserted(number: int) -> Problem:
    return Problem("inserted", number, f"Entry {number} was put in after its block was sealed.")


def _anchored(anchor: str) -> Iterator[Problem]:
    """Whether the chain still holds the head that was noted, by a person or at the last look."""
    # The last clean look: a broken chain does not become whole by being looked at twice.
    noted = Verification.objects.filter(count=0).exclude(head="").order_by("-at").first()
    if noted is not None and _lowest() <= _number(noted.head):
        yield from _holds(noted.head, "at the last look")
    if anchor:
        yield from _holds(anchor, "elsewhere")


def _holds(anchor: str, where: str) -> Iterator[Problem]:
    number = _number(anchor)
    block = Block.objects.filter(number=number).defer("ids", "hashes").first()
    if block is None or str(block) != anchor:
        sentence = f"Block {number} is not the one that was noted {where}, {anchor}."
        yield Problem("chain", number, sentence)


def _number(anchor: str) -> int:
    number = anchor.partition(":")[0]
    return int(number) if number.isdecimal() else 0


def _lowest() -> int:
    """Lower ones may have gone with their month."""
    found = Block.objects.order_by("number").values_list("number", flat=True).first()
    return found or 0


def _unsealed(last: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_entries WHERE id > %s", [last])
        (count,) = cursor.fetchone()
    return int(count)
