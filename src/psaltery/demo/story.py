"""When things happened in the demo's three months, and the chance that chose them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from psaltery.adapters.sandboxing import Clock

DAYS = 90
# Older invoices were entered in the books by hand, before Psaltery came.
BY_HAND_UNTIL = 30
# Books are locked this many days back where they are locked at all.
LOCKED_DAYS = 45


class StoryClock(Clock):
    """A clock that the story sets, so that records carry the times of their own days."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Story:
    """A seed and a present moment: together they decide everything in the demo's world."""

    seed: int
    now: datetime
    today: date = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "today", self.now.date())

    def chance(self, topic: str) -> random.Random:
        """A source of its own for each topic: a change in one leaves the others as they were."""
        # Nothing secret hangs on it, and it has to be repeatable.
        return random.Random(f"{self.seed}:{topic}")  # noqa: S311

    def day(self, ago: int) -> date:
        """The day so many days ago."""
        return self.today - timedelta(days=ago)

    def moment(self, day: date, hour: int = 4) -> datetime:
        """An hour (UTC) of a day, never in the future. 4 is the afternoon at the offices."""
        return min(datetime.combine(day, time(hour), UTC), self.now)

    def workdays(self, first_ago: int, last_ago: int) -> list[date]:
        """Mondays to Fridays from `first_ago` days ago to `last_ago` days ago, in order."""
        days = (self.day(ago) for ago in range(first_ago, last_ago - 1, -1))
        return [day for day in days if day.weekday() < 5]

    def month_starts(self) -> Iterator[date]:
        """The first days of the last three months, the oldest first."""
        first = self.today.replace(day=1)
        earlier = (first - timedelta(days=1)).replace(day=1)
        yield (earlier - timedelta(days=1)).replace(day=1)
        yield earlier
        yield first

    @property
    def by_hand_until(self) -> date:
        """The last day whose invoices were entered in the books by hand."""
        return self.day(BY_HAND_UNTIL)

    @property
    def locked_until(self) -> date:
        """The lock date of the books that are locked."""
        return self.day(LOCKED_DAYS)
