"""The mirror of the books, vendor-neutral. Table and column names are documented in docs/tables.md:
people query them from outside, so they are part of the interface."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from psaltery.connections.models import Organisation

# Nearly all documents are authorised or paid.
RARE_STATUSES = ("draft", "submitted", "voided", "deleted")
MONEY: dict[str, Any] = {"max_digits": 19, "decimal_places": 4}


class Mirrored(models.Model):
    """What every mirrored row has. `source` is the vendor's kind: xero, quickbooks."""

    # The unique constraint of each table begins with the organisation: one more index is too many.
    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    source = models.CharField(max_length=16)
    external_id = models.CharField(max_length=100)
    updated_at = models.DateTimeField(null=True)  # as the books say

    class Meta:
        abstract = True


class Customer(Mirrored):
    name = models.CharField(max_length=500)
    email = models.CharField(max_length=255)
    tax_number = models.CharField(max_length=64)
    account_number = models.CharField(max_length=64)
    contact_number = models.CharField(max_length=64)
    phone = models.CharField(max_length=64)
    website = models.CharField(max_length=255)
    city = models.CharField(max_length=255)
    country = models.CharField(max_length=64)
    currency = models.CharField(max_length=8)
    is_customer = models.BooleanField()
    is_supplier = models.BooleanField()
    state = models.CharField(max_length=16)
    # Xero keeps the loser of a merge, and names the winner here.
    # https://developer.xero.com/documentation/api/accounting/contacts
    merged_into = models.CharField(max_length=100)
    name_key = models.CharField(max_length=500, db_index=True)  # normalised, see kit.text

    class Meta:
        db_table = "customers"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="one_customer")
        ]
        indexes = [
            GinIndex(name="customer_words", fields=["name"], opclasses=["gin_trgm_ops"]),
            models.Index(fields=["name", "id"], name="customer_by_name"),
        ]

    def __str__(self) -> str:
        return self.name


class BillingInvoice(Mirrored):
    kind = models.CharField(max_length=16)  # receivable, payable
    number = models.CharField(max_length=255)
    status = models.CharField(max_length=16)
    customer_external_id = models.CharField(max_length=100)
    customer_name = models.CharField(max_length=500)
    currency = models.CharField(max_length=8)
    issued_on = models.DateField(null=True)
    due_on = models.DateField(null=True)
    fully_paid_on = models.DateField(null=True)
    reference = models.CharField(max_length=500)
    tax_mode = models.CharField(max_length=16)
    rate = models.DecimalField(max_digits=19, decimal_places=10, null=True)
    subtotal = models.DecimalField(**MONEY)
    tax = models.DecimalField(**MONEY)
    total = models.DecimalField(**MONEY)
    amount_due = models.DecimalField(**MONEY)
    amount_paid = models.DecimalField(**MONEY)
    amount_credited = models.DecimalField(**MONEY)
    url = models.TextField()
    # A template in the books may bill what an agreement of the PSA bills too: told by this.
    repeating_id = models.CharField(max_length=100)

    class Meta:
        db_table = "billing_invoices"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"], name="one_billing_invoice"
            )
        ]
        indexes = [
            models.Index(fields=["-issued_on", "-id"], name="billing_invoice_newest"),
            models.Index(
                fields=["organisation", "-issued_on", "-id"], name="billing_invoice_org_newest"
            ),
            models.Index(fields=["organisation", "number"], name="billing_invoice_number"),
            models.Index(
                fields=["organisation", "customer_external_id"], name="billing_invoice_customer"
            ),
            GinIndex(
                name="billing_invoice_words",
                fields=["number", "customer_name"],
                opclasses=["gin_trgm_ops", "gin_trgm_ops"],
            ),
            # Partial: what people look for is a small part, and a back-fill should not pay for it.
            models.Index(
                fields=["due_on", "id"],
                condition=Q(amount_due__gt=0),
                name="billing_invoice_open_by_due",
            ),
            models.Index(
                fields=["status", "-issued_on", "-id"],
                condition=Q(status__in=RARE_STATUSES),
                name="billing_invoice_rare_status",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class BillingInvoiceLine(models.Model):
    # To check the key of each line took half of the time of storing it; its invoice was checked.
    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    invoice_external_id = models.CharField(max_length=100)
    position = models.PositiveIntegerField()
    external_id = models.CharField(max_length=100)
    description = models.TextField()
    quantity = models.DecimalField(max_digits=19, decimal_places=6)
    unit_amount = models.DecimalField(max_digits=19, decimal_places=6)
    line_amount = models.DecimalField(**MONEY)
    tax_amount = models.DecimalField(**MONEY)
    tax_type = models.CharField(max_length=64)
    account_code = models.CharField(max_length=64)
    item_code = models.CharField(max_length=64)
    tracking = models.JSONField(default=list)

    class Meta:
        db_table = "billing_invoice_lines"
        indexes = [
            models.Index(
                fields=["organisation", "invoice_external_id", "position"], name="line_of_invoice"
            )
        ]


class BillingPayment(Mirrored):
    """One touch of money or credit on one invoice."""

    kind = models.CharField(max_length=16)
    touch = models.CharField(max_length=16)  # payment, credit_note, overpayment, prepayment
    touch_external_id = models.CharField(max_length=100)
    touch_number = models.CharField(max_length=255)
    invoice_external_id = models.CharField(max_length=100)
    amount = models.DecimalField(**MONEY)
    currency = models.CharField(max_length=8)
    rate = models.DecimalField(max_digits=19, decimal_places=10, null=True)
    paid_on = models.DateField(null=True)
    reference = models.CharField(max_length=500)
    account_external_id = models.CharField(max_length=100)
    batch_external_id = models.CharField(max_length=100)
    reconciled = models.BooleanField()
    state = models.CharField(max_length=16)

    class Meta:
        db_table = "billing_payments"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"], name="one_billing_payment"
            )
        ]
        indexes = [
            models.Index(fields=["-paid_on", "-id"], name="billing_payment_newest"),
            models.Index(
                fields=["organisation", "invoice_external_id"], name="billing_payment_invoice"
            ),
            models.Index(
                fields=["organisation", "touch_external_id"], name="billing_payment_touch"
            ),
            models.Index(
                fields=["organisation", "-paid_on", "-id"], name="billing_payment_org_newest"
            ),
            # Few of very many: what was paid back to customers.
            models.Index(
                fields=["-paid_on", "-id"],
                condition=Q(invoice_external_id=""),
                name="billing_payment_refunds",
            ),
            GinIndex(
                name="billing_payment_words", fields=["reference"], opclasses=["gin_trgm_ops"]
            ),
        ]


class BillingCreditMemo(Mirrored):
    kind = models.CharField(max_length=16)
    number = models.CharField(max_length=255)
    status = models.CharField(max_length=16)
    customer_external_id = models.CharField(max_length=100)
    customer_name = models.CharField(max_length=500)
    currency = models.CharField(max_length=8)
    issued_on = models.DateField(null=True)
    reference = models.CharField(max_length=500)
    subtotal = models.DecimalField(**MONEY)
    tax = models.DecimalField(**MONEY)
    total = models.DecimalField(**MONEY)
    remaining = models.DecimalField(**MONEY)

    class Meta:
        db_table = "billing_credit_memos"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"], name="one_billing_credit_memo"
            )
        ]
        indexes = [
            models.Index(fields=["-issued_on", "-id"], name="credit_memo_newest"),
            models.Index(
                fields=["organisation", "customer_external_id"], name="credit_memo_customer"
            ),
        ]


class Unallocated(Mirrored):
    """Overpayments and prepayments: money received that is not wholly applied."""

    kind = models.CharField(max_length=16)
    touch = models.CharField(max_length=16)
    customer_external_id = models.CharField(max_length=100)
    customer_name = models.CharField(max_length=500)
    currency = models.CharField(max_length=8)
    received_on = models.DateField(null=True)
    total = models.DecimalField(**MONEY)
    remaining = models.DecimalField(**MONEY)
    status = models.CharField(max_length=16)
    reference = models.CharField(max_length=500)

    class Meta:
        db_table = "billing_unallocated"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"], name="one_billing_unallocated"
            )
        ]


class LedgerAccount(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    external_id = models.CharField(max_length=100)
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=32)
    account_class = models.CharField(max_length=32)
    tax_type = models.CharField(max_length=64)
    active = models.BooleanField()
    takes_payments = models.BooleanField()
    system = models.CharField(max_length=64)
    currency = models.CharField(max_length=8)

    class Meta:
        db_table = "ledger_accounts"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="one_account")
        ]
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}".strip()


class LedgerTaxRate(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    tax_type = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    rate = models.DecimalField(max_digits=9, decimal_places=4)
    active = models.BooleanField()
    classes = models.JSONField(default=list)

    class Meta:
        db_table = "ledger_tax_rates"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "tax_type"], name="one_tax_rate")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.rate.normalize():f} %)"


class LedgerBrandingTheme(models.Model):
    """How documents look when the books send them."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    external_id = models.CharField(max_length=100)
    name = models.CharField(max_length=255)
    active = models.BooleanField()

    class Meta:
        db_table = "ledger_branding_themes"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="one_theme")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class LedgerTrackingOption(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    category_external_id = models.CharField(max_length=100)
    category = models.CharField(max_length=255)
    external_id = models.CharField(max_length=100)
    name = models.CharField(max_length=255)
    active = models.BooleanField()

    class Meta:
        db_table = "ledger_tracking_options"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="one_option")
        ]
        ordering = ["category", "name"]

    def __str__(self) -> str:
        return f"{self.category}: {self.name}"
