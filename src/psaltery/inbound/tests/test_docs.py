"""docs/webhooks.md is held to the models: outsiders query by it."""

from pathlib import Path

import pytest

from psaltery.inbound.models import ConnectWiseEvent, XeroEvent
from psaltery.ledger.tests import test_tables as tables

DOCS = Path(__file__).parents[4] / "docs" / "webhooks.md"
KINDS = {"BigIntegerField": "bigint"}


@pytest.mark.parametrize("model", [XeroEvent, ConnectWiseEvent], ids=["xero", "connectwise"])
def test_the_columns_are_those_of_the_table(model, monkeypatch):
    monkeypatch.setattr(tables, "DOCS", DOCS)
    monkeypatch.setattr(tables, "TYPES", tables.TYPES | KINDS)
    columns = {field.column: tables.kind_of(field) for field in model._meta.concrete_fields}
    assert tables.documented()[model._meta.db_table] == columns
