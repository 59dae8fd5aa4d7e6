"""Every call and every decision, append-only: one partitioned table."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Entry(models.Model):
    """One request, decision, change or sign-in.

    Ids of other slices are kept as plain values, not as foreign keys: an entry outlives what it
    speaks of. The table, its partitions by month and its guards are made by migration 0001; its
    primary key in the database is (at, id), since a partitioned table asks for that.
    """

    class Kind(models.TextChoices):
        REQUEST = "request", "request"
        DECISION = "decision", "decision"
        CHANGE = "change", "change"
        SIGN_IN = "sign_in", "sign-in"

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.TextField()  # a person's e-mail address, "worker" or "command line"
    kind = models.CharField(max_length=10, choices=Kind.choices)
    system = models.TextField()  # a manifest's kind, or "" for Psaltery itself
    organisation_id = models.BigIntegerField(null=True)
    organisation = models.TextField()
    operation = models.TextField()
    method = models.TextField()
    address = models.TextField()
    status = models.IntegerField(null=True)  # of HTTP; 0: no answer came
    duration_ms = models.IntegerField(null=True)
    bytes_out = models.BigIntegerField(null=True)
    bytes_in = models.BigIntegerField(null=True)
    document_kind = models.TextField()
    documents = ArrayField(models.TextField())  # their numbers; a batch has many
    customer = models.TextField()
    sentence = models.TextField()
    failed = models.BooleanField()
    request = models.TextField()
    response = models.TextField()
    found_by = models.TextField()  # what a search looks through
    digest = models.TextField()  # the chain's link; "" until the entry is chained

    class Meta:
        db_table = "audit_entries"

    def __str__(self) -> str:
        return self.sentence or self.operation
