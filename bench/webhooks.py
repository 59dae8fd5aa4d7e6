"""Webhooks: deliveries a second, each on the disk before it is answered; the time to answer.

The product as shipped: `psaltery web` over loopback, its own PostgreSQL with fsync on. Sender,
server and database share the machine's cores.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import httpx2

from bench.flood import TENANT, TENANTS
from bench.measure import Measure, Size
from bench.scratch import ROOT, child

KEY = "whk-bench-0123456789abcdef0123456789abcdef"
COUNT = {Size.FULL: 20_000, Size.TINY: 200}
RATE, P99_MS = 1000.0, 100.0
START_SECONDS = 60


def run(size: Size) -> list[Measure]:
    """At 1,000 a second, then as fast as it goes."""
    _connect()
    count = COUNT[size]
    with _web() as url:
        address = f"{url}/api/webhooks/xero"
        _flood(address, count // 10, 0, 16)  # every thread has its connection to the database
        paced = _flood(address, count, RATE, 64)
        fast = _flood(address, count, 0, 16)
    stored = _stored()
    sent = count // 10 + 2 * count
    return [
        Measure(
            what="time to answer at 1,000 deliveries/s, p99",
            budget=f"< {P99_MS:.0f} ms",
            measured=f"{paced['p99']:.0f} ms",
            kept=float(paced["p99"]) < P99_MS and float(paced["rate"]) > RATE * 0.98,
            remark=f"p50 {paced['p50']:.1f} ms, longest {paced['most']:.0f} ms",
            figures=paced,
        ),
        Measure(
            what="deliveries/s, durable before the answer",
            budget=f"≥ {RATE:,.0f}",
            measured=f"{fast['rate']:,.0f}",
            kept=float(fast["rate"]) >= RATE,
            remark=f"16 at once, p99 {fast['p99']:.0f} ms; {os.cpu_count()} cores, sender on them",
            figures=fast,
        ),
        Measure(
            what="events stored of those sent",
            budget="all, once",
            measured=f"{stored:,} of {sent:,}",
            kept=stored == sent,
            remark=f"{_jobs()} jobs queued for {TENANTS} organisations",
        ),
    ]


def _flood(address: str, count: int, rate: float, connections: int) -> dict[str, float | str]:
    words = (address, KEY, str(count), str(rate), str(connections))
    found: dict[str, float | str] = child("bench.flood", *words)
    return found


def _connect() -> None:
    """A connection with some organisations and the key, as if a person had made them."""
    from psaltery.connections.models import Connection, Organisation
    from psaltery.connections.organisations import start
    from psaltery.inbound import keys

    connection = Connection.objects.create(kind="xero", name="Bench", state="connected")
    for number in range(TENANTS):
        tenant = TENANT.format(number)
        start(Organisation.objects.create(connection=connection, external_id=tenant, name=tenant))
    keys.add(connection, KEY)


def _stored() -> int:
    from psaltery.inbound.models import XeroEvent

    return XeroEvent.objects.count()


def _jobs() -> int:
    from procrastinate.contrib.django.models import ProcrastinateJob

    return ProcrastinateJob.objects.count()


@contextmanager
def _web() -> Iterator[str]:
    """The web server as shipped, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "psaltery.cli", "--parent", str(os.getpid()), "web"],
        cwd=ROOT,
        env={**os.environ, "PSALTERY_PORT": str(port)},
    )
    try:
        _until_alive(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _until_alive(url: str) -> None:
    until = monotonic() + START_SECONDS
    while True:
        try:
            httpx2.get(f"{url}/healthz", timeout=5).raise_for_status()
            return
        except httpx2.HTTPError:
            if monotonic() > until:
                raise
            sleep(0.1)
