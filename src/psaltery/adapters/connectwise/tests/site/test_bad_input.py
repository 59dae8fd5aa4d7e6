"""What goes wrong by name: each the right failure, a sentence, and nothing lost."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from psaltery.adapters.connectwise import site, wire
from psaltery.adapters.connectwise.failures import NO_PATH
from psaltery.adapters.connectwise.sandbox import NewInvoice, NewLine, Sandbox
from psaltery.adapters.connectwise.tests.site.driving import Driver
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.records.psa import DocumentKind

INVOICE = DocumentKind.INVOICE


def test_a_company_that_does_not_exist(driver: Driver) -> None:
    with pytest.raises(BadSettings) as caught:
        driver.open(company="nowhere").pull("companies", None)
    assert caught.value.which == "company"
    assert "nowhere" in str(caught.value)


def test_a_company_that_can_not_be_one(driver: Driver) -> None:
    with pytest.raises(BadSettings) as caught:
        driver.open(company="../system").pull("companies", None)
    assert caught.value.which == "company"


def test_wrong_keys(driver: Driver) -> None:
    with pytest.raises(NeedsReconnect) as caught:
        driver.open(private_key="wrong").probe()
    assert caught.value.code == "keys_refused"


def test_keys_refused_with_404_as_on_the_cloud(driver: Driver, invoice_id: str) -> None:
    driver.fault("status", path="/apis/", status=404, times=-1, body="")
    with pytest.raises(NeedsReconnect) as caught:
        driver.adapter.document(INVOICE, invoice_id)
    assert caught.value.code == "keys_refused"


def test_refused_keys_are_not_a_document_that_is_gone(driver: Driver, invoice_id: str) -> None:
    body = '{"code":"NotFound","message":"Not found"}'
    driver.fault("status", path="/apis/", status=404, times=-1, body=body)
    with pytest.raises(NeedsReconnect):
        driver.adapter.document(INVOICE, invoice_id)


def test_a_document_that_is_gone(driver: Driver) -> None:
    assert driver.adapter.document(INVOICE, "99999") is None


def test_an_address_that_an_old_site_does_not_have(driver: Driver) -> None:
    driver.fault("status", path="work", status=404, times=-1, body="<html>no</html>")
    with pytest.raises(Rejected) as caught:
        driver.adapter._client.every("/time/workTypes", wire.Listed)
    assert caught.value.problems[0].code == NO_PATH


def test_a_client_id_that_is_not_known() -> None:
    driver = Driver(Sandbox(companies=1, client_ids=["other"], limits=False))
    with pytest.raises(BadSettings) as caught:
        driver.adapter.pull("companies", None)
    driver.stop()
    assert caught.value.which == "client_id"


def test_a_permission_that_is_missing_is_named(driver: Driver) -> None:
    driver.deny("Companies > Contacts")
    with pytest.raises(BadSettings) as caught:
        driver.adapter.pull("contacts", None)
    assert "Companies > Contacts" in str(caught.value)
    assert driver.adapter.pull("companies", None).records


def test_the_probe_names_each_missing_permission(driver: Driver) -> None:
    assert all(one.granted for one in driver.adapter.probe())
    driver.deny("Finance > Accounting Interface")
    driver.deny("Time & Expense > Time Entry")
    driver.deny("Finance > Invoicing", "edit")
    missing = {one.name.partition(" (")[0] for one in driver.adapter.probe() if not one.granted}
    assert missing == {
        "Finance > Accounting Interface",
        "Time & Expense > Time Entry",
        "Finance > Invoicing: Add, Edit, Delete",
    }


def test_the_codebase_changes_with_an_upgrade(driver: Driver) -> None:
    assert driver.adapter.pull("companies", None).records
    key = (driver.url, "harbour")
    at, _ = site._codebases[key]
    site._codebases[key] = (at, "v2024_1/")
    assert driver.adapter.pull("companies", None).records
    assert site._codebases[key][1] == "v2025_1/"


@pytest.mark.parametrize("kind", ["html", "cut", "drop"])
def test_an_answer_that_is_none_is_asked_for_again_later(driver: Driver, kind: str) -> None:
    driver.fault(kind, path="company/companies", times=-1)
    with pytest.raises(TryLater) as caught:
        driver.adapter.pull("companies", None)
    assert not caught.value.uncertain
    driver.sandbox.control.faults.clear()
    assert len(driver.adapter.pull("companies", None).records) >= 6


def test_an_answer_of_100_megabytes(driver: Driver) -> None:
    driver.fault("huge", path="company/companies", times=-1, megabytes=100)
    with pytest.raises((TryLater, Rejected)) as caught:
        driver.adapter.pull("companies", None)
    assert "MB" in str(caught.value)


def test_too_many_calls() -> None:
    driver = Driver(Sandbox(companies=1, limits=True))
    driver.sandbox.world.behaviour.requests_per_minute = 2
    driver.adapter.pull("companies", None)
    driver.adapter.pull("companies", None)
    with pytest.raises(TryLater) as caught:
        driver.adapter.pull("companies", None)
    driver.stop()
    assert caught.value.limit == "minute"
    assert caught.value.at is not None


def test_trouble_in_a_write_is_uncertain(driver: Driver, invoice_id: str) -> None:
    driver.fault("status", method="POST", path="payments", status=503)
    with pytest.raises(TryLater) as caught:
        driver.adapter.create_payment(invoice_id, D(1), date(2026, 1, 1), "")
    assert caught.value.uncertain


def test_text_with_nul_and_emoji_and_unknown_words(driver: Driver, invoice_id: str) -> None:
    driver.sandbox.world.change(
        "invoices", int(invoice_id), reference="a\x00b 🌳", type="TypeOfNextYear"
    )
    [found], _ = driver.everything("invoices")
    assert (found.reference, found.type) == ("ab 🌳", "TypeOfNextYear")
    assert found.kind is INVOICE


def test_missing_fields_and_dates_out_of_range(driver: Driver, invoice_id: str) -> None:
    driver.sandbox.world.change(
        "invoices", int(invoice_id), dueDate="0001-01-01T00:00:00Z", location=None, currency=None
    )
    [found], _ = driver.everything("invoices")
    assert (found.due_on, found.currency) == (None, "")


# -- E50: an invoice that changes while it is read -----------------------------------------------


def test_an_invoice_whose_lines_do_not_tie_is_read_until_two_reads_agree(
    driver: Driver, invoice_id: str
) -> None:
    world = driver.sandbox.world
    [product_id] = [row["id"] for row in world.all("products")]
    world.change("products", product_id, extPrice=D("790.00"))  # the head still says 800
    driver.calls()
    [found], _ = driver.everything("invoices")
    assert sum(line.amount for line in found.lines) == found.subtotal
    assert found.lines[-1].key == "adjustment:rest"
    assert found.lines[-1].amount == D("10.00")
    assert driver.calls().count("GET finance/info/invoice/{id}") == 2


def test_an_invoice_that_keeps_changing_is_left_to_the_next_run(
    driver: Driver, invoice_id: str
) -> None:
    driver.create(NewInvoice(company=2, lines=(NewLine(item="EDR"),)))
    world = driver.sandbox.world
    product_id = world.all("products")[0]["id"]
    world.change("products", product_id, extPrice=D("1.00"))

    def restless(environ: dict[str, Any]) -> None:
        if "/finance/info/invoice/" in environ["PATH_INFO"]:
            row = world.get("products", product_id)
            world.change("products", product_id, extPrice=row["extPrice"] + 1)

    driver.before = restless
    found, cursor = driver.everything("invoices")
    assert [one.external_id for one in found] == ["2"]
    with pytest.raises(TryLater):
        driver.adapter.document(INVOICE, invoice_id)
    driver.before = lambda environ: None
    world.change("products", product_id, extPrice=D("800.00"))
    driver.pass_time(hours=5)
    later, cursor = driver.everything("invoices", cursor)
    assert [one.external_id for one in later] == [invoice_id]
    assert driver.everything("invoices", cursor)[0] == []


def test_a_site_that_can_not_filter_by_a_list_of_invoices(driver: Driver, invoice_id: str) -> None:
    refusal = '{"code":"ApiFindCondition","message":"in is not supported"}'
    for path in ("procurement/products", "time/entries", "expense/entries"):
        driver.fault("status", path=path, status=400, times=-1, body=refusal)
    [found], _ = driver.everything("invoices")
    assert [line.source for line in found.lines] == ["product", "time"]
