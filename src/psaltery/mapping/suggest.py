"""What an organisation's own history says a key becomes, by plain counts. Pure.

Learned from documents that were in the books already and were linked to the PSA's: what people
chose there. What Psaltery posted itself would only repeat its mappings.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from psaltery.mapping.coverage import chains
from psaltery.mapping.lookup import Key, folded, what_of
from psaltery.records.psa import DocumentLine

# Fewer cases, or less agreement among them, would be a guess.
LEAST_CASES = 2
LEAST_SHARE = Decimal("0.8")

T = TypeVar("T")
Place = tuple[str, str]  # a key's kind and its value without case


class BooksLine(msgspec.Struct, frozen=True):
    """A line as the books have it."""

    amount: Decimal
    description: str
    account_code: str
    tax_type: str


class History(msgspec.Struct, frozen=True):
    """One document on both sides."""

    psa: tuple[DocumentLine, ...]
    books: tuple[BooksLine, ...]


class Suggestion(msgspec.Struct, frozen=True):
    """A key became this target in `times` of `cases`."""

    target: str
    times: int
    cases: int


def paired(history: History) -> list[tuple[DocumentLine, BooksLine]]:
    """The lines that are surely each other: by an amount that is once on either side, then by
    the description."""
    # Amounts first: descriptions are often edited in the books, amounts are not.
    found = _alike(history.psa, history.books, lambda line: line.amount, lambda line: line.amount)
    left = [line for line in history.psa if line not in [pair[0] for pair in found]]
    rest = [line for line in history.books if line not in [pair[1] for pair in found]]
    return found + _alike(
        left, rest, lambda line: folded(line.description), lambda line: folded(line.description)
    )


def _alike(
    psa: Sequence[DocumentLine],
    books: Sequence[BooksLine],
    of_psa: Callable[[DocumentLine], Hashable],
    of_books: Callable[[BooksLine], Hashable],
) -> list[tuple[DocumentLine, BooksLine]]:
    single = _once(psa, of_psa)
    return [(single[mark], line) for mark, line in _once(books, of_books).items() if mark in single]


def _once(lines: Sequence[T], mark_of: Callable[[T], Hashable]) -> dict[Hashable, T]:
    counted = Counter(mark_of(line) for line in lines)
    # Two lines of one amount could be swapped: nothing is learned from them.
    return {mark_of(line): line for line in lines if counted[mark_of(line)] == 1}


def suggestions(list_: str, histories: Iterable[History]) -> dict[Place, Suggestion]:
    """For each key that was met often enough and alike, what it became most often."""
    counts: Mapping[Place, Counter[str]] = defaultdict(Counter)
    for history in histories:
        for line, other in paired(history):
            target = other.account_code if what_of(list_) == "account" else other.tax_type
            if target:
                for key in _keys(list_, line):
                    counts[place(key)][target] += 1
    found = {where: _most(counter) for where, counter in counts.items()}
    return {where: best for where, best in found.items() if best is not None}


def place(key: Key) -> Place:
    """Where a key's suggestion is found."""
    return key.kind, folded(key.value)


def _keys(list_: str, line: DocumentLine) -> set[Key]:
    # "Everything else" is a person's decision, whatever most lines became.
    return {key for chain in chains(list_, line) for key in chain if key.kind != "any"}


def _most(counter: Counter[str]) -> Suggestion | None:
    # A share as well as a count: ten cases that went five ways teach nothing.
    target, times = counter.most_common(1)[0]
    cases = counter.total()
    enough = cases >= LEAST_CASES and times >= LEAST_SHARE * cases
    return Suggestion(target, times, cases) if enough else None
