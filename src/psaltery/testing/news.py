"""Whether a sandbox may have something new for a feed: a test's cycle reads only those.

Reading a list that nobody has touched is most of what a test would wait for, and says nothing. A
worker reads it all the same; tests of reading itself use `rig.read`.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from psaltery.connections.models import Feed
from psaltery.kit.clock import now

if TYPE_CHECKING:
    from psaltery.testing.rig import Rig

# The lists of a sandbox that a feed is read from. Feeds that are not here are always read.
PSA = {
    "companies": ("companies", "sites", "companyStatuses", "companyTypes", "currencies"),
    "contacts": ("contacts",),
    "agreements": ("agreements", "agreementTypes"),
    "additions": ("agreements", "additions"),
    "tickets": ("tickets", "ticketNotes"),
    "time_entries": ("timeEntries",),
    "expenses": ("expenses", "ledgers"),
    "lookups": (
        *("locations", "members", "departments", "companyStatuses", "companyTypes"),
        *("billingStatuses", "purchaseOrderStatuses", "currencies", "billingTerms"),
        *("billingCycles", "taxCodes", "workTypes", "workRoles", "agreementTypes"),
        *("expenseTypes", "boards", "boardStatuses", "catalog", "glAccounts"),
    ),
}
BOOKS = {
    "settings": (
        *("Organisation", "Settings", "Accounts", "TaxRates", "TrackingCategories"),
        *("Currencies", "BrandingThemes", "Items", "Users"),
    ),
    "contacts": ("Contacts", "ContactGroups"),
    "credit_notes": ("CreditNotes",),
    "payments": ("Payments", "BatchPayments"),
    "prepayments": ("Prepayments",),
    "overpayments": ("Overpayments",),
}
# The overlap of a feed with its last run, and full passes, come with time.
STILL = timedelta(minutes=2)


class Mark(msgspec.Struct, frozen=True):
    """What a feed would be read from, and how it stands; equal marks: nothing is new."""

    revisions: tuple[int, ...]
    cursor: str | None
    full_pass_at: datetime | None
    stands: tuple[str, ...]


class News:
    """Remembers how each feed stood when it was read."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Mark, datetime]] = {}

    def may_be_for(self, rig: "Rig", feed: Feed) -> bool:
        """Whether the feed is to be read. Also when it failed, and whenever that is not certain."""
        mark = _mark(rig, feed)
        last, at = self._seen.get(feed.pk, (None, now()))
        settled = feed.state == Feed.State.IDLE and feed.failed_since is None
        return mark is None or mark != last or not settled or not at <= now() < at + STILL

    def was_read(self, rig: "Rig", feed: Feed) -> None:
        """The feed was read to its end just now."""
        if _lists(rig, feed) is None:
            return
        feed.refresh_from_db(fields=["cursor", "full_pass_at"])
        mark = _mark(rig, feed)
        if mark is not None:
            self._seen[feed.pk] = (mark, now())


def _mark(rig: "Rig", feed: Feed) -> Mark | None:
    lists, organisation = _lists(rig, feed), feed.organisation
    of_psa = _of_psa(rig, feed)
    app = rig.psa_sandbox.control if of_psa else rig.books_sandbox.app
    faults = app.faults.listed()
    # A fault that waits is meant to be met.
    if lists is None or any(rule["times"] for rule in faults):
        return None
    prefix = "" if of_psa else f"{organisation.external_id}/"
    behaviour = repr(rig.psa_sandbox.world.behaviour)
    return Mark(
        revisions=tuple(app.store.revision(f"{prefix}{name}") for name in lists),
        cursor=feed.cursor,
        full_pass_at=feed.full_pass_at,
        stands=(
            *(organisation.state, organisation.connection.state),
            *(str(app.clock.offset), str(len(faults)), behaviour),
        ),
    )


def _lists(rig: "Rig", feed: Feed) -> tuple[str, ...] | None:
    return (PSA if _of_psa(rig, feed) else BOOKS).get(feed.name)


def _of_psa(rig: "Rig", feed: Feed) -> bool:
    return feed.organisation.connection_id == rig.site.connection_id
