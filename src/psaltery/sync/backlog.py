"""What the queue holds about a task: which subjects have a job, and which should rest."""

from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

# After so many seconds, and three times as many with each further bug of the hour.
_FIRST_REST = 5.0
_LONGEST_REST = 900.0
# The failed jobs that are kept are the memory, so there is no counter that could get lost.
_RESTING = """
    SELECT (job.args->>'subject')::bigint
    FROM procrastinate_jobs job
    JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'failed'
    WHERE job.status = 'failed' AND job.task_name = %s AND event.at > now() - interval '1 hour'
    GROUP BY 1
    HAVING max(event.at) > now() - least(%s, %s * 3 ^ count(*)) * interval '1 second'
"""


def under_way(task: str, *, running: bool = True) -> set[int]:
    """The subjects that have a job of this task: waiting or, with `running`, running."""
    states = ("todo", "doing") if running else ("todo",)
    rows = ProcrastinateJob.objects.filter(task_name=task, status__in=states)
    return {int(arguments["subject"]) for arguments in rows.values_list("args", flat=True)}


def settled_for(task: str) -> set[int]:
    """The subjects that need no further job of this task now: one waits, or they rest."""
    return under_way(task, running=False) | resting(task)


def resting(task: str) -> set[int]:
    """The subjects whose last jobs ended in a bug, not long ago: no hot loop, and no giving up."""
    with connection.cursor() as cursor:
        cursor.execute(_RESTING, [task, _LONGEST_REST, _FIRST_REST])
        return {int(row[0]) for row in cursor.fetchall()}
