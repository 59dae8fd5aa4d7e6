"""Consents that are kept alive, and people who are told in time when one can't be."""

from psaltery.connections import life
from psaltery.connections.models import Connection, Organisation
from psaltery.connections.service import keep_alive
from psaltery.connections.tokens import Renewals
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import BY_ITSELF, open_card, resolve

CODE = "consent_ends"


def look_after() -> Renewals:
    """Renew what nobody used for days; warn of what ends within seven and within two days."""
    done = keep_alive()
    warned = {_warn(connection, left) for connection, left in life.ending()}
    for card in Card.objects.filter(code=CODE).exclude(state=Card.State.RESOLVED):
        # When the last warning is due the one before it ends: one card stands, not two.
        if card.pk not in warned:
            resolve(card, BY_ITSELF, "The consent was renewed, or the last warning has come.")
    return done


def _warn(connection: Connection, left: life.Life) -> int | None:
    """The card of the warning that is due. A cause of its own for each, so that both are told."""
    organisation = Organisation.objects.filter(connection=connection, chosen=True).first()
    if organisation is None:
        return None
    reason = Reason(
        code=CODE,
        about=f"consent:{left.warning}",
        subject=connection.name,
        sentence=life.ending_sentence(connection, left),
        details={"connection": connection.pk},
    )
    return open_card(organisation, reason).pk
