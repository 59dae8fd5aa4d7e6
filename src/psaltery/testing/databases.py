"""The test run's PostgreSQL: one server for all runs in this checkout, one database a process."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import psutil
import psycopg
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management.commands import flush
from django.db import connection
from pytest_django import DjangoDbBlocker

from psaltery import database
from psaltery.environment import environment

# Nothing in a test database must outlive the machine: durability is not what is tested there.
TEST_OPTIONS = (("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off"))
NAME = "test_psaltery"


def _test_server() -> database.Server:
    return database.Server(environment().data / "postgres", TEST_OPTIONS)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a running PostgreSQL that the test run may make databases in."""
    env = environment()
    if not env.embedded:
        yield database.address(env)
        return
    server = _test_server()
    use = database.hold(server)
    _drop_left_over(server.url("postgres"))
    yield server.url()
    use.release()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: str) -> None:
    """Runs at the same time don't share a database: its name ends in the process's number."""
    connection.settings_dict["TEST"]["NAME"] = f"{NAME}_{os.getpid()}"
    # Threads come and go in tests; a kept connection would outlive its thread.
    connection.settings_dict["CONN_MAX_AGE"] = 0
    connection.ops.sql_flush = _flush  # type: ignore[method-assign]
    # It would make them anew after every test, which takes as long as many of the tests.
    vars(flush)["emit_post_migrate_signal"] = _keep_what_was_migrated
    # A password is to cost whoever guesses it, and no test does.
    Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.time_cost = 1024, 1


# What Django makes after migrating: the same in every test, and written by none.
MIGRATED = ("django_content_type", "auth_permission")


def _keep_what_was_migrated(verbosity: int, interactive: bool, db: str) -> None:
    """Instead of the signal that has it made: `_flush` leaves it where it is."""


# Truncating makes a new file for each table and index: slower than the test, for a few rows.
FEW_ROWS = 1000
_FILLED = """
    SELECT '{table}', EXISTS (SELECT FROM {table} OFFSET {few})
        OR current_setting('is_superuser') = 'off' AND EXISTS
            (SELECT FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal)
    WHERE EXISTS (SELECT FROM {table})
"""


def _flush(
    style: object,
    tables: Sequence[str],
    *,
    reset_sequences: bool = False,
    allow_cascade: bool = False,
) -> list[str]:
    """The statements that empty what a test has filled; Django's own truncate every table."""
    asked = [_FILLED.format(table=table, few=FEW_ROWS) for table in tables if table not in MIGRATED]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        found = dict(cursor.fetchall())
    large = [table for table, whole in found.items() if whole or reset_sequences]
    truncate = [f"TRUNCATE {', '.join(large)} RESTART IDENTITY CASCADE"] if large else []
    # References are checked at the end of the transaction: the order does not matter.
    delete = [f"DELETE FROM {table}" for table in found if table not in large]  # noqa: S608
    return [*truncate, _NO_TRIGGERS, *delete]


# No reference is looked up for a row that goes with all others, and the audit log lets it go.
_NO_TRIGGERS = """
    SELECT set_config('session_replication_role', 'replica', true)
    WHERE current_setting('is_superuser') = 'on'
"""


def _drop_left_over(url: str) -> None:
    """Removes databases of test runs that were killed."""
    with psycopg.connect(url, autocommit=True) as maintenance:
        rows = maintenance.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{NAME}_%"]
        ).fetchall()
        for (name,) in rows:
            if not psutil.pid_exists(int(name.removeprefix(f"{NAME}_").split("_")[0])):
                with contextlib.suppress(psycopg.Error):
                    maintenance.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(autouse=True)
def _no_jobs_left(
    request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Empties the queue after tests that commit: Django's flush leaves its tables alone."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" in request.fixturenames or (marker and marker.kwargs.get("transaction")):
        with django_db_blocker.unblock():
            empty_queue()


def empty_queue() -> None:
    """Removes every job, worker and periodic mark."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM procrastinate_periodic_defers; DELETE FROM procrastinate_jobs;"
            " DELETE FROM procrastinate_workers"
        )
