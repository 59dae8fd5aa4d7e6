"""Drafts to JSON: exact, clean, and no more than Xero should change."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.budget import NoBudget
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.xero import elements
from psaltery.adapters.xero.books import XeroBooks
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    Draft,
    DraftLine,
    TrackingChoice,
)

BOOKS = XeroBooks(
    Caller(
        "http://127.0.0.1:9",
        credential=FixedCredential(),
        budget=NoBudget(),
        recorder=NoRecorder(),
    ),
    "tenant",
)


def _draft(**changes: Any) -> Draft:
    told: dict[str, Any] = {
        "kind": BooksKind.INVOICE,
        "number": "MSP-1041",
        "contact_id": "77aa",
        "status": Status.AUTHORISED,
        "issued_on": date(2026, 9, 30),
        "due_on": date(2026, 10, 14),
        "currency": "AUD",
        "tax_mode": TaxMode.EXCLUSIVE,
        "reference": "PO 77",
        "url": "https://hub.example/documents/1041",
        "lines": (_line(),),
    }
    return Draft(**(told | changes))


def _line(**changes: Any) -> DraftLine:
    told: dict[str, Any] = {
        "description": "Managed services",
        "quantity": Decimal("2.5000"),
        "unit_amount": Decimal("104.5955"),
        "account_code": "200",
        "tax_type": "OUTPUT",
    }
    return DraftLine(**(told | changes))


def _sent(action: Action, draft: Draft | ContactDraft) -> Any:
    return json.loads(BOOKS.prepare(action, draft).body, parse_float=Decimal)


def test_an_invoice_as_it_is_sent() -> None:
    choice = TrackingChoice("cat", "Region", "opt", "Sydney")
    line = _line(line_amount=Decimal("261.49"), tracking=(choice,))
    assert _sent(Action.CREATE, _draft(lines=(line,), rate=Decimal("1.0951"))) == {
        "Type": "ACCREC",
        "InvoiceNumber": "MSP-1041",
        "Contact": {"ContactID": "77aa"},
        "Date": "2026-09-30",
        "DueDate": "2026-10-14",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "AUD",
        "CurrencyRate": Decimal("1.0951"),
        "Status": "AUTHORISED",
        "Reference": "PO 77",
        "Url": "https://hub.example/documents/1041",
        "LineItems": [
            {
                "Description": "Managed services",
                "Quantity": Decimal("2.5000"),
                "UnitAmount": Decimal("104.5955"),
                "LineAmount": Decimal("261.49"),
                "AccountCode": "200",
                "TaxType": "OUTPUT",
                "Tracking": [
                    {
                        "TrackingCategoryID": "cat",
                        "TrackingOptionID": "opt",
                        "Name": "Region",
                        "Option": "Sydney",
                    }
                ],
            }
        ],
    }


@given(st.decimals(-(10**9), 10**9, allow_nan=False), st.decimals(0, 10, places=12))
def test_amounts_keep_every_digit_and_no_exponent(amount: Decimal, rate: Decimal) -> None:
    text = BOOKS.prepare(Action.CREATE, _draft(lines=(_line(unit_amount=amount),), rate=rate)).body
    assert f'"UnitAmount":{amount:f},' in text
    assert f'"CurrencyRate":{rate:f},' in text
    json.loads(text)


def test_an_update_keeps_the_lines_of_the_books() -> None:
    sent = _sent(
        Action.UPDATE, _draft(external_id="0d1e", lines=(_line(external_id="l1"), _line()))
    )
    assert sent["InvoiceID"] == "0d1e"
    assert [line.get("LineItemID") for line in sent["LineItems"]] == ["l1", None]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.AUTHORISED, "VOIDED"),
        (Status.VOIDED, "VOIDED"),
        (Status.DRAFT, "DELETED"),
        (Status.SUBMITTED, "DELETED"),
        (Status.DELETED, "DELETED"),
    ],
)
def test_to_void_sends_nothing_but_the_status(status: Status, word: str) -> None:
    draft = _draft(external_id="0d1e", status=status)
    assert _sent(Action.VOID, draft) == {"InvoiceID": "0d1e", "Status": word}
    note = _draft(external_id="0d1e", status=status, kind=BooksKind.CREDIT_NOTE)
    assert _sent(Action.VOID, note) == {"CreditNoteID": "0d1e", "Status": word}


def test_bills_and_credit_notes_have_members_of_their_own() -> None:
    bill = _sent(Action.CREATE, _draft(kind=BooksKind.BILL))
    assert bill["Type"] == "ACCPAY"
    assert "Reference" not in bill
    note = _sent(Action.CREATE, _draft(kind=BooksKind.CREDIT_NOTE))
    assert (note["Type"], note["CreditNoteNumber"]) == ("ACCRECCREDIT", "MSP-1041")
    assert not {"DueDate", "Url", "InvoiceNumber"} & note.keys()


def test_text_is_cleaned_and_bounded() -> None:
    long = _line(description="\x00" + "x" * 5000)
    nothing = _line(description=" ", item_code="")
    sent = _sent(
        Action.CREATE,
        _draft(lines=(long, nothing), reference=" two\n lines ", url="https://x/xero"),
    )
    assert len(sent["LineItems"][0]["Description"]) == 4000
    assert sent["LineItems"][1]["Description"] == "-"
    assert sent["Reference"] == "two lines"
    assert "Url" not in sent


def test_zero_is_sent_and_nothing_is_left_out_for_it() -> None:
    sent = _sent(Action.CREATE, _draft(lines=(_line(unit_amount=Decimal(0)),)))
    assert sent["LineItems"][0]["UnitAmount"] == 0


def test_a_contact_as_it_is_sent() -> None:
    draft = ContactDraft(
        name=" Harbour  View <Dental> ",
        contact_number="PSA-250",
        email="accounts@harbourview.example",
        phone="+61 2 555 1212",
        address=("Level 1", "2 Pitt St"),
        city="Sydney",
        postcode="2000",
        country="Australia (AU)",
    )
    assert _sent(Action.CREATE, draft) == {
        "Name": "Harbour View Dental",
        "ContactNumber": "PSA-250",
        "EmailAddress": "accounts@harbourview.example",
        "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "+61 2 555 1212"}],
        "Addresses": [
            {
                "AddressType": "POBOX",
                "AddressLine1": "Level 1",
                "AddressLine2": "2 Pitt St",
                "City": "Sydney",
                "PostalCode": "2000",
                "Country": "Australia AU",
            }
        ],
    }


@pytest.mark.parametrize("email", ["jörg@x.example", "no address", "a@b", ""])
def test_an_address_that_xero_would_refuse_is_left_out(email: str) -> None:
    assert "EmailAddress" not in _sent(Action.CREATE, ContactDraft(name="A", email=email))


def test_contacts_are_restored_and_archived_by_status_alone() -> None:
    restored = ContactDraft(name="A", external_id="c1", restore=True)
    assert _sent(Action.UPDATE, restored) == {"ContactID": "c1", "ContactStatus": "ACTIVE"}
    archived = ContactDraft(name="A", external_id="c1")
    assert _sent(Action.VOID, archived) == {"ContactID": "c1", "ContactStatus": "ARCHIVED"}


def test_every_kind_has_an_endpoint() -> None:
    for kind in [*BooksKind, elements.CONTACT]:
        plural = elements.collection(kind)
        assert elements.ID_MEMBERS[plural].endswith("ID")


def test_web_addresses() -> None:
    assert BOOKS.web_address("invoice", "0d1e", "!aB3") == (
        "https://go.xero.com/app/%21aB3/invoicing/view/0d1e"
    )
    assert BOOKS.web_address("bill", "0d1e", "!aB3").endswith(
        "shortcode=%21aB3&redirecturl=/AccountsPayable/Edit.aspx?InvoiceID=0d1e"
    )
