"""Payments, batches, credit notes, overpayments, prepayments: what is due is always right."""

import pytest


@pytest.fixture
def made(xero, invoice):
    return xero.made("Invoices", {**invoice, "InvoiceNumber": "P1", "Date": "2026-11-02"})


def on(invoice, **more):
    return {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Date": "2026-11-05", **more}


def read(xero, invoice):
    return xero.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]


def money(invoice):
    names = ("Status", "AmountDue", "AmountPaid", "AmountCredited")
    return tuple(invoice[name] for name in names)


def test_part_and_rest(xero, made, bank):
    first = xero.made("Payments", on(made, Account=bank, Amount=40, Reference="half"))
    assert first["PaymentType"] == "ACCRECPAYMENT"
    assert first["Invoice"]["InvoiceNumber"] == "P1"
    assert money(read(xero, made)) == ("AUTHORISED", 70, 40, 0)
    xero.made("Payments", on(made, Account={"Code": "090"}, Amount=70))
    paid = read(xero, made)
    assert money(paid) == ("PAID", 0, 110, 0)
    assert paid["FullyPaidOnDate"] == "/Date(1793836800000+0000)/"
    assert [p["Amount"] for p in paid["Payments"]] == [40, 70]
    assert "Account" not in paid["Payments"][0]


def test_a_payment_moves_the_invoice_in_delta_polls(xero, made, bank):
    before = made["UpdatedDateUTCString"]
    xero.control("clock", offset_seconds=5)
    xero.made("Payments", on(made, Account=bank, Amount=1))
    assert read(xero, made)["UpdatedDateUTCString"] > before


def test_deleting_a_payment_opens_the_invoice_again(xero, made, bank):
    payment = xero.made("Payments", on(made, Account=bank, Amount=110))
    place = f"/api.xro/2.0/Payments/{payment['PaymentID']}"
    both = xero.post(place, json={"Status": "DELETED", "Amount": 1})
    assert both.status_code == 400
    messages = both.json()["Elements"][0]["ValidationErrors"]
    assert messages == [{"Message": "Only Status accepted for updates."}]
    assert xero.post(place, json={"Status": "DELETED"}).json()["Payments"][0]["Status"] == "DELETED"
    again = read(xero, made)
    assert money(again) == ("AUTHORISED", 110, 0, 0)
    assert "FullyPaidOnDate" not in again
    assert xero.read("Payments")["Payments"][0]["Status"] == "DELETED"


OUTSTANDING = "Payment amount exceeds the amount outstanding on this document"
AUTHORISED = "Payments can only be made against Authorised documents"


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"Amount": 110.01}, [OUTSTANDING]),
        ({"Amount": 0}, ["Payment amount must be greater than zero"]),
        ({"Account": {"Code": "200"}}, ["Account type is invalid for making a payment"]),
        ({"Account": {}}, ["Account could not be found"]),
        ({"Invoice": {"InvoiceID": "none"}}, ["Invoice could not be found"]),
    ],
)
def test_payments_that_are_refused(xero, made, bank, changes, messages):
    sent = {**on(made, Account=bank, Amount=10), **changes}
    assert xero.refused("Payments", sent) == messages


def test_paid_and_draft_documents_take_no_payment(xero, made, bank, invoice):
    xero.made("Payments", on(made, Account=bank, Amount=110))
    assert xero.refused("Payments", on(made, Account=bank, Amount=1)) == [OUTSTANDING, AUTHORISED]
    draft = xero.made("Invoices", {**invoice, "Status": "DRAFT"})
    assert xero.refused("Payments", on(draft, Account=bank, Amount=1)) == [AUTHORISED]


def test_locked_periods_take_no_payment(xero, made, bank):
    xero.change_organisation(PeriodLockDate="2026-11-30")
    assert xero.refused("Payments", on(made, Account=bank, Amount=1)) == [
        "Organisation accounts are locked on the specified payment"
    ]


def test_payments_in_bulk_by_number(xero, made, bank, invoice):
    second = xero.made("Invoices", {**invoice, "InvoiceNumber": "P2"})
    batch = [
        {"Invoice": {"InvoiceNumber": "P1"}, "Account": bank, "Amount": 10},
        {"InvoiceNumber": "P2", "Account": bank, "Amount": 20},
        {"InvoiceNumber": "P3", "Account": bank, "Amount": 20},
    ]
    answer = xero.write("PUT", "Payments", *batch, summarizeErrors="false").json()["Payments"]
    assert [p["HasValidationErrors"] for p in answer] == [False, False, True]
    assert read(xero, second)["AmountPaid"] == 20


def test_a_batch_pays_many_and_its_parts_stay_together(xero, made, bank, invoice):
    second = xero.made("Invoices", invoice)
    parts = [{**on(made), "Amount": 110}, {**on(second), "Amount": 50}]
    batch = xero.made("BatchPayments", {"Account": bank, "Payments": parts, "Date": "2026-11-05"})
    assert (batch["Type"], batch["TotalAmount"]) == ("RECBATCH", 160)
    payments = xero.read("Payments")["Payments"]
    assert {p["BatchPaymentID"] for p in payments} == {batch["BatchPaymentID"]}
    # Inside payments Xero says numbers and flags as text.
    assert payments[0]["BatchPayment"]["TotalAmount"] == "160.00"
    place = f"/api.xro/2.0/Payments/{payments[0]['PaymentID']}"
    assert xero.post(place, json={"Status": "DELETED"}).status_code == 400
    place = f"/api.xro/2.0/BatchPayments/{batch['BatchPaymentID']}"
    assert xero.post(place, json={"Status": "DELETED"}).status_code == 200
    assert money(read(xero, made)) == ("AUTHORISED", 110, 0, 0)
    assert {p["Status"] for p in xero.read("Payments")["Payments"]} == {"DELETED"}


def test_parts_of_a_batch_do_not_exceed_a_document_together(xero, made, bank):
    parts = [{**on(made), "Amount": 60}, {**on(made), "Amount": 60}]
    assert xero.refused("BatchPayments", {"Account": bank, "Payments": parts}) == [OUTSTANDING]
    assert xero.read("Payments")["Payments"] == []


@pytest.fixture
def note(xero, made, line):
    return xero.made("CreditNotes", {
        "Type": "ACCRECCREDIT", "Status": "AUTHORISED", "Date": "2026-11-03",
        "Contact": {"ContactID": made["Contact"]["ContactID"]},
        "LineItems": [{**line, "UnitAmount": 50}],
    })  # fmt: skip


def allocate(xero, note, *allocations, **params):
    return xero.write(
        "PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", *allocations, **params
    )


def test_a_credit_note_is_allocated_and_taken_back(xero, made, note):
    assert (note["CreditNoteNumber"], note["RemainingCredit"]) == ("CN-0001", 55)
    answer = allocate(xero, note, {**on(made), "Amount": 30}).json()["Allocations"][0]
    # The later of both dates, whatever was sent.
    assert answer["Date"] == "/Date(1793664000000+0000)/"
    assert money(read(xero, made)) == ("AUTHORISED", 80, 0, 30)
    shown = xero.read(f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]
    assert (shown["RemainingCredit"], shown["Status"]) == (25, "AUTHORISED")
    allocation = shown["Allocations"][0]["AllocationID"]
    place = f"/api.xro/2.0/CreditNotes/{note['CreditNoteID']}/Allocations/{allocation}"
    undone = xero.delete(place)
    assert (undone.status_code, undone.json()["IsDeleted"]) == (200, True)
    assert money(read(xero, made)) == ("AUTHORISED", 110, 0, 0)
    assert xero.delete(place).status_code == 404


def test_credit_used_up_is_paid(xero, made, note, bank):
    xero.made("Payments", on(made, Account=bank, Amount=55))
    allocate(xero, note, {**on(made), "Amount": 55})
    assert money(read(xero, made)) == ("PAID", 0, 55, 55)
    shown = xero.read("CreditNotes", page=1)["CreditNotes"][0]
    assert (shown["Status"], shown["RemainingCredit"]) == ("PAID", 0)
    assert read(xero, made)["CreditNotes"][0]["AppliedAmount"] == 55


def test_allocations_that_are_refused(xero, made, note, invoice):
    other = xero.made("Invoices", {**invoice, "Contact": {"Name": "Someone else"}})
    for sent, part in (
        ({**on(made), "Amount": 56}, "exceeds the remaining credit"),
        ({**on(other), "Amount": 5}, "same contact"),
        ({**on(made), "Amount": 0}, "greater than zero"),
        ({"Invoice": {"InvoiceID": "x"}, "Amount": 1}, "could not be found"),
    ):
        response = allocate(xero, note, sent)
        assert response.status_code == 400
        assert part in response.json()["Elements"][0]["ValidationErrors"][0]["Message"]
    assert money(read(xero, made))[3] == 0


def test_a_credit_note_is_paid_out(xero, note, bank):
    refund = {"CreditNote": {"CreditNoteID": note["CreditNoteID"]}, "Account": bank, "Amount": 55}
    payment = xero.made("Payments", {**refund, "Date": "2026-11-06"})
    assert payment["PaymentType"] == "ARCREDITPAYMENT"
    # Xero shows the credit note under Invoice, with its own type.
    assert payment["Invoice"]["Type"] == "ACCRECCREDIT"
    shown = xero.read("CreditNotes", page=1)["CreditNotes"][0]
    assert (shown["Status"], shown["RemainingCredit"]) == ("PAID", 0)


def test_credit_notes_have_their_rules(xero, note, line):
    draft = {"Type": "ACCRECCREDIT", "Contact": {"Name": "Acme"}}
    assert xero.made("CreditNotes", draft)["Status"] == "DRAFT"
    discounted = {**draft, "LineItems": [{**line, "DiscountRate": 5}]}
    assert xero.refused("CreditNotes", discounted) == [
        "Discounts are not supported on credit notes"
    ]
    unknown = {"CreditNoteID": "5f0d5bb4-0000-0000-0000-000000000000", "Status": "VOIDED"}
    assert xero.refused("CreditNotes", unknown, "POST") == [
        "An existing Credit Note with the specified CreditNoteID could not be found"
    ]
    taken = {**draft, "CreditNoteNumber": note["CreditNoteNumber"]}
    assert xero.refused("CreditNotes", taken) == ["Credit note # must be unique."]
    voided = {"CreditNoteID": note["CreditNoteID"], "Status": "VOIDED"}
    answer = xero.write("POST", "CreditNotes", voided).json()["CreditNotes"][0]
    assert (answer["Status"], answer["RemainingCredit"]) == ("VOIDED", 0)


@pytest.mark.parametrize("kind", ["Overpayment", "Prepayment"])
def test_money_without_a_document(xero, made, bank, kind):
    contact = {"ContactID": made["Contact"]["ContactID"]}
    line = {"Description": "In advance", "Quantity": 1, "UnitAmount": 20, "AccountCode": "200"}
    if kind == "Overpayment":
        del line["AccountCode"]
    entry = xero.made("BankTransactions", {
        "Type": f"RECEIVE-{kind.upper()}", "Contact": contact, "BankAccount": bank,
        "Date": "2026-11-04", "LineAmountTypes": "NoTax", "LineItems": [line],
    })  # fmt: skip
    credit = xero.read(f"{kind}s/{entry[f'{kind}ID']}")[f"{kind}s"][0]
    assert (credit["RemainingCredit"], credit["Status"]) == (20, "AUTHORISED")
    place = f"{kind}s/{credit[f'{kind}ID']}/Allocations"
    xero.made(place, {**on(made), "Amount": 20})
    assert money(read(xero, made)) == ("AUTHORISED", 90, 0, 20)
    assert read(xero, made)[f"{kind}s"][0]["AppliedAmount"] == 20
    assert xero.read(f"{kind}s", page=1)[f"{kind}s"][0]["Status"] == "PAID"


def test_a_payment_in_another_currency_has_a_bank_amount(xero, bank, invoice):
    sent = {**invoice, "CurrencyCode": "USD", "CurrencyRate": 0.5}
    made = xero.made("Invoices", sent)
    payment = xero.made("Payments", on(made, Account=bank, Amount=110))
    assert (payment["Amount"], payment["BankAmount"]) == (110, 220)


def test_a_purchase_order(xero, made, line):
    contact = {"ContactID": made["Contact"]["ContactID"]}
    item = {**line, "AccountCode": "310", "UnitAmount": 1.2345, "Quantity": 3}
    order = {"Contact": contact, "Status": "AUTHORISED", "LineItems": [item]}
    saved = xero.made("PurchaseOrders", order)
    assert (saved["PurchaseOrderNumber"], saved["Total"]) == ("PO-0001", 4.07)
    taken = {**order, "PurchaseOrderNumber": "PO-0001"}
    assert xero.refused("PurchaseOrders", taken) == ["Order number must be unique"]
    stranger = {**order, "Contact": {"Name": "Nobody yet"}}
    assert "must exist" in xero.refused("PurchaseOrders", stranger)[0]
    sent = {**order, "Status": "DRAFT", "SentToContact": True}
    assert xero.refused("PurchaseOrders", sent) == [
        "Only AUTHORISED and BILLED purchase orders may have SentToContact updated."
    ]
    assert xero.read("PurchaseOrders/PO-0001")["PurchaseOrders"][0]["Status"] == "AUTHORISED"
