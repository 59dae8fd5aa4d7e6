"""What vendors told us by themselves: events, the keys that prove them, and what was refused."""

from django.db import models

from psaltery.connections.models import Connection, Organisation


class Outcome(models.TextChoices):
    """What an event led to when it came."""

    WOKE = "woke", "read sooner"
    IGNORED = "ignored", "not a type that is read"
    UNKNOWN = "unknown", "not a synced organisation"


class Event(models.Model):
    """One thing that changed at a vendor. An event that comes twice is stored once."""

    event_id = models.CharField(max_length=64)  # the same each time the event is delivered
    connection = models.ForeignKey(
        Connection, null=True, on_delete=models.SET_NULL, related_name="+"
    )  # whose key signed it
    category = models.CharField(max_length=64)  # as the vendor says: INVOICE, Ticket, …
    action = models.CharField(max_length=32)
    external_id = models.CharField(max_length=100)  # of the record that changed
    outcome = models.CharField(max_length=10, choices=Outcome)
    received_at = models.DateTimeField()
    replayed_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.category} {self.action} {self.external_id}"


class XeroEvent(Event):
    """One event of Xero. The table's name and columns are for outsiders too: docs/webhooks.md."""

    tenant_id = models.CharField(max_length=100)  # "" for events of the app itself
    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    event_at = models.DateTimeField(null=True)  # Xero's own time
    # Of the delivery that it came with; a gap to the one before means that one was missed.
    first_sequence = models.BigIntegerField()
    last_sequence = models.BigIntegerField()

    class Meta:
        db_table = "xero_webhook_events"
        constraints = [
            # Vendors deliver at least once; here the database makes it once, whichever process gets
            # it.
            models.UniqueConstraint(fields=["tenant_id", "event_id"], name="xero_event_once")
        ]
        indexes = [models.Index(fields=["-received_at", "-id"], name="xero_event_newest")]


class ConnectWiseEvent(Event):
    """One callback of ConnectWise."""

    # Of what is read by its id: when that was done. Other types wake their feed.
    handled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "connectwise_callback_events"
        constraints = [
            models.UniqueConstraint(fields=["connection", "event_id"], name="callback_once")
        ]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="callback_newest"),
            models.Index(
                fields=["connection"],
                condition=models.Q(handled_at__isnull=True, outcome="woke"),
                name="callback_waiting",
            ),
        ]


class SigningKey(models.Model):
    """A key of an app's webhooks. Two at once while it is rotated."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    sealed = models.TextField()
    hint = models.CharField(max_length=4)  # its last characters, so that people know which it is
    added_by = models.CharField(max_length=255)
    added_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)  # to the minute


class RealTime(models.Model):
    """Callbacks of one PSA connection: wanted or not, and how they are at the PSA."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="real_time"
    )
    # Part of the address that the PSA calls; not to be guessed.
    public_id = models.CharField(max_length=43, unique=True)
    wanted = models.BooleanField(default=False)
    address = models.TextField(blank=True)  # as registered
    types = models.JSONField(default=list)  # registered and active, as last seen
    problem = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True)
    check_at = models.DateTimeField(null=True)


class Refusal(models.Model):
    """Deliveries that were refused, counted by hour, sender's kind and reason."""

    class Reason(models.TextChoices):
        SIGNATURE = "signature", "wrong signature"
        PROBE = "probe", "wrong signature on an empty delivery"
        NO_KEY = "no_key", "no key to check it with"
        KEY_ADDRESS = "key_address", "key at an address that is not the PSA's"
        UNREADABLE = "unreadable", "signed, but not readable"
        TOO_LARGE = "too_large", "too large"

    kind = models.CharField(max_length=32)  # a manifest's kind
    connection = models.ForeignKey(
        Connection, null=True, on_delete=models.CASCADE, related_name="+"
    )  # where the address tells it
    reason = models.CharField(max_length=16, choices=Reason)
    hour = models.DateTimeField()
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "connection", "reason", "hour"],
                name="one_refusal_an_hour",
                nulls_distinct=False,
            )
        ]


class Gap(models.Model):
    """Deliveries of Xero that never came, by their numbers; everything was then read sooner."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    after = models.BigIntegerField()  # the last number before it
    before = models.BigIntegerField()  # the first number behind it
    found_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "after"], name="gap_once")]

    @property
    def missing(self) -> int:
        """How many events did not come."""
        return self.before - self.after - 1
