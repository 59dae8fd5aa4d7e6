"""docs/tables.md is held to the models: outsiders query by it."""

import re
from pathlib import Path

import pytest
from django.apps import apps

DOCS = Path(__file__).parents[4] / "docs" / "tables.md"
TYPES = {
    "BigAutoField": "bigint",
    "ForeignKey": "bigint",
    "TextField": "text",
    "BooleanField": "boolean",
    "DateField": "date",
    "DateTimeField": "timestamptz",
    "JSONField": "jsonb",
    "PositiveIntegerField": "integer",
    "PositiveSmallIntegerField": "smallint",
    "BigIntegerField": "bigint",
    "OneToOneField": "bigint",
}
APPS = ("ledger", "desk", "portfolio", "contacts", "signals", "rmm")
# What nobody has a report to make of: the keys of senders.
APART = ("rmm_keys",)


def models():
    found = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return [model for model in found if model._meta.db_table not in APART]


def documented():
    """Table → column → type, as the page says."""
    tables = {}
    for section in DOCS.read_text().split("\n### ")[1:]:
        name = re.match(r"`(\w+)`", section)[1]
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
        assert all(meaning.strip() for _, _, meaning in rows)
        tables[name] = {column: kind.strip() for column, kind, _ in rows}
    return tables


def kind_of(field):
    kind = TYPES.get(field.get_internal_type(), "")
    if field.get_internal_type() == "CharField":
        kind = f"varchar({field.max_length})"
    elif field.get_internal_type() == "DecimalField":
        kind = f"numeric({field.max_digits},{field.decimal_places})"
    return f"{kind}, null" if field.null else kind


def test_every_table_is_documented_and_no_other():
    assert sorted(documented()) == sorted(model._meta.db_table for model in models())


@pytest.mark.parametrize("model", models(), ids=lambda model: model._meta.db_table)
def test_the_columns_are_those_of_the_table(model):
    columns = {field.column: kind_of(field) for field in model._meta.concrete_fields}
    assert documented()[model._meta.db_table] == columns
