"""The tax of lines: what levels say, and that parts always add up to the invoice's tax."""

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from psaltery.adapters.connectwise.taxes import Taxed, applies, expected, levels, per_cent, spread
from psaltery.adapters.connectwise.tests.reading_fixtures import fixture
from psaltery.adapters.connectwise.wire_accounting import TaxCode
from psaltery.records.money import ZERO, cents

CODES = {code.id: code for code in fixture("tax_codes", list[TaxCode])}
LEVELS = {number: levels(code) for number, code in CODES.items()}


def line(
    amount: str, *, code: int | None = 1, group: str = "products", taxable: bool = True
) -> Taxed:
    return Taxed(group=group, amount=D(amount), taxable=taxable, code=code)


def test_levels_are_gathered_and_missing_flags_mean_yes() -> None:
    one, two = LEVELS[2]
    assert (one.rate, two.rate, two.most) == (D("0.06"), D("0.0125"), D(1000))
    assert one.applies_to == {"services", "products", "expenses"}
    assert LEVELS[1][0].applies_to == {"services", "products"}
    assert per_cent(CODES[2]) == D("7.25")


def test_lines_share_the_rounded_tax() -> None:
    lines = [line("0.33"), line("0.33"), line("0.34")]
    assert spread(lines, LEVELS, D("0.10")) == (D("0.03"), D("0.03"), D("0.04"))


def test_tax_of_several_levels_with_a_ceiling() -> None:
    lines = [line("1500.00", code=2), line("500.00", code=2)]
    # 6 % of 2,000 and 1.25 % of the first 1,000.
    assert spread(lines, LEVELS, D("132.50")) == (D("99.38"), D("33.12"))
    assert expected(lines, LEVELS) == D("132.50")


def test_unknown_rates_give_no_guess() -> None:
    assert spread([line("100.00")], LEVELS, D("12.34")) is None
    assert spread([line("100.00", code=99)], LEVELS, D("10.00")) is None
    assert spread([line("100.00")], LEVELS, D("10.001")) is None


def test_lines_that_no_level_covers() -> None:
    assert not applies(line("1", group="expenses"), LEVELS)
    assert not applies(line("1", taxable=False), LEVELS)
    assert applies(line("1", code=99), LEVELS)


def test_amounts_that_cancel_out_keep_their_own_tax() -> None:
    assert spread([line("10.00"), line("-10.00")], LEVELS, ZERO) == (D("1.00"), D("-1.00"))


taxed = st.builds(
    Taxed,
    group=st.sampled_from(["products", "services", "expenses"]),
    amount=st.decimals(min_value=D(-900), max_value=D(9000), places=2),
    taxable=st.booleans(),
    code=st.sampled_from([None, 1, 2, 3]),
)


@given(st.lists(taxed, min_size=1, max_size=12))
@settings(max_examples=400, deadline=None)
def test_tax_rounded_once_or_by_line_is_spread_exactly(lines: list[Taxed]) -> None:
    once = expected(lines, LEVELS)
    found = spread(lines, LEVELS, once)
    assert found is not None
    assert sum(found, ZERO) == once
    assert all(value == value.quantize(D("0.01")) for value in found)


@given(st.lists(taxed, min_size=1, max_size=12), st.integers(-3, 3))
@settings(max_examples=200, deadline=None)
def test_no_line_is_more_than_a_cent_off(lines: list[Taxed], cents_off: int) -> None:
    tax = expected(lines, LEVELS) + D(cents_off) / 100
    found = spread(lines, LEVELS, tax)
    if found is None:
        return
    assert sum(found, ZERO) == tax
    for one, value in zip(lines, found, strict=True):
        alone = [other if other is one else line("0", code=None) for other in lines]
        if one.code == 1 and tax:
            assert abs(value - cents(expected(alone, LEVELS))) <= D("0.01")
