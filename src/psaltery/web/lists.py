"""The one list of every page that lists something: search, filters, order, pages, CSV.

    page = ListPage(
        Document.objects.select_related("customer"),
        title="Documents",
        columns=[Column("number", "Number", link="get_absolute_url", sort="number"), …],
        search=["number", "customer_name"],
        filters=[Choice("state", options=…), DateRange("date")],
        order="-date",
    )
    return page.respond(request)

All of what a person chose stands in the address. An answer costs the same number of queries
whatever the table holds: the rows, a capped count, and one a filter that fetches its options.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.text import slugify
from psycopg.errors import QueryCanceled

from psaltery.web.columns import Column
from psaltery.web.filters import Choice, DateRange, Filter, Toggle
from psaltery.web.format import count_text
from psaltery.web.keyset import Order, chunks, mark, window
from psaltery.web.listing import Header, Listing, Row, address
from psaltery.web.searching import searched

__all__ = ["Choice", "Column", "DateRange", "Empty", "ListPage", "Toggle"]

PAGE_SIZE = 50
# Big enough to be fast, small enough that a file of a million rows needs no memory.
CSV_CHUNK = 2_000
# Counting a million rows takes longer than showing a page of them; nobody reads past this.
COUNT_CAP = 10_000
# After that the page says that the search is too wide, and the worker thread is free again.
STATEMENT_TIMEOUT_MS = 8_000


@dataclass(frozen=True)
class Empty:
    """What an empty list says: what will appear here, and what to do so that it does."""

    title: str
    text: str
    icon: str = "inbox"
    action: str = ""
    url: str = ""


@dataclass
class ListPage:
    """A declared list; `respond` answers a request with the page, a part of it, or the CSV file.

    `order` is the order before a person chooses another. `actions` names a template for the
    buttons beside the title, `above` one for what stands over the list, `foot` one for what stands
    under its rows and `exports` one for files beside the CSV file, both renewed with the rows; all
    see `extra`.
    `refresh_seconds` makes the rows renew themselves while the page is open.
    """

    # Not in its repr, which a log line may ask for: that would read the table.
    rows: QuerySet[Any] = field(repr=False)
    title: str
    columns: Sequence[Column]
    search: Sequence[str] = ()
    filters: Sequence[Filter] = ()
    order: str = "-pk"
    noun: str = "rows"
    singular: str = ""
    empty: Empty = Empty("Nothing here yet", "What Psaltery finds appears here.")
    crumbs: Sequence[tuple[str, str]] = ()
    actions: str = ""
    above: str = ""
    foot: str = ""
    exports: str = ""
    template: str = "web/list_page.html"
    refresh_seconds: int = 0
    page_size: int = PAGE_SIZE
    extra: dict[str, Any] = field(default_factory=dict)

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        """The page; only its rows where htmx asks for them; the CSV file for ?format=csv."""
        self.filters = [item.prepared() for item in self.filters]
        if request.GET.get("format") == "csv":
            return self.csv(request)
        part = request.headers.get("HX-Target") == "list-body"
        template = "web/lists/body.html" if part else self.template
        response = render(request, template, self.context(request))
        # One address gives a page or a part of it; caches must not mix them up.
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        return response

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """What `web/lists/list.html` needs, to show the list within another page."""
        return {
            "title": self.title,
            "crumbs": self.crumbs,
            "page": self,
            "listing": self._read(request),
            **self.extra,
        }

    def found(self, request: HttpRequest) -> QuerySet[Any]:
        """All rows that the address asks for, in no order: for totals and "all found" actions."""
        rows = self.rows
        for item in self.filters:
            rows = item.apply(rows, request.GET)
        return searched(rows, self.search, request.GET.get("q", ""))

    def csv(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The rows of the view as a file, streamed in constant memory however many there are."""
        name = f"{slugify(self.title)}-{date.today().isoformat()}.csv"  # noqa: DTZ011 -- a name
        # The lines are written after the answer has begun, when the person's zone is put away.
        zone = timezone.get_current_timezone()
        return StreamingHttpResponse(
            self._csv_lines(self.found(request), self._order(request), zone),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _csv_lines(self, rows: QuerySet[Any], order: Order, zone: tzinfo) -> Iterator[str]:
        columns = [column for column in self.columns if column.csv]
        writer = csv.writer(_Echo())
        headings = _headings(columns)
        # The mark at the start makes Excel read the file as UTF-8.
        yield "\ufeff" + str(writer.writerow(headings))
        for chunk in chunks(rows, order, CSV_CHUNK):
            with timezone.override(zone):
                lines = [str(writer.writerow(_csv_row(columns, row))) for row in chunk]
            yield "".join(lines)

    def _order(self, request: HttpRequest) -> Order:
        wanted = Order.parse(request.GET.get("sort", ""))
        sortable = {column.sort for column in self.columns if column.sort}
        # Only columns that were offered: an address could otherwise sort by what has no index, or
        # no business.
        return wanted if wanted.field in sortable else Order.parse(self.order)

    def _read(self, request: HttpRequest) -> Listing:
        order = self._order(request)
        listing = self._empty_listing(request, order)
        try:
            with transaction.atomic():
                # Within the transaction, so that the limit ends with it.
                _limit_time()
                self._fill(listing, request, order)
        except OperationalError as problem:
            if not isinstance(problem.__cause__, QueryCanceled):
                raise
            listing.too_slow = True
        return listing

    def _fill(self, listing: Listing, request: HttpRequest, order: Order) -> None:
        rows, query = self.found(request), request.GET
        page = window(rows, order, self.page_size, query.get("after", ""), query.get("before", ""))
        listing.rows = [
            Row([(column, column.cell(row)) for column in self.columns]) for row in page.rows
        ]
        listing.count = _capped_count(rows, page.has_before or page.has_after, len(page.rows))
        if page.rows and page.has_after:
            listing.next_url = address(query, after=mark(page.rows[-1], order), before=None)
        if page.rows and page.has_before:
            listing.previous_url = address(query, before=mark(page.rows[0], order), after=None)

    def _empty_listing(self, request: HttpRequest, order: Order) -> Listing:
        query = request.GET
        names = [name for item in self.filters for name in item.names()]
        filtered = any(query.get(name) for name in names)
        return Listing(
            headers=[Header.of(column, order, query) for column in self.columns],
            filters=[(item.template, item.shown(query)) for item in self.filters],
            query=query.get("q", "").strip(),
            sort=str(order) if query.get("sort") else "",
            filtered=filtered,
            narrowed=filtered or bool(query.get("q")),
            csv_url=address(query, format="csv", after=None, before=None),
            clear_url=address(query, **dict.fromkeys([*names, "q", "after", "before"])),
            refresh_url=address(query),
        )


def _limit_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_TIMEOUT_MS)]
        )


def _capped_count(rows: QuerySet[Any], has_more: bool, shown: int) -> str:
    if not has_more:
        return count_text(shown)
    # Sorting would cost more than counting.
    count = rows.order_by().values("pk")[: COUNT_CAP + 1].count()
    return f"{count_text(COUNT_CAP)}+" if count > COUNT_CAP else count_text(count)


def _headings(columns: Sequence[Column]) -> list[str]:
    headings = []
    for column in columns:
        # A column of its own: a spreadsheet can reckon with an amount only where it stands alone.
        headings += [column.label, "Currency"] if column.currency else [column.label]
    return headings


def _csv_row(columns: Sequence[Column], row: Any) -> list[str]:
    cells = []
    for column in columns:
        text = column.text(row)
        cells += [text, column.currency_of(row)] if column.currency else [text]
    return cells


class _Echo:
    """A file for csv.writer that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line
