"""What happened around a customer, newest first, from every system, in stretches by key.

Each source is asked for its next few rows after the mark, from an index; the newest of all of them
make the stretch. So the hundredth stretch costs as much as the first.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from psaltery.desk.models import Agreement, Document
from psaltery.hub import queries
from psaltery.hub.queries import Link
from psaltery.ledger.models import BillingCreditMemo
from psaltery.portfolio.models import AgreementChange, Customer
from psaltery.posting.models import Link as Posted
from psaltery.review.models import Blocked
from psaltery.rmm.models import RmmAlert
from psaltery.signals.models import Alert

# More than a screen, so that the next stretch is there before a reader reaches its end.
SIZE = 40
KINDS = {
    "invoice": "Invoices",
    "payment": "Payments",
    "credit": "Credits",
    "ticket": "Tickets",
    "agreement": "Agreements",
    "sync": "Sync",
    "alert": "Alerts",
    "rmm": "RMM alerts",
}
ICONS = {
    "invoice": "file-invoice",
    "payment": "cash",
    "credit": "receipt-refund",
    "ticket": "ticket",
    "agreement": "writing",
    "sync": "refresh",
    "alert": "bell",
    "rmm": "device-desktop",
}


@dataclass(frozen=True)
class Event:
    """One line of the timeline. `at` of what only has a day is that day's beginning."""

    at: datetime
    source: str
    id: int
    kind: str
    title: str
    detail: str = ""
    amount: Decimal | None = None
    currency: str = ""
    url: str = ""
    whole_day: bool = False

    @property
    def key(self) -> tuple[datetime, str, int]:
        return (self.at, self.source, self.id)

    @property
    def icon(self) -> str:
        return ICONS[self.kind]

    @property
    def day(self) -> date:
        return self.at.date()


@dataclass(frozen=True)
class Stretch:
    """Some events, and the mark after which the next ones come; "" at the end."""

    events: list[Event]
    after: str


@dataclass(frozen=True)
class Source:
    """Rows of one table: which of them, by which moment, and how each is told."""

    name: str
    kind: str
    moment: str  # the field; a date or a moment
    rows: Callable[[Customer, list[Link]], QuerySet[Any]]
    told: Callable[[Any], dict[str, Any]]
    whole_day: bool = False


def page_of(customer: Customer, kinds: Sequence[str], after: str = "") -> Stretch:
    """The next stretch of events of these kinds."""
    mark = read_mark(after)
    links = queries.links_of(customer)
    found: list[Event] = []
    for source in SOURCES:
        if source.kind in kinds:
            found += _events(source, source.rows(customer, links), mark)
    # The key ends in source and id: events of one moment keep one order on every page.
    found.sort(key=lambda event: event.key, reverse=True)
    more = len(found) > SIZE
    shown = found[:SIZE]
    return Stretch(shown, write_mark(shown[-1].key) if more else "")


Mark = tuple[datetime, str, int]


def write_mark(key: Mark) -> str:
    """A place in the timeline as text for an address."""
    place = [key[0].isoformat(), key[1], key[2]]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_mark(text: str) -> Mark | None:
    """The place that a mark tells; None at the beginning, or where the address was damaged."""
    try:
        at, source, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(key, int) or not 0 <= key < 2**63:
            return None
        return moment, str(source), key
    # An address that somebody shortened shows the newest events, not an error.
    except (ValueError, TypeError, binascii.Error):
        return None


def _events(source: Source, rows: QuerySet[Any], mark: Mark | None) -> list[Event]:
    if mark:
        rows = rows.filter(_beyond(source, mark))
    # Without a moment it has no place in time, and the mark could not pass it.
    rows = rows.filter(**{f"{source.moment}__isnull": False})
    # One more than is shown: all of them may be of this source, and whether there are more must be
    # known.
    found = rows.order_by(f"-{source.moment}", "-pk")[: SIZE + 1]
    return [_event(source, row) for row in found]


def _event(source: Source, row: Any) -> Event:
    at = getattr(row, source.moment)
    if source.whole_day:
        # In UTC, whatever the reader's zone: the mark in an address must mean one place for
        # everybody.
        at = datetime.combine(at, time.min, tzinfo=UTC)
    return Event(
        at=at.astimezone(UTC),
        source=source.name,
        id=row.pk,
        kind=source.kind,
        whole_day=source.whole_day,
        **source.told(row),
    )


def _beyond(source: Source, mark: Mark) -> Q:
    """What comes after a mark in the order (moment, source, id), all descending."""
    at, name, key = mark
    moment: Any = at
    at_once = True  # whether rows of this moment may still come
    if source.whole_day:
        moment = at.astimezone(UTC).date()
        if at != datetime.combine(moment, time.min, tzinfo=UTC):
            # A day begins before any other moment of it: it comes after the mark as a whole.
            return Q(**{f"{source.moment}__lte": moment})
    # Names break the tie of one moment, as in the sort above.
    if source.name > name:
        at_once = False
    older = Q(**{f"{source.moment}__lt": moment})
    if not at_once:
        return older
    same = Q(**{source.moment: moment})
    return older | (same & Q(pk__lt=key) if source.name == name else same)


# How each source is told.


def _invoice(row: Any) -> dict[str, Any]:
    return {
        "title": f"Invoice {row.number or 'without number'}",
        "detail": f"{row.organisation.name} · {row.status}",
        "amount": row.total,
        "currency": row.currency,
        "url": reverse("ledger:invoice", args=[row.pk]),
    }


def _payment(row: Any) -> dict[str, Any]:
    what = row.touch.replace("_", " ").capitalize()
    return {
        "title": f"{what} on {row.invoice_number or 'an invoice'}",
        "detail": " · ".join(part for part in (row.organisation.name, row.reference) if part),
        "amount": row.amount,
        "currency": row.currency,
        "url": reverse("ledger:invoice", args=[row.invoice_pk]) if row.invoice_pk else "",
    }


def _credit(row: Any) -> dict[str, Any]:
    return {
        "title": f"Credit note {row.number or 'without number'}",
        "detail": f"{row.organisation.name} · {row.status}",
        "amount": -row.total,
        "currency": row.currency,
        "url": f"{reverse('ledger:credit_notes')}?q={row.number}",
    }


def _ticket(row: Any) -> dict[str, Any]:
    hours = f"{row.actual_hours.normalize():f} h" if row.actual_hours else ""
    parts = (row.status, row.board, row.owner, hours)
    return {
        "title": f"Ticket {row.external_id}: {row.summary}",
        "detail": " · ".join(part for part in parts if part),
    }


def _change(row: Any) -> dict[str, Any]:
    return {"title": row.sentence}


def _began(row: Any) -> dict[str, Any]:
    return {"title": f"Agreement {row.name} begins", "detail": f"{row.type} · {row.billing_cycle}"}


def _posted(row: Any) -> dict[str, Any]:
    how = {"posted": "written to", "adopted": "found in", "found": "found in"}.get(row.how, row.how)
    return {
        "title": f"{row.number} {how} the books",
        "detail": row.organisation.name,
        "amount": row.total,
        "currency": row.document.currency,
        "url": reverse("posting:document", args=[row.document_id]),
    }


def _blocked(row: Any) -> dict[str, Any]:
    return {
        "title": row.card.sentence,
        "detail": f"{row.document.number} · {row.card.get_state_display()}",
        "amount": row.amount,
        "currency": row.currency,
        "url": reverse("review:card", args=[row.card_id]),
    }


def _alert(row: Any) -> dict[str, Any]:
    return {
        "title": row.sentence,
        "detail": f"{row.get_severity_display()} · {row.get_state_display()}",
        "amount": row.amount,
        "currency": row.currency,
        "url": reverse("signals:alert", args=[row.pk]),
    }


def _rmm(row: Any) -> dict[str, Any]:
    parts = (row.device, row.get_severity_display(), "resolved" if row.resolved else "")
    detail = " · ".join(part for part in parts if part)
    return {"title": row.title, "detail": detail, "url": row.url}


# Which rows are a customer's.


def _credits(_: Customer, links: list[Link]) -> QuerySet[Any]:
    rows = BillingCreditMemo.objects.filter(queries.of_contacts(links), kind="receivable")
    return rows.select_related("organisation")


def _documents(customer: Customer) -> QuerySet[Any]:
    return queries.in_the_desk(customer, Document.objects.all()).values("pk")


def _monitored(customer: Customer, _: list[Link]) -> QuerySet[Any]:
    known = customer.company_id is not None
    return (
        RmmAlert.objects.filter(company=customer.company_id) if known else RmmAlert.objects.none()
    )


def _links(customer: Customer, _: list[Link]) -> QuerySet[Any]:
    rows = Posted.objects.filter(document__in=_documents(customer))
    return rows.select_related("organisation", "document").defer("draft", "document__lines")


def _holds(customer: Customer, _: list[Link]) -> QuerySet[Any]:
    rows = Blocked.objects.filter(document__in=_documents(customer))
    return rows.select_related("card", "document").defer("document__lines")


SOURCES = (
    Source("agreement", "agreement", "at",
           lambda customer, _: AgreementChange.objects.filter(customer=customer), _change),
    Source("alert", "alert", "opened_at",
           lambda customer, _: Alert.objects.filter(customer=customer).defer("evidence"), _alert),
    Source("began", "agreement", "starts_on",
           lambda customer, _: queries.in_the_desk(customer, Agreement.objects.all()), _began,
           whole_day=True),
    Source("blocked", "sync", "since", _holds, _blocked),
    Source("credit", "credit", "issued_on", _credits, _credit, whole_day=True),
    Source("invoice", "invoice", "issued_on", lambda _, links: queries.invoices(links), _invoice,
           whole_day=True),
    Source("payment", "payment", "paid_on", lambda _, links: queries.payments(links), _payment,
           whole_day=True),
    Source("posted", "sync", "linked_at", _links, _posted),
    Source("rmm", "rmm", "at", _monitored, _rmm),
    Source("ticket", "ticket", "opened_at", lambda customer, _: queries.tickets(customer), _ticket),
)  # fmt: skip
