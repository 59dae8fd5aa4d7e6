"""`psaltery webhooks`, as a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from psaltery.inbound.tests.conftest import KEY, event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def command(settings, live_app):
    """`command("list", "Books")` gives (exit code, JSON)."""
    import base64

    from psaltery.testing.processes import database_url

    seal_keys = ",".join(
        f"{name}:{base64.b64encode(key).decode()}" for name, key in settings.SEAL_KEYS.items()
    )

    def run(*arguments):
        ended = subprocess.run(
            [sys.executable, "-m", "psaltery.cli", "webhooks", *arguments, "--json"],
            env={
                **os.environ,
                "PSALTERY_DATABASE_URL": database_url(),
                "PSALTERY_SEAL_KEYS": seal_keys,
                "PSALTERY_PUBLIC_URL": live_app.url,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else None

    return run


def test_events_are_listed_replayed_and_tested(books, deliver, command, tmp_path):
    deliver([event("tenant-1", 1), event("tenant-1", 2, "CONTACT")])
    code, rows = command("list", "Books")
    assert code == 0
    assert [row["category"] for row in rows] == ["CONTACT", "INVOICE"]
    assert rows[0]["organisation"] == "Harbour IT"
    assert command("list", "Books", "--category", "invoice")[1] == rows[1:]
    assert command("list", "Books", "--since", "2099-01-01")[1] == []
    assert command("replay", "Books")[0] == 2
    assert command("replay", "Books", "--since", "soon")[0] == 2
    code, done = command("replay", "Books", "--id", str(rows[1]["id"]))
    assert (code, done) == (0, {"events": 1, "feeds": 2, "busy_feeds": 0})
    code, lines = command("test", "Books")
    # Loopback is no public address; the deliveries themselves are answered rightly.
    assert code == 1
    assert [line["ok"] for line in lines] == [False, True, True]
    assert command("list", "Nobody")[0] == 2


def test_keys_are_added_and_removed(books, command, tmp_path):
    file = tmp_path / "key"
    file.write_text("whk-" + "n0" * 30 + "\n")
    code, rows = command("key", "Books", "--file", str(file))
    assert (code, [row["hint"] for row in rows]) == (0, [KEY[-4:], "n0n0"])
    assert KEY not in str(rows)
    assert command("key", "Books", "--file", str(file))[0] == 2
    assert len(command("key", "Books", "--remove", KEY[-4:])[1]) == 1


def test_real_time_is_told_and_switched(rig, command):
    code, told = command("real-time", "Our PSA")
    assert (code, told["wanted"]) == (0, False)
    code, told = command("real-time", "Our PSA", "--on")
    assert (code, told["wanted"], len(told["types"])) == (0, True, 8)
    assert command("test", "Our PSA")[0] == 0
    assert command("real-time", "Our PSA", "--off")[1]["types"] == []
