"""Reads for the pages and commands of exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    CharField,
    Count,
    DecimalField,
    F,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat

from psaltery.connections.models import Organisation
from psaltery.desk.models import Company, Document
from psaltery.ledger.models import BillingInvoice, Customer
from psaltery.review.catalogue import CATALOGUE
from psaltery.review.models import IS_EXCEPTION, Blocked, Card

_MONEY = DecimalField(max_digits=19, decimal_places=4)


def cards() -> QuerySet[Card]:
    """All cards with what each blocks: `documents`, `amount` (for sorting) and `money`.

    `money` is a list of texts, amount and currency; `amount` adds up whatever the currency.
    """
    mine = Blocked.objects.filter(card=OuterRef("pk")).order_by()
    together = mine.values("card")
    # Never across currencies for people to read; `amount` is for the order of the list alone.
    by_currency = mine.values("currency").annotate(sum=Sum("amount"))
    text = Concat(Cast("sum", CharField()), Value(" "), "currency")
    return Card.objects.select_related("organisation", "owner").annotate(
        documents=Coalesce(
            Subquery(together.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0
        ),
        amount=Coalesce(
            Subquery(together.annotate(n=Sum("amount")).values("n"), output_field=_MONEY),
            "own_amount",
            Value(Decimal(0), output_field=_MONEY),
        ),
        money=ArraySubquery(by_currency.annotate(text=text).values("text")),
    )


def money_of(card: Card) -> list[tuple[Decimal, str]]:
    """What a card of `cards` blocks, or is about: amount and currency, the largest first."""
    pairs = [text.partition(" ") for text in getattr(card, "money", [])]
    if not pairs and card.own_amount is not None:
        return [(card.own_amount, card.own_currency)]
    return sorted(((Decimal(amount), code) for amount, _, code in pairs), reverse=True)


def totals() -> tuple[int, int, list[tuple[str, Decimal]]]:
    """What waits for a person: open cards, documents, and money by currency, each counted once."""
    count = Card.objects.filter(IS_EXCEPTION, state=Card.State.OPEN).count()
    # A document held by two cards counts once: its money is only there once.
    waiting = Blocked.objects.filter(card__state=Card.State.OPEN).values("document")
    sums = (
        Document.objects.filter(pk__in=waiting)
        .values("currency")
        .annotate(sum=Sum("total"), n=Count("pk"))
        .order_by("currency")
    )
    documents = sum(row["n"] for row in sums)
    return count, documents, [(row["currency"], row["sum"]) for row in sums]


def codes() -> list[tuple[str, str]]:
    """The codes that open or closed cards have, with their titles, as choices."""
    found = (
        Card.objects.filter(IS_EXCEPTION).order_by("code").values_list("code", flat=True).distinct()
    )
    return [(code, CATALOGUE[code].title if code in CATALOGUE else code) for code in found]


def organisations() -> list[tuple[str, str]]:
    """The organisations that cards belong to, as choices."""
    rows = Organisation.objects.filter(pk__in=Card.objects.values("organisation"))
    return [(str(pk), name) for pk, name in rows.values_list("pk", "name")]


def blocked(card: Card) -> QuerySet[Document]:
    """The documents that a card blocks, or blocked when it was resolved."""
    ids = Blocked.objects.filter(card=card).values("document")
    return Document.objects.filter(pk__in=ids).defer("lines")


def next_after(card: Card) -> Card | None:
    """The open card that is to be settled after this one: the most money first, then in turn."""
    every: Any = cards()  # annotated with what mypy does not know
    rows = every.filter(IS_EXCEPTION, state=Card.State.OPEN).exclude(pk=card.pk)
    # The same order as the list's, so that the next card is the one below.
    rows = rows.order_by("-amount", "pk")
    mine = every.get(pk=card.pk).amount
    later = Q(amount__lt=mine) | Q(amount=mine, pk__gt=card.pk)
    found: Card | None = rows.filter(later).first() or rows.first()
    return found


def shared_values(card: Card, fields: Sequence[str]) -> Mapping[str, str]:
    """Those of these document fields that are the same, and not empty, in all it blocks."""
    rows = blocked(card).order_by()
    found: dict[str, Any] = rows.aggregate(
        **{f"n_{name}": Count(F(name), distinct=True) for name in fields},
        **{name: Min(name) for name in fields},
    )
    return {name: found[name] for name in fields if found[f"n_{name}"] == 1 and found[name]}


# What repairs choose from.


def company_of(card: Card) -> Company | None:
    """The PSA company that a card about a contact concerns."""
    document = blocked(card).select_related("connection").first()
    if document is None:
        return None
    wanted = str(card.details.get("company_id") or document.company_external_id)
    return Company.objects.filter(connection=document.connection, external_id=wanted).first()


def candidates(card: Card, text: str = "", most: int = 12) -> list[Customer]:
    """Contacts of the books to link: those that the decision found first, then by the words."""
    everyone = Customer.objects.filter(organisation=card.organisation)
    ids = [one["id"] for one in card.details.get("candidates", [])]
    first = [] if text else list(everyone.filter(external_id__in=ids).order_by("name"))
    words = text or _first_word(card.subject)
    found = everyone.filter(state="active").exclude(external_id__in=[c.external_id for c in first])
    # Six words: each is one more condition to look for.
    for word in words.replace("\x00", "").split()[:6]:
        found = found.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return [*first, *found.order_by("name")[: most - len(first)]] if words else first


def _first_word(name: str) -> str:
    return next((word for word in name.split() if len(word) > 2 and word.lower() != "the"), "")


def other_document(card: Card) -> BillingInvoice | None:
    """The document of the books that a number clashes with."""
    return BillingInvoice.objects.filter(
        organisation=card.organisation, external_id=card.details.get("books_id", "")
    ).first()
