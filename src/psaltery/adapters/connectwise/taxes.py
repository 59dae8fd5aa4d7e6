"""The tax of each line, from a tax code's levels. Pure.

ConnectWise gives the tax of a whole invoice only. A code has up to six levels, each with a rate
and flags saying what it applies to.
https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/TaxCodes
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

import msgspec

from psaltery.adapters.connectwise.wire_accounting import TaxCode
from psaltery.records.money import CENT, ZERO, cents

LEVEL_NAMES = ("one", "two", "three", "four", "five", "six")
_HALF_CENT = Decimal("0.005")
_HUNDRED = Decimal(100)


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of a tax code. `rate` is a fraction (0.1), or an amount of money."""

    rate: Decimal
    is_amount: bool
    applies_to: frozenset[str]  # services, products, expenses
    most: Decimal | None = None  # what exceeds this much of the sum is not taxed
    cross_reference: str = ""


class Taxed(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of a line for its tax."""

    group: str  # services, products, expenses
    amount: Decimal
    taxable: bool
    code: int | None


def levels(code: TaxCode) -> tuple[Level, ...]:
    """The levels of a code that have a rate."""
    found = (_level(code, name) for name in LEVEL_NAMES)
    return tuple(level for level in found if level is not None)


def _level(code: TaxCode, name: str) -> Level | None:
    rate = getattr(code, f"level_{name}_rate")
    if rate is None:
        return None
    groups = ("services", "products", "expenses")
    # A flag that is missing (older models) means yes, as it did before there were flags.
    applies = {g for g in groups if getattr(code, f"level_{name}_{g}_flag") is not False}
    return Level(
        rate=rate,
        is_amount=getattr(code, f"level_{name}_rate_type") == "Amount",
        applies_to=frozenset(applies),
        most=getattr(code, f"level_{name}_taxable_max"),
        cross_reference=getattr(code, f"level_{name}_tax_code_xref") or "",
    )


def per_cent(code: TaxCode) -> Decimal:
    """The sum of the percentage levels, e.g. 10 for a rate of 0.1."""
    rates = (level.rate for level in levels(code) if not level.is_amount)
    return sum(rates, ZERO) * _HUNDRED


def applies(line: Taxed, codes: Mapping[int, Sequence[Level]]) -> bool:
    """Whether any level taxes a line like this. Without knowledge of its code: as the line says."""
    known = codes.get(line.code) if line.code is not None else None
    if not line.taxable or not known:
        return line.taxable
    return any(line.group in level.applies_to for level in known)


def spread(
    lines: Sequence[Taxed], codes: Mapping[int, Sequence[Level]], tax: Decimal
) -> tuple[Decimal, ...] | None:
    """The tax of each line, so that they add up to `tax` exactly; None when the codes don't explain
    the invoice's tax (exemptions by work role or product type, which only the site knows)."""
    exact, shares = _exact(lines, codes)
    # Each share is rounded once on the invoice, or each line is: either is within half a cent.
    tolerance = _HALF_CENT * max(sum(map(bool, exact)), shares)
    fits = abs(sum(exact, ZERO) - tax) <= tolerance and tax == tax.quantize(CENT)
    if fits and (apportioned := _apportion(exact, tax)) is not None:
        return apportioned
    return tuple(ZERO for _ in lines) if tax == 0 else None


def expected(lines: Sequence[Taxed], codes: Mapping[int, Sequence[Level]]) -> Decimal:
    """What the codes ask for, to the cent."""
    return cents(sum(_exact(lines, codes)[0], ZERO))


def _exact(
    lines: Sequence[Taxed], codes: Mapping[int, Sequence[Level]]
) -> tuple[list[Decimal], int]:
    """The unrounded tax of each line, and how many roundings the invoice's total may hold."""
    exact = [ZERO] * len(lines)
    shares = 0
    for code, its_levels in codes.items():
        for level in its_levels:
            mine = [n for n, line in enumerate(lines) if _covers(line, code, level)]
            for n, part in zip(
                mine, _level_tax(level, [lines[n].amount for n in mine]), strict=True
            ):
                exact[n] += part
            shares += bool(mine)
    return exact, shares


def _covers(line: Taxed, code: int, level: Level) -> bool:
    return line.taxable and line.code == code and line.group in level.applies_to


def _level_tax(level: Level, amounts: Sequence[Decimal]) -> list[Decimal]:
    total = sum(amounts, ZERO)
    if not total:
        return [ZERO if level.is_amount else amount * level.rate for amount in amounts]
    if level.is_amount:
        return [level.rate.copy_sign(total) * amount / total for amount in amounts]
    capped = total if level.most is None else min(total, level.most)
    # The cap is on the sum, so that each line bears its share of what is left to tax.
    return [amount * level.rate * capped / total for amount in amounts]


def _apportion(exact: Sequence[Decimal], total: Decimal) -> tuple[Decimal, ...] | None:
    """`exact` in whole cents that add up to `total`: the largest remainders are rounded up."""
    floors = [value.quantize(CENT, rounding=ROUND_FLOOR) for value in exact]
    missing = int((total - sum(floors, ZERO)) / CENT)
    order = sorted(
        (n for n, value in enumerate(exact) if value),
        key=lambda n: (floors[n] - exact[n], n),
        reverse=missing < 0,
    )
    if abs(missing) > len(order):
        return None
    for n in order[: abs(missing)]:
        floors[n] += CENT.copy_sign(missing)
    return tuple(floors)
