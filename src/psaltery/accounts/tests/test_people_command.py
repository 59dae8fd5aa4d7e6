"""`psaltery people`, as a process of its own on the test database."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.test import Client

from psaltery.accounts.models import Person
from psaltery.audit.models import Entry
from psaltery.testing.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a long enough secret"


def people(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "psaltery.cli", "people", *arguments],
        env={**os.environ, "PSALTERY_DATABASE_URL": database_url()},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_person_added_without_password_gets_a_link_that_works():
    ended = people("add", "Ada@Example.com", "--name", "Ada", "--role", "admin", "--json")
    assert ended.returncode == 0, ended.stderr
    facts = json.loads(ended.stdout)
    assert facts["email"] == "ada@example.com"
    assert Entry.objects.get(operation="person_added").actor == "command line"
    path = facts["password_link"].split("localhost:8080")[1]
    assert "password1" in Client().get(path, follow=True).content.decode()
    listed = json.loads(people("list", "--json").stdout)
    assert [row["role"] for row in listed] == ["admin"]


def test_password_is_set_from_standard_input_or_refused_with_its_reason():
    people("add", "ada@example.com", "--name", "Ada")
    weak = people("password", "ada@example.com", "--password-file", "-", text="password12\n")
    assert weak.returncode == 1
    assert "too common" in weak.stderr
    ended = people("password", "ada@example.com", "--password-file", "-", text=f"{PASSWORD}\n")
    assert ended.returncode == 0
    assert Person.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "a@example.com", "--name", "A", "--role", "boss"), 2, "boss is no role"),
        (("add", "no address", "--name", "A"), 1, "valid email"),
        (("password", "nobody@example.com"), 1, "Nobody has the address"),
        (("add", "a@example.com", "--name", "A", "--password-file", "/nope"), 2, "Can't read"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(arguments, code, words):
    ended = people(*arguments)
    assert ended.returncode == code
    assert words in ended.stderr
    assert not Person.objects.exists()
