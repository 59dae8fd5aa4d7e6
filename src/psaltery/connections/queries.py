"""Reads of the connection pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Case, Count, Q, QuerySet, Sum, When, prefetch_related_objects

from psaltery.adapters import registry
from psaltery.adapters.contract import Manifest
from psaltery.connections.models import Budget, Connection, Feed, Organisation, Usage
from psaltery.kit.clock import now


@dataclass(frozen=True)
class FeedLine:
    """A feed as the page of its connection shows it."""

    label: str
    feed: Feed

    @property
    def state(self) -> str:
        """What the feed does now; "in step" only once it has been read through."""
        if self.feed.state == Feed.State.IDLE and self.feed.finished_at is None:
            return "Not read yet"
        return self.feed.get_state_display().capitalize()

    @property
    def is_due(self) -> bool:
        """Whether it starts as soon as a worker is free."""
        return self.feed.due_at is not None and self.feed.due_at <= now()


@dataclass(frozen=True)
class OrganisationPart:
    """A synced organisation with its feeds and the calls of its day."""

    organisation: Organisation
    feeds: list[FeedLine]
    calls_today: int
    budget: Budget | None

    @property
    def facts(self) -> str:
        """Currency, country and the calls of the day, in one line."""
        one, budget = self.organisation, self.budget
        calls = f"{self.calls_today:,} calls today"
        if budget and budget.day_remaining is not None:
            calls += f", {budget.day_remaining:,} left of {budget.day_cap:,}"
        return " · ".join(filter(None, (one.base_currency, one.country, calls)))


def connections() -> QuerySet[Connection]:
    """All connections, with the number of organisations synced under each."""
    chosen = Count("organisations", filter=Q(organisations__chosen=True))
    return Connection.objects.annotate(synced=chosen)


def synced(connection: Connection, text: str = "") -> QuerySet[Organisation]:
    """The synced organisations of a connection, found by name; those in trouble first."""
    found = named(connection.organisations.filter(chosen=True), text)
    failed = Count("feeds", filter=Q(feeds__state=Feed.State.FAILED))
    well = Case(When(state=Organisation.State.ACTIVE, then=1), default=0)
    return found.annotate(failed=failed, well=well).order_by("well", "-failed", "name", "pk")


def parts(connection: Connection, shown: Iterable[Organisation]) -> list[OrganisationPart]:
    """Organisations of a connection with their feeds and calls, in three queries."""
    manifest = registry.manifest(connection.kind)
    organisations = list(shown)
    prefetch_related_objects(organisations, "budget")
    # Grouped here: one query for all organisations instead of one for each.
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


def entered(connection: Connection) -> list[tuple[str, str]]:
    """The fields of a connection that are no secrets, by label, as a person reads them."""
    fields = registry.manifest(connection.kind).fields
    shown = [(field, connection.fields.get(field.name, "")) for field in fields]
    return [(field.label, dict(field.choices).get(value, value)) for field, value in shown if value]


def _lines(manifest: Manifest, feeds: list[Feed]) -> list[FeedLine]:
    """In the manifest's order."""
    by_name = {feed.name: feed for feed in feeds}
    return [
        FeedLine(spec.label, by_name[spec.name]) for spec in manifest.feeds if spec.name in by_name
    ]


def findable(connection: Connection, text: str) -> QuerySet[Organisation]:
    """The organisations a person may choose, found by name."""
    reached = connection.organisations.exclude(state=Organisation.State.REMOVED)
    return named(reached, text).order_by("name", "pk")


def named(rows: QuerySet[Organisation], text: str) -> QuerySet[Organisation]:
    """Of these organisations, those whose name has all words of a text."""
    # PostgreSQL refuses a NUL in text; six words bound what a request can cost.
    for word in text.replace("\x00", "").split()[:6]:
        rows = rows.filter(name__icontains=word)
    return rows


def is_chosen_whole(connection: Connection) -> bool:
    """Whether every organisation that the consent reaches is synced already."""
    reached = connection.organisations.exclude(state=Organisation.State.REMOVED)
    return reached.exists() and not reached.filter(chosen=False).exists()
