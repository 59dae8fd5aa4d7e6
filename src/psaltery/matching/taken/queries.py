"""Reads of payments that were entered in the PSA."""

from datetime import date

from django.db.models import Count, Sum

from psaltery.connections.models import Organisation
from psaltery.mapping.coverage import Use
from psaltery.matching.models import PaymentTaken
from psaltery.records.money import ZERO
from psaltery.records.psa import DocumentLine


def uses(organisation: Organisation, since: date) -> list[Use]:
    """What payments ask the mapping of accounts for: method and source, as a line carries them."""
    rows = (
        PaymentTaken.objects.filter(
            organisation=organisation, gone=False, credit_memo="", paid_on__gte=since
        )
        .order_by()
        .values("document", "document__currency", "method", "taken_by")
        .annotate(sum=Sum("amount"), count=Count("pk"))
    )
    return [
        Use(
            line=DocumentLine(
                key="", source=row["method"], description="", quantity=ZERO, unit_price=ZERO,
                amount=ZERO, member=row["taken_by"],
            ),
            currency=row["document__currency"] or organisation.base_currency,
            amount=row["sum"],
            lines=row["count"],
            documents=frozenset((row["document"],)),
        )
        for row in rows
    ]  # fmt: skip
