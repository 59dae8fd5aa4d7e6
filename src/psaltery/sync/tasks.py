"""The jobs by name. Each does a slice and queues its own rest; nothing else names jobs.

A failure of the four is stored by the slice itself and ends the job, which comes back after the
vendor's delay; one that waits for a reconnect comes back with the schedule. Anything else is a
bug: the job fails, is kept, and is logged.
"""

from procrastinate.contrib.django import app

from psaltery.accounts.queries import installation
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure, NeedsReconnect, TryLater
from psaltery.audit.chain import seal
from psaltery.audit.retention import keep_up
from psaltery.connections.models import Feed
from psaltery.kit.clock import now
from psaltery.notify import outbox
from psaltery.sync import consents, force, pairing, payments, pull, push, queue, schedule, tieout
from psaltery.sync.audit_watch import look
from psaltery.sync.failures import retry_at
from psaltery.sync.runs import failed_in_a_row

# Seconds until a write whose answer was lost is looked up.
LOOK_SOON, LOOK_AT_LAST = 3.0, 300.0


@app.task(name="pull_feed")
def pull_feed(subject: int, priority: str) -> None:
    """Read a feed on."""
    urgency = Priority[priority]
    try:
        more = pull.pull(subject, urgency)
    except Failure:
        return
    if more:
        organisation = Feed.objects.values_list("organisation_id", flat=True).get(pk=subject)
        # A back-fill must not hold up what is small and new.
        queue.pull(subject, organisation, max(urgency, Priority.BACKFILL))


@app.task(name="post_documents")
def post_documents(subject: int, priority: str) -> None:
    """Post what waits for an organisation."""
    urgency = Priority[priority]
    try:
        if push.post(subject, urgency):
            queue.post(subject, urgency)
    except NeedsReconnect:
        return
    except Failure as failure:
        queue.post(subject, after=_delay(failure, subject, "post"))


@app.task(name="match_payments")
def match_payments(subject: int, priority: str) -> None:
    """Bring payments in the PSA in step."""
    urgency = Priority[priority]
    try:
        if payments.match(subject, urgency):
            queue.payments(subject, urgency)
    except NeedsReconnect:
        return
    except Failure as failure:
        queue.payments(subject, after=_delay(failure, subject, "payments", "taken"))


@app.task(name="mark_posted")
def mark_posted(subject: int, priority: str) -> None:
    """Mark posted documents in the PSA."""
    try:
        if push.mark(subject):
            queue.marks(subject)
    except NeedsReconnect:
        return
    except Failure as failure:
        queue.marks(subject, after=_delay(failure))


@app.task(name="refresh_document")
def refresh_document(subject: int, priority: str) -> None:
    """Read one document again and decide about it."""
    try:
        force.refresh(subject)
    except TryLater as failure:
        queue.refresh(subject, after=_delay(failure))
    except Failure:
        return


@app.task(name="pair_contacts")
def pair_contacts(subject: int, priority: str) -> None:
    """Pair contacts with companies; what was held for want of one goes again."""
    pairing.pair(subject)


@app.task(name="tie_out")
def tie_out(subject: int, priority: str) -> None:
    """Compare the receivables of an organisation's books with the PSA's; 0: what has none."""
    asked = Priority[priority] is Priority.INTERACTIVE
    tieout.tie_out(subject, tieout.ASKED if asked else tieout.NIGHT)


@app.periodic(cron="20 2 * * * 0", periodic_id="tie_out_all")
@app.task(name="tie_out_all", queue="upkeep", queueing_lock="tie_out_all")
def tie_out_all(timestamp: int) -> None:
    """Every night: read what is due for a tie-out, then tie out everything."""
    tieout.tie_out_all()


def _delay(failure: Failure, organisation_id: int = 0, *steps: str) -> float:
    # Queued with the schedule's own urgency: what a person asks for meanwhile goes before it.
    if isinstance(failure, TryLater) and failure.uncertain and failure.at is None:
        # Soon, to learn whether it arrived; ever later where the other side keeps failing.
        failed = max((failed_in_a_row(organisation_id, step) for step in steps), default=0)
        return min(LOOK_SOON * (1 << failed), LOOK_AT_LAST)
    return max(1.0, (retry_at(failure) - now()).total_seconds())


FEEDS_SECONDS, NET_SECONDS = 5, 15


# Six fields: the seconds are the last one.
@app.periodic(cron=f"* * * * * */{FEEDS_SECONDS}", periodic_id="queue_due")
@app.task(name="queue_due", queue="upkeep", queueing_lock="queue_due", priority=90)
def queue_due(timestamp: int) -> None:
    """Queue the feeds that are due; every third time also what waits without a job."""
    # That is rare: whoever makes work queues it. Looking for it is most of what idling costs.
    if timestamp % NET_SECONDS < FEEDS_SECONDS:
        schedule.queue_due()
    else:
        schedule.queue_feeds()


@app.periodic(cron="* * * * * 0", periodic_id="seal_audit")
@app.task(name="seal_audit", queue="upkeep", queueing_lock="seal_audit", priority=-10)
def seal_audit(timestamp: int) -> None:
    """Seal new entries of the audit log into its hash chain."""
    seal()


@app.periodic(cron="40 3 * * * 0", periodic_id="verify_audit")
@app.task(name="verify_audit", queue="upkeep", queueing_lock="verify_audit", priority=-10)
def verify_audit(timestamp: int) -> None:
    """Every night: look whether an entry of the audit log was changed behind our back."""
    look()


@app.periodic(cron="17 * * * * 0", periodic_id="keep_alive")
@app.task(name="keep_alive", queue="upkeep", queueing_lock="keep_alive")
def keep_connections_alive(timestamp: int) -> None:
    """Renew consents that nobody used for days, warn of those that end; make and drop partitions
    of the audit log."""
    consents.look_after()
    keep_up(installation().audit_retention_days)


@app.periodic(cron="* * * * * */30", periodic_id="notify")
@app.task(name="notify", queue="upkeep", lock="notify", queueing_lock="notify")
def notify(timestamp: int) -> None:
    """Book what people are to be told, and send it."""
    outbox.book()
    outbox.send_due()


@app.periodic(cron="29 3 * * * 0", periodic_id="forget_old_messages")
@app.task(name="forget_old_messages", queue="upkeep", queueing_lock="forget_old_messages")
def forget_old_messages(timestamp: int) -> None:
    """Keep notifications as long as the audit log is kept."""
    outbox.forget_old(installation().audit_retention_days)
