"""What will miss the next lock of each organisation, and its money: before it is too late."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.posting.locks import next_lock
from psaltery.posting.models import Posting
from psaltery.posting.policy import read_policy
from psaltery.review.models import Blocked, Card

Money = list[tuple[str, Decimal]]

# Not what was skipped: somebody decided that it stays out, so that it misses nothing.
LATE = (
    *(Posting.State.WAITING, Posting.State.HELD, Posting.State.FAILED),
    *(Posting.State.POSTING, Posting.State.UNCERTAIN),
)


@dataclass(frozen=True)
class Cause:
    """Why some of them are not in the books: a card, or 0 for those that go by themselves."""

    card: int
    sentence: str
    documents: int
    money: Money


@dataclass(frozen=True)
class Forecast:
    """One organisation: what is dated up to the next lock and is not in the books.

    `missed` counts those dated up to the lock that is set already.
    """

    organisation: Organisation
    locked_until: date | None
    next_lock: date
    documents: int = 0
    missed: int = 0
    money: Money = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)


def forecasts(organisations: Sequence[Organisation], today: date | None = None) -> list[Forecast]:
    """The forecast of each of these; five queries each."""
    day = today or now().date()
    return [_forecast(one, day) for one in organisations]


def _forecast(organisation: Organisation, today: date) -> Forecast:
    until = lock_of(organisation)
    ends = next_lock(until, read_policy(organisation.settings).next_lock_on, today)
    late = documents(organisation, ends)
    count = late.count()
    return Forecast(
        organisation=organisation,
        locked_until=until,
        next_lock=ends,
        documents=count,
        missed=late.filter(issued_on__lte=until).count() if until else 0,
        money=_money(late),
        causes=_causes(late, count) if count else [],
    )


def lock_of(organisation: Organisation) -> date | None:
    """The later of both lock dates; None where nothing is locked."""
    days = [day for day in (organisation.period_lock_on, organisation.year_lock_on) if day]
    # Xero locks up to a day for all and up to one for all but advisers; we keep to both.
    return max(days, default=None)


def documents(organisation: Organisation, until: date) -> QuerySet[Document]:
    """Documents dated up to that day that are not, or not as the PSA has them, in the books."""
    return Document.objects.filter(
        posting__organisation=organisation, posting__state__in=LATE, issued_on__lte=until
    )


def _money(rows: QuerySet[Document]) -> Money:
    sums = rows.order_by().values("currency").annotate(sum=Sum("total")).order_by("currency")
    return [(row["currency"], row["sum"]) for row in sums]


def _causes(late: QuerySet[Document], count: int) -> list[Cause]:
    """The cards that hold them, the dearest first; then those that no card holds."""
    held = Blocked.objects.filter(document__in=late).exclude(card__state=Card.State.RESOLVED)
    rows = held.values("card_id", "card__sentence", "currency").annotate(
        documents=Count("pk"), sum=Sum("amount")
    )
    found: dict[int, Cause] = {}
    for row in rows.order_by("-sum"):
        money = (row["currency"], row["sum"])
        one = found.get(row["card_id"]) or Cause(row["card_id"], row["card__sentence"], 0, [])
        found[one.card] = Cause(
            one.card, one.sentence, one.documents + row["documents"], [*one.money, money]
        )
    free = late.exclude(pk__in=held.values("document"))
    # To count again what was counted already costs the page as much as the first time.
    alone = free.count() if held.exists() else count
    by_themselves = [Cause(0, "They go by themselves.", alone, _money(free))] if alone else []
    return [*found.values(), *by_themselves]


def as_data(one: Forecast) -> dict[str, Any]:
    """One forecast as plain data, for programs."""
    return {
        "organisation": one.organisation.name,
        "number": one.organisation.pk,
        "locked_until": one.locked_until,
        "next_lock": one.next_lock,
        "documents": one.documents,
        "missed": one.missed,
        "money": {currency: f"{sum_:.2f}" for currency, sum_ in one.money},
        "causes": [
            {
                "exception": cause.card or None,
                "sentence": cause.sentence,
                "documents": cause.documents,
                "money": {currency: f"{sum_:.2f}" for currency, sum_ in cause.money},
            }
            for cause in one.causes
        ],
    }
