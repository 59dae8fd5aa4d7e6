"""One page of a list: filter, order, cut, project, and the `Link` header to the next ones.

https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide (Pagination, Conditions)
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from psaltery.adapters.connectwise.sandbox.conditions import Dialect, Predicate, parse
from psaltery.adapters.connectwise.sandbox.errors import ApiError, bad_condition
from psaltery.adapters.connectwise.sandbox.fields import Field, Model, find, models, read

Document = dict[str, Any]
DEFAULT_SIZE, LARGEST_SIZE = 25, 1000


@dataclass(frozen=True)
class Page:
    """The rows of one answer, and the `Link` header that leads to its neighbours."""

    rows: list[Document]
    link: str


@dataclass(frozen=True)
class Filter:
    """What a query leaves of a list. `pins`: see `Condition`."""

    tests: tuple[Predicate, ...]
    pins: Mapping[str, frozenset[Decimal]]

    def of(self, documents: Iterable[Document]) -> list[Document]:
        """The documents that pass every test."""
        if not self.tests:
            return list(documents)
        if len(self.tests) == 1:
            return list(filter(self.tests[0], documents))
        return [document for document in documents if all(test(document) for test in self.tests)]


def filtered(query: Mapping[str, str], model: Model, dialect: Dialect) -> Filter:
    """The filter of `conditions`, `childConditions` and `customFieldConditions`."""
    tests: list[Predicate] = []
    pins: Mapping[str, frozenset[Decimal]] = {}
    if text := query.get("conditions", ""):
        condition = parse(text, functools.partial(find, model), dialect)
        tests.append(condition.holds)
        pins = condition.pins
    if text := query.get("childConditions", ""):
        tests.append(_child_test(text, model, dialect))
    if text := query.get("customFieldConditions", ""):
        tests.append(_custom_field_test(text, dialect))
    return Filter(tuple(tests), pins)


def _child_test(text: str, model: Model, dialect: Dialect) -> Predicate:
    """True when one row of an array inside the record has what is asked, e.g. `types/id=2`."""
    arrays: set[str] = set()

    def lookup(path: str) -> Field | None:
        head, _, rest = path.partition("/")
        field = model.get(head)
        if field is None or not field.array:
            return None
        arrays.add(head)
        return find(models().get(field.kind, {}), rest)

    test = parse(text, lookup, dialect)
    return lambda document: any(
        test({name: row}) for name in arrays for row in document.get(name) or ()
    )


def _custom_field_test(text: str, dialect: Dialect) -> Predicate:
    model = models()["CustomFieldValue"] | {"value": Field("object")}
    test = parse(text, functools.partial(find, model), dialect)
    return lambda document: any(test(row) for row in document.get("customFields") or ())


def ordered(documents: Iterable[Document], text: str, model: Model) -> list[Document]:
    """The documents in the order of `orderBy`; by id where that is silent."""
    rows = sorted(documents, key=_record_id)
    for clause in reversed([part.strip() for part in text.split(",") if part.strip()]):
        path, _, direction = clause.partition(" ")
        direction = direction.strip().lower()
        if find(model, path) is None or direction not in ("", "asc", "desc"):
            raise bad_condition(f"{clause} is not a recognized name.")
        rows.sort(key=functools.partial(_sort_key, path), reverse=direction == "desc")
    return rows


def _record_id(document: Document) -> int:
    return int(document.get("id") or 0)


def _sort_key(path: str, document: Document) -> tuple[int, Any]:
    value = read(document, path)
    # As SQL Server does: nothing comes before something.
    if value is None:
        return (0, "")
    if isinstance(value, str):
        return (2, value.lower())
    return (1, value) if not isinstance(value, dict | list) else (3, str(value))


def projected(documents: list[Document], text: str, model: Model) -> list[Document]:
    """The documents with only the named `fields`; `_info` goes unless it is named."""
    # Without fields whole records are shown, `_info` included.
    paths = [path.strip() for path in text.split(",") if path.strip()]
    if not paths:
        return documents
    for path in paths:
        if path != "_info" and find(model, path) is None:
            raise bad_condition(f"{path} is not a recognized name.")
    return [_only(document, paths) for document in documents]


def _only(document: Document, paths: list[str]) -> Document:
    row: Document = {}
    for path in paths:
        target, value = row, document
        *parents, last = path.split("/")
        for parent in parents:
            value = value.get(parent) or {}
            target = target.setdefault(parent, {})
        if last in value:
            target[last] = value[last]
    return row


def cut(
    documents: list[Document], query: Mapping[str, str], address: str, *, forward_only: bool
) -> Page:
    """The asked page of already ordered documents.

    `address` is the list's address without its query. A page past the end is empty; a size above
    1000 is silently cut to it. Raises 400 for numbers that make no sense.
    """
    # No error and no notice: a client that asks for more has to look at what it got.
    size = min(_number(query, "pageSize", DEFAULT_SIZE), LARGEST_SIZE)
    if forward_only:
        return _forward(documents, query, address, size)
    page = _number(query, "page", 1)
    last = max(1, -(-len(documents) // size))
    links = _neighbours(page, last)
    text = ", ".join(
        f'<{_with(address, query, page=number)}>; rel="{rel}"' for rel, number in links
    )
    return Page(documents[(page - 1) * size : page * size], text)


def _neighbours(page: int, last: int) -> list[tuple[str, int]]:
    links = []
    if page < last:
        links += [("next", page + 1), ("last", last)]
    if page > 1:
        links += [("first", 1), ("prev", page - 1)]
    return links


def _forward(documents: list[Document], query: Mapping[str, str], address: str, size: int) -> Page:
    # Forward-only pages go by id; the guide excludes both.
    if query.get("orderBy") or query.get("page"):
        raise ApiError(
            400, "InvalidRequest", "page and orderBy do not go with forward-only paging."
        )
    after = _number(query, "pageId", 0, least=0)
    # Without orderBy the documents are in the order of their ids.
    start = bisect.bisect_right(documents, after, key=_record_id)
    rows = documents[start : start + size]
    # No link after a full last page: its length alone would promise another one.
    if len(documents) <= start + size:
        return Page(rows, "")
    return Page(rows, f'<{_with(address, query, pageId=_record_id(rows[-1]))}>; rel="next"')


def _number(query: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = query.get(name) or str(default)
    if not text.isdigit() or int(text) < least:
        raise ApiError(400, "InvalidRequest", f"{name} must be a number of at least {least}.")
    return int(text)


def _with(address: str, query: Mapping[str, str], **changes: int) -> str:
    merged = dict(query) | {name: str(value) for name, value in changes.items()}
    return f"{address}?{urlencode(merged)}"
