"""Reads of the webhook pages: how a connection's webhooks are, its events, its refusals."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from psaltery.connections.models import Connection
from psaltery.inbound import keys, real_time
from psaltery.inbound.models import ConnectWiseEvent, Gap, Refusal, XeroEvent
from psaltery.kit.clock import now

KINDS = ("xero", "connectwise")
DAYS = 14
WRONG = "Signature wrong"
# Older refusals say nothing about the key of today.
FRESH = timedelta(days=1)
_BAD = (Refusal.Reason.SIGNATURE, Refusal.Reason.NO_KEY, Refusal.Reason.KEY_ADDRESS)


@dataclass(frozen=True)
class Standing:
    """How webhooks of a connection are: a word, a sentence, and what to do. Tones as of badges."""

    word: str
    tone: str
    sentence: str
    remedy: str = ""


def events(connection: Connection) -> QuerySet[XeroEvent] | QuerySet[ConnectWiseEvent]:
    """The events of a connection: those that its keys signed, and those of its organisations."""
    if connection.kind == "xero":
        mine = Q(connection=connection) | Q(organisation__connection=connection)
        return XeroEvent.objects.filter(mine).select_related("organisation")
    return ConnectWiseEvent.objects.filter(connection=connection)


def refusals(connection: Connection) -> QuerySet[Refusal]:
    """Its refusals. Xero has one address for all apps, so a wrong signature is everybody's."""
    mine = Q(connection=connection)
    if connection.kind == "xero":
        mine |= Q(connection__isnull=True)
    return Refusal.objects.filter(mine, kind=connection.kind)


def xero_address() -> str:
    """The address to enter at developer.xero.com."""
    return f"{settings.PUBLIC_URL}/api/webhooks/xero"


def standing(connection: Connection) -> Standing:
    """How the webhooks of a connection are. Two or three queries."""
    return _of_xero(connection) if connection.kind == "xero" else _of_connectwise(connection)


def wrongly_signed() -> list[Connection]:
    """Connections whose deliveries are refused now. One query as long as nothing is refused."""
    recent = Refusal.objects.filter(reason__in=_BAD, last_at__gt=now() - FRESH)
    kinds = set(recent.values_list("kind", flat=True))
    connected = Connection.objects.filter(kind__in=kinds, state=Connection.State.CONNECTED)
    found = connected.order_by("name") if kinds else Connection.objects.none()
    return [one for one in found if standing(one).word == WRONG]


def _of_xero(connection: Connection) -> Standing:
    if not keys.of(connection):
        return Standing(
            "Off",
            "plain",
            "No signing key is stored, so changes are found by polling.",
            "Make a webhook at developer.xero.com under your app, with the address below, and "
            "paste its key here.",
        )
    # A good delivery ends the warning by itself: the key is right again.
    last = events(connection).aggregate(last=Max("received_at"))["last"]
    if (count := _refused_since(connection, last)) > 0:
        return Standing(
            WRONG,
            "bad",
            f"{_deliveries(count)} refused since the last good one: signed with another key, or "
            "sent by somebody else.",
            "Copy the key of your app's webhook again and paste it here. While Xero gives out a "
            "new one, keep both. Polling goes on meanwhile.",
        )
    if last is None:
        return Standing(
            "Waiting",
            "info",
            "A key is stored; nothing has arrived yet.",
            "Press “Send intent to receive” at developer.xero.com, or test it here.",
        )
    return Standing("On", "good", "Deliveries arrive and are signed right.")


def _of_connectwise(connection: Connection) -> Standing:
    row = real_time.of(connection)
    if not row.wanted:
        why = real_time.unreachable(connection)
        return Standing(
            "Off", "plain", why or "Real time is off; changes are found by polling.",
            "" if why else "Turn it on, and Psaltery registers its callbacks at ConnectWise.",
        )  # fmt: skip
    if row.problem:
        return Standing("Not registered", "bad", row.problem, "It is tried again by itself.")
    last = events(connection).aggregate(last=Max("received_at"))["last"]
    if (count := _refused_since(connection, last)) > 0:
        return Standing(
            WRONG,
            "bad",
            f"{_deliveries(count)} refused since the last good one: not signed by this site.",
            "Check that the site's address of this connection is the one ConnectWise calls from.",
        )
    if not row.types:
        return Standing("Waiting", "info", "It is being registered.")
    return Standing("On", "good", f"ConnectWise calls for {len(row.types)} types of records.")


def _refused_since(connection: Connection, last: datetime | None) -> int:
    since = max(last or now() - FRESH, now() - FRESH)
    bad = refusals(connection).filter(reason__in=_BAD, last_at__gt=since)
    return bad.aggregate(sum=Sum("count"))["sum"] or 0


def _deliveries(count: int) -> str:
    return "1 delivery was" if count == 1 else f"{count:,} deliveries were"


@dataclass(frozen=True)
class Day:
    """What arrived on one day."""

    day: date
    accepted: int
    refused: int


def by_day(connection: Connection) -> list[Day]:
    """Events and refusals of the last two weeks, days with nothing included."""
    start = now() - timedelta(days=DAYS - 1)
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    accepted = _counted(
        events(connection).filter(received_at__gte=start), "received_at", Count("pk")
    )
    refused = _counted(refusals(connection).filter(hour__gte=start), "hour", Sum("count"))
    days = [start.date() + timedelta(days=number) for number in range(DAYS)]
    return [Day(day, accepted.get(day, 0), refused.get(day, 0)) for day in days]


def _counted(rows: QuerySet[Any], field: str, what: Count | Sum) -> dict[date, int]:
    counted = rows.order_by().annotate(day=TruncDate(field)).values("day").annotate(n=what)
    return dict(counted.values_list("day", "n"))


def reasons(connection: Connection) -> list[tuple[str, int, datetime]]:
    """Refusals of the last two weeks by reason: label, how many, the last one."""
    recent = refusals(connection).filter(hour__gte=now() - timedelta(days=DAYS))
    rows = recent.values_list("reason").annotate(total=Sum("count"), last=Max("last_at"))
    labels = dict(Refusal.Reason.choices)
    return [(labels[reason], count, last) for reason, count, last in rows.order_by("-total")]


def gaps(connection: Connection) -> list[Gap]:
    """Deliveries that never came, the newest first."""
    return list(Gap.objects.filter(connection=connection).order_by("-found_at")[:5])
