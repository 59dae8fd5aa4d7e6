"""Paging: where a run stands survives a stop after any page, and no record is passed over."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from psaltery.adapters.errors import BadSettings, TryLater
from psaltery.adapters.xero.books import XeroBooks

PATH = "/api.xro/2.0/Invoices"
TEN_O_CLOCK = 1_790_848_800_000  # 2026-10-01T10:00:00Z


class Listing:
    """A scripted list: 2,350 invoices, served by page and size; the clock ticks with each call."""

    def __init__(self, server: HTTPServer, count: int = 2350) -> None:
        self.count = count
        self.seen: list[dict[str, str]] = []
        self.paged = True
        self.refuse_above = 0
        server.expect_request(PATH).respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        asked = dict(request.args) | {"since": request.headers.get("If-Modified-Since", "")}
        self.seen.append(asked)
        size, page = int(asked["pageSize"]), int(asked["page"])
        if self.refuse_above and size > self.refuse_above:
            return Response(b"[" + b" " * 40_000_000 + b"]", mimetype="application/json")
        first = (page - 1) * size
        found = [
            {"InvoiceID": f"{number:05}", "Type": "ACCREC"}
            for number in range(first, min(first + size, self.count))
        ]
        body: dict[str, Any] = {"Invoices": found}
        body["DateTimeUTC"] = f"/Date({TEN_O_CLOCK + 60_000 * len(self.seen)})/"
        if self.paged:
            pages = -(-self.count // size)
            told = {"page": page, "pageSize": size, "pageCount": pages, "itemCount": self.count}
            body["pagination"] = told
        return Response(json.dumps(body), mimetype="application/json")


def _run(books: XeroBooks, cursor: str | None) -> tuple[list[str], str, list[Any]]:
    ids: list[str] = []
    pages = []
    while True:
        page = books.pull("invoices", cursor)
        pages.append(page)
        ids += [record.external_id for record in page.records]
        cursor = page.cursor
        if not page.more:
            return ids, cursor, pages


@pytest.mark.parametrize("paged", [True, False])
def test_a_run_over_everything_takes_the_least_calls(
    books: XeroBooks, httpserver: HTTPServer, paged: bool
) -> None:
    listing = Listing(httpserver)
    listing.paged = paged
    ids, _, pages = _run(books, None)
    assert ids == [f"{number:05}" for number in range(2350)]
    assert len(listing.seen) == 3
    assert {page.full for page in pages} == {True}
    assert pages[0].total == (2350 if paged else None)
    asked = listing.seen[0]
    assert (asked["order"], asked["where"]) == ("InvoiceID", 'Type=="ACCREC"')
    assert (asked["unitdp"], asked["pageSize"], asked["since"]) == ("4", "1000", "")


def test_the_next_run_starts_at_xeros_time_of_the_first_page_less_the_overlap(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    listing = Listing(httpserver)
    _, cursor, _ = _run(books, None)
    listing.count = 0
    ids, again, pages = _run(books, cursor)
    # The first page was answered at 10:01; three minutes are read again.
    assert listing.seen[-1]["since"] == "2026-10-01T09:58:00"
    assert (ids, len(listing.seen), pages[0].full) == ([], 4, False)
    listing.count = 1
    _run(books, again)
    assert listing.seen[-1]["since"] == "2026-10-01T10:01:00"


def test_a_stop_after_any_page_loses_nothing(books: XeroBooks, httpserver: HTTPServer) -> None:
    Listing(httpserver)
    _, _, pages = _run(books, None)
    for stopped in range(len(pages) - 1):
        rest, cursor, _ = _run(books, pages[stopped].cursor)
        before = [record.external_id for page in pages[: stopped + 1] for record in page.records]
        assert before + rest == [f"{number:05}" for number in range(2350)]
        assert json.loads(cursor)["since"] == "2026-10-01T09:58:00"


def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    listing = Listing(httpserver)
    first = books.pull("invoices", None)
    listing.refuse_above = 200
    ids, _, _ = _run(books, first.cursor)
    assert ids == [f"{number:05}" for number in range(1000, 2350)]
    assert listing.seen[-1]["pageSize"] == "200"


def test_the_smallest_page_that_is_too_large_is_told(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    listing = Listing(httpserver)
    listing.refuse_above = 10
    with pytest.raises(TryLater, match="larger"):
        books.pull("invoices", None)
    assert [asked["pageSize"] for asked in listing.seen] == ["1000", "200", "50"]


def test_a_damaged_cursor_begins_from_the_beginning(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    Listing(httpserver)
    page = books.pull("invoices", "{not json")
    assert (page.full, len(page.records)) == (True, 1000)


def test_a_date_header_stands_in_for_a_missing_time(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api.xro/2.0/Contacts").respond_with_json({"Contacts": []})
    cursor = json.loads(books.pull("contacts", None).cursor)
    since = datetime.fromisoformat(cursor["since"]).replace(tzinfo=UTC)
    assert timedelta(minutes=2) < datetime.now(UTC) - since < timedelta(minutes=5)


def test_an_unknown_feed_is_told(books: XeroBooks) -> None:
    with pytest.raises(BadSettings, match="journals"):
        books.pull("journals", None)
