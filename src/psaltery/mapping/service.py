"""Writes of routes, mappings and contact links. Everything is checked before it is saved."""

from collections.abc import Sequence

from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import Source, record_change
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Company
from psaltery.ledger.models import LedgerAccount, LedgerTaxRate, LedgerTrackingOption
from psaltery.mapping.lookup import KEYS, folded
from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.mapping.routing import FIELDS

_SALES_CLASSES = ("REVENUE", "LIABILITY", "EQUITY", "ASSET", "EXPENSE")


def source(organisation: Organisation) -> Source:
    """The organisation, for the audit log."""
    return Source(
        system=organisation.connection.kind,
        organisation_id=organisation.pk,
        organisation=organisation.name,
    )


def add_route(connection: Connection, field: str, value: str, organisation: Organisation) -> Route:
    """Append a rule (or change the organisation of the one for this field and value).

    Raises BadSettings for an unknown field or an organisation that is not chosen.
    """
    if field not in FIELDS:
        raise BadSettings(
            f"There is no field “{field}”. Known: {', '.join(FIELDS)}.", which="field"
        )
    if not organisation.chosen:
        raise BadSettings(f"{organisation.name} is not chosen for sync.", which="organisation")
    value = "" if field == "any" else value.strip()
    if field != "any" and not value:
        raise BadSettings("The value is missing.", which="value")
    last = Route.objects.filter(connection=connection).order_by("-position").first()
    with transaction.atomic():
        rule, _ = Route.objects.update_or_create(
            connection=connection,
            field=field,
            value=value,
            defaults={"organisation": organisation},
            create_defaults={
                "organisation": organisation,
                "position": last.position + 1 if last else 1,
            },
        )
        words = f"{FIELDS[field][0]} {value}".strip()
        record_change(
            f"{words} goes to {organisation.name}.",
            source=source(organisation),
            operation="route.set",
        )
    return rule


def remove_route(rule: Route) -> None:
    """Remove a rule; documents already posted stay where they are."""
    with transaction.atomic():
        record_change(
            f"{rule.field} {rule.value} no longer goes to {rule.organisation.name}.",
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
    if list_ not in KEYS:
        raise BadSettings(f"There is no list “{list_}”.", which="list")
    if key_kind not in KEYS[list_]:
        known = ", ".join(KEYS[list_])
        raise BadSettings(f"“{key_kind}” is not one of: {known}.", which="key_kind")
    key = "" if key_kind in ("any", "exempt") else key.strip()
    if key_kind not in ("any", "exempt") and not key:
        raise BadSettings("The value to map is missing.", which="key")
    target = target.strip()
    _CHECKS[list_](organisation, target)
    with transaction.atomic():
        return _save(organisation, list_, key_kind, key, target)


def _save(organisation: Organisation, list_: str, key_kind: str, key: str, target: str) -> Mapping:
    before = _existing(organisation, list_, key_kind, key)
    if before is not None and before.target == target:
        return before
    words = f"{KEYS[list_][key_kind]} “{key}”" if key else KEYS[list_][key_kind]
    old = f" (was {before.target})" if before else ""
    record_change(
        f"{organisation.name}: {words} → {target}{old}.",
        source=source(organisation),
        operation="mapping.set",
    )
    if before is None:
        return Mapping.objects.create(
            organisation=organisation, list=list_, key_kind=key_kind, key=key, target=target
        )
    before.target, before.version = target, before.version + 1
    before.save()
    return before


def _existing(organisation: Organisation, list_: str, key_kind: str, key: str) -> Mapping | None:
    rows = Mapping.objects.filter(organisation=organisation, list=list_, key_kind=key_kind)
    return next((row for row in rows if folded(row.key) == folded(key)), None)


def remove_mapping(mapping: Mapping) -> None:
    """Remove one mapping; what was posted with it stays."""
    with transaction.atomic():
        record_change(
            f"{mapping.organisation.name}: {mapping.key_kind} “{mapping.key}” is unmapped.",
            source=source(mapping.organisation),
            operation="mapping.remove",
        )
        mapping.delete()


def _check_account(organisation: Organisation, target: str) -> None:
    account = LedgerAccount.objects.filter(organisation=organisation, code=target).first()
    if not target or account is None:
        raise BadSettings(
            f"{organisation.name} has no account “{target}”. Choose one of its chart of accounts.",
            which="target",
        )
    if not account.active:
        raise BadSettings(f"Account {account} is archived in the books.", which="target")
    if account.type == "BANK" or account.system in ("DEBTORS", "CREDITORS"):
        raise BadSettings(f"Account {account} can't be used on a line.", which="target")
    if account.account_class not in _SALES_CLASSES:
        raise BadSettings(f"Account {account} is of the wrong class.", which="target")


def _check_tax(organisation: Organisation, target: str) -> None:
    rate = LedgerTaxRate.objects.filter(organisation=organisation, tax_type=target).first()
    if rate is None or not rate.active:
        raise BadSettings(f"{organisation.name} has no active tax rate “{target}”.", which="target")


def _check_tracking(organisation: Organisation, target: str) -> None:
    option = LedgerTrackingOption.objects.filter(
        organisation=organisation, external_id=target
    ).first()
    if option is None or not option.active:
        raise BadSettings(
            f"{organisation.name} has no active tracking option “{target}”.", which="target"
        )


_CHECKS = {"account": _check_account, "tax": _check_tax, "tracking": _check_tracking}


def link_contact(
    organisation: Organisation, company: Company, contact_id: str, name: str, *, how: str
) -> ContactLink:
    """This company is that contact from now on."""
    with transaction.atomic():
        link, _ = ContactLink.objects.update_or_create(
            organisation=organisation,
            company=company,
            defaults={"contact_external_id": contact_id, "contact_name": name, "how": how},
        )
        record_change(
            f"{company.name} is the contact {name} of {organisation.name} ({how}).",
            source=source(organisation),
            operation="contact.link",
        )
    return link
