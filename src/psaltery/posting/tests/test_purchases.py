"""What is particular about bills, without a database."""

from decimal import Decimal

import pytest

from psaltery.mapping.lookup import Entry
from psaltery.posting import decide as d
from psaltery.posting.policy import Policy
from psaltery.posting.purchases import pick
from psaltery.posting.situation import AccountFact, Existing, Twin
from psaltery.posting.tests.test_decide import (
    ACCOUNTS,
    RATES,
    book,
    codes,
    document,
    line,
    linked,
    situation,
)
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind, Outcome
from psaltery.records.psa import DocumentKind

BILLS = Policy(bills=True, branding_theme_id="theme")
ROWS = [
    ("purchase_account", "any", "", Entry(8, 1, "310")),
    ("purchase_tax", "tax_code", "GST", Entry(9, 1, "INPUT")),
]
COSTS = {**ACCOUNTS, "310": AccountFact("310", "Cost of goods", "EXPENSE", True)}


def bill(policy=BILLS, rows=ROWS, vendor_number="V-77", **changes):
    given = {"kind": DocumentKind.BILL, "number": vendor_number or "PO-1", "reference": "PO-1"}
    made = document(**given, vendor_number=vendor_number, due_on=None)
    known = book(rows, policy=policy, accounts=COSTS, tax_rates=RATES)
    return situation(made, **{"book": known, **changes})


def found(**changes):
    given = {"external_id": "b-1", "number": "V-77", "contact_id": "c-1", "total": Decimal("110")}
    return Outcome(accepted=True, **{**given, "status": Status.DRAFT, **changes})


def test_a_bill_is_a_draft_with_the_vendors_number_and_accounts_of_its_own():
    made = d.decide(bill())
    assert isinstance(made, d.Create)
    draft = made.draft
    assert (draft.kind, draft.number, draft.reference) == (BooksKind.BILL, "V-77", "PO-1")
    assert (draft.status, draft.branding_theme_id) == (Status.DRAFT, "")
    assert (draft.lines[0].account_code, draft.lines[0].tax_type) == ("310", "INPUT")
    assert draft.total == Decimal("110.00")


def test_bills_wait_for_their_policy():
    assert isinstance(d.decide(bill(policy=Policy())), d.Skip)


def test_lists_of_sales_do_not_answer_for_purchases():
    decision = d.decide(bill(rows=()))
    assert codes(decision) == ["account_unmapped", "tax_unmapped"]
    assert {reason.details["list"] for reason in decision.reasons} == {
        "purchase_account",
        "purchase_tax",
    }
    assert all(reason.about.startswith("purchase:") for reason in decision.reasons)


def test_a_revenue_account_is_no_account_for_a_bill():
    rows = [("purchase_account", "any", "", Entry(8, 1, "200")), ROWS[1]]
    decision = d.decide(bill(rows=rows))
    assert "account_invalid" in codes(decision)


def test_what_a_person_must_look_at_first():
    assert codes(d.decide(bill(vendor_number=""))) == ["vendor_number_missing"]
    twin = Twin(name="PO-0", posted=True)
    assert codes(d.decide(bill(twin=twin))) == ["bill_twice"]
    waived = frozenset({"vendor_number_missing", "bill_twice"})
    assert isinstance(d.decide(bill(vendor_number="", waived=waived)), d.Create)
    assert isinstance(d.decide(bill(twin=twin, waived=waived)), d.Create)


def test_a_member_that_the_books_lack_is_never_made_unseen():
    who = {"contact": None, "contact_link_id": ""}
    assert isinstance(d.decide(bill(**who)), d.NewContact)
    expense = document(kind=DocumentKind.EXPENSE, lines=(line(source="expense"),))
    known = book(ROWS, policy=Policy(expenses="bills"), accounts=COSTS)
    assert codes(d.decide(situation(expense, book=known, **who))) == ["contact_missing"]


@pytest.mark.parametrize("change", ["edit", "delete"])
def test_what_was_approved_in_the_books_is_not_touched(change):
    link = linked(status=Status.AUTHORISED)
    case = bill(link=link, gone=change == "delete")
    assert codes(d.decide(case)) == ["status_not_editable"]
    own = Policy(bills=True, bill_status=Status.AUTHORISED)
    assert isinstance(
        d.decide(bill(policy=own, link=link, gone=change == "delete")), d.Update | d.Void
    )


def test_an_edit_never_takes_a_status_back():
    decision = d.decide(bill(link=linked(status=Status.SUBMITTED)))
    assert isinstance(decision, d.Update)
    assert decision.draft.status is Status.SUBMITTED


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], None),
        ([found(url="https://psa.example/4711", total=Decimal(1))], "b-1"),
        ([found(contact_id="c-9", total=Decimal(1))], None),
        ([found(contact_id="c-9")], "b-1"),
        ([found(contact_id="c-9", url="https://psa.example/other")], None),
        ([found(status=Status.VOIDED)], None),
        ([found(total=Decimal(1)), found(external_id="b-2")], "b-2"),
        ([found(), found(external_id="b-2", url="https://psa.example/4711")], "b-2"),
    ],
)
def test_which_bill_of_the_books_it_may_be(there, expected):
    chosen = pick(bill(), there)
    assert (chosen.external_id if chosen else None) == expected


def test_a_person_who_says_that_it_is_another_is_believed_but_for_our_own():
    waived = frozenset({"bill_taken"})
    assert pick(bill(waived=waived), [found()]) is None
    ours = found(url="https://psa.example/4711")
    assert pick(bill(waived=waived), [found(external_id="b-0"), ours]) is ours


def existing(**changes):
    given = {
        "books_id": "b-1", "number": "V-77", "contact_id": "c-1", "contact_name": "Northgate",
        "total": Decimal("110.00"), "tax": Decimal("10.00"), "currency": "AUD",
        "status": Status.DRAFT,
    }  # fmt: skip
    return Existing(**{**given, **changes})


def test_what_agrees_is_adopted_and_what_agrees_partly_is_asked_about():
    assert isinstance(d.decide(bill(existing=existing())), d.Adopt)
    own = existing(url="https://psa.example/4711")
    assert isinstance(d.decide(bill(existing=own)), d.Adopt)
    for other in (
        existing(total=Decimal("99")),
        existing(contact_id="c-9"),
        existing(url="https://psa.example/other"),
    ):
        assert codes(d.decide(bill(existing=other))) == ["bill_taken"]
