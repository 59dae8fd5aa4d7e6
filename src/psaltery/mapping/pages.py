"""What the mapping pages show, put together from reads and pure judgements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from psaltery.connections.models import Organisation
from psaltery.mapping.coverage import Coverage, KeyRow, Money
from psaltery.mapping.forms import key_text
from psaltery.mapping.lookup import KEYS
from psaltery.mapping.queries import key_words
from psaltery.mapping.suggest import Place, Suggestion, place
from psaltery.mapping.targets import WORDS, Targets

SHOW = {
    "relevant": "In use or mapped",
    "todo": "What waits for you",
    "mapped": "Mapped",
    "all": "All keys of the PSA",
}
HOW = {
    "created": "created by Psaltery",
    "number": "found by its number",
    "account": "found by its account number",
    "name": "found by its name",
    "email": "found by its e-mail address",
    "person": "linked by a person",
    "adopted": "adopted with a document",
}
_TODO = ("gap", "broken", "open")


@dataclass(frozen=True)
class Shown:
    """One key's row on the page."""

    row: KeyRow
    name: str
    kind: str
    token: str
    target: str
    answers: list[str]
    suggestion: str = ""
    cases: str = ""

    @property
    def money(self) -> list[tuple[str, Decimal]]:
        """What is behind the key, the greatest sum first."""
        return by_size(self.row.money)

    @property
    def open_money(self) -> list[tuple[str, Decimal]]:
        """What waits because nothing answers."""
        return by_size(self.row.open_money)

    @property
    def documents(self) -> int:
        """How many documents have lines with this key."""
        return len(self.row.documents)

    @property
    def open_documents(self) -> int:
        """How many documents wait because nothing answers."""
        return len(self.row.open_documents)


@dataclass(frozen=True)
class View:
    """What a person chose to see of a list."""

    organisation: Organisation
    list: str
    query: str = ""
    show: str = "relevant"
    kind: str = ""

    @property
    def word(self) -> str:
        """What keys of this list become."""
        return WORDS[self.list]

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of key of this list."""
        return KEYS[self.list]


def by_size(money: Money) -> list[tuple[str, Decimal]]:
    """Sums by currency, the greatest first, empty ones left out."""
    found = [(currency, amount) for currency, amount in money.items() if amount]
    return sorted(found, key=lambda item: -abs(item[1]))


def shown_rows(
    coverage: Coverage, view: View, targets: Targets, learned: Mapping[Place, Suggestion]
) -> list[Shown]:
    """The rows that the person asked for, in words, with what history suggests."""
    rows = [row for row in coverage.rows if _wanted(row, view)]
    shown = [_suggesting(_shown(row, view, targets), targets, learned) for row in rows]
    words = view.query.casefold().split()
    return [one for one in shown if all(word in _text(one) for word in words)]


def _wanted(row: KeyRow, view: View) -> bool:
    if view.kind and row.key.kind != view.kind:
        return False
    if view.show == "todo":
        return row.state in _TODO
    if view.show == "relevant":
        return row.lines > 0 or row.entry is not None
    return view.show != "mapped" or row.entry is not None


def _shown(row: KeyRow, view: View, targets: Targets) -> Shown:
    answers = {
        f"{targets.label(entry.target)}, by {view.kinds[key.kind].lower()}"
        + (f" “{key_words(key)}”" if key.value else "")
        for key, entry in row.fallbacks.items()
    }
    return Shown(
        row=row,
        name=key_words(row.key),
        kind=view.kinds[row.key.kind],
        token=key_text(row.key),
        target=targets.label(row.entry.target) if row.entry else "",
        answers=sorted(answers),
    )


def _suggesting(shown: Shown, targets: Targets, learned: Mapping[Place, Suggestion]) -> Shown:
    """With the suggestion, where it is not mapped so already and may be."""
    found = learned.get(place(shown.row.key))
    own = shown.row.entry.target if shown.row.entry else ""
    # What a person has mapped is not questioned while it works.
    if found is None or found.target == own or (own and not shown.row.problem):
        return shown
    # History may name an account that is archived by now.
    if targets.wrong(found.target):
        return shown
    cases = f"{found.times:,} of {found.cases:,}"
    return replace(shown, suggestion=targets.label(found.target), cases=cases)


def _text(shown: Shown) -> str:
    return f"{shown.name} {shown.kind} {shown.target} {' '.join(shown.answers)}".casefold()


def covered_text(coverage: Coverage) -> str:
    """How many lines are covered, and what waits because some are not."""
    lines = f"{coverage.lines:,} lines"
    if not coverage.open_lines:
        return lines
    documents = len(coverage.open_documents)
    word = "document" if documents == 1 else "documents"
    return f"{coverage.open_lines:,} of {lines} are not, in {documents:,} {word}"
