"""The sandbox beside the published model of the API, where that is at hand."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from psaltery.adapters.connectwise.sandbox import Sandbox
from psaltery.adapters.connectwise.tests.sandbox.conftest import signed_in

ROOT = Path(__file__).parents[6]
PUBLISHED = ROOT.parent / "shared" / "reference" / "connectwise-openapi" / "models.json"


@pytest.fixture(scope="module")
def published():
    if not PUBLISHED.exists():
        pytest.skip(f"the published model is not at {PUBLISHED}")
    return json.loads(PUBLISHED.read_text())


def test_the_tables_of_fields_are_the_published_ones(published):
    package = "psaltery.adapters.connectwise.sandbox"
    ours = json.loads(resources.files(package).joinpath("models.json").read_text())
    assert len(ours) > 100
    assert {name: published[name] for name in ours} == ours


def test_an_export_has_the_published_fields(published):
    sandbox = Sandbox(companies=5, invoices=60, limits=False)
    server = sandbox.start()
    flags = ("exportInvoicesFlag", "exportProductsFlag", "exportExpensesFlag")
    with signed_in(server) as client:
        found = client.post("/finance/accounting/export", json=dict.fromkeys(flags, True)).json()
    server.stop()
    assert found["transactions"]
    assert found["purchaseTransactions"]
    assert found["expenseBills"]
    check(published, "GLExport", found, "")


def check(published, kind, value, path):
    """Every key is published, and what it holds is of its kind."""
    model = published.get(kind.removesuffix("[]"))
    if value is None or model is None:
        return
    for n, row in enumerate(value if kind.endswith("[]") else [value]):
        for name, inner in row.items():
            assert name in model, f"{path}[{n}].{name} is not published"
            check(published, model[name].split(maxsplit=1)[0], inner, f"{path}[{n}].{name}")
