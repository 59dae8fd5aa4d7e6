"""`psaltery run` as a whole: it starts, keeps itself running, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

pytestmark = pytest.mark.crash


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """`psaltery run` on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "psaltery.cli", "run"],
            env={**os.environ, "PSALTERY_DATA": str(data), "PSALTERY_PORT": str(self.port)},
            start_new_session=True,
        )

    def ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def wait(self, what, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.1)

    def children(self, word: str) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE and word in child.cmdline()
        ]

    def leftovers(self) -> list[str]:
        """Whatever still runs that knows this data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                variables = {} if process.pid == os.getpid() else process.environ()
                line = process.cmdline()
                mine = variables.get("PSALTERY_DATA") == str(self.data)
                if process.status() != psutil.STATUS_ZOMBIE and (
                    mine or any(str(self.data) in word for word in line)
                ):
                    found.append(" ".join(line))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@pytest.fixture
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="psaltery-") as folder:
        app = Running(Path(folder))
        app.wait(app.ready)
        yield app
        if app.process.poll() is None:
            app.process.send_signal(signal.SIGTERM)
            app.process.wait(30)


def test_ctrl_c_stops_all_of_it_in_order(running):
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0
    assert running.leftovers() == []
    log = next((running.data / "postgres" / "log").glob("*.log")).read_text()
    assert log.rstrip().endswith("database system is shut down")


def test_kill_9_of_the_parent_takes_everything_with_it(running):
    running.process.kill()
    running.process.wait()
    running.wait(lambda: running.leftovers() == [], seconds=30)


@pytest.mark.parametrize("part", ["web", "worker"])
def test_a_killed_part_is_started_again(running, part):
    running.wait(lambda: running.children(part))
    (child,) = running.children(part)
    child.kill()
    running.wait(lambda: [c for c in running.children(part) if c.pid != child.pid])
    running.wait(running.ready)


def test_a_killed_process_of_the_web_server_is_replaced(running):
    (web,) = running.children("web")
    web.children()[0].kill()
    running.wait(running.ready)


def test_a_killed_postgresql_is_started_again(running):
    pid = int((running.data / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    running.wait(lambda: not running.ready(), seconds=10)
    running.wait(running.ready)
    running.wait(lambda: running.children("worker"))


def test_a_second_run_on_the_same_port_says_so(running):
    again = subprocess.run(
        [sys.executable, "-m", "psaltery.cli", "run"],
        env={
            **os.environ,
            "PSALTERY_DATA": str(running.data),
            "PSALTERY_PORT": str(running.port),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert again.returncode == 1
    assert "PSALTERY_PORT" in again.stderr
    assert running.ready()
