"""What the mappings of an organisation cover of what its documents ask for. Pure.

Lines that ask for the same are counted as one use. Coverage is judged line by line along the same
chain as a decision goes; a key's row says what would answer for it and what waits for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from psaltery.mapping.lookup import (
    KEYS,
    PAYMENTS,
    Choice,
    Entry,
    Key,
    Mappings,
    account_keys,
    folded,
    payment_keys,
    tax_key,
    tracking_keys,
    what_of,
)
from psaltery.records.psa import Document, DocumentKind, DocumentLine

ZERO = Decimal(0)
Money = dict[str, Decimal]
Validity = Callable[[str], str]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that ask the mappings for the same, and the documents and money behind them."""

    line: DocumentLine
    currency: str
    amount: Decimal
    lines: int
    documents: frozenset[int]


class KeyRow(msgspec.Struct, kw_only=True):
    """One key: what is behind it, and what answers for it.

    `problem` says what is wrong with its own target. `open_…` is what nothing answers for though
    this key could; `first` tells whether it is the most specific key for that.
    """

    key: Key
    entry: Entry | None = None
    problem: str = ""
    documents: set[int] = msgspec.field(default_factory=set)
    lines: int = 0
    money: Money = msgspec.field(default_factory=dict)
    open_documents: set[int] = msgspec.field(default_factory=set)
    open_lines: int = 0
    open_money: Money = msgspec.field(default_factory=dict)
    first: bool = False
    own_lines: int = 0
    fallbacks: dict[Key, Entry] = msgspec.field(default_factory=dict)
    untracked: bool = False

    @property
    def state(self) -> str:
        """broken, gap, mapped, fallback, open, specific, untracked or unused."""
        if self.problem:
            return "broken"
        if self.open_lines and self.first:
            return "gap"
        if self.entry is not None:
            return "mapped"
        if self.untracked:
            return "untracked"
        if not self.lines:
            return "unused"
        if self.open_lines:
            return "open"
        return "fallback" if self.fallbacks else "specific"


class Coverage(msgspec.Struct, kw_only=True):
    """All keys of one list, and how much of what was asked is answered."""

    rows: list[KeyRow]
    lines: int = 0
    open_lines: int = 0
    open_documents: set[int] = msgspec.field(default_factory=set)
    open_money: Money = msgspec.field(default_factory=dict)

    @property
    def per_cent(self) -> int:
        """Lines that are covered, rounded down: 100 means all of them."""
        # Never rounded up: one open line in a thousand must not read as covered.
        return 100 if not self.lines else (self.lines - self.open_lines) * 100 // self.lines

    @property
    def gaps(self) -> int:
        """Keys that a person must map or mend."""
        return sum(row.state in ("gap", "broken") for row in self.rows)


# What keys are read from besides the line: nothing else of the document matters.
_DOCUMENT = Document(
    external_id="",
    kind=DocumentKind.INVOICE,
    type="",
    number="",
    company_id="",
    company_name="",
    currency="",
    issued_on=date(2000, 1, 1),
)


def chains(list_: str, line: DocumentLine) -> list[list[Key]]:
    """The chains of keys that a line asks a list for: one for account and tax, one a dimension."""
    what = what_of(list_)
    if what == "account":
        return [account_keys(line, _DOCUMENT)]
    if what == "tax":
        return [[tax_key(line, _DOCUMENT)]]
    if what == PAYMENTS:
        return [payment_keys(line.source, line.member)]
    return [[key] for key in tracking_keys(line, _DOCUMENT) if key.value]


def cover(
    list_: str,
    uses: Iterable[Use],
    mappings: Mappings,
    known: Iterable[Key],
    wrong: Validity,
) -> Coverage:
    """Every key of `known` and of the uses, with what answers for it.

    `wrong` gives what is wrong with a target, "" when it may be used: documents are held for it,
    so what it answers for counts as open.
    """
    rows: dict[tuple[str, str], KeyRow] = {}
    for key in known:
        _row(rows, list_, key, mappings, wrong)
    coverage = Coverage(rows=[])
    for use in uses:
        for chain in chains(list_, use.line):
            _count(coverage, rows, list_, chain, use, mappings, wrong)
    coverage.rows = sorted(rows.values(), key=_order(list_))
    return coverage


def _row(
    rows: dict[tuple[str, str], KeyRow], list_: str, key: Key, mappings: Mappings, wrong: Validity
) -> KeyRow:
    # Two spellings of one value are one row, as they are one key to a decision.
    place = (key.kind, folded(key.value))
    if place not in rows:
        own = mappings.first(list_, [key]).entry
        tracked = list_ != "tracking" or mappings.uses(list_, key.kind)
        rows[place] = KeyRow(
            key=key, entry=own, problem=wrong(own.target) if own else "", untracked=not tracked
        )
    return rows[place]


def _count(
    coverage: Coverage,
    rows: dict[tuple[str, str], KeyRow],
    list_: str,
    chain: Sequence[Key],
    use: Use,
    mappings: Mappings,
    wrong: Validity,
) -> None:
    choice = mappings.first(list_, chain)
    # An archived target holds documents as a missing one does: both count as open.
    usable = choice.entry is not None and not wrong(choice.entry.target)
    asked = [_row(rows, list_, key, mappings, wrong) for key in chain]
    tracked = not asked[0].untracked
    for place, row in enumerate(asked):
        row.documents |= use.documents
        row.lines += use.lines
        _add(row.money, use)
        if usable:
            _answered(row, place, choice, use)
        # Keys of tracking that nobody maps are no gap: lines go without an option then.
        elif tracked and place < len(choice.tried):
            _open(row, place, use)
    if tracked:
        coverage.lines += use.lines
        # Only what is tracked counts at all: 100 % must be within reach of who wants no tracking.
        if not usable:
            coverage.open_lines += use.lines
            coverage.open_documents |= use.documents
            _add(coverage.open_money, use)


def _answered(row: KeyRow, place: int, choice: Choice, use: Use) -> None:
    assert choice.entry is not None
    assert choice.key is not None
    answered_at = len(choice.tried) - 1
    # Keys behind the one that answered were not asked; those before fell back to it.
    if place == answered_at:
        row.own_lines += use.lines
    elif place < answered_at:
        row.fallbacks[choice.key] = choice.entry


def _open(row: KeyRow, place: int, use: Use) -> None:
    row.open_lines += use.lines
    row.open_documents |= use.documents
    row.first = row.first or place == 0
    _add(row.open_money, use)


def _add(money: Money, use: Use) -> None:
    money[use.currency] = money.get(use.currency, ZERO) + use.amount


# A broken entry stops as many documents as one that is missing.
_URGENCY = {"gap": 0, "broken": 0, "unused": 2, "untracked": 1}


def _order(list_: str) -> Callable[[KeyRow], tuple[object, ...]]:
    """What a person must do first; then by kind of key, the most used first."""
    kinds = list(KEYS[list_])

    def order(row: KeyRow) -> tuple[object, ...]:
        waiting = -row.open_lines if row.state == "gap" else 0
        return (
            _URGENCY.get(row.state, 1),
            waiting,
            kinds.index(row.key.kind),
            -row.lines,
            row.key.value.casefold(),
        )

    return order


def most_used(values: Iterable[str]) -> list[tuple[str, int]]:
    """Values with how often they occur, the most frequent first; blank ones left out."""
    counted = Counter(value for value in values if value)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0].casefold()))
