"""A caller and the books against whatever answers on loopback."""

from collections.abc import Callable

import pytest
from pytest_httpserver import HTTPServer

from psaltery.adapters.budget import NoBudget
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.xero import classify
from psaltery.adapters.xero.books import XeroBooks


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
