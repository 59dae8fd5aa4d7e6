"""A caller and the books against whatever answers on loopback."""

from collections.abc import Callable, Iterator

import pytest
from pytest_httpserver import HTTPServer

from psaltery.adapters import xero
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.xero import classify
from psaltery.adapters.xero.books import XeroBooks
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.adapters.xero.tests.world import AMOUNTS, World


@pytest.fixture
def caller_of() -> Callable[[str], Caller]:
    def make(address: str, token: str = "token") -> Caller:
        return Caller(
            address,
            credential=FixedCredential({"Authorization": f"Bearer {token}"}),
            budget=NoBudget(),
            recorder=NoRecorder(),
            classify=classify,
        )

    return make


@pytest.fixture
def books(httpserver: HTTPServer, caller_of: Callable[[str], Caller]) -> XeroBooks:
    return XeroBooks(caller_of(httpserver.url_for("")), "tenant-1")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(orgs=2, limits=False, **AMOUNTS)
    server = sandbox.serve()
    yield sandbox, server.url
    server.stop()
    sandbox.close()


@pytest.fixture
def world(served: tuple[Sandbox, str], caller_of: Callable[..., Caller]) -> World:
    sandbox, url = served
    token = sandbox.grant()["access_token"]
    tenant = sandbox.organisations()[0]["tenantId"]
    books = xero.open({"mode": "web"}, tenant, caller_of(url, token), {})
    return World(sandbox, url, tenant, books, lambda: caller_of(url, token))
