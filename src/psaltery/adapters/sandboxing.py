"""What every vendor sandbox shares: state, faults on demand, a request log, and a server.

A sandbox is one function `Request -> Response`, wrapped by `Controlled`, which answers the
addresses under `/_control/` and plays the faults it was told to play. Nothing here knows a
vendor. It uses real HTTP, because dropped connections and cut bodies exist only there.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandbox_server import RunningServer, serve, serve_until_told

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = [
    "Clock",
    "Controlled",
    "Document",
    "Fault",
    "Faults",
    "RunningServer",
    "Store",
    "decode",
    "encode",
    "json_response",
    "serve",
    "serve_until_told",
]

Document = dict[str, Any]
Handler = Callable[[Request], Response]

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)

# Enough for a back-fill of a benchmark, bounded for a demo of days.
LOG_LENGTH = 20_000
GZIP_FROM_BYTES = 1024
FAULT_KINDS = ("status", "drop", "lost_answer", "slow", "html", "cut", "huge")


def encode(value: Any) -> bytes:
    """JSON with decimals as numbers, exactly as they are: `Decimal("1.50")` becomes `1.50`."""
    return _encoder.encode(value)


def decode(text: bytes | str) -> Any:
    """The inverse of `encode`. Raises `msgspec.DecodeError` when the text is not JSON."""
    return _decoder.decode(text)


class Clock:
    """The sandbox's own time, in UTC, which a test may shift."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """The present moment, as the sandbox sees it."""
        return datetime.now(UTC) + self.offset


class Store:
    """Wire documents by collection and id, in memory and, with a path, in a SQLite file too.

    Treat what `get` and `all` return as read-only: copy, change, `put`. The file is written
    before `transaction` ends, so a killed process has lost nothing that it answered.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._documents: dict[str, dict[str, Document]] = defaultdict(dict)
        self._revisions: dict[str, int] = defaultdict(int)
        self._counters: dict[str, int] = {}
        self._depth = 0
        self._file = self._open(path) if path else None

    def _open(self, path: Path) -> sqlite3.Connection:
        file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # The operating system keeps what was written when only the process dies.
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=OFF")
        file.execute(
            "CREATE TABLE IF NOT EXISTS documents (position INTEGER PRIMARY KEY, "
            "collection TEXT, id TEXT, body TEXT, UNIQUE (collection, id))"
        )
        file.execute("CREATE TABLE IF NOT EXISTS counters (collection TEXT PRIMARY KEY, last INT)")
        rows = file.execute("SELECT collection, id, body FROM documents ORDER BY position")
        # Insertion order is position order, which `ON CONFLICT` keeps for changed documents.
        for collection, identifier, body in rows:
            self._documents[collection][identifier] = decode(body)
        self._counters.update(file.execute("SELECT collection, last FROM counters"))
        return file

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Holds the lock; what is put inside reaches the file together, or not at all."""
        with self.lock:
            if self._file and not self._depth:
                self._file.execute("BEGIN")
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._file and not self._depth:
                    self._file.execute("COMMIT")

    def put(self, collection: str, identifier: str, document: Document) -> None:
        """Saves the document; one that is already there keeps its place in the order."""
        with self.transaction():
            self._documents[collection][identifier] = document
            self._revisions[collection] += 1
            if self._file:
                self._file.execute(
                    "INSERT INTO documents (collection, id, body) VALUES (?, ?, ?) "
                    "ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body",
                    (collection, identifier, encode(document).decode()),
                )

    def get(self, collection: str, identifier: str) -> Document | None:
        """The document, or None."""
        return self._documents[collection].get(identifier)

    def delete(self, collection: str, identifier: str) -> None:
        """Forgets the document; nothing happens when it is not there."""
        with self.transaction():
            self._documents[collection].pop(identifier, None)
            self._revisions[collection] += 1
            if self._file:
                self._file.execute(
                    "DELETE FROM documents WHERE collection = ? AND id = ?",
                    (collection, identifier),
                )

    def all(self, collection: str) -> list[Document]:
        """Every document of the collection, in the order in which they were first put."""
        with self.lock:
            return list(self._documents[collection].values())

    def collections(self) -> dict[str, int]:
        """How many documents each collection holds."""
        with self.lock:
            return {name: len(documents) for name, documents in self._documents.items()}

    def revision(self, collection: str) -> int:
        """Changes whenever the collection does: a key for caches."""
        return self._revisions[collection]

    def next_id(self, collection: str) -> int:
        """1, 2, 3 … for each collection; never the same twice, not after a restart either."""
        with self.transaction():
            last = self._counters[collection] = self._counters.get(collection, 0) + 1
            if self._file:
                self._file.execute(
                    "INSERT OR REPLACE INTO counters VALUES (?, ?)", (collection, last)
                )
            return last

    def close(self) -> None:
        """Lets go of the file; what is in memory stays readable."""
        with self.lock:
            if self._file:
                self._file.close()
                self._file = None


@dataclass(slots=True)
class Fault:
    """One rule: which requests it meets, what it does to them, how often it still will."""

    id: int
    kind: str
    method: str | None = None
    path: str = ""
    tenant: str | None = None
    times: int = 1
    after: int = 0
    applied: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def meets(self, method: str, path: str, tenant: str | None) -> bool:
        """Whether the rule is about such a request, and not used up."""
        return (
            self.times != 0
            and self.method in (None, method)
            and self.tenant in (None, tenant)
            and re.search(self.path, path) is not None
        )

    def as_dict(self) -> Document:
        """The rule as it was sent, with its id and how often it was applied."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "extra"}
        return {**own, **self.extra}


class Faults:
    """The rules in force. The first rule that meets a request is played, the others wait."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()
        self._last = 0

    def add(self, rule: Document) -> Fault:
        """Adds a rule; raises `ValueError` when it is no rule."""
        # Unknown members belong to the kind, such as status or seconds.
        known = {name: rule[name] for name in Fault.__slots__ if name in rule}
        extra = {name: value for name, value in rule.items() if name not in known}
        if not isinstance(rule.get("kind"), str):
            raise ValueError("a fault needs a kind")
        re.compile(rule.get("path", ""))
        with self._lock:
            self._last += 1
            fault = Fault(**{**known, "id": self._last, "applied": 0, "extra": extra})
            self._rules.append(fault)
            return fault

    def clear(self) -> None:
        """Removes every rule."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[Document]:
        """The rules in the order in which they are tried, used up ones too."""
        with self._lock:
            return [rule.as_dict() for rule in self._rules]

    def take(self, method: str, path: str, tenant: str | None) -> Fault | None:
        """The fault to play on this request, counted as applied; None for no fault."""
        with self._lock:
            for rule in self._rules:
                if not rule.meets(method, path, tenant):
                    continue
                # Requests that pass first are counted only when the rule is about them.
                if rule.after > 0:
                    rule.after -= 1
                    continue
                # -1 means until removed, and stays -1.
                rule.times -= rule.times > 0
                rule.applied += 1
                return rule
        return None


class Controlled:
    """A sandbox's WSGI application: its handler, plus faults, log and control addresses."""

    def __init__(
        self,
        handler: Handler,
        store: Store,
        clock: Clock | None = None,
        tenant_header: str = "",
        on_load: Callable[[], None] | None = None,
    ) -> None:
        self.handler = handler
        self.store = store
        self.clock = clock or Clock()
        self.faults = Faults()
        self.requests: deque[Document] = deque(maxlen=LOG_LENGTH)
        self._tenant_header = tenant_header
        self._on_load = on_load
        self._count = 0
        self._count_lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        # Controls are neither logged nor hit by faults.
        response = self._control(request) if _is_control(request) else self._logged(request)
        _compress(request, response)
        return response(environ, start_response)

    def _logged(self, request: Request) -> Response:
        entry = self._entry(request)
        try:
            response = self._faulty(request, entry)
        except ConnectionError:
            entry["status"] = None
            raise
        # As the handler answered: before compression.
        entry["status"] = response.status_code
        entry["bytes"] = response.calculate_content_length() or 0
        return response

    def _entry(self, request: Request) -> Document:
        with self._count_lock:
            self._count += 1
            entry: Document = {
                "n": self._count,
                "at": self.clock.now().isoformat(),
                "method": request.method,
                "path": request.path,
                "query": request.query_string.decode("latin-1"),
                "tenant": request.headers.get(self._tenant_header) if self._tenant_header else None,
                "idempotency_key": request.headers.get("Idempotency-Key"),
                "sent_bytes": request.content_length or 0,
                "status": 0,
                "bytes": 0,
                "fault": None,
            }
            # Logged at the start: a request that hangs is visible too.
            self.requests.append(entry)
        return entry

    def _faulty(self, request: Request, entry: Document) -> Response:
        fault = self.faults.take(request.method, request.path, entry["tenant"])
        if fault is None:
            return self.handler(request)
        entry["fault"] = fault.kind
        # Kinds that only the vendor's own code can play are left for it to find here.
        request.environ["sandbox.fault"] = fault
        return _play(fault, request, self.handler)

    def _control(self, request: Request) -> Response:
        place, _, rest = request.path.removeprefix("/_control/").partition("/")
        try:
            match place:
                case "faults":
                    return self._control_faults(request)
                case "requests":
                    return self._control_requests(request)
                case "documents":
                    return json_response(self.store.all(rest) if rest else self.store.collections())
                case "load":
                    return self._load(decode(request.data))
                case "clock":
                    return self._control_clock(request)
                case _:
                    return self.handler(request)
        except (ValueError, KeyError, TypeError, AttributeError, re.error) as error:
            return json_response({"error": f"{type(error).__name__}: {error}"}, 400)

    def _control_faults(self, request: Request) -> Response:
        if request.method == "POST":
            rules = decode(request.data)
            added = [
                self.faults.add(rule) for rule in ([rules] if isinstance(rules, dict) else rules)
            ]
            return json_response([rule.as_dict() for rule in added], 201)
        if request.method == "DELETE":
            self.faults.clear()
        return json_response(self.faults.listed())

    def _control_requests(self, request: Request) -> Response:
        since = request.args.get("since", 0, type=int)
        with self._count_lock:
            found = [entry for entry in self.requests if entry["n"] > since]
        return json_response({"last": self._count, "requests": found})

    def _control_clock(self, request: Request) -> Response:
        if request.method == "POST":
            self.clock.offset = timedelta(seconds=float(decode(request.data)["offset_seconds"]))
        return json_response(
            {
                "offset_seconds": self.clock.offset.total_seconds(),
                "now": self.clock.now().isoformat(),
            }
        )

    def _load(self, collections: dict[str, list[Document]]) -> Response:
        with self.store.transaction():
            for name, documents in collections.items():
                for document in documents:
                    self.store.put(name, _identity(name, document, self.store), document)
        if self._on_load:
            self._on_load()
        return json_response({name: len(documents) for name, documents in collections.items()})


def json_response(value: Any, status: int = 200) -> Response:
    """An answer with `value` as JSON."""
    return Response(encode(value), status, mimetype="application/json")


def _is_control(request: Request) -> bool:
    return request.path.startswith("/_control/")


def _identity(collection: str, document: Document, store: Store) -> str:
    """A loaded document's key: its own `id`, or the field named after the collection."""
    kind = collection.rpartition("/")[2]
    singular = kind.removesuffix("s")
    # Vendors name their ids in one of these ways.
    for name in ("_id", "id", f"{singular}ID", f"{singular}Id"):
        if document.get(name) is not None:
            return str(document[name])
    return str(store.next_id(collection))


def _play(fault: Fault, request: Request, handler: Handler) -> Response:
    extra = fault.extra
    match fault.kind:
        case "status":
            body = extra.get("body", "")
            text = body if isinstance(body, str) else encode(body)
            return Response(text, int(extra.get("status", 500)), headers=extra.get("headers"))
        case "drop":
            raise ConnectionAbortedError("dropped before anything was done")
        case "lost_answer":
            # What clients fear most: it is done, and nobody was told.
            handler(request)
            if "status" in extra:
                return Response("", int(extra["status"]))
            raise ConnectionAbortedError("dropped after the work was done")
        case "slow":
            time.sleep(float(extra.get("seconds", 1)))
            return handler(request)
        case "html":
            page = "<!DOCTYPE html><html><body><h1>Service notice</h1></body></html>"
            return Response(extra.get("body", page), mimetype="text/html")
        case "cut":
            return _cut(handler(request))
        case "huge":
            # Streamed, so that the sandbox itself stays small.
            return Response(_blanks(int(extra.get("megabytes", 100))), mimetype="application/json")
        case _:
            return handler(request)


def _cut(response: Response) -> Response:
    """Half of the body under the length of the whole; the server then closes the connection."""
    body = response.get_data()
    response.set_data(body[: len(body) // 2])
    response.headers["Content-Length"] = str(len(body))
    response.headers["X-Sandbox-Cut"] = "1"
    return response


def _blanks(megabytes: int) -> Iterator[bytes]:
    yield b"["
    for _ in range(megabytes):
        yield b" " * 1_048_576
    yield b"]"


def _compress(request: Request, response: Response) -> None:
    if not request.accept_encodings["gzip"] or response.is_streamed:
        return
    # Compressed halves would not show where a body was cut.
    if "X-Sandbox-Cut" in response.headers or "Content-Encoding" in response.headers:
        return
    body = response.get_data()
    if len(body) >= GZIP_FROM_BYTES:
        # Level 1: the sandbox must not be what a benchmark measures.
        response.set_data(gzip.compress(body, 1, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
