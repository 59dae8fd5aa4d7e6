"""Reads: cards as decisions see them, rules, what was told, and what messages say."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet, Sum

from psaltery.accounts.queries import installation
from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.desk.models import Document
from psaltery.notify.decide import REMEMBERED, Seen, Terms, Told
from psaltery.notify.letters import Money
from psaltery.notify.models import Message, Nap, Notice, Recipient, Rule
from psaltery.review.models import Blocked, Card

# A feed is late when it has been failing or unread for this long beyond its own pace.
# Less would tell of every short outage of a vendor.
LATE = timedelta(hours=1)
_WITHOUT_ANYBODY = "Psaltery"


def recipients() -> QuerySet[Recipient]:
    """Everybody who may be told now: not paused, and for people: they may sign in."""
    live = Recipient.objects.filter(paused=False).select_related("person")
    return live.filter(Q(person__isnull=True) | Q(person__is_active=True)).order_by("pk")


def zone_of(recipient: Recipient) -> str:
    """The time zone of a recipient: the person's own, for channels the installation's."""
    return recipient.person.time_zone if recipient.person else installation().time_zone


def terms(rule: Rule) -> Terms:
    """A rule as decisions read it; its organisations should be prefetched."""
    person = rule.recipient.person_id
    return Terms(
        id=rule.pk,
        since=rule.since,
        at_once=rule.timing == Rule.Timing.AT_ONCE,
        topics=frozenset(rule.topics),
        codes=frozenset(rule.codes),
        kinds=frozenset(rule.kinds),
        organisations=frozenset(one.pk for one in rule.organisations.all()),
        least_severity=rule.least_severity,
        least_amount=rule.least_amount,
        owner=person if rule.only_mine else None,
        wait=timedelta(minutes=rule.wait_minutes),
        tell_resolved=rule.tell_resolved,
    )


def rules_of(found: Collection[Recipient]) -> dict[int, list[Rule]]:
    """The rules of each recipient."""
    rows = Rule.objects.filter(recipient__in=found).select_related("recipient")
    by_recipient: dict[int, list[Rule]] = defaultdict(list)
    for rule in rows.prefetch_related("organisations"):
        by_recipient[rule.recipient_id].append(rule)
    return by_recipient


def cards_now(moment: datetime) -> list[Seen]:
    """Every open card, and those that were resolved within a day after somebody was told."""
    told = Notice.objects.filter(card__state=Card.State.RESOLVED).values("card")
    ended = Q(state=Card.State.RESOLVED, resolved_at__gte=moment - REMEMBERED, pk__in=told)
    rows = list(Card.objects.filter(Q(state=Card.State.OPEN) | ended).defer("details"))
    # Only open cards' naps count: a resolved one is over, however often it was snoozed.
    naps = {nap.pk: nap for nap in Nap.objects.filter(card__state=Card.State.OPEN)}
    kinds, amounts = _blocked()
    reach = _Reach()
    return [
        _seen(card, naps.get(card.pk), kinds.get(card.pk, set()), amounts.get(card.pk, {}), reach)
        for card in rows
    ]


class _Reach:
    """Which organisations a card about a connection stops, beside the one it stands under."""

    def __init__(self) -> None:
        rows = Organisation.objects.filter(chosen=True).values_list(
            "pk", "connection_id", "connection__kind"
        )
        self._connections: dict[int, set[int]] = defaultdict(set)
        self._of: dict[int, int] = {}
        psa = {manifest.kind for manifest in registry.manifests(Role.PSA)}
        self._sites: set[int] = set()
        for pk, connection, kind in rows:
            self._connections[connection].add(pk)
            self._of[pk] = connection
            if kind in psa:
                self._sites.add(pk)

    def of(self, card: Card) -> frozenset[int]:
        place = card.organisation_id
        if card.topic != "connection" or place not in self._of:
            return frozenset()
        # Every document comes from the PSA: where it can't be read, no organisation gets any.
        if place in self._sites:
            return frozenset(self._of)
        whole = card.subject_ref == "connection"
        return frozenset(self._connections[self._of[place]]) if whole else frozenset()


def _blocked() -> tuple[dict[int, set[str]], dict[int, dict[str, Decimal]]]:
    kinds: dict[int, set[str]] = defaultdict(set)
    amounts: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    rows = (
        Blocked.objects.filter(card__state=Card.State.OPEN)
        .values_list("card_id", "document__kind", "currency")
        .annotate(Sum("amount"))
        .order_by()
    )
    for card, kind, currency, amount in rows:
        kinds[card].add(kind)
        amounts[card][currency] += amount
    return kinds, amounts


def _seen(
    card: Card, nap: Nap | None, kinds: set[str], amounts: dict[str, Decimal], reach: _Reach
) -> Seen:
    return Seen(
        id=card.pk,
        cause=card.cause,
        code=card.code,
        topic=card.topic,
        severity=card.severity,
        state=card.state,
        since=(nap.woken_at if nap and nap.woken_at else card.opened_at),
        organisation=card.organisation_id,
        stops=reach.of(card),
        kinds=frozenset(kinds),
        amounts=tuple(amounts.values()),
        owner=card.owner_id,
        naps=nap.count if nap else 0,
        resolved_by=card.resolved_by,
    )


def told(recipient: Recipient, cards: Sequence[Seen], moment: datetime) -> list[Told]:
    """What a recipient was told of these cards, and of any within a day."""
    rows = Notice.objects.filter(recipient=recipient).filter(
        Q(card__in=[card.id for card in cards]) | Q(booked_at__gte=moment - REMEMBERED)
    )
    arrived = (Message.State.SENT, Message.State.UNCERTAIN)
    return [
        Told(
            card=row.card_id,
            cause=row.card.cause,
            event=row.event,
            at=row.booked_at,
            rule=row.rule_id,
            reached=row.message.state in arrived,
            uncertain=row.message.state == Message.State.UNCERTAIN,
        )
        for row in rows.select_related("card", "message").defer("message__text")
    ]


def last_news_at(recipient: Recipient) -> datetime | None:
    """When news was last sent, or was to be sent, to a recipient."""
    row = recipient.messages.filter(kind=Message.Kind.NEWS).order_by("-booked_at").first()
    return row.booked_at if row else None


def last_digests(found: Collection[Recipient]) -> dict[int, str]:
    """The day of each rule's last digest; those that a person asked for out of turn have none."""
    rows = Message.objects.filter(recipient__in=found, kind=Message.Kind.DIGEST).exclude(day="")
    days: dict[int, str] = {}
    for rule, day in rows.order_by("day").values_list("rule_id", "day"):
        days[rule] = day
    return days


# What messages say.


def held(cards: Iterable[int]) -> Money:
    """What open cards hold together; a document that two of them hold counts once."""
    rows = Blocked.objects.filter(card__in=list(cards)).values_list(
        "document_id", "currency", "amount"
    )
    once = {document: (currency, amount) for document, currency, amount in rows}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in once.values():
        sums[currency] += amount
    return tuple((amount, currency) for currency, amount in sorted(sums.items()))


def posted(since: datetime, until: datetime, only: Collection[int]) -> tuple[int, Money]:
    """Documents written to the books in a stretch of time, and their money by currency.

    `only`: the organisations that count; empty: all.
    """
    # Read through the document's own relation: the slice that writes links stands above this one.
    rows: QuerySet[Document, Any] = Document.objects.filter(
        link__written_at__gte=since, link__written_at__lt=until
    )
    if only:
        rows = rows.filter(link__organisation__in=only)
    sums = rows.order_by().values_list("currency").annotate(Sum("link__total"))
    money = tuple((amount, currency) for currency, amount in sums)
    return rows.count(), money


def mended(since: datetime, until: datetime) -> QuerySet[Card]:
    """Cards that closed in a stretch of time without anybody."""
    return Card.objects.filter(
        state=Card.State.RESOLVED,
        resolved_at__gte=since,
        resolved_at__lt=until,
        resolved_by=_WITHOUT_ANYBODY,
    )


def late_feeds(moment: datetime, only: Collection[int]) -> list[Feed]:
    """Feeds of connections that work, and that were not read for longer than their pace allows."""
    rows = Feed.objects.filter(
        organisation__chosen=True,
        organisation__paused=False,
        organisation__connection__state=Connection.State.CONNECTED,
        finished_at__lt=moment - LATE,
    ).exclude(organisation__state=Organisation.State.REMOVED)
    if only:
        rows = rows.filter(organisation__in=only)
    rows = rows.select_related("organisation").order_by(F("finished_at").asc())
    return [feed for feed in rows if _is_late(feed, moment)]


def _is_late(feed: Feed, moment: datetime) -> bool:
    # A first pass may take hours; what runs is not late.
    if feed.finished_at is None or feed.state == Feed.State.RUNNING:
        return False
    return moment - feed.finished_at > LATE + timedelta(seconds=feed.seconds)
