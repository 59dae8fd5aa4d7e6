"""What stands above every page because it concerns everybody: connections that need a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from psaltery.accounts.models import Person, Role
from psaltery.connections import life
from psaltery.connections.models import Connection, Organisation
from psaltery.inbound import queries as inbound
from psaltery.review.models import Card
from psaltery.sync import calls

# More of one kind than this are one sentence: the page itself must stay in sight.
SHOWN = 3
REFUSED = ("permission_denied", "permission_missing")


@dataclass(frozen=True)
class Banner:
    """One sentence, and the button that mends it. Tones: danger, warning.

    `code` is a code of the catalogue, explained in docs/errors. `posts` makes the button do it at
    once, where it otherwise leads to a page.
    """

    text: str
    code: str
    tone: str = "danger"
    action: str = ""
    url: str = ""
    posts: bool = False


def banners(request: HttpRequest) -> list[Banner]:
    """The banners for this person now; none for a visitor. Seven queries."""
    if not isinstance(request.user, Person):
        return []
    administers = request.user.may(Role.ADMIN)
    return [
        *_connections(administers),
        *_ending(administers),
        *_organisations(administers),
        *_refused(),
        *_limits(),
        *_webhooks(),
    ]


def _connections(administers: bool) -> Iterator[Banner]:
    broken = Connection.objects.filter(state=Connection.State.NEEDS_RECONNECT).order_by("name")
    for connection in broken[:SHOWN]:
        text = f"{connection.name} needs reconnecting. {connection.reason}".strip()
        code = connection.reason_code or "token_revoked"
        # The button is for those who may press it; others are shown where to read on.
        if administers and life.mended_by_consent(connection):
            yield _reconnect(connection, text, code)
        else:
            yield Banner(text, code, action="See what to do", url=_page(connection))


def _ending(administers: bool) -> Iterator[Banner]:
    for connection, left in life.ending()[:SHOWN]:
        text = life.ending_sentence(connection, left)
        tone = "danger" if left.warning == life.LAST_WARNING.days else "warning"
        if administers:
            yield _reconnect(connection, text, "consent_ends", tone)
        else:
            yield Banner(text, "consent_ends", tone, "See the connection", _page(connection))


def _reconnect(connection: Connection, text: str, code: str, tone: str = "danger") -> Banner:
    address = reverse("connections:begin", args=[connection.pk])
    return Banner(text, code, tone, action="Reconnect", url=address, posts=True)


def _page(connection: Connection) -> str:
    return reverse("connections:detail", args=[connection.pk])


_CODES = {
    Organisation.State.REMOVED: "tenant_removed",
    Organisation.State.OFFLINE: "organisation_offline",
    Organisation.State.MISMATCH: "organisation_mismatch",
}


def _organisations(administers: bool) -> Iterator[Banner]:
    gone = (
        # One that nobody syncs is nobody's trouble.
        Organisation.objects.filter(chosen=True)
        .exclude(state=Organisation.State.ACTIVE)
        .select_related("connection")
        .order_by("state", "name")
    )
    for organisation in gone[:SHOWN]:
        text = f"{organisation.name} is {organisation.get_state_display()}. {organisation.reason}"
        code = _CODES[Organisation.State(organisation.state)]
        if code == "tenant_removed" and administers:
            yield _reconnect(organisation.connection, text.strip(), code, "warning")
        else:
            page = _page(organisation.connection)
            yield Banner(text.strip(), code, "warning", "See the connection", page)


def _refused() -> Iterator[Banner]:
    """The vendor refuses something for lack of permission (403); the rest goes on."""
    cards = Card.objects.filter(state=Card.State.OPEN, topic="connection", code__in=REFUSED)
    for card in cards.order_by("pk")[:SHOWN]:
        page = reverse("review:card", args=[card.pk])
        yield Banner(card.sentence, card.code, "warning", "See what to do", page)


_LIMITS = {
    "day": ("day_limit", "nearly all calls of the day are used up"),
    "minute": ("minute_limit", "the calls of this minute are used up"),
}


def _limits() -> Iterator[Banner]:
    """One banner a limit, however many organisations wait for it."""
    waiting = calls.pauses()
    names = dict(
        Organisation.objects.filter(pk__in=waiting).order_by("name").values_list("pk", "name")
        if waiting
        else ()
    )
    for limit, (code, words) in _LIMITS.items():
        held = {key: pause for key, pause in waiting.items() if pause.limit == limit}
        if not held:
            continue
        # The first of them: from then on something goes on again.
        until = min((pause.until for pause in held.values() if pause.until), default=None)
        text = f"{_listed(names[key] for key in names if key in held)}: {words}. "
        text += f"It goes on by itself {_clock(until)}; other organisations are not affected."
        only = next(iter(held)) if len(held) == 1 else None
        page = reverse("sync:calls", args=[only]) if only else reverse("sync:calls_index")
        yield Banner(text, code, "warning", "See the calls", page)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _clock(moment: datetime | None) -> str:
    if moment is None:
        return "soon"
    return f"at {timezone.localtime(moment):%H:%M} at the latest"


def _webhooks() -> list[Banner]:
    return [
        Banner(
            f"Webhooks of {connection.name} are refused: signed with another key. Polling goes on.",
            "webhook_refused",
            tone="warning",
            action="See what to do",
            url=reverse("inbound:page", args=[connection.pk]),
        )
        for connection in inbound.wrongly_signed()[:SHOWN]
    ]
