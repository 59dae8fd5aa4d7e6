"""Every call and every decision, append-only: one partitioned table, and its hash chain."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from psaltery.audit.folded import FoldedTextField


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
    found_by = FoldedTextField()  # what a search looks through, in lower case

    class Meta:
        db_table = "audit_entries"

    def __str__(self) -> str:
        return self.sentence or self.operation


class Block(models.Model):
    """A link of the chain: the hashes of some entries of one month, and the digest of it all.

    Blocks of one stretch of ids (`after_id`, `last_id`] hold every entry that is there, so a hash
    that is missing tells of an inserted entry, an entry that is missing of a removed one. When a
    month is dropped its blocks lose their hashes and keep their digest, on which the next builds.
    """

    number = models.BigIntegerField(primary_key=True)
    month = models.DateField()  # its first day; of the entries, in UTC
    after_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    entries = models.PositiveIntegerField()
    ids = ArrayField(models.BigIntegerField())
    hashes = models.BinaryField()  # 32 bytes an entry, in the order of `ids`
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()
    dropped = models.BooleanField(default=False)

    class Meta:
        db_table = "audit_blocks"
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


class Verification(models.Model):
    """What the last look at the whole chain found."""

    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    asked_by = models.CharField(max_length=255)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    blocks = models.PositiveBigIntegerField()
    entries = models.PositiveBigIntegerField()
    unsealed = models.PositiveBigIntegerField()  # too new to be sealed
    head = models.CharField(max_length=100, blank=True)  # the last block: number:digest
    count = models.PositiveBigIntegerField()  # of problems; 0: nothing was changed
    problems = models.JSONField(default=list)  # the first of them: {kind, id, sentence}

    class Meta:
        db_table = "audit_verifications"
        indexes = [models.Index(fields=["-at"], name="audit_verified_newest")]
