"""Reads of the audit log: searches that stay quick at a million entries, and streamed exports."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from django.db.models import F, Lookup, Q, QuerySet, Value

from psaltery.audit.models import Entry

if TYPE_CHECKING:
    TextLookup = Lookup[str]
else:
    # Django's lookups take no type parameter while they run.
    TextLookup = Lookup

EXPORT_FIELDS = (
    "id",
    "at",
    "actor",
    "kind",
    "system",
    "organisation",
    "operation",
    "method",
    "address",
    "status",
    "duration_ms",
    "bytes_out",
    "bytes_in",
    "document_kind",
    "documents",
    "customer",
    "sentence",
    "failed",
    "request",
    "response",
)
_CHUNK = 500


class _Contains(TextLookup):
    """LIKE on the bare lower-case column, which its trigram index serves."""

    lookup_name = "contains_any_case"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """The comparison; signs that mean something to LIKE are taken as they are."""
        left, left_values = self.process_lhs(compiler, connection)
        word = str(self.rhs.value).lower()
        # The backslash first, or the ones that are put in would be doubled as well.
        for sign in "\\%_":
            word = word.replace(sign, f"\\{sign}")
        return f"{left} LIKE %s", (*left_values, f"%{word}%")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; empty members don't narrow. Times are aware; `until` is exclusive."""

    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    kind: str = ""
    document_kind: str = ""
    system: str = ""
    organisation_id: int | None = None
    failed: bool | None = None
    document: str = ""
    customer: str = ""
    actor: str = ""


def entries(search: Search) -> QuerySet[Entry]:
    """Matching entries, newest first, without their bodies loaded until asked for."""
    found = Entry.objects.filter(_exact(search)).order_by("-at", "-id")
    if search.document:
        found = found.filter(names_document(search.document))
    for word in search.text.replace("\x00", "").split()[:6]:
        found = found.filter(_Contains(F("found_by"), Value(word)))
    return found.defer("request", "response")


def names_document(number: str) -> Q:
    """That an entry names the document with this number, or any of several (with commas)."""
    several = [part.strip() for part in number.split(",") if part.strip()]
    if len(several) > 1:
        # Also as it stands: a number may have a comma in it.
        return Q(documents__overlap=[number, *several])
    # Both say the same. Of one alone PostgreSQL expects thousands and walks the log by time; of
    # both it expects few and begins with the index of documents.
    return Q(documents__contains=[number], documents__overlap=[number])


def entry(number: int) -> Entry | None:
    """One entry with its bodies."""
    return Entry.objects.filter(pk=number).first()


def page(
    search: Search, *, after: tuple[datetime, int] | None = None, size: int = 50
) -> list[Entry]:
    """The next `size` entries older than `after`, which is the last one's (at, id)."""
    found = entries(search)
    if after is not None:
        at, entry_id = after
        found = found.filter(_older(at, entry_id))
    return list(found[:size])


def exported(found: QuerySet[Entry]) -> Iterator[dict[str, Any]]:
    """Every entry of a query with its bodies, newest first, in constant memory."""
    rest = found.defer(None).order_by("-at", "-id").values(*EXPORT_FIELDS)
    after: tuple[datetime, int] | None = None
    while True:
        # By key and not by OFFSET: entries come in while an export runs, and none may slip through.
        rows = list((rest if after is None else rest.filter(_older(*after)))[:_CHUNK])
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


def _older(at: datetime, entry_id: int) -> Q:
    # The bare upper bound is what PostgreSQL can use on the index.
    return Q(at__lte=at) & (Q(at__lt=at) | Q(at=at, id__lt=entry_id))


def csv_lines(search: Search) -> Iterator[str]:
    """The matching entries as CSV, a heading first."""
    yield _csv_line(EXPORT_FIELDS)
    for row in exported(entries(search)):
        cells = {**row, "at": row["at"].isoformat(), "documents": " ".join(row["documents"])}
        yield _csv_line([_harmless(cells[name]) for name in EXPORT_FIELDS])


def json_lines(search: Search) -> Iterator[bytes]:
    """The matching entries as one JSON array, streamed."""
    return json_of(entries(search))


def json_of(found: QuerySet[Entry]) -> Iterator[bytes]:
    """The entries of a query as one JSON array, streamed, newest first."""
    opening = b"["
    for row in exported(found):
        yield opening + msgspec.json.encode(row)
        opening = b",\n"
    yield b"]\n" if opening != b"[" else b"[]\n"


def _exact(search: Search) -> Q:
    wanted: Mapping[str, object] = {
        "at__gte": search.since,
        "at__lt": search.until,
        "kind": search.kind or None,
        "document_kind": search.document_kind or None,
        "system": search.system or None,
        "organisation_id": search.organisation_id,
        "failed": search.failed,
        "customer": search.customer or None,
        "actor": search.actor or None,
    }
    return Q(**{name: value for name, value in wanted.items() if value is not None})


def _csv_line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _harmless(cell: Any) -> Any:
    """A cell that a spreadsheet would run as a formula gets an apostrophe (CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell
