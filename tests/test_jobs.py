"""The queue under kill -9 and SIGTERM: no job is lost, none waits for ever."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker
from psycopg import OperationalError

from psaltery import jobs
from psaltery.sync import stalled

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import slow_tasks  # noqa: E402

WORKER = {"DJANGO_SETTINGS_MODULE": "settings_with_slow_tasks", "PYTHONPATH": str(HERE)}


def wait_for(happened: Callable[[], bool], seconds: float = 30) -> float:
    """Waits until it has happened; gives how long that took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, "it did not happen"
        time.sleep(0.05)
    return time.monotonic() - began


def marks(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().split() if path.exists() else []


def jobs_of(name: str):
    return ProcrastinateJob.objects.filter(task_name=name)


@pytest.mark.crash
def test_the_job_of_a_killed_worker_is_taken_over_within_seconds(psaltery_process, tmp_path):
    first = psaltery_process("worker", **WORKER)
    slow_tasks.held.defer(folder=str(tmp_path))
    wait_for(lambda: len(marks(tmp_path, "begun")) == 1)
    second = psaltery_process("worker", **WORKER)
    wait_for(lambda: ProcrastinateWorker.objects.count() == 2)
    first.kill()
    taken_over = wait_for(lambda: len(marks(tmp_path, "begun")) == 2)
    assert taken_over < 20
    (tmp_path / "let go").touch()
    wait_for(lambda: marks(tmp_path, "ended") == [str(second.pid)])
    wait_for(lambda: not jobs_of("tests.held").exists())


@pytest.mark.crash
def test_a_worker_told_to_stop_finishes_its_job(psaltery_process, tmp_path):
    worker = psaltery_process("worker", **WORKER)
    slow_tasks.slow.defer(folder=str(tmp_path), seconds=2)
    wait_for(lambda: len(marks(tmp_path, "begun")) == 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0
    assert len(marks(tmp_path, "ended")) == 1
    assert not jobs_of("tests.slow").exists()
    assert not ProcrastinateWorker.objects.exists()


@pytest.mark.crash
def test_a_job_that_does_not_stop_is_left_to_the_next_worker(psaltery_process, tmp_path):
    worker = psaltery_process("worker", **WORKER)
    slow_tasks.slow.defer(folder=str(tmp_path), seconds=20)
    wait_for(lambda: len(marks(tmp_path, "begun")) == 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert marks(tmp_path, "ended") == []
    next_worker = psaltery_process("worker", **WORKER)
    wait_for(lambda: str(next_worker.pid) in marks(tmp_path, "begun"))


def test_a_job_deferred_in_a_rolled_back_transaction_is_never_done(worker, tmp_path):
    slow_tasks.defer_and_fail.defer(folder=str(tmp_path))
    worker.drain()
    assert len(marks(tmp_path, "rolled back")) == 1
    assert len(marks(tmp_path, "followed")) == 1


def test_successful_jobs_leave_no_row_and_failed_ones_stay(worker, tmp_path):
    slow_tasks.follow_up.defer(folder=str(tmp_path))
    slow_tasks.follow_up.defer(folder="/nowhere")
    worker.drain()
    assert [job.status for job in jobs_of("tests.follow_up")] == ["failed"]


def _stall(job_id: int, *, attempts: int = 0) -> None:
    """Leaves the job as a worker does that died a while ago."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 min')"
            " RETURNING id"
        )
        (gone,) = cursor.fetchone()
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, attempts = %s"
            " WHERE id = %s",
            [gone, attempts, job_id],
        )


def _rescue() -> None:
    async def look() -> None:
        connector = jobs.worker_connector(1)
        async with app.with_connector(connector).open_async() as queue:
            await stalled.take_over(queue.job_manager, connector)

    asyncio.run(look())


def _states() -> list[str]:
    return [job.status for job in jobs_of("tests.follow_up")]


def test_a_stalled_job_that_was_queued_again_since_gives_way(worker, tmp_path):
    once = app.configure_task("tests.follow_up", queueing_lock="one", lock="one")
    _stall(once.defer(folder=str(tmp_path)))
    once.defer(folder=str(tmp_path))
    _rescue()
    worker.drain()
    assert len(marks(tmp_path, "followed")) == 1
    assert not jobs_of("tests.follow_up").exists()


def test_a_job_whose_workers_keep_dying_is_given_up_for_a_person(worker, tmp_path):
    _stall(slow_tasks.follow_up.defer(folder=str(tmp_path)), attempts=9)
    _rescue()
    assert _states() == ["failed"]
    assert marks(tmp_path, "followed") == []


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_looks_for_stalled_jobs(tmp_path):
    from django.db import connection, transaction

    _stall(slow_tasks.follow_up.defer(folder=str(tmp_path)))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(stalled._LOOK)
        _rescue()
        assert _states() == ["doing"]
    _rescue()
    assert _states() == ["todo"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_database_dies_while_it_stops_ends_all_the_same(monkeypatch):
    looked = asyncio.Event()

    async def dying(*_: object) -> None:
        looked.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            # As psycopg does when the server is gone before it could cancel the query.
            raise OperationalError("the connection is closed") from None

    async def run() -> None:
        stop = asyncio.Event()
        work = asyncio.create_task(jobs.work(1, stop=stop))
        await asyncio.wait_for(looked.wait(), 30)
        stop.set()
        await asyncio.wait_for(work, 30)

    monkeypatch.setattr(stalled, "take_over", dying)
    asyncio.run(run())
    assert not ProcrastinateWorker.objects.exists()


@pytest.mark.crash
def test_a_worker_that_beats_no_more_ends_its_process(psaltery_process):
    worker = psaltery_process("worker", **WORKER)
    wait_for(lambda: ProcrastinateWorker.objects.exists())
    with deaf_to_beats():
        assert worker.wait(timeout=90) == 1


@contextmanager
def deaf_to_beats() -> Iterator[None]:
    """Whatever a worker does, its last beat was long ago."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 min'")
        cursor.execute("CREATE RULE deaf AS ON UPDATE TO procrastinate_workers DO INSTEAD NOTHING")
        try:
            yield
        finally:
            cursor.execute("DROP RULE deaf ON procrastinate_workers")
