"""Messages that can't be delivered are told as well: on the page, and by a card when it lasts."""

from datetime import datetime, timedelta

from django.db.models import Q

from psaltery.adapters.errors import Failure, TryLater
from psaltery.connections.models import Connection, Organisation
from psaltery.notify.models import Recipient
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import cause, close_cause, open_card

CODE = "notification_failed"
PERSISTS = timedelta(minutes=30)
_MAIL_SERVER = "mail server"
_CONNECTION = "connection"


def met(recipient: Recipient, failure: Failure, moment: datetime, *, trial: bool) -> None:
    """Keep why a recipient can't be reached; open a card when it lasts or won't go away by itself.

    What a test meets is shown to whoever asked for it, and is no card's matter.
    """
    recipient.refresh_from_db(fields=["failing_since"])
    # The first failure of a row counts; a later one must not begin the half hour anew.
    since = recipient.failing_since or moment
    recipient.failing_since, recipient.failure = since, str(failure)
    recipient.save(update_fields=["failing_since", "failure"])
    lasts = moment - since >= PERSISTS or not isinstance(failure, TryLater)
    # What goes away by itself within half an hour is no person's matter.
    if lasts and not trial:
        open_card(None, _reason(recipient, failure))


def over(recipient: Recipient) -> None:
    """A message arrived: what stood against this recipient is over."""
    failing = Recipient.objects.filter(pk=recipient.pk).exclude(failure="")
    if not failing.update(failing_since=None, failure=""):
        return
    for about in (_MAIL_SERVER, f"recipient:{recipient.pk}"):
        close_cause(None, CODE, about, "Messages arrive again.")


def own_causes(recipient: Recipient) -> set[str]:
    """The cards about not reaching this recipient: pointless to tell where they would be told."""
    abouts = [f"recipient:{recipient.pk}"]
    if recipient.kind == Recipient.Kind.EMAIL:
        abouts.append(_MAIL_SERVER)
    return {cause(None, Reason(code=CODE, about=about, sentence="")) for about in abouts}


def _reason(recipient: Recipient, failure: Failure) -> Reason:
    # One mail server out of reach is one cause, however many people it keeps in the dark.
    common = recipient.kind == Recipient.Kind.EMAIL and isinstance(failure, TryLater)
    whom = "people" if common else str(recipient)
    return Reason(
        code=CODE,
        about=_MAIL_SERVER if common else f"recipient:{recipient.pk}",
        subject=whom,
        sentence=f"Notifications to {whom} do not arrive: {failure}",
        details={"recipient": recipient.pk},
    )


def open_for_connections() -> None:
    """A card for every connection that waits for a person and has none: one that broke while its
    consent was renewed did so outside every feed."""
    told = Card.objects.filter(topic="connection", subject_ref=_CONNECTION)
    known = {
        card.get("connection")
        for card in told.exclude(state=Card.State.RESOLVED).values_list("details", flat=True)
    }
    broken = Connection.objects.filter(state=Connection.State.NEEDS_RECONNECT)
    for connection in broken.exclude(pk__in=[pk for pk in known if pk]):
        # Named like the engine's own, so that the first call that works again closes this one too.
        first = Organisation.objects.filter(Q(chosen=True), connection=connection).first()
        if first is not None:
            open_card(first, _broken(connection, first))


def _broken(connection: Connection, organisation: Organisation) -> Reason:
    return Reason(
        code=connection.reason_code or "token_revoked",
        about=_CONNECTION,
        subject=connection.name,
        sentence=f"{organisation.name}: {connection.reason}",
        details={"connection": connection.pk},
    )
