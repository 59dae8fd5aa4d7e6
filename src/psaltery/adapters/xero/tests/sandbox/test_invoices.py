"""Invoices: what is taken, what is refused and with which words, and money to the cent."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psaltery.adapters.sandboxing import decode
from psaltery.adapters.xero.sandbox import Sandbox, lines

HAS_MONEY = "This document cannot be edited as it has a payment or credit note allocated to it."
BAD_STATUS = "Invoice not of valid status for modification"


def pay(xero, bank, invoice, amount, **more):
    named = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Account": bank, "Amount": amount}
    return xero.made("Payments", {**named, **more})


def read(xero, invoice):
    return xero.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]


def change(xero, invoice, **changes):
    element = {"InvoiceID": invoice["InvoiceID"], **changes}
    response = xero.write("POST", "Invoices", element, unitdp="4")
    assert response.status_code == 200, response.text
    return response.json()["Invoices"][0]


def refuse_change(xero, invoice, **changes):
    return xero.refused("Invoices", {"InvoiceID": invoice["InvoiceID"], **changes}, "POST")


def test_an_invoice_as_created(xero, invoice):
    made = xero.made("Invoices", {**invoice, "Date": "2026-11-02", "Reference": "PO 7"})
    assert made["InvoiceNumber"] == "INV-0001"
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (100, 10, 110)
    assert (made["AmountDue"], made["AmountPaid"], made["Status"]) == (110, 0, "AUTHORISED")
    assert made["Date"] == "/Date(1793577600000+0000)/"
    assert made["DateString"] == "2026-11-02T00:00:00"
    assert made["DueDateString"] == "2026-11-16T00:00:00"
    assert (made["CurrencyCode"], made["LineAmountTypes"]) == ("AUD", "Exclusive")
    assert made["LineItems"][0]["TaxType"] == "OUTPUT"
    assert read(xero, made)["Total"] == 110


def test_bare_objects_and_lists_are_taken_too(xero, invoice):
    for body in (invoice, [invoice], {"Invoices": [invoice]}):
        assert xero.put("/api.xro/2.0/Invoices", json=body).status_code == 200


def test_three_lines_of_a_quarter_tax_by_the_line(xero, invoice, line):
    quarter = {**line, "UnitAmount": 0.25}
    made = xero.made("Invoices", {**invoice, "LineItems": [quarter] * 3})
    assert [item["TaxAmount"] for item in made["LineItems"]] == [0.03] * 3
    assert made["Total"] == 0.84


@pytest.mark.parametrize(("unitdp", "price", "amount"), [("4", 0.1235, 12.35), ("2", 0.12, 12)])
def test_the_price_is_rounded_first(xero, invoice, line, unitdp, price, amount):
    cheap = {**line, "UnitAmount": 0.12345, "Quantity": 100}
    made = xero.made("Invoices", {**invoice, "LineItems": [cheap]}, unitdp=unitdp)
    assert made["LineItems"][0]["UnitAmount"] == price
    assert made["SubTotal"] == amount


def test_inclusive_amounts(xero, invoice):
    sent = {**invoice, "LineAmountTypes": "Inclusive"}
    made = xero.made("Invoices", sent)
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (90.91, 9.09, 100)
    without = xero.made("Invoices", {**invoice, "LineAmountTypes": "NoTax"})
    assert (without["TotalTax"], without["Total"]) == (0, 100)


def test_two_of_quantity_price_and_amount_suffice(xero, invoice, line):
    del line["UnitAmount"]
    made = xero.made("Invoices", {**invoice, "LineItems": [{**line, "LineAmount": 33.33}]})
    assert made["LineItems"][0]["UnitAmount"] == 33.33
    del line["Quantity"]
    both = {**line, "UnitAmount": 11.11, "LineAmount": 33.33}
    made = xero.made("Invoices", {**invoice, "LineItems": [both]})
    assert made["LineItems"][0]["Quantity"] == 3


def test_discounts(xero, invoice, line):
    cheaper = {**line, "DiscountRate": 12.5}
    made = xero.made("Invoices", {**invoice, "LineItems": [cheaper]})
    assert (made["SubTotal"], made["TotalDiscount"]) == (87.5, 12.5)
    assert made["IsDiscounted"] is True


def test_a_tax_amount_of_the_sender_is_kept(xero, invoice, line):
    made = xero.made("Invoices", {**invoice, "LineItems": [{**line, "TaxAmount": 9.99}]})
    assert made["Total"] == 109.99


def test_text_lines_carry_no_money(xero, invoice, line):
    made = xero.made("Invoices", {**invoice, "LineItems": [line, {"Description": "Thank you"}]})
    assert made["Total"] == 110
    assert made["LineItems"][1]["LineAmount"] == 0


def test_an_approved_invoice_of_nothing_is_paid(xero, invoice, line):
    made = xero.made("Invoices", {**invoice, "LineItems": [{**line, "UnitAmount": 0}]})
    assert (made["Status"], made["AmountDue"]) == ("PAID", 0)


def test_a_total_that_does_not_fit_is_ignored(xero, invoice):
    assert xero.made("Invoices", {**invoice, "Total": 5, "TotalTax": 1})["Total"] == 110


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.decimals("-50", "500", places=4), st.decimals("0", "9999", places=4)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["Exclusive", "Inclusive", "NoTax"]),
)
def test_totals_are_sums_of_rounded_lines(items, amount_types):
    sent = [
        {"Description": "x", "Quantity": q, "UnitAmount": p, "AccountCode": "200"} for q, p in items
    ]
    rules = lines.Rules(True, True, amount_types, four_decimals=True)
    totals = lines.worked_out(BOOKS, sent, rules)
    whole = sum(item["LineAmount"] for item in totals.lines)
    assert totals.total == whole + (totals.total_tax if amount_types == "Exclusive" else 0)
    for item in totals.lines:
        for name in ("LineAmount", "TaxAmount"):
            assert item[name] == item[name].quantize(Decimal("0.01"))
        if amount_types == "Inclusive":
            net = item["LineAmount"] - item["TaxAmount"]
            assert abs(net * Decimal("1.1") - item["LineAmount"]) <= Decimal("0.0055")


BOOKS = Sandbox().books()


def with_line(invoice, **changes):
    return {**invoice, "LineItems": [{**invoice["LineItems"][0], **changes}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AccountCode": None}, "Account code or ID must be specified"),
        ({"AccountCode": "999"}, "Account code '999' is not a valid code for this document."),
        ({"AccountCode": "310"}, "Account code '310' is not a valid code for this document."),
        ({"AccountCode": "610"}, "Account code '610' is not a valid code for this document."),
        (
            {"TaxType": "INPUT"},
            "The TaxType code 'INPUT' cannot be used with account code '200'.",
        ),
        ({"TaxType": ""}, "The tax code '' is not valid"),
        ({"ItemCode": "NONE"}, "Item code 'NONE' is not valid"),
        (
            {"LineAmount": 100.01},
            "The line total 100.01 does not match the expected line total 100.00",
        ),
        (
            {"Tracking": [{"Name": "Region", "Option": "Moon"}]},
            "Tracking option 'Moon' does not exist in tracking category 'Region'",
        ),
        ({"Description": ""}, "Description must be specified"),
        ({"UnitAmount": -1}, "The document total cannot be negative."),
        ({"UnitAmount": "a lot"}, "UnitAmount is not a valid number"),
    ],
)
def test_lines_that_are_refused(xero, invoice, changes, message):
    assert xero.refused("Invoices", with_line(invoice, **changes)) == [message]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
        ({"Type": "SALE"}, "Invoice type must be specified as ACCREC or ACCPAY"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"CurrencyCode": "EUR"}, "Organisation is not subscribed to currency EUR"),
        ({"Date": "02/11/2026"}, "Date is not a valid date"),
        ({"LineAmountTypes": "Some"}, "LineAmountTypes 'Some' is not valid"),
        (
            {"Contact": {}},
            "The Contact must contain at least 1 of the following elements to identify "
            "the contact: Name, ContactID, ContactNumber",
        ),
    ],
)
def test_documents_that_are_refused(xero, invoice, changes, message):
    assert message in xero.refused("Invoices", {**invoice, **changes})


def test_every_problem_is_told_at_once(xero, invoice):
    xero.made("Invoices", {**invoice, "InvoiceNumber": "A1"})
    bad = {**with_line(invoice, AccountCode="999"), "InvoiceNumber": "a1", "CurrencyCode": "EUR"}
    assert xero.refused("Invoices", bad) == [
        "Invoice # must be unique.",
        "Organisation is not subscribed to currency EUR",
        "Account code '999' is not a valid code for this document.",
    ]


def test_members_of_the_wrong_type_are_refused_not_a_crash(xero, invoice):
    for bad in ({"LineItems": ["x"]}, {"Contact": "Acme"}, {"LineItems": [{"Tracking": 5}]}):
        assert xero.refused("Invoices", {**invoice, **bad})


def test_drafts_need_less(xero):
    draft = {"Type": "ACCREC", "Contact": {"Name": "Acme"}, "LineItems": [
        {"Description": "Later", "Quantity": 1, "UnitAmount": 5}
    ]}  # fmt: skip
    made = xero.made("Invoices", draft)
    assert (made["Status"], made["Total"]) == ("DRAFT", 5)
    assert "Account code or ID must be specified" in refuse_change(xero, made, Status="AUTHORISED")


def test_lock_dates(xero, invoice):
    xero.change_organisation(PeriodLockDate="2026-09-30", EndOfYearLockDate="2026-06-30")
    organisation = xero.read("Organisation")["Organisations"][0]
    assert organisation["PeriodLockDate"] == "/Date(1790726400000+0000)/"
    locked = {**invoice, "Date": "2026-09-30"}
    assert xero.refused("Invoices", locked) == [
        "The document date cannot be before the period lock date"
    ]
    assert xero.refused("Invoices", {**invoice, "Date": "2026-06-01"}) == [
        "The document date cannot be before the end of year lock date"
    ]
    assert xero.made("Invoices", {**locked, "Status": "DRAFT"})["Status"] == "DRAFT"
    made = xero.made("Invoices", {**invoice, "Date": "2026-10-01"})
    xero.change_organisation(PeriodLockDate="2026-10-31")
    assert refuse_change(xero, made, Reference="x") == [
        "The document date cannot be before the period lock date"
    ]
    xero.change_organisation(PeriodLockDate=None, EndOfYearLockDate=None)
    assert "PeriodLockDate" not in xero.read("Organisation")["Organisations"][0]


def test_the_number_stays_taken_even_when_voided(xero, invoice):
    made = xero.made("Invoices", {**invoice, "InvoiceNumber": "A1"})
    change(xero, made, Status="VOIDED")
    again = {**invoice, "InvoiceNumber": "A1"}
    assert xero.refused("Invoices", again) == ["Invoice # must be unique."]
    bill = {**again, "Type": "ACCPAY", "DueDate": "2026-12-01"}
    bill["LineItems"] = [{**invoice["LineItems"][0], "AccountCode": "429"}]
    for _ in range(2):
        assert xero.made("Invoices", bill)["InvoiceNumber"] == "A1"


def test_put_creates_and_post_updates_by_number(xero, invoice):
    made = xero.made("Invoices", {**invoice, "InvoiceNumber": "A1"})
    sent = {**invoice, "InvoiceNumber": "A1", "Reference": "changed"}
    answer = xero.write("POST", "Invoices", sent).json()["Invoices"][0]
    assert (answer["InvoiceID"], answer["Reference"]) == (made["InvoiceID"], "changed")


@pytest.mark.parametrize(
    ("start", "to", "works"),
    [
        ("DRAFT", "SUBMITTED", True),
        ("DRAFT", "DELETED", True),
        ("DRAFT", "VOIDED", False),
        ("SUBMITTED", "AUTHORISED", True),
        ("SUBMITTED", "DELETED", True),
        ("AUTHORISED", "VOIDED", True),
        ("AUTHORISED", "DELETED", False),
        ("AUTHORISED", "DRAFT", False),
    ],
)
def test_status_moves(xero, invoice, start, to, works):
    made = xero.made("Invoices", {**invoice, "Status": start})
    if works:
        assert change(xero, made, Status=to)["Status"] == to
    else:
        assert refuse_change(xero, made, Status=to) == [BAD_STATUS]


def test_ended_invoices_stay_as_they_are(xero, invoice):
    made = xero.made("Invoices", invoice)
    voided = change(xero, made, Status="VOIDED")
    assert voided["AmountDue"] == 0
    assert refuse_change(xero, made, Status="AUTHORISED") == [BAD_STATUS]


def test_money_on_it_forbids_amounts_but_not_words(xero, invoice, bank):
    made = xero.made("Invoices", invoice)
    pay(xero, bank, made, 10)
    assert refuse_change(xero, made, Status="VOIDED") == [BAD_STATUS, HAS_MONEY]
    kept = made["LineItems"][0]
    dearer = {"LineItemID": kept["LineItemID"], "UnitAmount": 200}
    assert refuse_change(xero, made, LineItems=[dearer]) == [BAD_STATUS, HAS_MONEY]
    words = {"LineItemID": kept["LineItemID"], "Description": "Better words"}
    changed = change(xero, made, LineItems=[words], Reference="R", DueDate="2026-12-24")
    assert changed["LineItems"][0]["Description"] == "Better words"
    assert (changed["Total"], changed["AmountDue"]) == (110, 100)


def test_lines_are_kept_by_their_ids(xero, invoice, line):
    made = xero.made("Invoices", {**invoice, "LineItems": [line, {**line, "Description": "B"}]})
    first, second = made["LineItems"]
    sent = [{"LineItemID": second["LineItemID"], "Quantity": 3}, {**line, "Description": "C"}]
    changed = change(xero, made, LineItems=sent)
    assert [item["Description"] for item in changed["LineItems"]] == ["B", "C"]
    assert changed["LineItems"][0]["LineItemID"] == second["LineItemID"]
    assert changed["Total"] == 440
    stranger = [{**line, "LineItemID": first["LineItemID"]}]
    assert refuse_change(xero, made, LineItems=stranger) == [
        f"Could not find line item(s) with the following id(s): {first['LineItemID']}"
    ]


def test_the_plan_limits_approvals(xero, invoice):
    xero.change_organisation(settings={"limit_approved_invoices": 1})
    xero.made("Invoices", invoice)
    assert xero.refused("Invoices", invoice) == [
        "You have reached the limit of invoices you can approve"
    ]
    assert xero.made("Invoices", {**invoice, "Status": "DRAFT"})["Status"] == "DRAFT"


def test_other_currencies(xero, invoice):
    made = xero.made("Invoices", {**invoice, "CurrencyCode": "USD", "CurrencyRate": 0.65})
    assert (made["CurrencyCode"], made["CurrencyRate"]) == ("USD", 0.65)
    xero.change_organisation(currencies=["EUR"])
    assert xero.made("Invoices", {**invoice, "CurrencyCode": "EUR"})["CurrencyCode"] == "EUR"


def test_archived_accounts_options_and_rates(xero, invoice):
    code = {"AccountCode": "250"}
    account = xero.read("Accounts", where='Code=="250"')["Accounts"][0]
    place = f"Accounts/{account['AccountID']}"
    archived = xero.post(f"/api.xro/2.0/{place}", json={"Status": "ARCHIVED"})
    assert archived.json()["Accounts"][0]["Status"] == "ARCHIVED"
    assert xero.refused("Invoices", with_line(invoice, **code)) == [
        "Account code '250' has been archived or deleted"
    ]
    category = xero.read("TrackingCategories")["TrackingCategories"][0]
    option = category["Options"][0]
    part = f"TrackingCategories/{category['TrackingCategoryID']}/Options"
    xero.delete(f"/api.xro/2.0/{part}/{option['TrackingOptionID']}")
    tracked = with_line(invoice, Tracking=[{"Name": "Region", "Option": option["Name"]}])
    assert "does not exist" in xero.refused("Invoices", tracked)[0]


def test_items_supply_defaults(xero, invoice):
    details = {"UnitPrice": 12.3456, "AccountCode": "230"}
    item = {"Code": "FW", "Name": "Firewall", "Description": "A wall", "SalesDetails": details}
    xero.made("Items", item)
    made = xero.made("Invoices", {**invoice, "LineItems": [{"ItemCode": "FW", "Quantity": 2}]})
    line = made["LineItems"][0]
    assert (line["Description"], line["AccountCode"]) == ("A wall", "230")
    assert (line["UnitAmount"], line["LineAmount"]) == (12.3456, 24.69)
    assert xero.refused("Items", item) == ["Price List Item with Code 'FW' already exists"]


def test_summarised_errors_hide_what_was_created(xero, invoice):
    bad = with_line(invoice, AccountCode="999")
    batch = [{**invoice, "InvoiceNumber": "G1"}, bad, {**invoice, "InvoiceNumber": "G2"}]
    response = xero.write("PUT", "Invoices", *batch)
    assert response.status_code == 400
    error = response.json()
    assert (error["ErrorNumber"], error["Type"]) == (10, "ValidationException")
    assert len(error["Elements"]) == 1
    assert error["Elements"][0]["InvoiceID"] == "00000000-0000-0000-0000-000000000000"
    assert {i["InvoiceNumber"] for i in xero.read("Invoices")["Invoices"]} == {"G1", "G2"}


def test_every_element_is_told_when_errors_are_not_summarised(xero, invoice):
    bad = {**with_line(invoice, AccountCode="999"), "InvoiceNumber": "B1"}
    response = xero.write("PUT", "Invoices", invoice, bad, summarizeErrors="false")
    assert response.status_code == 200
    good, wrong = response.json()["Invoices"]
    assert (good["HasErrors"], good["StatusAttributeString"]) == (False, "OK")
    assert (wrong["HasErrors"], wrong["StatusAttributeString"]) == (True, "ERROR")
    assert wrong["InvoiceNumber"] == "B1"


def test_what_is_no_json_is_refused_whole(xero):
    for body in ("{", "[]", "5", '{"Invoices": []}', '{"Invoices": [1]}'):
        response = xero.put("/api.xro/2.0/Invoices", content=body)
        assert response.status_code == 400
        assert response.json()["Type"] == "PostDataInvalidException"


def test_numbers_come_back_exactly(xero, invoice):
    response = xero.write("PUT", "Invoices", with_line(invoice, UnitAmount=0.1), unitdp="4")
    line = decode(response.content)["Invoices"][0]["LineItems"][0]
    assert line["UnitAmount"] == Decimal("0.1000")


def test_xml_in_and_out(xero):
    text = """<Invoices><Invoice><Type>ACCREC</Type><Status>AUTHORISED</Status>
      <Contact><Name>Acme &amp; Sons</Name></Contact>
      <LineItems><LineItem><Description>Work</Description><Quantity>2</Quantity>
      <UnitAmount>50.00</UnitAmount><AccountCode>200</AccountCode></LineItem></LineItems>
      </Invoice></Invoices>"""
    headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
    response = xero.put("/api.xro/2.0/Invoices", content=text, headers=headers)
    assert response.status_code == 200
    assert "<Total>110.00</Total>" in response.text
    assert "<Name>Acme &amp; Sons</Name>" in response.text
    broken = xero.put("/api.xro/2.0/Invoices", content="<Invoices>", headers=headers)
    assert broken.status_code == 400


def test_created_by_my_app(xero, invoice):
    xero.made("Invoices", invoice)
    someone = {**invoice, "InvoiceNumber": "HAND-1"}
    xero.control("edit", tenant=xero.tenant, kind="Invoices", changes=someone)
    assert len(xero.read("Invoices")["Invoices"]) == 2
    mine = xero.read("Invoices", createdByMyApp="true")["Invoices"]
    assert [i["InvoiceNumber"] for i in mine] == ["INV-0001"]


def test_history_email_and_online_address(xero, invoice):
    made = xero.made("Invoices", invoice)
    place = f"/api.xro/2.0/Invoices/{made['InvoiceID']}"
    xero.put(f"{place}/History", json={"HistoryRecords": [{"Details": "Sent by hub"}]})
    assert xero.get(f"{place}/History").json()["HistoryRecords"][0]["Details"] == "Sent by hub"
    assert xero.post(f"{place}/Email", json={}).status_code == 204
    assert read(xero, made)["SentToContact"] is True
    online = xero.get(f"{place}/OnlineInvoice").json()["OnlineInvoices"][0]
    assert online["OnlineInvoiceUrl"].startswith("https://")
    xero.put(f"{place}/Attachments/proof.pdf", content=b"%PDF")
    attached = xero.get(f"{place}/Attachments").json()["Attachments"]
    assert [(a["FileName"], a["ContentLength"]) for a in attached] == [("proof.pdf", 4)]
