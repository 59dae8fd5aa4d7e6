"""Idle: what web and worker cost while both systems are connected and nothing changes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from bench.measure import Measure, Size

SETTLE = {Size.FULL: 30.0, Size.TINY: 2.0}
WATCH = {Size.FULL: 120.0, Size.TINY: 2.0}
MOST_SHARE, MOST_MB = 1.0, 250.0
START_SECONDS = 60.0


def run(size: Size) -> list[Measure]:
    """Start `psaltery run` on the scratch database, let it settle, watch it."""
    port = _free_port()
    running = subprocess.Popen(
        [sys.executable, "-m", "psaltery.cli", "run"],
        env={**os.environ, "PSALTERY_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        seconds = _answers(port)
        time.sleep(SETTLE[size])
        tree = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        share = _share(tree, WATCH[size])
        names = {process.pid: _name(process) for process in tree}
        memory = {names[p.pid]: p.memory_full_info().pss / 2**20 for p in tree}
        resident = sum(p.memory_info().rss for p in tree) / 2**20
    finally:
        running.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(30)
    return [_busy(share, WATCH[size]), _memory(memory, resident), _started(seconds)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> float:
    """Seconds until the sign-in page is served."""
    started = time.perf_counter()
    while time.perf_counter() - started < START_SECONDS:
        with suppress(URLError, ConnectionError):
            urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return time.perf_counter() - started
        time.sleep(0.05)
    raise TimeoutError("the web server did not come up")


def _cpu(tree: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in tree)


def _share(tree: list[psutil.Process], seconds: float) -> float:
    """Hundredths of one core that the processes used."""
    before, started = _cpu(tree), time.perf_counter()
    time.sleep(seconds)
    return (_cpu(tree) - before) / (time.perf_counter() - started) * 100


def _name(process: psutil.Process) -> str:
    words = [Path(word).name for word in process.cmdline()]
    known = next((word for word in ("web", "worker", "run") if word in words), words[0])
    return f"{known} ({process.pid})"


def _busy(share: float, seconds: float) -> Measure:
    return Measure(
        what="CPU of web and worker while idle",
        budget=f"< {MOST_SHARE:g} % of a core",
        measured=f"{share:.2f} %",
        kept=share < MOST_SHARE,
        remark=f"over {seconds:g} s; the database's own not counted",
        figures={"percent": share},
    )


def _memory(memory: dict[str, float], resident: float) -> Measure:
    total = sum(memory.values())
    return Measure(
        what="memory of web and worker while idle",
        budget=f"< {MOST_MB:g} MB",
        measured=f"{total:.0f} MB",
        kept=total < MOST_MB,
        remark=", ".join(f"{name} {size:.0f}" for name, size in memory.items())
        + f"; shared pages counted once ({resident:.0f} MB when each process counts them)",
        figures={"pss_mb": total, "rss_mb": resident},
    )


def _started(seconds: float) -> Measure:
    return Measure(
        what="`psaltery run` until it answers",
        budget="",
        measured=f"{seconds:.1f} s",
        remark="the database runs already",
        figures={"seconds": seconds},
    )
