"""The server that sandboxes run on: threads, HTTP/1.1 with keep-alive, optional TLS.

Werkzeug's development server closes the connection after each answer and waits 10 ms before it
does; the vendors keep connections open, and clients must be tried against that.
"""

from __future__ import annotations

import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class _Connection(BaseHTTPRequestHandler):
    """One client connection, kept open for its next request."""

    # 1.1 keeps connections open, as the vendors do.
    protocol_version = "HTTP/1.1"
    server_version = "Sandbox"
    # Small answers leave at once.
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Stays quiet: the request log is at `/_control/requests`."""

    def __getattr__(self, name: str) -> Any:
        # http.server looks for do_GET and its like; here one method answers all.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            # WSGI's two-step answer: status and headers by callback, then the body's parts.
            parts = self.server.app(self._environ(), self._start)
            try:
                self._send(parts)
            finally:
                getattr(parts, "close", lambda: None)()
        except ConnectionError:
            # A fault that drops the answer, or a client that left: nothing more is sent.
            self.close_connection = True

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self._status, self._headers = status, headers
        return self.wfile.write

    def _environ(self) -> WSGIEnvironment:
        path, _, query = self.path.partition("?")
        # Read whole before the answer, or the next request would begin in its rest.
        body = self._body()
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self.server.scheme,
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                environ.setdefault(f"HTTP_{key}", value)
        return environ

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, parts: Iterable[bytes]) -> None:
        code, _, reason = self._status.partition(" ")
        length = next((int(v) for n, v in self._headers if n.lower() == "content-length"), None)
        self.send_response_only(int(code), reason)
        # The sandbox's own clock may be shifted; two dates would be none.
        if not any(name.lower() == "date" for name, _ in self._headers):
            self.send_header("Date", self.date_time_string())
        for name, value in self._headers:
            self.send_header(name, value)
        bodiless = self.command == "HEAD" or code in ("204", "304")
        if length is None and not bodiless:
            # Without a length only the end of the connection ends the body.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        sent = 0
        for part in () if bodiless else parts:
            self.wfile.write(part)
            sent += len(part)
        # A body that was cut: the client waits for the rest until the connection ends.
        if length is not None and sent < length and not bodiless:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    """Threads, and a stop that also ends the connections that clients keep open."""

    # A client that never ends does not keep the process alive.
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], app: WSGIApplication, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(address, _Connection)
        self.app = app
        self.scheme = "https" if tls else "http"
        self._tls = tls
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection, remembered until it ends."""
        connection, address = super().get_request()
        if self._tls:
            # The handshake is left to the connection's own thread: a silent client blocks nobody.
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Ends one connection, and forgets it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or speak no TLS, are no news; anything else is a bug."""
        if not isinstance(
            sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError, ValueError)
        ):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Ends the connections that clients keep open, so that none talks to a stopped server."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It ended by itself in the meantime, which is what was wanted.
                continue


class RunningServer:
    """A sandbox that is being served from a thread of this process."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.host, self.port = str(server.server_address[0]), int(server.server_address[1])
        self.url = f"{server.scheme}://{self.host}:{self.port}"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the server and every open connection; the port is free afterwards."""
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join(5)


def serve(
    app: WSGIApplication, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> RunningServer:
    """Serves `app` from a thread; port 0 takes a free one. The caller stops it."""
    return RunningServer(_Server((host, port), app, tls))


def serve_until_told(server: RunningServer) -> None:
    """Blocks until SIGTERM or SIGINT, then stops the server. Main thread only."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()
    server.stop()
