"""A small site served on loopback, and a client that is signed in to it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from decimal import Decimal

import httpx2
import pytest

from psaltery.adapters.connectwise.sandbox import ApiKey, NewInvoice, NewLine, Sandbox
from psaltery.adapters.sandboxing import RunningServer

OTHER = ApiKey("otherpublic", "otherprivate", "other")
OURS = ApiKey("sandboxpublic", "sandboxprivate", "psaltery")


def credentials(key: ApiKey = OURS, company: str = "harbour") -> str:
    return "Basic " + base64.b64encode(f"{company}+{key.public}:{key.private}".encode()).decode()


def signed_in(server: RunningServer, key: ApiKey = OURS) -> httpx2.Client:
    headers = {"Authorization": credentials(key), "clientId": "b2f5-test"}
    return httpx2.Client(base_url=f"{server.url}/v2025_1/apis/3.0", headers=headers)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(companies=6, invoices=0, limits=False, keys=[OURS, OTHER])
    yield made
    made.close()


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[RunningServer]:
    running = sandbox.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx2.Client]:
    with signed_in(server) as opened:
        yield opened


@pytest.fixture
def control(server: RunningServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/_control") as opened:
        yield opened


def laptop(price: str = "100.00", quantity: int = 1, **more: object) -> NewLine:
    return NewLine(item="LT-5450", price=Decimal(price), quantity=Decimal(quantity), **more)


def invoiced(sandbox: Sandbox, *lines: NewLine, **more: object) -> dict:
    """A closed invoice of customer 1 (Sydney, AUD, 10 % GST)."""
    from psaltery.adapters.connectwise.sandbox import invoices

    draft = NewInvoice(company=1, date="2026-03-02", lines=lines or (laptop(),), **more)
    return invoices.create(sandbox.world, draft)
