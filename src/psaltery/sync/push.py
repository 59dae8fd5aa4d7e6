"""Routes documents, decides about them in batches, and carries the decisions out."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Books
from psaltery.adapters.errors import Failure, Rejected
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import (
    open_books,
    open_psa,
    unchecked_adapter,
    writes_blocked,
)
from psaltery.connections.organisations import BILLS, begin_demanded, site_of
from psaltery.connections.service import note_success
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.mapping.facts import RoutingFacts
from psaltery.mapping.models import Route
from psaltery.mapping.routing import Rule, needs_more, route
from psaltery.matching.service import linked, overlooked
from psaltery.matching.taken import service as taken
from psaltery.posting import contacts, items
from psaltery.posting.attempts import keep_on_hold
from psaltery.posting.carry_out import carry_out
from psaltery.posting.leftovers import GRACE, settle_leftovers, unripe
from psaltery.posting.models import Link, Posting, Reissue
from psaltery.posting.orders import of_bills
from psaltery.posting.plan import gather, read_document
from psaltery.posting.policy import posted_kinds, read_policy
from psaltery.posting.reissue import carry_out as reissues
from psaltery.records.drafts import BooksKind
from psaltery.records.psa import DocumentKind
from psaltery.review.models import Blocked
from psaltery.review.reasons import Reason
from psaltery.sync import locks, queue
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.models import Run
from psaltery.sync.runs import failing_since, run

SLICE_SECONDS = 20.0
# Some hundred are gathered in a fixed number of queries; more would only lengthen what a crash
# leaves to settle.
BATCH = 200
# A document that has been decided about so often in one job waits for the next one.
ROUNDS = 3


# Routing: which documents wait for which organisation.


def enqueue(documents: Iterable[int], priority: Priority = Priority.SCHEDULE) -> None:
    """These documents must be decided about (again). Must run inside a transaction.

    What a person has skipped stays skipped.
    """
    wanted = Document.objects.filter(pk__in=list(documents)).select_related("posting")
    # A person's word is final: no new reading of a document may post what somebody skipped.
    rows = list(wanted.exclude(posting__skipped_by__gt=""))
    rules = _rules({row.connection_id for row in rows})
    facts = RoutingFacts(rows, needed=any(needs_more(some) for some in rules.values()))
    organisations: set[int] = set()
    for row in rows:
        target, fired = _target(row, rules[row.connection_id], facts)
        _wait(row, target, fired, priority)
        if target is None:
            keep_on_hold(row, None, [_no_route(row)])
        else:
            organisations.add(target)
    for organisation in organisations:
        queue.post(organisation, priority)


def _rules(connections: Iterable[int]) -> dict[int, list[Rule]]:
    found: dict[int, list[Rule]] = {connection: [] for connection in connections}
    for row in Route.objects.filter(connection_id__in=found):
        found[row.connection_id].append(Rule(row.pk, row.field, row.value, row.organisation_id))
    return found


def _target(
    row: Document, rules: Sequence[Rule], facts: RoutingFacts
) -> tuple[int | None, Rule | None]:
    """Where it is already, or where the rules send it: a posted document never moves."""
    # To move it with the rules would post it a second time, in the other organisation.
    link = Link.objects.filter(document=row).values_list("organisation_id", flat=True).first()
    if link is not None:
        return link, None
    fired = route(facts.of(row, read_document(row)), rules).rule
    return (fired.organisation if fired else None), fired


def _wait(row: Document, target: int | None, fired: Rule | None, priority: Priority) -> None:
    """The document waits, unless it is being sent: then its settling looks at it again."""
    values: dict[str, Any] = {
        "organisation_id": target,
        "urgent": priority is Priority.INTERACTIVE,
    }
    if fired is not None:
        values["trace"] = {"route": {"id": fired.id, "field": fired.field, "value": fired.value}}
    busy = (Posting.State.POSTING, Posting.State.UNCERTAIN)
    _, made = Posting.objects.get_or_create(
        document=row, defaults={**values, "why": "It waits for its turn."}
    )
    if not made:
        # One statement, no look beforehand: a document that begins to be sent in between stays
        # untouched.
        Posting.objects.filter(pk=row.pk).exclude(state__in=busy).update(
            state=Posting.State.WAITING,
            why="It waits for its turn.",
            changed_at=now(),
            **values,
        )


def _no_route(row: Document) -> Reason:
    return Reason(
        code="no_route",
        about=f"connection:{row.connection_id}:{row.location.casefold()}",
        subject=row.location,
        sentence=f"No rule says where documents of the location “{row.location}” go.",
        details={"field": "location", "value": row.location, "connection": row.connection_id},
    )


def reroute_unrouted(connection: Connection, documents: Iterable[int]) -> int:
    """These were read with other content that the books don't show: a rule may take them now."""
    rows = Document.objects.filter(
        connection=connection,
        pk__in=list(documents),
        posting__state="held",
        posting__organisation__isnull=True,
    )
    return _enqueue_all(rows.values_list("pk", flat=True))


def reroute(connection: Connection) -> int:
    """The rules changed: documents that are not posted are routed anew."""
    rows = Document.objects.filter(
        connection=connection, link__isnull=True, posting__state__in=("held", "waiting")
    )
    return _enqueue_all(rows.values_list("pk", flat=True))


def reconsider(organisation: Organisation, prefix: str = "") -> int:
    """Something about an organisation changed: decide again about what it holds.

    With `prefix`, only documents held by cards whose code begins so.
    """
    held = Posting.objects.filter(organisation=organisation, state=Posting.State.HELD)
    if prefix:
        held = held.filter(
            document__in=Blocked.objects.filter(
                card__organisation=organisation, card__code__startswith=prefix
            ).values("document")
        )
    return _enqueue_all(held.values_list("pk", flat=True))


def take_up(organisation: Organisation) -> int:
    """The policy changed: decide again about what it had left out, not about what people skipped;
    returns how many documents are now of a kind that is posted."""
    kinds = posted_kinds(read_policy(organisation.settings))
    rows = Posting.objects.filter(
        organisation=organisation,
        state=Posting.State.SKIPPED,
        skipped_by="",
        document__kind__in=kinds,
        document__link__isnull=True,
    )
    return _enqueue_all(rows.values_list("pk", flat=True))


def catalogue_changed() -> None:
    """Products changed in the PSA: organisations with items look whether theirs did."""
    for organisation in Organisation.objects.filter(items__how="created").distinct():
        queue.post(organisation.pk)


def reconsider_companies(connection: Connection, external_ids: Sequence[str]) -> int:
    """Companies changed in the PSA: what is held for them may go now."""
    rows = Document.objects.filter(
        connection=connection,
        company_external_id__in=external_ids,
        posting__state=Posting.State.HELD,
    )
    return _enqueue_all(rows.values_list("pk", flat=True))


def _enqueue_all(ids: Iterable[int]) -> int:
    wanted = list(ids)
    with transaction.atomic():
        for start in range(0, len(wanted), BATCH):
            enqueue(wanted[start : start + BATCH])
    return len(wanted)


# Posting: what waits for one organisation.

Progress = Callable[[Run], None]


def post(
    organisation_id: int,
    priority: Priority,
    slice_seconds: float = SLICE_SECONDS,
    progress: Progress = lambda row: None,
) -> bool:
    """Settle what is in doubt, then decide and post what waits; True when there is more."""
    organisation = Organisation.objects.select_related("connection").get(pk=organisation_id)
    blocked = writes_blocked(organisation) or _unread(organisation)
    # Said on every document that waits: none may stand still without a reason.
    if blocked:
        _waiting(organisation).exclude(why=blocked).update(why=blocked)
        return False
    try:
        with run(organisation, "post") as row:
            books = open_books(organisation, priority)
            # Nothing to post, nothing to ask: the lock dates cost a call only where documents wait.
            if _waiting(organisation).exists() and locks.read(organisation, books):
                reconsider(organisation)
            # Again: what was just read may show another organisation than the pinned one.
            if writes_blocked(organisation):
                return False
            more = _post_all(organisation, books, row, slice_seconds, progress)
    except Failure as failure:
        _waiting(organisation).exclude(why=str(failure)).update(why=str(failure))
        step_failed(organisation, failure, "posting", failing_since(organisation.pk, "post"))
        raise
    if row.written:
        note_success(organisation)
        step_works(organisation, "posting")
    return more


# Who posts before these were read once makes twins of what is in the books already.
_READ_FIRST = ("settings", "contacts", "invoices", "credit_notes")


def _unread(organisation: Organisation) -> str:
    """Why posting has to wait for the first reading of the books; "" when it need not."""
    feeds = Feed.objects.filter(
        organisation=organisation, name__in=_READ_FIRST, full_pass_at__isnull=True
    ).values_list("name", flat=True)
    names = ", ".join(sorted(name.replace("_", " ") for name in feeds))
    return f"{organisation.name} is being read for the first time ({names})." if names else ""


def _waiting(organisation: Organisation) -> QuerySet[Posting]:
    """What waits for a decision; what is being issued anew goes its own way."""
    rows = Posting.objects.filter(organisation=organisation, state=Posting.State.WAITING)
    return rows.exclude(document__in=Reissue.objects.filter(done_at=None).values("document"))


def _after_reissues(organisation: Organisation, documents: Sequence[int]) -> None:
    """The mark in the PSA is due, and the books are read: money lies elsewhere now."""
    if not documents:
        return
    with transaction.atomic():
        queue.marks(organisation.pk)
        for feed in Feed.objects.filter(organisation=organisation, name__in=_MOVED_IN):
            Feed.objects.filter(pk=feed.pk, state=Feed.State.IDLE).update(due_at=now())
            queue.pull(feed.pk, organisation.pk)


_MOVED_IN = ("invoices", "credit_notes")
# Procrastinate gives a dead worker's job to another one within minutes.
RECENT_LINKS = timedelta(days=2)


def _post_all(
    organisation: Organisation, books: Books, row: Run, slice_seconds: float, progress: Progress
) -> bool:
    until = time.monotonic() + slice_seconds
    # First what was sent and not answered: to post beside an open question could post it twice.
    settled = settle_leftovers(organisation, books)
    # What was linked right before a process died is not followed yet.
    after_links(organisation, [*settled, *overlooked(organisation, now() - RECENT_LINKS)])
    _after_reissues(organisation, reissues.carry_on(organisation, books, _addresses()))
    # Before the documents, which need contacts and items as they are to be.
    contacts.keep_in_step(organisation, books)
    items.keep_in_step(organisation, books)
    rounds: dict[int, int] = {}
    while time.monotonic() < until:
        tired = [pk for pk, count in rounds.items() if count >= ROUNDS]
        batch = list(
            _waiting(organisation)
            .exclude(pk__in=tired)
            .select_related("document", "document__connection")
            # What a person waits for, then by date, as a person would enter it.
            .order_by("-urgent", "document__issued_on", "pk")[:BATCH]
        )
        if not batch:
            break
        for posting in batch:
            rounds[posting.pk] = rounds.get(posting.pk, 0) + 1
        report = carry_out(organisation, gather(organisation, batch, _addresses()), books)
        after_links(organisation, report.written)
        row.written += len(report.written)
        row.held += report.held
        row.read += len(batch)
        progress(row)
    # Too fresh to be looked up: the vendor may still be working on what it did not answer.
    if unripe(organisation):
        queue.post(organisation.pk, Priority.SCHEDULE, after=GRACE.total_seconds() + 1)
    return _waiting(organisation).exclude(pk__in=list(rounds)).exists()


def _addresses() -> Callable[[Document], str]:
    """Deep links into the PSA, made by its adapter (no call is made)."""
    sites: dict[int, Callable[[str, str], str]] = {}

    def address(row: Document) -> str:
        if row.connection_id not in sites:
            site = site_of(row.connection)
            adapter = unchecked_adapter(site, Priority.SCHEDULE)
            sites[row.connection_id] = adapter.web_address
        return sites[row.connection_id](row.kind, row.external_id)

    return address


def after_links(organisation: Organisation, documents: Sequence[int]) -> None:
    """New links: money may lie on them already, and the PSA's mark is due."""
    if not documents:
        return
    with transaction.atomic():
        if Link.objects.filter(document__in=documents, books_kind=BooksKind.BILL).exists():
            begin_demanded(organisation, BILLS)
        if linked(organisation, documents) | taken.linked(organisation, documents):
            queue.payments(organisation.pk)
        queue.marks(organisation.pk)
        if orders := of_bills(documents):
            enqueue(orders)


# The mark in the PSA, after the books have it.


def mark(organisation_id: int, slice_seconds: float = SLICE_SECONDS) -> bool:
    """Mark linked documents as exported in the PSA, each once; True when there are more."""
    until = time.monotonic() + slice_seconds
    unmarked = Link.objects.filter(
        organisation_id=organisation_id, psa_marked_at__isnull=True
    ).select_related("document__connection")
    sites: set[Organisation] = set()
    for link in unmarked.order_by("pk")[:BATCH]:
        if time.monotonic() > until:
            break
        site = site_of(link.document.connection)
        _mark(link, site)
        sites.add(site)
    for site in sites:
        step_works(site, "marks")
    return unmarked.exists()


def _mark(link: Link, site: Organisation) -> None:
    document = link.document
    try:
        batch = open_psa(site).mark_posted(
            DocumentKind(document.kind), document.external_id, identifier(link)
        )
    except Rejected as failure:
        # Not essential: the books have it. It is written down where people look, and not retried.
        batch = ""
        # Only where it is so: what holds it, or that it waits again, must stay readable.
        Posting.objects.filter(pk=document.pk, state=Posting.State.IN_STEP).update(
            why=f"In step; the PSA did not take the mark: {failure}"[:500]
        )
    except Failure as failure:
        step_failed(site, failure, "marks", _unmarked_since(site))
        raise
    # Also where the mark was refused: asked again, the PSA would refuse it again for ever. Not
    # where it was written anew during the call: that version lacks its mark.
    marked = Link.objects.filter(pk=link.pk, written_at=link.written_at)
    marked.update(psa_batch_id=batch, psa_marked_at=now())


def _unmarked_since(site: Organisation) -> datetime | None:
    """When the oldest document was posted that still lacks its mark in the PSA."""
    unmarked = Link.objects.filter(
        psa_marked_at__isnull=True, document__connection=site.connection, written_at__isnull=False
    )
    return unmarked.order_by("written_at").values_list("written_at", flat=True).first()


def identifier(link: Link) -> str:
    """The batch's name in the PSA: people see who posted, and a lost answer can be found by it."""
    # Two vendors may give their invoices one number.
    order = f"{link.document.external_id} " if link.books_kind == BooksKind.BILL else ""
    # ConnectWise takes 50 characters, and has no other key to find a batch by.
    return f"Psaltery {order}{link.number}"[:50]
