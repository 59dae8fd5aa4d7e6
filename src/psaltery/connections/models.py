"""Credentials, the organisations they reach, their feeds, and the budgets they share."""

from django.db import models
from django.db.models import Q


class Connection(models.Model):
    """One credential to one outside system, with a name of the user's choice."""

    class State(models.TextChoices):
        NEW = "new", "not finished"
        CONNECTED = "connected", "connected"
        NEEDS_RECONNECT = "needs_reconnect", "needs reconnecting"
        DISCONNECTED = "disconnected", "disconnected"

    kind = models.CharField(max_length=32)  # a manifest's kind
    name = models.CharField(max_length=100, unique=True)
    state = models.CharField(max_length=20, choices=State, default=State.NEW)
    reason_code = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)  # one sentence: what happened and what to do
    fields = models.JSONField(default=dict)  # the manifest's fields that are not secret
    secrets = models.TextField(blank=True)  # sealed JSON of the secret fields
    read_only = models.BooleanField(default=False)
    scopes = models.TextField(blank=True)  # as granted, space separated
    token_set = models.ForeignKey("TokenSet", null=True, blank=True, on_delete=models.PROTECT)
    authorised_by = models.CharField(max_length=255, blank=True)
    authorised_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class TokenSet(models.Model):
    """The OAuth tokens of one (app, user of the vendor), shared by every organisation it reaches.

    Xero: a token set belongs to app and user, never to a tenant (reference/xero.md 1.3).
    """

    kind = models.CharField(max_length=32)
    client_id = models.CharField(max_length=255)
    external_user = models.CharField(max_length=255)
    access = models.TextField(blank=True)  # sealed
    refresh = models.TextField(blank=True)  # sealed
    previous_refresh = models.TextField(blank=True)  # sealed; until the new one has worked
    previous_until = models.DateTimeField(null=True, blank=True)
    access_expires_at = models.DateTimeField(null=True, blank=True)
    refresh_expires_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "client_id", "external_user"], name="one_token_set_a_user"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_user}"


class ConsentRequest(models.Model):
    """A consent that was begun: binds `state` to a connection and a session, once, for minutes."""

    state_hash = models.CharField(max_length=64, unique=True)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE)
    verifier = models.TextField()  # sealed PKCE verifier
    redirect_uri = models.TextField()
    session_hash = models.CharField(max_length=64, blank=True)  # "" when begun on the command line
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)
    # What the connection becomes with this consent; None: what it was.
    read_only = models.BooleanField(null=True)


class Organisation(models.Model):
    """One set of books (a Xero organisation), or one PSA site: pulled from and posted to."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        REMOVED = "removed", "removed at the other side"
        MISMATCH = "mismatch", "not the organisation that was pinned"
        OFFLINE = "offline", "offline"

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="organisations"
    )
    external_id = models.CharField(max_length=100)  # Xero: the tenant id
    link_id = models.CharField(max_length=100, blank=True)  # Xero: the id of the connection itself
    name = models.CharField(max_length=255)
    chosen = models.BooleanField(default=False)
    paused = models.BooleanField(default=False)  # by a person
    state = models.CharField(max_length=20, choices=State, default=State.ACTIVE)
    reason = models.TextField(blank=True)
    # Pinned at the first health check; nothing is written when one of them differs.
    organisation_id = models.CharField(max_length=100, blank=True)
    short_code = models.CharField(max_length=32, blank=True)
    base_currency = models.CharField(max_length=3, blank=True)
    country = models.CharField(max_length=64, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    plan = models.CharField(max_length=64, blank=True)
    period_lock_on = models.DateField(null=True, blank=True)
    year_lock_on = models.DateField(null=True, blank=True)
    currencies = models.JSONField(default=list)
    settings = models.JSONField(
        default=dict
    )  # policies of this organisation, see posting/policy.py
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "external_id"], name="one_organisation_a_connection"
            )
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Feed(models.Model):
    """One stream of records of one organisation: its checkpoint, schedule and progress."""

    class State(models.TextChoices):
        IDLE = "idle", "in step"
        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"  # the day's budget; goes on by itself
        FAILED = "failed", "failed"

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="feeds")
    name = models.CharField(max_length=32)
    state = models.CharField(max_length=10, choices=State, default=State.IDLE)
    cursor = models.TextField(null=True, blank=True)  # opaque, the adapter's
    running_full = models.BooleanField(default=False)
    seconds = models.PositiveIntegerField()
    due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    full_pass_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)  # records in this run
    total = models.PositiveIntegerField(null=True, blank=True)
    changed = models.PositiveIntegerField(default=0)
    # When reading on last found something new; passes over everything don't count.
    moved_at = models.DateTimeField(null=True, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure = models.TextField(blank=True)
    failed_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name"], name="one_feed_an_organisation"
            )
        ]


class Budget(models.Model):
    """The calls of one organisation, shared by all processes; one row, changed by one UPDATE."""

    organisation = models.OneToOneField(
        Organisation, on_delete=models.CASCADE, primary_key=True, related_name="budget"
    )
    per_minute = models.PositiveIntegerField()
    theoretical_at = models.DateTimeField(null=True, blank=True)  # GCRA's arrival time
    blocked_until = models.DateTimeField(null=True, blank=True)
    blocked_why = models.CharField(max_length=32, blank=True)
    day = models.DateField(null=True, blank=True)
    day_used = models.PositiveIntegerField(default=0)
    day_cap = models.PositiveIntegerField(null=True, blank=True)
    day_remaining = models.PositiveIntegerField(null=True, blank=True)  # as the vendor last said
    heard_at = models.DateTimeField(null=True, blank=True)


class Usage(models.Model):
    """Calls and bytes of one organisation on one UTC day."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    hour = models.PositiveSmallIntegerField()
    calls = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "day", "hour"], name="one_usage_row_an_hour"
            ),
            models.CheckConstraint(condition=Q(hour__lt=24), name="usage_hour_of_the_day"),
        ]
