"""Every decision, without a database."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from psaltery.kit.text import comparable_name
from psaltery.mapping.contacts import Candidate, reference
from psaltery.mapping.lookup import Entry, Mappings
from psaltery.posting import decide as d
from psaltery.posting.policy import Policy, read_policy, stored_policy
from psaltery.posting.rates import fixed_rates
from psaltery.posting.situation import (
    AccountFact,
    Book,
    Existing,
    Linked,
    OptionFact,
    Situation,
    TaxFact,
)
from psaltery.records.books import Status
from psaltery.records.psa import Company, Document, DocumentKind, DocumentLine

ACCOUNTS = {
    "200": AccountFact("200", "Sales", "REVENUE", True),
    "220": AccountFact("220", "Hardware sales", "REVENUE", True),
    "210": AccountFact("210", "Old sales", "REVENUE", False),
    "610": AccountFact("610", "Receivables", "ASSET", True, "DEBTORS"),
    "860": AccountFact("860", "Rounding", "EXPENSE", True, "ROUNDING"),
}
RATES = {
    "OUTPUT": TaxFact("OUTPUT", "GST on Income", Decimal(10), True, ("REVENUE",)),
    "OLD": TaxFact("OLD", "Old GST", Decimal(10), False),
    "INPUT": TaxFact("INPUT", "GST on Expenses", Decimal(10), True, ("EXPENSE",)),
    "EXEMPTOUTPUT": TaxFact("EXEMPTOUTPUT", "GST Free", Decimal(0), True),
}
OPTIONS = {
    "syd": OptionFact("syd", "Sydney", "office", "Office", True),
    "per": OptionFact("per", "Perth", "office", "Office", False),
    "north": OptionFact("north", "North", "office", "Office", True),
    "hw": OptionFact("hw", "Hardware", "unit", "Unit", True),
}
ROWS = [
    ("account", "any", "", Entry(1, 1, "200")),
    ("tax", "tax_code", "GST", Entry(2, 1, "OUTPUT")),
    ("tax", "exempt", "", Entry(3, 1, "EXEMPTOUTPUT")),
]


def book(rows=(), *, without=(), **changes):
    kept = [row for row in ROWS if row[:3] not in without]
    given = {
        "id": 1,
        "name": "Sydney books",
        "base_currency": "AUD",
        "currencies": frozenset({"AUD", "NZD"}),
        "accounts": ACCOUNTS,
        "tax_rates": RATES,
        "options": OPTIONS,
        "mappings": Mappings([*kept, *rows]),
        "policy": Policy(),
    }
    return Book(**{**given, **changes})


def line(**changes):
    given = {
        "key": "product:1",
        "source": "product",
        "description": "Router",
        "quantity": Decimal(2),
        "unit_price": Decimal("50.00"),
        "amount": Decimal("100.00"),
        "tax_code": "GST",
        "product": "RT-1",
        "category": "Hardware",
    }
    return DocumentLine(**{**given, **changes})


def document(**changes):
    given = {
        "external_id": "4711",
        "kind": DocumentKind.INVOICE,
        "type": "Standard",
        "number": "INV-4711",
        "company_id": "9",
        "company_name": "Alder Legal",
        "currency": "AUD",
        "issued_on": date(2026, 10, 2),
        "due_on": date(2026, 10, 16),
        "location": "Sydney",
        "department": "Services",
        "subtotal": Decimal("100.00"),
        "tax": Decimal("10.00"),
        "total": Decimal("110.00"),
        "lines": (line(),),
    }
    return Document(**{**given, **changes})


COMPANY = Company(
    external_id="9", identifier="Alder", name="Alder Legal Pty Ltd", email="a@alder.au"
)


def candidate(external_id="c-1", name="Alder Legal", **changes):
    return Candidate(external_id=external_id, name=name, name_key=comparable_name(name), **changes)


def situation(doc=None, **changes):
    given = {
        "document_id": 1,
        "document": doc or document(),
        "fingerprint": "new",
        "gone": False,
        "book": book(),
        "company": COMPANY,
        "contact": candidate(),
        "contact_link_id": "c-1",
        "source_url": "https://psa.example/4711",
    }
    return Situation(**{**given, **changes})


def linked(**changes):
    given = {
        "books_id": "b-1",
        "fingerprint": "old",
        "status": Status.AUTHORISED,
        "has_money": False,
        "total": Decimal("90.00"),
        "tax": Decimal("8.18"),
    }
    return Linked(**{**given, **changes})


def codes(decision):
    assert isinstance(decision, d.Hold), decision
    assert all(reason.sentence for reason in decision.reasons)
    return [reason.code for reason in decision.reasons]


# What is posted.


def test_a_new_document_is_created_with_the_psas_total_and_the_reasons_of_each_value():
    decision = d.decide(situation())
    assert isinstance(decision, d.Create)
    draft = decision.draft
    assert (draft.number, draft.contact_id) == ("INV-4711", "c-1")
    assert (draft.subtotal, draft.tax, draft.total) == (Decimal(100), Decimal(10), Decimal(110))
    assert draft.status is Status.AUTHORISED
    assert draft.url == "https://psa.example/4711"
    why = decision.trace["lines"][0]
    assert (why["account"]["target"], why["account"]["key_kind"]) == ("200", "any")
    assert why["account"]["tried"][:2] == [["product", "RT-1"], ["category", "Hardware"]]
    assert why["tax"]["mapping"] == 2


def test_the_most_specific_mapping_wins():
    rows = [
        ("account", "category", "hardware", Entry(5, 3, "220")),
        ("account", "source", "product", Entry(6, 1, "210")),
    ]
    decision = d.decide(situation(book=book(rows)))
    assert decision.draft.lines[0].account_code == "220"


def test_without_a_due_date_the_organisations_days_are_used():
    decision = d.decide(situation(document(due_on=None), book=book(policy=Policy(due_days=30))))
    assert decision.draft.due_on == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("policy", "changes", "status", "why"),
    [
        (Policy(draft_first=True), {"first": True}, Status.DRAFT, "the customer's first invoice"),
        (Policy(draft_first=True), {}, Status.AUTHORISED, "the organisation's setting"),
        (Policy(draft_above=Decimal("109.99")), {}, Status.DRAFT, "more than 109.99"),
        (Policy(draft_above=Decimal(110)), {}, Status.AUTHORISED, "the organisation's setting"),
    ],
)
def test_what_somebody_is_to_look_at_goes_as_a_draft(policy, changes, status, why):
    decision = d.decide(situation(book=book(policy=policy), **changes))
    assert decision.draft.status is status
    assert decision.trace["status"] == f"{status.value}: {why}"
    # An edit does not approve it, though the customer is none the first time any more.
    posted = linked(status=status, posted=decision.draft)
    dearer = document(
        subtotal=Decimal(200), total=Decimal(220), tax=Decimal(20),
        lines=(line(amount=Decimal(200), quantity=Decimal(4)),),
    )  # fmt: skip
    edit = d.decide(situation(dearer, book=book(policy=policy), link=posted))
    assert isinstance(edit, d.Update)
    assert edit.draft.status is status


def test_tracking_by_location():
    rows = [("tracking", "location", "Sydney", Entry(7, 1, "syd"))]
    decision = d.decide(situation(book=book(rows)))
    assert [choice.option for choice in decision.draft.lines[0].tracking] == ["Sydney"]


def test_two_categories_are_tracked_by_what_the_line_is_and_each_once():
    line = msgspec.structs.replace(document().lines[0], category="Network", agreement_type="Care")
    rows = [
        ("tracking", "location", "Sydney", Entry(7, 1, "syd")),
        ("tracking", "category", "Network", Entry(8, 1, "hw")),
        # Of the category that the location has decided: a line takes one option of each.
        ("tracking", "agreement_type", "Care", Entry(9, 1, "north")),
    ]
    decision = d.decide(situation(document(lines=(line,)), book=book(rows)))
    tracked = decision.draft.lines[0].tracking
    assert [(one.category, one.option) for one in tracked] == [
        ("Office", "Sydney"), ("Unit", "Hardware"),
    ]  # fmt: skip


# What is held.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"book": book(without=[("account", "any", "")])}, "account_unmapped"),
        ({"book": book([("account", "product", "RT-1", Entry(9, 1, "210"))])}, "account_archived"),
        ({"book": book([("account", "product", "RT-1", Entry(9, 1, "999"))])}, "account_missing"),
        ({"book": book([("account", "product", "RT-1", Entry(9, 1, "610"))])}, "account_invalid"),
        ({"book": book(without=[("tax", "tax_code", "GST")])}, "tax_unmapped"),
        (
            {
                "book": book(
                    [("tax", "tax_code", "GST", Entry(9, 1, "OLD"))],
                    without=[("tax", "tax_code", "GST")],
                )
            },
            "tax_invalid",
        ),
        (
            {
                "book": book(
                    [("tax", "tax_code", "GST", Entry(9, 1, "INPUT"))],
                    without=[("tax", "tax_code", "GST")],
                )
            },
            "tax_not_for_account",
        ),
        (
            {"book": book([("tracking", "location", "Perth", Entry(9, 1, "per"))])},
            "tracking_unmapped",
        ),
        (
            {"book": book([("tracking", "location", "Sydney", Entry(9, 1, "per"))])},
            "tracking_invalid",
        ),
        ({"book": book(locked_until=date(2026, 10, 2))}, "period_locked"),
        ({"doc": document(currency="EUR")}, "currency_not_subscribed"),
        ({"doc": document(total=Decimal("-5"), tax=Decimal(0))}, "negative_total"),
        ({"doc": document(number="")}, "number_missing"),
        ({"doc": document(lines=())}, "no_lines"),
        ({"doc": document(total=Decimal("110.99"))}, "total_mismatch"),
        ({"doc": document(total=Decimal("111.00"), tax=Decimal("11.00"))}, "tax_mismatch"),
        ({"company": None, "contact": None, "contact_link_id": ""}, "company_unknown"),
        ({"contact": candidate(state="archived")}, "contact_archived"),
    ],
)
def test_what_stands_in_the_way_is_named(changes, expected):
    assert codes(d.decide(situation(**changes))) == [expected]


def test_every_reason_is_told_at_once():
    both = book(without=[("account", "any", ""), ("tax", "tax_code", "GST")])
    assert codes(d.decide(situation(book=both))) == ["account_unmapped", "tax_unmapped"]


def test_the_day_after_the_lock_is_posted():
    decision = d.decide(situation(book=book(locked_until=date(2026, 10, 1))))
    assert isinstance(decision, d.Create)


def test_a_cent_is_adjusted_within_the_cap_and_not_beyond():
    cent = document(total=Decimal("110.01"))
    decision = d.decide(situation(cent))
    assert [x.account_code for x in decision.draft.lines] == ["200", "860"]
    assert decision.draft.lines[1].unit_amount == Decimal("0.01")
    strict = book(policy=Policy(adjustment_cap=Decimal(0)))
    assert codes(d.decide(situation(cent, book=strict))) == ["total_mismatch"]


def test_without_a_rounding_account_the_cent_is_held():
    accounts = {"200": ACCOUNTS["200"]}
    held = d.decide(situation(document(total=Decimal("110.01")), book=book(accounts=accounts)))
    assert codes(held) == ["adjustment_account_missing"]


# What is left alone.


@pytest.mark.parametrize(
    "changes",
    [
        {"gone": True},
        {"doc": document(closed=False)},
        {"doc": document(kind=DocumentKind.BILL)},
        {"doc": document(total=Decimal(0), tax=Decimal(0))},
        {"doc": document(posted=True)},
        {"book": book(policy=Policy(post_from=date(2026, 11, 1)))},
    ],
)
def test_what_is_not_posted_says_why(changes):
    decision = d.decide(situation(**changes))
    assert isinstance(decision, d.Skip)
    assert decision.why


# Contacts.


def without_link(**changes):
    return situation(contact=None, contact_link_id="", **changes)


def test_a_customer_who_is_nowhere_is_created_with_our_reference():
    decision = d.decide(without_link())
    assert isinstance(decision, d.NewContact)
    assert decision.draft.contact_number == reference("9")
    held = d.decide(without_link(book=book(policy=Policy(create_contacts=False))))
    assert codes(held) == ["contact_missing"]


@pytest.mark.parametrize(
    ("candidates", "how"),
    [
        ([candidate("x", "Other", contact_number="PSA-9"), candidate()], "number"),
        ([candidate("x", "ALDER LEGAL  pty. ltd")], "name"),
        ([candidate("x"), candidate("y", state="archived")], "name"),
    ],
)
def test_one_that_is_certain_is_linked(candidates, how):
    decision = d.decide(without_link(candidates=tuple(candidates)))
    assert decision == d.LinkContact("x", candidates[0].name, how)


@pytest.mark.parametrize(
    ("candidates", "code"),
    [
        ([candidate("x"), candidate("y")], "contact_ambiguous"),
        ([candidate("x", "Someone", email="A@alder.au")], "contact_ambiguous"),
        ([candidate("x", state="archived")], "contact_archived"),
        ([candidate("x", linked_to="Another company")], "contact_taken"),
    ],
)
def test_one_that_is_not_certain_is_asked_about(candidates, code):
    held = d.decide(without_link(candidates=tuple(candidates)))
    assert codes(held) == [code]
    assert held.reasons[0].details["candidates"]


def test_the_only_one_with_the_address_is_named_as_one():
    found = (candidate("x", "Someone", email="A@alder.au"),)
    held = d.decide(without_link(candidates=found))
    assert "could be the contact Someone of" in held.reasons[0].sentence


def test_a_merged_contact_is_followed():
    merged = candidate(state="archived", merged_into="c-2")
    decision = d.decide(situation(contact=merged))
    assert decision == d.LinkContact("c-2", "Alder Legal", "merged")


# What is there already.


def existing(**changes):
    given = {
        "books_id": "b-9",
        "number": "INV-4711",
        "contact_id": "c-1",
        "contact_name": "Alder Legal",
        "total": Decimal("110.0000"),
        "tax": Decimal(10),
        "currency": "AUD",
        "status": Status.PAID,
    }
    return Existing(**{**given, **changes})


def test_the_same_document_is_adopted_even_from_before_posting_starts():
    old = book(policy=Policy(post_from=date(2027, 1, 1)))
    assert isinstance(d.decide(situation(existing=existing(), book=old)), d.Adopt)


@pytest.mark.parametrize("change", [{"total": Decimal(111)}, {"contact_id": "c-2"}])
def test_another_document_of_the_number_is_asked_about(change):
    held = d.decide(situation(existing=existing(**change)))
    assert codes(held) == ["number_taken"]
    assert held.reasons[0].details["books_id"] == "b-9"


# Edits after posting.


def test_a_posted_document_that_did_not_change_is_in_step():
    assert isinstance(d.decide(situation(link=linked(fingerprint="new"))), d.Nothing)


@pytest.mark.parametrize("status", [Status.DRAFT, Status.SUBMITTED, Status.AUTHORISED])
def test_an_edit_is_written_through_while_no_money_lies_on_it(status):
    decision = d.decide(situation(link=linked(status=status)))
    assert isinstance(decision, d.Update)
    assert decision.draft.external_id == "b-1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"has_money": True}, "has_payments"),
        ({"status": Status.PAID}, "has_payments"),
        ({"status": Status.VOIDED}, "voided_in_books"),
        ({"status": Status.UNKNOWN}, "status_not_editable"),
    ],
)
def test_an_edit_that_the_books_would_refuse_is_asked_about(change, code):
    assert codes(d.decide(situation(link=linked(**change)))) == [code]


def test_a_change_that_the_books_do_not_show_is_none():
    posted = d.decide(situation()).draft
    doc = document(status="Sent", lines=(line(category="Network"),))
    link = linked(posted=posted, status=Status.PAID, has_money=True)
    decision = d.decide(situation(doc, link=link))
    assert isinstance(decision, d.Nothing)
    assert decision.settles


def test_reopening_waits_and_deleting_removes_unless_money_lies_on_it():
    reopened = d.decide(situation(document(closed=False), link=linked()))
    assert codes(reopened) == ["reopened"]
    assert d.decide(situation(gone=True, link=linked(status=Status.DRAFT))) == d.Void(
        "b-1", True, "It was deleted in the PSA."
    )
    voided = d.decide(situation(gone=True, link=linked()))
    assert isinstance(voided, d.Void)
    assert not voided.delete
    assert codes(d.decide(situation(gone=True, link=linked(has_money=True)))) == ["has_payments"]


def test_policies_survive_storage():
    policy = Policy(status=Status.DRAFT, adjustment_cap=Decimal("0.10"), post_from=date(2026, 7, 1))
    assert read_policy(stored_policy(policy)) == policy
    assert read_policy({}) == Policy()
    with pytest.raises(msgspec.ValidationError):
        read_policy({"due_days": "soon"})


def test_what_was_rounded_is_told():
    draft = d.decide(situation(document(total=Decimal("110.01")))).draft
    assert (draft.rounding, draft.tax_rounding) == (Decimal("0.01"), 0)
    taxed = document(total=Decimal("109.98"), tax=Decimal("9.98"))
    draft = d.decide(situation(taxed)).draft
    assert (draft.rounding, draft.tax_rounding) == (0, Decimal("-0.02"))
    plain = d.decide(situation()).draft
    assert (plain.rounding, plain.tax_rounding) == (0, 0)


def test_a_foreign_document_has_the_fixed_rate_and_keeps_the_one_it_was_posted_at():
    rates = book(policy=Policy(rates="EUR 0.61, NZD 1.0875"))
    foreign = document(currency="NZD")
    assert d.decide(situation(foreign, book=rates)).draft.rate == Decimal("1.0875")
    # Without one it is the books' own of the day; the base currency has none.
    assert d.decide(situation(foreign)).draft.rate is None
    assert d.decide(situation(document(), book=rates)).draft.rate is None
    for posted_at in (Decimal("1.05"), None):
        posted = msgspec.structs.replace(d.decide(situation(foreign)).draft, rate=posted_at)
        link = linked(posted=posted)
        edited = document(currency="NZD", reference="Order 7")
        changed = d.decide(situation(edited, book=rates, link=link))
        assert isinstance(changed, d.Update)
        assert changed.draft.rate == posted_at


@pytest.mark.parametrize("text", ["USD", "USD x", "USD 0", "US 1", "USD 1, usd 2", "USD -1"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match=r"no currency and rate|twice"):
        fixed_rates(text)
