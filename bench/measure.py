"""What a benchmark reports, and how it is shown."""

from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec
from rich.console import Console
from rich.table import Table


class Size(Enum):
    """FULL is what the budgets speak of; TINY only shows that a benchmark still works."""

    FULL = "full"
    TINY = "tiny"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `kept` is None where there is no budget, or nothing to hold against it
    (a peer that can't be installed)."""

    what: str
    budget: str
    measured: str
    kept: bool | None = None
    remark: str = ""
    figures: dict[str, float | str] = {}


_VERDICTS = {True: "kept", False: "MISSED", None: "–"}


def show(found: Mapping[str, Sequence[Measure]], *, as_json: bool) -> None:
    """Print the measures of each benchmark, as a table or as one JSON object."""
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    table = Table("benchmark", "what", "budget", "measured", "", "remark")
    for name, measures in found.items():
        for measure in measures:
            verdict = _VERDICTS[measure.kept]
            table.add_row(
                name, measure.what, measure.budget, measure.measured, verdict, measure.remark
            )
    Console().print(table)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; of few values, the greatest."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
