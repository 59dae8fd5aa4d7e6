"""Every answer fits Xero's published specification; dates apart, which it does not describe."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft4Validator

SPEC = Path(__file__).parents[6].parent / "shared/reference/xero-openapi/xero_accounting.yaml"
IDENTITY = SPEC.with_name("xero-identity.yaml")
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason=f"Xero's specification is not there: {SPEC} does not exist"
)


def strict(schema):
    """The specification's schemas with unknown members refused, so that nothing is invented."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


@pytest.fixture(scope="session")
def spec():
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return strict(yaml.load(SPEC.read_text(), Loader=loader))


# Members that Xero's real answers have and its specification leaves out.
ENVELOPE = {"Id", "Status", "ProviderName", "DateTimeUTC"}
# Xero says these as text inside a payment, against its own specification.
TEXT_INSIDE = ("BatchPayment/TotalAmount", "BatchPayment/IsReconciled")
UNSAID = {"DateString", "DueDateString", "ID"}


def problems(spec, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
    found = []
    for error in Draft4Validator(schema).iter_errors(value):
        place = "/".join(str(step) for step in error.absolute_path)
        if error.validator == "additionalProperties":
            known = set(error.schema["properties"]) | UNSAID
            extra = set(error.instance) - (known if place else known | ENVELOPE)
            found += [f"{place}: {member} is not in the specification" for member in extra]
        elif not place.endswith(TEXT_INSIDE):
            found.append(f"{place}: {error.message}")
    return found


LISTS = {
    "Accounts": "Accounts",
    "BankTransactions?page=1": "BankTransactions",
    "BatchPayments": "BatchPayments",
    "BrandingThemes": "BrandingThemes",
    "ContactGroups": "ContactGroups",
    "Contacts": "Contacts",
    "Contacts?page=1&includeArchived=true": "Contacts",
    "Contacts?summaryOnly=true": "Contacts",
    "CreditNotes": "CreditNotes",
    "CreditNotes?page=1": "CreditNotes",
    "Currencies": "Currencies",
    "Invoices": "Invoices",
    "Invoices?page=1": "Invoices",
    "Invoices?summaryOnly=true": "Invoices",
    "Items": "Items",
    "Organisation": "Organisations",
    "Organisation/Actions": "Actions",
    "Overpayments?page=1": "Overpayments",
    "Payments": "Payments",
    "Payments?page=1": "Payments",
    "Prepayments?page=1": "Prepayments",
    "PurchaseOrders?page=1": "PurchaseOrders",
    "TaxRates": "TaxRates",
    "TrackingCategories": "TrackingCategories",
    "Users": "Users",
}


@pytest.fixture
def busy(xero, invoice, line, bank):
    """Books in which something of every kind has happened."""
    made = xero.made("Invoices", invoice)
    contact = {"ContactID": made["Contact"]["ContactID"]}
    due = {"Invoice": {"InvoiceID": made["InvoiceID"]}}
    xero.made("Payments", {**due, "Account": bank, "Amount": 20, "Date": "2026-11-02"})
    note = {"Type": "ACCRECCREDIT", "Status": "AUTHORISED", "Contact": contact}
    note = xero.made("CreditNotes", {**note, "LineItems": [{**line, "UnitAmount": 10}]})
    given = {**due, "Amount": 11, "Date": "2026-11-02"}
    xero.made(f"CreditNotes/{note['CreditNoteID']}/Allocations", given)
    for kind, account in (("OVERPAYMENT", None), ("PREPAYMENT", "200")):
        received = {"Description": kind, "Quantity": 1, "UnitAmount": 30, "AccountCode": account}
        entry = {"Type": f"RECEIVE-{kind}", "Contact": contact, "BankAccount": bank}
        xero.made("BankTransactions", {**entry, "LineItems": [received]})
    second = xero.made("Invoices", invoice)
    parts = [{"Invoice": {"InvoiceID": second["InvoiceID"]}, "Amount": 50}]
    xero.made("BatchPayments", {"Account": bank, "Date": "2026-11-02", "Payments": parts})
    xero.made("Items", {"Code": "FW", "Name": "Firewall", "SalesDetails": {"UnitPrice": 10.5}})
    xero.made("PurchaseOrders", {"Contact": contact, "LineItems": [{**line, "AccountCode": "310"}]})
    xero.made("ContactGroups", {"Name": "VIP"})
    cost = {**line, "AccountCode": "429", "Tracking": [{"Name": "Region", "Option": "North"}]}
    bill = {**invoice, "Type": "ACCPAY", "DueDate": "2026-12-24", "LineItems": [cost]}
    xero.made("Invoices", bill)
    return xero


def test_every_list_fits(busy, spec):
    wrong = {}
    for path, schema in LISTS.items():
        answer = busy.get(f"/api.xro/2.0/{path}").json()
        assert answer[schema], f"{path} is empty, so nothing was checked"
        wrong |= {path: found} if (found := problems(spec, schema, answer)) else {}
    assert wrong == {}


def test_every_single_document_fits(busy, spec):
    wrong = {}
    for path in ("Invoices", "CreditNotes", "Contacts", "Payments", "Overpayments", "Prepayments",
                 "PurchaseOrders", "Items", "BankTransactions", "BatchPayments"):  # fmt: skip
        document = busy.read(path)[path][0]
        identifier = document[f"{path[:-1]}ID"]
        answer = busy.read(f"{path}/{identifier}")
        wrong |= {path: found} if (found := problems(spec, path, answer)) else {}
    assert wrong == {}


def test_write_answers_fit(busy, spec, invoice):
    bad = {**invoice, "LineItems": [{"Description": "x", "Quantity": 1, "AccountCode": "0"}]}
    answer = busy.write("PUT", "Invoices", invoice, bad, summarizeErrors="false").json()
    assert problems(spec, "Invoices", answer) == []
    answer = busy.write("PUT", "Invoices", bad)
    assert answer.status_code == 400
    assert problems(spec, "Error", {**answer.json(), "Elements": []}) == []
    for element in answer.json()["Elements"]:
        assert problems(spec, "Invoice", element) == []
    identifier = busy.read("Invoices")["Invoices"][0]["InvoiceID"]
    place = f"/api.xro/2.0/Invoices/{identifier}/History"
    answer = busy.put(place, json={"HistoryRecords": [{"Details": "Looked at"}]}).json()
    assert answer["HistoryRecords"][0]["Details"] == "Looked at"
    assert problems(spec, "HistoryRecords", answer) == []


def test_connections_fit(busy):
    identity = strict(yaml.safe_load(IDENTITY.read_text()))
    for connection in busy.get("/connections").json():
        assert problems(identity, "Connection", connection) == []
