"""How far the demo has come: what is in step, what is held with its money, and if all is quiet."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec
from django.db.models import Count, QuerySet, Sum

from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.posting.models import Link, Posting
from psaltery.sync import force

_BUSY = (Posting.State.WAITING, Posting.State.POSTING, Posting.State.UNCERTAIN)
_PAYMENT_BUSY = (PaymentBack.State.WAITING, PaymentBack.State.WRITING, PaymentBack.State.UNCERTAIN)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of one moment; `blocked` is the held documents' money by currency."""

    states: Mapping[str, int]
    blocked: Mapping[str, Decimal]
    payments: int
    payments_left: int
    taken_left: int  # payments entered in the PSA, on their way to the books
    marks_left: int
    feeds_left: int

    @property
    def in_step(self) -> int:
        return self.states.get(Posting.State.IN_STEP, 0)

    @property
    def held(self) -> int:
        return self.states.get(Posting.State.HELD, 0) + self.states.get(Posting.State.FAILED, 0)

    @property
    def waiting(self) -> int:
        return sum(self.states.get(state, 0) for state in _BUSY)

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to do."""
        payments = self.payments_left or self.taken_left
        return not (self.waiting or payments or self.marks_left or self.feeds_left)

    def sentence(self) -> str:
        """For people."""
        total = self.in_step + self.held + self.waiting
        words = f"{self.in_step} of {total} documents in step"
        if self.held:
            money = " and ".join(f"{code} {sum_:,.2f}" for code, sum_ in self.blocked.items())
            words += f", {self.held} held: {money}"
        if self.payments:
            done = self.payments - self.payments_left
            words += f"; {done} of {self.payments} payments back in the PSA"
        return words


def look() -> Progress:
    """The present state, in a few queries."""
    states = dict(Posting.objects.values_list("state").annotate(count=Count("pk")))
    held = Document.objects.filter(posting__state__in=("held", "failed"))
    money = held.order_by("currency").values_list("currency").annotate(sum=Sum("total"))
    backs = PaymentBack.objects
    return Progress(
        states=states,
        blocked=dict(money),
        payments=backs.count(),
        payments_left=backs.filter(state__in=_PAYMENT_BUSY).count(),
        taken_left=PaymentTaken.objects.filter(state__in=_PAYMENT_BUSY).count(),
        marks_left=Link.objects.filter(psa_marked_at__isnull=True).count(),
        feeds_left=_unread(),
    )


def _unread() -> int:
    """Feeds that were never read to their end; at least one while a system is not connected."""
    connected = Connection.objects.filter(state=Connection.State.CONNECTED)
    # Before both are connected no feed is missing, and the demo would call itself done.
    missing = max(0, 2 - connected.count())
    return _feeds().filter(finished_at__isnull=True).count() + missing


def _feeds() -> QuerySet[Feed]:
    return Feed.objects.filter(organisation__chosen=True)


def ask_everything() -> datetime:
    """Have the worker read every feed now; the moment for `unread_since`."""
    asked_at = now()
    for organisation in Organisation.objects.filter(chosen=True):
        force.organisation(organisation)
    return asked_at


def unread_since(moment: datetime) -> int:
    """Feeds that were not read from beginning to end since then."""
    # Begun before, it may have passed by what was written since.
    return _feeds().exclude(started_at__gte=moment, finished_at__gte=moment).count()
