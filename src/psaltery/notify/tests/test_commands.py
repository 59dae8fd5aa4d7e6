"""`psaltery notifications`."""

import json

import pytest
from typer.testing import CliRunner

from psaltery.cli import app
from psaltery.notify import service
from psaltery.notify.tests.world import open_card

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str):
    return CliRunner().invoke(app, ["notifications", *arguments])


def test_rules_are_listed(ada):
    answer = run("list", "--json")
    rows = json.loads(answer.stdout)
    assert [(row["to"], row["when"]) for row in rows] == [
        ("ada@example.com", "At once, when it has lasted 2 minutes"),
        ("ada@example.com", "Every day at 08:00"),
    ]


def test_a_test_is_sent_and_its_failure_is_an_exit_code(ada, mail_server):
    assert run("test", "ada@example.com").exit_code == 0
    assert mail_server.subjects() == ["Psaltery: this is a test"]
    mail_server.refuse_recipient = "550 no"
    answer = run("test", "ADA@example.com", "--json")
    assert answer.exit_code == 4
    assert "550 no" in json.loads(answer.stdout)["why"]
    assert run("test", "nobody").exit_code == 2


def test_without_a_mail_server_it_says_so(ada, settings):
    settings.EMAIL_HOST = ""
    answer = run("test", "ada@example.com", "--json")
    assert answer.exit_code == 2
    assert "PSALTERY_EMAIL_HOST" in answer.stdout


def test_a_digest_is_sent_when_there_is_something_to_tell(ada, office, mail_server):
    service.recipient_of(ada)
    answer = run("send-digest", "ada@example.com", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["state"]) == (0, "dropped")
    open_card(office, ["1"])
    assert json.loads(run("send-digest", "ada@example.com", "--json").stdout)["state"] == "sent"
    assert "1 exception waits" in mail_server.subjects()[0]
    rows = json.loads(run("messages", "--json").stdout)
    assert [row["state"] for row in rows] == ["sent", "dropped"]
    assert len(json.loads(run("messages", "--state", "sent", "--json").stdout)) == 1


def test_a_channel_is_named_by_its_name(httpserver):
    httpserver.expect_request("/hook").respond_with_data("ok")
    service.add_channel("slack", "#books", httpserver.url_for("/hook"))
    assert run("test", "#BOOKS").exit_code == 0
    assert run("send-digest", "#books").exit_code == 1
