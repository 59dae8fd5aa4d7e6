"""The matrix of faults is whole and true: its page, its codes, its tests."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from psaltery.review.catalogue import CATALOGUE
from psaltery.testing.matrix import ROWS, Row

ROOT = Path(__file__).parents[1]
FIELD = ROOT.parent / "shared" / "reference" / "error-catalogue.md"


def test_the_page_is_what_the_matrix_says():
    render = runpy.run_path(str(ROOT / "scripts" / "fault_matrix"))["render"]
    page = (ROOT / "docs" / "errors" / "matrix.md").read_text()
    assert page == render(), "Run .venv/bin/python scripts/fault_matrix"


def test_every_row_of_the_fields_catalogue_is_there():
    numbers = [row.number for row in ROWS]
    assert numbers == list(range(1, len(ROWS) + 1))
    if not FIELD.exists():
        pytest.skip("the field's catalogue is not here")
    known = [
        int(number) for number in re.findall(r"^\| E(\d+) \|", FIELD.read_text(), re.MULTILINE)
    ]
    assert numbers == known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"E{row.number}")
def test_a_row_names_codes_that_exist_and_a_test_that_drives_it(row: Row):
    assert set(row.codes) <= set(CATALOGUE)
    file, _, function = row.test.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == function]
    assert len(found) == 1, row.test
    assert any(isinstance(step, ast.Assert | ast.With) or _checks(step) for step in found[0].body)


def _checks(step: ast.stmt) -> bool:
    """Whether it calls one of the checks that several tests share."""
    called = step.value if isinstance(step, ast.Expr) else None
    names = ("settled", "all_in_step", "in_step", "each_once", "posted_once", "press")
    return isinstance(called, ast.Call) and getattr(called.func, "id", "") in names
