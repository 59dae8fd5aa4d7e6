"""Coverage, judged line by line along the chains of keys. Pure."""

from decimal import Decimal

import pytest

from psaltery.mapping.coverage import Use, cover
from psaltery.mapping.lookup import Entry, Key, Mappings
from psaltery.records.psa import DocumentLine

ZERO = Decimal(0)


def use(*documents, amount="100", currency="AUD", lines=1, **line):
    values = {"key": "", "description": "", "quantity": ZERO, "unit_price": ZERO, "amount": ZERO}
    values |= {"source": "product", "tax_code": "GST"}
    return Use(
        line=DocumentLine(**values | line), currency=currency, amount=Decimal(amount), lines=lines,
        documents=frozenset(documents),
    )  # fmt: skip


def mapped(*entries):
    return Mappings(
        (list_, kind, key, Entry(number, 1, target))
        for number, (list_, kind, key, target) in enumerate(entries, 1)
    )


def fine(target):
    return "" if target != "archived" else "It is archived."


def rows_of(coverage):
    return {(row.key.kind, row.key.value): row for row in coverage.rows}


FIREWALL = {"product": "FW-60", "category": "Hardware"}


def test_nothing_mapped_is_a_gap_at_the_most_exact_key_and_open_at_the_others():
    found = cover("account", [use(1, 2, **FIREWALL)], mapped(), [], fine)
    rows = rows_of(found)
    assert rows["product", "FW-60"].state == "gap"
    assert rows["category", "Hardware"].state == "open"
    assert rows["any", ""].open_money == {"AUD": Decimal(100)}
    assert (found.lines, found.open_lines, found.per_cent, found.gaps) == (1, 1, 0, 1)
    assert found.open_documents == {1, 2}
    assert found.rows[0] is rows["product", "FW-60"]


def test_what_answers_is_named_and_more_exact_keys_are_told():
    mappings = mapped(("account", "category", "hardware ", "230"))
    found = cover("account", [use(1, **FIREWALL)], mappings, [], fine)
    rows = rows_of(found)
    assert rows["product", "FW-60"].state == "fallback"
    assert rows["product", "FW-60"].fallbacks[Key("category", "Hardware")].target == "230"
    assert rows["category", "Hardware"].state == "mapped"
    assert rows["source", "product"].state == "specific"
    assert (found.per_cent, found.gaps, found.open_money) == (100, 0, {})


def test_a_target_that_can_not_be_used_holds_what_it_answers_for():
    entries = [("account", "product", "FW-60", "archived"), ("account", "any", "", "200")]
    found = cover("account", [use(1, **FIREWALL), use(2, product="x")], mapped(*entries), [], fine)
    rows = rows_of(found)
    assert rows["product", "FW-60"].state == "broken"
    assert rows["product", "x"].state == "fallback"
    # A decision does not fall through to what is behind the broken one.
    assert rows["any", ""].open_lines == 0
    assert (found.per_cent, found.gaps) == (50, 1)


def test_a_key_that_is_only_known_is_not_used():
    found = cover("account", [], mapped(), [Key("product", "Never sold")], fine)
    assert [row.state for row in found.rows] == ["unused"]
    assert found.per_cent == 100


def test_money_of_several_currencies_is_kept_apart():
    uses = [use(1, amount="10.50"), use(2, amount="20", currency="NZD"), use(3, amount="0.25")]
    found = cover("account", uses, mapped(), [], fine)
    assert found.open_money == {"AUD": Decimal("10.75"), "NZD": Decimal(20)}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ({"tax_code": "GST"}, ("tax_code", "GST")),
        ({"tax_code": "GST", "taxable": False}, ("exempt", "")),
        ({"tax_code": ""}, ("exempt", "")),
    ],
)
def test_tax_has_one_key_a_line(line, key):
    found = cover("tax", [use(1, **line)], mapped(), [], fine)
    assert list(rows_of(found)) == [key]


def test_a_dimension_that_the_organisation_does_not_track_is_no_gap():
    uses = [use(1, location="Sydney", department="Sales"), use(2, location="Perth")]
    mappings = mapped(("tracking", "location", "Sydney", "east"))
    found = cover("tracking", uses, mappings, [], fine)
    rows = rows_of(found)
    assert rows["location", "Perth"].state == "gap"
    assert rows["department", "Sales"].state == "untracked"
    assert (found.lines, found.open_lines) == (2, 1)


def test_coverage_is_rounded_down_so_that_100_means_all():
    uses = [use(1, product="a", lines=999), use(2, product="b")]
    mappings = mapped(("account", "product", "a", "200"))
    assert cover("account", uses, mappings, [], fine).per_cent == 99
