"""The list component on real rows: search, filters, order, pages, CSV, and its fixed cost."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from psaltery.accounts.models import Person
from psaltery.connections.models import Connection, Feed, Organisation, Usage
from psaltery.web import lists
from psaltery.web.keyset import Order, chunks, mark, window
from psaltery.web.lists import Choice, Column, DateRange, Empty, ListPage, Toggle

pytestmark = pytest.mark.django_db


def address(row: Organisation) -> str:
    return f"/organisations/{row.external_id}/"


def page_of(**changes) -> ListPage:
    values = {
        "rows": Organisation.objects.select_related("connection"),
        "title": "Organisations",
        "noun": "organisations",
        "columns": [
            Column("name", "Name", link=address, sort="name", detail="short_code"),
            Column("connection.name", "Connection"),
            Column("chosen", "Chosen", kind="yes_no"),
            Column("checked_at", "Checked", kind="when", sort="checked_at"),
            Column("created_at", "Added", kind="day"),
        ],
        "search": ["name", "short_code"],
        "filters": [
            Choice("state", "State", Organisation.State.choices),
            Choice("connection", "Connection", options=connection_options),
            DateRange("checked", "Checked", field="checked_at"),
            Toggle("chosen", "Chosen only", narrow=lambda rows: rows.filter(chosen=True)),
        ],
        "order": "name",
        "empty": Empty("No organisations yet", "Connect Xero.", action="Connect", url="/connect/"),
    }
    return ListPage(**{**values, **changes})


def connection_options():
    return [(str(row.pk), row.name) for row in Connection.objects.order_by("name")]


@pytest.fixture
def books() -> Connection:
    return Connection.objects.create(kind="xero", name="Harbourline books")


def add(books: Connection, name: str, **fields) -> Organisation:
    fields.setdefault("external_id", name)
    return Organisation.objects.create(connection=books, name=name, **fields)


def ask(page: ListPage, query: str = "", **headers):
    request = RequestFactory().get(f"/organisations/?{query}", headers=headers)
    request.user = Person(email="vi@example.com", name="Vi", role="viewer")
    return page.respond(request)


def text(response) -> str:
    return response.content.decode()


def names_in(response) -> list[str]:
    return [
        line.split('/">')[1].split("</a>")[0]
        for line in text(response).split("<tr")
        if 'href="/organisations/' in line
    ]


def csv_rows(response) -> list[list[str]]:
    content = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(content)))


def test_empty_list_says_what_will_appear_and_what_to_do():
    page = text(ask(page_of()))
    assert "No organisations yet" in page
    assert 'href="/connect/"' in page


def test_nothing_found_offers_to_clear_and_keeps_the_order(books):
    add(books, "Sydney")
    page = text(ask(page_of(), "q=zzz&sort=-name"))
    assert "No organisations match" in page
    assert 'href="?sort=-name"' in page


def test_htmx_gets_the_rows_alone(books):
    add(books, "Sydney")
    part = ask(page_of(), **{"HX-Request": "true", "HX-Target": "list-body"})
    assert text(part).lstrip().startswith('<div id="list-body"')
    assert "HX-Target" in part["Vary"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("harb", ["Harbour Dental"]),
        ("dental harbour", ["Harbour Dental"]),
        ("100%", ["100% Pure"]),
        ("0_", []),
        ("\\", []),
        ("SYD1", ["Sydney"]),
        ("ha", ["Harbour Dental"]),
        ("al", []),
        ("a\x00dental", ["Harbour Dental"]),
        ("'; DROP TABLE people; --", []),
    ],
)
def test_search(books, words, found):
    add(books, "Harbour Dental")
    add(books, "100% Pure")
    add(books, "Sydney", short_code="syd1")
    page = page_of()
    request = RequestFactory().get("/", {"q": words})
    if "\x00" in words:
        request = RequestFactory().get("/", {"q": words.replace("a\x00", "\x00")})
    assert [row.name for row in page.found(request)] == found


def test_filters_narrow_and_values_never_offered_are_left_out(books):
    add(books, "Sydney", chosen=True)
    add(books, "Adelaide", state="removed")
    assert names_in(ask(page_of(), "state=removed")) == ["Adelaide"]
    assert names_in(ask(page_of(), "chosen=1")) == ["Sydney"]
    assert names_in(ask(page_of(), f"connection={books.pk}")) == ["Adelaide", "Sydney"]
    assert names_in(ask(page_of(), "state=bogus&connection=x")) == ["Adelaide", "Sydney"]


def test_days_are_the_persons_own_and_both_included(books):
    add(books, "Late", checked_at=datetime(2026, 11, 20, 12, 59, tzinfo=UTC))  # 23:59 in Sydney
    add(books, "Early", checked_at=datetime(2026, 11, 20, 13, 0, tzinfo=UTC))  # midnight
    with timezone.override(ZoneInfo("Australia/Sydney")):
        found = names_in(ask(page_of(), "checked_from=2026-11-20&checked_to=2026-11-20"))
    assert found == ["Late"]
    assert len(names_in(ask(page_of(), "checked_from=nonsense&checked_to=0001-01-01"))) == 2


def test_sorting_knows_only_the_columns_that_offer_it(books):
    add(books, "A")
    add(books, "B")
    assert names_in(ask(page_of(), "sort=-name")) == ["B", "A"]
    assert names_in(ask(page_of(), "sort=-secrets")) == ["A", "B"]
    assert 'aria-sort="descending"' in text(ask(page_of(), "sort=-name"))


@pytest.mark.parametrize("order", ["name", "-name", "checked_at", "-checked_at", "pk", "-pk"])
def test_pages_hold_every_row_once_with_equal_values_and_nulls(books, order):
    dice = random.Random(7)
    moments = [None, None, *(datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3))]
    for number in range(47):
        add(
            books,
            dice.choice(["Same", "Same", "Other", f"Name {number}"]),
            external_id=str(number),
            checked_at=dice.choice(moments),
        )
    rows = Organisation.objects.all()
    way = Order.parse(order)
    seen = [row.pk for chunk in chunks(rows, way, 5) for row in chunk]
    assert seen == [row.pk for row in way.apply(rows)]
    page = window(rows, way, 5, after=mark(list(way.apply(rows))[19], way))
    back = window(rows, way, 5, before=mark(page.rows[0], way))
    assert [row.pk for row in back.rows] == seen[15:20]
    assert back.has_before
    first = window(rows, way, 5, before=mark(back.rows[0], way))
    assert [row.pk for row in first.rows] == seen[10:15]


def test_a_row_that_arrives_moves_no_page(books):
    for letter in "BDFHJ":
        add(books, letter)
    page = page_of(page_size=2)
    first = text(ask(page))
    onward = first.split('rel="next" href="?')[1].split('"')[0]
    add(books, "A")
    assert names_in(ask(page_of(page_size=2), onward)) == ["F", "H"]


@pytest.mark.parametrize("place", ["nonsense", "bnVsbA", "WyJhIl0", "WyJhIiwieCJd", "%00"])
def test_a_damaged_place_shows_the_first_page(books, place):
    add(books, "Sydney")
    assert names_in(ask(page_of(), f"after={place}")) == ["Sydney"]


def test_csv_is_the_whole_view_in_order_and_harmless(books, monkeypatch):
    monkeypatch.setattr(lists, "CSV_CHUNK", 3)
    for number in range(8):
        add(books, f"Org {number}", external_id=str(number))
    add(books, "=cmd|' /C calc'!A0", external_id="evil")
    add(books, "Gone", state="removed")
    moment = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
    Organisation.objects.update(checked_at=moment)
    with timezone.override(ZoneInfo("Australia/Sydney")):
        response = ask(page_of(), "format=csv&state=active")
    rows = csv_rows(response)
    assert rows[0] == ["Name", "Connection", "Chosen", "Checked", "Added"]
    assert [row[0] for row in rows[1:]] == [
        "'=cmd|' /C calc'!A0",
        *(f"Org {number}" for number in range(8)),
    ]
    assert rows[1][3] == "2026-11-21 00:00:00+11:00"
    assert response["Content-Disposition"].startswith('attachment; filename="organisations-')


def test_money_in_csv_has_its_currency_beside_it(books):
    org = add(books, "Sydney", base_currency="AUD")
    columns = [
        Column("name", "Name"),
        Column("x", "Due", kind="money", currency="base_currency", value=lambda _: Decimal("-1.5")),
    ]
    rows = csv_rows(ask(page_of(columns=columns), "format=csv"))
    assert rows == [["Name", "Due", "Currency"], [org.name, "-1.5", "AUD"]]


def test_outside_text_is_escaped(books):
    add(books, "<script>alert(1)</script>", short_code="<i>")
    page = text(ask(page_of()))
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_cost_is_the_same_for_one_row_and_for_many(books):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            ask(page_of(), **{"HX-Request": "true", "HX-Target": "list-body"})
        return len(caught)

    add(books, "First")
    few = queries()
    for number in range(120):
        add(books, f"Org {number:03}", external_id=str(number))
    # One more: the count, which a list on one page knows without asking.
    assert queries() == few + 1


def test_count_stops_where_nobody_reads_on(books, monkeypatch):
    org = add(books, "Sydney")
    monkeypatch.setattr(lists, "COUNT_CAP", 60)
    start = date(2026, 1, 1)
    Usage.objects.bulk_create(
        Usage(organisation=org, day=start + timedelta(days=number), hour=0) for number in range(80)
    )
    page = page_of(
        rows=Usage.objects.all(),
        columns=[Column("day", "Day")],
        search=(),
        filters=(),
        order="-day",
    )
    assert '<span class="figure">60+</span>' in text(ask(page))


def test_a_search_that_takes_too_long_says_so(books, monkeypatch):
    add(books, "Sydney")
    monkeypatch.setattr(lists, "STATEMENT_TIMEOUT_MS", 30)
    slow = Organisation.objects.extra(where=["pg_sleep(0.2) IS NOT NULL"])
    page = text(ask(page_of(rows=slow)))
    assert "That takes too long" in page


def test_annotations_and_relations_can_be_sorted_and_paged(books):
    for name in ("A", "B", "C"):
        org = add(books, name)
        Feed.objects.create(organisation=org, name="invoices", seconds=60)
    way = Order.parse("-organisation__name")
    rows = Feed.objects.select_related("organisation")
    names = [feed.organisation.name for part in chunks(rows, way, 1) for feed in part]
    assert names == ["C", "B", "A"]
