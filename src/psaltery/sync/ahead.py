"""Reading ahead: the next page is fetched by a thread while this one is stored.

Without it a back-fill waits for the vendor and for PostgreSQL in turn.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from django.db import connections

from psaltery.adapters.contract import Page

# A function of the adapter, and a page of it that is under way.
Fetch = Callable[[str, str | None], Page[Any]]
Coming = Future[Page[Any]]


@contextmanager
def reader(fetch: Fetch) -> Iterator[Callable[[str, str], Coming]]:
    """Within, begins to fetch the page of a feed at a cursor; `result()` waits for it.

    The result raises what fetching raised. One page at a time; the thread and its own database
    connection end with the block, after a page that is still under way.
    """
    # One worker: a cursor comes with the page before it, so no more pages can be asked for at once.
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read ahead")
    used = False

    def begin(feed: str, cursor: str) -> Coming:
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
