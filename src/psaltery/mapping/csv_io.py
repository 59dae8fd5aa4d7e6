"""Routes and mappings as CSV: written out, and read in with a report row by row.

Reading changes nothing. What a report found right is saved by `save_…`, all of it or none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Generic, TypeVar

from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Connection, Organisation
from psaltery.mapping.lookup import Key, folded
from psaltery.mapping.models import Mapping, Route
from psaltery.mapping.queries import mappings_of
from psaltery.mapping.service import checked_key, checked_rule, save_routes, set_mapping
from psaltery.mapping.targets import Targets

MAPPING_COLUMNS = ("organisation", "list", "key_kind", "key", "target")
ROUTE_COLUMNS = ("field", "value", "organisation")
# The text travels in the page between report and saving, so it must stay small.
MOST_ROWS = 10_000
MOST_BYTES = 2_000_000
# A cell that begins so is run as a formula by a spreadsheet: an attack by a customer's name.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

T = TypeVar("T")
Cells = dict[str, str]


@dataclass(frozen=True)
class NewMapping:
    """A mapping that a file asks for; the target is resolved."""

    organisation: Organisation
    list: str
    key_kind: str
    key: str
    target: str


@dataclass(frozen=True)
class NewRule:
    """A rule that a file asks for."""

    field: str
    value: str
    organisation: Organisation


@dataclass(frozen=True)
class RowReport(Generic[T]):
    """One row of a file: what it would do (new, changed, same), or what is wrong with it."""

    line: int
    cells: tuple[str, ...]
    wanted: T | None = None
    effect: str = ""
    problem: str = ""


@dataclass
class Report(Generic[T]):
    """All rows of a file, judged."""

    columns: tuple[str, ...]
    rows: list[RowReport[T]] = field(default_factory=list)

    @property
    def good(self) -> list[T]:
        """What the right rows ask for, in order."""
        return [row.wanted for row in self.rows if row.wanted is not None]

    @property
    def bad(self) -> list[RowReport[T]]:
        """The rows with something wrong."""
        return [row for row in self.rows if row.problem]

    @property
    def changing(self) -> int:
        """How many right rows are not so already."""
        return sum(row.effect in ("new", "changed") for row in self.rows)


def decoded(data: bytes) -> str:
    """The text of an uploaded file: UTF-8, or what older spreadsheets write.

    Raises BadSettings for a file that is too long.
    """
    if len(data) > MOST_BYTES:
        raise BadSettings("The file is longer than 2 MB. Split it.", which="file")
    try:
        # Excel writes a mark at the start; left there it would be part of the first column's name.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_rows(text: str, columns: Sequence[str]) -> Iterator[tuple[int, Cells]]:
    """The rows of a CSV text with their line numbers; empty rows are left out.

    Further columns are ignored. Raises BadSettings when a column is missing.
    """
    # PostgreSQL takes no NUL in text.
    text = text.removeprefix("\ufeff").replace("\x00", "")
    heading = text.partition("\n")[0]
    # Spreadsheets of many countries separate by semicolons: told by the first line.
    separator = max(",;\t", key=heading.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    names = {folded(name or ""): name for name in reader.fieldnames or []}
    missing = [column for column in columns if column not in names]
    if missing:
        raise BadSettings(
            f"The first line must name the columns {', '.join(columns)}; "
            f"{', '.join(missing)} is missing.",
            which="file",
        )
    for number, row in enumerate(reader):
        if number >= MOST_ROWS:
            raise BadSettings(f"The file has more than {MOST_ROWS:,} rows. Split it.", which="file")
        cells = {column: _plain(row[names[column]]) for column in columns}
        if any(cells.values()):
            yield reader.line_num, cells


def _plain(cell: str | None) -> str:
    """A cell without outer blanks and the apostrophe that keeps a spreadsheet from running it."""
    text = (cell or "").strip()
    # Only the apostrophe that we put there: a name may begin with one of its own.
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text


def _written(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return lines.getvalue()


# Mappings


def mappings_csv(organisations: Sequence[Organisation]) -> str:
    """All mappings of these organisations, with the target as people see it beside it."""
    rows = (
        Mapping.objects.filter(organisation__in=organisations)
        .select_related("organisation")
        .order_by("organisation__name", "list", "key_kind", "key")
    )
    targets = cache(Targets)
    return _written(
        (*MAPPING_COLUMNS, "target_name"),
        (
            (row.organisation.name, row.list, row.key_kind, row.key, row.target,
             targets(row.organisation, row.list).label(row.target))
            for row in rows
        ),
    )  # fmt: skip


def check_mappings(text: str, organisations: Sequence[Organisation]) -> Report[NewMapping]:
    """Judge every row of a file of mappings. Raises BadSettings when it is no such file."""
    judge = _MappingJudge(organisations)
    report: Report[NewMapping] = Report(MAPPING_COLUMNS)
    for line, cells in read_rows(text, MAPPING_COLUMNS):
        report.rows.append(judge.judged(line, cells))
    return report


class _MappingJudge:
    def __init__(self, organisations: Sequence[Organisation]) -> None:
        self._organisations = _by_name(organisations)
        self._targets = cache(Targets)
        self._present = cache(mappings_of)
        self._seen: dict[tuple[int, str, str, str], int] = {}

    def judged(self, line: int, cells: Cells) -> RowReport[NewMapping]:
        """What a row would do, or what is wrong with it."""
        shown = tuple(cells[column] for column in MAPPING_COLUMNS)
        try:
            wanted = self._wanted(line, cells)
        except BadSettings as failure:
            return RowReport(line, shown, problem=str(failure))
        return RowReport(line, shown, wanted, self._effect(wanted))

    def _wanted(self, line: int, cells: Cells) -> NewMapping:
        organisation = _organisation(self._organisations, cells["organisation"])
        list_, kind = folded(cells["list"]), folded(cells["key_kind"])
        key = checked_key(list_, kind, cells["key"])
        targets = self._targets(organisation, list_)
        target = targets.resolve(cells["target"])
        # An archived target would be saved well, and then hold every document that meets it.
        if wrong := targets.wrong(target):
            raise BadSettings(wrong, which="target")
        place = (organisation.pk, list_, kind, folded(key))
        if place in self._seen:
            raise BadSettings(f"Line {self._seen[place]} maps the same.", which="key")
        self._seen[place] = line
        return NewMapping(organisation, list_, kind, key, target)

    def _effect(self, wanted: NewMapping) -> str:
        present = self._present(wanted.organisation)
        entry = present.first(wanted.list, [Key(wanted.key_kind, wanted.key)]).entry
        if entry is None:
            return "new"
        return "same" if entry.target == wanted.target else "changed"


def save_mappings(wanted: Sequence[NewMapping]) -> None:
    """Save all of them, or none. Raises BadSettings."""
    # A file that was half taken over could not simply be read in again.
    with transaction.atomic():
        for one in wanted:
            set_mapping(one.organisation, one.list, one.key_kind, one.key, one.target)


# Routes


def routes_csv(connection: Connection) -> str:
    """The rules of a connection, in their order."""
    rows = Route.objects.filter(connection=connection).select_related("organisation")
    return _written(ROUTE_COLUMNS, ((row.field, row.value, row.organisation.name) for row in rows))


def check_routes(
    text: str, connection: Connection, organisations: Sequence[Organisation]
) -> Report[NewRule]:
    """Judge every row of a file of rules. Raises BadSettings when it is no such file."""
    present = Route.objects.filter(connection=connection)
    # Folded as `route` compares: two spellings of one value are one rule.
    known = {(row.field, folded(row.value)): row.organisation_id for row in present}
    named = _by_name(organisations)
    report: Report[NewRule] = Report(ROUTE_COLUMNS)
    seen: dict[tuple[str, str], int] = {}
    for line, cells in read_rows(text, ROUTE_COLUMNS):
        shown = tuple(cells[column] for column in ROUTE_COLUMNS)
        try:
            rule = _rule(cells, named, seen)
        except BadSettings as failure:
            report.rows.append(RowReport(line, shown, problem=str(failure)))
            continue
        place = (rule.field, folded(rule.value))
        seen[place] = line
        before = known.get(place)
        effect = "new" if before is None else "changed"
        effect = "same" if before == rule.organisation.pk else effect
        report.rows.append(RowReport(line, shown, rule, effect))
    return report


def _rule(
    cells: Cells, named: dict[str, Organisation], seen: dict[tuple[str, str], int]
) -> NewRule:
    organisation = _organisation(named, cells["organisation"])
    name = folded(cells["field"]).replace(" ", "_")
    value = checked_rule(name, cells["value"], organisation)
    if (name, folded(value)) in seen:
        line = seen[name, folded(value)]
        raise BadSettings(f"Line {line} has a rule for the same value.", which="value")
    if ("any", "") in seen:
        line = seen["any", ""]
        raise BadSettings(
            f"Never reached: the rule of line {line} takes everything.", which="field"
        )
    return NewRule(name, value, organisation)


def replace_routes(connection: Connection, wanted: Sequence[NewRule]) -> None:
    """Put these rules in the place of the connection's. Raises BadSettings."""
    save_routes(connection, [(one.field, one.value, one.organisation) for one in wanted])


def _by_name(organisations: Sequence[Organisation]) -> dict[str, Organisation]:
    return {folded(one.name): one for one in organisations}


def _organisation(named: dict[str, Organisation], name: str) -> Organisation:
    found = named.get(folded(name))
    if found is None:
        known = ", ".join(one.name for one in named.values())
        raise BadSettings(
            f"There is no organisation “{name}”. Known: {known}.", which="organisation"
        )
    return found
