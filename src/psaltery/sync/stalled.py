"""Takes over the jobs of workers that died.

A worker beats every 2 s; a job is stalled once its worker has been silent for 6 s, or is gone.
https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html
"""

import structlog
from procrastinate import JobContext, exceptions
from procrastinate.contrib.django import app
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

log = structlog.get_logger(__name__)

SILENT_SECONDS = 6
# A job that has brought down this many workers is the likely cause: a person must look.
MOST_ATTEMPTS = 10


# Six fields: the seconds are the last one.
@app.periodic(cron="* * * * * */3", periodic_id="retry_stalled_jobs")
@app.task(
    queue="upkeep",
    queueing_lock="retry_stalled_jobs",
    pass_context=True,
    priority=100,
    name="retry_stalled_jobs",
)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Gives the jobs of silent workers back to the queue."""
    manager = context.app.job_manager
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
