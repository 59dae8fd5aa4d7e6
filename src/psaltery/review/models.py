"""Exceptions: one card for one cause, the documents it blocks, and how it ended."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document

# Alerts are told by cards too, and have pages of their own: they are no exceptions.
IS_EXCEPTION = ~Q(topic="alert")


class Card(models.Model):
    """Something that did not happen, why, and what mends it. `cause` is unique among open cards."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        SNOOZED = "snoozed", "snoozed"
        RESOLVED = "resolved", "resolved"

    code = models.CharField(max_length=64, db_index=True)  # of the error catalogue
    cause = models.CharField(max_length=255)
    topic = models.CharField(
        max_length=16, default="posting"
    )  # posting, payment, drift, connection, alert
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    severity = models.CharField(max_length=10, default="error")  # error, warning
    organisation = models.ForeignKey(Organisation, null=True, on_delete=models.CASCADE)
    subject = models.CharField(
        max_length=255, blank=True
    )  # the account code, company, … it is about
    subject_ref = models.CharField(max_length=255, blank=True)  # its id, for the repair
    sentence = models.TextField()
    advice = models.TextField(blank=True)
    # Money that is on no document; what documents hold is in Blocked.
    own_amount = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    own_currency = models.CharField(max_length=8, blank=True)
    details = models.JSONField(default=dict)  # parameters of the repair; the vendor's own messages
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(auto_now=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=255, blank=True)
    resolution = models.TextField(blank=True)

    class Meta:
        # Two processes that meet the same cause at once share one card by this.
        constraints = [
            models.UniqueConstraint(
                fields=["cause"], condition=~Q(state="resolved"), name="one_open_card_a_cause"
            )
        ]
        indexes = [models.Index(fields=["state", "-opened_at"], name="card_open_newest")]


class Blocked(models.Model):
    """One document that a card holds back, with its money."""

    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="blocked")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="+")
    amount = models.DecimalField(max_digits=19, decimal_places=4)
    currency = models.CharField(max_length=8)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "document"], name="blocked_once")]


class Comment(models.Model):
    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="comments")
    author = models.CharField(max_length=255)
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
