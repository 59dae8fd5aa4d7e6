"""Whether the tie-out explains every cent, and compares what both sandboxes really have open."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from psaltery.matching.models import TieOut
from psaltery.matching.tieout.queries import causes, name_of
from psaltery.matching.tieout.service import due_organisations, sentence, tie_out

Wire = dict[str, Any]
# What Xero's receivables don't count: not yet approved, or ended.
_SETTLED = ("DRAFT", "SUBMITTED", "VOIDED", "DELETED")


def tie_everything() -> list[TieOut]:
    """Tie out every organisation as the mirrors are now."""
    return [tie_out(organisation, "the demo's check") for organisation in due_organisations()]


def problems(
    rows: Iterable[TieOut], psa: Iterable[Wire], books: dict[str, list[Wire]]
) -> Iterator[str]:
    """Sentences about cents that are not explained, or not there at all.

    `psa`: the site's invoices as its sandbox has them; `books`: receivable invoices, credit notes,
    overpayments and prepayments of each tenant.
    """
    found = list(rows)
    for row in found:
        if row.state != TieOut.State.TIES:
            yield sentence(row)
        yield from _unequal(row)
        if row.organisation is not None:
            yield from _books_differ(row, books[row.organisation.external_id])
    yield from _psa_differs(found, psa)


def _unequal(row: TieOut) -> Iterator[str]:
    parts: Counter[str] = Counter()
    for entry in causes(row):
        parts[entry["currency"]] += entry["amount"]
    for entry in row.sums:
        if Decimal(entry["difference"]) != parts[entry["currency"]]:
            yield f"{name_of(row)}: {entry['difference']} apart, {parts[entry['currency']]} named"


def _books_differ(row: TieOut, documents: Iterable[Wire]) -> Iterator[str]:
    there: dict[str, Decimal] = defaultdict(Decimal)
    for one in documents:
        if one["Status"] in _SETTLED:
            continue
        there[one["CurrencyCode"]] += (
            # Credit that is left lowers what is owed: invoices have an amount due, the others
            # remaining credit.
            Decimal(one["AmountDue"]) if "AmountDue" in one else -Decimal(one["RemainingCredit"])
        )
    yield from _compared(f"{name_of(row)}, books", there, _sums([row], "books"))


def _psa_differs(rows: Iterable[TieOut], documents: Iterable[Wire]) -> Iterator[str]:
    there: dict[str, Decimal] = defaultdict(Decimal)
    for one in documents:
        if one["status"]["isClosed"]:
            there[one["currency"]["currencyCode"]] += Decimal(one["balance"])
    yield from _compared("PSA", there, _sums(rows, "psa"))


def _sums(rows: Iterable[TieOut], side: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        for entry in row.sums:
            sums[entry["currency"]] += Decimal(entry[side])
    return sums


def _compared(what: str, there: dict[str, Decimal], told: dict[str, Decimal]) -> Iterator[str]:
    for currency in sorted({*there, *told}):
        if there.get(currency, 0) != told.get(currency, 0):
            yield (
                f"{what}: {there.get(currency, 0)} {currency} is open, "
                f"the tie-out says {told.get(currency, 0)}"
            )
