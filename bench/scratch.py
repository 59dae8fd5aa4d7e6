"""An installation for one benchmark: a database of its own on a private PostgreSQL, then gone."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from psaltery import database, startup
from psaltery.environment import PREFIX

ROOT = Path(__file__).parent.parent
DATA = ROOT / ".data" / "bench"


@contextmanager
def installation() -> Iterator[str]:
    """Django, set up on a new and migrated database; its address. PostgreSQL is tuned as shipped.

    The environment is changed for this process and its children, and not put back.
    """
    _forget_settings()
    server = database.private_server(DATA)
    use = database.hold(server)
    name = f"bench_{os.getpid()}"
    _maintain(server, f'CREATE DATABASE "{name}"')
    os.environ[f"{PREFIX}DATABASE_URL"] = server.url(name)
    try:
        _migrated(server.url(name))
        yield server.url(name)
    finally:
        _let_go()
        _maintain(server, f'DROP DATABASE "{name}" WITH (FORCE)')
        use.release()


def _forget_settings() -> None:
    """The settings of the person who runs it must not colour what is measured."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ[f"{PREFIX}DATA"] = str(DATA)
    os.environ[f"{PREFIX}LOG_LEVEL"] = "WARNING"


def _migrated(url: str) -> None:
    startup.set_up_django()
    from psaltery import migrations

    migrations.migrate(url)


def _let_go() -> None:
    from django.db import connections

    connections.close_all()


def _maintain(server: database.Server, statement: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)


def child(module: str, *words: str, **variables: str) -> Any:
    """Run a module of ours in a process of its own; the JSON on the last line of its output."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(ended.stdout.splitlines()[-1])


def tell(figures: Mapping[str, float | str]) -> None:
    """The child's side of `child`."""
    print(msgspec.json.encode(figures).decode())


def peak_megabytes() -> float:
    """The most memory that this process ever had resident.

    Not getrusage's: that one counts in the process which started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")
