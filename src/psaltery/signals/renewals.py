"""The board of customers at risk: where each stands, whose it is, and what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
from psaltery.kit.clock import now
from psaltery.portfolio.models import Customer
from psaltery.signals.models import Renewal, RenewalNote, Snapshot

Stage = Renewal.Stage
# What ended rests on the board for a while, so that it is seen.
_ENDED = (Stage.SAVED, Stage.LOST)
_SHOWN = timedelta(days=90)
# More on one board is a list, and there is one.
MOST = 50


@dataclass(frozen=True)
class Column:
    """A stage with its customers, those with most points first; `more` are not shown."""

    stage: str
    label: str
    customers: list[Any]
    more: int


def customers() -> QuerySet[Customer]:
    """Who belongs on the board: those at risk, and those that somebody took up.

    With each: the points of the week before (`before`), and the last note (`said`).
    """
    recent = now() - _SHOWN
    taken = Q(renewal__isnull=False) & ~Q(renewal__stage__in=_ENDED, renewal__moved_at__lt=recent)
    fresh = Q(renewal__isnull=True, risk__in=("high", "watch"))
    snapshots = Snapshot.objects.filter(customer=OuterRef("pk")).order_by("-week")
    notes = RenewalNote.objects.filter(renewal=OuterRef("pk")).order_by("-at", "-pk")
    return (
        Customer.objects.filter(taken | fresh)
        .select_related("renewal__owner")
        .annotate(
            # The second newest: the newest snapshot is of this week, and still moves.
            before=Subquery(snapshots.values("points")[1:2]),
            said=Subquery(notes.values("text")[:1]),
        )
        .order_by("-risk_points", "-contracted", "pk")
    )


def board() -> list[Column]:
    """Every stage with its customers; a query a stage, and one that counts."""
    rows = customers().annotate(at=Coalesce("renewal__stage", Value(Stage.NOTICED.value)))
    counts = dict(rows.order_by().values_list("at").annotate(Count("pk")))
    return [
        Column(
            stage,
            Stage(stage).label,
            list(rows.filter(at=stage)[:MOST]) if stage in counts else [],
            max(counts.get(stage, 0) - MOST, 0),
        )
        for stage in Stage.values
    ]


def stage_of(customer: Customer) -> str:
    """Where a customer stands; one that nobody took up is only noticed."""
    renewal = getattr(customer, "renewal", None)
    return renewal.stage if renewal else Stage.NOTICED


def move(customer: Customer, stage: str) -> Renewal:
    """Put a customer at a stage. Raises BadSettings for one that there is not."""
    if stage not in Stage.values:
        raise BadSettings(f"There is no stage {stage!r}.", which="stage")
    with transaction.atomic():
        renewal = _taken_up(customer)
        if renewal.stage != stage:
            renewal.stage, renewal.moved_at = stage, now()
            renewal.save(update_fields=["stage", "moved_at"])
            told = f"{customer.name} is at {Stage(stage).label!r} on the board of renewals."
            record_change(told, operation="renewal.move")
    return renewal


def assign(customer: Customer, person: Any) -> Renewal:
    """Give a customer at risk to a person, or to nobody (None)."""
    with transaction.atomic():
        renewal = _taken_up(customer)
        if renewal.owner != person:
            renewal.owner = person
            renewal.save(update_fields=["owner"])
            whose = person.email if person else "nobody"
            record_change(
                f"The renewal of {customer.name} is {whose}'s.", operation="renewal.assign"
            )
    return renewal


def note(customer: Customer, author: str, text: str) -> RenewalNote | None:
    """Add a remark; none for an empty text."""
    if not text.strip():
        return None
    with transaction.atomic():
        renewal = _taken_up(customer)
        return RenewalNote.objects.create(
            renewal=renewal, author=author, text=text.strip(), at=now()
        )


def _taken_up(customer: Customer) -> Renewal:
    moment = now()
    # Made with the first act, so that the board fills by itself and nobody has to enter customers.
    renewal, _ = Renewal.objects.get_or_create(
        customer=customer, defaults={"since": moment, "moved_at": moment}
    )
    return renewal


def history(customer: Customer) -> Sequence[Snapshot]:
    """A customer's points by week, the oldest first, for half a year."""
    return list(Snapshot.objects.filter(customer=customer).order_by("-week")[:26])[::-1]
