"""Deletes the records of old jobs. Successful ones go at once (see settings), failed ones later."""

from django.conf import settings
from procrastinate import JobContext
from procrastinate.contrib.django import app


@app.periodic(cron="17 3 * * *", periodic_id="remove_old_jobs")
@app.task(
    queue="upkeep",
    queueing_lock="remove_old_jobs",
    pass_context=True,
    name="remove_old_jobs",
)
async def remove_old_jobs(context: JobContext, timestamp: int) -> None:
    """Removes failed, cancelled and aborted jobs after the days that the setting says."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=settings.KEEP_FAILED_JOBS_DAYS * 24,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )
