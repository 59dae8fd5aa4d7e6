"""What the queue holds: which subjects have a job of a task, and which should rest."""

from dataclasses import dataclass

from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

# After so many seconds, and three times as many with each further bug of the hour.
_FIRST_REST = 5.0
_LONGEST_REST = 900.0
# The failed jobs that are kept are the memory, so there is no counter that could get lost.
_RESTING = """
    SELECT job.task_name, (job.args->>'subject')::bigint
    FROM procrastinate_jobs job
    JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'failed'
    WHERE job.status = 'failed' AND job.args ? 'subject' AND event.at > now() - interval '1 hour'
    GROUP BY 1, 2
    HAVING max(event.at) > now() - least(%s, %s * 3 ^ count(*)) * interval '1 second'
"""
_Pairs = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Backlog:
    """The queue at one moment, as pairs of a task and the subject of its job."""

    waiting: _Pairs
    running: _Pairs
    failing: _Pairs

    def under_way(self, task: str) -> set[int]:
        """The subjects that have a job of this task, waiting or running."""
        return _of(self.waiting | self.running, task)

    def settled(self, task: str) -> set[int]:
        """The subjects that need no further job of this task now: one waits, or they rest."""
        return _of(self.waiting | self.failing, task)

    def resting(self, task: str) -> set[int]:
        """The subjects whose last jobs ended in a bug, not long ago: no hot loop, no giving up."""
        return _of(self.failing, task)


def look() -> Backlog:
    """The queue as it is now. Two queries, for this is looked at every few seconds."""
    rows = ProcrastinateJob.objects.filter(status__in=("todo", "doing"), args__has_key="subject")
    jobs = list(rows.values_list("status", "task_name", "args__subject"))
    with connection.cursor() as cursor:
        cursor.execute(_RESTING, [_LONGEST_REST, _FIRST_REST])
        failing = frozenset((task, int(subject)) for task, subject in cursor.fetchall())
    return Backlog(
        waiting=frozenset((task, int(one)) for state, task, one in jobs if state == "todo"),
        running=frozenset((task, int(one)) for state, task, one in jobs if state == "doing"),
        failing=failing,
    )


def _of(pairs: _Pairs, task: str) -> set[int]:
    return {subject for name, subject in pairs if name == task}
