"""The sandbox as a server: faults, restarts, loading, clock, command line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from decimal import Decimal
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from psaltery.adapters.connectwise.sandbox import Sandbox
from psaltery.adapters.connectwise.tests.sandbox.conftest import invoiced, laptop, signed_in


def test_a_lost_answer_has_done_its_work(sandbox, client, control):
    invoice = invoiced(sandbox)
    address = f"/finance/invoices/{invoice['id']}/payments"
    control.post("/faults", json={"kind": "lost_answer", "method": "POST", "path": "payments"})
    with pytest.raises(httpx2.TransportError):
        client.post(address, json={"amount": 10})
    assert [row["amount"] for row in client.get(address).json()] == [10]


def test_a_dropped_request_has_done_nothing(sandbox, client, control):
    invoice = invoiced(sandbox)
    address = f"/finance/invoices/{invoice['id']}/payments"
    control.post("/faults", json={"kind": "drop", "method": "POST", "path": "payments"})
    with pytest.raises(httpx2.TransportError):
        client.post(address, json={"amount": 10})
    assert client.get(address).json() == []


def test_an_invoice_may_come_one_row_short(sandbox, client, control):
    invoiced(sandbox, laptop(), laptop())
    control.post("/faults", json={"kind": "missing_rows", "path": "info/invoice"})
    assert len(client.get("/finance/info/invoice/1").json()["products"]) == 1
    assert len(client.get("/finance/info/invoice/1").json()["products"]) == 2


def test_the_request_log_tells_what_came(client, control):
    client.get("/finance/invoices", params={"pageSize": 3})
    last = control.get("/requests").json()["requests"][-1]
    assert last["path"] == "/v2025_1/apis/3.0/finance/invoices"
    assert (last["query"], last["status"], last["tenant"]) == ("pageSize=3", 200, "b2f5-test")


def test_a_restart_keeps_everything(tmp_path):
    path = tmp_path / "state.sqlite"
    first = Sandbox(state_path=path, companies=3, invoices=5)
    server = first.start()
    with signed_in(server) as client:
        client.post("/finance/invoices/1/payments", json={"amount": 1.25})
        before = client.get("/finance/invoices/1").json()
    server.stop()
    first.close()
    second = Sandbox(state_path=path, companies=3, invoices=5)
    server = second.start()
    with signed_in(server) as client:
        assert client.get("/finance/invoices/1").json() == before
        assert client.get("/finance/invoices/count").json() == {"count": 5}
        made = client.post("/company/companies", json={"identifier": "n", "name": "N"}).json()
        assert made["id"] == 1 + max(row["id"] for row in first.world.all("companies"))
    server.stop()
    second.close()


def test_loaded_documents_are_completed(client, control):
    invoice = {
        "id": 500,
        "invoiceNumber": "OLD-1",
        "type": "Standard",
        "status": {"id": 3, "name": "Closed", "isClosed": True},
        "company": {"id": 1, "identifier": "x", "name": "X"},
        "billToCompany": {"id": 1, "identifier": "x", "name": "X"},
        "taxCode": {"id": 1, "name": "GST"},
        "date": "2026-01-01T00:00:00Z",
        "dueDate": "2026-01-15T00:00:00Z",
        "locationId": 1,
    }
    product = {
        "id": 900,
        "catalogItem": {"id": 1, "identifier": "LT-5450"},
        "invoice": {"id": 500},
        "billableOption": "Billable",
        "quantity": 1,
        "price": 80,
        "extPrice": 80,
        "cost": 70,
        "taxableFlag": True,
    }
    control.post("/load", json={"invoices": [invoice], "products": [product]})
    loaded = client.get("/finance/invoices/500").json()
    assert (loaded["total"], loaded["balance"]) == (88, 88)
    assert [row["id"] for row in client.get("/finance/accounting/unpostedinvoices").json()] == [500]
    fresh = control.post("/create_invoice", json={"company": 1, "lines": [{"item": 1}]}).json()
    assert fresh["id"] != 500


def test_the_clock_can_be_shifted(client, control, sandbox):
    control.post("/clock", json={"offset_seconds": 86_400})
    invoiced(sandbox, laptop())
    stamp = client.get("/finance/invoices/1").json()["_info"]["lastUpdated"]
    control.post("/clock", json={"offset_seconds": 0})
    now = parsedate_to_datetime(client.get("/system/info").headers["Date"])
    assert stamp[:10] > f"{now:%Y-%m-%d}"


def test_behaviour_is_shown_and_unknown_switches_are_refused(control):
    assert control.get("/behaviour").json()["over_balance"] == "cut"
    assert control.post("/behaviour", json={"gravity": 1}).status_code == 400
    assert control.get("/nothing").status_code == 404


def test_the_command_serves_until_it_is_told_to_stop():
    command = [sys.executable, "-m", "psaltery.adapters.connectwise.sandbox"]
    options = ["--companies", "2", "--invoices", "3", "--company", "acme", "--no-limits"]
    options += ["--fault", '{"kind": "status", "status": 503, "path": "companyinfo"}']
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+\d", process.stdout.readline())[0]
        assert httpx2.get(f"{address}/login/companyinfo/acme").status_code == 503
        info = httpx2.get(f"{address}/login/companyinfo/acme").json()
        assert info["CompanyID"] == "acme"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_amounts_keep_their_decimals(sandbox, client):
    invoiced(sandbox, laptop("0.123456", 1000))
    text = client.get("/procurement/products", params={"conditions": "invoice/id=1"}).text
    assert '"price":0.123456' in text
    assert sandbox.world.get("invoices", 1)["subtotal"] == Decimal("123.46")
