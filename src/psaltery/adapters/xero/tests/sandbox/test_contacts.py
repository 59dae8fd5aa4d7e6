"""Contacts: names and numbers that must be unique, archiving, merging, groups."""

import pytest

ARCHIVED = (
    "The contact with the specified contact details has been archived. "
    "The contact must be un-archived before creating new invoices or credit notes."
)


@pytest.fixture
def acme(xero):
    return xero.made("Contacts", {
        "Name": "Acme", "ContactNumber": "PSA-1", "AccountNumber": "A1",
        "EmailAddress": "pay@acme.example",
        "Phones": [{"PhoneType": "MOBILE", "PhoneNumber": "021 1"}],
    })  # fmt: skip


def change(xero, contact, **changes):
    element = {"ContactID": contact["ContactID"], **changes}
    response = xero.write("POST", "Contacts", element)
    assert response.status_code == 200, response.text
    return response.json()["Contacts"][0]


def test_a_contact_is_read_by_id_and_by_number(xero, acme):
    assert xero.read("Contacts/PSA-1")["Contacts"][0]["ContactID"] == acme["ContactID"]
    assert xero.read(f"Contacts/{acme['ContactID']}")["Contacts"][0]["Name"] == "Acme"
    assert len(acme["Phones"]) == 4


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {"Name": " acme  "},
            "The contact name acme is already assigned to another contact. "
            "The contact name must be unique across all active contacts.",
        ),
        (
            {"Name": "B", "ContactNumber": "psa-1"},
            "Another contact has this contact number. The contact number must be unique.",
        ),
        (
            {"Name": "B", "AccountNumber": "A1"},
            "The Account Number already exists. Please enter a different number.",
        ),
        ({"Name": "B", "EmailAddress": "no-at"}, "Email address 'no-at' is invalid."),
        ({"Name": "B" * 256}, "The Name field cannot exceed 255 characters."),
        ({"Name": "<B>"}, "The contact name cannot contain the characters < or >."),
        ({"FirstName": "B"}, "The contact name must be specified."),
        (
            {"Name": "B", "ContactPersons": [{"FirstName": "x"}]},
            "Additional people cannot be added when the primary person has no email address.",
        ),
    ],
)
def test_contacts_that_are_refused(xero, acme, sent, message):
    assert message in xero.refused("Contacts", sent)


def test_post_updates_and_keeps_what_was_not_sent(xero, acme):
    changed = change(xero, acme, FirstName="Ann")
    assert (changed["FirstName"], changed["EmailAddress"]) == ("Ann", "pay@acme.example")
    by_name = xero.write("POST", "Contacts", {"Name": "ACME", "LastName": "Lee"}).json()
    assert by_name["Contacts"][0]["ContactID"] == acme["ContactID"]


def test_an_archived_contact_is_hidden_frees_its_name_and_takes_no_documents(xero, acme, invoice):
    change(xero, acme, ContactStatus="ARCHIVED")
    assert xero.read("Contacts")["Contacts"] == []
    assert len(xero.read("Contacts", includeArchived="true")["Contacts"]) == 1
    for named in ({"ContactID": acme["ContactID"]}, {"ContactNumber": "PSA-1"}):
        assert xero.refused("Invoices", {**invoice, "Contact": named}) == [ARCHIVED]
    namesake = xero.made("Invoices", invoice)["Contact"]
    assert namesake["ContactID"] != acme["ContactID"]
    back = {"ContactID": acme["ContactID"], "ContactStatus": "ACTIVE"}
    assert "already assigned" in xero.refused("Contacts", back, "POST")[0]
    taken = {"Name": "B", "ContactNumber": "PSA-1"}
    assert "Another contact" in xero.refused("Contacts", taken)[0]


def test_a_document_creates_the_contact_of_a_new_name_only_when_it_is_taken(xero, invoice):
    bad = {**invoice, "CurrencyCode": "EUR"}
    xero.refused("Invoices", bad)
    assert xero.read("Contacts")["Contacts"] == []
    made = [xero.made("Invoices", invoice)["Contact"]["ContactID"] for _ in range(2)]
    assert made[0] == made[1]
    assert xero.read("Contacts")["Contacts"][0]["IsCustomer"] is True


def test_what_else_an_invoice_says_of_its_contact_changes_it(xero, acme, invoice):
    named = {"ContactID": acme["ContactID"], "Name": "Acme Holdings"}
    xero.made("Invoices", {**invoice, "Contact": named})
    assert xero.read("Contacts")["Contacts"][0]["Name"] == "Acme Holdings"


def test_a_renamed_contact_is_renamed_on_its_documents(xero, acme, invoice):
    made = xero.made("Invoices", {**invoice, "Contact": {"ContactID": acme["ContactID"]}})
    change(xero, acme, Name="Apex")
    shown = xero.read("Invoices", page=1)["Invoices"][0]
    assert shown["Contact"]["Name"] == "Apex"
    assert shown["UpdatedDateUTC"] == made["UpdatedDateUTC"]


def test_a_bad_stored_email_stops_invoices_with_a_nested_error(xero, acme, invoice):
    changes = {"EmailAddress": "bad mail"}
    xero.control("edit", tenant=xero.tenant, kind="Contacts", id=acme["ContactID"],
                 changes=changes, raw=True)  # fmt: skip
    sent = {**invoice, "Contact": {"ContactID": acme["ContactID"]}}
    element = xero.write("PUT", "Invoices", sent).json()["Elements"][0]
    assert element["Contact"]["ValidationErrors"] == [
        {"Message": "Email address 'bad mail' is invalid."}
    ]


def test_merging_follows_the_winner(xero, acme, invoice):
    winner = xero.made("Contacts", {"Name": "Winner"})
    made = xero.made("Invoices", {**invoice, "Contact": {"ContactID": acme["ContactID"]}})
    ids = {"loser": acme["ContactID"], "winner": winner["ContactID"]}
    xero.control("merge_contact", tenant=xero.tenant, **ids)
    loser = xero.read(f"Contacts/{acme['ContactID']}")["Contacts"][0]
    assert loser["MergedToContactID"] == winner["ContactID"]
    assert loser["ContactStatus"] == "ARCHIVED"
    moved = xero.read(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert moved["Contact"]["ContactID"] == winner["ContactID"]


def test_groups(xero, acme):
    group = xero.made("ContactGroups", {"Name": "VIP"})
    place = f"/api.xro/2.0/ContactGroups/{group['ContactGroupID']}"
    xero.put(f"{place}/Contacts", json={"Contacts": [{"ContactID": acme["ContactID"]}]})
    assert xero.get(place).json()["ContactGroups"][0]["Contacts"][0]["Name"] == "Acme"
    assert xero.read("Contacts", page=1)["Contacts"][0]["ContactGroups"][0]["Name"] == "VIP"
    assert xero.delete(f"{place}/Contacts/{acme['ContactID']}").status_code == 204
    assert xero.get(place).json()["ContactGroups"][0]["Contacts"] == []
    assert xero.refused("ContactGroups", {"Name": "vip"})


def test_terms_of_the_contact_set_the_due_date(xero, acme, invoice):
    terms = {"Sales": {"Day": 20, "Type": "OFFOLLOWINGMONTH"}}
    change(xero, acme, PaymentTerms=terms)
    sent = {**invoice, "Contact": {"ContactID": acme["ContactID"]}, "Date": "2026-11-02"}
    assert xero.made("Invoices", sent)["DueDateString"] == "2026-12-20T00:00:00"


def test_books_of_organisations_are_apart(xero, acme, sandbox):
    other = sandbox.organisations()[1]["tenantId"]
    answer = xero.get("/api.xro/2.0/Contacts", headers={"Xero-Tenant-Id": other}).json()
    assert answer["Contacts"] == []


def test_settings_lists_can_be_written(xero):
    account = {"Code": "299", "Name": "Projects", "Type": "REVENUE", "TaxType": "OUTPUT"}
    assert xero.made("Accounts", account)["Class"] == "REVENUE"
    response = xero.put("/api.xro/2.0/Accounts", json=account)
    assert "Please enter a unique Name." in response.text
    assert xero.write("PUT", "Accounts", account, account).status_code == 400
    category = xero.read("TrackingCategories")["TrackingCategories"][0]
    place = f"TrackingCategories/{category['TrackingCategoryID']}/Options"
    assert xero.made(place, {"Name": "Outer Islands"})["Status"] == "ACTIVE"
    assert xero.write("PUT", place, {"Name": "outer islands"}).status_code == 400
    third = xero.write("PUT", "TrackingCategories", {"Name": "Third"})
    assert "at most 2 active" in third.text
    component = {"Name": "Half", "Rate": 7.5}
    rate = {"Name": "Half", "ReportTaxType": "OUTPUT", "TaxComponents": [component]}
    made = xero.made("TaxRates", rate)
    assert (made["TaxType"], made["EffectiveRate"]) == ("TAX001", 7.5)
    assert xero.made("Currencies", {"Code": "GBP"})["Description"] == "British Pound"
    xero.change_organisation(settings={"multicurrency": False})
    actions = xero.read("Organisation/Actions")["Actions"]
    assert {"Name": "UseMulticurrency", "Status": "NOT-ALLOWED"} in actions
    assert xero.write("PUT", "Currencies", {"Code": "JPY"}).status_code == 400
