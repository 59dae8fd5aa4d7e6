"""`psaltery demo` from its beginning to its end."""

import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psaltery.demo import world
from psaltery.demo.stage import Stage, StageFailed, is_free

if TYPE_CHECKING:
    from psaltery.demo.progress import Progress

LOCK = "demo.lock"
TICK_SECONDS = 0.5
TELL_SECONDS = 2.0
LIVE_TELL_SECONDS = 20.0
QUIET_SECONDS = 3.0
# A check that is not done by then will never be.
CHECK_SECONDS = 900


class DemoRefused(Exception):
    """The demo can't start; the message says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What the command line can say. `seconds`: about how often something happens."""

    port: int
    folder: Path
    seed: int
    live: bool
    fresh: bool
    check: bool
    seconds: float


Say = Callable[[str], None]


def run(options: Options, say: Say) -> int:
    """Run the demo until it is told to stop; the exit code.

    Raises DemoRefused, StageFailed and the four failures.
    """
    # Said at once: found out later, it would be a line in some log.
    if not is_free(options.port):
        raise DemoRefused(f"Port {options.port} is in use. Choose another: psaltery demo --port N.")
    with _alone(options.folder), _stoppable():
        stage = Stage(options.folder, options.port)
        try:
            return _play(stage, options, say)
        except KeyboardInterrupt:
            say("Stopping …")
            return 0
        finally:
            _end(stage)


def _play(stage: Stage, options: Options, say: Say) -> int:
    began = time.monotonic()
    found = _world(options, say)
    stage.choose_addresses()
    # It takes longer than anything else here, and needs no sandbox to begin.
    stage.start_psaltery()
    stage.start_sandboxes(options.folder / world.PSA_FILE, options.folder / world.BOOKS_FILE)
    stage.wait_for(f"{stage.address}/healthz")
    _load_django(stage)
    from psaltery.audit.actor import acting_as
    from psaltery.demo import hooks, setup

    with acting_as("demo"):
        setup.make_people(password(options.folder))
        _greet(stage, options, say, time.monotonic() - began)
        setup.connect(stage, stage.check)
        if options.check:
            return _check(stage, found, say)
        _history(stage, say)
        hooks.listen(stage)
        say("Both sandboxes now tell Psaltery of changes as they happen.")
        _go_on(stage, options, found, say)
    return 0


def _world(options: Options, say: Say) -> world.WorldPage:
    """The world of an earlier start, or a new one."""
    found = None if options.fresh else world.read(options.folder)
    # The world is kept: what somebody has tried out in it must not vanish with another option.
    if found is not None and found.seed != options.seed:
        say(f"The world in {options.folder} has the seed {found.seed}; --fresh makes another.")
    if found is None:
        clear(options.folder)
        found = world.make(options.folder, options.seed)
        say(
            f"A new world was made in {options.folder}: {found.invoices} invoices and credit memos."
        )
    return found


def clear(folder: Path) -> None:
    """Remove what an earlier demo left here, and nothing else."""
    # First, because a server that runs would write into the folder that is removed.
    _end_database(folder / "data")
    for name in (world.PSA_FILE, world.BOOKS_FILE):
        for end in ("", "-wal", "-shm"):
            (folder / f"{name}{end}").unlink(missing_ok=True)
    for name in (world.PAGE, "sign-in"):
        (folder / name).unlink(missing_ok=True)
    # By name: the folder may be anybody's home by mistake.
    for name in ("data", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _end_database(data: Path) -> None:
    """A killed demo may have left its server running."""
    from psaltery import database

    server = database.private_server(data)
    if server.folder.exists() and database.alive(server):
        database.hold(server).release()


def password(folder: Path) -> str:
    """The administrator's password: made once, kept beside the world."""
    from psaltery.environment import kept_secret

    return kept_secret(folder / "sign-in", f"demo-{secrets.token_urlsafe(6)}")


def _load_django(stage: Stage) -> None:
    # A real installation's variables must not lead the demo to a real database.
    for name in [name for name in os.environ if name.startswith("PSALTERY_")]:
        del os.environ[name]
    os.environ.update(stage.environment())
    from psaltery import startup

    startup.prepare()
    startup.set_up_django()


def _greet(stage: Stage, options: Options, say: Say, seconds: float) -> None:
    from psaltery.demo.setup import EMAIL

    say(
        f"\nPsaltery is at {stage.address}  (after {seconds:.0f} s; Ctrl-C stops all of it)\n"
        f"  sign in as  {EMAIL}\n  password    {password(options.folder)}\n"
        f"  sandboxes   ConnectWise {stage.psa_url}, Xero {stage.books_url}\n"
    )


def _check(stage: Stage, found: world.WorldPage, say: Say) -> int:
    from psaltery.demo import verify

    _until_quiet(stage, say)
    # What was written last is in the mirrors only after they are read once more.
    _read_again(stage, say)
    _until_quiet(stage, say)
    report = verify.verify(stage, found)
    for line in report.lines():
        say(line)
    return 0 if report.ok else 1


def _read_again(stage: Stage, say: Say) -> None:
    from psaltery.demo import progress

    asked_at = progress.ask_everything()
    for _ in _watched(stage, say):
        if not progress.unread_since(asked_at):
            return


def _until_quiet(stage: Stage, say: Say) -> None:
    """Until nothing was left to do for some seconds. Raises StageFailed when it takes too long."""
    began = time.monotonic()
    quiet_since = None
    for seen in _watched(stage, say):
        moment = time.monotonic()
        quiet_since = (quiet_since or moment) if seen.quiet else None
        # Some seconds: between two jobs nothing seems to be left, and something follows.
        if quiet_since is not None and moment - quiet_since > QUIET_SECONDS:
            return
        if moment - began > CHECK_SECONDS:
            raise StageFailed(f"It never came to rest: {seen}")


def _history(stage: Stage, say: Say) -> None:
    """Until each document of the history is in step or held; payments may still be on their way."""
    for seen in _watched(stage, say):
        if not seen.feeds_left and not seen.waiting:
            break
    say("The history is in step; what is held waits on the page of exceptions.")


def _go_on(stage: Stage, options: Options, found: world.WorldPage, say: Say) -> None:
    """Until the demo is told to stop."""
    from psaltery.demo.live import Live

    live = Live(stage, found.seed)
    watched = _watched(stage, say, LIVE_TELL_SECONDS)
    while True:
        until = time.monotonic() + live.pause(options.seconds)
        while time.monotonic() < until:
            next(watched)
        if options.live:
            say(live.happen())


def _watched(stage: Stage, say: Say, tell_seconds: float = TELL_SECONDS) -> "Iterator[Progress]":
    """The progress, twice a second; told when it changed, every `tell_seconds` at most."""
    from psaltery.demo import progress

    last, told_at = "", 0.0
    while True:
        stage.check()
        seen = progress.look()
        sentence = seen.sentence()
        # Told when it changed: a terminal full of the same line hides the one that matters.
        if sentence != last and time.monotonic() - told_at > tell_seconds:
            say(sentence)
            last, told_at = sentence, time.monotonic()
        yield seen
        time.sleep(TICK_SECONDS)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One demo at a time, in a folder of its own: what is in it may be removed."""
    # Without our lock file it is not ours, whatever its name: nothing in it is touched.
    if folder.exists() and any(folder.iterdir()) and not (folder / LOCK).exists():
        raise DemoRefused(f"{folder} holds other things. Choose a folder that is empty or new.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoRefused(
                f"A demo runs in {folder} already. Stop it, or choose another folder: --data DIR."
            ) from error
        yield


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


def _end(stage: Stage) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The end is under way; another Ctrl-C must not leave half of it running.
        signal.signal(number, signal.SIG_IGN)
    stage.stop()
    if "psaltery.database" in sys.modules:
        from psaltery import database

        database.release_all()
