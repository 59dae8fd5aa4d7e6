"""Fills letters from what the tables say at this moment; what is no longer so is left out."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from psaltery.notify import letters, queries, troubles
from psaltery.notify.decide import RESOLVED, fits, gravity
from psaltery.notify.letters import Day, Letter, Line, Places
from psaltery.notify.models import Message, Notice, Recipient, Rule
from psaltery.review import queries as review
from psaltery.review.catalogue import entry
from psaltery.review.models import Card


def letter_for(message: Message) -> Letter | None:
    """What a message says now; None when there is nothing (left) to say."""
    if message.kind == Message.Kind.NEWS:
        return _news(message)
    if message.kind == Message.Kind.DIGEST:
        return digest_of(message.rule, message.booked_at) if message.rule else None
    return letters.trial(message.recipient.where, _places())


def _news(message: Message) -> Letter | None:
    notices = list(message.notices.order_by("pk"))
    cards = {card.pk: card for card in review.cards().filter(pk__in=[n.card_id for n in notices])}
    lines, waiting = [], []
    for notice in notices:
        card = cards[notice.card_id]
        if _holds(notice, card):
            lines.append(_line(card, notice.event, message.recipient))
            if notice.event != RESOLVED:
                waiting.append(card.pk)
    # Better no message than one about something that was mended meanwhile.
    if not lines:
        return None
    return letters.news(lines, queries.held(waiting), _places(), _why(message.recipient))


def _holds(notice: Notice, card: Card) -> bool:
    """Whether it is still so: between booking and sending a card may be resolved or snoozed."""
    state = Card.State.RESOLVED if notice.event == RESOLVED else Card.State.OPEN
    return card.state == state


def _line(card: Card, event: str, recipient: Recipient) -> Line:
    return Line(
        sentence=card.sentence,
        title=entry(card.code).title,
        advice="" if event == RESOLVED else card.advice,
        url=_absolute(reverse("review:card", args=[card.pk])),
        where=card.organisation.name if card.organisation else "",
        documents=getattr(card, "documents", 0),  # an annotation of review.queries.cards
        money=tuple(review.money_of(card)),
        grave=gravity(card.severity) >= gravity("error"),
        event=event,
        note=_note(card, event, recipient),
    )


def _note(card: Card, event: str, recipient: Recipient) -> str:
    if event == RESOLVED:
        by = f" by {card.resolved_by}" if card.resolved_by else ""
        return f"resolved{by}: {card.resolution}" if card.resolution else f"resolved{by}"
    if event.endswith(":again"):
        return "an earlier message about this may not have arrived"
    if event.startswith("woken"):
        return "its snooze is over"
    if event == "digest":
        zone = ZoneInfo(queries.zone_of(recipient))
        opened = card.opened_at.astimezone(zone)
        return f"since {opened.day} {opened:%B}"
    return ""


def digest_of(rule: Rule, moment: datetime) -> Letter | None:
    """The digest of a rule at a moment; None when all is well."""
    terms = queries.terms(rule)
    own = troubles.own_causes(rule.recipient)
    seen = [card for card in queries.cards_now(moment) if card.cause not in own]
    wanted = {card.id for card in seen if fits(terms, card)}
    open_cards = review.cards().filter(pk__in=wanted, state=Card.State.OPEN)
    lines = [_line(card, "digest", rule.recipient) for card in open_cards]
    return letters.digest(
        lines,
        queries.held(card.pk for card in open_cards),
        _day(rule, moment),
        _places(),
        _why(rule.recipient),
    )


def _day(rule: Rule, moment: datetime) -> Day:
    zone = ZoneInfo(queries.zone_of(rule.recipient))
    midnight = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    # Half a day back is yesterday also on the days when clocks are changed.
    before = (midnight - timedelta(hours=12)).replace(hour=0)
    only = {one.pk for one in rule.organisations.all()}
    count, money = queries.posted(before, midnight, only)
    mended = queries.mended(before, midnight)
    if only:
        mended = mended.filter(organisation__in=only)
    return Day(
        name=f"{before:%A} {before.day} {before:%B}",
        posted=count,
        posted_money=money,
        mended=mended.count(),
        late=_late(rule, moment, only, zone),
    )


def _late(
    rule: Rule, moment: datetime, only: set[int], zone: ZoneInfo
) -> tuple[tuple[str, str], ...]:
    # Feeds are the business of those who hear of connections.
    if rule.topics and "connection" not in rule.topics:
        return ()
    found = []
    for feed in queries.late_feeds(moment, only):
        assert feed.finished_at is not None
        read = feed.finished_at.astimezone(zone)
        since = f"last read {read.day} {read:%B %H:%M}"
        name = f"{feed.organisation.name}, {feed.name.replace('_', ' ')}"
        found.append((name, f"{since}. {feed.failure}".strip()))
    return tuple(found)


def _why(recipient: Recipient) -> str:
    if recipient.person:
        return f"Sent to {recipient.person.email} by your rules in Psaltery."
    return f"Sent to {recipient.name} by its rules in Psaltery."


def _places() -> Places:
    return Places(
        exceptions=_absolute(reverse("review:index")),
        settings=_absolute(reverse("notify:index")),
        home=settings.PUBLIC_URL,
    )


def _absolute(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}"
