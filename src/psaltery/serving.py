"""The web server: granian, WSGI in threads."""

import os
from collections.abc import Callable
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from psaltery import logs, processes
from psaltery.environment import Environment

# How long a request may go on after the server was told to stop.
STOP_SECONDS = 10


def serve(env: Environment) -> None:
    """Serves the product until SIGTERM or SIGINT."""
    server = Server(
        "psaltery.wsgi:application",
        address=env.bind,
        port=env.port,
        interface=Interfaces.WSGI,
        workers=env.web_workers,
        blocking_threads=env.web_threads,
        log_level=LogLevels.error,
        log_dictconfig=logs.configuration(env.log_level, env.log_format),
        # A worker that crashes is replaced here; the supervisor only sees the server as a whole.
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=_Loader(os.getpid()), wrap_loader=False)


class _Loader:
    """Loads the application in a process of the web server, and ties it to the server."""

    def __init__(self, server: int) -> None:
        self.server = server

    def __call__(self, *_: Any, **__: Any) -> Callable[..., Any]:
        processes.die_with(self.server)
        from psaltery.wsgi import application

        return application
