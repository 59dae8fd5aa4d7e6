"""Every benchmark still works, at a tiny size. What it counts is judged here, its times are not."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from bench.__main__ import BENCHMARKS
from bench.measure import Measure

ROOT = Path(__file__).parent.parent
# Calls and queries are the same at any size and on any machine.
COUNTED = {
    "backfill": ["calls for that back-fill"],
    "polls": ["a poll of xero with no change", "a poll of connectwise with no change"],
    "posting": ["calls to post 10 invoices with 2 new contacts"],
    "planning": ["queries for 20, 40 documents"],
}


def tiny(name: str) -> list[Measure]:
    words = [sys.executable, "-m", "bench", name, "--size", "tiny", "--json"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-4000:]
    found = msgspec.json.decode(ended.stdout.splitlines()[-1], type=dict[str, list[Measure]])
    assert list(found) == [name]
    return found[name]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_measures_and_keeps_what_it_counts(name):
    measures = tiny(name)
    assert measures
    assert all(measure.measured for measure in measures)
    told = {measure.what: measure for measure in measures}
    for what in COUNTED.get(name, []):
        assert told[what].kept, told[what]


def test_every_benchmark_is_told_of_in_the_docs():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [name for name in BENCHMARKS if f"`python -m bench {name}`" not in page] == []
