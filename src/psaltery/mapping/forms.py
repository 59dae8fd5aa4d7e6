"""Forms of the mapping pages: a mapping, the rules being edited, an uploaded file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django import forms
from django.http import QueryDict

from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Organisation
from psaltery.mapping.lookup import Key, folded
from psaltery.mapping.models import Route
from psaltery.mapping.routing import FIELDS
from psaltery.mapping.service import checked_rule

SEPARATOR = "|"


def key_text(key: Key) -> str:
    """A key as the value of a form's field."""
    return f"{key.kind}{SEPARATOR}{key.value}"


def read_keys(texts: Iterable[str]) -> list[Key]:
    """The keys that a form names."""
    parts = [text.partition(SEPARATOR) for text in texts]
    return [Key(kind, value) for kind, _, value in parts if kind]


class UploadForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(
        label="CSV file", widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"})
    )


@dataclass
class DraftRule:
    """A rule as it stands in the page; the organisation is an id, "" while none is chosen."""

    field: str = "location"
    value: str = ""
    organisation: str = ""
    problem: str = ""
    warning: str = ""
    takes: int = 0
    focus: str = ""

    @property
    def is_blank(self) -> bool:
        """A line that nobody has filled in."""
        return not self.value and not self.organisation


@dataclass
class Rules:
    """The rules being edited: nothing of them is saved until a person says so."""

    rows: list[DraftRule] = field(default_factory=list)

    @classmethod
    def stored(cls, routes: Iterable[Route]) -> Rules:
        """As they are saved."""
        return cls([DraftRule(r.field, r.value, str(r.organisation_id)) for r in routes])

    @classmethod
    def sent(cls, data: QueryDict) -> Rules:
        """As the page has them."""
        columns = (data.getlist(name) for name in ("field", "value", "organisation"))
        return cls(
            [DraftRule(*(text.strip() for text in row)) for row in zip(*columns, strict=False)]
        )

    def act(self, action: str) -> None:
        """Add a rule, or move or remove one: `add`, `up:2`, `down:0`, `remove:1`."""
        name, _, text = action.partition(":")
        place = int(text) if text.isdecimal() and len(text) < 6 else -1
        if name == "add":
            # Behind a rule that takes everything it would never be reached.
            last = len(self.rows)
            at = last - 1 if self.rows and self.rows[-1].field == "any" else last
            self.rows.insert(at, DraftRule(focus="value"))
        elif not 0 <= place < len(self.rows):
            return
        elif name == "remove":
            del self.rows[place]
        elif name in ("up", "down"):
            self._move(place, -1 if name == "up" else 1, name)

    def _move(self, place: int, step: int, name: str) -> None:
        target = place + step
        if 0 <= target < len(self.rows):
            moved = self.rows.pop(place)
            moved.focus = name
            self.rows.insert(target, moved)

    def check(self, organisations: Mapping[str, Organisation]) -> bool:
        """Mark what is wrong with each rule; True when all may be saved."""
        seen: set[tuple[str, str]] = set()
        behind_all = False
        for row in self.rows:
            row.problem = _problem(row, organisations, seen)
            row.warning = "Never reached: a rule above takes everything." if behind_all else ""
            # Also after a problem: the second of two equal rules is wrong whatever the first is.
            seen.add((row.field, folded(row.value)))
            behind_all = behind_all or row.field == "any"
        return not any(row.problem for row in self.rows)

    def rules(
        self, organisations: Mapping[str, Organisation]
    ) -> list[tuple[str, str, Organisation]]:
        """What `save_routes` takes; only after `check` said that all are right."""
        return [(row.field, row.value, organisations[row.organisation]) for row in self.rows]

    def tried(self, organisations: Mapping[str, Organisation]) -> list[tuple[str, str, int]]:
        """What `trial` takes: rules that aren't finished take nothing, but keep their place."""
        return [
            (row.field, row.value, organisations[row.organisation].pk)
            if not row.problem
            # An unknown field matches no document, and the rules behind keep their numbers.
            else ("nothing", "", 0)
            for row in self.rows
        ]


def _problem(
    row: DraftRule, organisations: Mapping[str, Organisation], seen: set[tuple[str, str]]
) -> str:
    if row.organisation not in organisations:
        return "Choose the organisation."
    try:
        row.value = checked_rule(row.field, row.value, organisations[row.organisation])
    except BadSettings as failure:
        return str(failure)
    if (row.field, folded(row.value)) in seen:
        return f"A rule above is for the same {FIELDS[row.field][0].lower()}."
    return ""
