"""Runs: what the engine did, for the dashboard and for people who ask."""

from datetime import timedelta

from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation


class Run(models.Model):
    """One run of a pull, a posting or a matching."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="runs")
    what = models.CharField(max_length=32)  # pull, post, payments
    feed = models.CharField(max_length=32, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, default="running")  # running, done, paused, failed
    read = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    written = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    sentence = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["-started_at"], name="run_newest")]


class Backfill(models.Model):
    """Reading everything of one organisation, as a job that a person may pause, resume, cancel."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="backfills"
    )
    feeds = models.JSONField(default=list)  # their names
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    asked_by = models.CharField(max_length=255)
    asked_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    rested = models.DurationField(default=timedelta)  # in pauses that are over
    finished_at = models.DateTimeField(null=True)
    read = models.JSONField(default=dict)  # feed → records, of those that are read through
    kept = models.JSONField(default=dict)  # feed → its cursor before, for the case of a cancelling
    # As reckoned beforehand; records None: the vendor was not asked and nothing was read before.
    records = models.PositiveIntegerField(null=True)
    calls = models.PositiveIntegerField(default=0)
    minutes = models.PositiveIntegerField(default=0)

    class Meta:
        # In the database, because two people may click at once: two passes would share one
        # checkpoint.
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"],
                condition=Q(state__in=["running", "paused"]),
                name="one_open_backfill_an_organisation",
            )
        ]
