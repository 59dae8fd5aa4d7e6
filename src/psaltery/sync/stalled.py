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

log = structlog.get_logger(__name__)

SILENT_SECONDS = 6
LOOK_SECONDS = 3.0
# A job that has brought down this many workers is the likely cause: a person must look.
MOST_ATTEMPTS = 10
# Held by the worker that looks: a second one, with a list made before, would give back a job that
# has begun again meanwhile.
_LOOK = "SELECT pg_try_advisory_xact_lock(hashtext('psaltery stalled jobs'))"


async def watch(queue: App, connector: PsycopgConnector) -> None:
    """Looks every few seconds, until it is cancelled."""
    while True:
        # The worker that lost its database says so and ends.
        with suppress(psycopg.Error, exceptions.ConnectorException):
            await take_over(queue.job_manager, connector)
        await asyncio.sleep(LOOK_SECONDS)


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
