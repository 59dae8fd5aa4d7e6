"""Commits of requests that arrive at the same time, made together.

A commit waits for the disk. Threads that come while one is under way share the next one, so that
a flood of deliveries costs about as many commits as the disk can do, and each request is answered
after the commit that holds its own.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
# More in one statement would make the first of them wait past the vendor's five seconds.
MOST = 500


class NotStored(RuntimeError):
    """The commit that this request shared failed; the one who sent it is told to try again."""


class _Waiting(Generic[T, R]):
    """One thread's part of a batch."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = False
        self.results: list[R] = []
        # Set when the item is done, or when its thread is the one to do the next batch.
        self.called = threading.Event()


class Together(Generic[T, R]):
    """`work` does a batch in one transaction and gives one result an item, in order."""

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._work = work
        self._queue: list[_Waiting[T, R]] = []
        self._queueing = threading.Lock()
        self._busy = False

    def do(self, item: T) -> R:
        """The item's result, after the commit. Raises NotStored, or what `work` raised."""
        mine: _Waiting[T, R] = _Waiting(item)
        with self._queueing:
            self._queue.append(mine)
            first, self._busy = not self._busy, True
        if not first:
            # Each by an event of its own: threads that take turns at one lock, only to find
            # themselves done, would keep the next batch waiting.
            mine.called.wait()
        if not mine.done:
            self._do_batch()
        if not mine.results:
            raise NotStored
        return mine.results[0]

    def _do_batch(self) -> None:
        """Do what waits, this thread's item among it, and have the next one do the rest."""
        with self._queueing:
            batch, self._queue = self._queue[:MOST], self._queue[MOST:]
        try:
            found = self._work([one.item for one in batch])
            for one, result in zip(batch, found, strict=True):
                one.results.append(result)
        # Also when the batch failed: whoever waits must be answered, so that the vendor tries
        # again.
        finally:
            self._hand_over()
            for one in batch:
                one.done = True
                one.called.set()

    def _hand_over(self) -> None:
        with self._queueing:
            self._busy = bool(self._queue)
            if self._busy:
                self._queue[0].called.set()
