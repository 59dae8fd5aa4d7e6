"""Reads of the connection pages."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from psaltery.adapters import registry
from psaltery.adapters.contract import Manifest
from psaltery.connections.models import Budget, Connection, Feed, Organisation, Usage
from psaltery.kit.clock import now


@dataclass(frozen=True)
class FeedLine:
    """A feed as the page of its connection shows it."""

    label: str
    feed: Feed


@dataclass(frozen=True)
class OrganisationPart:
    """A synced organisation with its feeds and the calls of its day."""

    organisation: Organisation
    feeds: list[FeedLine]
    calls_today: int
    budget: Budget | None


def connections() -> QuerySet[Connection]:
    """All connections, with the number of organisations synced under each."""
    chosen = Count("organisations", filter=Q(organisations__chosen=True))
    return Connection.objects.annotate(synced=chosen)


def parts(connection: Connection) -> list[OrganisationPart]:
    """The synced organisations of a connection, in four queries."""
    manifest = registry.manifest(connection.kind)
    organisations = connection.organisations.filter(chosen=True).select_related("budget")
    feeds: dict[int, list[Feed]] = {}
    for feed in Feed.objects.filter(organisation__in=organisations):
        feeds.setdefault(feed.organisation_id, []).append(feed)
    calls = dict(
        Usage.objects.filter(organisation__in=organisations, day=now().date())
        .values_list("organisation_id")
        .annotate(Sum("calls"))
    )
    return [
        OrganisationPart(
            organisation=one,
            feeds=_lines(manifest, feeds.get(one.pk, [])),
            calls_today=calls.get(one.pk, 0),
            budget=getattr(one, "budget", None),
        )
        for one in organisations
    ]


def _lines(manifest: Manifest, feeds: list[Feed]) -> list[FeedLine]:
    """In the manifest's order."""
    by_name = {feed.name: feed for feed in feeds}
    return [
        FeedLine(spec.label, by_name[spec.name]) for spec in manifest.feeds if spec.name in by_name
    ]


def findable(connection: Connection, text: str) -> QuerySet[Organisation]:
    """The organisations a person may choose, found by name."""
    found = connection.organisations.exclude(state=Organisation.State.REMOVED)
    for word in text.replace("\x00", "").split()[:6]:
        found = found.filter(name__icontains=word)
    return found.order_by("name", "pk")
