"""The lock dates as they are now: read before documents are written, and not only with the lists.

A user who is an adviser may write into a period that is locked for everybody else, so a lock of
the last hour would be overstepped and nothing refused (reference/prior-art.md 1.7).
"""

from datetime import timedelta

from django.db import transaction

from psaltery.adapters.contract import Books
from psaltery.connections.models import Organisation
from psaltery.connections.organisations import pin
from psaltery.kit.clock import now

# A call in ten minutes at most: locks are moved by hand, and seldom.
FRESH = timedelta(minutes=10)


def read(organisation: Organisation, books: Books) -> bool:
    """Read the organisation's own facts where they are not fresh; whether a lock was moved.

    One call at most. Raises the four failures.
    """
    if organisation.checked_at is not None and organisation.checked_at > now() - FRESH:
        return False
    facts = books.organisation()
    before = (organisation.period_lock_on, organisation.year_lock_on)
    # Stored before anything is written: the whole job decides by the same lock.
    with transaction.atomic():
        pin(organisation, facts)
    return before != (facts.period_lock_on, facts.year_lock_on)
