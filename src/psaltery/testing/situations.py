"""What happens outside between two looks at it, and what must be true afterwards."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection as database
from django.db.models import F, QuerySet

from psaltery.connections.models import Budget, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingInvoice
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.sync import schedule
from psaltery.sync.models import Run
from psaltery.testing.http_calls import call
from psaltery.testing.processes import WorkerInThread
from psaltery.testing.rig import Rig
from psaltery.testing.tallies import marked_once, posted_once

OFFICES = {"Sydney": "GST", "Adelaide": "GST", "Auckland": "NZGST"}
LINE = {"kind": "product", "description": "Access point", "quantity": "2", "price": "219.50"}
# The others are read alike; without them a test takes a third of the time.
FEW_FEEDS = ("settings", "contacts", "invoices", "payments", "credit_notes", "lookups", "companies")
LONGEST_INTERVAL = timedelta(hours=7)


def with_few_feeds(rig: Rig) -> Rig:
    """The rig without the feeds that tests of invoices and payments do not need."""
    Feed.objects.exclude(name__in=FEW_FEEDS).delete()
    Feed.objects.filter(organisation=rig.site, name="contacts").delete()
    return rig


def at(rig: Rig, office: str) -> Organisation:
    """The organisation of the books of an office."""
    return next(one for one in rig.organisations if office in one.name)


# What happens outside.


def fell_due(days: int, rows: QuerySet[BillingInvoice] | None = None) -> None:
    """All receivables, or these, fell due so many days ago, as days are counted at their books."""
    found = BillingInvoice.objects.all() if rows is None else rows
    for row in found.select_related("organisation"):
        here = now().astimezone(ZoneInfo(row.organisation.time_zone or "UTC")).date()
        BillingInvoice.objects.filter(pk=row.pk).update(due_on=here - timedelta(days=days))


def close(rig: Rig, office: str = "Sydney", **changes: Any) -> Any:
    """An office closes an invoice of one line, taxed as usual there."""
    given = {"company": rig.companies(office)[0], "location": office, "tax_code": OFFICES[office]}
    return rig.close_invoice(**{**given, "lines": [LINE], **changes})


def close_everywhere(rig: Rig) -> list[Any]:
    """Each office closes one."""
    return [close(rig, office) for office in OFFICES]


def edit_books(rig: Rig, link: Link, **members: Any) -> None:
    """Something in the books that the vendor's documentation does not have."""
    body = {"tenant": link.organisation.external_id, "kind": "Invoices", "id": link.books_id}
    call(f"{rig.books_url}/_control/edit", "POST", {**body, "changes": members, "raw": True})


def change_psa(rig: Rig, collection: str, identifier: int, **fields: Any) -> None:
    """Fields of a record of the PSA become something else, checked by nobody."""
    body = {"collection": collection, "id": identifier, "fields": fields}
    call(f"{rig.psa_url}/_control/change", "POST", body)


def later(worker: WorkerInThread, *, hours: float = 1) -> None:
    """Time goes by: everything is due, and the worker does what the schedule queues."""
    span = timedelta(hours=hours)
    Feed.objects.update(due_at=F("due_at") - span, failed_since=F("failed_since") - span)
    Feed.objects.update(due_at=F("due_at") - LONGEST_INTERVAL)
    Budget.objects.update(blocked_until=None, heard_at=F("heard_at") - span)
    for model in (Attempt, PaymentBack):
        model._default_manager.update(booked_at=F("booked_at") - span)
    Run.objects.update(started_at=F("started_at") - span)
    Link.objects.update(written_at=F("written_at") - span)
    with database.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")
    for _ in range(4):
        if not schedule.queue_due():
            break
        worker.drain(timeout=200)


# What must be true.


def states() -> dict[str, str]:
    """Number → where it stands."""
    return dict(Posting.objects.values_list("document__number", "state"))


def open_cards() -> dict[str, Card]:
    """By code; a code twice would be a card too many."""
    found = list(Card.objects.filter(state="open"))
    by_code = {card.code: card for card in found}
    assert len(by_code) == len(found), [card.sentence for card in found]
    return by_code


def the_card(code: str) -> Card:
    """The only open card, which must be of this code."""
    assert list(open_cards()) == [code], [card.sentence for card in open_cards().values()]
    return open_cards()[code]


def all_in_step(rig: Rig, invoices: list[Any]) -> None:
    """Asserts that these are in step and counted so on both sides, and that nothing is amiss."""
    assert states() == {row["invoiceNumber"]: "in_step" for row in invoices}, list(
        Posting.objects.exclude(state="in_step").values_list("why", flat=True)
    )
    assert open_cards() == {}
    posted_once(rig.books_url, invoices)
    marked_once(rig.psa_url, invoices)
    assert set(Feed.objects.values_list("state", flat=True)) == {"idle"}
    assert not Feed.objects.exclude(failure="").exists()
