"""Money is Decimal: nothing that could touch it makes or declares a float."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "psaltery"

# Floats that are no money though their names don't say so. A new line needs a reason beside it.
ALLOWED = {
    "adapters/connectwise/sandbox/access.py: self._calls is declared float",  # moments of calls
    "adapters/connectwise/site.py: _codebases is declared float",  # until when one is kept
    "adapters/http.py: _begin_until is declared float",  # a moment
    "connections/budgets.py: until is declared float",  # a moment
    "inbound/callback_key.py: _asked is declared float",  # a moment
    "inbound/callback_key.py: at is declared float",  # a moment
    "inbound/keys.py: _noted is declared float",  # a moment
    "sync/push.py: count is declared float",  # seconds
    "sync/payments.py: until is declared float",  # a moment of the monotonic clock
    "sync/queue.py: after is declared float",  # seconds
    "sync/taken.py: until is declared float",  # a moment of the monotonic clock
    "sync/wake.py: ahead is declared float",  # seconds
    "web/charts.py: a call of float()",  # pixels
}

TIMES = (
    "second",
    "hour",
    "timeout",
    "delay",
    "pause",
    "wait",
    "interval",
    "elapsed",
    "deadline",
    "now",
)


def files() -> list[Path]:
    return sorted(
        path
        for path in SOURCE.rglob("*.py")
        if not {"tests", "migrations", "testing"} & set(path.relative_to(SOURCE).parts)
    )


def is_time(name: str) -> bool:
    return any(word in name.lower() for word in TIMES)


def floats_of(code: str) -> list[str]:
    """A description of each float in the code, but for those that plainly hold seconds."""
    tree = ast.parse(code)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float":
            if not is_time(code.splitlines()[node.lineno - 1]):
                found.append("a call of float()")
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
            if "float" in names(node.annotation) and not is_time(name):
                found.append(f"{name} is declared float")
        elif isinstance(node, ast.Attribute) and node.attr == "FloatField":
            found.append("a FloatField")
    return found


def names(annotation: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("x = float('1.10')", 1),
        ("def pay(amount: float) -> None: ...", 1),
        ("class A:\n    total: float | None = None", 1),
        ("class A:\n    total = models.FloatField()", 1),
        ("def pause(seconds: float) -> None: ...", 0),
        ("def pay(amount: Decimal) -> None: ...", 0),
    ],
)
def test_the_rule_sees_what_it_should(code, count):
    assert len(floats_of(code)) == count


def test_no_float_near_money():
    found = {
        f"{path.relative_to(SOURCE)}: {what}"
        for path in files()
        for what in floats_of(path.read_text())
    }
    assert found - ALLOWED == set()
