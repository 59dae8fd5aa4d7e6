"""Xero's adapter under the suite that every adapter passes."""

from collections.abc import Iterator
from typing import Any

import pytest

from psaltery.adapters import xero
from psaltery.adapters.contract_tests import AdapterContract, Subject
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.records.drafts import Action, ContactDraft


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(
        orgs=1,
        limits=False,
        contacts=12,
        invoices=40,
        payments=20,
        credit_notes=4,
    )
    server = sandbox.serve()
    yield sandbox, server.url
    server.stop()
    sandbox.close()


class TestXero(AdapterContract):
    feed = "contacts"
    feed_path = "/Contacts"
    write_path = "/Contacts"
    list_feeds = frozenset({"settings"})
    name = ""

    @pytest.fixture
    def subject(self, sandbox: tuple[Sandbox, str], request: pytest.FixtureRequest) -> Subject:
        xero_sandbox, url = sandbox
        self.name = f"Contract {request.node.name}"
        return Subject(
            module=xero,
            url=url,
            fields={"mode": "web"},
            external_id=xero_sandbox.organisations()[0]["tenantId"],
            headers={"Authorization": f"Bearer {xero_sandbox.grant()['access_token']}"},
        )

    def write(self, adapter: Any) -> object:
        prepared = adapter.prepare(Action.CREATE, ContactDraft(name=self.name))
        return adapter.send([prepared], self.name[:128])

    def written(self, adapter: Any) -> int:
        return len(adapter.find_contacts(names=[self.name]))
