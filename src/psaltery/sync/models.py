"""Runs: what the engine did, for the dashboard and for people who ask."""

from django.db import models

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
