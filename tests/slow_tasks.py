"""Tasks for the tests of the queue: they leave marks in a folder, so that kills can be timed."""

import os
import time
from pathlib import Path

from django.db import transaction
from procrastinate import JobContext
from procrastinate.contrib.django import app


def _mark(folder: str, name: str) -> None:
    with (Path(folder) / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


@app.task(name="tests.slow", pass_context=True)
def slow(context: JobContext, *, folder: str, seconds: float) -> None:
    """Marks its begin and its end; lets itself be stopped by nothing."""
    _mark(folder, "begun")
    time.sleep(seconds)
    _mark(folder, "ended")


@app.task(name="tests.held")
def held(*, folder: str) -> None:
    """Marks its begin, waits until it is let go, and marks its end."""
    _mark(folder, "begun")
    while not (Path(folder) / "let go").exists():
        time.sleep(0.05)
    _mark(folder, "ended")


@app.task(name="tests.follow_up")
def follow_up(*, folder: str) -> None:
    """Marks that it ran."""
    _mark(folder, "followed")


@app.task(name="tests.defer_and_fail")
def defer_and_fail(*, folder: str) -> None:
    """Defers a job in a transaction that is rolled back, and one in another that is not."""
    with transaction.atomic():
        follow_up.defer(folder=folder)
    try:
        with transaction.atomic():
            follow_up.defer(folder=folder)
            raise ValueError("rolled back")
    except ValueError:
        _mark(folder, "rolled back")
