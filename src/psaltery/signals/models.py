"""Alerts: what is worth a look about a customer or a source, with its money and its evidence."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.portfolio.models import Customer
from psaltery.review.models import Card

MONEY: dict[str, Any] = {"max_digits": 19, "decimal_places": 4}


class Alert(models.Model):
    """One thing found. At most one that is not resolved for one `subject` of one signal."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        SNOOZED = "snoozed", "snoozed"
        RESOLVED = "resolved", "resolved"

    class Severity(models.IntegerChoices):
        LOW = 1, "low"
        MEDIUM = 2, "medium"
        HIGH = 3, "high"
        CRITICAL = 4, "critical"

    signal = models.CharField(max_length=32)  # see signals.catalogue
    subject = models.CharField(max_length=120)  # customer:12, organisation:3, …
    customer = models.ForeignKey(
        Customer, null=True, on_delete=models.CASCADE, related_name="alerts"
    )
    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.CASCADE, related_name="+"
    )
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    sentence = models.TextField()
    # The greatest sum, for sorting; each currency's is in `money`: [[amount, currency], …].
    amount = models.DecimalField(**MONEY, null=True)
    currency = models.CharField(max_length=8, blank=True)
    money = models.JSONField(default=list)
    evidence = models.JSONField(default=list)  # signals.formulas.Proof, the first of them
    evidence_count = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # when it was last found
    snoozed_until = models.DateTimeField(null=True, blank=True)
    state_by = models.CharField(max_length=255, blank=True)
    note = models.TextField(blank=True)  # why it was acknowledged or snoozed; how it ended
    resolved_at = models.DateTimeField(null=True, blank=True)
    card = models.ForeignKey(Card, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        db_table = "signals_alerts"
        constraints = [
            # In the database: two looks at once must not open the same alert twice.
            models.UniqueConstraint(
                fields=["signal", "subject"],
                condition=~Q(state="resolved"),
                name="one_live_alert_a_subject",
            )
        ]
        indexes = [
            models.Index(fields=["state", "-severity", "-id"], name="alert_gravest"),
            models.Index(fields=["customer", "-opened_at", "-id"], name="alert_of_customer"),
        ]

    def __str__(self) -> str:
        return self.sentence


class Check(models.Model):
    """What the last look for a signal came to: a look that could not be made says why."""

    signal = models.CharField(max_length=32, unique=True)
    at = models.DateTimeField()
    looked_at = models.PositiveIntegerField(default=0)  # subjects that could be judged
    found = models.PositiveIntegerField(default=0)
    # Sentences: what was not checked, and why.
    not_checked = models.JSONField(default=list)
    not_checked_count = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "signals_checks"


class Threshold(models.Model):
    """A limit that somebody set; the others are as in signals.thresholds."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        db_table = "signals_thresholds"


class Muted(models.Model):
    """A signal that is switched off."""

    signal = models.CharField(max_length=32, primary_key=True)

    class Meta:
        db_table = "signals_muted"


class Snapshot(models.Model):
    """A customer's risk in a week, so that its change can be shown."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="snapshots")
    week = models.DateField()  # its Monday
    points = models.PositiveIntegerField()
    reasons = models.JSONField(default=list)

    class Meta:
        db_table = "signals_snapshots"
        constraints = [
            models.UniqueConstraint(fields=["customer", "week"], name="one_snapshot_a_week")
        ]


class Renewal(models.Model):
    """Where a customer at risk stands on the board, and whose it is."""

    class Stage(models.TextChoices):
        NOTICED = "noticed", "Noticed"
        CONTACTED = "contacted", "Talked to"
        PLAN = "plan", "Plan agreed"
        SAVED = "saved", "Stays"
        LOST = "lost", "Leaves"

    customer = models.OneToOneField(
        Customer, on_delete=models.CASCADE, primary_key=True, related_name="renewal"
    )
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.NOTICED)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    since = models.DateTimeField()
    moved_at = models.DateTimeField()

    class Meta:
        db_table = "signals_renewals"


class RenewalNote(models.Model):
    renewal = models.ForeignKey(Renewal, on_delete=models.CASCADE, related_name="notes")
    author = models.CharField(max_length=255)
    text = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "signals_renewal_notes"
        ordering = ["-at", "-id"]
