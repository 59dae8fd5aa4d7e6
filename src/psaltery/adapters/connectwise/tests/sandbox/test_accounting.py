"""The Accounting Interface: unposted lists, the export, and the life of batches."""

from __future__ import annotations

from decimal import Decimal

import pytest

from psaltery.adapters.connectwise.sandbox import NewLine, Sandbox
from psaltery.adapters.connectwise.tests.sandbox.conftest import invoiced, laptop, signed_in

UNPOSTED = "/finance/accounting/unpostedinvoices"
BATCHES = "/finance/accounting/batches"


def exported(client, **body):
    answer = client.post("/finance/accounting/export", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def of_invoice(client, invoice):
    found = exported(client, exportInvoicesFlag=True, includedInvoiceIds=[invoice["id"]])
    return found["transactions"][0]


def entry_ids(transaction):
    ids = [int(one) for one in transaction["glEntryIds"].split(",")]
    return ids + [row["id"] for row in transaction["detail"]]


def batch(client, ids, identifier="PS-1", **flags):
    flags = flags or {"exportInvoicesFlag": True}
    body = {"batchIdentifier": identifier, "processedRecordIds": ids, **flags}
    return client.post(BATCHES, json=body)


def test_an_invoice_shows_once_it_is_closed_and_has_an_account_number(sandbox, client, control):
    invoiced(sandbox, close=False)
    closed = invoiced(sandbox)
    assert [row["billingLogId"] for row in client.get(UNPOSTED).json()] == [closed["id"]]
    one = client.get(f"{UNPOSTED}/{closed['id']}").json()
    assert (one["total"], one["salesTaxAmount"], one["stateTaxAmount"]) == (110, 10, 10)
    assert (one["hasProducts"], one["hasTime"]) == (True, False)
    levels = client.get(f"{UNPOSTED}/{closed['id']}/taxableLevels").json()
    assert [(row["taxLevel"], row["taxAmount"]) for row in levels] == [(1, 10)]
    no_number = {"collection": "companies", "id": 1, "fields": {"accountNumber": ""}}
    control.post("/change", json=no_number)
    assert client.get(f"{UNPOSTED}/count").json() == {"count": 0}


def test_an_invoice_without_gl_entries_shows_after_it_is_closed_again(sandbox, client, control):
    invoice = invoiced(sandbox)
    control.post("/drop_gl_entries", json={"id": invoice["id"]})
    assert client.get(UNPOSTED).json() == []
    address = f"/finance/closedInvoices/{invoice['id']}"
    for status in (4, 3):
        patch = [{"op": "replace", "path": "status", "value": {"id": status}}]
        assert client.patch(address, json=patch).status_code == 200
    assert len(client.get(UNPOSTED).json()) == 1


def test_the_export_is_coded_with_credit_side_signs_and_ties(sandbox, client):
    invoice = invoiced(
        sandbox,
        laptop("100.00", 2),
        NewLine(kind="time", quantity=Decimal("1.5"), price=Decimal("165")),
        reference="WO 7",
    )
    document = of_invoice(client, invoice)
    assert (document["documentType"], document["glTypeId"]) == ("INVOICE", "AR")
    assert document["documentNumber"] == invoice["invoiceNumber"]
    assert document["documentDate"] == "2026-03-02T00:00:00"
    assert document["accountNumber"] == "610"
    assert document["total"] == 492.25
    assert round(sum(row["total"] for row in document["detail"]), 2) == -492.25
    product, time, tax = document["detail"]
    assert (product["glTypeId"], product["accountNumber"], product["quantity"]) == ("RP", "200", -2)
    assert product["item"]["identifier"] == "LT-5450"
    assert (time["glTypeId"], time["accountNumber"], time["quantity"]) == ("R", "210", -1.5)
    assert (tax["glTypeId"], tax["taxRate"], tax["taxRatePercent"]) == ("ST", 0.1, 10)
    assert tax["taxNote"] == "AUTOSTAX"
    assert (document["stateTax"], document["countyTax"]) == (44.75, 0)


def test_a_credit_memo_is_the_mirror_image(sandbox, client):
    document = of_invoice(client, invoiced(sandbox, type="CreditMemo"))
    assert document["documentType"] == "CREDIT MEMO"
    assert document["total"] == -110
    assert [row["total"] for row in document["detail"]] == [100, 10]


def test_the_export_changes_nothing_and_obeys_its_filters(sandbox, client):
    first, second = invoiced(sandbox), invoiced(sandbox, location="Auckland")
    assert len(exported(client, exportInvoicesFlag=True)["transactions"]) == 2
    excluded = exported(client, exportInvoicesFlag=True, excludedInvoiceIds=[first["id"]])
    assert [row["id"] for row in excluded["transactions"]] == [second["id"]]
    located = exported(client, exportInvoicesFlag=True, locationId=second["locationId"])
    assert [row["id"] for row in located["transactions"]] == [second["id"]]
    assert client.get(f"{UNPOSTED}/count").json() == {"count": 2}
    nothing = client.post("/finance/accounting/export", json={})
    assert nothing.status_code == 400


def test_condensed_rows_keep_every_id(sandbox, client):
    invoice = invoiced(sandbox, laptop(), laptop("50.00"))
    body = {"exportInvoicesFlag": True, "includedInvoiceIds": [invoice["id"]]}
    whole = exported(client, **body)["transactions"][0]
    condensed = exported(client, summarizeInvoices="Condensed", **body)["transactions"][0]
    assert [row["total"] for row in condensed["detail"]] == [-150, -15]
    assert sorted(entry_ids(condensed)) == sorted(entry_ids(whole))


def test_a_batch_of_all_ids_posts_and_its_deletion_unposts(sandbox, client):
    invoice = invoiced(sandbox)
    made = batch(client, entry_ids(of_invoice(client, invoice)))
    assert made.status_code == 201
    assert "id" not in made.json()
    assert client.get(UNPOSTED).json() == []
    known = client.get(BATCHES, params={"conditions": 'batchIdentifier="PS-1"'}).json()
    assert [row["exportInvoicesFlag"] for row in known] == [True]
    number = known[0]["id"]
    head = client.get(f"/finance/invoices/{invoice['id']}").json()
    assert head["glBatch"]["id"] == number
    entries = client.get(f"{BATCHES}/{number}/entries").json()
    assert sum(row["debit"] for row in entries) == sum(row["credit"] for row in entries) == 110
    again = client.post(f"{BATCHES}/{number}/export", json={}).json()
    assert again["transactions"][0]["documentNumber"] == invoice["invoiceNumber"]
    assert client.delete(f"{BATCHES}/{number}").status_code == 204
    assert [row["id"] for row in client.get(UNPOSTED).json()] == [invoice["id"]]
    head = client.get(f"/finance/invoices/{invoice['id']}").json()
    assert (head["glBatch"], head["unbatchedBatch"]["id"]) == (None, number)
    assert client.delete(f"{BATCHES}/{number}").status_code == 404


@pytest.mark.parametrize("missing", [0, -1])
def test_a_batch_that_lacks_an_id_leaves_the_invoice_unposted(sandbox, client, missing):
    invoice = invoiced(sandbox)
    ids = entry_ids(of_invoice(client, invoice))
    left = ids.pop(missing)
    assert batch(client, ids).status_code == 201
    assert [row["id"] for row in client.get(UNPOSTED).json()] == [invoice["id"]]
    assert client.get(f"/finance/invoices/{invoice['id']}").json()["glBatch"] is None
    assert batch(client, [*ids, left], "PS-2").status_code == 400
    assert batch(client, [left], "PS-3").status_code == 201
    assert client.get(UNPOSTED).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"exportInvoicesFlag": True},
        {"exportInvoicesFlag": True, "processedRecordIds": []},
        {"exportInvoicesFlag": True, "processedRecordIds": [987654]},
        {"processedRecordIds": [1]},
    ],
)
def test_a_batch_of_nothing_is_refused(sandbox, client, body):
    invoiced(sandbox)
    assert client.post(BATCHES, json=body).status_code == 400
    assert client.get(f"{BATCHES}/count").json() == {"count": 0}


def test_a_posted_invoice_stays_closed_and_a_closed_batch_stays(sandbox, client, control):
    invoice = invoiced(sandbox)
    batch(client, entry_ids(of_invoice(client, invoice)))
    reopen = [{"op": "replace", "path": "status", "value": {"id": 1}}]
    address = f"/finance/closedInvoices/{invoice['id']}"
    assert client.patch(address, json=reopen).status_code == 400
    control.post("/close_batch", json={"id": 1})
    assert client.delete(f"{BATCHES}/1").status_code == 400
    assert client.get(UNPOSTED).json() == []


def test_a_stale_edit_leaves_the_old_entries(sandbox, client, control):
    invoice = invoiced(sandbox)
    edit = {"id": invoice["id"], "lines": [{"item": "MON-27"}], "stale": True}
    assert control.post("/edit_invoice", json=edit).json()["total"] == 537.9
    document = of_invoice(client, invoice)
    assert sum(row["total"] for row in document["detail"]) == -110


def order(client, **more):
    head = {
        "status": {"name": "Ordered"},
        "terms": {"name": "Net 30"},
        "vendorCompany": {"id": 2},
        "locationId": 1,
        "freightCost": 12.5,
        "taxCode": {"name": "GST"},
    }
    made = client.post("/procurement/purchaseorders", json=head | more).json()
    for number, quantity in ((1, 2), (2, 5)):
        line = {
            "lineNumber": number,
            "product": {"identifier": "MON-27"},
            "description": f"Monitor {number}",
            "quantity": quantity,
            "unitCost": 100,
            "unitOfMeasure": {"id": 1},
        }
        address = f"/procurement/purchaseorders/{made['id']}/lineitems"
        assert client.post(address, json=line).status_code == 201
    return client.get(f"/procurement/purchaseorders/{made['id']}").json()


def purchase_ids(purchase):
    return [row["id"] for row in (*purchase["purchaseDetail"], *purchase["purchaseDetailTax"])]


def test_purchase_orders_post_by_packing_slip(client, control):
    made = order(client)
    assert (made["subTotal"], made["salesTax"], made["total"]) == (700, 70, 782.5)
    unposted = "/finance/accounting/unpostedprocurement"
    assert client.get(unposted).json() == []
    receipt = {"id": made["id"], "packing_slip": "PS7", "lines": {"1": 2, "2": 3}}
    control.post("/receive_purchase_order", json=receipt | {"vendor_invoice": "V-9"})
    row = client.get(unposted).json()[0]
    assert (row["total"], row["freightCost"]) == (562.5, 12.5)
    assert row["vendorInvoiceNumber"] == "V-9"
    lines = client.get(f"/procurement/purchaseorders/{made['id']}/lineitems").json()
    shown = [(line["quantity"], line["receivedStatus"], line["packingSlip"]) for line in lines]
    assert shown == [
        (2, "FullyReceived", "PS7"),
        (3, "PartiallyReceiveCloneRest", "PS7"),
        (2, "Waiting", ""),
    ]
    wanted = {"exportProductsFlag": True, "includedProductIds": [row["unpostedProductId"]]}
    purchase = exported(client, **wanted)["purchaseTransactions"][0]
    assert purchase["id"] == f"PO #{made['poNumber']}, Packing Slip: PS7"
    assert (purchase["total"], purchase["freightAmount"]) == (562.5, 12.5)
    assert [line["quantity"] for line in purchase["purchaseDetail"]] == [-2, -3]
    assert sum(line["total"] for line in purchase["purchaseDetail"]) == -500
    assert batch(client, purchase_ids(purchase), exportProductsFlag=True).status_code == 201
    assert client.get(unposted).json() == []
    line = client.get(f"/procurement/purchaseorders/{made['id']}/lineitems/{lines[0]['id']}")
    assert line.json()["batchedFlag"] is True
    control.post("/receive_purchase_order", json={"id": made["id"], "packing_slip": "PS8"})
    rest = client.get(unposted).json()
    assert [(row["total"], row["freightCost"]) for row in rest] == [(220, 0)]


def test_approved_expenses_post_as_bills_to_the_member(client):
    body = {
        "type": {"name": "Parking"},
        "amount": 44,
        "date": "2026-03-03T00:00:00Z",
        "member": {"identifier": "jtane"},
        "company": {"id": 1},
    }
    made = client.post("/expense/entries", json=body).json()
    unposted = "/finance/accounting/unpostedexpenses"
    assert client.get(unposted).json() == []
    approve = [{"op": "replace", "path": "status", "value": "ApprovedByTierTwo"}]
    client.patch(f"/expense/entries/{made['id']}", json=approve)
    row = client.get(unposted).json()[0]
    assert (row["total"], row["creditAccount"], row["accountNumber"]) == (44, "800", "493")
    found = exported(client, exportExpensesFlag=True, includedExpenseIds=[row["id"]])
    bill = found["expenseBills"][0]
    assert (bill["total"], bill["vendorNumber"]) == (44, "EMP-JTANE")
    assert bill["documentNumber"].endswith("jtane")
    assert [line["total"] for line in bill["detail"]] == [-44]
    assert batch(client, bill["detail"][0]["id"], exportExpensesFlag=True).status_code == 201
    assert client.get(unposted).json() == []


def test_batches_find_entries_made_before_a_restart(tmp_path):
    path = tmp_path / "state.sqlite"
    Sandbox(state_path=path, companies=2, invoices=4, limits=False).close()
    again = Sandbox(state_path=path, limits=False)
    fresh = invoiced(again)
    server = again.start()
    with signed_in(server) as client:
        for invoice in (again.world.get("invoices", 1), fresh):
            ids = entry_ids(of_invoice(client, invoice))
            assert batch(client, ids, f"PS-{invoice['id']}").status_code == 201
    server.stop()
    again.close()
