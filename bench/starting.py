"""How long commands take to start."""

import os
import subprocess
import sys
from statistics import median
from time import perf_counter

from bench.measure import Measure, Size

TIMES = {Size.FULL: 7, Size.TINY: 1}
COMMANDS = (["--version"], ["--help"], ["status", "--json"], ["connections", "list", "--json"])


def run(size: Size) -> list[Measure]:
    """Each command some times in a process of its own, the database running already."""
    return [_timed(command, TIMES[size]) for command in COMMANDS]


def _timed(command: list[str], times: int) -> Measure:
    taken = []
    for _ in range(times):
        started = perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "psaltery.cli", *command],
            env=os.environ,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        taken.append(perf_counter() - started)
        assert ended.returncode in (0, 3), f"{command}: exit code {ended.returncode}"
    return Measure(
        what=f"`psaltery {' '.join(command)}`",
        budget="",
        measured=f"{median(taken):.2f} s",
        remark=f"median of {times}, {min(taken):.2f} to {max(taken):.2f}",
        figures={"median_seconds": median(taken)},
    )
