"""The command line of connections, as processes of their own against the sandboxes."""

import json
import subprocess

import pytest

from psaltery.adapters.connectwise.sandbox import ApiKey, Sandbox


@pytest.fixture
def command(xero, tmp_path):
    """`command("list")` runs `psaltery connections list` and gives (exit code, JSON)."""
    import os
    import sys

    from psaltery.connections.tests.test_tokens import seal_keys
    from psaltery.testing.processes import database_url

    variables = {f"PSALTERY_XERO_{name}_URL": xero.url for name in ("API", "IDENTITY", "LOGIN")}

    def run(*arguments, group="connections"):
        ended = subprocess.run(
            [sys.executable, "-m", "psaltery.cli", group, *arguments, "--json"],
            env={
                **os.environ,
                **variables,
                "PSALTERY_DATABASE_URL": database_url(),
                "PSALTERY_SEAL_KEYS": seal_keys(),
                "PSALTERY_PUBLIC_URL": "http://localhost:8080",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else None

    return run


@pytest.fixture
def secret(tmp_path):
    def write(text):
        file = tmp_path / "secret"
        file.write_text(text + "\n")
        return str(file)

    return write


def test_xero_from_nothing_to_organisations_chosen(xero, command, secret):
    code, told = command(
        "add", "xero", "--name", "Books", "--client-id", "sandbox-client",
        "--client-secret-file", secret("sandbox-secret"),
    )  # fmt: skip
    assert code == 0
    back = xero.consent(told["consent_address"])
    code, found = command("complete", "Books", "--redirected-to", back)
    assert (code, len(found)) == (0, 3)
    code, told = command("complete", "Books", "--redirected-to", back)
    assert code == 2
    assert "already" in told["error"]
    code, chosen = command("organisations", "Books", "--choose", found[0]["external_id"])
    assert [one["chosen"] for one in chosen].count(True) == 1
    code, chosen = command("organisations", "Books", "--choose", "all", "--refresh")
    assert all(one["chosen"] for one in chosen)
    code, checks = command("test", "Books")
    assert code == 0
    assert len(checks) == 4
    code, told = command("reconnect", "Books")
    assert "consent_address" in told
    code, told = command("disconnect", "Books", "--yes")
    assert told["state"] == "disconnected"
    code, rows = command("list")
    assert rows[0]["state"] == "disconnected"
    code, entries = command("search", "disconnected", group="audit")
    assert entries[0]["actor"] == "command line"
    code, exported = command("export", "--kind", "change", group="audit")
    assert len(exported) >= 4


def test_connectwise_and_its_mistakes(command, secret):
    sandbox = Sandbox(companies=1, keys=(ApiKey("public", "private-key-1"),))
    server = sandbox.start()
    try:
        options = [
            "add", "connectwise", "--name", "PSA", "--site", server.url, "--company", "harbour",
            "--public-key", "public", "--client-id", "0000-1111",
        ]  # fmt: skip
        code, told = command(*options, "--private-key-file", secret("wrong"))
        assert code == 3
        assert "keys" in told["error"]
        code, told = command(*options, "--private-key-file", secret("wrong"))
        assert code == 2  # the name is taken
        code, checks = command("reconnect", "PSA", "--secret-file", secret("private-key-1"))
        assert code == 0
        assert all(check["ok"] for check in checks)
        options = [f"--field={name}={value}" for name, value in (
            ("site", server.url), ("company", "harbour"), ("public_key", "public"),
            ("client_id", "0000-1111"),
        )]  # fmt: skip
        file = f"--field-file=private_key={secret('private-key-1')}"
        code, checks = command("add", "system", "connectwise", "--name", "Other", *options, file)
        assert code == 0
        code, told = command("test", "nobody")
        assert code == 2
        assert "PSA" in told["error"]
    finally:
        server.stop()
        sandbox.close()
