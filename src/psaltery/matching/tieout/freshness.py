"""How old the two mirrors are that a tie-out compares, and whether that is too old."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from django.db.models import QuerySet

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Feed, Organisation

# The feeds that carry receivables and what settles them.
PSA_FEEDS = ("invoices",)
MONEY_FEEDS = ("payments", "credit_notes", "overpayments", "prepayments")
BOOKS_FEEDS = ("invoices", *MONEY_FEEDS)
# A feed that missed two of its turns says nothing about now.
INTERVALS = Decimal(2)
SLACK = timedelta(minutes=15)


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """The moments that the mirrors are of; `stale`: a sentence for each feed that is too old."""

    psa_as_of: datetime | None
    books_as_of: datetime | None
    money_as_of: datetime | None
    stale: tuple[str, ...]


def freshness(organisation: Organisation | None, moment: datetime) -> Freshness:
    """Of the books of an organisation and of all PSA sites; two queries."""
    sites = [manifest.kind for manifest in registry.manifests() if manifest.role is Role.PSA]
    psa = _feeds(PSA_FEEDS).filter(organisation__connection__kind__in=sites)
    books = _feeds(BOOKS_FEEDS).filter(organisation=organisation)
    books_found, psa_found = list(books) if organisation else [], list(psa)
    stale = [told for feed in psa_found + books_found if (told := too_old(feed, moment))]
    return Freshness(
        psa_as_of=_oldest(psa_found),
        books_as_of=_oldest(books_found),
        money_as_of=_oldest(feed for feed in books_found if feed.name in MONEY_FEEDS),
        stale=tuple(stale),
    )


def _feeds(names: Iterable[str]) -> QuerySet[Feed]:
    rows = Feed.objects.filter(name__in=list(names), organisation__chosen=True)
    return rows.select_related("organisation").order_by("pk")


def _oldest(feeds: Iterable[Feed]) -> datetime | None:
    """The moment up to which all of them were read; None when one never was."""
    # The oldest counts: a comparison is as old as what it was compared with.
    moments = [feed.finished_at for feed in feeds]
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None


def too_old(feed: Feed, moment: datetime, intervals: Decimal = INTERVALS) -> str:
    """Why nothing can be said from this feed, in a sentence; "" when it is fresh.

    `intervals`: of its own without a reading.
    """
    name = f"{feed.organisation.name}: {feed.name.replace('_', ' ')}"
    # Without a full pass what is missing may only not have been read.
    if feed.finished_at is None or feed.full_pass_at is None:
        return f"{name} have not been read to their end yet."
    if feed.finished_at + timedelta(seconds=int(intervals * feed.seconds)) + SLACK < moment:
        return f"{name} were last read {feed.finished_at:%d %B %Y %H:%M} UTC."
    return ""
