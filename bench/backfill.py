"""Back-fill: records a second beside two other clients, memory, and the calls it takes."""

from math import ceil
from time import perf_counter
from typing import Any

import httpx2

from bench import books, tap
from bench.books import Amounts
from bench.measure import Measure, Size
from bench.scratch import child

AMOUNTS = {
    Size.FULL: Amounts(contacts=5_000, invoices=20_000, payments=15_000),
    Size.TINY: Amounts(contacts=20, invoices=60, payments=40),
}
FEEDS = ("contacts", "invoices", "payments")
SDK_RATIO, TAP_RATIO, MOST_MB = 2.0, 12.0, 200.0
# A process that grows with the history would grow by a multiple of this.
FLAT_MB = 15.0
PAGE = 1000


def run(size: Size) -> list[Measure]:
    """Everything in one run, so that the ratios are of the same machine in the same minutes."""
    amounts = AMOUNTS[size]
    half = _half(amounts.halved())
    with books.sandbox(amounts) as url:
        organisation = books.connect(url)
        access, refresh = books.tokens(organisation)
        tenant = organisation.external_id
        alone = _warmed(url, access, tenant)
        mark, _ = books.requests(url)
        ours = child("bench.reading_ours", str(organisation.pk), *FEEDS)
        calls = _calls(url, mark)
        sdk = child("bench.reading_sdk", url, access, tenant)
        singer = tap.read(url, refresh, tenant)
    return [
        _rate(ours, alone),
        _against("official xero-python, parsing only", SDK_RATIO, ours, sdk),
        _against("Singer's tap-xero, writing to a file", TAP_RATIO, ours, singer),
        _memory(ours, half),
        _floor(calls, amounts),
    ]


def _half(amounts: Amounts) -> dict[str, float]:
    with books.sandbox(amounts, seed=2) as url:
        organisation = books.connect(url)
        found: dict[str, float] = child("bench.reading_ours", str(organisation.pk), *FEEDS)
        return found


# The sandbox keeps answers that it has once encoded: each client must find them ready.
_LISTS = (
    ("Contacts", {"includeArchived": "true", "order": "ContactID"}),
    ("Invoices", {"where": 'Type=="ACCREC"', "order": "InvoiceID", "unitdp": "4"}),
    ("Payments", {"where": 'PaymentType=="ACCRECPAYMENT"', "order": "PaymentID"}),
)
_TAPS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Contacts", {"includeArchived": "true"}),
    ("Invoices", {}),
    ("Payments", {}),
)


def _warmed(url: str, token: str, tenant: str) -> float:
    """Read everything once for each client; the seconds that the sandbox itself then takes."""
    headers = {"Authorization": f"Bearer {token}", "Xero-Tenant-Id": tenant}
    headers["Accept"] = "application/json"
    with httpx2.Client(base_url=f"{url}/api.xro/2.0", headers=headers, timeout=120) as client:
        for path, params in (*_LISTS, *_TAPS):
            _read(client, path, params)
        started = perf_counter()
        for path, params in _LISTS:
            _read(client, path, params)
        return perf_counter() - started


def _read(client: httpx2.Client, path: str, params: dict[str, str]) -> None:
    page = 1
    while True:
        answer = client.get(path, params={**params, "page": page, "pageSize": PAGE})
        answer.raise_for_status()
        # The end of the answer tells the pages; to parse all of it would be somebody's work.
        if answer.content.count(b'"UpdatedDateUTC"') < PAGE:
            return
        page += 1


def _calls(url: str, mark: int) -> dict[str, int]:
    _, log = books.requests(url, mark)
    paths = [entry["path"].rpartition("/")[2].lower() for entry in log]
    return {path: paths.count(path) for path in sorted(set(paths))}


def _per_second(reading: dict[str, float]) -> float:
    return reading["records"] / reading["seconds"]


def _rate(ours: dict[str, float], alone: float) -> Measure:
    return Measure(
        what=f"back-fill of {ours['records']:,.0f} records into the ledger",
        budget="",
        measured=f"{_per_second(ours):,.0f} records/s",
        remark=f"{ours['seconds']:.1f} s, {ours['cpu']:.1f} s of CPU; to fetch the same pages and "
        f"drop them takes {alone:.1f} s",
        figures={**ours, "fetch_alone_seconds": alone},
    )


def _against(
    whom: str, wanted: float, ours: dict[str, float], other: dict[str, float] | None
) -> Measure:
    if other is None:
        return Measure(
            what=f"against {whom}", budget=f"≥ {wanted:g} ×", measured="could not be installed"
        )
    ratio = _per_second(ours) / _per_second(other)
    return Measure(
        what=f"against {whom}",
        budget=f"≥ {wanted:g} ×",
        measured=f"{ratio:.1f} ×",
        kept=ratio >= wanted,
        remark=f"it: {_per_second(other):,.0f} records/s, {other['seconds']:.1f} s for "
        f"{other['records']:,.0f}",
        figures={**other, "ratio": ratio},
    )


def _memory(ours: dict[str, float], half: dict[str, float]) -> Measure:
    peak, less = ours["peak_mb"], half["peak_mb"]
    return Measure(
        what="peak memory of the process",
        budget=f"< {MOST_MB:g} MB, flat",
        measured=f"{peak:.0f} MB",
        kept=max(peak, less) < MOST_MB and abs(peak - less) < FLAT_MB,
        remark=f"{less:.0f} MB with half the history; {ours['before_mb']:.0f} MB before the first "
        "page",
        figures={"peak_mb": peak, "half_peak_mb": less},
    )


def _floor(calls: dict[str, int], amounts: Amounts) -> Measure:
    floor = {name: ceil(getattr(amounts, name) / PAGE) for name in FEEDS}
    api = {name: calls.get(name, 0) for name in FEEDS}
    others = {name: count for name, count in calls.items() if name not in FEEDS}
    return Measure(
        what="calls for that back-fill",
        budget=f"ceil(n/{PAGE}) a type: {_listed(floor)}",
        measured=_listed(api),
        kept=api == floor and not others,
        remark=f"others: {_listed(others)}" if others else "no other call",
        figures=dict[str, Any](calls),
    )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
