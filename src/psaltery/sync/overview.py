"""How things stand, in a few queries: for `psaltery status`."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from psaltery.connections.models import Connection, Feed
from psaltery.posting.models import Posting
from psaltery.posting.queries import count_by_state
from psaltery.review.models import IS_EXCEPTION, Blocked, Card


def overview() -> dict[str, Any]:
    """Documents by state, exceptions and the money they hold by currency, connections, feeds."""
    states = count_by_state()
    cards = Card.objects.filter(IS_EXCEPTION, state=Card.State.OPEN).count()
    broken = _broken()
    return {
        "documents": {state.value: states.get(state.value, 0) for state in Posting.State},
        "open_exceptions": cards,
        "held_money": _held_money(),
        "connections": broken,
        "feeds": [_feed(feed) for feed in _feeds()],
        "needs_person": bool(cards or broken),
    }


def _held_money() -> dict[str, Decimal]:
    """A document that several cards hold counts once."""
    rows = (
        Blocked.objects.filter(card__state=Card.State.OPEN)
        .values_list("document_id", "currency", "amount")
        .distinct()
    )
    money: dict[str, Decimal] = defaultdict(Decimal)
    # By currency: a sum over currencies would be an amount that exists nowhere.
    for currency, amount in {pk: (currency, amount) for pk, currency, amount in rows}.values():
        money[currency] += amount
    return dict(money)


def _broken() -> list[dict[str, str]]:
    rows = Connection.objects.filter(state=Connection.State.NEEDS_RECONNECT)
    return [{"name": row.name, "reason": row.reason} for row in rows]


def _feeds() -> list[Feed]:
    rows = Feed.objects.filter(organisation__chosen=True).select_related("organisation")
    return list(rows.order_by("organisation__name", "pk"))


def _feed(feed: Feed) -> dict[str, Any]:
    return {
        "organisation": feed.organisation.name,
        "feed": feed.name,
        "state": feed.state,
        "done": feed.done,
        "changed": feed.changed,
        "finished_at": feed.finished_at,
        "due_at": feed.due_at,
        "failure": feed.failure,
    }
