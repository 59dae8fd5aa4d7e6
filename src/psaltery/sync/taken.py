"""Brings the books in step with payments that were entered in the PSA, document by document."""

import time

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Books, Psa
from psaltery.adapters.errors import Failure
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_books, open_psa, writes_blocked
from psaltery.connections.organisations import site_of
from psaltery.desk.models import Document
from psaltery.matching.taken import carry_out, service
from psaltery.sync import queue
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.models import Run

BATCH = 100


def take(organisation: Organisation, priority: Priority, row: Run, until: float) -> bool:
    """Read what is to be read and enter what is to be entered; True when there is more.

    Raises the four failures, told to the connection that they are about.
    """
    if not service.wanted(organisation) or writes_blocked(organisation):
        return False
    # Asked before anything is opened: with nothing to do no call is made.
    documents = carry_out.documents(organisation, BATCH)
    if not documents:
        return False
    sites: dict[int, Psa] = {}
    books = _books(organisation, priority)
    for document in documents:
        if time.monotonic() > until:
            return True
        site = site_of(document.connection)
        try:
            if site.pk not in sites:
                sites[site.pk] = open_psa(site, priority)
            # Read right before it is entered: what was removed in the PSA meanwhile must not reach
            # the books.
            known = carry_out.read(document, sites[site.pk])
        except Failure as failure:
            step_failed(site, failure, "payments")
            raise
        row.read += 1
        # What is not known for sure is not entered: a payment in Xero can be deleted, not edited.
        # https://developer.xero.com/documentation/api/accounting/payments
        if known:
            row.written += _enter(organisation, document, books)
    step_works(organisation, "taken")
    return len(documents) == BATCH


def _books(organisation: Organisation, priority: Priority) -> Books:
    try:
        return open_books(organisation, priority)
    except Failure as failure:
        step_failed(organisation, failure, "taken")
        raise


def _enter(organisation: Organisation, document: Document, books: Books) -> int:
    try:
        return carry_out.carry_out(document, books)
    except Failure as failure:
        step_failed(organisation, failure, "taken")
        raise


def again(organisations: set[int], priority: Priority) -> None:
    """Queue what waits in these organisations. Must run inside a transaction."""
    for organisation in organisations:
        queue.payments(organisation, priority)


def reconsider(organisation: Organisation) -> None:
    """Something that held payments changed: decide about them again."""
    with transaction.atomic():
        if service.reconsider(organisation):
            queue.payments(organisation.pk)
