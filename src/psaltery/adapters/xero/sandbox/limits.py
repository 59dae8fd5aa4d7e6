"""Xero's call limits: 5 at once, 60 a minute, 1,000 or 5,000 a day, for app and tenant.

https://developer.xero.com/documentation/guides/oauth2/limits/
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from werkzeug.wrappers import Response

from psaltery.adapters.sandboxing import Clock

# https://developer.xero.com/documentation/guides/oauth2/limits/
CONCURRENT, MINUTE, DAY, APP_MINUTE = 5, 60, 5000, 10_000


class Exceeded(Exception):
    """A limit is reached; the answer is a 429 that names it."""

    def __init__(self, kind: str, retry_after: int | None) -> None:
        super().__init__(kind)
        self.kind, self.retry_after = kind, retry_after

    def response(self) -> Response:
        """The body is empty; what counts is in the headers."""
        response = Response(b"", 429)
        response.headers["X-Rate-Limit-Problem"] = self.kind
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


@dataclass
class Window:
    """A fixed window that starts with its first call."""

    length: timedelta
    started: datetime | None = None
    used: int = 0

    def roll(self, now: datetime) -> None:
        """Starts the window anew when it is over; a clock set back starts it too."""
        if self.started is None or now >= self.started + self.length or now < self.started:
            self.started, self.used = now, 0

    def wait(self, now: datetime) -> int:
        """Whole seconds until the window ends, at least one."""
        # Rounded up: a client that waits exactly so long is let in.
        started = self.started or now
        return max(1, -int(-(started + self.length - now).total_seconds() // 1))


def _minute() -> Window:
    return Window(timedelta(minutes=1))


@dataclass
class Usage:
    minute: Window = field(default_factory=_minute)
    day: Window = field(default_factory=lambda: Window(timedelta(days=1)))
    running: int = 0


class Limits:
    """Counts calls by app and tenant. Switched off, it refuses nothing and shows full budgets."""

    def __init__(self, clock: Clock, on: bool = True, per_day: int = DAY) -> None:
        self.clock = clock
        self.on = on
        self.per_day = per_day
        self.per_minute = MINUTE
        self._usage: dict[tuple[str, str], Usage] = {}
        self._apps: dict[str, Window] = {}
        self._lock = threading.Lock()

    @contextmanager
    def call(self, client_id: str, tenant_id: str) -> Iterator[dict[str, str]]:
        """Counts the call while it runs and yields the headers. Raises `Exceeded`."""
        with self._lock:
            usage = self._usage.setdefault((client_id, tenant_id), Usage())
            app = self._apps.setdefault(client_id, _minute())
            headers = self._count(usage, app)
        try:
            yield headers
        finally:
            with self._lock:
                usage.running -= 1

    def _count(self, usage: Usage, app: Window) -> dict[str, str]:
        now = self.clock.now()
        for window in (usage.minute, usage.day, app):
            window.roll(now)
        # A refused call uses nothing up.
        if self.on:
            self._refuse(usage, app, now)
            usage.minute.used += 1
            usage.day.used += 1
            app.used += 1
        usage.running += 1
        return {
            "X-DayLimit-Remaining": str(self.per_day - usage.day.used),
            "X-MinLimit-Remaining": str(self.per_minute - usage.minute.used),
            "X-AppMinLimit-Remaining": str(APP_MINUTE - app.used),
        }

    def _refuse(self, usage: Usage, app: Window, now: datetime) -> None:
        # No Retry-After here: Xero promises it for the minute and the day only.
        if usage.running >= CONCURRENT:
            raise Exceeded("concurrent", None)
        if usage.day.used >= self.per_day:
            raise Exceeded("day", usage.day.wait(now))
        if usage.minute.used >= self.per_minute:
            raise Exceeded("minute", usage.minute.wait(now))
        if app.used >= APP_MINUTE:
            raise Exceeded("appminute", app.wait(now))

    def use_up(self, client_id: str, tenant_id: str, per_day_left: int) -> None:
        """Leaves so many calls of the day, to try what happens at its end."""
        with self._lock:
            usage = self._usage.setdefault((client_id, tenant_id), Usage())
            usage.day.roll(self.clock.now())
            usage.day.used = self.per_day - per_day_left
