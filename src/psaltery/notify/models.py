"""Who is told (recipients), of what (rules), and everything that was or will be told."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.review.models import Card


class Recipient(models.Model):
    """A person's mailbox, or a channel of Slack or Teams."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"

    kind = models.CharField(max_length=8, choices=Kind)
    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="recipient"
    )
    name = models.CharField(max_length=80, blank=True)  # of a channel
    address = models.TextField(blank=True)  # sealed webhook address of a channel
    paused = models.BooleanField(default=False)
    failing_since = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="email", person__isnull=False)
                | (~Q(kind="email") & Q(person__isnull=True)),
                name="recipient_is_person_or_channel",
            )
        ]

    def __str__(self) -> str:
        return str(self.person) if self.person else self.name

    @property
    def where(self) -> str:
        """Where messages go, as people call it."""
        return self.person.email if self.person else f"{self.name} ({self.get_kind_display()})"


class Rule(models.Model):
    """What one recipient hears of, and when. Empty lists mean everything."""

    class Timing(models.TextChoices):
        AT_ONCE = "at_once", "At once"
        DAILY = "daily", "Once a day"

    class Severity(models.TextChoices):
        WARNING = "warning", "Warnings and errors"
        ERROR = "error", "Errors only"

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="rules")
    timing = models.CharField(max_length=8, choices=Timing, default=Timing.AT_ONCE)
    hour = models.PositiveSmallIntegerField(default=8, validators=[MaxValueValidator(23)])
    workdays = models.BooleanField(default=False)
    topics = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    kinds = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    codes = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    organisations = models.ManyToManyField(Organisation, blank=True)
    least_severity = models.CharField(max_length=10, choices=Severity, default=Severity.WARNING)
    least_amount = models.DecimalField(max_digits=19, decimal_places=4, null=True, blank=True)
    only_mine = models.BooleanField(default=False)
    wait_minutes = models.PositiveSmallIntegerField(default=2, validators=[MaxValueValidator(1440)])
    tell_resolved = models.BooleanField(default=False)
    since = models.DateTimeField()  # what was there before is not news

    class Meta:
        ordering = ["pk"]


class Message(models.Model):
    """One message to one recipient: booked, then sent outside every transaction, then settled.

    A message whose sending began and was never settled is `uncertain`, and never sent again.
    """

    class Kind(models.TextChoices):
        NEWS = "news", "News"
        DIGEST = "digest", "Digest"
        TEST = "test", "Test"

    class State(models.TextChoices):
        BOOKED = "booked", "waiting"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        UNCERTAIN = "uncertain", "uncertain"
        FAILED = "failed", "failed"
        DROPPED = "dropped", "not needed"

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=8, choices=Kind)
    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL)  # of a digest
    day = models.CharField(
        max_length=10, blank=True
    )  # of a digest in turn, in the recipient's zone
    key = models.UUIDField(default=uuid.uuid4, unique=True)  # the same at each try
    state = models.CharField(max_length=10, choices=State, default=State.BOOKED)
    subject = models.CharField(max_length=255, blank=True)
    text = models.TextField(blank=True)  # as it was sent
    booked_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    why = models.TextField(blank=True)  # what failed, or why it was not needed

    class Meta:
        constraints = [
            models.UniqueConstraint(
                # One digest a day, kept by the database: two workers may book at the same moment.
                fields=["rule", "day"],
                condition=Q(kind="digest") & ~Q(day=""),
                name="one_digest_a_day",
            )
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["booked", "sending"]),
                name="message_due",
            ),
            models.Index(fields=["-booked_at", "-id"], name="message_newest"),
            models.Index(fields=["recipient", "-booked_at"], name="message_of_recipient"),
        ]


class Notice(models.Model):
    """That a recipient is told of one event of one card: once, whatever crashes."""

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="notices")
    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=24)  # opened, woken-1, resolved, opened:again
    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="notices")
    booked_at = models.DateTimeField()

    class Meta:
        constraints = [
            # Nobody is told twice, kept by the database and not by whoever books.
            models.UniqueConstraint(fields=["recipient", "card", "event"], name="told_once")
        ]


class Nap(models.Model):
    """That a card was snoozed, and how often it came back since."""

    card = models.OneToOneField(Card, on_delete=models.CASCADE, primary_key=True)
    asleep = models.BooleanField(default=True)
    count = models.PositiveSmallIntegerField(default=0)
    woken_at = models.DateTimeField(null=True, blank=True)
