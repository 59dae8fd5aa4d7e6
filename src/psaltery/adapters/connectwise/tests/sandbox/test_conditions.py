"""The query language of conditions."""

from __future__ import annotations

import contextlib
import functools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.connectwise.sandbox.conditions import Dialect, parse
from psaltery.adapters.connectwise.sandbox.errors import ApiError
from psaltery.adapters.connectwise.sandbox.fields import find, models

INVOICE = {
    "id": 7,
    "invoiceNumber": "INV-7 [A]",
    "type": "Standard",
    "total": Decimal("120.50"),
    "company": {"id": 5, "identifier": "acme", "name": "Acme O'Brien"},
    "status": {"id": 3, "name": "Closed", "isClosed": True},
    "taxableFlag": True,
    "reference": None,
    "date": "2026-03-02T00:00:00Z",
    "_info": {"lastUpdated": "2026-03-02T10:00:00Z"},
}


def holds(text, document=INVOICE, model="Invoice", **dialect):
    lookup = functools.partial(find, models()[model])
    return parse(text, lookup, Dialect(**dialect))(document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=7", True),
        ("id != 7", False),
        ("id>6 and id<=7", True),
        ("total > 120", True),
        ("total >= 120.51", False),
        ("total > -5.5", True),
        ("company/id=5", True),
        ('company/name = "acme o\'brien"', True),
        ("company/identifier = 'ACME'", True),
        ('status/name="Closed" AND taxableFlag=True', True),
        ("status/isClosed = false", False),
        ("reference = null", True),
        ("reference != null", False),
        ('invoiceNumber contains "inv"', True),
        ('invoiceNumber not contains "inv"', False),
        ('invoiceNumber like "INV%"', True),
        ('invoiceNumber like "*7*"', True),
        ('invoiceNumber like "7"', False),
        ('invoiceNumber = "INV-7 [[]A]"', True),
        ("id in (1,2,7)", True),
        ('type in ("Standard","Agreement")', True),
        ("id not in (1, 2)", True),
        ("(id=1 or id=7) and total>100", True),
        ("id=1 or id=7 and total<100", False),
        ("((id=7))", True),
        ("lastUpdated > [2026-03-02T09:59:59Z]", True),
        ("lastUpdated > [2026-03-02T10:00:00Z]", False),
        ("_info/lastUpdated >= [2026-03-02T11:00:00+01:00]", True),
        ("date >= [2026-03-02]", True),
        ("date < [2026-03-02]", False),
        ("", True),
    ],
)
def test_what_an_expression_selects(text, expected):
    assert holds(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "invoiceDate > [2026-01-01]",
        "company/colour = 1",
        "customFields/value = 1",
        "id =",
        "id = 7 and",
        "id ~ 7",
        "(id=7",
        "id=7)",
        'id = "seven"',
        'type = "Sonderfall"',
        'date = "2026-03-02"',
        "date > [yesterday]",
        "invoiceNumber contains 7",
        "id in ()",
        "= 7",
        'invoiceNumber = "open',
        "id not = 7",
        "taxableFlag = perhaps",
    ],
)
def test_what_does_not_parse_is_refused(text):
    with pytest.raises(ApiError) as refused:
        holds(text)
    assert (refused.value.status, refused.value.code) == (400, "ApiFindCondition")


def test_an_unknown_field_is_named_as_the_vendor_does():
    with pytest.raises(ApiError) as refused:
        holds("invoiceDate > [2026-01-01]")
    assert refused.value.message == "invoiceDate is not a recognized name."


def test_a_site_may_refuse_a_time_of_day():
    assert holds("lastUpdated > [2026-03-01]", date_only=True)
    with pytest.raises(ApiError):
        holds("lastUpdated > [2026-03-01T10:00:00Z]", date_only=True)


def test_a_site_may_know_one_wildcard_only():
    assert holds('invoiceNumber like "INV%"', wildcards="%")
    assert not holds('invoiceNumber like "INV*"', wildcards="%")


@given(st.text(max_size=40))
def test_any_text_is_an_answer_or_a_refusal(text):
    with contextlib.suppress(ApiError):
        assert holds(text) in (True, False)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_comparisons_agree_with_arithmetic(value, wanted):
    document = {"total": Decimal(value) / 100}
    written = Decimal(wanted) / 100
    assert holds(f"total < {written}", document) is (value < wanted)
    assert holds(f"total >= {written}", document) is (value >= wanted)
    assert holds(f"total = {written}", document) is (value == wanted)
