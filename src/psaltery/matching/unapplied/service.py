"""Cards of money that is not applied, and its application to the invoice that a person chose."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F

from psaltery.adapters.contract import Books
from psaltery.adapters.errors import BadSettings, Failure, TryLater
from psaltery.adapters.http import begin_writes_within
from psaltery.audit.actor import about
from psaltery.connections.models import Organisation
from psaltery.kit.clock import now
from psaltery.ledger.models import Unallocated
from psaltery.matching.unapplied import queries
from psaltery.matching.unapplied.decide import Candidate
from psaltery.records.drafts import BooksKind
from psaltery.records.money import ZERO
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import BY_ITSELF, open_cards, resolve

CODE, TOPIC = "payment_unmatched", "payment"
# The feeds that this follows from, and that tell what became of an application.
FEEDS = ("overpayments", "prepayments", "invoices")
# Said on the card; its page has all.
MOST = 8
CHOICES = 40
BEGIN_WITHIN = timedelta(seconds=10)
# How long a request whose answer was lost may still be at work.
GRACE = timedelta(minutes=3)


class Applying(msgspec.Struct, frozen=True, kw_only=True):
    """An application that was begun and not settled, as it is kept on the card."""

    invoice: str
    amount: Decimal
    due: Decimal  # on the invoice, before
    left: Decimal  # of the money, before
    at: datetime


@transaction.atomic
def look(organisation: Organisation) -> int:
    """Open a card for each piece of money that may be for an invoice, close the others; how many
    are open."""
    # Locked: the intent of somebody who applies the money just now must not be written over.
    live = Card.objects.select_for_update().filter(organisation=organisation, code=CODE)
    live = live.exclude(state=Card.State.RESOLVED).order_by("pk")
    cards = {card.subject_ref: card for card in live}
    found = queries.candidates(organisation, queries.left_over(organisation))
    reasons = [_reason(organisation, cards, row, ranked) for row, ranked in found]
    if reasons:
        open_cards([(organisation, reason) for reason in reasons], topic=TOPIC)
    for name in set(cards) - {reason.about for reason in reasons}:
        resolve(cards[name], BY_ITSELF, "It is applied, or nothing is open that it may be for.")
    return len(reasons)


def _reason(
    organisation: Organisation,
    cards: dict[str, Card],
    row: Unallocated,
    ranked: list[Candidate],
) -> Reason:
    name = f"unapplied:{row.external_id}"
    received = f" of {row.received_on:%Y-%m-%d}" if row.received_on else ""
    reference = f" ({row.reference})" if row.reference else ""
    sentence = (
        f"{row.remaining:,.2f} {row.currency} of {row.customer_name} in {organisation.name}, "
        f"{row.touch}{received}{reference}, is not applied; {_could_be(ranked)}."
    )
    details: dict[str, Any] = {"money": row.external_id, "invoices": _listed(ranked)}
    begun = applying(cards.get(name))
    # What was begun says nothing any more once money has moved.
    if begun is not None and begun.left == row.remaining:
        details["applying"] = msgspec.to_builtins(begun)
    return Reason(
        code=CODE,
        about=name,
        subject=row.customer_name,
        amount=row.remaining,
        currency=row.currency,
        sentence=sentence,
        details=details,
    )


def _could_be(ranked: list[Candidate]) -> str:
    first = ranked[0]
    why = f" ({first.why})" if first.why else ""
    if len(ranked) == 1:
        return f"it may be for {first.open.number}{why}"
    return f"it may be for {first.open.number}{why} or {len(ranked) - 1} more"


def _listed(ranked: list[Candidate]) -> list[dict[str, str]]:
    return [
        {"number": one.open.number, "due": f"{one.open.due:.2f}", "why": one.why}
        for one in ranked[:MOST]
    ]


def applying(card: Card | None) -> Applying | None:
    """What was begun for this card and not settled."""
    begun = card.details.get("applying") if card is not None else None
    return msgspec.convert(begun, Applying, strict=False) if begun else None


def money_of(card: Card) -> tuple[Unallocated, list[Candidate]]:
    """What is left now, and its candidates. Raises BadSettings when there is nothing to apply."""
    assert card.organisation is not None  # of its reason
    rows = queries.left_over(card.organisation).filter(external_id=card.details.get("money", ""))
    for found in queries.candidates(card.organisation, rows):
        return found
    raise BadSettings("It is applied already, or nothing is open that it may be for.", which="card")


def shown(request: object, card: Card) -> dict[str, Any]:
    """What the card's page shows: the money, and the invoices that it may be for."""
    try:
        money, ranked = money_of(card)
    except BadSettings as gone:
        return {"gone": str(gone)}
    return {"money": money, "ranked": ranked[:CHOICES], "left_out": len(ranked) - CHOICES}


def apply(card: Card, wanted: str, books: Books) -> str:
    """Apply the money to an invoice, by its number or its id in the books; what was done.

    As much as both have left. Raises BadSettings for an invoice that is no candidate, Rejected when
    the books refuse, and TryLater; after a lost answer it is looked up before it is sent again.
    """
    row, ranked = money_of(card)
    chosen = next((one for one in ranked if wanted in (one.open.invoice, one.open.number)), None)
    if chosen is None:
        raise BadSettings("Choose one of the open invoices that are listed.", which="invoice")
    numbers = [chosen.open.number]
    with about(document_kind=TOPIC, documents=numbers, customer=row.customer_name):
        begun = applying(card)
        if begun is not None and _has_arrived(begun, books):
            return _settled(card, row, begun, ranked)
        due = _due(chosen.open.invoice, books)
        amount = min(row.remaining, due)
        if amount <= ZERO:
            raise BadSettings("The invoice is settled already in the books.", which="invoice")
        begun = Applying(
            invoice=chosen.open.invoice, amount=amount, due=due, left=row.remaining, at=now()
        )
        _begin(card, begun)
        _send(card, row, begun, books)
        return _settled(card, row, begun, ranked)


def _due(invoice: str, books: Books) -> Decimal:
    # Asked for, not taken from the mirror: what is sent is then all that the invoice or the money
    # has left, so that the books refuse it a second time.
    found = books.get_document(BooksKind.INVOICE, invoice)
    return found.amount_due if found is not None else ZERO


def _has_arrived(begun: Applying, books: Books) -> bool:
    """Whether what was begun shows in the books. Raises BadSettings while nobody can know."""
    if _due(begun.invoice, books) < begun.due:
        return True
    if now() - begun.at < GRACE:
        raise BadSettings(
            "The answer to the last try was lost; try again in three minutes.", which="invoice"
        )
    return False


def _begin(card: Card, begun: Applying) -> None:
    """Kept before it is sent, in a transaction of its own."""
    with transaction.atomic():
        row = Card.objects.select_for_update().get(pk=card.pk)
        # Two people at one card: the second is told.
        if applying(row) != applying(card):
            raise BadSettings("Somebody else has just applied it.", which="card")
        row.details = {**row.details, "applying": msgspec.to_builtins(begun)}
        row.save(update_fields=["details"])
    card.details = row.details


def _send(card: Card, row: Unallocated, begun: Applying, books: Books) -> None:
    try:
        with begin_writes_within(BEGIN_WITHIN):
            books.allocate(
                row.external_id, begun.invoice, begun.amount, str(uuid.uuid4()), source=row.touch
            )
    except Failure as failure:
        if not (isinstance(failure, TryLater) and failure.uncertain):
            _forget(card)
        raise


def _forget(card: Card) -> None:
    """It certainly did not arrive: as if nothing had been begun."""
    card.details = {name: one for name, one in card.details.items() if name != "applying"}
    Card.objects.filter(pk=card.pk).update(details=card.details)


def _settled(card: Card, row: Unallocated, begun: Applying, ranked: list[Candidate]) -> str:
    # The mirror would say until its next reading that all of it is left.
    rows = Unallocated.objects.filter(pk=row.pk, remaining=begun.left)
    rows.update(remaining=F("remaining") - begun.amount)
    _forget(card)
    numbers = {one.open.invoice: one.open.number for one in ranked}
    target = numbers.get(begun.invoice, "an invoice")
    return f"{begun.amount:,.2f} {row.currency} of {row.customer_name} was applied to {target}"
