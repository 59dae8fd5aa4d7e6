"""The whole demo as people start it: its history ends as it must, and nothing stays running."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from psaltery.demo.stage import free_port

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


@pytest.fixture
def folder():
    """Not pytest's own: every run of pytest closes that to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="psaltery-demo-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def start(folder, *arguments):
    """`psaltery demo` in a session of its own, its output in a file."""
    port = free_port(0, {0})
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "psaltery.cli", "demo", "--port", str(port),
             "--data", str(folder / "demo"), *arguments],
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            # As from a terminal: whoever runs tests in the background has Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip


def left_running(folder):
    """Processes that belong to the demo in this folder, by their arguments or variables."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline()) + process.environ().get("PSALTERY_DATA", "")
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if str(folder) in words and alive and process.pid != os.getpid():
            found.append(process)
    return found


def gone(folder, seconds=45):
    until = time.monotonic() + seconds
    while (running := left_running(folder)) and time.monotonic() < until:
        time.sleep(0.3)
    return not running, [" ".join(process.cmdline()) for process in running]


def wait_for(folder, text, process, seconds=180):
    until = time.monotonic() + seconds
    while text not in (said := (folder / "output").read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < until, said
        time.sleep(0.2)


def test_the_history_ends_as_it_must_and_the_demo_ends_with_it(folder):
    process = start(folder, "--check")
    code = process.wait(550)
    said = (folder / "output").read_text()
    assert code == 0, said
    assert "Everything ended as it must." in said
    assert gone(folder / "demo") == (True, [])


def test_live_work_goes_on_in_the_psa_the_books_and_the_monitoring(folder):
    process = start(folder, "--seconds", "0.3")
    for said in (" was closed: ", " paid ", " opened a ticket: ", " alerts: "):
        wait_for(folder, said, process)
    # And Ctrl-C ends all of it.
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert gone(folder / "demo") == (True, [])


def test_nothing_stays_running_after_it_was_killed(folder):
    process = start(folder)
    wait_for(folder, "sign in as", process)
    assert left_running(folder / "demo")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert gone(folder / "demo") == (True, [])
