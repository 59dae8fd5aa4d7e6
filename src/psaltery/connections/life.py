"""How long a consent lives, and what a person does when a connection is in trouble."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psaltery.adapters import registry
from psaltery.connections.models import Connection
from psaltery.kit.clock import now

# A consent is warned of when it can't have been renewed for weeks; the daily life of one is weekly.
FIRST_WARNING, LAST_WARNING = timedelta(days=7), timedelta(days=2)
# A consent of the vendor's page mends these; anything else is a field of the connect form.
MENDED_BY_CONSENT = frozenset(
    {"token_revoked", "consent_expired", "consent_missing", "scope_missing", "tenant_removed"}
)


@dataclass(frozen=True)
class Life:
    """Until when a consent lives if nobody renews it, and how urgent that is."""

    ends_at: datetime
    left: timedelta

    @property
    def days(self) -> int:
        """Whole days that are left, none below zero."""
        return max(self.left.days, 0)

    @property
    def warning(self) -> int:
        """The days of the warning that is due: 7, 2, or 0 for none."""
        if self.left > FIRST_WARNING:
            return 0
        return FIRST_WARNING.days if self.left > LAST_WARNING else LAST_WARNING.days


def life_of(connection: Connection) -> Life | None:
    """The life of a connection's consent; None where there is no consent that could end."""
    tokens = connection.token_set
    if tokens is None or not tokens.refresh or tokens.refresh_expires_at is None:
        return None
    return Life(tokens.refresh_expires_at, tokens.refresh_expires_at - now())


def ending() -> list[tuple[Connection, Life]]:
    """Connected connections whose consent ends within the first warning, the next one first."""
    rows = Connection.objects.filter(
        state=Connection.State.CONNECTED,
        token_set__refresh_expires_at__lte=now() + FIRST_WARNING,
    ).exclude(token_set__refresh="")
    rows = rows.select_related("token_set").order_by("token_set__refresh_expires_at", "name")
    lives = ((row, life_of(row)) for row in rows)
    return [(row, life) for row, life in lives if life is not None]


def ending_sentence(connection: Connection, life: Life) -> str:
    """What the warning says."""
    if life.left <= timedelta(0):
        return (
            f"The consent of {connection.name} ended on {life.ends_at:%d %b %Y}, because it was "
            "not renewed for weeks. Reconnect; everything is kept."
        )
    when = f"in {life.days} day{'s' if life.days != 1 else ''}" if life.days else "today"
    return (
        f"The consent of {connection.name} ends {when} ({life.ends_at:%d %b %Y}): it could not be "
        "renewed for weeks. Reconnect, or let the worker run, to keep it."
    )


def mended_by_consent(connection: Connection) -> bool:
    """Whether one visit to the vendor's consent page is all that a connection needs."""
    oauth = registry.manifest(connection.kind).oauth
    return oauth and connection.reason_code in MENDED_BY_CONSENT


def steps(connection: Connection) -> tuple[str, ...]:
    """What a person does to mend a connection that needs reconnecting, in order."""
    if connection.state != Connection.State.NEEDS_RECONNECT:
        return ()
    label = registry.manifest(connection.kind).label
    if not mended_by_consent(connection):
        return (
            "Press “Change fields”, correct what the sentence above names, and save.",
            "The connection is tried at once, and goes on where it stopped.",
        )
    who = f" as {connection.authorised_by}, or" if connection.authorised_by else " as"
    return (
        f"Press “Reconnect now”. {label} opens in this window.",
        f"Sign in{who} a user who may connect apps to all of these organisations.",
        "Leave every permission and every organisation ticked, and allow access.",
        "You come back here. What changed meanwhile is read at once; nothing is lost, and "
        "nothing needs to be set up again.",
    )
