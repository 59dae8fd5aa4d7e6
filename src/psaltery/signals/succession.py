"""A customer that goes on as another keeps its alerts, its weeks and its place on the board."""

from collections.abc import Mapping
from typing import Any

from psaltery.audit.service import record_change
from psaltery.kit.clock import now
from psaltery.portfolio.models import Customer
from psaltery.portfolio.succession import repoint
from psaltery.review.service import BY_ITSELF, move_to
from psaltery.signals.looks import of_customer
from psaltery.signals.models import Alert, Renewal, RenewalNote, Snapshot
from psaltery.signals.service import LIVE, carry


def hand_over(heirs: Mapping[int, int], **_: Any) -> None:
    """Receives portfolio.succession.succeeded: the ids of those that end, and of their heirs."""
    _renewals(heirs)
    _snapshots(heirs)
    _alerts(heirs)


def _renewals(heirs: Mapping[int, int]) -> None:
    for old in Renewal.objects.filter(customer__in=heirs).select_related("customer", "owner"):
        heir = Customer.objects.get(pk=heirs[old.pk])
        entry = {"stage": old.stage, "owner": old.owner, "since": old.since}
        new, made = Renewal.objects.get_or_create(
            customer=heir, defaults={**entry, "moved_at": old.moved_at}
        )
        if not made:
            _join(old, new)
        RenewalNote.objects.filter(renewal=old).update(renewal=new)
        record_change(
            f"The renewal of {old.customer.name} goes on as that of {heir.name}.",
            operation="renewal.hand_over",
        )


def _join(old: Renewal, new: Renewal) -> None:
    """Both were taken up: what was said last counts, and nobody who cared for one is dropped."""
    if old.moved_at > new.moved_at:
        new.stage, new.moved_at = old.stage, old.moved_at
    new.owner = new.owner or old.owner
    new.since = min(new.since, old.since)
    new.save()


def _snapshots(heirs: Mapping[int, int]) -> None:
    there = set(
        Snapshot.objects.filter(customer__in=heirs.values()).values_list("customer_id", "week")
    )
    moved = []
    for row in Snapshot.objects.filter(customer__in=heirs).order_by("pk"):
        key = (heirs[row.customer_id], row.week)
        if key not in there:
            there.add(key)
            row.customer_id = key[0]
            moved.append(row)
    Snapshot.objects.bulk_update(moved, ["customer"], batch_size=500)


def _alerts(heirs: Mapping[int, int]) -> None:
    lived = Alert.objects.filter(customer__in=heirs.values(), state__in=LIVE)
    taken = set(lived.values_list("customer_id", "signal"))
    kept: list[Alert] = []
    doubled: list[Alert] = []
    for alert in Alert.objects.filter(customer__in=heirs, state__in=LIVE).order_by("pk"):
        key = (heirs[alert.customer_id or 0], alert.signal)
        (doubled if key in taken else kept).append(alert)
        taken.add(key)
        alert.customer_id, alert.subject = key[0], of_customer(key[0])
    # One live alert a customer and signal: the heir's says what this one did. Its card is closed
    # with the others that no alert has any more.
    Alert.objects.filter(pk__in=[alert.pk for alert in doubled]).update(
        state=Alert.State.RESOLVED,
        resolved_at=now(),
        state_by=BY_ITSELF,
        note="It goes on with another alert.",
    )
    move_to({alert.card_id: alert.subject for alert in kept if alert.card_id})
    # Only these two: people may acknowledge it at this moment.
    Alert.objects.bulk_update(kept, ["customer", "subject"], batch_size=500)
    repoint(Alert, "customer", heirs)
    told = Alert.objects.filter(pk__in=[alert.pk for alert in kept], card__isnull=False)
    carry(list(told.select_related("customer", "organisation", "card")))
