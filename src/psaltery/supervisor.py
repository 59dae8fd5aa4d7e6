"""`psaltery run`: web server, worker and private PostgreSQL, kept running together."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

import structlog

from psaltery import database, processes
from psaltery.environment import Environment

log = structlog.get_logger(__name__)

# More than the worker's own grace and patience, so that no job is cut off without need.
STOP_SECONDS = 20
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# A child that lived this long was well; its next restart does not wait.
WELL_SECONDS = 20
WATCH_SECONDS = 1.0


# The schema is known to be current when these start.
PARTS = (("web", "--schema-known"), ("worker", "--schema-known"))


def run(env: Environment, ready: Callable[[], None], beside: Sequence[Sequence[str]] = ()) -> None:
    """Keeps everything running until SIGTERM or SIGINT; calls `ready` once pages are served.

    The schema must be current. `beside` are further commands of `psaltery` to keep running, such
    as `["sandbox", "xero", "--port", "9001"]`; they start first.
    """
    try:
        asyncio.run(_supervise(env, ready, [*beside, *PARTS]))
    finally:
        database.release_all()
        processes.collect_orphans()


async def _supervise(
    env: Environment, ready: Callable[[], None], commands: Sequence[Sequence[str]]
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as group:
        for command in commands:
            group.create_task(_keep(command, stopping))
        group.create_task(_announce(env, ready, stopping))
        if env.embedded:
            group.create_task(_keep_database(database.private_server(env.data), stopping))


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    # A session of its own, so that Ctrl-C reaches this process alone and the order of the end
    # is ours.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "psaltery.cli", "--parent", str(os.getpid()), *command,
        start_new_session=True,
    )  # fmt: skip


async def _keep(command: Sequence[str], stopping: asyncio.Event) -> None:
    """Starts the command again whenever it ends, ever more slowly while it keeps ending."""
    delay = FIRST_DELAY
    while not stopping.is_set():
        began = time.monotonic()
        process = await _start(command)
        ended = asyncio.create_task(process.wait())
        await _first(ended, stopping)
        if stopping.is_set():
            await _end(process, ended)
            return
        delay = FIRST_DELAY if time.monotonic() - began > WELL_SECONDS else delay
        log.error("a process ended and is started again", command=command[0], code=ended.result())
        await _pause(delay, stopping)
        delay = min(delay * 2, LONGEST_DELAY)


async def _end(process: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
    if not ended.done():
        process.terminate()
    try:
        await asyncio.wait_for(ended, STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _keep_database(server: database.Server, stopping: asyncio.Event) -> None:
    """Starts the private PostgreSQL again when it dies."""
    while not stopping.is_set():
        await _pause(WATCH_SECONDS, stopping)
        if not stopping.is_set() and not database.alive(server):
            try:
                if await asyncio.to_thread(database.revive, server):
                    log.error("PostgreSQL had died and was started again")
            except database.DatabaseUnavailable as error:
                log.error("PostgreSQL has died and can't be started", reason=str(error))


async def _announce(env: Environment, ready: Callable[[], None], stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        if await asyncio.to_thread(answers, env):
            ready()
            return
        await _pause(0.1, stopping)


def answers(env: Environment) -> bool:
    """Whether the web server of this installation serves pages on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(env.bind, env.bind)  # noqa: S104
    web = HTTPConnection(host, env.port, timeout=5)
    try:
        web.request("GET", "/healthz", headers={"Host": "localhost"})
        return web.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        web.close()


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return


async def _first(ended: "asyncio.Task[int]", stopping: asyncio.Event) -> None:
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
