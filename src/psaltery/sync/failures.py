"""What a failure means for the connection, its feeds and the people who must know."""

from datetime import datetime, timedelta

from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, TryLater
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.service import note_failure
from psaltery.kit.clock import now
from psaltery.review.reasons import Reason
from psaltery.review.service import close_about, close_cause, open_card

RETRY = timedelta(seconds=60)
# A failure that goes away by itself is told only when it lasts.
PERSISTS = timedelta(minutes=30)


def retry_at(failure: TryLater) -> datetime:
    """When to try again: the vendor's own delay, or a minute."""
    return failure.at or now() + RETRY


def connection_failed(organisation: Organisation, failure: Failure) -> None:
    """Mark what is broken and open its card; other organisations are left alone."""
    note_failure(organisation, failure)
    if isinstance(failure, NeedsReconnect | BadSettings):
        open_card(organisation, _connection_reason(organisation, failure))


def connection_works(organisation: Organisation) -> None:
    """Close the cards that a broken connection had opened."""
    close_about(organisation, "connection", "The connection works again.")


def _connection_reason(organisation: Organisation, failure: Failure) -> Reason:
    code = failure.code if isinstance(failure, NeedsReconnect) else "bad_settings"
    return Reason(
        code=code,
        about="connection",
        subject=organisation.connection.name,
        sentence=f"{organisation.name}: {failure}",
        details={"connection": organisation.connection_id},
    )


def feed_failed(feed: Feed, failure: Failure) -> None:
    """Keep the failure on the feed; open its card at once, or once it has lasted."""
    moment = now()
    later = isinstance(failure, TryLater)
    at = retry_at(failure) if isinstance(failure, TryLater) else moment + 5 * RETRY
    paused = isinstance(failure, TryLater) and failure.limit in ("day", "minute", "concurrent")
    since = feed.failed_since or moment
    Feed.objects.filter(pk=feed.pk).update(
        state=Feed.State.PAUSED if paused else Feed.State.FAILED,
        failure=str(failure),
        failure_code=failure.limit if isinstance(failure, TryLater) else type(failure).__name__,
        failed_since=since,
        due_at=at,
    )
    if isinstance(failure, NeedsReconnect | BadSettings):
        return  # told once, for the connection
    if not paused and (not later or moment - since > PERSISTS):
        open_card(feed.organisation, _feed_reason(feed, failure))


def feed_works(feed: Feed) -> None:
    """The feed was read: its card, if any, is done."""
    if feed.failed_since is not None:
        close_cause(feed.organisation, "feed_failed", f"feed:{feed.name}", "The feed was read.")


def _feed_reason(feed: Feed, failure: Failure) -> Reason:
    return Reason(
        code="feed_failed",
        about=f"feed:{feed.name}",
        subject=f"{feed.organisation.name} {feed.name}",
        sentence=f"{feed.name} of {feed.organisation.name} can't be read: {failure}",
        details={"feed": feed.pk},
    )
