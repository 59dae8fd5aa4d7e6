"""The money on the invoices that were entered by hand: payments of every kind, and credit."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox.pricing import cents
from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import credit_notes, payments
from psaltery.demo.books import Ledger, Organisations
from psaltery.demo.story import Story

BANK = "090"
# How an invoice was settled, and how often. "batch" waits for another of the same customer.
WAYS = {"full": 62, "two": 6, "part": 7, "batch": 12, "credit": 3, "over": 3, "prepaid": 3,
        "open": 8}  # fmt: skip


@dataclass(frozen=True)
class Settling:
    """Something that happens to money on a day."""

    day: date
    do: Callable[[], object]


def settle(organisations: Organisations, entered: list[Document]) -> dict[str, int]:
    """Settle the invoices, in the order of the days; how many in which way."""
    story, chance = organisations.story, organisations.story.chance("money")
    plan: list[Settling] = []
    counts = dict.fromkeys(WAYS, 0)
    waiting: dict[str, list[Document]] = {}
    for invoice in entered:
        ledger = organisations.ledgers[invoice["location"]["name"]]
        way = chance.choices(list(WAYS), list(WAYS.values()))[0]
        counts[way] += 1
        if way == "batch":
            plan += _batched(story, ledger, waiting, invoice, chance)
        elif way != "open":
            plan += _WAYS[way](story, ledger, invoice, chance)
    # By day: an allocation must find the payment or note that it takes from.
    for one in sorted(plan, key=lambda one: one.day):
        organisations.clock.moment = story.moment(one.day, 3)
        one.do()
    organisations.clock.moment = story.now
    return counts


def _paid_on(story: Story, invoice: Document, chance: random.Random) -> date:
    """About when it is due; what would be paid tomorrow was paid a little sooner."""
    due = date.fromisoformat(invoice["dueDate"][:10]) + timedelta(days=chance.randint(-8, 12))
    issued = date.fromisoformat(invoice["date"][:10])
    # Never before the invoice and never in the future, as with people.
    return max(issued, min(due, story.day(chance.randint(1, 9))))


def _number(invoice: Document) -> Document:
    return {"InvoiceNumber": invoice["invoiceNumber"]}


def _payment(ledger: Ledger, invoice: Document, amount: Decimal, day: date) -> Settling:
    sent = {
        "Invoice": _number(invoice),
        "Account": {"Code": BANK},
        "Amount": amount,
        "Date": day.isoformat(),
        "Reference": f"EFT {invoice['invoiceNumber']}",
    }
    return Settling(day, lambda: payments.create(ledger.books, sent))


def _full(story: Story, ledger: Ledger, invoice: Document, chance: random.Random) -> list[Settling]:
    return [_payment(ledger, invoice, invoice["total"], _paid_on(story, invoice, chance))]


def _part(story: Story, ledger: Ledger, invoice: Document, chance: random.Random) -> list[Settling]:
    share = cents(invoice["total"] * Decimal(chance.randint(2, 8)) / 10)
    day = _paid_on(story, invoice, chance)
    return [_payment(ledger, invoice, share, day)] if share else []


def _two(story: Story, ledger: Ledger, invoice: Document, chance: random.Random) -> list[Settling]:
    first = cents(invoice["total"] / 2)
    day = _paid_on(story, invoice, chance)
    later = min(day + timedelta(days=6), story.day(0))
    rest = _payment(ledger, invoice, invoice["total"] - first, later)
    return [_payment(ledger, invoice, first, day), rest] if first else [rest]


def _batched(
    story: Story,
    ledger: Ledger,
    waiting: dict[str, list[Document]],
    invoice: Document,
    chance: random.Random,
) -> list[Settling]:
    """One line at the bank for two invoices of a customer."""
    mine = waiting.setdefault(invoice["company"]["name"], [])
    mine.append(invoice)
    if len(mine) < 2:
        return []
    pair = [mine.pop(), mine.pop()]
    day = max(_paid_on(story, one, chance) for one in pair)
    sent = {
        "Account": {"Code": BANK},
        "Date": day.isoformat(),
        "Reference": f"Remittance {invoice['company']['identifier'][:10]}",
        "Payments": [{"Invoice": _number(one), "Amount": one["total"]} for one in pair],
    }
    return [Settling(day, lambda: payments.create_batch(ledger.books, sent))]


def _credit(
    story: Story, ledger: Ledger, invoice: Document, chance: random.Random
) -> list[Settling]:
    """A credit note for a tenth of it, and a payment of the rest."""
    day = _paid_on(story, invoice, chance)
    credit = cents(invoice["total"] / 10)
    if not credit:
        return _full(story, ledger, invoice, chance)
    note = {
        "Type": "ACCRECCREDIT",
        "CreditNoteNumber": f"CN-{invoice['invoiceNumber']}",
        "Status": "AUTHORISED",
        "LineAmountTypes": "Inclusive",
        **_of(ledger, invoice, day),
        "LineItems": [_line("Goodwill", credit, "220", ledger.office.taxed_in_books)],
    }

    def do() -> None:
        # Two calls, as in Xero: a note can't be allocated in the call that creates it.
        # https://developer.xero.com/documentation/api/accounting/creditnotes
        made = credit_notes.write(ledger.writing, note).document
        _allocate(ledger, "CreditNotes", str(made["CreditNoteID"]), invoice, credit)

    rest = _payment(ledger, invoice, invoice["total"] - credit, day + timedelta(days=0))
    return [Settling(day, do), rest]


def _over(story: Story, ledger: Ledger, invoice: Document, chance: random.Random) -> list[Settling]:
    """The customer paid 50 too much; the rest of the overpayment stays open."""
    return _received("OVERPAYMENT", story, ledger, invoice, chance, invoice["total"] + 50)


def _prepaid(
    story: Story, ledger: Ledger, invoice: Document, chance: random.Random
) -> list[Settling]:
    return _received("PREPAYMENT", story, ledger, invoice, chance, invoice["total"])


def _received(
    kind: str,
    story: Story,
    ledger: Ledger,
    invoice: Document,
    chance: random.Random,
    amount: Decimal,
) -> list[Settling]:
    day = _paid_on(story, invoice, chance)
    # A prepayment's line has tax inside; an overpayment has none.
    tax = None if kind == "OVERPAYMENT" else ledger.office.untaxed_in_books
    sent = {
        "Type": f"RECEIVE-{kind}",
        "BankAccount": {"Code": BANK},
        "LineAmountTypes": "Inclusive",
        **_of(ledger, invoice, day),
        "LineItems": [_line(kind.capitalize(), amount, "220", tax)],
    }
    key = f"{kind.capitalize()}ID"

    def do() -> None:
        made = payments.bank_transaction(ledger.writing, sent).document
        _allocate(ledger, f"{kind.capitalize()}s", str(made[key]), invoice, invoice["total"])

    return [Settling(day, do)]


def _of(ledger: Ledger, invoice: Document, day: date) -> Document:
    contact = {"ContactID": ledger.contacts[invoice["company"]["name"]]}
    return {"Contact": contact, "Date": day.isoformat(), "Reference": invoice["invoiceNumber"]}


def _line(text: str, amount: Decimal, account: str, tax: str | None) -> Document:
    line: Document = {"Description": text, "Quantity": 1, "UnitAmount": amount}
    return line | {"AccountCode": account} | ({"TaxType": tax} if tax else {})


def _allocate(ledger: Ledger, kind: str, source: str, invoice: Document, amount: Decimal) -> None:
    sent = {"Invoice": _number(invoice), "Amount": amount}
    credit_notes.allocate(ledger.books, kind, source, sent)


_WAYS = {
    "full": _full,
    "part": _part,
    "two": _two,
    "credit": _credit,
    "over": _over,
    "prepaid": _prepaid,
}
