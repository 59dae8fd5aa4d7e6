"""The jobs behind callbacks and webhooks: read what was told, keep callbacks registered, forget."""

from contextlib import suppress

from django.db import transaction
from procrastinate.contrib.django import app

from psaltery.accounts.queries import installation
from psaltery.adapters.errors import Failure, NeedsReconnect
from psaltery.adapters.xero.webhooks import FEEDS
from psaltery.connections.models import Connection, Organisation
from psaltery.inbound import gaps, real_time
from psaltery.inbound.storing import forget_old
from psaltery.kit.clock import now
from psaltery.sync import called, queue
from psaltery.sync.failures import retry_at
from psaltery.sync.wake import wake


@app.task(name="read_called")
def read_called(subject: int, priority: str) -> None:
    """Read what a PSA site called us about."""
    try:
        if called.read_called(subject):
            queue.called(subject)
    except NeedsReconnect:
        return
    # Queued, or the schedule would ask again within seconds, for as long as it fails.
    except Failure as failure:
        queue.called(subject, after=max(1.0, (retry_at(failure) - now()).total_seconds()))


@app.task(name="check_callbacks")
def check_callbacks(subject: int, priority: str) -> None:
    """Register a PSA's callbacks, or see whether they are still active; failures are kept there."""
    with suppress(Failure):
        real_time.keep_up(Connection.objects.get(pk=subject))


# Six fields: the seconds are the last one.
@app.periodic(cron="* * * * * 41", periodic_id="look_for_gaps")
@app.task(name="look_for_gaps", queue="upkeep", queueing_lock="look_for_gaps")
def look_for_gaps(timestamp: int) -> None:
    """Read everything sooner where deliveries of Xero did not come: nobody knows what they held."""
    with transaction.atomic():
        found = gaps.find()
        synced = Organisation.objects.filter(connection__in=found, chosen=True)
        feeds = sorted({feed for names in FEEDS.values() for feed in names})
        wake({(pk, feed) for pk in synced.values_list("pk", flat=True) for feed in feeds})


@app.periodic(cron="23 3 * * * 0", periodic_id="forget_old_events")
@app.task(name="forget_old_events", queue="upkeep", queueing_lock="forget_old_events")
def forget_old_events(timestamp: int) -> None:
    """Keep events as long as the audit log is kept."""
    forget_old(installation().audit_retention_days)
