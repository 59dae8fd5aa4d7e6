"""Brings the books in step with payments that were entered in the PSA, document by document."""

import time
from collections.abc import Iterable

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Books, Psa
from psaltery.adapters.errors import Failure, Rejected
from psaltery.connections.models import Connection, Organisation
from psaltery.connections.opening import open_books, open_psa, writes_blocked
from psaltery.connections.organisations import site_of
from psaltery.desk.models import Document
from psaltery.matching.taken import carry_out, service
from psaltery.sync import queue
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.models import Run
from psaltery.sync.runs import failing_since

BATCH = 100
# A step of its own: what is written to the site says nothing about what can be read there.
READING = "reading"


def take(organisation: Organisation, priority: Priority, row: Run, until: float) -> bool:
    """Read what is to be read and enter what is to be entered; True when there is more.

    Raises the four failures, told to the connection that they are about; what is refused of one
    document when the others are done.
    """
    if not service.wanted(organisation) or writes_blocked(organisation):
        return False
    # Asked before anything is opened: with nothing to do no call is made.
    documents = carry_out.documents(organisation, BATCH)
    if not documents:
        return False
    books, sites = _books(organisation, priority), _Sites(organisation, priority)
    later: Failure | None = None
    for document in documents:
        if time.monotonic() > until:
            break
        row.read += 1
        try:
            # Read right before it is entered: what was removed in the PSA meanwhile must not reach
            # the books.
            known = sites.read(document)
        except Rejected as failure:
            # About this document alone: it must not keep those behind it waiting.
            later = later or failure
            continue
        # Books that are away are not asked again. What is read of the PSA all the same sets
        # payments free that go the other way.
        if not known or _is_away(later):
            continue
        try:
            row.written += _enter(organisation, document, books)
        except Failure as failure:
            later = failure if _is_away(failure) else later or failure
    sites.tell()
    if later is not None:
        raise later
    step_works(organisation, "taken")
    return time.monotonic() > until or len(documents) == BATCH


def _is_away(failure: Failure | None) -> bool:
    return failure is not None and not isinstance(failure, Rejected)


class _Sites:
    """The PSA sites of some documents, each opened once."""

    def __init__(self, organisation: Organisation, priority: Priority) -> None:
        self._organisation, self._priority = organisation, priority
        self._open: dict[Organisation, Psa] = {}
        self._refused: dict[Organisation, Rejected] = {}

    def read(self, document: Document) -> bool:
        """Read a document's payments; False where that must wait. A failure is the site's."""
        site = site_of(document.connection)
        try:
            if site not in self._open:
                self._open[site] = open_psa(site, self._priority)
            return carry_out.read(document, self._open[site])
        except Rejected as failure:
            self._refused[site] = failure
            raise
        except Failure as failure:
            self._failed(site, failure)
            raise

    def tell(self) -> None:
        """How each site that was asked has answered, when what could be read is read."""
        for site in self._open:
            if site in self._refused:
                self._failed(site, self._refused[site])
            else:
                step_works(site, READING)

    def _failed(self, site: Organisation, failure: Failure) -> None:
        step_failed(site, failure, READING, failing_since(self._organisation.pk, "taken"))


def _books(organisation: Organisation, priority: Priority) -> Books:
    try:
        return open_books(organisation, priority)
    except Failure as failure:
        _failed(organisation, failure)
        raise


def _enter(organisation: Organisation, document: Document, books: Books) -> int:
    # What is not known for sure is not entered: a payment in Xero can be deleted, not edited.
    # https://developer.xero.com/documentation/api/accounting/payments
    try:
        return carry_out.carry_out(document, books)
    except Failure as failure:
        _failed(organisation, failure)
        raise


def _failed(organisation: Organisation, failure: Failure) -> None:
    step_failed(organisation, failure, "taken", failing_since(organisation.pk, "taken"))


def psa_changed(connection: Connection, documents: Iterable[int], priority: Priority) -> None:
    """These documents were read with other content: their payments may be news. Must run inside the
    transaction that stores them, since nothing tells of it later."""
    again(service.psa_changed(connection, documents), priority)


def again(organisations: set[int], priority: Priority) -> None:
    """Queue what waits in these organisations. Must run inside a transaction."""
    for organisation in organisations:
        queue.payments(organisation, priority)


def reconsider(organisation: Organisation) -> None:
    """Something that held payments changed: decide about them again."""
    with transaction.atomic():
        if service.reconsider(organisation):
            queue.payments(organisation.pk)
