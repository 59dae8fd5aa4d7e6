"""Keys of senders: made here, shown once, sealed."""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256

from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.audit import actor
from psaltery.audit.service import record_change
from psaltery.connections.vault import key_ring
from psaltery.kit.clock import now
from psaltery.kit.sealing import Place
from psaltery.rmm.models import RmmKey

# Two, so that a key can be rotated without losing an alert; more would only be forgotten ones.
MOST = 2
_PREFIX = "sha256="


def _place(row: RmmKey) -> Place:
    return Place(RmmKey._meta.db_table, str(row.pk), "sealed")


def make() -> str:
    """A new key, not to be seen again. Raises BadSettings for a third."""
    with transaction.atomic():
        if len(RmmKey.objects.select_for_update()) >= MOST:
            told = "There are two keys already. Remove the one that is not used any more first."
            raise BadSettings(told, which="key")
        secret = secrets.token_urlsafe(32)
        # The row first: the seal is bound to its id, so that no sealed key can be moved to
        # another row.
        row = RmmKey.objects.create(hint=secret[-4:], added_by=actor.actor(), added_at=now())
        row.sealed = key_ring().seal(secret, _place(row))
        row.save(update_fields=["sealed"])
        record_change(f"A key for RMM alerts ending in {row.hint} was made.", operation="rmm.key")
    return secret


def remove(row: RmmKey) -> None:
    """Believe what is signed with this key no longer."""
    with transaction.atomic():
        record_change(
            f"The key for RMM alerts ending in {row.hint} was removed.", operation="rmm.key"
        )
        row.delete()


def signature(secret: str, body: bytes) -> str:
    """What the header X-Psaltery-Signature holds: HMAC-SHA256 of the raw body, in hex."""
    return _PREFIX + hmac.new(secret.encode(), body, sha256).hexdigest()


def signed_with(body: bytes, given: str) -> RmmKey | None:
    """The key that a body was signed with; None when there is none."""
    for row in RmmKey.objects.exclude(sealed=""):
        expected = signature(key_ring().open(row.sealed, _place(row)), body)
        # In constant time: a plain comparison tells by its time how much of a guess was right.
        if hmac.compare_digest(expected.encode(), given.strip().encode()):
            _note_use(row)
            return row
    return None


def _note_use(row: RmmKey) -> None:
    moment = now()
    # To the minute: a flood of alerts must not write to one row each time.
    if row.used_at is None or moment - row.used_at > timedelta(minutes=1):
        RmmKey.objects.filter(pk=row.pk).update(used_at=moment)


def reseal_all() -> int:
    """Seal all keys under the installation's current key; how many were changed."""
    changed = 0
    with transaction.atomic():
        for row in RmmKey.objects.select_for_update():
            if not key_ring().is_current(row.sealed):
                row.sealed = key_ring().reseal(row.sealed, _place(row))
                row.save(update_fields=["sealed"])
                changed += 1
    return changed
