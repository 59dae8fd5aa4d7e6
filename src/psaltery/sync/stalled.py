"""Takes over the jobs of workers that died.

A worker beats every 2 s; a job is stalled once its worker has been silent for 6 s, or is gone.
https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html

Every worker looks beside its jobs, so that it needs no free place among them.
"""

import asyncio
from contextlib import suppress

import psycopg
import structlog
from procrastinate import App, PsycopgConnector, exceptions
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

log = structlog.get_logger(__name__)

SILENT_SECONDS = 6
# A worker that was told to stop beats no more, and may take twelve.
GIVEN_UP_SECONDS = 18
LOOK_SECONDS = 3.0
BEAT_SECONDS = 6.0
# A job that has brought down this many workers is the likely cause: a person must look.
MOST_ATTEMPTS = 10
# Held by the worker that looks: a second one, with a list made before, would give back a job that
# has begun again meanwhile.
_LOOK = "SELECT pg_try_advisory_xact_lock(hashtext('psaltery stalled jobs'))"


_BEATS = """
    SELECT 1 FROM procrastinate_workers
    WHERE id = %s AND last_heartbeat > now() - make_interval(secs => %s)
"""


async def watch(queue: App, connector: PsycopgConnector, ended: asyncio.Event) -> None:
    """Looks every few seconds, until `ended` is set."""
    # Not until it is cancelled: a database that dies at that moment raises an error of its own in
    # the cancellation's place.
    while not ended.is_set():
        # The worker that lost its database says so and ends.
        with suppress(psycopg.Error, exceptions.ConnectorException):
            await take_over(queue.job_manager, connector)
        await asyncio.sleep(LOOK_SECONDS)


async def falls_silent(connector: PsycopgConnector, worker: Worker) -> None:
    """Returns when this worker has not beaten for long, although the database answers.

    Whatever it waits for, others have its jobs by then, and it takes no more.
    """
    looks = 0
    # Twice: after a standstill of the whole machine the next beat may still be on its way.
    while looks < 2:
        await asyncio.sleep(BEAT_SECONDS)
        with suppress(psycopg.Error, exceptions.ConnectorException):
            looks = 0 if await _beats(connector, worker) else looks + 1


async def _beats(connector: PsycopgConnector, worker: Worker) -> bool:
    if worker.worker_id is None:
        return True  # it has just begun, or is about to end
    async with connector.pool.connection() as mine:
        rows = await mine.execute(_BEATS, (worker.worker_id, GIVEN_UP_SECONDS))
        return await rows.fetchone() is not None


async def take_over(manager: JobManager, connector: PsycopgConnector) -> None:
    """Gives the jobs of silent workers back to the queue, unless another worker does so now."""
    async with connector.pool.connection() as mine, mine.transaction():
        free = await (await mine.execute(_LOOK)).fetchone()
        if not free or not free[0]:
            return
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_SECONDS):
            await give_back(manager, job)


async def give_back(manager: JobManager, job: Job) -> None:
    """Lets another worker do a stalled job; gives it up when it is superseded or deadly."""
    if job.attempts + 1 >= MOST_ATTEMPTS:
        await manager.finish_job(job, status=Status.FAILED, delete_job=False)
        log.error("job given up: its workers keep dying", job=job.id, task_name=job.task_name)
        return
    try:
        await manager.retry_job(job)
    except exceptions.UniqueViolation:
        # The same work has been queued again since; this one only holds up its locks.
        await manager.finish_job(job, status=Status.ABORTED, delete_job=True)
        log.info("stalled job superseded", job=job.id, task_name=job.task_name)
    else:
        log.warning("stalled job taken over", job=job.id, task_name=job.task_name)
