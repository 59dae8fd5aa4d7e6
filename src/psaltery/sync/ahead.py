"""Reading ahead: the next page is fetched by a thread while this one is stored.

Without it a back-fill waits for the vendor and for PostgreSQL in turn.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


@contextmanager
def reader(fetch: Callable[[str, str | None], T]) -> Iterator[Callable[[str, str], Future[T]]]:
    """Within, begins to fetch the page of a feed at a cursor; `result()` waits for it.

    The result raises what fetching raised. One page at a time; the thread and its own database
    connection end with the block, after a page that is still under way.
    """
    # One worker: a cursor comes with the page before it, so no more pages can be asked for at once.
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read ahead")
    used = False

    def begin(feed: str, cursor: str) -> Future[T]:
        nonlocal used
        used = True
        # The copy keeps the actor and subject of the audit log.
        return pool.submit(copy_context().run, fetch, feed, cursor)

    try:
        yield begin
    finally:
        # Only the thread itself can close its connection; it would stay open for good.
        if used:
            pool.submit(connections.close_all)
        pool.shutdown()
