"""What a back-fill of an organisation takes: from the mirror, or counted at the vendor."""

from typing import Any

from django.db.models import QuerySet

from psaltery.adapters import registry
from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import FeedSpec, Role
from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_books
from psaltery.ledger.models import (
    BillingCreditMemo,
    BillingInvoice,
    BillingPayment,
    Customer,
    Unallocated,
)
from psaltery.sync.calls import budget_of, left_of_day
from psaltery.sync.forecast import Estimate, Part, calls_for, estimate

# The lists that mappings choose from: one call each (adapters/xero/books.py, settings).
SETTINGS_CALLS = 6
SETTINGS = "settings"


def known(organisation: Organisation) -> Estimate:
    """By the records that were read already: nothing is asked. Feeds never read count as one call.

    Raises BadSettings for a PSA, whose calls no day limits.
    """
    read = set(organisation.feeds.filter(full_pass_at__isnull=False).values_list("name", flat=True))
    mirrored = {name: rows.count() for name, rows in _mirror(organisation).items() if name in read}
    return _estimate(organisation, mirrored)


def least(kind: str) -> int:
    """The calls that the first reading of one organisation takes at least."""
    feeds = registry.manifest(kind).feeds
    # On demand: lists that nobody needs yet cost nothing before the first such document.
    return sum(_part(spec, {}).calls for spec in feeds if not spec.on_demand)


def counted(organisation: Organisation) -> Estimate:
    """By the vendor's own count, asked now: one call a feed. Raises the four failures."""
    _check(organisation)
    books = open_books(organisation, Priority.INTERACTIVE)
    names = [spec.name for spec in _feeds(organisation) if spec.name != SETTINGS]
    # One call each. To read a list in order to count it would cost what is to be estimated.
    found = {name: books.count(name) for name in names}
    return _estimate(organisation, {name: n for name, n in found.items() if n is not None})


def _check(organisation: Organisation) -> None:
    if registry.manifest(organisation.connection.kind).role != Role.BOOKS:
        raise BadSettings(
            f"{organisation.name} has no daily limit to reckon with.", which="organisation"
        )


def _feeds(organisation: Organisation) -> tuple[FeedSpec, ...]:
    """Those that it has, or would have: others are begun with what they are about."""
    begun = set(organisation.feeds.values_list("name", flat=True))
    known = registry.manifest(organisation.connection.kind).feeds
    return tuple(spec for spec in known if not spec.on_demand or spec.name in begun)


def _mirror(organisation: Organisation) -> dict[str, QuerySet[Any]]:
    """The mirrored rows of each feed."""
    own = {"organisation": organisation}
    return {
        "contacts": Customer.objects.filter(**own),
        "invoices": BillingInvoice.objects.filter(**own),
        "credit_notes": BillingCreditMemo.objects.filter(**own),
        "payments": BillingPayment.objects.filter(**own, touch="payment"),
        "overpayments": Unallocated.objects.filter(**own, touch="overpayment"),
        "prepayments": Unallocated.objects.filter(**own, touch="prepayment"),
    }


def _estimate(organisation: Organisation, records: dict[str, int]) -> Estimate:
    _check(organisation)
    budget = budget_of(organisation)
    limits = registry.manifest(organisation.connection.kind).limits
    return estimate(
        [_part(spec, records) for spec in _feeds(organisation)],
        per_minute=budget.per_minute if budget else limits.per_minute,
        day_cap=budget.day_cap if budget else limits.per_day,
        day_left=left_of_day(budget),
    )


def _part(spec: FeedSpec, records: dict[str, int]) -> Part:
    if spec.name == SETTINGS:
        return Part(name=spec.name, label=spec.label, records=0, calls=SETTINGS_CALLS)
    count = records.get(spec.name)
    return Part(name=spec.name, label=spec.label, records=count, calls=calls_for(count))
