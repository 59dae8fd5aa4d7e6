"""The database's schema: is it current, and bringing it up to date."""

import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Any number that no other program on this database uses.
LOCK = 0x7073616C74657279


def pending() -> list[str]:
    """Migrations not applied yet, as `app.name`, in order."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(url: str) -> list[str]:
    """Applies what is pending and gives its names. Processes that start together take turns."""
    # A connection of its own: the lock ends with it, whatever becomes of Django's.
    with psycopg.connect(url, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        # Asked under the lock: another process may just have applied them.
        applied = pending()
        if applied:
            call_command("migrate", interactive=False, verbosity=0)
    return applied
