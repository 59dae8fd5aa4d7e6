"""What stands above every page because it concerns everybody: connections that need a person."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from psaltery.accounts.models import Person
from psaltery.connections.models import Connection, Organisation
from psaltery.inbound import queries as inbound
from psaltery.web.routes import address_of


@dataclass(frozen=True)
class Banner:
    """One sentence, and the button that mends it. Tones: danger, warning."""

    text: str
    tone: str = "danger"
    action: str = ""
    url: str = ""


def banners(request: HttpRequest) -> list[Banner]:
    """The banners for this person now; none for a visitor. Three queries."""
    if not isinstance(request.user, Person):
        return []
    return [*_connections(), *_organisations(), *_webhooks()]


def _connections() -> list[Banner]:
    broken = Connection.objects.filter(state=Connection.State.NEEDS_RECONNECT).order_by("name")
    return [
        Banner(
            f"{connection.name} needs reconnecting. {connection.reason}".strip(),
            action="Open connections",
            url=address_of("connections:index"),
        )
        for connection in broken[:3]
    ]


def _organisations() -> list[Banner]:
    gone = (
        Organisation.objects.filter(chosen=True)
        .exclude(state=Organisation.State.ACTIVE)
        .order_by("name")
    )
    return [
        Banner(
            f"{organisation.name} is {organisation.get_state_display()}. "
            f"{organisation.reason}".strip(),
            tone="warning",
            action="Open connections",
            url=address_of("connections:index"),
        )
        for organisation in gone[:3]
    ]


def _webhooks() -> list[Banner]:
    return [
        Banner(
            f"Webhooks of {connection.name} are refused: signed with another key. Polling goes on.",
            tone="warning",
            action="See what to do",
            url=reverse("inbound:page", args=[connection.pk]),
        )
        for connection in inbound.wrongly_signed()[:3]
    ]
