"""What an organisation's mappings cover of the last year, and what goes again when they change."""

from collections.abc import Iterable
from datetime import timedelta

from psaltery.connections.models import Organisation
from psaltery.kit.clock import now
from psaltery.mapping.coverage import Coverage, cover
from psaltery.mapping.lookup import PAYMENTS, PURCHASE_LISTS, what_of
from psaltery.mapping.models import Mapping
from psaltery.mapping.queries import known_keys, mappings_of
from psaltery.mapping.suggest import Place, Suggestion, suggestions
from psaltery.mapping.targets import Targets
from psaltery.matching.taken.queries import uses as payment_uses
from psaltery.posting.history import history
from psaltery.posting.policy import posted_kinds, read_policy
from psaltery.posting.usage import uses
from psaltery.records.psa import PURCHASES
from psaltery.sync import taken
from psaltery.sync.push import reconsider

# A year has every yearly renewal once: what it used will be needed again.
YEAR = timedelta(days=365)
# The codes of exceptions that a change of a list may settle begin so.
_SETTLES = {
    "account": ("account_", "tax_not_for_account", "adjustment_"),
    "tax": ("tax_", "adjustment_", "total_"),
    "tracking": ("tracking_",),
    "purchase_account": ("account_", "tax_not_for_account", "adjustment_"),
    "purchase_tax": ("tax_", "adjustment_", "total_"),
    PAYMENTS: (),
}


def lists_of(*organisations: Organisation) -> list[tuple[str, str]]:
    """The lists that these organisations use, with their labels: those of purchases only where
    bills or expenses are posted, or something is mapped for them already."""
    bought = any(
        set(PURCHASES) & set(posted_kinds(read_policy(one.settings))) for one in organisations
    )
    if not bought:
        mapped = Mapping.objects.filter(list__in=PURCHASE_LISTS)
        bought = mapped.filter(organisation__in=organisations).exists()
    left_out = set() if bought else set(PURCHASE_LISTS)
    if not any(read_policy(one.settings).psa_payments for one in organisations):
        mapped = Mapping.objects.filter(list=PAYMENTS, organisation__in=organisations)
        left_out |= set() if mapped.exists() else {PAYMENTS}
    every = Mapping.List.choices
    return [(str(name), str(label)) for name, label in every if name not in left_out]


def coverage_of(organisation: Organisation, list_: str, targets: Targets) -> Coverage:
    """One list's coverage of the documents of the last 12 months; a fixed number of queries."""
    since = (now() - YEAR).date()
    asked = (
        payment_uses(organisation, since) if list_ == PAYMENTS else uses(organisation, since, list_)
    )
    return cover(
        list_,
        asked,
        mappings_of(organisation),
        known_keys(organisation, list_),
        targets.wrong,
    )


def suggested(organisation: Organisation, list_: str) -> dict[Place, Suggestion]:
    """What the last year's documents, which were in the books before us, say keys become."""
    if what_of(list_) in ("tracking", PAYMENTS):
        return {}
    return suggestions(list_, history(organisation, (now() - YEAR).date(), list_))


def release(organisation: Organisation, lists: Iterable[str]) -> int:
    """Decide again about what these lists may have held; how many documents."""
    if PAYMENTS in lists:
        taken.reconsider(organisation)
    prefixes = [prefix for list_ in lists for prefix in _SETTLES[list_]]
    return sum(reconsider(organisation, prefix=prefix) for prefix in dict.fromkeys(prefixes))
