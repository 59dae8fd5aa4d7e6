"""What to tell whom, and when. Pure: everything that is known comes in, what to tell goes out.

What is told follows from how things stand, never from a signal that could be missed: a card that is
open and was not told is told; one that was told and is resolved is told as resolved.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

# Least first. A word that is not here is taken for the gravest: better told than lost.
SEVERITIES = ("info", "warning", "error")
# Causes that most often go away without anybody: the next pull, the next answer, a document that is
# closed again. They are told only when they last.
MENDS_ITSELF = frozenset(
    {
        "company_unknown",
        "reopened",
        "answer_unknown_shape",
        "feed_failed",
        "unreachable",
        "idempotency_conflict",
        "line_id_unknown",
        "high_volume",
        "payment_unmatched",
    }
)
LASTS = timedelta(minutes=15)
# A cause that comes back waits longer each time within a day: a flapping one must be no flood.
FLAPPING = timedelta(minutes=5)
MOST_PATIENCE = timedelta(hours=6)
REMEMBERED = timedelta(days=1)
# A message that may or may not have arrived is followed by one reminder, if it still matters then.
REMINDER = timedelta(minutes=15)
# One recipient is not written to more often than this; what comes meanwhile goes in one message.
SPACING = timedelta(minutes=5)
# How long a message that can't be delivered is tried.
GIVE_UP = timedelta(days=1)
_MOST_PAUSE = timedelta(hours=1)

AGAIN = ":again"
RESOLVED = "resolved"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it stands now. `naps`: how often it came back from being snoozed.

    `organisation` is the one that it stands under, `stops` are all others that it stops as well:
    a credential is refused once for all that it opens, and the PSA feeds them all.
    """

    id: int
    cause: str
    code: str
    topic: str
    severity: str
    state: str
    since: datetime  # opened, or woken
    organisation: int | None = None
    stops: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()  # of the documents that it blocks
    amounts: tuple[Decimal, ...] = ()  # what it blocks, one sum a currency
    owner: int | None = None
    naps: int = 0
    resolved_by: str = ""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule wants to hear of. Empty sets mean everything."""

    id: int
    since: datetime
    at_once: bool = True
    topics: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    organisations: frozenset[int] = frozenset()
    least_severity: str = "info"
    least_amount: Decimal | None = None
    owner: int | None = None  # only cards of this person
    wait: timedelta = timedelta(0)
    tell_resolved: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """That a recipient was or will be told of a card.

    `reached`: it arrived, or may have (`uncertain`); not so while it waits, or when it was dropped.
    """

    card: int
    cause: str
    event: str
    at: datetime
    rule: int | None = None
    reached: bool = True
    uncertain: bool = False


class News(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell a recipient: the card, what became of it, and the rule that asked."""

    card: int
    event: str
    rule: int


def gravity(severity: str) -> int:
    """How grave a severity is; the greater number."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES) - 1


def fits(terms: Terms, card: Seen) -> bool:
    """Whether a rule wants to hear of a card.

    The least amount concerns cards that block documents, in their own currency; a card about a
    connection stops everything, whatever it blocks so far, and passes.
    """
    return (
        gravity(card.severity) >= gravity(terms.least_severity)
        and (not terms.topics or card.topic in terms.topics)
        and (not terms.codes or card.code in terms.codes)
        and (not terms.kinds or _stops_all(card) or bool(terms.kinds & card.kinds))
        and (not terms.organisations or _is_of(terms, card))
        and (terms.owner is None or card.owner == terms.owner)
        and _is_enough(terms, card)
    )


def _is_of(terms: Terms, card: Seen) -> bool:
    return card.organisation in terms.organisations or bool(terms.organisations & card.stops)


def _stops_all(card: Seen) -> bool:
    # A card that blocks no documents has no kinds. What a failing step blocks now says nothing of
    # what it will block in an hour.
    return not card.kinds or card.topic == "connection"


def _is_enough(terms: Terms, card: Seen) -> bool:
    if terms.least_amount is None or not card.amounts or _stops_all(card):
        return True
    # By size, whatever the sign: a credit of 10,000 that is stuck matters as much.
    return max(abs(amount) for amount in card.amounts) >= terms.least_amount


def patience(terms: Terms, card: Seen, times: int) -> timedelta:
    """How long a card must have lasted before it is told at once.

    `times`: how often this cause was told in the last day already.
    """
    wait = max(terms.wait, LASTS) if card.code in MENDS_ITSELF else terms.wait
    if not times:
        return wait
    # Twice as long each time; the exponent ends so that no number grows without end.
    longer: timedelta = max(wait, FLAPPING) * int(2 ** min(times, 10))
    return min(longer, max(MOST_PATIENCE, wait))


def news(
    rules: Sequence[Terms],
    cards: Sequence[Seen],
    told: Sequence[Told],
    moment: datetime,
    *,
    address: str = "",
) -> list[News]:
    """Everything that one recipient is to be told at once, now.

    `told`: what this recipient was told of these cards, and of their causes within a day.
    `address`: the recipient's own, who need not be told what they resolved themselves.
    """
    at_once = [rule for rule in rules if rule.at_once]
    by_card: dict[int, dict[str, Told]] = {}
    causes: dict[str, set[int]] = {}
    for one in told:
        by_card.setdefault(one.card, {})[one.event] = one
        # What never arrived must not make the next message later.
        if one.reached and one.event != RESOLVED and moment - one.at < REMEMBERED:
            causes.setdefault(one.cause, set()).add(one.card)
    found: list[News] = []
    for card in cards:
        known = by_card.get(card.id, {})
        times = len(causes.get(card.cause, set()) - {card.id})
        found += _of_card(card, at_once, known, times, moment, address)
    return found


def _of_card(
    card: Seen,
    rules: Sequence[Terms],
    known: Mapping[str, Told],
    times: int,
    moment: datetime,
    address: str,
) -> Iterator[News]:
    if card.state == "open":
        event = f"woken-{card.naps}" if card.naps else "opened"
        if event not in known:
            yield from _opened(card, event, rules, times, moment)
        elif _wants_reminder(known, event, moment):
            yield from _first(card, event + AGAIN, [rule for rule in rules if fits(rule, card)])
    elif card.state == "resolved" and RESOLVED not in known and card.resolved_by != address:
        # What it blocked is gone by now: the rules that told of it tell of its end.
        told_by = {one.rule for one in known.values() if one.reached}
        wanted = [rule for rule in rules if rule.id in told_by and rule.tell_resolved]
        yield from _first(card, RESOLVED, wanted)


def _opened(
    card: Seen, event: str, rules: Sequence[Terms], times: int, moment: datetime
) -> Iterator[News]:
    ready = [
        rule
        for rule in rules
        if fits(rule, card)
        and card.since >= rule.since
        and moment - card.since >= patience(rule, card, times)
    ]
    yield from _first(card, event, ready)


def _wants_reminder(known: Mapping[str, Told], event: str, moment: datetime) -> bool:
    first = known[event]
    return first.uncertain and event + AGAIN not in known and moment - first.at >= REMINDER


def _first(card: Seen, event: str, rules: Sequence[Terms]) -> Iterator[News]:
    """Several rules of a recipient may want the same: it is told once."""
    for rule in rules[:1]:
        yield News(card=card.id, event=event, rule=rule.id)


def digest_day(
    hour: int, zone: str, since: datetime, last: str, moment: datetime, *, workdays: bool = False
) -> str:
    """The day (ISO, in the recipient's zone) whose digest is due now; "" when none is.

    `last`: the day of the last digest. A digest missed while nothing ran goes out the same day,
    however late; days that have passed are not made up for. A rule begins with the next hour that
    comes after it was made.
    """
    place = ZoneInfo(zone)
    local = moment.astimezone(place)
    begins = datetime.combine(local.date(), time(hour), tzinfo=place)
    # ISO days compare like dates, so the text of the last digest's day is enough to remember.
    if local < begins or since > begins or local.date().isoformat() <= last:
        return ""
    return "" if workdays and local.weekday() > 4 else local.date().isoformat()


def next_try(tries: int, booked_at: datetime, moment: datetime) -> datetime | None:
    """When a message that certainly did not arrive is tried again; None: given up.

    `tries` so far: after one, two, four … minutes, at most an hour; for a day.
    """
    if moment - booked_at >= GIVE_UP:
        return None
    return moment + min(timedelta(minutes=2 ** min(tries - 1, 10)), _MOST_PAUSE)
