"""The service desk's three months: tickets, the time worked on them, and purchases."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import references, seed
from psaltery.adapters.connectwise.sandbox.tables import WORK_TYPES
from psaltery.adapters.connectwise.sandbox.world import World, wire_time
from psaltery.adapters.sandboxing import Document
from psaltery.demo.names import TICKETS, VENDORS, WORK_NOTES
from psaltery.demo.story import DAYS, Story, StoryClock

TICKET_COUNT = 600
ORDER_COUNT = 24
PRIORITIES = (
    "Priority 1 - Critical",
    "Priority 2 - High",
    "Priority 3 - Normal",
    "Priority 4 - Low",
)


def tickets(world: World, clock: StoryClock, story: Story, companies: list[Document]) -> None:
    """Tickets in the order in which they were opened; most have time on them, most are closed."""
    chance = story.chance("tickets")
    days = story.workdays(DAYS, 0)
    # In order, so that ticket numbers rise with time as in a real desk.
    opened = sorted(chance.choice(days) for _ in range(TICKET_COUNT))
    agreements = {row["company"]["id"]: row for row in world.all("agreements")}
    for day in opened:
        clock.moment = story.moment(day, chance.randint(0, 6))
        company = chance.choice(companies)
        row = ticket(world, company, chance) | {"agreement": _named(agreements, company)}
        row = world.add("tickets", _later(world, clock.moment, story.now, row, chance))
        for _ in range(chance.choice((0, 1, 1, 2))):
            world.add("timeEntries", worked(world, row, day, chance), row["owner"]["identifier"])


def _later(
    world: World, opened: datetime, now: datetime, row: Document, chance: random.Random
) -> Document:
    """The ticket as it is today: closed after hours or days, unless it still is open."""
    age = timedelta(hours=chance.choice((2, 4, 8, 26, 50, 120)))
    hours = Decimal(chance.randint(1, 16)) / 4
    done = chance.random() < 0.92 and opened + age < now
    return row | {"actualHours": hours} | (closed(world, opened + age) if done else {})


def _named(agreements: dict[int, Document], company: Document) -> Document | None:
    found = agreements.get(company["id"])
    return references.agreement(found) if found else None


def ticket(world: World, company: Document, chance: random.Random) -> Document:
    """A new ticket, not stored yet."""
    priority = chance.choice((1, 2, 2, 2, 3))
    return {
        "summary": chance.choice(TICKETS),
        "recordType": "ServiceTicket",
        "company": references.company(company),
        "contact": company["defaultContact"],
        "board": references.to(world, "BoardReference", 1),
        "status": references.to(world, "ServiceStatusReference", chance.randint(1, 3)),
        "priority": {"id": priority, "name": f"Priority {PRIORITIES[priority]}"},
        "owner": references.to(world, "MemberReference", chance.randint(1, 5)),
        "location": company["territory"],
        "department": references.to(world, "SystemDepartmentReference", 1),
        "closedFlag": False,
        "actualHours": Decimal(0),
    }


def closed(world: World, moment: datetime) -> Document:
    """What closing a ticket changes on it."""
    status = references.to(world, "ServiceStatusReference", "Closed")
    return {"status": status, "closedFlag": True, "closedDate": wire_time(moment)}


def worked(world: World, row: Document, day: date, chance: random.Random) -> Document:
    """Time on a ticket that an agreement covers, so that no invoice bills it."""
    hours = Decimal(chance.randint(1, 10)) / 4
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(hours=chance.randint(0, 6))
    role = references.need(world, "workRoles", chance.randint(1, 4))
    work_type = references.need(world, "workTypes", chance.choice(WORK_TYPES))
    return {
        "chargeToType": "ServiceTicket",
        "chargeToId": row["id"],
        "company": row["company"],
        "member": row["owner"],
        "workType": references.named(work_type),
        "workRole": references.named(role),
        "timeStart": wire_time(start),
        "timeEnd": wire_time(start + timedelta(minutes=int(hours * 60))),
        "actualHours": hours,
        # Covered by the agreement: billed too, the signal of unbilled work would be right to fire.
        "billableOption": "DoNotBill",
        "hourlyRate": role["hourlyRate"],
        "agreementHours": hours,
        "notes": chance.choice(WORK_NOTES),
        "ticket": references.ticket(row),
        "agreement": row.get("agreement"),
        "locationId": (row["location"] or {}).get("id"),
        "location": row["location"],
        "department": row["department"],
        "status": "Open",
        "customFields": [],
    }


def purchases(world: World, clock: StoryClock, story: Story) -> None:
    """Suppliers, and purchase orders of which most have been received."""
    chance = story.chance("purchases")
    suppliers = [seed.vendor(world, name) for name in VENDORS]
    days = story.workdays(DAYS, 1)
    for day in sorted(chance.choice(days) for _ in range(ORDER_COUNT)):
        clock.moment = story.moment(day)
        seed.purchase_order(world, chance.choice(suppliers), chance)
