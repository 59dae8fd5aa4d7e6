"""`psaltery mapping`, as a process of its own on the test database."""

import json
import os
import subprocess
import sys

import pytest

from psaltery.audit.models import Entry
from psaltery.mapping.models import Mapping, Route
from psaltery.posting.models import Posting
from psaltery.testing.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)
FIREWALL = {"product": "FW-60", "category": "Hardware", "amount": "1200.50"}


def mapping(*arguments, code=0):
    ended = subprocess.run(
        [sys.executable, "-m", "psaltery.cli", "mapping", *arguments],
        env={**os.environ, "PSALTERY_DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stderr + ended.stdout
    return ended


def test_a_gap_is_listed_mapped_and_gone(world):
    document = world.document(world.sydney, FIREWALL)
    world.hold(document)
    mapping("routes", "add", "location", "Sydney", "sydney", "--json")
    mapping("set", "Sydney", "tax", "tax_code", "GST", "GST on Income")
    gaps = json.loads(mapping("list", "--gaps", "--json", code=3).stdout)
    assert [(row["key_kind"], row["key"]) for row in gaps] == [("product", "FW-60")]
    assert gaps[0]["open"] == "1200.50 AUD"
    facts = json.loads(
        mapping("set", "Sydney", "account", "product", "FW-60", "230", "--json").stdout
    )
    assert facts["target"] == "230 Hardware Sales"
    assert "No gaps." in mapping("list", "--gaps").stdout
    assert Entry.objects.filter(operation="mapping.set", actor="command line").count() == 2
    assert Posting.objects.get().state == "waiting"


def test_what_is_wrong_is_said_with_its_exit_code(world):
    assert (
        "no account “999”" in mapping("set", "Sydney", "account", "any", "", "999", code=2).stderr
    )
    assert (
        "No organisation “Perth”"
        in mapping("set", "Perth", "account", "any", "", "200", code=2).stderr
    )
    assert "maps no any" in mapping("remove", "Sydney", "account", "any", code=2).stderr
    assert (
        "no field “planet”" in mapping("routes", "add", "planet", "Mars", "Sydney", code=2).stderr
    )


def test_export_is_what_import_reads(world, tmp_path):
    mapping("set", "Sydney", "account", "any", "", "200")
    mapping("routes", "add", "any", "", "Sydney")
    file, rules = tmp_path / "mappings.csv", tmp_path / "routes.csv"
    file.write_text(mapping("export").stdout)
    rules.write_text(mapping("routes", "export").stdout)
    mapping("remove", "Sydney", "account", "any")
    mapping("routes", "remove", "any")
    assert not Mapping.objects.exists()
    checked = json.loads(mapping("import", str(file), "--check", "--json").stdout)
    assert [row["result"] for row in checked] == ["new"]
    assert not Mapping.objects.exists()
    mapping("import", str(file))
    mapping("routes", "import", str(rules))
    assert Mapping.objects.get().target == "200"
    assert Route.objects.get().field == "any"


def test_a_wrong_row_keeps_a_file_out_unless_asked(world, tmp_path):
    file = tmp_path / "mappings.csv"
    file.write_text(
        "organisation,list,key_kind,key,target\nSydney,account,any,,200\nSydney,account,x,y,200\n"
    )
    ended = mapping("import", str(file), code=1)
    assert "Nothing was saved" in ended.stderr
    assert "not one of" in ended.stdout.replace("\n", " ")
    assert not Mapping.objects.exists()
    mapping("import", str(file), "--good-rows", code=1)
    assert Mapping.objects.count() == 1


def test_rules_are_tried_before_they_are_saved(world, tmp_path):
    world.document(world.sydney, FIREWALL)
    mapping("routes", "add", "location", "Perth", "sydney")
    held = mapping("routes", "try", "--json", code=3)
    assert json.loads(held.stdout)[-1] == {
        "organisation": "nowhere: held", "documents": 1, "money": "1200.50 AUD",
    }  # fmt: skip
    file = tmp_path / "rules.csv"
    file.write_text("field,value,organisation\nlocation,Sydney,Sydney\n")
    found = json.loads(mapping("routes", "try", str(file), "--json").stdout)
    assert [row["documents"] for row in found if "Sydney" in row["organisation"]] == [1]
    assert Route.objects.get().value == "Perth"
    file.write_text("field,value,organisation\nplanet,Mars,Sydney\n")
    assert "planet" in mapping("routes", "try", str(file), code=1).stdout
