"""What people are asked about contacts, and every decision, so that it can be undone."""

from django.db import models

from psaltery.connections.models import Organisation
from psaltery.desk.models import Company


class Suggestion(models.Model):
    """A contact of the books that no company is linked to, and those that it may be."""

    class State(models.TextChoices):
        OPEN = "open", "Waits"
        ASIDE = "aside", "Not a customer of the PSA"
        DONE = "done", "Settled"

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="contact_suggestions"
    )
    contact_external_id = models.CharField(max_length=100)
    contact_name = models.CharField(max_length=500)
    detail = models.CharField(max_length=500, blank=True)  # what tells it apart, for people
    candidates = models.JSONField(default=list)  # resemble.Candidate, the best first
    best = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    found_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "contact_external_id"], name="one_suggestion_a_contact"
            )
        ]
        indexes = [models.Index(fields=["organisation", "state", "-best"], name="suggestion_best")]

    def __str__(self) -> str:
        return self.contact_name


class Decision(models.Model):
    """One decision about a contact, by a person or by Psaltery, with what was there before."""

    class Action(models.TextChoices):
        LINKED = "linked", "linked"
        SPLIT = "split", "split off"
        ASIDE = "aside", "set aside"
        FOLLOWED = "followed", "followed a merge"

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="contact_decisions"
    )
    company = models.ForeignKey(Company, on_delete=models.CASCADE, null=True)
    action = models.CharField(max_length=8, choices=Action)
    contact_external_id = models.CharField(max_length=100)
    contact_name = models.CharField(max_length=500)
    before_external_id = models.CharField(max_length=100, blank=True)
    before_name = models.CharField(max_length=500, blank=True)
    before_how = models.CharField(max_length=32, blank=True)
    why = models.CharField(max_length=100, blank=True)
    by = models.CharField(max_length=255)
    at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "-id"], name="contact_decision_newest")]
