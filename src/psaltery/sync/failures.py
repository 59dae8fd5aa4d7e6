"""What a failure means for the connection, its feeds and the people who must know."""

from datetime import datetime, timedelta

from django.db.models import Q

from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, Rejected, TryLater
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.service import breaks_connection, note_failure
from psaltery.kit.clock import now
from psaltery.review.catalogue import CATALOGUE
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import BY_ITSELF, block, close_about, follow, open_card, resolve
from psaltery.sync.pending import STEPS, blocked_by

RETRY = timedelta(seconds=60)
# What only a person can mend is tried again less often.
SELDOM = timedelta(minutes=5)
# A failure that goes away by itself is told only when it lasts.
PERSISTS = timedelta(minutes=30)
_LIMITS = ("day", "minute", "concurrent")
CONNECTION = "connection"
ORGANISATION = "organisation"
IDENTITY = "identity"

# Steps that are no feed: how people call them.
_STEPS = {
    "posting": "Posting to {name}",
    "payments": "Writing payments to {name}",
    "taken": "Entering payments in {name}",
    "reading": "Reading the payments of {name}",
    "marks": "Marking what was posted in {name}",
    "refresh": "Reading a document of {name} again",
}


def retry_at(failure: Failure) -> datetime:
    """When to try again: the vendor's own delay, a minute, or later where a person must act."""
    if isinstance(failure, TryLater):
        return failure.at or now() + RETRY
    return now() + SELDOM


def step_failed(
    organisation: Organisation, failure: Failure, step: str, since: datetime | None = None
) -> None:
    """Mark what is broken and open its card; other organisations are left alone.

    A refused credential is one card for the connection; anything else that a person must mend is
    a card for the step alone, because the other steps go on. What goes away by itself is a card
    only when this step has failed `since` too long ago (see runs.failing_since).
    """
    # The state of the connection first: the page beside the card must not contradict it.
    note_failure(organisation, failure)
    if breaks_connection(organisation.connection, failure):
        _open_connection_card(organisation, failure)
    elif not isinstance(failure, TryLater) or _lasts(failure, since):
        card = open_card(organisation, _step_reason(organisation, failure, step))
        waiting = blocked_by(organisation, step)
        # With each try anew: what was skipped leaves the list, what has come since joins it.
        if waiting is not None:
            block(card, waiting)


def _lasts(failure: TryLater, since: datetime | None) -> bool:
    # A limit ends at a moment that is known and shown; nobody can hasten it.
    return failure.limit not in _LIMITS and since is not None and now() - since > PERSISTS


def step_works(organisation: Organisation, step: str) -> None:
    """Close the cards that the failures of this step, and of the connection, had opened."""
    # One answer proves the credential good for all organisations, wherever its refusal was met.
    of_all = Q(subject_ref=CONNECTION, organisation__connection=organisation.connection_id)
    of_this = Q(subject_ref__in=(ORGANISATION, step), organisation=organisation)
    live = Card.objects.filter(topic="connection", state__in=(Card.State.OPEN, Card.State.SNOOZED))
    # In one question: it is asked after every answer, and nearly always there is none.
    for card in live.filter(of_all | of_this):
        resolve(card, BY_ITSELF, _WELL.get(card.subject_ref, "It works again."))


_WELL = {
    CONNECTION: "The connection works again.",
    ORGANISATION: "The organisation can be reached again.",
}


def close_idle() -> int:
    """Close the cards that no later success would close; how many.

    Of steps that nothing waits for any more, such as when a person has skipped all that a failure
    blocked, and of feeds that are not read any more. Those that stay list what waits now: the next
    try may be minutes away.
    """
    cards = Card.objects.filter(topic="connection", organisation__isnull=False)
    live = cards.exclude(state=Card.State.RESOLVED)
    steps = live.filter(subject_ref__in=STEPS).select_related("organisation")
    idle = [card for card in steps if not _follows(card)]
    for card in idle:
        resolve(card, BY_ITSELF, "Nothing waits for it any more.")
    about = Q(subject_ref__startswith="feed:") | Q(subject_ref=ORGANISATION)
    unread = list(live.filter(about & _NOT_READ))
    for card in unread:
        resolve(card, BY_ITSELF, "It is not read any more.")
    return len(idle) + len(unread)


_NOT_READ = Q(organisation__chosen=False) | Q(
    organisation__connection__state=Connection.State.DISCONNECTED
)


def _follows(card: Card) -> bool:
    """Bring the list of a step's card up to date; False when nothing waits for the step."""
    waiting = blocked_by(card.organisation, card.subject_ref) if card.organisation else None
    if waiting is None:
        return True
    if not waiting.exists():
        return False
    follow(card, waiting)
    return True


def identity_checked(organisation: Organisation) -> None:
    """A card while the connection answers as another organisation than the pinned one."""
    if organisation.state == Organisation.State.MISMATCH:
        reason = Reason(
            code="organisation_mismatch",
            about=IDENTITY,
            subject=organisation.name,
            sentence=organisation.reason,
            details={"connection": organisation.connection_id},
        )
        open_card(organisation, reason)
    else:
        close_about(organisation, IDENTITY, "It is the organisation that was connected.")


def _open_connection_card(organisation: Organisation, failure: Failure) -> None:
    """One card for a credential, however many organisations meet its refusal; one for each
    organisation that is gone by itself."""
    # A person may disconnect one organisation in Xero and keep the others: the token works on for
    # those.
    gone = isinstance(failure, NeedsReconnect) and failure.code == "tenant_removed"
    holder = organisation if gone else _anchor(organisation)
    reason = Reason(
        code=failure.code if isinstance(failure, NeedsReconnect) else "bad_settings",
        about=ORGANISATION if gone else CONNECTION,
        subject=organisation.name if gone else organisation.connection.name,
        sentence=f"{organisation.name if gone else organisation.connection.name}: {failure}",
        details={"connection": organisation.connection_id},
    )
    open_card(holder, reason)


def _anchor(organisation: Organisation) -> Organisation:
    """The organisation that the cards of a whole connection stand under."""
    # Where one stands it stays: which organisation is first changes with names and choices, and the
    # card would be opened twice and never closed.
    held = Card.objects.filter(
        organisation__connection=organisation.connection_id,
        topic="connection",
        subject_ref=CONNECTION,
    )
    card = held.exclude(state=Card.State.RESOLVED).select_related("organisation").first()
    if card is not None and card.organisation is not None:
        return card.organisation
    first = Organisation.objects.filter(connection=organisation.connection_id, chosen=True).first()
    return first or organisation


def _step_reason(organisation: Organisation, failure: Failure, step: str) -> Reason:
    what = _STEPS.get(step, "{name}").format(name=organisation.name)
    return Reason(
        code=_step_code(failure),
        about=step,
        subject=what,
        sentence=f"{what} fails: {failure}",
        details={"connection": organisation.connection_id},
    )


def _step_code(failure: Failure) -> str:
    if isinstance(failure, BadSettings):
        return "permission_missing" if failure.which.startswith("permission") else "bad_settings"
    if isinstance(failure, TryLater):
        return "unreachable"
    # The first code that the catalogue knows brings its repairs; the vendor's words are in the
    # sentence.
    codes = [problem.code for problem in failure.problems] if isinstance(failure, Rejected) else []
    return next((code for code in codes if code in CATALOGUE), "rejected")


# Feeds.


def feed_failed(feed: Feed, failure: Failure) -> None:
    """Keep the failure on the feed and the connection; open its card, at once or when it lasts."""
    note_failure(feed.organisation, failure)
    moment = now()
    paused = isinstance(failure, TryLater) and failure.limit in _LIMITS
    # The first failure of a row counts: each try would begin the half hour anew.
    since = feed.failed_since or moment
    Feed.objects.filter(pk=feed.pk).update(
        state=Feed.State.PAUSED if paused else Feed.State.FAILED,
        failure=str(failure),
        failure_code=failure.limit if isinstance(failure, TryLater) else type(failure).__name__,
        failed_since=since,
        due_at=retry_at(failure),
    )
    if breaks_connection(feed.organisation.connection, failure):
        _open_connection_card(feed.organisation, failure)
    elif not paused and (not isinstance(failure, TryLater) or moment - since > PERSISTS):
        open_card(feed.organisation, _feed_reason(feed, failure))


def feed_works(feed: Feed) -> None:
    """The feed was read to its end: its cards, and those of the connection, are done."""
    step_works(feed.organisation, f"feed:{feed.name}")


def _feed_reason(feed: Feed, failure: Failure) -> Reason:
    # Xero takes single organisations offline (503) while its API answers for all others.
    # https://developer.xero.com/documentation/api/accounting/responsecodes
    if isinstance(failure, TryLater) and failure.limit == "offline":
        return _offline_reason(feed.organisation, failure)
    return Reason(
        code=_feed_code(failure),
        about=f"feed:{feed.name}",
        subject=f"{feed.organisation.name} {feed.name}",
        sentence=f"{feed.name} of {feed.organisation.name} can't be read: {failure}",
        details={"feed": feed.pk, "connection": feed.organisation.connection_id},
    )


def _feed_code(failure: Failure) -> str:
    """Lack of permission has a code of its own: it is another person who mends it."""
    code = "" if isinstance(failure, TryLater) else _step_code(failure)
    return code if code in ("permission_missing", "permission_denied") else "feed_failed"


def _offline_reason(organisation: Organisation, failure: Failure) -> Reason:
    """One card, however many feeds meet it; the first answer closes it."""
    return Reason(
        code="organisation_offline",
        about=ORGANISATION,
        subject=organisation.name,
        sentence=f"{organisation.name} can't be reached: {failure} It is tried again by itself.",
        details={"connection": organisation.connection_id},
    )
