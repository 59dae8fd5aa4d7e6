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
from procrastinate.worker import Worker

from psaltery import database
from psaltery.sync import stalled

log = structlog.get_logger(__name__)

# Jobs are cut into slices of a few seconds; most end within this after a request to stop.
GRACE_SECONDS = 8.0
# After the grace a job is asked to stop; one that does not listen is left to another worker.
PATIENCE_SECONDS = 4.0


def worker_connector(concurrency: int) -> PsycopgConnector:
    """What a worker needs of the queue: connections of its own, which can wait for notifications.

    Jobs that a task defers still go through Django's connection, hence its transaction.
    """
    return PsycopgConnector(
        kwargs=connector_params("default"), min_size=1, max_size=concurrency + 4
    )


async def work(concurrency: int, *, wait: bool = True, stop: asyncio.Event | None = None) -> None:
    """Does jobs until `stop` is set or, with `wait` false, until none is left.

    Only a worker that waits defers the periodic tasks: the others do what is there.

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
        beside = [asyncio.create_task(stalled.watch(queue, connector))] if wait else []
        if stop:
            beside.append(asyncio.create_task(_stop_when(stop, worker)))
        try:
            await worker.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            # The thread in which Django served the queue's own calls keeps its connection.
            await sync_to_async(connections.close_all)()


async def _stop_when(stop: asyncio.Event, worker: Worker) -> None:
    await stop.wait()
    worker.stop()
    await asyncio.sleep(GRACE_SECONDS + PATIENCE_SECONDS)
    # A thread can't be ended from outside, its process can. Without this worker's row its jobs
    # are stalled at once, and the next worker takes them over.
    log.warning("a job did not stop in time; it is left to another worker")
    if worker.worker_id is not None:
        await worker.app.job_manager.unregister_worker(worker.worker_id)
    database.release_all()
    os._exit(0)


def run_worker(concurrency: int) -> None:
    """Works until SIGTERM or SIGINT, then ends in order. Raises as `work`."""
    asyncio.run(_until_signalled(concurrency))


async def _until_signalled(concurrency: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("worker started", concurrency=concurrency)
    await work(concurrency, stop=stop)
    log.info("worker stopped")
