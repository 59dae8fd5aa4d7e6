"""Writes of recipients and rules. Each is told to the audit log."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from psaltery.accounts.models import Person, Role
from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
from psaltery.connections.models import Organisation
from psaltery.connections.vault import key_ring
from psaltery.kit.clock import now
from psaltery.kit.sealing import Place
from psaltery.notify.models import Recipient, Rule
from psaltery.notify.webhooks import problem_with

_TABLE = Recipient._meta.db_table
# Minutes: most causes that vanish do so with the next answer, and what opens together is one mail.
_SETTLES = 2


def recipient_of(person: Person) -> Recipient:
    """A person's mailbox, made when first asked for; bookkeepers and administrators hear of errors
    at once and of everything once a day until they choose otherwise."""
    with transaction.atomic():
        recipient, made = Recipient.objects.get_or_create(
            person=person, defaults={"kind": Recipient.Kind.EMAIL}
        )
        if made and person.may(Role.BOOKKEEPER):
            _sensible_rules(recipient)
    return recipient


def make_missing() -> None:
    """Mailboxes of everybody who mends things and has none yet."""
    for person in Person.objects.filter(
        is_active=True, role__in=(Role.BOOKKEEPER, Role.ADMIN), recipient__isnull=True
    ):
        recipient_of(person)


def _sensible_rules(recipient: Recipient) -> None:
    moment = now()
    Rule.objects.create(
        recipient=recipient,
        timing=Rule.Timing.AT_ONCE,
        least_severity=Rule.Severity.ERROR,
        wait_minutes=_SETTLES,
        since=moment,
    )
    # What the first rule leaves out is in the daily letter: nothing is silent by default.
    Rule.objects.create(recipient=recipient, timing=Rule.Timing.DAILY, since=moment)


def add_channel(kind: str, name: str, address: str) -> Recipient:
    """A channel of Slack or Teams, with errors at once. Raises BadSettings for its address."""
    with transaction.atomic():
        channel = Recipient.objects.create(kind=kind, name=name.strip())
        _set_address(channel, address)
        Rule.objects.create(
            recipient=channel,
            least_severity=Rule.Severity.ERROR,
            wait_minutes=_SETTLES,
            # A team shares a channel: whoever reads it later must see what is done already.
            tell_resolved=True,
            since=now(),
        )
        record_change(f"The channel {name} was added.", operation="notify.channel")
    return channel


def change_channel(channel: Recipient, name: str, address: str) -> None:
    """Rename a channel; "" keeps its address. Raises BadSettings for the address."""
    with transaction.atomic():
        channel.name = name.strip()
        channel.save(update_fields=["name"])
        if address:
            _set_address(channel, address)
        record_change(f"The channel {name} was changed.", operation="notify.channel")


def _set_address(channel: Recipient, address: str) -> None:
    # Checked before it is sealed: afterwards nobody can see any more what was pasted.
    if wrong := problem_with(address):
        raise BadSettings(wrong, which="address")
    channel.address = key_ring().seal(address.strip(), _place(channel))
    channel.save(update_fields=["address"])


def address_of(channel: Recipient) -> str:
    """The webhook address of a channel. Raises SealBroken."""
    return key_ring().open(channel.address, _place(channel))


def reseal_all() -> int:
    """Seal every channel's address under the current key; how many were changed."""
    ring = key_ring()
    changed = 0
    with transaction.atomic():
        # All or none: after this the old seal key may be thrown away.
        for channel in Recipient.objects.select_for_update().exclude(address=""):
            if not ring.is_current(channel.address):
                channel.address = ring.reseal(channel.address, _place(channel))
                channel.save(update_fields=["address"])
                changed += 1
    return changed


def _place(channel: Recipient) -> Place:
    return Place(_TABLE, str(channel.pk), "address")


def remove_channel(channel: Recipient) -> None:
    """End a channel, with its rules and its history."""
    with transaction.atomic():
        record_change(f"The channel {channel.name} was removed.", operation="notify.channel")
        channel.delete()


def pause(recipient: Recipient, paused: bool) -> None:
    """Tell a recipient nothing, or go on; what is still open then is told in one message."""
    with transaction.atomic():
        Recipient.objects.filter(pk=recipient.pk).update(paused=paused)
        word = "paused" if paused else "resumed"
        record_change(f"Notifications to {recipient} were {word}.", operation="notify.pause")


def save_rule(
    recipient: Recipient,
    values: Mapping[str, Any],
    organisations: Sequence[Organisation],
    rule: Rule | None = None,
) -> Rule:
    """Add a rule, or change one. What is open already is not news to it."""
    with transaction.atomic():
        rule = rule or Rule(recipient=recipient)
        for name, value in values.items():
            setattr(rule, name, value)
        # A rule that was widened must not tell of everything that has been open for weeks.
        rule.since = now()
        rule.save()
        rule.organisations.set(organisations)
        record_change(f"What {recipient} is told was changed.", operation="notify.rule")
    return rule


def remove_rule(rule: Rule) -> None:
    """End a rule."""
    with transaction.atomic():
        record_change(f"{rule.recipient} is told less.", operation="notify.rule")
        rule.delete()
