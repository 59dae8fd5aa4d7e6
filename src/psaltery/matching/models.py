"""Payments of the books on their way back to the PSA, and the tie-out of both sides."""

from decimal import Decimal
from typing import Any

from django.db import models

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.matching.decide import ALL_SHOWN


class PaymentBack(models.Model):
    """What the PSA is to show as paid on one linked document, and what it shows.

    ConnectWise is safest with one payment record an invoice (reference/connectwise.md 8), so the
    parts are summed; they are kept here and named in the note. Where an organisation wants a record
    for each part, `payments` has them, `psa_payment_id` is empty and `amount` their sum.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        WRITING = "posting", "posting"
        UNCERTAIN = "uncertain", "uncertain"
        IN_STEP = "in_step", "in step"
        HELD = "held", "held"

    document = models.OneToOneField(
        Document, on_delete=models.CASCADE, primary_key=True, related_name="payment_back"
    )
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    why = models.TextField(blank=True)
    # What the PSA has from us.
    psa_payment_id = models.CharField(max_length=64, blank=True)
    amount = models.DecimalField(max_digits=19, decimal_places=4, default=0)
    paid_on = models.DateField(null=True)
    credits = models.JSONField(default=list)  # applied credit memos: decide.ShownCredit
    payments = models.JSONField(default=list)  # records of single parts: decide.ShownPart
    parts = models.JSONField(default=list)
    # What we were about to write, while writing or uncertain.
    intent = models.JSONField(default=dict)
    dirty = models.BooleanField(default=False)  # money changed while it was being written
    booked_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "state"], name="payment_back_state")]

    @property
    def credited(self) -> Decimal:
        """What the PSA shows as settled by credit memos, from us."""
        return sum((Decimal(one["amount"]) for one in self.credits), Decimal(0))

    @property
    def remark(self) -> str:
        """Why the PSA does not show just what the books have; "" when it does."""
        in_step = self.state == PaymentBack.State.IN_STEP and self.why == ALL_SHOWN
        return "" if in_step else self.why


MONEY: dict[str, Any] = {"max_digits": 19, "decimal_places": 4}


class PaymentsToRead(models.Model):
    """The PSA's payments of this linked document are to be read: they may be news to the books."""

    document = models.OneToOneField(
        Document, on_delete=models.CASCADE, primary_key=True, related_name="payments_to_read"
    )
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField()


class PaymentTaken(models.Model):
    """A payment that somebody entered in the PSA, on its way to the books or there."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        WRITING = "posting", "posting"
        UNCERTAIN = "uncertain", "uncertain"
        IN_STEP = "in_step", "in step"
        HELD = "held", "held"
        REMOVED = "removed", "removed"

    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, related_name="payments_taken", db_index=False
    )
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    psa_payment_id = models.CharField(max_length=64)
    # The PSA's credit memo that was applied, by its id there; "" for money.
    credit_memo = models.CharField(max_length=64, blank=True)
    # What the PSA has.
    amount = models.DecimalField(**MONEY)
    paid_on = models.DateField(null=True)
    method = models.CharField(max_length=128, blank=True)
    taken_by = models.CharField(max_length=64, blank=True)  # a person, or the PSA's portal
    gone = models.BooleanField(default=False)  # removed in the PSA
    # What the books have of it.
    books_payment_id = models.CharField(max_length=100, blank=True)
    posted_amount = models.DecimalField(**MONEY, default=0)
    posted_on = models.DateField(null=True)
    ours = models.BooleanField(default=True)  # False: a bookkeeper entered it there as well
    # What a person said of a payment of the same amount in the books.
    apart = models.BooleanField(default=False)
    same = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    why = models.TextField(blank=True)
    # What we were about to write, while writing or uncertain.
    intent = models.JSONField(default=dict)
    booked_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["document", "psa_payment_id"], name="one_row_a_payment_taken"
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "state"], name="payment_taken_state"),
            models.Index(fields=["-paid_on", "-id"], name="payment_taken_newest"),
        ]


class TieOut(models.Model):
    """One comparison of receivables, of one organisation of the books, at one moment.

    No organisation: the PSA's documents that no rule sends anywhere.
    """

    class State(models.TextChoices):
        TIES = "ties", "ties"
        UNEXPLAINED = "unexplained", "unexplained difference"
        NOT_CHECKED = "not_checked", "not checked"

    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.CASCADE, related_name="+"
    )
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField(default=0)
    asked_by = models.CharField(max_length=255)
    state = models.CharField(max_length=16, choices=State)
    # The moments that both mirrors are of, and the feeds that are too old to say anything.
    psa_as_of = models.DateTimeField(null=True)
    books_as_of = models.DateTimeField(null=True)
    stale = models.JSONField(default=list)
    # One entry a currency: {currency, psa, books, difference, unexplained, customers, documents}.
    sums = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["organisation", "-at"], name="tieout_newest")]


class TieOutCustomer(models.Model):
    """A customer's receivables on both sides, in one currency."""

    tieout = models.ForeignKey(TieOut, on_delete=models.CASCADE, related_name="customers")
    customer = models.CharField(max_length=128)  # the contact's id in the books, or company:…
    name = models.CharField(max_length=500)
    currency = models.CharField(max_length=8)
    psa = models.DecimalField(**MONEY)
    books = models.DecimalField(**MONEY)
    difference = models.DecimalField(**MONEY)  # the PSA's less the books'
    unexplained = models.DecimalField(**MONEY, default=0)
    documents = models.PositiveIntegerField(default=0)  # that make the difference

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tieout", "customer", "currency"], name="one_tieout_a_customer"
            )
        ]
        indexes = [models.Index(fields=["tieout", "name", "id"], name="tieout_customer_name")]


class TieOutDocument(models.Model):
    """A part of a difference: the document that makes it, and why."""

    tieout = models.ForeignKey(TieOut, on_delete=models.CASCADE, related_name="documents")
    customer = models.CharField(max_length=128)
    name = models.CharField(max_length=500)
    currency = models.CharField(max_length=8)
    cause = models.CharField(max_length=20)
    amount = models.DecimalField(**MONEY)
    number = models.CharField(max_length=255)
    sentence = models.TextField()
    # Plain numbers and ids: a row outlives what it speaks of.
    document_id = models.BigIntegerField(null=True)
    card_id = models.BigIntegerField(null=True)
    books_kind = models.CharField(max_length=16, blank=True)
    books_id = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["tieout", "customer", "currency"], name="tieout_document_name"),
            models.Index(fields=["tieout", "cause"], name="tieout_document_cause"),
        ]
