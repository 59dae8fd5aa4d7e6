"""GL entries: what a closed record posts, and which of it an accounting batch has taken.

A ledger is the set of entries of one record (`invoice-12`, `purchase-3-PS77`, `expense-9`). Amounts
are debits: the receivable is positive, revenue and tax are negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox.accounts import Account, Candidate, resolve
from psaltery.adapters.connectwise.sandbox.lines import Line, lines
from psaltery.adapters.connectwise.sandbox.pricing import TaxShare, totals
from psaltery.adapters.connectwise.sandbox.world import World, by_id
from psaltery.adapters.sandboxing import Document

APPROVED = ("ApprovedByTierTwo", "ReadyToBill", "Billed", "BilledAgreement", "WrittenOff")
SOURCES = {
    "time": "timeEntries",
    "product": "products",
    "expense": "expenses",
    "agreement": "invoices",
    "head": "invoices",
}


def key(kind: str, *names: object) -> str:
    """The name of a record's ledger, e.g. `invoice-12`."""
    return "-".join([kind, *map(str, names)])


def find(world: World, ledger_key: str) -> Document | None:
    """A ledger; None when the record has no entries."""
    return world.store.get("ledgers", ledger_key)


def post(
    world: World, ledger_key: str, kind: str, record: object, rows: Iterable[Document]
) -> None:
    """Book a record's entries, in place of any that it had."""
    entries = [{"id": world.next_id("glEntries"), **row, "batch": None} for row in rows]
    # Kept up to date once it exists: to look through all ledgers for each batch is too slow.
    if world.entry_ledgers is not None:
        world.entry_ledgers.update((entry["id"], ledger_key) for entry in entries)
    keep(world, {"id": ledger_key, "kind": kind, "record": record, "entries": entries})


def keep(world: World, ledger: Document) -> None:
    """Store a ledger. It is posted when every entry of it stands in a batch."""
    posted = all(entry["batch"] is not None for entry in ledger["entries"])
    world.store.put("ledgers", ledger["id"], ledger | {"posted": posted})


def holding(world: World, entry_ids: Iterable[int]) -> list[Document]:
    """The ledgers that hold any of the entries."""
    if world.entry_ledgers is None:
        world.entry_ledgers = {
            entry["id"]: ledger["id"]
            for ledger in world.all("ledgers")
            for entry in ledger["entries"]
        }
    owners = world.entry_ledgers
    keys = dict.fromkeys(owners.get(number, "") for number in sorted(entry_ids))
    found = (find(world, ledger_key) for ledger_key in keys)
    return [ledger for ledger in found if ledger is not None]


def drop(world: World, ledger_key: str) -> None:
    """Take a record's entries back."""
    world.store.delete("ledgers", ledger_key)


def unposted(world: World, kind: str) -> Iterator[Document]:
    """The ledgers of a kind that are not wholly in a batch."""
    for ledger in world.all("ledgers"):
        if ledger["kind"] == kind and not ledger["posted"]:
            yield ledger


def post_invoice(world: World, invoice: Document) -> None:
    """Book a closed invoice: receivable against revenue, line by line, and against each tax."""
    rows = list(_invoice_entries(world, invoice))
    post(world, key("invoice", invoice["id"]), "invoice", invoice["id"], rows)


def _invoice_entries(world: World, invoice: Document) -> Iterator[Document]:
    mappings = world.all("glAccounts")
    location = invoice.get("locationId")
    billed = lines(world, invoice)
    receivable = resolve(mappings, "AR", [("Location", location), ("Location", None)])
    for line in billed:
        account = resolve(mappings, line.gl_type, [*line.candidates, ("Location", None)])
        yield entry("AR", line.charge.amount, receivable, {"description": line.description})
        yield _revenue(line, account)
    # Tax by code and level, not by line: so the invoice shows it, and each level has its account.
    shares = totals((line.charge for line in billed), by_id(world.all("taxCodes"))).shares
    for share in shares:
        yield entry("AR", share.tax, receivable, {"description": "Sales Tax"})
        candidates: list[Candidate] = [("Tax Code", share.tax_code), ("Tax Code", None)]
        yield _tax(share, resolve(mappings, "ST", candidates))


def post_expense(world: World, row: Document) -> None:
    """Book an approved expense as owed to the member; one that is not approved has no entries."""
    ledger_key = key("expense", row["id"])
    known = find(world, ledger_key)
    # What a batch holds stays as it was posted; new entries would be in no batch.
    if known is not None and known["posted"]:
        return
    # An approval that was taken back takes the entries with it.
    if row["status"] not in APPROVED:
        drop(world, ledger_key)
        return
    candidates: list[Candidate] = [
        ("Expense Type", (row.get("type") or {}).get("id")),
        ("Expense Type", None),
    ]
    account = resolve(world.all("glAccounts"), "EE", candidates)
    extra = {"description": row.get("notes") or "", "source": "expenses", "sourceId": row["id"]}
    post(world, ledger_key, "expense", row["id"], [entry("EE", row["amount"], account, extra)])


def _revenue(line: Line, account: Account) -> Document:
    cost = line.source.get("extCost") if line.charge.kind == "product" else None
    return entry(
        line.gl_type,
        -line.charge.amount,
        account,
        {
            "description": line.description,
            "cost": cost or Decimal(0),
            "source": SOURCES[line.charge.kind],
            "sourceId": line.source["id"],
            "taxable": line.charge.taxable,
            "taxCode": line.charge.tax_code,
        },
    )


def _tax(share: TaxShare, account: Account) -> Document:
    extra = {
        "description": f"Level {share.level} Sales Tax",
        "taxCode": share.tax_code,
        "level": share.level,
        "rate": share.rate,
        "taxableAmount": share.taxable,
    }
    return entry("ST", -share.tax, account, extra)


def entry(gl_type: str, amount: Decimal, account: Account, extra: dict[str, Any]) -> Document:
    """One entry: `amount` is a debit when positive; `extra` says where it comes from."""
    return {
        "type": gl_type,
        "amount": amount,
        "account": account.number,
        "glClass": account.gl_class,
        "costAccount": account.cost,
        "inventoryAccount": account.inventory,
        "productId": account.product_id,
        "salesCode": account.sales_code,
    } | extra


def shown(entry: Document) -> Document:
    """An entry as `/finance/invoices/{id}/glEntries/` shows it."""
    return {
        "id": entry["id"],
        "type": entry["type"],
        "amount": entry["amount"],
        "cost": entry.get("cost") or Decimal(0),
        "segment1": entry["account"],
        "segment2": entry["glClass"],
        "cogs1": entry["costAccount"],
        "inventory": entry["inventoryAccount"],
        "productId": entry["productId"],
        "salesCode": entry["salesCode"],
        "description": entry.get("description", "")[:100],
        "isBatched": entry["batch"] is not None,
    }
