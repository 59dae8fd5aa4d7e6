"""`python -m bench [NAME …] [--json] [--size tiny]`."""

import subprocess
import sys
from importlib import import_module
from typing import Annotated, Any

import msgspec
import psutil
import typer

from bench.measure import Measure, Size, show
from bench.scratch import ROOT, installation

# Module, and what it measures; in the order of docs/benchmarks.md.
BENCHMARKS = {
    "backfill": "back-fill: speed beside other clients, memory, calls",
    "fleet": "120 organisations, limits on: calls and time beside their floors",
    "polls": "polls with no change: calls and bytes",
    "posting": "calls to post a batch with new contacts",
    "planning": "decide and plan 10,000 documents: seconds and queries",
    "lists": "list pages with a million invoices: server time and queries",
    "customers": "customers and alerts with a million invoices: pages, a look for all signals",
    "tieout": "a tie-out with a million invoices on both sides: seconds and memory",
    "audit": "the audit log with a million entries: search, export, hash chain",
    "webhooks": "webhook deliveries a second, and the time to answer",
    "idle": "web and worker while nothing happens: CPU and memory",
    "starting": "how long commands take to start",
}
Found = dict[str, list[Measure]]


def main(
    names: Annotated[list[str] | None, typer.Argument(help=", ".join(BENCHMARKS))] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    size: Annotated[Size, typer.Option(help="tiny: only to see that it works.")] = Size.FULL,
) -> None:
    """Measure the budgets; without names, all of them, each in a process of its own."""
    unknown = set(names or ()) - BENCHMARKS.keys()
    if unknown:
        raise typer.BadParameter(f"no benchmark {', '.join(unknown)}: {', '.join(BENCHMARKS)}")
    wanted = names or list(BENCHMARKS)
    before = psutil.cpu_times()
    found = _here(wanted[0], size) if len(wanted) == 1 else _apart(wanted, size)
    show(found, as_json=as_json)
    # On the other channel, so that the JSON stays JSON.
    print(_taken_by_the_host(before, psutil.cpu_times()), file=sys.stderr)


def _taken_by_the_host(before: Any, after: Any) -> str:
    """On a virtual machine: how much of the time in which it wanted to work it was not let."""
    # A guest's time is counted in `user` too; idle and waiting for the disk is no wish to work.
    wanted = [sum(times) - times.idle - times.iowait - times.guest for times in (before, after)]
    stolen = after.steal - before.steal
    share = stolen / max(wanted[1] - wanted[0], 0.01)
    return f"{share:.0%} of the processor's time was taken by the host meanwhile."


def _here(name: str, size: Size) -> Found:
    with installation():
        measures: list[Measure] = import_module(f"bench.{name}").run(size)
    return {name: measures}


def _apart(names: list[str], size: Size) -> Found:
    found: Found = {}
    for name in names:
        print(f"{name}: {BENCHMARKS[name]} …", file=sys.stderr)
        words = [sys.executable, "-m", "bench", name, "--json", f"--size={size.value}"]
        ended = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        found |= msgspec.json.decode(ended.stdout, type=Found)
    return found


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
