"""`psaltery run` as a person runs it, set up by the command line, killed part by part.

Its own data folder and PostgreSQL, both sandboxes as processes. In the end every document is in
the books once.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from psaltery.testing.http_calls import call
from psaltery.testing.tallies import invoices_of_books, marked_once, posted_once

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]
OFFICES = {"Sydney": "GST", "Adelaide": "GST", "Auckland": "NZGST"}
PATIENCE = 180
PSA, BOOKS = "Our PSA", "Our books"
READ = ("pull", "--organisation", PSA, "--type", "invoices")
APP = "0123456789ABCDEF0123456789ABCDEF"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(done, seconds: float = PATIENCE, why=lambda: "it did not happen") -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, why()
        time.sleep(0.2)


def start_sandbox(*arguments: str) -> tuple["subprocess.Popen[str]", str]:
    """A sandbox as a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "psaltery.cli", "sandbox", *arguments, "--no-limits"],
        stdout=subprocess.PIPE,
        text=True,
    )
    words = process.stdout.readline().replace(",", " ").split()
    return process, next(word for word in words if word.startswith("http"))


class Installation:
    """A data folder, and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.redirect = f"http://localhost:{self.port}/connections/callback"
        app = ("--client-id", APP, "--client-secret", "secret", "--redirect-uri", self.redirect)
        self.books, self.books_url = start_sandbox("xero", "--orgs", "3", *app)
        keys = ("--public-key", "public", "--private-key", "private")
        amounts = ("--companies", "6", "--invoices", "0")
        self.psa, self.psa_url = start_sandbox("connectwise", *keys, *amounts)
        self.variables = {
            **os.environ,
            "PSALTERY_DATA": str(folder / "data"),
            "PSALTERY_PORT": str(self.port),
            "PSALTERY_XERO_API_URL": self.books_url,
            "PSALTERY_XERO_IDENTITY_URL": self.books_url,
            "PSALTERY_XERO_LOGIN_URL": self.books_url,
        }
        self.start()

    def start(self) -> None:
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "psaltery.cli", "run"],
            env=self.variables,
            start_new_session=True,
        )
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self) -> None:
        self.supervisor.send_signal(signal.SIGTERM)
        self.supervisor.wait(60)
        for sandbox in (self.books, self.psa):
            sandbox.terminate()
            sandbox.wait(20)

    def command(self, *arguments: str, again: bool = False):
        """A command of a person; JSON. `again`: one that meets a dead PostgreSQL is given again."""
        until = time.monotonic() + (PATIENCE if again else 0)
        while True:
            ended = subprocess.run(
                [sys.executable, "-m", "psaltery.cli", *arguments, "--json"],
                env=self.variables,
                capture_output=True,
                text=True,
                check=False,
            )
            if ended.returncode == 0:
                return json.loads(ended.stdout)
            assert time.monotonic() < until, ended.stdout + ended.stderr
            time.sleep(1)

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    # Killing.

    def kill(self, part: str) -> None:
        if part == "postgres":
            wait_until(self.answers)
            pid = (self.folder / "data/postgres/postmaster.pid").read_text().split()[0]
            os.kill(int(pid), signal.SIGKILL)
        elif part == "supervisor":
            self.supervisor.kill()
            self.supervisor.wait()
            self.start()
        else:
            # It may still be starting again after the last kill.
            wait_until(lambda: self._children(part))
            for child in self._children(part):
                child.kill()

    def _children(self, part: str) -> list[psutil.Process]:
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.supervisor.pid).children():
                with suppress(psutil.NoSuchProcess):
                    if part in child.cmdline():
                        found.append(child)
        return found


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path)
    yield made
    made.stop()


def set_up(one: Installation) -> None:
    """What a person types."""
    secret, private = one.file("secret", "secret"), one.file("private", "private")
    site = ("--site", one.psa_url, "--company", "harbour", "--public-key", "public")
    keys = ("--private-key-file", private, "--client-id", "0f0f0f0f-0000-4000-8000-000000000001")
    one.command("connections", "add", "connectwise", "--name", PSA, *site, *keys)
    app = ("--client-id", APP, "--client-secret-file", secret)
    told = one.command("connections", "add", "xero", "--name", BOOKS, *app)
    back = httpx2.get(f"{told['consent_address']}&sandbox_auto=allow").headers["location"]
    one.command("connections", "complete", BOOKS, "--redirected-to", back)
    chosen = one.command("connections", "organisations", BOOKS, "--choose", "all")
    names = [row["name"] for row in chosen]
    one.command("pull", "--type", "settings")
    routes = [f"location,{office},{name}" for office in OFFICES for name in names if office in name]
    header = "field,value,organisation"
    one.command("mapping", "routes", "import", one.file("r.csv", "\n".join([header, *routes])))
    mappings = ["organisation,list,key_kind,key,target"]
    for name in names:
        code, tax = ("NZGST", "OUTPUT2") if "Auckland" in name else ("GST", "OUTPUT")
        mappings += [f"{name},account,any,,200", f"{name},tax,tax_code,{code},{tax}"]
    one.command("mapping", "import", one.file("m.csv", "\n".join(mappings)))


class Load:
    """Invoices that are closed in the PSA."""

    def __init__(self, one: Installation) -> None:
        self.one, self.source, self.invoices = one, random.Random(5), []
        rows = call(f"{one.psa_url}/_control/documents/companies")
        self.companies = {
            office: [row["id"] for row in rows if row.get("territory", {}).get("name") == office]
            for office in OFFICES
        }

    def close(self, count: int) -> None:
        for _ in range(count):
            office = self.source.choice(list(OFFICES))
            price = f"{self.source.randint(1, 999)}.{self.source.randint(10, 99)}"
            line = {"kind": "product", "description": "Spare", "quantity": "3", "price": price}
            given = {
                "company": self.source.choice(self.companies[office]),
                "location": office,
                "tax_code": OFFICES[office],
                "lines": [line],
            }
            made = call(f"{self.one.psa_url}/_control/create_invoice", "POST", given)
            self.invoices.append(made)

    def posted(self) -> bool:
        return len(invoices_of_books(self.one.books_url)) >= len(self.invoices)

    def marked(self) -> bool:
        batches = call(f"{self.one.psa_url}/_control/documents/batches")
        return len(batches) >= len(self.invoices)


def slow_and_lost(one: Installation) -> None:
    path = "/Invoices|/Contacts"
    for after in (1, 4):
        rule = {"method": "PUT", "path": path, "kind": "lost_answer", "after": after}
        call(f"{one.books_url}/_control/faults", "POST", rule)
    rule = {"method": "PUT", "path": path, "kind": "slow", "seconds": 0.5, "times": -1}
    call(f"{one.books_url}/_control/faults", "POST", rule)


def test_every_part_is_killed_while_documents_are_posted(installation):
    set_up(installation)
    load, source = Load(installation), random.Random(9)
    slow_and_lost(installation)
    for part in ("worker", "postgres", "supervisor", "web", "worker", "postgres"):
        load.close(8)
        installation.command(*READ, again=True)
        time.sleep(source.uniform(0.0, 2.5))
        installation.kill(part)
    wait_until(installation.answers)
    installation.command(*READ, again=True)
    wait_until(load.posted, why=lambda: installation.command("status"))
    wait_until(load.marked, why=lambda: installation.command("status"))
    posted_once(installation.books_url, load.invoices)
    marked_once(installation.psa_url, load.invoices)
    wait_until(lambda: counted(installation)["in_step"] == len(load.invoices))
    assert counted(installation)["uncertain"] == 0


def counted(installation: Installation) -> dict[str, int]:
    return installation.command("status")["documents"]
