"""GL mapping: which account and class a charge posts to (`/finance/glAccounts`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Candidate = tuple[str, int | None]

# What can be mapped, in ids of `/finance/glAccounts/mappedTypes`.
MAPPED_TYPES = (
    "Location",
    "Product Category",
    "Product Subcategory",
    "Work Type",
    "Work Role",
    "Agreement Type",
    "Expense Type",
    "Tax Code",
)


@dataclass(frozen=True)
class Account:
    """Where an amount posts. Every part is empty when nothing is mapped."""

    number: str = ""
    gl_class: str = ""
    cost: str = ""
    inventory: str = ""
    product_id: str = ""
    sales_code: str = ""


def resolve(rows: Iterable[dict[str, Any]], gl_type: str, candidates: list[Candidate]) -> Account:
    """The account of the most specific mapping: the first candidate that has a row of this type.

    A candidate with None for its record is the catch-all of its mapped type.
    """
    mapped = {
        (row["mappedType"]["name"], (row.get("mappedRecord") or {}).get("id")): row
        for row in rows
        if row["glType"] == gl_type
    }
    for candidate in candidates:
        if candidate in mapped:
            return _account(mapped[candidate])
    return Account()


def _account(row: dict[str, Any]) -> Account:
    return Account(
        number=row.get("segment1") or "",
        gl_class=row.get("segment2") or "",
        cost=row.get("cogs1") or "",
        inventory=row.get("inventory") or "",
        product_id=row.get("productId") or "",
        sales_code=row.get("salesCode") or "",
    )
