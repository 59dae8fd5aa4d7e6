"""Writes of routes, mappings and contact links. Everything is checked before it is saved."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.audit.actor import actor
from psaltery.audit.service import Source, record_change
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Company
from psaltery.ledger.models import LedgerAccount, LedgerTaxRate, LedgerTrackingOption
from psaltery.mapping.contacts import FACTS
from psaltery.mapping.lookup import KEYS, PURCHASE_LISTS, folded
from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.mapping.routing import FIELDS

# The same as decisions obey (posting/draft.py): what can be mapped can be posted to.
_SALES_CLASSES = ("REVENUE", "LIABILITY", "EQUITY", "ASSET", "EXPENSE")
_PURCHASE_CLASSES = ("EXPENSE", "ASSET", "LIABILITY", "EQUITY")


def source(organisation: Organisation) -> Source:
    """The organisation, for the audit log."""
    return Source(
        system=organisation.connection.kind,
        organisation_id=organisation.pk,
        organisation=organisation.name,
    )


def checked_rule(field: str, value: str, organisation: Organisation) -> str:
    """The value of a rule as it is stored.

    Raises BadSettings for an unknown field, a missing value or an organisation that is not chosen.
    """
    if field not in FIELDS:
        raise BadSettings(
            f"There is no field “{field}”. Known: {', '.join(FIELDS)}.", which="field"
        )
    # Documents routed there would wait without anybody reading or writing for them.
    if not organisation.chosen:
        raise BadSettings(f"{organisation.name} is not chosen for sync.", which="organisation")
    # "Everything" with a value would be a second rule that can never be reached.
    value = "" if field == "any" else value.strip()
    if field != "any" and not value:
        raise BadSettings("The value is missing.", which="value")
    return value


def add_route(connection: Connection, field: str, value: str, organisation: Organisation) -> Route:
    """Append a rule (or change the organisation of the one for this field and value).

    Raises BadSettings as `checked_rule` does.
    """
    value = checked_rule(field, value, organisation)
    rules = Route.objects.filter(connection=connection)
    rule = rules.filter(field=field, value__iexact=value).first()
    if rule is not None and rule.organisation_id == organisation.pk:
        return rule
    last = rules.order_by("-position").first()
    with transaction.atomic():
        if rule is None:
            position = last.position + 1 if last else 1
            rule = Route(connection=connection, field=field, value=value, position=position)
        rule.organisation = organisation
        rule.save()
        words = f"{FIELDS[field][0]} {value}".strip()
        record_change(
            f"{words} goes to {organisation.name}.",
            source=source(organisation),
            operation="route.set",
        )
    return rule


def save_routes(connection: Connection, rules: Sequence[tuple[str, str, Organisation]]) -> None:
    """Put exactly these rules, in this order, in the place of the connection's rules.

    Rules that stay keep their identity, so that traces still lead to them. Raises BadSettings for
    the first rule that can't be saved; nothing is changed then.
    """
    with transaction.atomic():
        kept = [add_route(connection, *rule).pk for rule in rules]
        # Two rules for one value became one row: the second organisation would win unseen.
        if len(set(kept)) != len(kept):
            raise BadSettings("Two rules are for the same value.", which="value")
        present = Route.objects.filter(connection=connection)
        for rule in present.exclude(pk__in=kept).select_related("organisation__connection"):
            remove_route(rule)
        if list(present.order_by("position", "pk").values_list("pk", flat=True)) != kept:
            reorder_routes(connection, kept)


def remove_route(rule: Route) -> None:
    """Remove a rule; documents already posted stay where they are."""
    with transaction.atomic():
        record_change(
            f"{FIELDS[rule.field][0]} {rule.value} no longer goes to {rule.organisation.name}.",
            source=source(rule.organisation),
            operation="route.remove",
        )
        rule.delete()


def reorder_routes(connection: Connection, ids: Sequence[int]) -> None:
    """Put the rules in this order; rules not named keep theirs, behind."""
    with transaction.atomic():
        rules = {rule.pk: rule for rule in Route.objects.filter(connection=connection)}
        named = [pk for pk in ids if pk in rules]
        order = named + [pk for pk in rules if pk not in named]
        for position, pk in enumerate(order, 1):
            Route.objects.filter(pk=pk).update(position=position)
        record_change("The order of the routes was changed.", operation="route.order")


def set_mapping(
    organisation: Organisation, list_: str, key_kind: str, key: str, target: str
) -> Mapping:
    """Enter or change one mapping. Raises BadSettings with what is wrong with it."""
    key = checked_key(list_, key_kind, key)
    target = target.strip()
    label = _CHECKS[list_](organisation, target)
    with transaction.atomic():
        return _save(organisation, Mapping(list=list_, key_kind=key_kind, key=key), target, label)


def checked_key(list_: str, key_kind: str, key: str) -> str:
    """The key as it is stored. Raises BadSettings when no such key can be mapped."""
    if list_ not in KEYS:
        raise BadSettings(f"There is no list “{list_}”. Known: {', '.join(KEYS)}.", which="list")
    if key_kind not in KEYS[list_]:
        known = ", ".join(KEYS[list_])
        raise BadSettings(f"“{key_kind}” is not one of: {known}.", which="key_kind")
    key = "" if key_kind in ("any", "exempt") else key.strip()
    if key_kind not in ("any", "exempt") and not key:
        raise BadSettings("The value to map is missing.", which="key")
    return key


def _save(organisation: Organisation, wanted: Mapping, target: str, label: str) -> Mapping:
    kind, key = wanted.key_kind, wanted.key
    before = _existing(organisation, wanted.list, kind, key)
    # No new version and no entry in the audit log for what is so already.
    if before is not None and before.target == target:
        return before
    name = key_label(wanted.list, kind)
    words = f"{name} “{key}”" if key else name
    # An id means nothing to people.
    by_id = wanted.list in ("tracking", "payment")
    old = f" (was {before.target})" if before and not by_id else ""
    record_change(
        f"{organisation.name}: {words} → {label}{old}.",
        source=source(organisation),
        operation="mapping.set",
    )
    if before is None:
        before = wanted
        before.organisation = organisation
    else:
        # Traces name entry and version: what a document was posted with stays readable.
        before.version += 1
    before.target, before.changed_by = target, actor()
    before.save()
    return before


def key_label(list_: str, kind: str) -> str:
    """A kind of key as people say it; purchases are told apart."""
    label = KEYS[list_].get(kind, kind)
    return f"{label} (purchases)" if list_ in PURCHASE_LISTS else label


def _existing(organisation: Organisation, list_: str, key_kind: str, key: str) -> Mapping | None:
    rows = Mapping.objects.filter(organisation=organisation, list=list_, key_kind=key_kind)
    # Compared as lookups compare: the database's unique key minds capitals, decisions don't.
    return next((row for row in rows if folded(row.key) == folded(key)), None)


def remove_mapping(mapping: Mapping) -> None:
    """Remove one mapping; what was posted with it stays."""
    name = key_label(mapping.list, mapping.key_kind)
    words = f"{name} “{mapping.key}”" if mapping.key else name
    with transaction.atomic():
        record_change(
            f"{mapping.organisation.name}: {words} is no longer mapped.",
            source=source(mapping.organisation),
            operation="mapping.remove",
        )
        mapping.delete()


def _check_account(organisation: Organisation, target: str) -> str:
    return _checked_account(organisation, target, account_problem)


def _check_purchase_account(organisation: Organisation, target: str) -> str:
    return _checked_account(organisation, target, purchase_account_problem)


def _checked_account(
    organisation: Organisation, target: str, problem_of: Callable[[LedgerAccount], str]
) -> str:
    account = LedgerAccount.objects.filter(organisation=organisation, code=target).first()
    if not target or account is None:
        raise BadSettings(
            f"{organisation.name} has no account “{target}”. Choose one of its chart of accounts.",
            which="target",
        )
    problem = problem_of(account)
    if problem:
        raise BadSettings(problem, which="target")
    return str(account)


def account_problem(account: LedgerAccount) -> str:
    """Why lines of invoices can't be posted to an account, in a sentence; "" when they can."""
    return _problem(account, _SALES_CLASSES)


def purchase_account_problem(account: LedgerAccount) -> str:
    """Why lines of bills can't be posted to an account, in a sentence; "" when they can."""
    return _problem(account, _PURCHASE_CLASSES)


def _problem(account: LedgerAccount, classes: Sequence[str]) -> str:
    if not account.active:
        return f"Account {account} is archived in the books."
    # Receivables and payables are Xero's own to post to, and a bank needs a payment.
    # https://developer.xero.com/documentation/api-guides/certification-checkpoints
    if account.type == "BANK" or account.system in ("DEBTORS", "CREDITORS"):
        return f"Account {account} can't be used on a line."
    if account.account_class not in classes:
        return f"Account {account} is of the wrong class."
    return ""


def _check_payment_account(organisation: Organisation, target: str) -> str:
    rows = LedgerAccount.objects.filter(organisation=organisation)
    account = rows.filter(external_id=target).first() if target else None
    if account is None:
        raise BadSettings(
            f"{organisation.name} has no account “{target}”. Choose one of its bank accounts.",
            which="target",
        )
    problem = payment_account_problem(account)
    if problem:
        raise BadSettings(problem, which="target")
    return str(account)


def payment_account_problem(account: LedgerAccount) -> str:
    """Why an account takes no payments, in a sentence; "" when it does."""
    if not account.active:
        return f"Account {account} is archived in the books."
    # Xero pays to bank accounts and to those that are enabled for payments, to no other.
    # https://developer.xero.com/documentation/api/accounting/payments
    if account.type == "BANK" or account.takes_payments:
        return ""
    return f"Account {account} takes no payments: allow them in the books, or choose another."


def _check_tax(organisation: Organisation, target: str) -> str:
    rate = LedgerTaxRate.objects.filter(organisation=organisation, tax_type=target).first()
    if rate is None or not rate.active:
        raise BadSettings(f"{organisation.name} has no active tax rate “{target}”.", which="target")
    return str(rate)


def _check_tracking(organisation: Organisation, target: str) -> str:
    option = LedgerTrackingOption.objects.filter(
        organisation=organisation, external_id=target
    ).first()
    if option is None or not option.active:
        raise BadSettings(
            f"{organisation.name} has no active tracking option “{target}”.", which="target"
        )
    return str(option)


_CHECKS = {
    "account": _check_account,
    "tax": _check_tax,
    "tracking": _check_tracking,
    "purchase_account": _check_purchase_account,
    "purchase_tax": _check_tax,
    "payment": _check_payment_account,
}


def link_contact(
    organisation: Organisation, company: Company, contact_id: str, name: str, *, how: str
) -> ContactLink:
    """This company is that contact from now on."""
    with transaction.atomic():
        link, _ = ContactLink.objects.update_or_create(
            organisation=organisation,
            company=company,
            defaults={
                "contact_external_id": contact_id,
                "contact_name": name,
                "how": how,
                # As it is now: what differs already may be the bookkeeper's doing.
                "written": facts_of(company),
                "stale": False,
            },
        )
        record_change(
            f"{company.name} is the contact {name} of {organisation.name} ({how}).",
            source=source(organisation),
            operation="contact.link",
        )
    return link


def facts_of(company: Company) -> dict[str, Any]:
    """What the PSA says of a company that its contact in the books shows too."""
    return {name: getattr(company, name) for name in FACTS}


def companies_changed(ids: Sequence[int]) -> list[Organisation]:
    """Companies were read with other content: their contacts are looked at, where that is wanted.
    Returns the organisations with something to do."""
    links = ContactLink.objects.filter(company__in=ids, organisation__settings__contacts="keep")
    # A mark only: the books are written to by the next job, not while the PSA is read.
    links.update(stale=True)
    found = links.select_related("organisation__connection")
    return list({link.organisation_id: link.organisation for link in found}.values())


def remember_facts(organisation: Organisation) -> None:
    """From now on contacts are kept in step: with what changes, not with what differs already."""
    links = ContactLink.objects.filter(organisation=organisation).select_related("company")
    rows = list(links)
    for link in rows:
        link.written, link.stale = facts_of(link.company), False
    ContactLink.objects.bulk_update(rows, ["written", "stale"], batch_size=500)


def unlink_contact(link: ContactLink) -> None:
    """This company is no contact any more: the next document links or asks again.

    What was posted stays with the contact it was posted to.
    """
    with transaction.atomic():
        record_change(
            f"{link.company.name} is no longer the contact {link.contact_name} of "
            f"{link.organisation.name}.",
            source=source(link.organisation),
            operation="contact.unlink",
        )
        link.delete()
