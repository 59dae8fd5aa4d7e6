"""Text from outside and names that are compared; hashes of content."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.kit.clock import parse_http_date
from psaltery.kit.hashing import content_hash
from psaltery.kit.text import clean, comparable_name, cut, single_line


@given(st.text())
def test_cleaned_text_can_be_stored(text):
    cleaned = clean(text)
    assert "\x00" not in cleaned
    cleaned.encode()  # no lone surrogates


def test_blanks_and_controls_go_and_emoji_stay():
    assert single_line(" a\x00\t b\n\nc 😀 ") == "a b c 😀"
    assert clean("a\nb\tc\x07") == "a\nb\tc"
    assert cut("abcdef", 4) == "abc…"
    assert cut("abc", 4) == "abc"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme Pty Ltd", "ACME  pty. ltd."),
        ("The Bénard Co.", "benard"),
        ("O'Brien & Sons Limited", "OBrien & Sons"),
        ("Müller GmbH & Co. KG", "muller gmbh & co kg"),
    ],
)
def test_names_that_mean_the_same(one, other):
    assert comparable_name(one) == comparable_name(other)


def test_names_that_differ_stay_apart():
    assert comparable_name("Acme North") != comparable_name("Acme South")
    assert comparable_name("Pty Ltd") == "pty ltd"


@given(st.text())
def test_comparing_is_stable(name):
    assert comparable_name(comparable_name(name)) == comparable_name(name) or not name.isascii()


class Line(msgspec.Struct):
    amount: Decimal
    tags: dict[str, int]


def test_a_hash_depends_on_content_alone():
    one = Line(amount=Decimal("1.50"), tags={"a": 1, "b": 2})
    same = Line(amount=Decimal("1.50"), tags={"b": 2, "a": 1})
    other = Line(amount=Decimal("1.51"), tags={"a": 1, "b": 2})
    assert content_hash(one) == content_hash(same)
    assert content_hash(one) != content_hash(other)


def test_http_dates():
    moment = parse_http_date("Sat, 21 Nov 2026 22:00:00 GMT")
    assert moment is not None
    assert moment.isoformat() == "2026-11-21T22:00:00+00:00"
    assert parse_http_date("tomorrow") is None
    assert parse_http_date("") is None
