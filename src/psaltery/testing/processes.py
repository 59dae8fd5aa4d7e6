"""What serves a test: a web server, a worker, child processes and a browser."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from pytest_django import DjangoDbBlocker, Settings
from werkzeug.serving import WSGIRequestHandler, make_server

from psaltery import jobs

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class LiveApp:
    """The product, served over HTTP on loopback from the test database."""

    url: str


class _Silent(WSGIRequestHandler):
    """Tells of no request: one that ends after its test would write to a closed stream."""

    def log(self, *args: object) -> None:
        pass


@pytest.fixture
def live_app(transactional_db: None, settings: Settings) -> Iterator[LiveApp]:
    """The real URLs in a threaded server; `settings` of the test apply to it."""
    server = make_server("127.0.0.1", 0, WSGIHandler(), threaded=True, request_handler=_Silent)
    url = f"http://localhost:{server.server_port}"
    settings.PUBLIC_URL = url
    settings.CSRF_TRUSTED_ORIGINS = [url]
    # It looks that often whether it is to stop, which each test waits for.
    seconds = 0.02
    thread = threading.Thread(
        target=server.serve_forever, args=(seconds,), name="live app", daemon=True
    )
    thread.start()
    yield LiveApp(url)
    server.shutdown()
    thread.join()
    server.server_close()


class WorkerInThread:
    """A real worker on the test database, in a thread of the test process."""

    def __init__(self, blocker: DjangoDbBlocker) -> None:
        self._blocker = blocker

    def drain(self, *, timeout: float = 60, concurrency: int = 4) -> None:
        """Does jobs, and those that they queue, until none is due.

        Raises TimeoutError after `timeout` seconds. Periodic tasks are not queued meanwhile.
        """
        deadline = time.monotonic() + timeout
        with self._blocker.unblock(), ThreadPoolExecutor(max_workers=1) as pool:
            while due_jobs():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"jobs still due: {due_jobs()}")
                pool.submit(asyncio.run, jobs.work(concurrency, wait=False)).result(timeout)

    @contextmanager
    def running(self, *, concurrency: int = 4) -> Iterator[None]:
        """Does jobs as they come, until the block ends."""
        ready: threading.Event = threading.Event()
        handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def until_stopped() -> None:
            stop = asyncio.Event()
            handles.append((asyncio.get_running_loop(), stop))
            ready.set()
            await jobs.work(concurrency, stop=stop)

        with ThreadPoolExecutor(max_workers=1) as pool:
            ended = pool.submit(asyncio.run, until_stopped())
            ready.wait(10)
            try:
                yield
            finally:
                loop, stop = handles[0]
                loop.call_soon_threadsafe(stop.set)
                ended.result(30)


def due_jobs() -> list[str]:
    """The names of the tasks that a worker would do now."""
    from procrastinate.contrib.django.models import ProcrastinateJob

    todo = ProcrastinateJob.objects.filter(status="todo")
    # One that is tried again later holds its lock's later jobs up until then.
    before = Q(priority__gt=OuterRef("priority")) | Q(
        priority=OuterRef("priority"), id__lt=OuterRef("id")
    )
    held_up = todo.filter(before, lock=OuterRef("lock"), scheduled_at__gt=Now())
    due = todo.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=Now())).exclude(Exists(held_up))
    return list(due.values_list("task_name", flat=True))


@pytest.fixture
def worker(transactional_db: None, django_db_blocker: DjangoDbBlocker) -> WorkerInThread:
    """`worker.drain()` does all due jobs; `with worker.running():` does them as they come."""
    return WorkerInThread(django_db_blocker)


def database_url() -> str:
    """The address of the test database, for child processes."""
    return psycopg_url(connection.get_connection_params())


def psycopg_url(params: dict[str, object]) -> str:
    """Django's connection parameters as an address."""
    from psycopg import conninfo

    names = ("host", "port", "user", "password", "dbname")
    return conninfo.make_conninfo(**{name: str(params[name]) for name in names if name in params})


Start = Callable[..., "subprocess.Popen[bytes]"]


@dataclass
class _Children:
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "psaltery.cli", *arguments],
            env={**os.environ, **variables},
            start_new_session=True,
        )
        self.started.append(child)
        return child

    def kill(self) -> None:
        for child in self.started:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


@pytest.fixture
def psaltery_process(transactional_db: None) -> Iterator[Start]:
    """`psaltery_process("worker", PSALTERY_X="…")` starts the real command on the test database."""
    children = _Children()
    address = database_url()

    def start(*arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        return children.start(*arguments, **{"PSALTERY_DATABASE_URL": address, **variables})

    yield start
    children.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for the whole run."""
    # Playwright keeps an event loop in this thread, and Django would refuse to work beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
        # Beside that loop Django took a second connection, which only it can find.
        connections.close_all()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


# What htmx says of a request that going on to the next page has cut off. A request that failed
# says htmx:sendError or htmx:responseError beside it.
CUT_OFF = ("htmx:sendAbort", "htmx:afterRequest")


@pytest.fixture
def console() -> list[str]:
    """Errors and warnings in the page's console, CSP violations among them."""
    return []


@pytest.fixture
def page(browser: Browser, console: list[str]) -> Iterator[Page]:
    """A fresh profile with one page. Under our CSP use `expect`, not `wait_for_function`."""
    context = browser.new_context(locale="en-AU", timezone_id="Australia/Sydney")
    context.set_default_timeout(10_000)
    # On a machine that does other things as well a page may take longer than the usual 5 s.
    expect.set_options(timeout=15_000)
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(CUT_OFF):
            console.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: console.append(str(error)))
    yield page
    context.close()
