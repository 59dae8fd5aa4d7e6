"""A sandbox of ConnectWise over real HTTP, and the adapter opened on it."""

from collections.abc import Iterator

import pytest

from psaltery.adapters.connectwise.sandbox import NewInvoice, NewLine, Sandbox
from psaltery.adapters.connectwise.tests.site.driving import Driver


@pytest.fixture
def driver() -> Iterator[Driver]:
    """An empty site with six customers, older than nine days; no limits of calls."""
    driver = Driver(Sandbox(companies=6, limits=False))
    driver.pass_time(days=9)
    yield driver
    driver.stop()


@pytest.fixture
def invoice_id(driver: Driver) -> str:
    """A closed invoice of 1,100.00 with tax at the first customer."""
    lines = (
        NewLine(item="LT-5450", quantity=2, price=400),
        NewLine(kind="time", description="Set up", quantity=1, price=200, work_type="Travel"),
    )
    return driver.create(NewInvoice(company=1, tax_code="GST", lines=lines))
