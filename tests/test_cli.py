"""The command line: every command explains itself, speaks JSON, and ends with a meaning."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from psaltery.cli import app

# These hand their options to another program, or do nothing but serve.
WITHOUT_JSON = {"django", "sandbox xero", "sandbox connectwise"}


def commands(group: TyperGroup, path: str = "") -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


ALL = dict(commands(typer.main.get_command(app)))


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="psaltery-") as folder:
        yield Path(folder)


def psaltery(data: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "psaltery.cli", *arguments],
        env={**os.environ, "PSALTERY_DATA": str(data), "PSALTERY_PORT": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does(name):
    assert ALL[name].help


@pytest.mark.parametrize("name", sorted(set(ALL) - WITHOUT_JSON))
def test_every_command_speaks_json(name):
    options = {option for parameter in ALL[name].params for option in parameter.opts}
    assert "--json" in options


def test_check_finds_a_new_installation_unmigrated_and_then_right(data):
    before = psaltery(data, "check", "--json")
    assert before.returncode == 1
    found = {row["subject"]: row for row in json.loads(before.stdout)}
    assert found["schema"]["level"] == "problem"
    assert found["schema"]["remedy"] == "psaltery migrate"
    assert psaltery(data, "migrate").returncode == 0
    after = psaltery(data, "check", "--json")
    found = {row["subject"]: row for row in json.loads(after.stdout)}
    assert found["schema"]["level"] == "ok"
    assert found["database"]["text"] == "PostgreSQL 18"
    assert found["web"]["level"] == "note"
    assert found["workers"]["level"] == "note"


def test_check_sees_open_keys_and_an_unprotected_address(data):
    psaltery(data, "check")
    (data / "seal.keys").chmod(0o644)
    ended = psaltery(data, "check", PSALTERY_PUBLIC_URL="http://psaltery.example.com")
    assert ended.returncode == 1
    assert f"chmod 600 {data / 'seal.keys'}" in ended.stdout
    assert "is not protected" in ended.stdout


def test_a_bad_setting_ends_with_2_and_its_name(data):
    ended = psaltery(data, "migrate", PSALTERY_PORT="many")
    assert ended.returncode == 2
    assert ended.stderr.startswith("PSALTERY_PORT: ")
    assert "Traceback" not in ended.stderr


def test_an_unreachable_database_ends_with_4(data):
    ended = psaltery(
        data, "migrate", PSALTERY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing"
    )
    assert ended.returncode == 4
    assert "Traceback" not in ended.stderr


@pytest.mark.django_db
def test_a_given_database_is_not_migrated_behind_ones_back(data, postgres):
    import psycopg
    from psycopg import conninfo

    name = f"test_psaltery_{os.getpid()}_empty"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        address = conninfo.make_conninfo(postgres, dbname=name)
        ended = psaltery(data, "worker", PSALTERY_DATABASE_URL=address)
        assert ended.returncode == 3
        assert "psaltery migrate" in ended.stderr
        ended = psaltery(data, "migrate", "--json", PSALTERY_DATABASE_URL=address)
        assert len(json.loads(ended.stdout)["applied"]) > 10
        ended = psaltery(data, "migrate", "--check", PSALTERY_DATABASE_URL=address)
        assert ended.returncode == 0
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
