"""The organisations a connection reaches: found, chosen, pinned, paused, gone."""

from collections.abc import Sequence

from django.db import transaction

from psaltery.adapters import registry
from psaltery.adapters.contract import FeedSpec, Role
from psaltery.adapters.errors import BadSettings
from psaltery.audit import service as audit
from psaltery.connections.budgets import make_budget
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import connection_source, open_consent, source_of
from psaltery.kit.clock import now
from psaltery.records.books import Organisation as Facts
from psaltery.records.books import Tenant

GONE = (
    "This organisation was disconnected at the other side. Reconnect, and tick it on the consent "
    "page; everything stored of it is kept."
)


def refresh_organisations(connection: Connection) -> list[Organisation]:
    """Ask the vendor what the consent reaches and remember it; all organisations of the connection.

    New ones are not chosen. Those that are gone are marked as removed and keep their records; those
    that are back become active again. Raises the four failures.
    """
    # Before the transaction: no lock is held while the vendor is asked.
    tenants = open_consent(connection).tenants()
    with transaction.atomic():
        for tenant in tenants:
            _remember(connection, tenant)
        # People disconnect an app in Xero without its being told; this list is how it is learned.
        gone = connection.organisations.exclude(external_id__in=[t.external_id for t in tenants])
        gone = gone.exclude(state=Organisation.State.REMOVED)
        for organisation in gone:
            mark_removed(organisation)
    return list(connection.organisations.order_by("name", "pk"))


def _remember(connection: Connection, tenant: Tenant) -> None:
    organisation, _ = Organisation.objects.get_or_create(
        connection=connection,
        external_id=tenant.external_id,
        defaults={"name": tenant.name, "link_id": tenant.connection_id},
    )
    organisation.name, organisation.link_id = tenant.name, tenant.connection_id
    # A mismatch stays: that the tenant is reachable does not make it the right company.
    if organisation.state in (Organisation.State.REMOVED, Organisation.State.OFFLINE):
        organisation.state, organisation.reason = Organisation.State.ACTIVE, ""
    organisation.save(update_fields=["name", "link_id", "state", "reason"])


def wake(connection: Connection) -> None:
    """Read every feed of a connection at once: it works again, and nobody should have to wait."""
    Feed.objects.filter(organisation__connection=connection, organisation__chosen=True).update(
        due_at=now()
    )


def mark_removed(organisation: Organisation) -> None:
    """The vendor no longer lets us reach this organisation; the others of the consent go on."""
    organisation.state, organisation.reason = Organisation.State.REMOVED, GONE
    organisation.save(update_fields=["state", "reason"])
    audit.record_change(f"{organisation.name} was removed.", source=source_of(organisation))


def choose(connection: Connection, organisations: Sequence[Organisation]) -> None:
    """Sync exactly these organisations of a connection; the others are left alone from now on.

    Raises BadSettings when none is given, or one is chosen under another connection already: its
    documents would be read and written twice.
    """
    if not organisations:
        raise BadSettings("Choose at least one organisation.", which="organisations")
    for organisation in organisations:
        _refuse_second_choice(connection, organisation)
    with transaction.atomic():
        keys = [organisation.pk for organisation in organisations]
        connection.organisations.exclude(pk__in=keys).update(chosen=False)
        for organisation in connection.organisations.filter(pk__in=keys):
            start(organisation)
    names = ", ".join(organisation.name for organisation in organisations[:10])
    audit.record_change(
        f"{connection.name} now syncs {len(organisations)}: {names}.",
        source=connection_source(connection),
    )


def _refuse_second_choice(connection: Connection, organisation: Organisation) -> None:
    other = (
        Organisation.objects.filter(
            external_id=organisation.external_id, chosen=True, connection__kind=connection.kind
        )
        .exclude(connection=connection)
        .select_related("connection")
        .first()
    )
    if other is not None:
        raise BadSettings(
            f"{organisation.name} is synced under the connection {other.connection.name} already.",
            which="organisations",
        )


def start(organisation: Organisation) -> None:
    """Choose one organisation: its budget and its feeds are there, and due at once."""
    manifest = registry.manifest(organisation.connection.kind)
    organisation.chosen = True
    organisation.save(update_fields=["chosen"])
    # Before the feeds, whose first call needs the row.
    make_budget(organisation, manifest)
    begin_feeds(organisation, [feed for feed in manifest.feeds if not feed.on_demand])


def begin_feeds(organisation: Organisation, feeds: Sequence[FeedSpec]) -> None:
    """Feeds are there, and those that were not are due at once."""
    moment = now()
    Feed.objects.bulk_create(
        (
            Feed(organisation=organisation, name=feed.name, seconds=feed.seconds, due_at=moment)
            for feed in feeds
        ),
        ignore_conflicts=True,
    )


BILLS = "bills"  # a feed that is read where bills of ours are to be watched


def begin_demanded(organisation: Organisation, name: str) -> None:
    """The same for a feed that is only read where there is something of ours to watch."""
    feeds = registry.manifest(organisation.connection.kind).feeds
    begin_feeds(organisation, [feed for feed in feeds if feed.on_demand and feed.name == name])


def pin(organisation: Organisation, facts: Facts) -> bool:
    """Hold an organisation to what it was at first: its id, short code and base currency.

    Stores the facts. When one of the three differs from what was pinned, the organisation is marked
    as a mismatch, nothing is written to it any more, and False is returned.
    """
    seen = (facts.external_id, facts.short_code, facts.base_currency)
    # A wrong tenant id writes into another company's books, and Xero says nothing.
    pinned = (organisation.organisation_id, organisation.short_code, organisation.base_currency)
    if not any(pinned):
        organisation.organisation_id, organisation.short_code, organisation.base_currency = seen
    agrees = not any(pinned) or seen == pinned
    if not agrees:
        _mismatch(organisation, facts)
    elif organisation.state == Organisation.State.MISMATCH:
        organisation.state, organisation.reason = Organisation.State.ACTIVE, ""
    # A company may be renamed or moved: only what is pinned tells one from another.
    organisation.name = facts.name or organisation.name
    organisation.country, organisation.time_zone = facts.country, facts.time_zone
    organisation.plan = facts.plan
    organisation.period_lock_on, organisation.year_lock_on = (
        facts.period_lock_on,
        facts.year_lock_on,
    )
    organisation.checked_at = now()
    organisation.save(update_fields=_FACTS)
    return agrees


# Not its policies, nor whether it is paused: the facts were asked for over the network, and what a
# person has set meanwhile must stand.
_FACTS = (
    *("organisation_id", "short_code", "base_currency", "state", "reason", "name", "country"),
    *("time_zone", "plan", "period_lock_on", "year_lock_on", "checked_at"),
)


def _mismatch(organisation: Organisation, facts: Facts) -> None:
    organisation.state = Organisation.State.MISMATCH
    organisation.reason = (
        f"This connection now answers as {facts.name} ({facts.short_code}, {facts.base_currency}), "
        f"but it was set up for {organisation.short_code}, {organisation.base_currency}. Nothing "
        "is written. Reconnect with the right organisation, or connect the new one beside it."
    )
    audit.record_change(organisation.reason, source=source_of(organisation))


def pause(organisation: Organisation, paused: bool) -> None:
    """Stop or resume an organisation's feeds and postings; what is under way is finished."""
    organisation.paused = paused
    organisation.save(update_fields=["paused"])
    word = "paused" if paused else "resumed"
    audit.record_change(f"{organisation.name} was {word}.", source=source_of(organisation))


def site_of(connection: Connection) -> Organisation:
    """The one organisation of a PSA connection, made and started when first asked for."""
    manifest = registry.manifest(connection.kind)
    if manifest.role != Role.PSA:
        raise BadSettings(f"{connection.name} is no PSA.", which="kind")
    fields = connection.fields
    # A PSA lists no tenants: its address and company id say which site it is.
    external_id = "/".join(filter(None, (fields.get("site", ""), fields.get("company", ""))))
    organisation, made = Organisation.objects.get_or_create(
        connection=connection,
        defaults={"external_id": external_id[:100], "name": connection.name},
    )
    if made:
        start(organisation)
    return organisation
