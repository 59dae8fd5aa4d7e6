"""The demo's world: the same from the same seed, whole, and with every fault in it."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from psaltery.adapters.sandboxing import Store
from psaltery.demo import drive, world
from psaltery.demo.drive import DemoRefused
from psaltery.demo.faults import HELD
from psaltery.demo.offices import OFFICES
from psaltery.review.catalogue import CATALOGUE

# A Wednesday; the first of a month; the end of a leap February.
DAYS = (datetime(2026, 11, 18, 9, tzinfo=UTC), datetime(2026, 9, 1, 0, 30, tzinfo=UTC),
        datetime(2028, 2, 29, 23, tzinfo=UTC))  # fmt: skip
CODES = {
    "account_unmapped", "account_archived", "tax_not_for_account", "tax_unmapped", "tax_mismatch",
    "tracking_unmapped", "contact_archived", "contact_ambiguous", "no_route",
    "currency_not_subscribed", "period_locked", "number_taken",
}  # fmt: skip


@pytest.fixture(scope="module", params=DAYS, ids=[f"{day:%d-%b}" for day in DAYS])
def made(request, tmp_path_factory):
    """A world of that day: its page and both stores, open."""
    folder = tmp_path_factory.mktemp("world")
    page = world.make(folder, 7, request.param)
    psa, books = Store(folder / world.PSA_FILE), Store(folder / world.BOOKS_FILE)
    yield page, psa, books
    psa.close()
    books.close()


def everything(folder):
    found = {}
    for name in (world.PSA_FILE, world.BOOKS_FILE):
        store = Store(folder / name)
        found |= {kind: store.all(kind) for kind in store.collections()}
        store.close()
    return found


def test_the_same_seed_makes_the_same_world_and_another_seed_another(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        folder.mkdir()
        world.make(folder, seed, DAYS[0])
    first, second, third = (everything(folder) for folder in folders)
    assert first == second
    assert first != third
    assert {key.rpartition("/")[2] for key in first} == {key.rpartition("/")[2] for key in third}


def test_it_is_as_large_as_a_small_msp(made):
    page, psa, books = made
    assert len([row for row in psa.all("companies") if not row["isVendorFlag"]]) == 60
    assert len(psa.all("tickets")) == 600
    assert 540 <= len(psa.all("invoices")) == page.invoices <= 620
    assert len(psa.all("purchaseOrders")) == 24
    kinds = Counter(row["type"] for row in psa.all("invoices"))
    assert min(kinds[kind] for kind in ("Agreement", "Standard", "Progress", "Miscellaneous")) > 40
    assert kinds["CreditMemo"] > 2
    tenants = Counter(row["tenantType"] for row in books.all("tenants"))
    assert tenants == {"ORGANISATION": 3, "PRACTICE": 1}


def test_nothing_lies_in_the_future(made):
    page, psa, books = made
    today = f"{page.made_at:%Y-%m-%d}"
    assert max(row["date"][:10] for row in psa.all("invoices")) <= today
    moment = f"{page.made_at:%Y-%m-%dT%H:%M:%SZ}"
    assert all(row["_info"]["lastUpdated"] <= moment for row in psa.all("tickets"))
    for kind, rows in ((k, books.all(k)) for k in books.collections() if k.endswith("/Payments")):
        assert rows, kind
        assert all(row["UpdatedDateUTCString"][:10] <= today for row in rows)


def test_money_came_in_every_way(made):
    page, _, books = made
    assert all(page.settled.values()), page.settled
    ways = ("Payments", "BatchPayments", "CreditNotes", "Overpayments", "Prepayments")
    kept = Counter()
    for name, count in books.collections().items():
        kept[name.rpartition("/")[2]] += count
    assert all(kept[way] for way in ways), kept
    invoices = [row for k in books.collections() if k.endswith("/Invoices") for row in books.all(k)]
    assert any(row["AmountPaid"] and row["AmountDue"] for row in invoices)
    assert all(row["AmountDue"] >= 0 for row in invoices)


def test_what_was_entered_by_hand_has_the_psa_s_total_and_tax(made):
    page, psa, books = made
    mine = {row["invoiceNumber"]: row for row in psa.all("invoices")}
    taken = {number for f in page.faults if f.code == "number_taken" for number in f.numbers}
    seen = 0
    for kind in books.collections():
        for theirs in books.all(kind) if kind.endswith("/Invoices") else ():
            if theirs["InvoiceNumber"] in taken:
                continue
            invoice = mine[theirs["InvoiceNumber"]]
            assert (theirs["Total"], theirs["TotalTax"]) == (invoice["total"], invoice["salesTax"])
            seen += 1
    assert seen == page.by_hand > 300


def test_it_has_every_fault_with_documents_of_its_own(made):
    page, psa, _ = made
    assert {fault.code for fault in page.faults if fault.state == HELD} == CODES
    assert set(CATALOGUE) >= CODES
    numbers = [number for fault in page.faults for number in fault.numbers]
    assert len(numbers) == len(set(numbers))
    totals = {row["invoiceNumber"]: row["total"] for row in psa.all("invoices")}
    held = [number for fault in page.faults if fault.state == HELD for number in fault.numbers]
    assert all(totals[number] > 0 for number in held)
    assert Decimal("0.01") in [totals[number] for number in numbers]
    names = {office.organisation for office in OFFICES} | {""}
    assert {fault.organisation for fault in page.faults} == names


def test_prices_have_up_to_six_decimals_and_lines_have_discounts(made):
    _, psa, _ = made
    prices = [Decimal(row["price"]) for row in psa.all("products")]
    assert any(-price.as_tuple().exponent >= 6 for price in prices)
    assert any(row["discount"] for row in psa.all("products"))


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("mine")
    options = drive.Options(
        port=1024, folder=tmp_path, seed=7, live=False, fresh=True, check=False, seconds=1
    )
    with pytest.raises(DemoRefused, match="holds other things"):
        drive.run(options, print)
    assert (tmp_path / "data" / "precious").read_text() == "mine"
