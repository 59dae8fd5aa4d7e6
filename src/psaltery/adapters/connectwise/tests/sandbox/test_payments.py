"""Payments and applied credit memos."""

from __future__ import annotations

from decimal import Decimal

import pytest

from psaltery.adapters.connectwise.tests.sandbox.conftest import invoiced, laptop


@pytest.fixture
def invoice(sandbox):
    return invoiced(sandbox)


@pytest.fixture
def address(invoice):
    return f"/finance/invoices/{invoice['id']}/payments"


def head(client, invoice):
    row = client.get(f"/finance/invoices/{invoice['id']}").json()
    return row["payments"], row["credits"], row["balance"]


def test_a_payment_is_made_changed_and_taken_back(client, invoice, address):
    body = {"amount": 40.5, "paymentDate": "2026-03-20T00:00:00Z", "invoice": {"id": invoice["id"]}}
    made = client.post(address, json=body)
    assert made.status_code == 201
    assert made.json()["invoiceBalance"] == 69.5
    assert made.json()["paymentDate"] == "2026-03-20T00:00:00Z"
    assert head(client, invoice) == (40.5, 0, 69.5)
    one = f"{address}/{made.json()['id']}"
    patch = [{"op": "replace", "path": "amount", "value": 110}]
    assert client.patch(one, json=patch).json()["invoiceBalance"] == 0
    assert client.put(one, json={"amount": 10}).json()["amount"] == 10
    assert [row["amount"] for row in client.get(address).json()] == [10]
    assert client.delete(one).status_code == 204
    assert head(client, invoice) == (0, 0, 110)
    assert client.get(one).status_code == 404


def test_a_second_payment_is_refused_unless_the_site_takes_it(client, control, invoice, address):
    client.post(address, json={"amount": 10})
    refused = client.post(address, json={"amount": 5})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "ObjectExists"
    assert head(client, invoice) == (10, 0, 100)
    control.post("/behaviour", json={"several_payments": True})
    assert client.post(address, json={"amount": 5}).status_code == 201
    assert head(client, invoice) == (15, 0, 95)


@pytest.mark.parametrize(
    ("mode", "status", "paid"), [("cut", 201, 110), ("accept", 201, 150), ("refuse", 400, 0)]
)
def test_more_than_the_balance(client, control, invoice, address, mode, status, paid):
    control.post("/behaviour", json={"over_balance": mode})
    assert client.post(address, json={"amount": 150}).status_code == status
    assert head(client, invoice) == (paid, 0, 110 - paid)


@pytest.mark.parametrize("body", [{}, {"amount": "10"}, {"amount": True}, {"amount": -1}])
def test_bad_amounts_are_refused(client, address, body):
    answer = client.post(address, json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "amount"


def test_a_negative_invoice_takes_negative_payments(sandbox, client):
    invoice = invoiced(sandbox, laptop("-100.00"))
    address = f"/finance/invoices/{invoice['id']}/payments"
    assert client.post(address, json={"amount": 10}).status_code == 400
    assert client.post(address, json={"amount": -60}).status_code == 201
    assert head(client, invoice) == (-60, 0, -50)


def test_a_memo_is_applied_up_to_its_balance(sandbox, client, invoice, address):
    memo = invoiced(sandbox, laptop("50.00"), type="CreditMemo")
    body = {"amount": 30, "credit": {"id": memo["id"]}}
    made = client.post(address, json=body).json()
    assert made["credit"]["identifier"] == memo["invoiceNumber"]
    assert head(client, invoice) == (0, 30, 80)
    assert head(client, memo) == (0, -30, -25)
    other = invoiced(sandbox)
    more = client.post(f"/finance/invoices/{other['id']}/payments", json=body)
    assert more.status_code == 400
    assert "25" in more.json()["errors"][0]["message"]
    grown = [{"op": "replace", "path": "amount", "value": 55}]
    assert client.patch(f"{address}/{made['id']}", json=grown).json()["amount"] == 55
    assert head(client, memo) == (0, -55, 0)
    assert client.delete(f"{address}/{made['id']}").status_code == 204
    assert head(client, memo) == (0, 0, -55)
    assert head(client, invoice) == (0, 0, 110)


def test_a_memo_and_a_payment_stand_on_one_invoice(sandbox, client, invoice, address):
    memo = invoiced(sandbox, laptop("50.00"), type="CreditMemo")
    assert client.post(address, json={"amount": 55, "credit": {"id": memo["id"]}}).is_success
    assert client.post(address, json={"amount": 55}).is_success
    assert head(client, invoice) == (55, 55, 0)
    again = client.post(address, json={"amount": 1, "credit": {"id": memo["id"]}})
    assert again.status_code == 400


def test_an_open_memo_or_another_invoice_is_no_credit(sandbox, client, address):
    open_memo = invoiced(sandbox, laptop(), type="CreditMemo", close=False)
    other = invoiced(sandbox)
    for row in (open_memo, other, {"id": 999}):
        answer = client.post(address, json={"amount": 1, "credit": {"id": row["id"]}})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "credit"


def test_wisepay_records_are_left_alone(sandbox, client, invoice, address):
    made = client.post(address, json={"amount": 10}).json()
    sandbox.world.change("payments", made["id"], source="WisePay")
    assert client.delete(f"{address}/{made['id']}").status_code == 400
    assert sandbox.world.get("payments", made["id"])["amount"] == Decimal(10)
