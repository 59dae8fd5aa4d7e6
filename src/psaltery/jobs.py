"""Runs the job queue: one worker process, until it is told to stop."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import connections
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.periodic import PeriodicRegistry
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.utils import cancel_and_capture_errors
from procrastinate.worker import Worker

from psaltery import database
from psaltery.sync import stalled

log = structlog.get_logger(__name__)

# Jobs are cut into slices of a few seconds; most end within this after a request to stop.
GRACE_SECONDS = 8.0
# After the grace a job is asked to stop; one that does not listen is left to another worker.
PATIENCE_SECONDS = 4.0
LEAVE_SECONDS = 2.0


def worker_connector(concurrency: int) -> PsycopgConnector:
    """What a worker needs of the queue: connections of its own, which can wait for notifications.

    Jobs that a task defers still go through Django's connection, hence its transaction.
    """
    return PsycopgConnector(
        kwargs=connector_params("default"), min_size=1, max_size=concurrency + 4
    )


async def work(
    concurrency: int,
    *,
    wait: bool = True,
    stop: asyncio.Event | None = None,
    own_process: bool = False,
) -> None:
    """Does jobs until `stop` is set or, with `wait` false, until none is left.

    Only a worker that waits defers the periodic tasks: the others do what is there. `own_process`:
    nothing else is in this process, which ends when the worker works no more.

    Raises procrastinate's ConnectorException when the database is lost.
    """
    threads = ThreadPoolExecutor(max_workers=concurrency + 2, thread_name_prefix="job")
    asyncio.get_running_loop().set_default_executor(threads)
    connector = worker_connector(concurrency)
    queue = app.with_connector(connector)
    queue.perform_import_paths()
    if not wait:
        queue.periodic_registry = PeriodicRegistry()
    async with queue.open_async():
        options: dict[str, Any] = {
            **queue.worker_defaults,
            "concurrency": concurrency,
            "wait": wait,
            "shutdown_graceful_timeout": GRACE_SECONDS,
            "install_signal_handlers": False,
        }
        worker = Worker(app=queue, **options)
        ended = asyncio.Event()
        beside = [stalled.watch(queue, connector, ended)] if wait else []
        if stop:
            beside.append(_stop_when(stop, worker))
        if own_process:
            beside.append(_end_when_silent(connector, worker))
        tasks = [asyncio.create_task(one) for one in beside]
        try:
            await worker.run()
        finally:
            ended.set()
            await cancel_and_capture_errors(tasks)
            # The thread in which Django served the queue's own calls keeps its connection.
            await sync_to_async(connections.close_all)()


async def _stop_when(stop: asyncio.Event, worker: Worker) -> None:
    await stop.wait()
    worker.stop()
    await asyncio.sleep(GRACE_SECONDS + PATIENCE_SECONDS)
    log.warning("a job did not stop in time; it is left to another worker")
    # A thread can't be ended from outside, its process can. Without this worker's row its jobs
    # are stalled at once, and the next worker takes them over; with a database that is gone they
    # are a few seconds later.
    try:
        if worker.worker_id is not None:
            leave = worker.app.job_manager.unregister_worker(worker.worker_id)
            await asyncio.wait_for(leave, LEAVE_SECONDS)
    finally:
        database.release_all()
        os._exit(0)


async def _end_when_silent(connector: PsycopgConnector, worker: Worker) -> None:
    """Ends a process that works no more: whoever started it starts it again."""
    await stalled.falls_silent(connector, worker)
    log.error("this worker works no more; its process ends")
    database.release_all()
    os._exit(1)


def run_worker(concurrency: int) -> None:
    """Works until SIGTERM or SIGINT, then ends in order. Raises as `work`."""
    asyncio.run(_until_signalled(concurrency))


async def _until_signalled(concurrency: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("worker started", concurrency=concurrency)
    await work(concurrency, stop=stop, own_process=True)
    log.info("worker stopped")
