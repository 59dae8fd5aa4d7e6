"""Settings of one organisation: policies, schedule, calls. Checked, audited, obeyed at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
from django.db import transaction

from psaltery.adapters import registry
from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
from psaltery.connections.models import Budget, Feed, Organisation
from psaltery.connections.opening import source_of
from psaltery.kit.clock import now
from psaltery.ledger.models import LedgerAccount
from psaltery.mapping.service import remember_facts
from psaltery.matching.service import unreconciled
from psaltery.matching.taken import service as taken
from psaltery.posting.policy import Policy, read_policy, stored_policy
from psaltery.sync import force, push
from psaltery.sync.pace import LEAST_SECONDS

# A day at most: silence longer than that could not be told from a feed that died.
MOST_SECONDS = 86_400
WORDS = {
    "status": "status of posted documents",
    "draft_first": "first invoice of a customer is a draft",
    "draft_above": "drafts above",
    "credit_notes": "post credit memos",
    "bills": "post bills",
    "bill_status": "status of bills",
    "expenses": "expenses become",
    "spend_account": "account of money spent",
    "purchase_orders": "post purchase orders",
    "items": "post products as items",
    "psa_payments": "post the PSA's payments",
    "payments_each": "the PSA shows each payment",
    "payments_reconciled": "payments count once they are reconciled",
    "create_contacts": "create contacts",
    "contacts": "linked contacts",
    "post_from": "post from",
    "due_days": "due days",
    "adjustment_cap": "rounding cap",
    "adjustment_account": "rounding account",
    "branding_theme_id": "branding theme",
    "rates": "rates of exchange",
    "lock": "documents of a locked period",
    "next_lock_on": "next lock expected on",
}


@dataclass(frozen=True)
class Wanted:
    """What somebody wants of an organisation; None or nothing leaves it as it is.

    `seconds` is the interval of each feed that changes; `per_minute` the calls we make at most.
    """

    policy: Policy | None = None
    seconds: Mapping[str, int] = field(default_factory=dict)
    per_minute: int | None = None


@dataclass(frozen=True)
class Changed:
    """What was changed, in words, and how many held documents go again for it."""

    words: list[str]
    released: int = 0


def change(organisation: Organisation, wanted: Wanted) -> Changed:
    """Store the settings, all or none, and decide again about what is held.

    Raises BadSettings for an interval or a number of calls that is not allowed.
    """
    # All or none: half a form would post by a policy that nobody chose.
    with transaction.atomic():
        policy = _policy(organisation, wanted.policy) if wanted.policy else []
        words = [*policy, *_schedule(organisation, wanted.seconds)]
        if wanted.per_minute is not None:
            words += _calls(organisation, wanted.per_minute)
        if any(word.startswith(WORDS["payments_reconciled"]) for word in policy):
            # With the setting or not at all: nothing else would ever look at these invoices.
            unreconciled(organisation)
        if words:
            record_change(
                f"{organisation.name}: {'; '.join(words)}.",
                source=source_of(organisation),
                operation="organisation.settings",
            )
    if not policy:
        return Changed(words)
    if any(word.startswith(WORDS["contacts"]) for word in policy):
        remember_facts(organisation)
    if any(word.startswith(WORDS["purchase_orders"]) for word in policy):
        _read_orders()
    if read_policy(organisation.settings).psa_payments:
        taken.switched_on(organisation)
    # What was left out by the old policy may go by the new one.
    return Changed(words, push.reconsider(organisation) + push.take_up(organisation))


def _policy(organisation: Organisation, wanted: Policy) -> list[str]:
    _check_spending(organisation, wanted)
    before = msgspec.structs.asdict(read_policy(organisation.settings))
    after = msgspec.structs.asdict(wanted)
    different = [name for name in after if before[name] != after[name]]
    if different:
        # What other settings stand there stays.
        organisation.settings = {**organisation.settings, **stored_policy(wanted)}
        organisation.save(update_fields=["settings"])
    return [
        f"{WORDS.get(name, name)} {_text(before[name])} → {_text(after[name])}"
        for name in different
    ]


def _check_spending(organisation: Organisation, wanted: Policy) -> None:
    """Raises BadSettings where expenses can't be entered as money spent."""
    if wanted.expenses != "spend":
        return
    rows = LedgerAccount.objects.filter(organisation=organisation, type="BANK", active=True)
    if not rows.filter(external_id=wanted.spend_account).exists():
        raise BadSettings(
            "Choose the bank account that expenses are spent from.", which="spend_account"
        )
    # Said here, where a person can mend it: Xero would refuse every expense, one by one. Bank
    # transactions have a scope of their own.
    # https://developer.xero.com/documentation/guides/oauth2/scopes/
    granted = organisation.connection.scopes
    if granted and "accounting.banktransactions" not in granted.split():
        raise BadSettings(
            "The connection may not create bank transactions: allow them on it, and reconnect.",
            which="expenses",
        )


def _read_orders() -> None:
    """Orders were not kept while nobody wanted them: they are read from the start."""
    for feed in Feed.objects.filter(name="purchase_orders", organisation__chosen=True):
        force.feed(feed, full=True)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "") else "none"


def _schedule(organisation: Organisation, seconds: Mapping[str, int]) -> Iterable[str]:
    for feed in Feed.objects.filter(organisation=organisation, name__in=seconds):
        interval = seconds[feed.name]
        if interval == feed.seconds:
            continue
        if not LEAST_SECONDS <= interval <= MOST_SECONDS:
            raise BadSettings(
                "An interval is at least 5 minutes and at most 24 hours.", which=feed.name
            )
        yield f"{feed.name} every {interval_text(feed.seconds)} → {interval_text(interval)}"
        feed.seconds = interval
        fields = ["seconds"]
        # One that runs, or waits for its vendor, keeps its moment; its end reckons with the new
        # interval.
        if feed.state in (Feed.State.IDLE, Feed.State.FAILED):
            feed.due_at = max(now(), (feed.finished_at or now()) + timedelta(seconds=interval))
            fields.append("due_at")
        feed.save(update_fields=fields)


def _calls(organisation: Organisation, per_minute: int) -> list[str]:
    budget = Budget.objects.filter(organisation=organisation).first()
    if budget is None or budget.per_minute == per_minute:
        return []
    most = registry.manifest(organisation.connection.kind).limits.per_minute_most
    if not 1 <= per_minute <= most:
        raise BadSettings(f"The vendor allows 1 to {most:,} calls a minute.", which="per_minute")
    before, budget.per_minute = budget.per_minute, per_minute
    budget.save(update_fields=["per_minute"])
    return [f"calls a minute {before} → {per_minute}"]


def interval_text(seconds: int) -> str:
    """An interval as people say it: 20 s, 15 minutes, 6 hours."""
    for size, word in ((3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {word}" if count == 1 else f"{count} {word}s"
    return f"{seconds} s"
