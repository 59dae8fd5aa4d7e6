"""Writes into the mirror of the PSA. Every function must run inside the page's transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from psaltery.connections.mirror import store
from psaltery.connections.models import Connection
from psaltery.desk.models import (
    Addition,
    Agreement,
    Company,
    Contact,
    Document,
    Lookup,
    Ticket,
    TimeEntry,
)
from psaltery.kit.hashing import content_hash
from psaltery.records import psa

_KEY = ("connection_id", "external_id")
# What the PSA computes from payments changes often and is not what we post.
_NOT_POSTED = (
    *("payments", "credits", "balance", "posted", "status", "updated_at"),
    # These only say where it goes.
    *("custom", "tags", "board"),
)


class Stored(msgspec.Struct):
    """What a page changed: how many rows, the ids of documents that changed in any way (`touched`),
    and of those whose content is different."""

    changed: int = 0
    touched: list[int] = msgspec.field(default_factory=list)
    documents: list[int] = msgspec.field(default_factory=list)
    companies: list[int] = msgspec.field(default_factory=list)


def remember(connection: Connection, records: Sequence[Any]) -> Stored:
    """Store one page of a feed; `documents` are those that must be decided about again."""
    by_type: dict[type, list[Any]] = defaultdict(list)
    for record in records:
        by_type[type(record)].append(record)
    stored = Stored()
    for kind, found in by_type.items():
        if kind is psa.Document:
            _documents(connection, found, stored)
        else:
            changed = _PLAIN[kind](connection.id, found)
            stored.changed += len(changed)
            if kind is psa.Company:
                stored.companies = [change.id for change in changed]
    return stored


def fingerprint(document: psa.Document) -> str:
    """A hash of what the books would show: it changes when, and only when, that would."""
    plain = msgspec.structs.asdict(document)
    return content_hash({name: plain[name] for name in plain if name not in _NOT_POSTED})


_DOCUMENT = (
    *("connection_id", "kind", "external_id", "updated_at", "type", "number"),
    *("company_external_id", "company_name", "currency", "issued_on", "due_on", "closed", "gone"),
    *("status", "location", "department", "territory", "reference", "customer_po", "tax_code"),
    *("tax_mode", "tax_mode_known", "subtotal", "tax", "total", "payments", "credits", "balance"),
    *("agreement", "agreement_type", "ticket_id", "applied_to", "posted", "vendor_number"),
    *("custom", "lines", "fingerprint"),
)


def _documents(connection: Connection, records: list[psa.Document], stored: Stored) -> None:
    # Before they are stored, since storing replaces them.
    before = _fingerprints(connection, records)
    key = ("connection_id", "kind", "external_id")
    changed = store(Document, key, _DOCUMENT, (_document_row(connection.id, d) for d in records))
    stored.changed += len(changed)
    # Touched is more than changed: new payments on a document matter to matching alone.
    stored.touched += [change.id for change in changed]
    marks = {(str(d.kind), d.external_id): fingerprint(d) for d in records}
    stored.documents += [
        change.id
        for change in changed
        if before.get((change.key[1], change.key[2])) != marks[(change.key[1], change.key[2])]
    ]


def _fingerprints(
    connection: Connection, records: list[psa.Document]
) -> dict[tuple[str, str], str]:
    known = Document.objects.filter(
        connection=connection, external_id__in=[record.external_id for record in records]
    ).values_list("kind", "external_id", "fingerprint")
    return {(kind, external_id): mark for kind, external_id, mark in known}


def _document_row(connection: int, d: psa.Document) -> tuple[Any, ...]:
    return (
        connection, d.kind, d.external_id, d.updated_at, d.type, d.number, d.company_id,
        d.company_name, d.currency, d.issued_on, d.due_on, d.closed, False, d.status, d.location,
        d.department, d.territory, d.reference, d.customer_po, d.tax_code, d.tax_mode,
        d.tax_mode_known, d.subtotal, d.tax, d.total, d.payments, d.credits, d.balance,
        d.agreement, d.agreement_type, d.ticket_id, d.applied_to, d.posted, d.vendor_number,
        _json(d.custom), _lines_json(d.lines), fingerprint(d),
    )  # fmt: skip


_ENCODER = msgspec.json.Encoder(decimal_format="string")


def _lines_json(lines: tuple[psa.DocumentLine, ...]) -> str:
    return _ENCODER.encode(lines).decode()


def _json(value: Any) -> str:
    return _ENCODER.encode(value).decode()


def _companies(connection: int, records: list[psa.Company]) -> list[Any]:
    columns = (
        *_KEY,
        *("updated_at", "identifier", "name", "status", "account_number", "tax_number", "email"),
        *("phone", "website", "address", "city", "region", "postcode", "country", "currency"),
        *("tax_code", "territory", "types", "tags", "custom", "is_vendor", "deleted"),
    )
    rows = (
        (
            connection, c.external_id, c.updated_at, c.identifier, c.name, c.status,
            c.account_number, c.tax_number, c.email, c.phone, c.website, _json(c.address), c.city,
            c.region, c.postcode, c.country, c.currency, c.tax_code, c.territory, _json(c.types),
            _json(c.tags), _json(c.custom), c.is_vendor, c.deleted,
        )
        for c in records
    )  # fmt: skip
    return store(Company, _KEY, columns, rows)


# Record field → column where the two differ; all other columns have the record's own names.
_RENAMED = {
    "company_id": "company_external_id",
    "agreement_id": "agreement_external_id",
    "ticket_id": "ticket_external_id",
    "invoice_id": "invoice_external_id",
}


def _plain(
    model: Any, record: type, key: Sequence[str] = _KEY
) -> Callable[[int, list[Any]], list[Any]]:
    """A writer for a record whose fields are the columns of `model`."""
    names = [field.name for field in msgspec.structs.fields(record)]
    columns = ["connection_id", *(_RENAMED.get(name, name) for name in names)]

    def write(connection: int, records: list[Any]) -> list[Any]:
        return store(model, key, columns, _rows(connection, names, records))

    return write


def _rows(
    connection: int, names: Sequence[str], records: Iterable[Any]
) -> Iterable[tuple[Any, ...]]:
    for record in records:
        yield (connection, *(_column(getattr(record, name)) for name in names))


def _column(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | tuple) else value


_PLAIN: dict[type, Callable[[int, list[Any]], list[Any]]] = {
    psa.Company: _companies,
    psa.Contact: _plain(Contact, psa.Contact),
    psa.Agreement: _plain(Agreement, psa.Agreement),
    psa.Addition: _plain(Addition, psa.Addition),
    psa.Ticket: _plain(Ticket, psa.Ticket),
    psa.TimeEntry: _plain(TimeEntry, psa.TimeEntry),
    psa.Lookup: _plain(Lookup, psa.Lookup, ("connection_id", "list", "external_id")),
}


def mark_gone(connection: Connection, kind: str, external_id: str) -> int | None:
    """The PSA no longer has the document; returns its id when that is news."""
    found = Document.objects.filter(
        connection=connection, kind=kind, external_id=external_id, gone=False
    ).first()
    if found is None:
        return None
    found.gone = True
    # No real hash is this: a document that comes back is decided about anew.
    found.fingerprint = "gone"
    found.save(update_fields=["gone", "fingerprint"])
    return found.id


def note_balance(document: Document, balance: Any) -> None:
    """Store the balance that the PSA has just computed, so that pages show it at once."""
    Document.objects.filter(pk=document.pk).update(
        balance=balance, payments=document.total - balance - document.credits
    )
