"""Opens, fills and closes cards. One card for one cause; it closes when it blocks nothing more."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet

from psaltery.audit.service import record_change
from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.review.catalogue import entry
from psaltery.review.models import Blocked, Card, Comment
from psaltery.review.reasons import Reason

BY_ITSELF = "Psaltery"


class Held(msgspec.Struct, frozen=True):
    """One document and every reason that holds it now."""

    document: Document
    organisation: Organisation | None
    reasons: Sequence[Reason]


def cause(organisation: Organisation | None, reason: Reason) -> str:
    """What makes two holds the same card."""
    # By what it is about, never by its sentence: words and numbers in it change.
    return f"{organisation.pk if organisation else 0}|{reason.code}|{reason.about}"[:255]


@transaction.atomic(savepoint=False)
def hold(held: Sequence[Held], *, topic: str = "posting") -> None:
    """Attach documents to the cards of their reasons, and to no others of this topic."""
    wanted = {
        cause(one.organisation, reason): (one.organisation, reason)
        for one in held
        for reason in one.reasons
    }
    held_now = Q(blocked__document__in=[one.document for one in held], topic=topic)
    _lock(Q(cause__in=wanted) | held_now)
    cards = _open_cards(wanted, topic)
    rows = [
        Blocked(
            card=cards[cause(one.organisation, reason)],
            document=one.document,
            amount=one.document.total,
            currency=one.document.currency,
        )
        for one in held
        for reason in one.reasons
    ]
    # The card may hold the document already, and its amount have changed since.
    Blocked.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["card", "document"],
        update_fields=["amount", "currency"],
    )
    # Last, so that a document which stays held is at no moment without a card.
    _detach_others(held, cards, topic)


def block(card: Card, documents: QuerySet[Document]) -> None:
    """A card about a step, not about documents: it blocks exactly these now."""
    with transaction.atomic():
        _lock(Q(pk=card.pk))
        Blocked.objects.filter(card=card).exclude(document__in=documents).delete()
        rows = documents.values_list("pk", "total", "currency").distinct()
        Blocked.objects.bulk_create(
            (
                Blocked(card=card, document_id=pk, amount=total, currency=currency)
                for pk, total, currency in rows
            ),
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["card", "document"],
            update_fields=["amount", "currency"],
        )


def follow(card: Card, documents: QuerySet[Document]) -> None:
    """As `block`, for a card that is looked at often: written only where its list is another."""
    listed = Blocked.objects.filter(card=card)
    gone = listed.exclude(document__in=documents)
    # What joins a card must not join one that was resolved meanwhile: it keeps what it had.
    if gone.exists() or documents.exclude(pk__in=listed.values("document")).exists():
        with transaction.atomic():
            _lock(Q(pk=card.pk))
            if Card.objects.filter(pk=card.pk, state__in=_LIVE).exists():
                block(card, documents)


@transaction.atomic(savepoint=False)
def release(documents: Iterable[int], how: str, *, topic: str = "posting") -> None:
    """Nothing of this topic holds these documents any more; cards left empty are closed."""
    ids = list(documents)
    blocked = Blocked.objects.filter(document_id__in=ids, card__state__in=_LIVE, card__topic=topic)
    # Read before the rows go: afterwards nobody knows which cards may be empty.
    cards = list(blocked.values_list("card_id", flat=True).distinct())
    # The usual case, for every document that is in order.
    if not cards:
        return
    _lock(Q(pk__in=cards))
    blocked.delete()
    _close_empty(cards, how)


def open_card(
    organisation: Organisation | None, reason: Reason, *, topic: str = "connection"
) -> Card:
    """A card about something other than documents (a connection, a feed, an alert)."""
    (card,) = open_cards([(organisation, reason)], topic=topic)
    return card


def open_cards(reasons: Sequence[tuple[Organisation | None, Reason]], *, topic: str) -> list[Card]:
    """The cards of many reasons at once, in their order."""
    keys = [cause(*one) for one in reasons]
    found = _open_cards(dict(zip(keys, reasons, strict=True)), topic)
    return [found[key] for key in keys]


def move_to(places: Mapping[int, str]) -> None:
    """Live cards, by id, that are about something else from now on: what became of their subject.

    One whose place another live card has already stays as it is.
    """
    cards = list(Card.objects.filter(pk__in=places, state__in=_LIVE).order_by("pk"))
    for card in cards:
        card.subject_ref = places[card.pk]
        reason = Reason(code=card.code, about=card.subject_ref, sentence="")
        card.cause = cause(card.organisation, reason)
    there = Card.objects.filter(cause__in=[card.cause for card in cards], state__in=_LIVE)
    taken = set(there.values_list("cause", flat=True))
    free = {card.cause: card for card in cards if card.cause not in taken}
    Card.objects.bulk_update(free.values(), ["subject_ref", "cause"], batch_size=500)


def close_cause(organisation: Organisation | None, code: str, about: str, how: str) -> None:
    """The cause is gone: close its card, if one is open."""
    key = cause(organisation, Reason(code=code, about=about, sentence=""))
    # Snoozed ones too: what is gone need not come back.
    for card in Card.objects.filter(cause=key, state__in=_LIVE):
        resolve(card, BY_ITSELF, how)


def close_about(organisation: Organisation, about: str, how: str) -> None:
    """Whatever the code, what these cards of an organisation are about is well again."""
    for card in Card.objects.filter(
        organisation=organisation, subject_ref=about, topic="connection", state__in=_LIVE
    ):
        resolve(card, BY_ITSELF, how)


@transaction.atomic(savepoint=False)
def resolve(card: Card, by: str, how: str) -> list[int]:
    """Close a card; returns the ids of the documents that it blocked, for deciding again."""
    _lock(Q(pk=card.pk))
    documents = list(card.blocked.values_list("document_id", flat=True))
    # Who closed it first stays on record.
    closed = Card.objects.filter(pk=card.pk).exclude(state=Card.State.RESOLVED)
    closed.update(state=Card.State.RESOLVED, resolved_at=now(), resolved_by=by, resolution=how)
    return documents


def snooze(card: Card, until: datetime, by: str) -> None:
    """Put a card aside until a moment (aware); `wake` brings it back."""
    with transaction.atomic():
        live = Card.objects.filter(pk=card.pk, state__in=_LIVE)
        live.update(state=Card.State.SNOOZED, snoozed_until=until)
        told = f"{card.sentence} Snoozed until {until:%Y-%m-%d %H:%M} UTC by {by}."
        record_change(told, operation="card.snooze")


def wake(card: Card | None = None) -> int:
    """Bring back this card, or every card whose time has come; how many."""
    asleep = Card.objects.filter(state=Card.State.SNOOZED)
    due = asleep.filter(snoozed_until__lte=now()) if card is None else asleep.filter(pk=card.pk)
    return due.update(state=Card.State.OPEN, snoozed_until=None)


def assign(card: Card, person_id: int | None) -> None:
    """Give a card to a person, or to nobody (None)."""
    with transaction.atomic():
        Card.objects.filter(pk=card.pk).update(owner_id=person_id)
        card.refresh_from_db(fields=["owner"])
        told = (
            f"{card.sentence} It is now {card.owner.email}'s."
            if card.owner
            else (f"{card.sentence} It is nobody's now.")
        )
        record_change(told, operation="card.assign")


def comment(card: Card, author: str, text: str) -> Comment:
    """Add a remark."""
    return Comment.objects.create(card=card, author=author, text=text.strip())


_LIVE = (Card.State.OPEN, Card.State.SNOOZED)


def _lock(cards: Q) -> None:
    """Nobody else closes these live cards, or comes to them, before this transaction ends.

    A document that came to a card while somebody closed it would be held by nothing that people
    see. In one order, so that no two wait for each other.
    """
    ids = Card.objects.filter(cards, state__in=_LIVE).values("pk")
    list(Card.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))


def _open_cards(
    wanted: dict[str, tuple[Organisation | None, Reason]], topic: str
) -> dict[str, Card]:
    """The live card of each cause, made where there is none, brought up to date where there is."""
    found = {card.cause: card for card in Card.objects.filter(cause__in=wanted, state__in=_LIVE)}
    missing = [_card(key, topic, *wanted[key]) for key in wanted if key not in found]
    if missing:
        # Another process may open the same card at this moment: theirs is as good.
        Card.objects.bulk_create(missing, ignore_conflicts=True)
        found = {
            card.cause: card for card in Card.objects.filter(cause__in=wanted, state__in=_LIVE)
        }
    _refresh([(card, wanted[key][1]) for key, card in found.items()])
    return found


def _card(key: str, topic: str, organisation: Organisation | None, reason: Reason) -> Card:
    known = entry(reason.code)
    return Card(
        code=reason.code,
        cause=key,
        topic=topic,
        organisation=organisation,
        severity=known.severity,
        subject=reason.subject[:255],
        subject_ref=reason.about[:255],
        sentence=reason.sentence,
        advice=known.advice,
        own_amount=reason.amount,
        own_currency=reason.currency,
        details=reason.details,
    )


def _refresh(cards: Iterable[tuple[Card, Reason]]) -> None:
    # Written only where it says something new: a held document comes by with each pass.
    changed = [
        (card, reason)
        for card, reason in cards
        if (card.sentence, card.details, card.own_amount)
        != (reason.sentence, reason.details, reason.amount)
    ]
    moment = now()
    for card, reason in changed:
        card.sentence, card.details, card.last_seen_at = reason.sentence, reason.details, moment
        card.own_amount, card.own_currency = reason.amount, reason.currency
    # One statement: a look may bring thousands of alerts up to date.
    Card.objects.bulk_update(
        [card for card, _ in changed],
        ["sentence", "details", "own_amount", "own_currency", "last_seen_at"],
        batch_size=500,
    )


def _detach_others(held: Sequence[Held], cards: dict[str, Card], topic: str) -> None:
    ids = [one.document.pk for one in held]
    others = Blocked.objects.filter(document_id__in=ids, card__state__in=_LIVE, card__topic=topic)
    keep = Q(pk__in=[])
    for one in held:
        mine = [cards[cause(one.organisation, reason)].pk for reason in one.reasons]
        keep |= Q(document_id=one.document.pk, card_id__in=mine)
    stale = others.exclude(keep)
    touched = list(stale.values_list("card_id", flat=True).distinct())
    stale.delete()
    _close_empty(touched, "The cause is gone.")


def _close_empty(cards: Iterable[int], how: str) -> None:
    # The caller has locked them: no document comes to one that is judged here.
    empty = Card.objects.filter(pk__in=list(cards), state__in=_LIVE, blocked__isnull=True)
    empty.update(
        state=Card.State.RESOLVED, resolved_at=now(), resolved_by=BY_ITSELF, resolution=how
    )
