"""Where a document goes (routes) and what its parts become (mappings), for each organisation."""

from django.db import models

from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Company


class Route(models.Model):
    """One ordered rule: documents whose `field` equals `value` go to `organisation`."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="routes")
    position = models.PositiveIntegerField()
    field = models.CharField(max_length=32)  # see mapping.routing.FIELDS
    value = models.CharField(max_length=255, blank=True)  # "" with field "any": everything
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="routes")

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "field", "value"], name="one_route_a_value"
            )
        ]


class Mapping(models.Model):
    """One entry: in `organisation`, the PSA's (`key_kind`, `key`) becomes `target`.

    `list` account: target is an account code; tax: a tax type; tracking: an option's id; payment:
    an account's id, since bank accounts need no code. Bills and expenses have lists of their own
    for accounts and taxes.
    """

    class List(models.TextChoices):
        ACCOUNT = "account", "Accounts"
        TAX = "tax", "Tax rates"
        TRACKING = "tracking", "Tracking"
        PURCHASE_ACCOUNT = "purchase_account", "Purchase accounts"
        PURCHASE_TAX = "purchase_tax", "Purchase tax rates"
        PAYMENT = "payment", "Payment accounts"

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="mappings"
    )
    list = models.CharField(max_length=16, choices=List)
    key_kind = models.CharField(max_length=32)  # see mapping.lookup: the fallback chain
    key = models.CharField(max_length=255, blank=True)
    target = models.CharField(max_length=100)
    version = models.PositiveIntegerField(default=1)
    changed_by = models.CharField(max_length=255, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "list", "key_kind", "key"], name="one_mapping_a_key"
            )
        ]


class ContactLink(models.Model):
    """A PSA company is this contact of the books. Names are used once, to adopt; then only ids."""

    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="contact_links"
    )
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="contact_links")
    contact_external_id = models.CharField(max_length=100)
    contact_name = models.CharField(max_length=500, blank=True)
    how = models.CharField(max_length=32)  # created, number, name, email, person, adopted
    linked_by = models.CharField(max_length=255, blank=True)
    # The PSA's facts as the books were last told, or as they were when it was linked.
    written = models.JSONField(default=dict)
    stale = models.BooleanField(default=False)  # they changed since
    linked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "company"], name="one_contact_a_company"
            )
        ]
        indexes = [
            models.Index(
                fields=["organisation", "contact_external_id"], name="contact_link_contact"
            )
        ]
