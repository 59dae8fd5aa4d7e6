"""One PSA document into the books: where it stands, every attempt, and the link that remains."""

from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation
from psaltery.desk.models import Company, Document


class Posting(models.Model):
    """Where a document stands on its way to the books. One row a document."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        HELD = "held", "held"
        POSTING = "posting", "posting"
        UNCERTAIN = "uncertain", "uncertain"
        IN_STEP = "in_step", "in step"
        FAILED = "failed", "failed"
        SKIPPED = "skipped", "skipped"

    document = models.OneToOneField(
        Document, on_delete=models.CASCADE, primary_key=True, related_name="posting"
    )
    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.SET_NULL, related_name="postings"
    )
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    why = models.TextField(blank=True)  # one sentence
    trace = models.JSONField(default=dict)  # which route, mapping and rule chose each value
    fingerprint = models.CharField(max_length=64, blank=True)  # of the document when last decided
    urgent = models.BooleanField(default=False)  # forced by a person
    books_number = models.CharField(max_length=64, blank=True)  # where it must not be the PSA's
    waived = models.JSONField(default=list)  # codes of exceptions that a person has let pass
    skipped_by = models.CharField(max_length=255, blank=True)  # stays skipped until taken up
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "state"], name="posting_org_state"),
            models.Index(fields=["state"], name="posting_state"),
        ]


class Link(models.Model):
    """This document is that one in the books. Identity is these ids, never a name or a number."""

    # PROTECT: without the link the same document would be posted once more.
    document = models.OneToOneField(Document, on_delete=models.PROTECT, related_name="link")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="links")
    books_kind = models.CharField(max_length=16)  # invoice, bill, credit_note
    books_id = models.CharField(max_length=100)
    number = models.CharField(max_length=255)
    total = models.DecimalField(max_digits=19, decimal_places=4)
    tax = models.DecimalField(max_digits=19, decimal_places=4)
    # What was added so that the books come to the PSA's cents: a line, and on the tax of one.
    rounding = models.DecimalField(max_digits=19, decimal_places=4, default=0)
    tax_rounding = models.DecimalField(max_digits=19, decimal_places=4, default=0)
    status = models.CharField(max_length=16, blank=True)
    fingerprint = models.CharField(max_length=64)  # of the document as it was posted
    draft = models.JSONField(default=dict)  # what was posted, for the comparison line by line
    how = models.CharField(max_length=16)  # posted, adopted, found
    accepted = models.JSONField(default=list)  # drift that a person accepted: drift.Difference
    revert = models.BooleanField(default=False)  # a person wants our version written again
    psa_batch_id = models.CharField(max_length=64, blank=True)
    psa_marked_at = models.DateTimeField(null=True, blank=True)
    linked_at = models.DateTimeField(auto_now_add=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "books_kind", "books_id"], name="one_link_a_books_document"
            )
        ]
        indexes = [
            # The report of rounding is of few among all.
            models.Index(
                fields=["-linked_at", "-id"],
                condition=~models.Q(rounding=0) | ~models.Q(tax_rounding=0),
                name="link_rounded",
            )
        ]


class Reissue(models.Model):
    """A person has said that a posted invoice is voided or credited, and issued anew.

    At most one of a document is open. What is done already is read from the books before each step,
    so that it goes on wherever it was cut off.
    """

    class Way(models.TextChoices):
        VOID = "void", "voided and issued anew"
        CREDIT = "credit", "credited and issued anew"
        CREDIT_ONLY = "credit_only", "credited"

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="reissues")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    way = models.CharField(max_length=16, choices=Way)
    old_id = models.CharField(max_length=100)
    old_number = models.CharField(max_length=255)
    number = models.CharField(max_length=255)  # of the new invoice
    credit_number = models.CharField(max_length=255, blank=True)
    credit_id = models.CharField(max_length=100, blank=True)
    new_id = models.CharField(max_length=100, blank=True)
    moved = models.DecimalField(max_digits=19, decimal_places=4, default=0)  # credit on the new one
    rename_refused = models.BooleanField(default=False)
    asked_by = models.CharField(max_length=255)
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["document"],
                condition=Q(done_at__isnull=True),
                name="one_open_reissue_a_document",
            )
        ]


class Attempt(models.Model):
    """One write, booked before it is sent and settled after the answer.

    A `booked` attempt whose process died, and an `uncertain` one, are looked up before anything is
    sent again. At most one attempt a document (or contact) is open.
    """

    class State(models.TextChoices):
        BOOKED = "booked", "about to be sent"
        UNCERTAIN = "uncertain", "sent, no answer"
        SETTLED = "settled", "accepted"
        FOUND = "found", "found in the books afterwards"
        REJECTED = "rejected", "refused"
        ABANDONED = "abandoned", "never arrived"

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="attempts"
    )
    document = models.ForeignKey(
        Document, null=True, on_delete=models.CASCADE, related_name="attempts"
    )
    company = models.ForeignKey(
        Company, null=True, on_delete=models.CASCADE, related_name="attempts"
    )
    # A step of it; such steps are looked up by reissue/, all others by leftovers.py.
    reissue = models.ForeignKey(
        Reissue, null=True, on_delete=models.CASCADE, related_name="attempts"
    )
    kind = models.CharField(max_length=16)  # invoice, credit_note, bill, contact, allocation
    action = models.CharField(max_length=10)
    number = models.CharField(max_length=500)  # the document's number, or the contact's name
    key = models.CharField(max_length=128)  # idempotency key, shared by its batch
    position = models.PositiveIntegerField()  # in the batch
    payload = models.TextField()  # the exact element
    draft = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.BOOKED)
    booked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    books_id = models.CharField(max_length=100, blank=True)
    problems = models.JSONField(default=list)
    warnings = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["document"],
                condition=Q(state__in=["booked", "uncertain"]),
                name="one_open_attempt_a_document",
            ),
            models.UniqueConstraint(
                fields=["organisation", "company"],
                condition=Q(state__in=["booked", "uncertain"], kind="contact"),
                name="one_open_attempt_a_contact",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation"],
                condition=Q(state__in=["booked", "uncertain"]),
                name="attempt_open",
            )
        ]


class Item(models.Model):
    """A product of the PSA that is an item of the books. Known by its code, which is unique there:
    one whose answer was lost is found again by it."""

    class State(models.TextChoices):
        WANTED = "wanted", "waiting"
        IN_STEP = "in_step", "in step"
        HELD = "held", "held"

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="items")
    product = models.CharField(max_length=128)  # the PSA's identifier
    code = models.CharField(max_length=30)  # the books' code; a long one is shortened
    name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=19, decimal_places=6, null=True)
    # Where it was first booked: {"account_code", "tax_type"}; empty while never sold (bought).
    sales = models.JSONField(default=dict)
    purchase = models.JSONField(default=dict)
    books_id = models.CharField(max_length=100, blank=True)
    how = models.CharField(max_length=16, blank=True)  # created, found, chosen (by a person)
    written = models.CharField(max_length=64, blank=True)  # hash of what the books were told
    state = models.CharField(max_length=10, choices=State, default=State.WANTED)
    why = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "product"], name="one_item_a_product"),
            # Several products may be one item of the books, where a person says so.
            models.UniqueConstraint(
                fields=["organisation", "code"],
                condition=~Q(how="chosen"),
                name="one_item_a_code",
            ),
        ]
        ordering = ["product"]
