"""Three months of closed invoices in the PSA: agreements, work, goods, projects, credit memos."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import invoices
from psaltery.adapters.connectwise.sandbox.drafts import InvoiceType, NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document
from psaltery.demo.cast import Customer, Part
from psaltery.demo.names import WORK_NOTES
from psaltery.demo.site import LICENCES, METERED, STOCK
from psaltery.demo.story import BY_HAND_UNTIL, DAYS, Story, StoryClock

# Invoices beside those of agreements.
COUNT = 430
# No regular invoice needs what was deliberately left out of the mappings.
DEPARTMENTS = ("Managed Services", "Professional Services", "Procurement", "Cloud")
TYPES: tuple[InvoiceType, ...] = ("Standard", "Standard", "Standard", "Miscellaneous", "Progress")
WORK = ("Remote support", "On-site support", "Project work", "After hours", "Travel")
ROLES = ("Engineer", "Senior engineer", "Consultant", "Technician")
EXPENSES = ("Parking", "Parts")
_LEFT_ALONE = (Part.ARCHIVED, Part.TWINS, Part.SAME_EMAIL, Part.BRITISH, Part.CALIFORNIAN,
               Part.BRISBANE)  # fmt: skip


@dataclass(frozen=True)
class Client:
    """A customer and its record in the PSA."""

    customer: Customer
    row: Document
    agreement: Document | None = None


@dataclass(frozen=True)
class Planned:
    """One invoice to come: the day, and how it is made then."""

    day: date
    make: Callable[[], Document]


def history(world: World, clock: StoryClock, story: Story, clients: list[Client]) -> None:
    """Make all of them in the order of their days, so that numbers rise with dates."""
    planned = [*_agreements(world, story, clients), *_others(world, story, clients)]
    for one in sorted(planned, key=lambda one: one.day):
        clock.moment = story.moment(one.day)
        one.make()


def _agreements(world: World, story: Story, clients: list[Client]) -> Iterator[Planned]:
    for day in story.month_starts():
        for client in clients:
            agreement = client.agreement
            if agreement is not None and _since(story, client) <= day <= story.today:
                yield Planned(day, _bill(world, agreement, day))


def _bill(world: World, agreement: Document, day: date) -> Callable[[], Document]:
    return lambda: invoices.bill(world, agreement, day=day.isoformat(), close=True)


def _since(story: Story, client: Client) -> date:
    """A newcomer's first invoice is of the last weeks: the books don't know it yet."""
    newcomer = client.customer.part is Part.NEWCOMER
    return story.day(BY_HAND_UNTIL - 1 if newcomer else DAYS)


def _others(world: World, story: Story, clients: list[Client]) -> Iterator[Planned]:
    chance = story.chance("invoices")
    usual = [client for client in clients if client.customer.part not in _LEFT_ALONE]
    days, late = story.workdays(DAYS, 0), story.workdays(BY_HAND_UNTIL - 1, 0)
    for _ in range(COUNT):
        client = chance.choice(usual)
        newcomer = client.customer.part is Part.NEWCOMER
        day = chance.choice(late if newcomer else days)
        yield Planned(day, _create(world, draft(client, day, chance)))


def _create(world: World, made: NewInvoice) -> Callable[[], Document]:
    return lambda: invoices.create(world, made)


def draft(client: Client, day: date, chance: random.Random) -> NewInvoice:
    """One invoice of a regular kind; now and then a credit memo."""
    memo = chance.random() < 0.035
    kind: InvoiceType = "CreditMemo" if memo else chance.choice(TYPES)
    count = 1 if memo else chance.choice((1, 1, 2, 2, 3, 4, 5, 6))
    return NewInvoice(
        company=client.row["id"],
        type=kind,
        department=chance.choice(DEPARTMENTS),
        date=day.isoformat(),
        reference=chance.choice(("", f"Work order {chance.randint(1000, 9999)}")),
        customer_po=f"PO{chance.randint(200, 980)}" if chance.random() < 0.25 else "",
        lines=tuple(line(client.customer, chance) for _ in range(count)),
    )


def line(customer: Customer, chance: random.Random) -> NewLine:
    """One line: goods, licences, metered use, time or an expense."""
    free = customer.office.untaxed if chance.random() < 0.06 else None
    kinds = (_stock, _licence, _metered, _time, _expense)
    make = chance.choices(kinds, (30, 18, 10, 34, 8))[0]
    return make(free, chance)


def _stock(tax: str | None, chance: random.Random) -> NewLine:
    quantity = Decimal(chance.choice((1, 1, 1, 2, 3, 5, 12)))
    discount = Decimal(chance.choice((0, 0, 0, 0, 5, 25))) * quantity
    return NewLine(item=chance.choice(STOCK), quantity=quantity, discount=discount, tax_code=tax)


def _licence(tax: str | None, chance: random.Random) -> NewLine:
    # Licences bought for part of a month: prices of four decimals.
    price = Decimal(chance.randint(31_000, 489_999)) / 10_000
    quantity = Decimal(chance.randint(1, 45))
    return NewLine(item=chance.choice(LICENCES), quantity=quantity, price=price, tax_code=tax)


def _metered(tax: str | None, chance: random.Random) -> NewLine:
    quantity = Decimal(chance.randint(90, 90_000)) / 100
    return NewLine(item=chance.choice(METERED), quantity=quantity, tax_code=tax)


def _time(tax: str | None, chance: random.Random) -> NewLine:
    return NewLine(
        kind="time",
        description=chance.choice(WORK_NOTES),
        quantity=Decimal(chance.randint(1, 34)) / 4,
        work_type=chance.choice(WORK),
        work_role=chance.choice(ROLES),
        member=chance.randint(1, 5),
        tax_code=tax,
    )


def _expense(tax: str | None, chance: random.Random) -> NewLine:
    price = Decimal(chance.randint(450, 16_500)) / 100
    kind = chance.choice(EXPENSES)
    who = chance.randint(1, 5)
    return NewLine(kind="expense", expense_type=kind, description=kind, price=price, member=who)
