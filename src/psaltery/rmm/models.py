"""Alerts of remote monitoring, and the keys that prove who sent them."""

from django.db import models

from psaltery.desk.models import Company


class RmmAlert(models.Model):
    """One alert, as it was last told. One that is told again is brought up to date."""

    class Severity(models.TextChoices):
        INFO = "info", "info"
        WARNING = "warning", "warning"
        ERROR = "error", "error"
        CRITICAL = "critical", "critical"

    external_id = models.CharField(max_length=200, unique=True)
    company = models.ForeignKey(
        Company, null=True, on_delete=models.SET_NULL, related_name="rmm_alerts"
    )
    company_text = models.CharField(max_length=255, blank=True)  # as the sender names it
    at = models.DateTimeField()
    severity = models.CharField(max_length=10, choices=Severity)
    device = models.CharField(max_length=255, blank=True)
    title = models.CharField(max_length=500)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=2000, blank=True)
    resolved = models.BooleanField(default=False)
    received_at = models.DateTimeField()

    class Meta:
        db_table = "rmm_alerts"
        indexes = [
            models.Index(fields=["company", "-at", "-id"], name="rmm_alert_of_company"),
            models.Index(fields=["-at", "-id"], name="rmm_alert_newest"),
        ]

    def __str__(self) -> str:
        return self.title


class RmmKey(models.Model):
    """A key that senders sign with. Two at once while it is rotated."""

    sealed = models.TextField(blank=True)
    hint = models.CharField(max_length=4)
    added_by = models.CharField(max_length=255)
    added_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)  # to the minute

    class Meta:
        db_table = "rmm_keys"
