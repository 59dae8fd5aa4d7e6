"""ConnectWise's callbacks: registered by us, looked at daily, removed on disconnect.

https://developer.connectwise.com/Best_Practices/PSA_Callbacks: switched off by ConnectWise after
three bad days, and `inactiveFlag` is the only sign of it.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Q

from psaltery.adapters.budget import Priority
from psaltery.adapters.connectwise.webhooks import FEEDS
from psaltery.adapters.errors import BadSettings, Failure, Rejected, TryLater
from psaltery.audit.service import record_change
from psaltery.connections.models import Connection
from psaltery.connections.opening import base_url, connection_source, open_psa
from psaltery.connections.organisations import site_of
from psaltery.inbound.models import RealTime
from psaltery.kit.clock import now

KIND = "connectwise"
CHECK = timedelta(days=1)
AGAIN = timedelta(hours=1)
TYPES = tuple(FEEDS)
_LOCAL_NAMES = ("localhost", "localhost.localdomain")
# What a look finds out. Whether callbacks are wanted is a person's to say, also meanwhile.
_LOOKED = ("address", "types", "problem", "checked_at", "check_at")


def of(connection: Connection) -> RealTime:
    """The callbacks of a ConnectWise connection; made when first asked for.

    Wanted from the start where the site can reach us, and we may write there.
    """
    found, _ = RealTime.objects.get_or_create(
        connection=connection,
        defaults={
            # Not to be guessed: a site that is not ours can't even find where to send forgeries.
            "public_id": secrets.token_urlsafe(24),
            "wanted": _is_public(settings.PUBLIC_URL) and not connection.read_only,
            "check_at": now(),
        },
    )
    return found


def address(row: RealTime) -> str:
    """Where ConnectWise is to call; it appends the record's id and the action."""
    return f"{settings.PUBLIC_URL}/api/callbacks/connectwise/{row.public_id}?recordId="


def unreachable(connection: Connection) -> str:
    """Why the site can't call us, in a sentence; "" when it may well be able to."""
    if _is_public(settings.PUBLIC_URL):
        return ""
    if _is_loopback(base_url(connection)) and _is_loopback(settings.PUBLIC_URL):
        return ""
    return (
        f"ConnectWise can't call {settings.PUBLIC_URL}: set PSALTERY_PUBLIC_URL to an https "
        "address that is reached from the internet. Without it, everything is found by polling."
    )


def _is_public(url: str) -> bool:
    """Whether an address may be reached from outside, as far as it shows itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" and ip_address(host).is_global
    except ValueError:
        return parts.scheme == "https" and "." in host and not host.endswith((".local", ".lan"))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES


def due() -> list[Connection]:
    """The connections whose callbacks are to be registered, or looked at again, now."""
    connected = Connection.objects.filter(kind=KIND, state=Connection.State.CONNECTED)
    new = Q(real_time__isnull=True)
    return list(connected.filter(new | Q(real_time__wanted=True, real_time__check_at__lte=now())))


def switch(connection: Connection, wanted: bool) -> RealTime:
    """Turn callbacks on or off, at ConnectWise too. Raises the four failures."""
    row = of(connection)
    if wanted and connection.read_only:
        raise BadSettings(
            f"{connection.name} is connected to read only, and callbacks are registered by a "
            "write. Reconnect it with writing allowed.",
            which="real_time",
        )
    if wanted and (why := unreachable(connection)):
        raise BadSettings(why, which="real_time")
    # Stored before the call: should the site not answer, the daily look makes it so.
    row.wanted = wanted
    row.save(update_fields=["wanted"])
    record_change(
        f"Real time of {connection.name} was turned {'on' if wanted else 'off'}.",
        source=connection_source(connection),
        operation="callbacks.switch",
    )
    return check(connection)


def keep_up(connection: Connection) -> None:
    """What the daily look does: nothing where callbacks are not wanted. Raises as `check`."""
    row = of(connection)
    if row.wanted:
        check(connection)
    else:
        RealTime.objects.filter(pk=row.pk).update(check_at=None)


def check(connection: Connection) -> RealTime:
    """Make the callbacks at ConnectWise what they should be: each type once, active, to us.

    What others registered is left alone. Raises the four failures; the row then says so.
    """
    row = of(connection)
    try:
        _settle(row, _open(connection))
    except Failure as failure:
        row.problem = str(failure)
        row.check_at = max(getattr(failure, "at", None) or now(), now() + AGAIN)
        raise
    finally:
        row.checked_at = now()
        row.save(update_fields=_LOOKED)
    # Somebody turned it on or off while ConnectWise was asked: what was just made is wrong.
    return row if of(connection).wanted == row.wanted else check(connection)


def _open(connection: Connection) -> Any:
    return open_psa(site_of(connection), Priority.SCHEDULE)


def _settle(row: RealTime, psa: Any) -> None:
    right = address(row)
    wanted = set(TYPES) if row.wanted else set()
    kept: set[str] = set()
    # Only those with our address: other programs have callbacks on the same site.
    for entry in _ours(row, psa):
        if entry.type in wanted - kept and entry.url == right and not entry.inactive_flag:
            kept.add(entry.type)
        else:
            # One that was switched off, doubled, or leads to where we were before.
            psa.delete_callback(str(entry.id))
    made, problems = _create(psa, [one for one in TYPES if one in wanted - kept], right)
    row.types = [one for one in TYPES if one in kept or one in made]
    row.address = right if row.types else ""
    row.problem = " ".join(problems)
    row.check_at = (now() + (AGAIN if problems else CHECK)) if row.wanted else None


def _ours(row: RealTime, psa: Any) -> list[Any]:
    mark = f"/api/callbacks/connectwise/{row.public_id}"
    return [entry for entry in psa.callbacks() if mark in (entry.url or "")]


def _create(psa: Any, types: Sequence[str], url: str) -> tuple[list[str], list[str]]:
    """Register each type; those that are, and a sentence for each that was refused."""
    made, problems = [], []
    for record_type in types:
        try:
            psa.create_callback(record_type, url)
            made.append(record_type)
        except Rejected as refused:
            problems.append(f"{record_type}: {refused}")
        except TryLater as later:
            # Nothing was registered: the whole look is tried again later.
            if not later.uncertain:
                raise
            # The next look finds it, or registers it then.
            problems.append(f"{record_type}: {later}")
    return made, problems


def remove(connection: Connection) -> None:
    """Take our callbacks away from ConnectWise, before its keys are forgotten.

    A site that can't be reached does not stop a disconnect: it then calls in vain for three days
    and gives up by itself. The audit log holds the failure.
    """
    row = RealTime.objects.filter(connection=connection).first()
    if row is None:
        return
    row.wanted, row.check_at = False, None
    try:
        _settle(row, _open(connection))
    except Failure as failure:
        record_change(
            f"The callbacks of {connection.name} could not be removed: {failure}",
            source=connection_source(connection),
            operation="callbacks.remove",
        )
    row.checked_at = now()
    row.save(update_fields=["wanted", *_LOOKED])
