"""The demo's processes: both sandboxes and Psaltery itself. None outlives the one that starts them.

This process holds them; the kernel ends them with it, however it ends (see processes.die_with).
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

START_SECONDS = 90
STOP_SECONDS = 30
CLIENT_ID, CLIENT_SECRET = "harbourline-demo", "a-secret-of-the-sandbox"


class StageFailed(Exception):
    """A process of the demo did not come up, or ended; the message says which, and what it said."""


@dataclass
class Child:
    """One process, with the file that it writes its log to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Raises StageFailed when it has ended."""
        code = self.process.poll()
        if code is not None:
            said = self.log.read_text(errors="replace").strip().splitlines()[-15:]
            raise StageFailed("\n".join([f"{self.name} has ended (exit code {code}):", *said]))


@dataclass
class Stage:
    """Starts and stops them. `folder` holds the world, Psaltery's data and the logs."""

    folder: Path
    port: int
    psa_url: str = ""
    books_url: str = ""
    children: list[Child] = field(default_factory=list)

    def choose_addresses(self) -> None:
        """Free ports for the sandboxes, beside Psaltery's own where they are free."""
        taken = {self.port}
        for name, preferred in (("psa_url", self.port + 1), ("books_url", self.port + 2)):
            found = free_port(preferred, taken)
            taken.add(found)
            setattr(self, name, f"http://127.0.0.1:{found}")

    def environment(self) -> dict[str, str]:
        """The variables of the demo's installation, and no others of a real one."""
        own = {
            "DATA": str(self.folder / "data"),
            "PORT": str(self.port),
            "XERO_API_URL": self.books_url,
            "XERO_IDENTITY_URL": self.books_url,
            "XERO_LOGIN_URL": self.books_url,
            # Warnings only: the logs are shown when something fails, and must fit a screen.
            "LOG_LEVEL": os.environ.get("PSALTERY_LOG_LEVEL", "WARNING"),
        }
        others = {name: v for name, v in os.environ.items() if not name.startswith("PSALTERY_")}
        return {**others, **{f"PSALTERY_{name}": value for name, value in own.items()}}

    def start_psaltery(self) -> None:
        """The whole product, as `psaltery run` starts it."""
        self._start("psaltery", "run")

    def start_sandboxes(self, psa_file: Path, books_file: Path) -> None:
        """Both vendors, on the state that the world was made in."""
        self._start(
            "connectwise", "sandbox", "connectwise", "--port", _port(self.psa_url),
            "--state", str(psa_file), "--no-limits",
        )  # fmt: skip
        self._start(
            "xero", "sandbox", "xero", "--port", _port(self.books_url),
            "--state", str(books_file), "--client-id", CLIENT_ID,
            "--client-secret", CLIENT_SECRET, "--redirect-uri", self.callback,
        )  # fmt: skip
        for url in (self.psa_url, self.books_url):
            self.wait_for(f"{url}/_control/clock")

    @property
    def callback(self) -> str:
        """The redirect address that is registered with the sandbox's app."""
        return f"{self.address}/connections/callback"

    @property
    def address(self) -> str:
        """Where Psaltery's pages are."""
        return f"http://localhost:{self.port}"

    def _start(self, name: str, *arguments: str) -> None:
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "psaltery.cli", "--parent", str(os.getpid()), *arguments]
        with log.open("wb") as output:
            # A session of its own, so that Ctrl-C reaches this process alone.
            process = subprocess.Popen(  # noqa: S603
                command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.children.append(Child(name, process, log))

    def wait_for(self, url: str, seconds: float = START_SECONDS) -> None:
        """Until an address answers. Raises StageFailed when it does not, or a process ends."""
        until = time.monotonic() + seconds
        while not _answers(url):
            self.check()
            if time.monotonic() > until:
                raise StageFailed(f"{url} does not answer; see {self.folder / 'logs'}.")
            time.sleep(0.1)

    def check(self) -> None:
        """Raises StageFailed when one of the processes has ended."""
        for child in self.children:
            child.check()

    def stop(self) -> None:
        """Ends all of them: Psaltery first, so that nothing calls into the void."""
        for child in sorted(self.children, key=lambda child: child.name != "psaltery"):
            if child.process.poll() is None:
                child.process.terminate()
            _wait(child.process)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            # The whole session: a worker's child must not hold the port of the next start.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).is_success
    except httpx2.HTTPError:
        return False


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def is_free(port: int) -> bool:
    """Whether this machine's loopback port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int, taken: set[int]) -> int:
    """The preferred port, or any that is free."""
    if preferred not in taken and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
