"""Lists: filters, order, pages and detail, for every resource alike.

https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document, encode
from psaltery.adapters.xero.sandbox import answers, dates, where
from psaltery.adapters.xero.sandbox.answers import Failure
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books

View = Callable[[Document, "Detail"], Document]
# https://developer.xero.com/documentation/api/accounting/requests-and-responses
PAGE_SIZE, MOST = 100, 1000
HIGH_VOLUME = 100_000


@dataclass(frozen=True)
class Detail:
    """How much of a document is shown."""

    level: str = "full"
    """`list` (no page asked for), `paged`, `summary` (summaryOnly) or `full` (one document)."""
    four_decimals: bool = False
    archived: bool = False
    """Archived parts too, such as options of a tracking category."""


@dataclass(frozen=True)
class Resource:
    """What Xero offers on one list."""

    kind: str
    owner: str
    fields: where.Fields
    view: View = lambda document, _: document
    paged: bool = False
    since: bool = True
    choices: dict[str, str] = field(default_factory=dict)
    """List parameters, such as `Statuses`, and the field that each looks at."""
    search: tuple[str, ...] = ()
    hidden: Callable[[Document, Request], bool] | None = None
    """Documents that this list does not show unless asked."""
    optimised: frozenset[str] = frozenset()

    @property
    def id_field(self) -> str:
        return ID_FIELDS[self.kind]


def flag(request: Request, name: str) -> bool:
    """Whether a yes-or-no parameter says yes."""
    return request.args.get(name, "").lower() == "true"


def detail_of(request: Request, single: bool = False) -> Detail:
    """The level of detail that the parameters ask for; a single document is always whole."""
    four, archived = request.args.get("unitdp") == "4", flag(request, "includeArchived")
    if single:
        return Detail("full", four, archived)
    if flag(request, "summaryOnly"):
        return Detail("summary", four, archived)
    return Detail("paged" if "page" in request.args else "list", four, archived)


# Parameters without the page, If-Modified-Since, and the app that asks.
Asked = tuple[frozenset[tuple[str, str]], str, str]


class Lister:
    """Answers lists. Keeps the encoded form of documents, since many clients read the same."""

    def __init__(self) -> None:
        self._encoded: dict[tuple[str, str, str, Detail], tuple[Document, msgspec.Raw]] = {}
        self._sorted: dict[tuple[str, str], tuple[int, list[Document]]] = {}
        self._selected: dict[str, tuple[list[Document], Asked, list[Document]]] = {}

    def answer(
        self, request: Request, books: Books, resource: Resource, wrap: Document
    ) -> Response:
        """The list that the request asks for, wrapped and paged."""
        documents = self.selected(request, books, resource)
        detail = detail_of(request)
        page: Document = {}
        if resource.paged and detail.level != "list":
            page, documents = _page(request, documents)
        # Raw JSON is spliced into the answer: a thousand invoices cost no encoding twice.
        items = [self._shown(books, resource, document, detail) for document in documents]
        if answers.wants_xml(request):
            items = [msgspec.json.decode(item) for item in items]
        return answers.body(request, {**wrap, **page, resource.kind: items})

    def selected(self, request: Request, books: Books, resource: Resource) -> list[Document]:
        """All documents that the request's filters leave, in its order."""
        tests = list(_tests(request, resource))
        ordered = self._in_order(request, books, resource)
        _refuse_high_volume(request, books, resource, len(ordered))
        asked = _asked(request)
        known = self._selected.get(books.collection(resource.kind))
        # The pages of one list are asked for one after the other, and each needs all of it.
        if known is None or known[0] is not ordered or known[1] != asked:
            found = ordered
            for test in tests:
                found = [document for document in found if test(document)]
            known = self._selected[books.collection(resource.kind)] = (ordered, asked, found)
        return known[2]

    def _in_order(self, request: Request, books: Books, resource: Resource) -> list[Document]:
        text = request.args.get("order", "")
        collection = books.collection(resource.kind)
        revision = books.store.revision(collection)
        known = self._sorted.get((collection, text))
        if known is None or known[0] != revision:
            documents = books.all(resource.kind)
            if text:
                documents = _ordered(request, documents, resource, text)
            else:
                documents.sort(key=_default_order(resource))
            known = self._sorted[(collection, text)] = (revision, documents)
        return known[1]

    def _shown(
        self, books: Books, resource: Resource, document: Document, detail: Detail
    ) -> msgspec.Raw:
        # Each level of detail is encoded by itself.
        key = (books.tenant_id, resource.kind, str(document[resource.id_field]), detail)
        known = self._encoded.get(key)
        # A changed document is another object, so identity tells whether this is still it.
        if known is None or known[0] is not document:
            known = (document, msgspec.Raw(encode(resource.view(document, detail))))
            self._encoded[key] = known
        return known[1]


def _asked(request: Request) -> Asked:
    """All of a request that the choice of documents can depend on."""
    asked = {(name, value) for name, value in request.args.items(multi=True) if name != "page"}
    since = request.headers.get("If-Modified-Since", "")
    return frozenset(asked), since, str(request.environ.get("sandbox.client"))


def _default_order(resource: Resource) -> Callable[[Document], Any]:
    if not resource.since:
        return lambda document: 0

    # The id breaks ties, which keeps pages apart when many records share a moment.
    def key(document: Document) -> tuple[int, str]:
        updated = document.get("UpdatedDateUTC", "")
        return dates.wire_milliseconds(updated) or 0, str(document[resource.id_field])

    return key


def _tests(request: Request, resource: Resource) -> Iterable[where.Test]:
    if hidden := resource.hidden:
        yield lambda document: not hidden(document, request)
    if resource.since and (header := request.headers.get("If-Modified-Since")):
        yield from _since(header)
    for parameter, name in resource.choices.items():
        yield from _chosen(request, parameter, name, resource)
    if term := request.args.get("searchTerm", ""):
        wanted = where.plain(term)
        yield lambda d: any(wanted in where.plain(str(d.get(f) or "")) for f in resource.search)
    if text := request.args.get("where", ""):
        try:
            yield where.parse(text, resource.fields, resource.owner)
        except where.BadQuery as error:
            raise _bad_query(request, error) from error


def _since(header: str) -> Iterable[where.Test]:
    since = dates.modified_since(header)
    if since is not None:
        # Xero documents second precision; the boundary itself is included here.
        least = dates.milliseconds(since.replace(microsecond=0))
        yield lambda d: (dates.wire_milliseconds(d.get("UpdatedDateUTC", "")) or 0) >= least


def _chosen(
    request: Request, parameter: str, name: str, resource: Resource
) -> Iterable[where.Test]:
    values = request.args.getlist(parameter)
    # Repeated parameters are ignored without a word, and everything is returned.
    if len(values) != 1 or not values[0]:
        return
    # One value with commas is what Xero wants.
    wanted = {where.plain(value.strip()) for value in values[0].split(",")}
    read, _ = resource.fields.reader(name, resource.owner)
    yield lambda document: read(document) in wanted


def _ordered(
    request: Request, documents: list[Document], resource: Resource, text: str
) -> list[Document]:
    try:
        keys = where.parse_order(text, resource.fields, resource.owner)
    except where.BadQuery as error:
        raise _bad_query(request, error) from error
    # Sorting is stable, so the least important key goes first.
    for read, descending in reversed(keys):

        def key(document: Document, read: where.Test = read) -> tuple[bool, Any]:
            value = read(document)
            return value is not None, value if value is not None else 0

        documents = sorted(documents, key=key, reverse=descending)
    return documents


def _bad_query(request: Request, error: where.BadQuery) -> Failure:
    return Failure(answers.exception(request, 16, "QueryParseException", str(error)))


def _page(request: Request, documents: list[Document]) -> tuple[Document, list[Document]]:
    # Sizes out of range are clamped, not refused.
    size = min(max(_whole(request, "pageSize", PAGE_SIZE), 1), MOST)
    page = max(_whole(request, "page", 1), 1)
    count = len(documents)
    pagination = {
        "page": page,
        "pageSize": size,
        "pageCount": -(-count // size),
        "itemCount": count,
    }
    return {"pagination": pagination}, documents[(page - 1) * size : page * size]


def _whole(request: Request, name: str, default: int) -> int:
    return request.args.get(name, default, type=int)


def _refuse_high_volume(request: Request, books: Books, resource: Resource, count: int) -> None:
    limit = books.setting("high_volume", HIGH_VOLUME)
    # A page alone makes a list cheap; a filter must be one that Xero has an index for.
    narrowed = "page" in request.args or flag(request, "summaryOnly")
    if count <= limit or not resource.paged or (narrowed and not request.args.get("where")):
        return
    if narrowed and _is_optimised(request.args["where"], resource):
        return
    message = (
        "The request would return or scan more than 100,000 records. "
        "Use pagination and optimised filters."
    )
    raise Failure(answers.exception(request, 51, "HighVolumeException", message))


def _is_optimised(text: str, resource: Resource) -> bool:
    words = {word.lower() for kind, word in where.tokens(text) if kind == "word"}
    names = words & set(resource.fields.types)
    return names <= resource.optimised and "!=" not in text
