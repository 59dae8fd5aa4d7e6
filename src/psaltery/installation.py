"""What is right and wrong with an installation, and what to do about it."""

import contextlib
import difflib
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from django.core import checks
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker

from psaltery import migrations, supervisor
from psaltery.environment import PREFIX, Environment, unknown_variables

OLDEST_POSTGRESQL = 150_000
MOST_SKEW = timedelta(seconds=30)
WORKER_SILENT = timedelta(seconds=15)
# A back-fill grows the database quickly, and PostgreSQL stops when its disk is full.
LEAST_FREE_BYTES = 1 << 30

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is and, unless it is well, what to do."""

    subject: str
    level: Level
    text: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def examine(env: Environment) -> list[Finding]:
    """Everything, in the order in which a person would mend it. Changes nothing."""
    findings = [*settings(env), *folder(env), *public_address(env), *assets(), *mail(env)]
    reached = database()
    findings += [reached]
    if reached.level != "problem":
        for look in (schema, clock, workers, failed_jobs):
            findings += look()
    return [*findings, *web(env), *frameworks()]


def unreachable(findings: list[Finding]) -> bool:
    """Whether the database could not be reached, which leaves most else unknown."""
    return any(found.subject == "database" and found.level == "problem" for found in findings)


def settings(env: Environment) -> Iterator[Finding]:
    """Variables that mean nothing are most often slips of the pen."""
    known = [f"{PREFIX}{name.upper()}" for name in Environment.model_fields]
    unknown = unknown_variables()
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else "See docs/settings.md, or unset it."
        yield Finding("settings", "problem", f"{name} means nothing to Psaltery.", hint)
    if not unknown:
        yield Finding("settings", "ok", "every PSALTERY_ variable is known")


def folder(env: Environment) -> Iterator[Finding]:
    """The data folder exists, its keys are private, its disk has room."""
    for name in ("secret.key", "seal.keys"):
        path = env.data / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            text = f"{path} can be read by other users."
            yield Finding("keys", "problem", text, f"chmod 600 {path}")
    if env.seal_keys is None:
        path = env.data / "seal.keys"
        text = f"stored credentials are sealed with {path}"
        remedy = "Back it up apart from the database: without it every connection is lost."
        # A given database is backed up elsewhere, and the key file is easily forgotten then.
        yield Finding("keys", "ok" if env.embedded else "note", text, remedy)
    yield _disk(env.data)


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{free >> 20} MiB free in {path}"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "problem", text, "Make room, or move the folder: PSALTERY_DATA.")
    return Finding("disk", "ok", text)


def public_address(env: Environment) -> Iterator[Finding]:
    """TLS wherever the address is not this machine's own."""
    local = urlsplit(env.public_url).hostname in ("localhost", "127.0.0.1", "::1")
    if env.https or local:
        yield Finding("address", "ok", env.public_url)
        return
    yield Finding(
        "address",
        "problem",
        f"{env.public_url} is not protected: passwords cross the network in the clear.",
        "Put a reverse proxy with TLS in front and set PSALTERY_PUBLIC_URL to its https address.",
    )


def assets() -> Iterator[Finding]:
    """The style sheet and scripts have been built."""
    if finders.find("vendor/htmx.min.js"):
        yield Finding("assets", "ok", "style sheets and scripts are built")
    else:
        remedy = "make setup, or: python -m psaltery.web.assets build"
        yield Finding("assets", "problem", "style sheets and scripts are not built", remedy)


def mail(env: Environment) -> Iterator[Finding]:
    """Mail can be sent."""
    if env.email_host:
        yield Finding("mail", "ok", f"sent through {env.email_host}:{env.email_port}")
    else:
        text = "no mail server: messages are written to the log"
        yield Finding("mail", "note", text, "Set PSALTERY_EMAIL_HOST.")


def database() -> Finding:
    """It answers and is new enough."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            number = int(cursor.fetchone()[0])
    except DatabaseError as error:
        return Finding("database", "problem", str(error).strip(), "Check PSALTERY_DATABASE_URL.")
    major = number // 10_000
    if number < OLDEST_POSTGRESQL:
        text = f"PostgreSQL {major} is too old."
        return Finding("database", "problem", text, "Use PostgreSQL 15 or later.")
    return Finding("database", "ok", f"PostgreSQL {major}")


def schema() -> Iterator[Finding]:
    """No migration is pending."""
    behind = migrations.pending()
    if behind:
        text = f"{len(behind)} migrations are pending, from {behind[0]} on."
        yield Finding("schema", "problem", text, "psaltery migrate")
    else:
        yield Finding("schema", "ok", "up to date")


def clock() -> Iterator[Finding]:
    """This machine and the database's agree on the time."""
    with connection.cursor() as cursor:
        # Not now(): that is the time at which the transaction began.
        cursor.execute("SELECT clock_timestamp()")
        skew = abs(timezone.now() - cursor.fetchone()[0])
    text = f"{skew.total_seconds():.1f} s from the database's clock"
    if skew > MOST_SKEW:
        remedy = "Set both machines' clocks from a time server (NTP)."
        yield Finding("clock", "problem", text, remedy)
    else:
        yield Finding("clock", "ok", text)


def workers() -> Iterator[Finding]:
    """At least one worker beats."""
    with contextlib.suppress(DatabaseError):
        beating = ProcrastinateWorker.objects.filter(last_heartbeat__gt=Now() - WORKER_SILENT)
        count = beating.count()
        if count:
            yield Finding("workers", "ok", f"{count} running")
        else:
            remedy = "psaltery run, or: psaltery worker"
            yield Finding("workers", "note", "none is running: nothing is synced", remedy)


def failed_jobs() -> Iterator[Finding]:
    """Jobs that ended in an error nobody foresaw."""
    with contextlib.suppress(DatabaseError):
        count = ProcrastinateJob.objects.filter(status="failed").count()
        if count:
            text = f"{count} failed in a way Psaltery does not know"
            yield Finding("jobs", "note", text, "Look in the log for “Job … failed”.")
        else:
            yield Finding("jobs", "ok", "none failed")


def web(env: Environment) -> Iterator[Finding]:
    """Pages are served."""
    if supervisor.answers(env):
        yield Finding("web", "ok", f"serving on {env.bind}:{env.port}")
    else:
        text = f"nothing serves pages on {env.bind}:{env.port}"
        yield Finding("web", "note", text, "psaltery run, or: psaltery web")


def frameworks() -> Iterator[Finding]:
    """What Django and the libraries on it find wrong with their settings."""
    for message in checks.run_checks():
        # Ours are already among the findings.
        if (message.id or "").startswith("psaltery."):
            continue
        level: Level = "problem" if message.level >= checks.ERROR else "note"
        yield Finding(f"django {message.id}", level, message.msg, message.hint or "")
