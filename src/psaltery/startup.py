"""What a command needs before it can work: settings, the database, Django, the schema."""

import gc
import os
import subprocess
import sys

from psaltery import database
from psaltery.environment import Environment, environment

BEHIND = "The database is older than this Psaltery. Run: psaltery migrate"


class SchemaBehind(Exception):
    """The database lacks migrations that only a person should apply; the message says how."""


def prepare() -> Environment:
    """Reads the settings and makes sure that the private PostgreSQL, if that is used, runs.

    Raises BadEnvironment or DatabaseUnavailable.
    """
    env = environment()
    if env.embedded:
        database.hold(database.private_server(env.data))
    return env


def start(*, schema_known: bool = False) -> Environment:
    """Everything a command needs to use the models, with the schema known to be current.

    A private database is migrated on the way; a given one is not: raises SchemaBehind.
    """
    env = prepare()
    set_up_django()
    if not schema_known:
        from psaltery import migrations

        if env.embedded:
            # A private database has no other user who would want to choose the moment.
            migrations.migrate(database.address(env))
        elif migrations.pending():
            raise SchemaBehind(BEHIND)
    return env


def start_apart() -> Environment:
    """As `start`, for a process that has to stay small: Django is loaded in another one.

    Raises SystemExit with that process's exit code when it fails, having said why.
    """
    env = prepare()
    mode = [] if env.embedded else ["--check"]
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "psaltery.cli", "migrate", *mode], check=False
    )
    if ended.returncode:
        raise SystemExit(ended.returncode)
    return env


def set_up_django() -> None:
    """Loads Django's settings and the slices."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "psaltery.settings")
    import django

    django.setup()
    # What was loaded stays: the collector need not look through it again and again, which took a
    # quarter of a back-fill's time.
    gc.freeze()
    # A thread that comes back from the database waits this long for one that computes; with the
    # usual 5 ms a page's dozen of short queries took longer to come back than to be answered.
    sys.setswitchinterval(0.0005)
