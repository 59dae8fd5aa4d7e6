"""The private PostgreSQL: started once, shared, found again, stopped by the last user."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from psaltery import database
from psaltery.database import Server

HOLD = """
import sys, time
from pathlib import Path
from psaltery import database
use = database.hold(database.Server(Path(sys.argv[1])))
print("held", use.started, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def server() -> Iterator[Server]:
    # Not under pytest's folder: that is closed to the user PostgreSQL runs as under root.
    with tempfile.TemporaryDirectory(prefix="psaltery-") as folder:
        server = Server(Path(folder) / "postgres", (("fsync", "off"),))
        yield server
        database.hold(server).release()


class Holder:
    """Another process that uses the server."""

    def __init__(self, server: Server) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(server.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.started = self.process.stdout.readline().split() == ["held", "True"]

    def leave(self) -> None:
        self.process.communicate("\n", timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def one(server: Server, query: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone() if cursor.description else None


def test_it_starts_keeps_its_data_and_stops(server):
    use = database.hold(server)
    assert use.started
    one(server, "CREATE TABLE kept (n int)")
    use.release()
    assert not database.answers(server)
    use = database.hold(server)
    assert one(server, "SELECT count(*) FROM kept") == (0,)
    assert one(server, "SHOW server_encoding") == ("UTF8",)
    use.release()


def test_releasing_twice_is_harmless(server):
    use = database.hold(server)
    use.release()
    use.release()
    assert not database.answers(server)


def test_two_processes_share_it_and_the_last_one_stops_it(server):
    first, second = Holder(server), Holder(server)
    assert (first.started, second.started) == (True, False)
    first.leave()
    assert database.answers(server)
    second.leave()
    assert not database.answers(server)


def test_a_killed_user_does_not_keep_it_running(server):
    first, second = Holder(server), Holder(server)
    first.kill()
    second.leave()
    assert not database.answers(server)


def test_a_server_left_behind_is_found_again_and_then_stopped(server):
    Holder(server).kill()
    assert database.answers(server)
    use = database.hold(server)
    assert not use.started
    use.release()
    assert not database.answers(server)


def test_a_killed_server_is_revived_with_its_data(server):
    use = database.hold(server)
    one(server, "CREATE TABLE kept (n int)")
    pid = int((server.folder / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while database.alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert database.revive(server)
    assert one(server, "SELECT count(*) FROM kept") == (0,)
    use.release()


def test_a_stale_pid_file_of_another_process_is_no_obstacle(server):
    database.hold(server).release()
    # This test's own number: alive, and no PostgreSQL.
    (server.folder / "postmaster.pid").write_text(f"{os.getpid()}\n")
    use = database.hold(server)
    assert use.started
    use.release()


def test_a_path_too_long_for_a_socket_gets_a_private_folder_elsewhere():
    with tempfile.TemporaryDirectory(prefix="psaltery-") as folder:
        server = Server(Path(folder) / ("long" * 25) / "postgres")
        server.folder.parent.mkdir(mode=0o755)
        use = database.hold(server)
        assert server.socket_folder != server.folder
        assert server.socket_folder.stat().st_mode & 0o077 == 0
        assert one(server, "SELECT 1") == (1,)
        use.release()


def test_files_of_another_major_version_are_refused_with_advice(server):
    database.hold(server).release()
    version = server.folder / "PG_VERSION"
    made_by = version.read_text()
    version.write_text("12\n")
    with pytest.raises(database.DatabaseUnavailable, match="made by PostgreSQL 12"):
        database.hold(server)
    version.write_text(made_by)


def test_an_address_becomes_djangos_settings():
    settings = database.django_database("postgresql://u:p%40@db.example.com:6432/n?sslmode=require")
    assert settings["HOST"] == "db.example.com"
    assert settings["PASSWORD"] == "p@"
    assert settings["NAME"] == "n"
    assert settings["OPTIONS"]["sslmode"] == "require"
    assert "idle_in_transaction_session_timeout" in settings["OPTIONS"]["options"]


def test_a_malformed_address_is_refused():
    with pytest.raises(database.DatabaseUnavailable, match="PSALTERY_DATABASE_URL"):
        database.django_database("mysql://h/d")
