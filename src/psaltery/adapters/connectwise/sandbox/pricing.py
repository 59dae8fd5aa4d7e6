"""The arithmetic of an invoice: what its lines come to, and the tax on them by code and level.

Pure: documents in, amounts out. Every amount is rounded half up to the cent, tax once per code and
level on the sum of what it applies to, as an invoice prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
LEVEL_NAMES = ("One", "Two", "Three", "Four", "Five", "Six")

# Which flag of a tax level decides whether it applies to a charge of this kind.
_FLAG = {"time": "Services", "agreement": "Services", "product": "Products", "expense": "Expenses"}


@dataclass(frozen=True)
class Charge:
    """One amount on an invoice: a product, time, expense or agreement line.

    The kind `head` is an amount that stands on the head alone and is never taxed.
    """

    kind: str
    amount: Decimal
    taxable: bool
    tax_code: int | None


@dataclass(frozen=True)
class TaxShare:
    """What one level of one tax code adds to an invoice."""

    tax_code: int
    level: int
    rate: Decimal
    taxable: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Totals:
    """The sums on an invoice's head."""

    service: Decimal
    expense: Decimal
    product: Decimal
    agreement: Decimal
    head: Decimal
    shares: tuple[TaxShare, ...]

    @property
    def subtotal(self) -> Decimal:
        return self.service + self.expense + self.product + self.agreement + self.head

    @property
    def tax(self) -> Decimal:
        return sum((share.tax for share in self.shares), ZERO)


def cents(value: Decimal | int | str) -> Decimal:
    """The amount rounded half up to two places."""
    return Decimal(value).quantize(CENT, ROUND_HALF_UP)


def totals(charges: Iterable[Charge], tax_codes: Mapping[int, dict[str, Any]]) -> Totals:
    """What the charges come to; `tax_codes` are TaxCode documents by id."""
    charges = list(charges)
    return Totals(
        service=_sum(charges, "time"),
        expense=_sum(charges, "expense"),
        product=_sum(charges, "product"),
        agreement=_sum(charges, "agreement"),
        head=_sum(charges, "head"),
        shares=tuple(_shares(charges, tax_codes)),
    )


def _sum(charges: list[Charge], kind: str) -> Decimal:
    return sum((charge.amount for charge in charges if charge.kind == kind), ZERO)


def _shares(charges: list[Charge], tax_codes: Mapping[int, dict[str, Any]]) -> Iterable[TaxShare]:
    # In the order of the lines, so that entries come out the same each time.
    used = dict.fromkeys(charge.tax_code for charge in charges if charge.taxable)
    for code_id in used:
        if code_id is None or code_id not in tax_codes:
            continue
        mine = [charge for charge in charges if charge.taxable and charge.tax_code == code_id]
        for level in levels(tax_codes[code_id]):
            yield _share(code_id, level, mine)


def _share(code_id: int, level: dict[str, Any], charges: list[Charge]) -> TaxShare:
    taxable = sum((c.amount for c in charges if level[f"tax{_FLAG[c.kind]}Flag"]), ZERO)
    rate = Decimal(level["taxRate"])
    if level["taxableMax"] is not None:
        taxable = min(taxable, Decimal(level["taxableMax"]))
    tax = (
        rate.copy_sign(taxable) * bool(taxable) if level["rateType"] == "Amount" else taxable * rate
    )
    return TaxShare(code_id, level["taxLevel"], rate, taxable, cents(tax))


def levels(tax_code: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The levels in use of a TaxCode document, as TaxCodeLevel documents."""
    found = []
    for number, name in enumerate(LEVEL_NAMES, start=1):
        rate = tax_code.get(f"level{name}Rate")
        if rate is not None:
            found.append(_level(tax_code, number, f"level{name}", Decimal(rate)))
    return found


def _level(tax_code: Mapping[str, Any], number: int, prefix: str, rate: Decimal) -> dict[str, Any]:
    return {
        "id": int(tax_code["id"]) * len(LEVEL_NAMES) + number,
        "taxLevel": number,
        "rateType": tax_code.get(f"{prefix}RateType") or "Percent",
        "taxRate": rate,
        "caption": tax_code.get(f"{prefix}Caption") or "",
        "taxCodeXref": tax_code.get(f"{prefix}TaxCodeXref") or "",
        "agencyXref": tax_code.get(f"{prefix}AgencyXref") or "",
        "taxServicesFlag": bool(tax_code.get(f"{prefix}ServicesFlag", True)),
        "taxProductsFlag": bool(tax_code.get(f"{prefix}ProductsFlag", True)),
        "taxExpensesFlag": bool(tax_code.get(f"{prefix}ExpensesFlag", True)),
        "taxableMax": tax_code.get(f"{prefix}TaxableMax"),
    }
