"""A sender of webhook deliveries: `python -m bench.flood ADDRESS KEY COUNT RATE CONNECTIONS`.

Bare sockets and one loop, because a sender that costs as much as the receiver would be what is
measured. Each delivery has one new event. Prints seconds, statuses and latencies as JSON.
"""

import base64
import hashlib
import hmac
import selectors
import socket
import sys
from collections import Counter, deque
from time import perf_counter, sleep
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from bench.measure import percentile

TENANT = "bench-{}"
TENANTS = 20
CATEGORIES = ("INVOICE", "INVOICE", "CONTACT", "CREDITNOTE")


def requests(address: str, key: str, count: int) -> list[bytes]:
    """Signed deliveries as they go over the wire."""
    parts = urlsplit(address)
    return [_request(parts.path, parts.netloc, key, number) for number in range(count)]


def _request(path: str, host: str, key: str, number: int) -> bytes:
    event = {
        "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/",
        "resourceId": str(uuid4()),
        "eventDateUtc": "2026-10-02T03:14:07.220",
        "eventType": "UPDATE",
        "eventCategory": CATEGORIES[number % len(CATEGORIES)],
        "tenantId": TENANT.format(number % TENANTS),
        "tenantType": "ORGANISATION",
    }
    delivery = {
        "events": [event],
        "firstEventSequence": number + 1,
        "lastEventSequence": number + 1,
        "entropy": "FLOOD",
    }
    body = msgspec.json.encode(delivery)
    signed = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"x-xero-signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Flood:
    """Sends requests over some connections; at `rate` a second, or as fast as it is answered."""

    def __init__(self, address: str, waiting: list[bytes], rate: float, connections: int) -> None:
        parts = urlsplit(address)
        self.waiting = deque(waiting)
        self.rate = rate
        self.selector = selectors.DefaultSelector()
        self.idle = [
            socket.create_connection((parts.hostname or "", parts.port or 80))
            for _ in range(connections)
        ]
        self.sent_at: dict[socket.socket, float] = {}
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []

    def run(self) -> dict[str, float | str]:
        """Send all; what it took."""
        for one in self.idle:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(one, selectors.EVENT_READ)
        started = perf_counter()
        total = len(self.waiting)
        while len(self.latencies) < total:
            self._send(started, total)
            for key, _ in self.selector.select(0.001):
                self._receive(key.fileobj)  # type: ignore[arg-type]
        seconds = perf_counter() - started
        return {
            "seconds": seconds,
            "rate": total / seconds,
            "statuses": " ".join(f"{status}:{n}" for status, n in self.statuses.items()),
            "p50": percentile(self.latencies, 0.50) * 1000,
            "p99": percentile(self.latencies, 0.99) * 1000,
            "most": max(self.latencies) * 1000,
        }

    def _send(self, started: float, total: int) -> None:
        now = perf_counter()
        while self.waiting and self.idle:
            due = started + (total - len(self.waiting)) / self.rate if self.rate else now
            if due > now:
                # Until then there is nothing to do but to wait for answers.
                if not self.sent_at:
                    sleep(due - now)
                return
            one = self.idle.pop()
            one.sendall(self.waiting.popleft())
            # From when it was due: a sender that is held up must not flatter the receiver.
            self.sent_at[one] = due

    def _receive(self, one: socket.socket) -> None:
        answer = one.recv(4096)
        if not answer.endswith(b"\r\n\r\n"):
            raise ConnectionError(f"not an empty answer: {answer[:200]!r}")
        self.latencies.append(perf_counter() - self.sent_at.pop(one))
        self.statuses[answer[9:12].decode()] += 1
        self.idle.append(one)


if __name__ == "__main__":
    where, secret, count, rate, connections = sys.argv[1:]
    made = requests(where, secret, int(count))
    found = Flood(where, made, float(rate), int(connections)).run()
    print(msgspec.json.encode(found).decode())
