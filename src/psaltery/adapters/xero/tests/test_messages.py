"""Each message that Xero is known to send has a code; the subject is what a repair needs."""

import pytest

from psaltery.adapters.xero.messages import problem, problems_in, warnings_in

NAME_TAKEN = (
    "The contact name Harbour IT is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)
ARCHIVED = (
    "The contact with the specified contact details has been archived. "
    "The contact must be un-archived before creating new invoices or credit notes."
)


@pytest.mark.parametrize(
    ("message", "code", "subject"),
    [
        (NAME_TAKEN, "contact_name_taken", "Harbour IT"),
        (ARCHIVED, "contact_archived", ""),
        ("The contact 'Harbour IT' has been archived.", "contact_archived", "Harbour IT"),
        ("The Account Number already exists. Please enter a different number.",
         "account_number_taken", ""),
        ("Another contact has this contact number. The contact number must be unique.",
         "contact_number_taken", ""),
        ("Email address 'jörg@x.example' is invalid.", "email_invalid", "jörg@x.example"),
        ("Email address must be valid.", "email_invalid", ""),
        ("Additional people cannot be added when the primary person has no email address.",
         "email_invalid", ""),
        ("Account code '260' has been archived or deleted", "account_archived", "260"),
        ("Account code '476' is not a valid code for this document.", "account_invalid", "476"),
        ("Account ID 'ab-12' is not a valid ID for this document.", "account_invalid", "ab-12"),
        ("Account code '476' has been removed as it does not match a recognised account.",
         "account_invalid", "476"),
        ("Account code or ID must be specified", "account_missing", ""),
        ("Account could not be found", "account_missing", ""),
        ("The TaxType code 'INPUT' cannot be used with account code '200'.",
         "tax_not_for_account", "INPUT/200"),
        ("The tax code 'OUTPUT9' is not valid", "tax_invalid", "OUTPUT9"),
        ("Tax code '' is not valid", "tax_missing", ""),
        ("TaxType field is mandatory", "tax_missing", ""),
        ("Tracking option 'West' does not exist in tracking category 'Region'",
         "tracking_invalid", "West"),
        ("The line does not contain the expected number of tracking categories",
         "tracking_invalid", ""),
        ("Item code 'ABC' is not valid", "item_invalid", "ABC"),
        ("The line total 10.01 does not match the expected line total 10.00",
         "line_total_mismatch", "10.01"),
        ("The document total does not equal the sum of the lines.", "total_mismatch", ""),
        ("The document total cannot be negative.", "negative_total", ""),
        ("Invoice # must be unique.", "number_taken", ""),
        ("Credit note # must be unique.", "number_taken", ""),
        ("Order number must be unique", "number_taken", ""),
        ("Invoice not of valid status for modification", "status_not_editable", ""),
        ("Payments can only be made against Authorised documents", "status_not_editable", ""),
        ("Could not find line item(s) with the following id(s): "
         "0d1e0000-0000-4000-8000-000000000001",
         "line_id_unknown", "0d1e0000-0000-4000-8000-000000000001"),
        ("The document date cannot be before the period lock date", "period_locked", ""),
        ("The document date cannot be before the end of year lock date", "period_locked", ""),
        ("Organisation accounts are locked on the specified payment", "payment_locked", ""),
        ("This document cannot be edited as it has a payment or credit note allocated to it.",
         "has_payments", ""),
        ("The payment has been reconciled and cannot be removed", "reconciled", ""),
        ("The invoice has been voided", "voided_in_books", ""),
        ("Organisation is not subscribed to currency EUR", "currency_not_subscribed", "EUR"),
        ("You have reached the limit of invoices you can approve", "plan_limit", ""),
        ("DueDate must be specified", "due_date_missing", ""),
        ("Description must be specified", "field_missing", "Description"),
        ("The contact name must be specified.", "field_missing", "contact name"),
        ("The Contact must contain at least 1 of the following elements to identify the contact: "
         "Name, ContactID, ContactNumber", "field_missing", ""),
        ("The user does not have the correct permissions", "permission_denied", ""),
        ("Payment amount exceeds the amount outstanding on this document",
         "payment_exceeds_due", ""),
        ("The allocation amount exceeds the remaining credit", "payment_exceeds_due", ""),
        ("Account type is invalid for making a payment", "payment_account_invalid", ""),
        ("An existing Credit Note with the specified CreditNoteID could not be found",
         "document_not_found", ""),
        ("The document with the supplied id was not found for this endpoint.",
         "document_not_found", ""),
        ("The description field must not exceed 4000 characters", "text_invalid", ""),
        ("The contact name cannot contain the characters < or >.", "text_invalid", ""),
        ("Idempotency Key: k1 is used with a different request.", "idempotency_conflict", ""),
        ("Payment amount must be greater than zero", "rejected", ""),
        ("Something that Xero never said before", "rejected", ""),
    ],
)  # fmt: skip
def test_message_has_code_and_subject(message: str, code: str, subject: str) -> None:
    found = problem(message)
    assert (found.code, found.subject, found.message) == (code, subject, message)


def test_errors_are_found_wherever_they_sit_and_once() -> None:
    element = {
        "ValidationErrors": [{"Message": "Invoice # must be unique."}],
        "Contact": {"ValidationErrors": [{"Message": "Email address must be valid."}]},
        "LineItems": [
            {"ValidationErrors": []},
            {"ValidationErrors": [{"Description": "Account code '9' is not a valid code"}] * 2},
        ],
    }
    found = [(one.code, one.field) for one in problems_in(element)]
    assert found == [
        ("number_taken", ""),
        ("email_invalid", "Contact"),
        ("account_invalid", "LineItems.1"),
    ]


def test_warnings_are_kept_apart_from_errors() -> None:
    element = {"Warnings": [{"Message": "Rate is odd"}, {"Message": "Rate is odd"}]}
    assert warnings_in(element) == ("Rate is odd",)
    assert problems_in(element) == ()
