"""ConnectWise's adapter under the suite that every adapter passes."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from psaltery.adapters import connectwise
from psaltery.adapters.connectwise.sandbox import ApiKey, Sandbox
from psaltery.adapters.contract_tests import AdapterContract, Subject

FIELDS = {
    "company": "harbour",
    "public_key": "public",
    "private_key": "private-key-1",
    "client_id": "00000000-0000-0000-0000-000000000001",
}


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    sandbox = Sandbox(
        companies=8, invoices=30, limits=False, keys=(ApiKey("public", "private-key-1"),)
    )
    server = sandbox.start()
    yield server.url
    server.stop()
    sandbox.close()


class TestConnectWise(AdapterContract):
    feed = "companies"
    feed_path = "/company/companies"
    write_path = "/payments"
    write_methods = ("POST",)
    list_feeds = frozenset({"lookups"})
    invoice = ""

    @pytest.fixture
    def subject(self, site: str) -> Subject:
        fields = {**FIELDS, "site": site}
        return Subject(
            module=connectwise,
            url=site,
            fields=fields,
            external_id="",
            headers=connectwise.credential(fields).headers(),
        )

    def write(self, adapter: Any) -> object:
        paid_on = date(2026, 11, 20)
        return adapter.create_payment(self._invoice(adapter), Decimal("0.01"), paid_on, "test")

    def written(self, adapter: Any) -> int:
        return len(adapter.payments(self._invoice(adapter)))

    def _invoice(self, adapter: Any) -> str:
        """An invoice without a payment, the same one throughout a test."""
        if not self.invoice:
            self.invoice = next(one for one in self._invoices(adapter) if not adapter.payments(one))
        return self.invoice

    def _invoices(self, adapter: Any) -> Iterator[str]:
        page = adapter.pull("invoices", None)
        while True:
            yield from (
                one.external_id for one in page.records if one.kind == "invoice" and one.total > 0
            )
            if not page.more:
                return
            page = adapter.pull("invoices", page.cursor)
