"""Reads of the ledger's pages: quick at a million invoices, each in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from psycopg.errors import QueryCanceled

from psaltery.connections.models import Organisation
from psaltery.ledger.models import (
    BillingCreditMemo,
    BillingInvoice,
    BillingInvoiceLine,
    BillingPayment,
    Customer,
    LedgerAccount,
    LedgerTaxRate,
    Unallocated,
)

RECEIVABLE = "receivable"
# Adding up is asked for beside the page; beyond this it is given up rather than waited for.
TOTALS_TIMEOUT_MS = 3_000


def organisations() -> list[tuple[str, str]]:
    """The organisations whose books are mirrored, as choices."""
    # A PSA's site has no base currency: that tells books from it.
    rows = Organisation.objects.filter(chosen=True).exclude(base_currency="")
    return [(str(pk), name) for pk, name in rows.order_by("name").values_list("pk", "name")]


def customers() -> QuerySet[Customer]:
    """Contacts with what each owes, in its organisation's invoices."""
    # Correlated, so that only the rows of the page are added up, each from an index.
    own = BillingInvoice.objects.filter(
        organisation=OuterRef("organisation"),
        customer_external_id=OuterRef("external_id"),
        kind=RECEIVABLE,
        amount_due__gt=0,
    )
    owed = own.order_by().values("customer_external_id").annotate(sum=Sum("amount_due"))
    return Customer.objects.select_related("organisation").annotate(
        owes=Coalesce(Subquery(owed.values("sum")), Value(Decimal(0)))
    )


def invoices() -> QuerySet[BillingInvoice]:
    """What customers were invoiced."""
    return BillingInvoice.objects.filter(kind=RECEIVABLE).select_related("organisation")


def refunds() -> QuerySet[Any]:
    """Money paid back for a credit note, overpayment or prepayment. No payment of the customer's:
    it lies on no invoice, and no sum of payments counts it."""
    of = {"organisation": OuterRef("organisation"), "external_id": OuterRef("touch_external_id")}
    memos = BillingCreditMemo.objects.filter(**of)
    unused = Unallocated.objects.filter(**of)
    return (
        BillingPayment.objects.filter(kind=RECEIVABLE, invoice_external_id="")
        .select_related("organisation")
        .annotate(
            credit_number=Coalesce(
                Subquery(memos.values("number")[:1]), Subquery(unused.values("reference")[:1])
            ),
            customer_name=Coalesce(
                Subquery(memos.values("customer_name")[:1]),
                Subquery(unused.values("customer_name")[:1]),
            ),
        )
    )


def payments() -> QuerySet[BillingPayment]:
    """Every touch of money or credit on an invoice, with the invoice it touches."""
    invoice = BillingInvoice.objects.filter(
        organisation=OuterRef("organisation"), external_id=OuterRef("invoice_external_id")
    )
    return (
        BillingPayment.objects.filter(kind=RECEIVABLE)
        .exclude(invoice_external_id="")
        .select_related("organisation")
        .annotate(
            invoice_id=Subquery(invoice.values("pk")[:1]),
            invoice_number=Subquery(invoice.values("number")[:1]),
            customer_name=Subquery(invoice.values("customer_name")[:1]),
        )
    )


def credit_notes() -> QuerySet[BillingCreditMemo]:
    """Credit given to customers."""
    return BillingCreditMemo.objects.filter(kind=RECEIVABLE).select_related("organisation")


def unallocated() -> QuerySet[Unallocated]:
    """Overpayments and prepayments received."""
    return Unallocated.objects.filter(kind=RECEIVABLE).select_related("organisation")


@dataclass(frozen=True)
class Total:
    """What the rows of a view come to in one currency; `open` is what is still due or unused."""

    currency: str
    count: int
    amount: Decimal
    open: Decimal | None


def totals(rows: QuerySet[Any], amount: str, open_amount: str = "") -> list[Total] | None:
    """The sums of a view, one a currency, the greatest number of rows first.

    None when there are too many rows to add up within three seconds.
    """
    sums = {"count": Count("pk"), "amount": Sum(amount)}
    if open_amount:
        sums["open"] = Sum(open_amount)
    plain = rows.order_by().values("currency").annotate(**sums).order_by("-count", "currency")
    try:
        # A transaction of its own: the time limit ends with it, and a query that was cancelled
        # spoils nothing around it.
        with transaction.atomic():
            _limit_time()
            found = list(plain)
    except OperationalError as problem:
        if not isinstance(problem.__cause__, QueryCanceled):
            raise
        return None
    return [
        Total(
            row["currency"], row["count"], row["amount"], row.get("open") if open_amount else None
        )
        for row in found
    ]


def _limit_time() -> None:
    with connection.cursor() as cursor:
        # `true` is for this transaction only; SET itself takes no parameters.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(TOTALS_TIMEOUT_MS)])


@dataclass(frozen=True)
class Line:
    """A line of an invoice with its account and tax rate by name."""

    line: BillingInvoiceLine
    account: str
    tax: str

    @property
    def quantity(self) -> str:
        """As a person writes it, without the zeros that the column adds."""
        return plain_number(self.line.quantity)


def plain_number(number: Decimal) -> str:
    """10.500000 as 10.5, and 10 as 10 where `normalize` alone would say 1E+1."""
    return f"{number.normalize():f}"


def lines(invoice: BillingInvoice) -> list[Line]:
    """The lines of an invoice, in order; three queries."""
    rows = list(
        BillingInvoiceLine.objects.filter(
            organisation=invoice.organisation, invoice_external_id=invoice.external_id
        ).order_by("position")
    )
    codes, types = {row.account_code for row in rows}, {row.tax_type for row in rows}
    accounts = LedgerAccount.objects.filter(organisation=invoice.organisation, code__in=codes)
    rates = LedgerTaxRate.objects.filter(organisation=invoice.organisation, tax_type__in=types)
    account_names = {account.code: str(account) for account in accounts}
    rate_names = {rate.tax_type: str(rate) for rate in rates}
    return [
        Line(
            row,
            account_names.get(row.account_code, row.account_code),
            rate_names.get(row.tax_type, row.tax_type),
        )
        for row in rows
    ]


def touches(invoice: BillingInvoice) -> QuerySet[BillingPayment]:
    """Money and credit on one invoice, removed ones included, oldest first."""
    return BillingPayment.objects.filter(
        organisation=invoice.organisation, invoice_external_id=invoice.external_id
    ).order_by(F("paid_on").asc(nulls_last=True), "pk")


def customer_of(invoice: BillingInvoice) -> Customer | None:
    """The contact that was invoiced."""
    return Customer.objects.filter(
        organisation=invoice.organisation, external_id=invoice.customer_external_id
    ).first()
