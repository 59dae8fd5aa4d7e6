"""The mirror of the PSA: one row a record, replaced as a whole when its content changed."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from psaltery.connections.models import Connection

MONEY: dict[str, Any] = {"max_digits": 19, "decimal_places": 4}


class Mirrored(models.Model):
    """What every record of the PSA has: where it comes from and what it is called there."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    external_id = models.CharField(max_length=64)
    updated_at = models.DateTimeField(null=True)  # as the PSA says
    seen_at = models.DateTimeField(auto_now_add=True, null=True)

    class Meta:
        abstract = True


class Company(Mirrored):
    identifier = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=64)
    account_number = models.CharField(max_length=64)
    tax_number = models.CharField(max_length=64)
    email = models.CharField(max_length=255)
    phone = models.CharField(max_length=64)
    website = models.CharField(max_length=255)
    address = models.JSONField(default=list)
    city = models.CharField(max_length=128)
    region = models.CharField(max_length=128)
    postcode = models.CharField(max_length=32)
    country = models.CharField(max_length=64)
    currency = models.CharField(max_length=8)
    tax_code = models.CharField(max_length=64)
    territory = models.CharField(max_length=128)
    types = models.JSONField(default=list)
    tags = models.JSONField(default=list)
    custom = models.JSONField(default=dict)  # caption → value
    is_vendor = models.BooleanField()
    deleted = models.BooleanField()

    class Meta:
        db_table = "desk_companies"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_company")
        ]
        indexes = [GinIndex(name="company_name_words", fields=["name"], opclasses=["gin_trgm_ops"])]

    def __str__(self) -> str:
        return self.name


class Contact(Mirrored):
    company_external_id = models.CharField(max_length=64, db_index=True)
    first_name = models.CharField(max_length=128)
    last_name = models.CharField(max_length=128)
    email = models.CharField(max_length=255)
    phone = models.CharField(max_length=64)
    title = models.CharField(max_length=128)
    is_billing = models.BooleanField()
    is_default = models.BooleanField()
    active = models.BooleanField()

    class Meta:
        db_table = "desk_contacts"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_contact")
        ]


class Agreement(Mirrored):
    company_external_id = models.CharField(max_length=64, db_index=True)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=128)
    state = models.CharField(max_length=32)
    starts_on = models.DateField(null=True)
    ends_on = models.DateField(null=True)
    billing_cycle = models.CharField(max_length=64)
    bill_amount = models.DecimalField(**MONEY)
    next_invoice_on = models.DateField(null=True)
    location = models.CharField(max_length=128)
    department = models.CharField(max_length=128)
    currency = models.CharField(max_length=8)

    class Meta:
        db_table = "desk_agreements"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_agreement")
        ]


class Addition(Mirrored):
    agreement_external_id = models.CharField(max_length=64, db_index=True)
    product = models.CharField(max_length=128)
    description = models.TextField()
    quantity = models.DecimalField(max_digits=19, decimal_places=6)
    unit_price = models.DecimalField(max_digits=19, decimal_places=6)
    unit_cost = models.DecimalField(max_digits=19, decimal_places=6)
    billable = models.BooleanField()
    effective_on = models.DateField(null=True)
    cancelled_on = models.DateField(null=True)

    class Meta:
        db_table = "desk_additions"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_addition")
        ]


class Ticket(Mirrored):
    company_external_id = models.CharField(max_length=64, db_index=True)
    summary = models.TextField()
    board = models.CharField(max_length=128)
    status = models.CharField(max_length=128)
    type = models.CharField(max_length=128)
    priority = models.CharField(max_length=128)
    owner = models.CharField(max_length=128)
    agreement_external_id = models.CharField(max_length=64)
    source = models.CharField(max_length=128)
    closed = models.BooleanField()
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    actual_hours = models.DecimalField(max_digits=12, decimal_places=4)
    budget_hours = models.DecimalField(max_digits=12, decimal_places=4)

    class Meta:
        db_table = "desk_tickets"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_ticket")
        ]
        indexes = [models.Index(fields=["company_external_id", "opened_at"], name="ticket_time")]


class TimeEntry(Mirrored):
    company_external_id = models.CharField(max_length=64, db_index=True)
    member = models.CharField(max_length=128)
    worked_on = models.DateField(null=True)
    hours = models.DecimalField(max_digits=12, decimal_places=4)
    billable = models.CharField(max_length=32)
    ticket_external_id = models.CharField(max_length=64)
    agreement_external_id = models.CharField(max_length=64)
    invoice_external_id = models.CharField(max_length=64)
    work_type = models.CharField(max_length=128)
    work_role = models.CharField(max_length=128)
    rate = models.DecimalField(max_digits=19, decimal_places=6)
    amount = models.DecimalField(**MONEY)
    notes = models.TextField()

    class Meta:
        db_table = "desk_time_entries"
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_time_entry")
        ]


class Lookup(Mirrored):
    """Locations, departments, members, work types, tax codes …: lists the tenant defines."""

    list = models.CharField(max_length=32)
    name = models.CharField(max_length=255)
    code = models.CharField(max_length=128)
    active = models.BooleanField()
    rate = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    details = models.JSONField(default=dict)

    class Meta:
        db_table = "desk_lookups"
        constraints = [
            models.UniqueConstraint(fields=["connection", "list", "external_id"], name="one_lookup")
        ]


class Document(Mirrored):
    """A closed document: invoice, credit memo, bill (procurement received) or expense."""

    kind = models.CharField(max_length=16)
    type = models.CharField(max_length=64)
    number = models.CharField(max_length=64)
    company_external_id = models.CharField(max_length=64, db_index=True)
    company_name = models.CharField(max_length=255)
    currency = models.CharField(max_length=8)
    issued_on = models.DateField(db_index=True)
    due_on = models.DateField(null=True)
    closed = models.BooleanField()
    gone = models.BooleanField(default=False)  # deleted in the PSA
    status = models.CharField(max_length=64)
    location = models.CharField(max_length=128)
    department = models.CharField(max_length=128)
    territory = models.CharField(max_length=128)
    reference = models.CharField(max_length=255)
    customer_po = models.CharField(max_length=255)
    tax_code = models.CharField(max_length=64)
    tax_mode = models.CharField(max_length=16)
    tax_mode_known = models.BooleanField(default=True)
    subtotal = models.DecimalField(**MONEY)
    tax = models.DecimalField(**MONEY)
    total = models.DecimalField(**MONEY)
    payments = models.DecimalField(**MONEY)
    credits = models.DecimalField(**MONEY)
    balance = models.DecimalField(**MONEY)
    agreement = models.CharField(max_length=255)
    agreement_type = models.CharField(max_length=128)
    ticket_id = models.CharField(max_length=64)
    applied_to = models.CharField(max_length=64)
    # In a batch of the PSA's accounting, ours or another connector's.
    posted = models.BooleanField()
    vendor_number = models.CharField(max_length=128)
    custom = models.JSONField(default=dict)  # caption → value
    # In the row, not in a table: they are replaced with their document, as a whole.
    lines = models.JSONField(default=list)  # records.psa.DocumentLine, amounts as text
    fingerprint = models.CharField(max_length=64)  # of what the books would show; see service

    class Meta:
        db_table = "desk_documents"
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "kind", "external_id"], name="one_document"
            )
        ]
        indexes = [
            models.Index(fields=["-issued_on", "-id"], name="document_newest"),
            # The other orders of the list: it goes on from the last row seen, by (field, id).
            models.Index(fields=["number", "id"], name="document_by_number"),
            models.Index(fields=["company_name", "id"], name="document_by_customer"),
            models.Index(fields=["total", "id"], name="document_by_total"),
            GinIndex(name="document_company", fields=["company_name"], opclasses=["gin_trgm_ops"]),
            GinIndex(name="document_number", fields=["number"], opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.number
