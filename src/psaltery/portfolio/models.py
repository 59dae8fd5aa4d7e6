"""One row a customer of the MSP, whatever systems know it, and its money, one row a currency.

Worked out from the mirrors every few minutes, so that a list of all customers can be sorted by
money or risk however many invoices there are. What a person entered (how it is billed) stays.
"""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from psaltery.connections.models import Organisation
from psaltery.desk.models import Company

MONEY: dict[str, Any] = {"max_digits": 19, "decimal_places": 4, "default": 0}


class Customer(models.Model):
    """A company of the PSA with its contacts in the books, or a contact that no company is."""

    class Billing(models.TextChoices):
        NORMAL = "normal", "billed as usual"
        PARENT = "parent", "billed to another customer"
        INTERNAL = "internal", "internal: not billed"
        CHARITY = "charity", "served for free"

    class Risk(models.TextChoices):
        NONE = "none", "no sign of risk"
        WATCH = "watch", "watch"
        HIGH = "high", "high"
        UNKNOWN = "unknown", "not checked"

    name = models.CharField(max_length=500)
    company = models.OneToOneField(
        Company, null=True, on_delete=models.CASCADE, related_name="customer"
    )
    # The contact of a customer without a company: organisation and id.
    contact_key = models.CharField(max_length=120, null=True, unique=True)
    billing = models.CharField(max_length=10, choices=Billing, default=Billing.NORMAL)
    billed_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    known_since = models.DateField(null=True)  # the first day that any system tells of
    # For sorting and the list: of the currency in which most is owed. All of it is in `money`.
    currency = models.CharField(max_length=8, blank=True)
    outstanding = models.DecimalField(**MONEY)
    overdue = models.DecimalField(**MONEY)
    invoiced = models.DecimalField(**MONEY)
    contracted = models.DecimalField(**MONEY)
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.UNKNOWN)
    risk_points = models.PositiveIntegerField(default=0)
    risk_reasons = models.JSONField(default=list)

    class Meta:
        db_table = "portfolio_customers"
        indexes = [
            models.Index(fields=["name", "id"], name="portfolio_by_name"),
            models.Index(fields=["outstanding", "id"], name="portfolio_by_outstanding"),
            models.Index(fields=["overdue", "id"], name="portfolio_by_overdue"),
            models.Index(fields=["invoiced", "id"], name="portfolio_by_invoiced"),
            models.Index(fields=["contracted", "id"], name="portfolio_by_contracted"),
            models.Index(fields=["risk_points", "id"], name="portfolio_by_risk"),
            GinIndex(name="portfolio_words", fields=["name"], opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.name


class CustomerContact(models.Model):
    """This contact of the books is that customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="contacts")
    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    external_id = models.CharField(max_length=100)

    class Meta:
        db_table = "portfolio_contacts"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"], name="one_customer_a_contact"
            )
        ]


class CustomerMoney(models.Model):
    """A customer's money in one currency. Receivables by days past the due date."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="money")
    currency = models.CharField(max_length=8)
    not_due = models.DecimalField(**MONEY)
    days_30 = models.DecimalField(**MONEY)  # 1 to 30 days past due
    days_60 = models.DecimalField(**MONEY)
    days_90 = models.DecimalField(**MONEY)
    older = models.DecimalField(**MONEY)
    invoiced_month = models.DecimalField(**MONEY)  # net of tax and credits, this month so far
    contracted_mrr = models.DecimalField(**MONEY)
    invoiced_mrr = models.DecimalField(**MONEY)  # of the last whole month

    class Meta:
        db_table = "portfolio_money"
        constraints = [
            models.UniqueConstraint(fields=["customer", "currency"], name="one_money_a_currency")
        ]
        indexes = [models.Index(fields=["currency"], name="portfolio_money_currency")]


class MonthSales(models.Model):
    """What all customers were invoiced in a month, with tax, less credits, in one currency."""

    currency = models.CharField(max_length=8)
    month = models.DateField()  # its first day
    total = models.DecimalField(**MONEY)

    class Meta:
        db_table = "portfolio_sales"
        constraints = [
            models.UniqueConstraint(fields=["currency", "month"], name="one_sales_a_month")
        ]


class AgreementSeen(models.Model):
    """An agreement or addition as it was last looked at: what changed is told by comparing."""

    connection_id = models.BigIntegerField()
    kind = models.CharField(max_length=10)  # agreement, addition
    external_id = models.CharField(max_length=64)
    values = models.JSONField(default=dict)

    class Meta:
        db_table = "portfolio_agreements_seen"
        constraints = [
            models.UniqueConstraint(
                fields=["connection_id", "kind", "external_id"], name="one_agreement_seen"
            )
        ]


class AgreementChange(models.Model):
    """Something about an agreement that is not as it was."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField()
    agreement_external_id = models.CharField(max_length=64)
    sentence = models.TextField()

    class Meta:
        db_table = "portfolio_agreement_changes"
        indexes = [models.Index(fields=["customer", "-at", "-id"], name="agreement_change_newest")]
