"""The money of invoices, and their way from open to closed and back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.connectwise.sandbox import NewLine
from psaltery.adapters.connectwise.sandbox.pricing import Charge, cents, totals
from psaltery.adapters.connectwise.sandbox.tables import tax_code
from psaltery.adapters.connectwise.tests.sandbox.conftest import invoiced, laptop

GST = {"id": 1} | tax_code("GST", "GST", (("0.10", "GST", "OUTPUT", "ATO"),))
TWO = {"id": 2} | tax_code("US", "US", (("0.06", "S", "S", "A"), ("0.0125", "C", "C", "A")))


def test_lines_of_every_kind_make_up_the_head(sandbox, client):
    made = invoiced(
        sandbox,
        laptop("100.00", 3, discount=Decimal("10")),
        NewLine(kind="time", quantity=Decimal("1.5"), price=Decimal("165")),
        NewLine(kind="expense", price=Decimal("22.22"), description="Parking"),
        agreement_amount=Decimal("500"),
    )
    head = client.get(f"/finance/invoices/{made['id']}").json()
    assert head["productTotal"] == 290
    assert head["serviceTotal"] == 247.5
    assert head["expenseTotal"] == 22.22
    assert head["agreementAmount"] == 500
    assert head["subtotal"] == 1059.72
    assert head["salesTax"] == 105.97
    assert head["total"] == head["balance"] == 1165.69
    assert head["status"] == {"id": 3, "name": "Closed", "isClosed": True}
    assert head["dueDate"] == "2026-03-16T00:00:00Z"


def test_zero_rated_and_untaxed_lines_bear_no_tax(sandbox):
    made = invoiced(
        sandbox, laptop(), laptop(tax_code="GST-FREE"), laptop(taxable=False), laptop("1.05")
    )
    assert made["salesTax"] == Decimal("10.11")
    assert made["total"] == Decimal("311.16")


def test_a_code_of_several_levels_taxes_each(sandbox, client):
    made = invoiced(sandbox, laptop("99.99"), tax_code="US-CA")
    assert made["salesTax"] == Decimal("6.00") + Decimal("1.25")
    entries = client.get(f"/finance/invoices/{made['id']}/glEntries/").json()
    taxes = [(row["description"], row["amount"]) for row in entries if row["type"] == "ST"]
    assert taxes == [("Level 1 Sales Tax", -6.00), ("Level 2 Sales Tax", -1.25)]


def test_gl_entries_balance(sandbox, client):
    made = invoiced(sandbox, laptop("33.33", 3), laptop("0.05", 7, tax_code="GST-FREE"))
    entries = client.get(f"/finance/invoices/{made['id']}/glEntries/").json()
    assert round(sum(row["amount"] for row in entries), 2) == 0
    receivable = sum(row["amount"] for row in entries if row["type"] == "AR")
    assert Decimal(str(round(receivable, 2))) == made["total"]


def test_invoice_info_has_the_lines(sandbox, client):
    made = invoiced(
        sandbox, laptop(), NewLine(kind="time", quantity=Decimal(2), description="Set up")
    )
    info = client.get(f"/finance/info/invoice/{made['id']}").json()
    assert info["invoice"]["invoiceNumber"] == made["invoiceNumber"]
    assert [row["catalogItem"]["identifier"] for row in info["products"]] == ["LT-5450"]
    assert [row["notes"] for row in info["timeEntries"]] == ["Set up"]
    assert info["expenses"] == []
    listed = client.get("/procurement/products", params={"conditions": f"invoice/id={made['id']}"})
    assert listed.json() == info["products"]
    assert client.get("/finance/info/invoice/999").status_code == 404


def test_an_agreement_is_billed_with_its_additions(client):
    number = client.post("/finance/agreements/1/invoice").json()
    info = client.get(f"/finance/info/invoice/{number}").json()
    agreement = client.get("/finance/agreements/1").json()
    additions = client.get("/finance/agreements/1/additions").json()
    assert info["invoice"]["type"] == "Agreement"
    assert info["invoice"]["agreementAmount"] == agreement["billAmount"]
    assert info["agreementBillingInfo"][0]["agreementName"] == agreement["name"]
    expected = agreement["billAmount"] + sum(row["extPrice"] for row in additions)
    assert info["invoice"]["subtotal"] == pytest.approx(expected)


def test_a_credit_memo_is_negative_unless_the_site_shows_it_otherwise(sandbox, client, control):
    memo = invoiced(sandbox, laptop(), type="CreditMemo")
    address = f"/finance/invoices/{memo['id']}"
    assert client.get(address).json()["total"] == -110
    assert client.get(address).json()["specialInvoiceFlag"] is True
    control.post("/behaviour", json={"positive_credit_memos": True})
    assert client.get(address).json()["total"] == 110


@pytest.mark.parametrize(
    ("field", "amount", "subtotal"),
    [("down_payment", 250, 750), ("progress", 400, 600), ("service_adjustment", -50, 950)],
)
def test_amounts_on_the_head_alone_change_the_subtotal_not_the_tax(
    sandbox, client, field, amount, subtotal
):
    made = invoiced(sandbox, laptop("1000"), **{field: Decimal(amount)})
    assert (made["subtotal"], made["salesTax"], made["productTotal"]) == (subtotal, 100, 1000)
    entries = client.get(f"/finance/invoices/{made['id']}/glEntries/").json()
    assert round(sum(row["amount"] for row in entries), 2) == 0


def test_a_closed_invoice_cannot_be_changed_but_its_status_can(sandbox, client):
    made = invoiced(sandbox)
    address = f"/finance/invoices/{made['id']}"
    patch = [{"op": "replace", "path": "reference", "value": "x"}]
    assert client.patch(address, json=patch).status_code == 400
    assert client.delete(address).status_code == 400
    flip = [{"op": "replace", "path": "status", "value": {"id": 4}}]
    closed = f"/finance/closedInvoices/{made['id']}"
    assert client.patch(closed, json=flip).json()["status"]["isClosed"] is False
    assert client.get(f"{address}/glEntries").json() == []
    assert client.patch(address, json=patch).json()["reference"] == "x"
    synced = {"status": {"id": 5}, "internalNotes": "in Xero"}
    assert client.put(closed, json=synced).json()["internalNotes"] == "in Xero"
    again = client.get(address).json()
    assert again["status"]["name"] == "Synced"
    assert again["balance"] == 110
    assert len(client.get(f"{address}/glEntries").json()) == 4


def test_an_invoice_is_put_together_over_the_api(client):
    head = {"type": "Miscellaneous", "company": {"id": 1}, "total": 999}
    made = client.post("/finance/invoices", json=head).json()
    assert made["total"] == 0
    line = {
        "catalogItem": {"identifier": "MON-27"},
        "billableOption": "Billable",
        "quantity": 2,
        "invoice": {"id": made["id"]},
    }
    assert client.post("/procurement/products", json=line).status_code == 201
    address = f"/finance/invoices/{made['id']}"
    assert client.get(address).json()["total"] == 1075.8
    close = [{"op": "replace", "path": "status", "value": {"name": "Closed"}}]
    assert client.patch(address, json=close).json()["status"]["isClosed"] is True
    assert client.post("/procurement/products", json=line).status_code == 400
    twin = client.post("/finance/invoices", json=head | {"invoiceNumber": made["invoiceNumber"]})
    assert twin.json()["errors"][0]["code"] == "ObjectExists"


def test_control_makes_edits_and_closes_invoices(client, control):
    body = {"company": 1, "close": False, "lines": [{"item": "MON-27", "quantity": 2}]}
    made = control.post("/create_invoice", json=body).json()
    assert (made["total"], made["status"]["name"]) == (1075.8, "Open")
    assert control.post("/close_invoice", json={"id": made["id"]}).json()["closedBy"]
    edit = {"number": made["invoiceNumber"], "lines": [{"item": "MON-27"}]}
    edited = control.post("/edit_invoice", json=edit).json()
    assert (edited["total"], edited["status"]["isClosed"]) == (537.9, True)
    assert len(client.get(f"/finance/info/invoice/{made['id']}").json()["products"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"company": "nobody"},
        {"company": 1, "lines": [{"item": "NO-SUCH-ITEM"}]},
        {"company": 1, "colour": "red"},
        {"company": 1, "type": "Sonderfall"},
        {},
    ],
)
def test_control_refuses_what_it_cannot_make_and_makes_nothing(client, control, body):
    assert control.post("/create_invoice", json=body).status_code == 400
    assert client.get("/finance/invoices/count").json() == {"count": 0}


def test_the_same_seed_makes_the_same_site():
    from psaltery.adapters.connectwise.sandbox import Sandbox

    def shown(seed):
        world = Sandbox(companies=5, invoices=20, seed=seed).world
        return [(row["invoiceNumber"], row["company"]["name"], row["total"])
                for row in world.all("invoices")]  # fmt: skip

    assert shown(7) == shown(7)
    assert shown(7) != shown(8)


@given(st.lists(st.integers(-99_999, 99_999), max_size=8), st.booleans())
def test_tax_is_rounded_once_for_each_code_and_level(amounts, two):
    code = TWO if two else GST
    charges = [Charge("product", Decimal(n) / 100, True, code["id"]) for n in amounts]
    sums = totals(charges, {code["id"]: code})
    net = sum((charge.amount for charge in charges), Decimal(0))
    rates = ("0.06", "0.0125") if two else ("0.10",)
    assert sums.tax == sum((cents(net * Decimal(rate)) for rate in rates), Decimal(0))
    assert sums.subtotal == net
