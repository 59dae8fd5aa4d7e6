"""Pages, filters, order and levels of detail."""

import pytest

from psaltery.adapters.xero.sandbox import Sandbox

from .conftest import APPS, api


@pytest.fixture(scope="module")
def served():
    amounts = {"contacts": 40, "invoices": 230, "payments": 90, "credit_notes": 12}
    sandbox = Sandbox(**amounts, clients=APPS, limits=False)
    server = sandbox.serve()
    yield sandbox, server
    server.stop()


@pytest.fixture
def xero(served):
    with api(*served) as client:
        yield client


def numbers(answer):
    return [invoice["InvoiceNumber"] for invoice in answer["Invoices"]]


def test_the_same_seed_gives_the_same_books(served):
    again = Sandbox(contacts=40, invoices=230, payments=90, credit_notes=12)
    one, two = served[0].books().all("Invoices"), again.books().all("Invoices")
    assert [(i["InvoiceID"], i["Total"]) for i in one] == [
        (i["InvoiceID"], i["Total"]) for i in two
    ]


def test_pages_hold_a_hundred_unless_told(xero):
    first = xero.read("Invoices", page=1)
    assert len(first["Invoices"]) == 100
    assert first["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 3, "itemCount": 230}
    last = xero.read("Invoices", page=3)
    assert len(last["Invoices"]) == 30
    assert xero.read("Invoices", page=4)["Invoices"] == []


@pytest.mark.parametrize(("asked", "given"), [(1000, 1000), (5000, 1000), (0, 1), (7, 7)])
def test_page_sizes_are_clamped(xero, asked, given):
    answer = xero.read("Invoices", page=1, pageSize=asked)
    assert answer["pagination"]["pageSize"] == given
    assert len(answer["Invoices"]) == min(given, 230)


def test_pages_together_are_the_whole_in_order_of_change(xero):
    pages = [xero.read("Invoices", page=n, pageSize=50)["Invoices"] for n in range(1, 6)]
    together = [i for page in pages for i in page]
    assert len({i["InvoiceID"] for i in together}) == 230
    changed = [i["UpdatedDateUTCString"] for i in together]
    assert changed == sorted(changed)


def test_without_a_page_there_are_no_lines(xero):
    plain = xero.read("Invoices")
    assert len(plain["Invoices"]) == 230
    assert all(i["LineItems"] == [] for i in plain["Invoices"])
    assert "pagination" not in plain
    paged = xero.read("Invoices", page=1)["Invoices"]
    assert all(len(i["LineItems"]) >= 2 for i in paged)
    assert any(i["Payments"] for i in paged)


def test_a_summary_drops_the_heavy_parts_and_pages(xero):
    answer = xero.read("Invoices", summaryOnly="true")
    assert answer["pagination"]["itemCount"] == 230
    assert not {"LineItems", "Payments", "HasAttachments"} & set(answer["Invoices"][0])
    contact = xero.read("Contacts", summaryOnly="true")["Contacts"][0]
    assert not {"Addresses", "Balances", "ContactPersons", "IsCustomer"} & set(contact)


def test_contacts_show_more_when_paged(xero):
    assert "SalesTrackingCategories" not in xero.read("Contacts")["Contacts"][0]
    assert "SalesTrackingCategories" in xero.read("Contacts", page=1)["Contacts"][0]


def test_a_single_invoice_has_its_whole_contact(xero):
    invoice = xero.read("Invoices/INV-00007")["Invoices"][0]
    assert invoice["InvoiceNumber"] == "INV-00007"
    assert invoice["Contact"]["EmailAddress"].endswith("@example.com")
    assert xero.read(f"Invoices/{invoice['InvoiceID']}")["Invoices"] == [invoice]
    assert xero.get("/api.xro/2.0/Invoices/none").status_code == 404


def test_prices_have_two_decimals_unless_four_are_asked_for(xero):
    two = xero.get("/api.xro/2.0/Invoices?page=1&pageSize=1").text
    assert '"UnitAmount":245.50,' in two
    assert isinstance(xero.read("Invoices", page=1)["Invoices"][0]["Total"], float)


@pytest.mark.parametrize(
    ("parameter", "value", "count"),
    [
        ("InvoiceNumbers", "INV-00001,INV-00002,NONE", 2),
        ("Statuses", "PAID", 72),
        ("Statuses", "AUTHORISED,PAID", 230),
        ("searchTerm", "inv-0001", 10),
    ],
)
def test_list_parameters(xero, parameter, value, count):
    assert len(xero.read("Invoices", **{parameter: value})["Invoices"]) == count


def test_ids_choose(xero):
    some = xero.read("Invoices", page=1, pageSize=3)["Invoices"]
    ids = ",".join(i["InvoiceID"].upper() for i in some)
    assert len(xero.read("Invoices", IDs=ids)["Invoices"]) == 3
    contact = some[0]["Contact"]["ContactID"]
    found = xero.read("Invoices", ContactIDs=contact)["Invoices"]
    assert {i["Contact"]["ContactID"] for i in found} == {contact}
    assert len(xero.read("Contacts", IDs=contact)["Contacts"]) == 1


def test_repeated_parameters_are_ignored_and_everything_comes(xero):
    response = xero.get("/api.xro/2.0/Invoices?Statuses=PAID&Statuses=DRAFT")
    assert len(response.json()["Invoices"]) == 230


@pytest.mark.parametrize(
    "where",
    [
        'InvoiceNumber=="INV-00003"',
        'InvoiceNumber = "inv-00003"',
        'Type=="ACCREC" AND InvoiceNumber=="INV-00003"',
        'Type=="ACCREC" && (InvoiceNumber=="INV-00003" || InvoiceNumber=="x")',
        'InvoiceNumber=="INV-00003" OR InvoiceNumber=="nothing"',
        'InvoiceNumber != null AND InvoiceNumber.EndsWith("00003")',
        'InvoiceNumber.ToLower()=="inv-00003"',
        'InvoiceNumber.Contains("V-00003")',
        'SentToContact==false and InvoiceNumber=="INV-00003"',
        'AmountDue>=0 AND Total>0.5 AND InvoiceNumber=="INV-00003"',
        '!(InvoiceNumber!="INV-00003")',
    ],
)
def test_where_in_its_forms(xero, where):
    assert numbers(xero.read("Invoices", where=where)) == ["INV-00003"]


def test_where_by_date_and_by_guid(xero):
    everything = xero.read("Invoices", page=1, pageSize=1000)["Invoices"]
    day = everything[100]["DateString"][:10]
    wanted = sorted(i["InvoiceNumber"] for i in everything if i["DateString"][:10] >= day)
    year, month, date = (int(part) for part in day.split("-"))
    for text in (f"Date>=DateTime({year},{month:02},{date:02})", f'Date>=DateTime.Parse("{day}")'):
        assert sorted(numbers(xero.read("Invoices", where=text))) == wanted
    contact = everything[0]["Contact"]["ContactID"]
    text = f'Contact.ContactID==guid("{contact}") AND Status=="AUTHORISED"'
    found = xero.read("Invoices", where=text)["Invoices"]
    assert {i["Contact"]["ContactID"] for i in found} <= {contact}


def test_where_on_payments_and_contacts(xero):
    payment = xero.read("Payments", page=1)["Payments"][0]
    text = f'Invoice.InvoiceId==guid("{payment["Invoice"]["InvoiceID"]}")'
    assert [p["PaymentID"] for p in xero.read("Payments", where=text)["Payments"]] == [
        payment["PaymentID"]
    ]
    assert len(xero.read("Payments", where='PaymentType=="ACCRECPAYMENT"')["Payments"]) == 90
    found = xero.read("Contacts", where='Name=="CAFE zurich accounting"')["Contacts"]
    assert [c["Name"] for c in found] == ["Café Zürich Accounting"]


@pytest.mark.parametrize(
    "where",
    [
        "Nonsense==1", 'Type="ACCREC', "Type==", "Date>=5", 'Type=="A" AND', "(Type==null",
        "DateTime(2026,13,45)>Date", "Type", "Total>'1'", "Date=>DateTime(2026,1,1)",
    ],
)  # fmt: skip
def test_a_bad_where_is_refused(xero, where):
    response = xero.get("/api.xro/2.0/Invoices", params={"where": where})
    assert response.status_code == 400
    assert response.json()["ErrorNumber"] == 16
    assert response.json()["Type"] == "QueryParseException"


def test_order(xero):
    answer = xero.read("Invoices", order="InvoiceNumber DESC", page=1)
    assert numbers(answer) == sorted(numbers(answer), reverse=True)
    answer = xero.read("Invoices", order="Date,InvoiceID DESC", page=1)["Invoices"]
    keys = [i["DateString"] for i in answer]
    assert keys == sorted(keys)
    assert xero.get("/api.xro/2.0/Invoices?order=Nothing").status_code == 400


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%a, %d %b %Y %H:%M:%S GMT"])
def test_modified_since(xero, form):
    from datetime import datetime

    everything = xero.read("Invoices", page=1, pageSize=1000)["Invoices"]
    moment = datetime.fromisoformat(everything[199]["UpdatedDateUTCString"])
    headers = {"If-Modified-Since": moment.strftime(form)}
    answer = xero.get("/api.xro/2.0/Invoices?page=1&pageSize=1000", headers=headers).json()
    assert 31 <= len(answer["Invoices"]) <= 32
    assert answer["Invoices"][0]["InvoiceID"] in {i["InvoiceID"] for i in everything[198:200]}


def test_a_modified_since_that_is_no_date_is_ignored(xero):
    headers = {"If-Modified-Since": "yesterday"}
    assert len(xero.get("/api.xro/2.0/Invoices", headers=headers).json()["Invoices"]) == 230


def test_lists_without_pages_ignore_the_page(xero):
    assert len(xero.read("Accounts", page=2)["Accounts"]) > 20
    assert "pagination" not in xero.read("TaxRates", page=1)


def test_too_much_is_refused(xero):
    xero.change_organisation(settings={"high_volume": 100})
    refused = xero.get("/api.xro/2.0/Invoices")
    assert refused.status_code == 400
    assert refused.json()["ErrorNumber"] == 51
    assert refused.json()["Type"] == "HighVolumeException"
    assert xero.get("/api.xro/2.0/Invoices?page=1").status_code == 200
    optimised = {"page": 1, "where": 'Type=="ACCREC" AND Date>=DateTime(2020,1,1)'}
    assert xero.get("/api.xro/2.0/Invoices", params=optimised).status_code == 200
    slow = {"page": 1, "where": 'CurrencyCode=="AUD"'}
    assert xero.get("/api.xro/2.0/Invoices", params=slow).status_code == 400
    xero.change_organisation(settings={"high_volume": 100_000})


def test_xml_is_what_comes_unless_json_is_asked_for(xero):
    for accept in ("application/xml", "*/*"):
        answer = xero.get("/api.xro/2.0/Invoices/INV-00001", headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith("text/xml")
        assert "<Invoices><Invoice>" in answer.text
        assert "<LineItems><LineItem>" in answer.text
        assert "T00:00:00</Date>" in answer.text
    error = xero.get("/api.xro/2.0/Invoices?where=x", headers={"Accept": "text/xml"})
    assert "<ApiException><ErrorNumber>16</ErrorNumber>" in error.text


def test_resources_without_content_are_empty(xero):
    for name in ("Quotes", "ManualJournals", "BankTransfers", "RepeatingInvoices", "Journals"):
        assert xero.read(name)[name] == []
    assert xero.get("/api.xro/2.0/Nonsense").status_code == 404
    assert xero.put("/api.xro/2.0/Quotes", json={"Quotes": [{}]}).status_code == 501
