"""What the dashboard shows: read in a fixed number of queries, whatever the tables hold."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.posting.queries import count_by_state
from psaltery.review.models import IS_EXCEPTION, Blocked, Card
from psaltery.web import charts
from psaltery.web.format import amount_text
from psaltery.web.routes import address_of

FEEDS_SHOWN = 12
RUNS_SHOWN = 8
FEED_TONES = {Feed.State.IDLE: "good", Feed.State.PAUSED: "warn", Feed.State.FAILED: "bad"}


@dataclass(frozen=True)
class Waiting:
    """What waits for a person: open cards, and the money that they block by currency."""

    cards: int
    documents: int
    money: list[tuple[str, Decimal]]

    @property
    def money_text(self) -> str:
        return " + ".join(f"{amount_text(sum_, code)} {code}" for code, sum_ in self.money)


@dataclass(frozen=True)
class FeedLine:
    """A feed's progress: records done of this run, and of how many where that is known."""

    label: str
    done: int
    total: int | None
    detail: str
    tone: str


@dataclass(frozen=True)
class Run:
    """The last run of a feed that has ended."""

    organisation: str
    label: str
    feed: Feed

    @property
    def is_due(self) -> bool:
        """It has its turn already and waits for a worker."""
        return self.feed.due_at is not None and self.feed.due_at <= now()


@dataclass(frozen=True)
class Dashboard:
    is_connected: bool
    states: dict[str, int]
    waiting: Waiting
    feeds: list[FeedLine]
    calls: dict[str, Any] | None
    runs: list[Run]
    oldest: Feed | None

    @property
    def links(self) -> dict[str, str]:
        """Where each number leads: to the rows behind it."""
        return {
            "exceptions": address_of("review:index"),
            "in_step": address_of("posting:index", state="in_step"),
            "in_work": address_of("posting:index", state="waiting"),
            "stopped": address_of("posting:index", state="held"),
            "connect": address_of("connections:index"),
        }

    @property
    def in_work_text(self) -> str:
        """What the documents on their way are at."""
        names = ("waiting", "posting", "uncertain")
        parts = [f"{self.states[name]:,} {name}" for name in names if self.states.get(name)]
        return " · ".join(parts) or "Nothing is left to send"

    @property
    def calls_size(self) -> str:
        """A chart as high as its bars need."""
        bars = len(self.calls["yAxis"]["data"]) if self.calls else 0
        return "sm" if bars < 4 else "md" if bars < 9 else "lg"

    @property
    def in_step(self) -> int:
        return self.states.get("in_step", 0)

    @property
    def in_work(self) -> int:
        """Documents that go on without anybody: waiting, posting, uncertain."""
        return sum(self.states.get(name, 0) for name in ("waiting", "posting", "uncertain"))

    @property
    def stopped(self) -> int:
        return self.states.get("held", 0) + self.states.get("failed", 0)

    @property
    def of_all(self) -> str:
        """The share of documents in step, of those that belong in the books."""
        # Skipped ones don't belong in the books: counted, the share could never reach the whole.
        due = sum(self.states.values()) - self.states.get("skipped", 0)
        return f"{100 * self.in_step / due:.1f} % of {due:,}" if due else "no documents yet"


def dashboard_now() -> Dashboard:
    """Read it all: eight queries."""
    feeds = _active_feeds()
    return Dashboard(
        is_connected=Connection.objects.exists(),
        states=count_by_state(),
        waiting=_waiting(),
        feeds=[_feed_line(feed) for feed in feeds],
        calls=_calls(),
        runs=_last_runs(),
        oldest=_oldest(),
    )


def _waiting() -> Waiting:
    blocking = Blocked.objects.filter(card__state=Card.State.OPEN)
    # A document that two cards block is one document, and its money counts once.
    once = blocking.values("document").annotate(first=Min("pk")).values("first")
    sums = list(
        Blocked.objects.filter(pk__in=once)
        .values("currency")
        .annotate(money=Sum("amount"), documents=Count("pk"))
        .order_by("currency")
    )
    return Waiting(
        cards=Card.objects.filter(IS_EXCEPTION, state=Card.State.OPEN).count(),
        documents=sum(row["documents"] for row in sums),
        money=[(row["currency"], row["money"]) for row in sums],
    )


def _active_feeds() -> list[Feed]:
    """Feeds that run, wait, pause or have failed; those in step are in the last runs."""
    return list(
        Feed.objects.select_related("organisation")
        .exclude(state=Feed.State.IDLE)
        .filter(organisation__chosen=True)
        .order_by("organisation__name", "name")[:FEEDS_SHOWN]
    )


def _feed_line(feed: Feed) -> FeedLine:
    return FeedLine(
        label=f"{feed.organisation.name}: {_feed_name(feed)}",
        done=feed.done,
        total=feed.total,
        detail=feed.get_state_display(),
        tone=FEED_TONES.get(Feed.State(feed.state), ""),
    )


def _calls() -> dict[str, Any] | None:
    """Calls of the day against each organisation's cap, as a chart."""
    # UTC, as the vendors' days are counted here: a local date would show yesterday's calls as
    # today's.
    today = timezone.now().date()
    rows = list(
        Budget.objects.filter(organisation__chosen=True, day_cap__isnull=False)
        .annotate(used=Sum("day_used", filter=Q(day=today)))
        .values_list("organisation__name", "used", "day_cap")
        .order_by(F("used").desc(nulls_last=True), "organisation__name")[:FEEDS_SHOWN]
    )
    if not rows:
        return None
    names, used, caps = zip(*rows, strict=True)
    return charts.shares(names, [spent or 0 for spent in used], caps)


def _last_runs() -> list[Run]:
    ended = (
        Feed.objects.select_related("organisation")
        .filter(finished_at__isnull=False)
        .order_by("-finished_at")[:RUNS_SHOWN]
    )
    return [Run(feed.organisation.name, _feed_name(feed), feed) for feed in ended]


def _feed_name(feed: Feed) -> str:
    return feed.name.replace("_", " ")


def _oldest() -> Feed | None:
    """The feed that has not been in step for the longest time."""
    return (
        Feed.objects.select_related("organisation")
        .filter(organisation__chosen=True, organisation__state=Organisation.State.ACTIVE)
        # Never read at all is the oldest there is.
        .order_by(F("finished_at").asc(nulls_first=True))
        .first()
    )
