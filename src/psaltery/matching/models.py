"""Payments of the books on their way back to the PSA: one hub-owned payment record an invoice."""

from django.db import models

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document


class PaymentBack(models.Model):
    """What the PSA is to show as paid on one linked document, and what it shows.

    ConnectWise is safest with one payment record an invoice (reference/connectwise.md 8), so the
    parts are summed; they are kept here and named in the note.
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
    parts = models.JSONField(default=list)
    # What we were about to write, while writing or uncertain.
    intent = models.JSONField(default=dict)
    dirty = models.BooleanField(default=False)  # money changed while it was being written
    booked_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "state"], name="payment_back_state")]
