"""Every way that money lands on invoices in the books: what the PSA has, and its page shows."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Feed
from psaltery.matching.tieout.service import tie_out
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.signed_in import signed_in_as
from psaltery.testing.situations import at, close
from psaltery.testing.writes import CREDIT, allocate, balance, money_comes_in
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
Links = list[Link]
# What a document's page must say: by the place of the invoice, what is paid and a word beside it.
Paid = Mapping[int, tuple[str, str]]
FIRST, SECOND = "2026-10-02", "2026-10-09"


@pytest.fixture
def links(rig: Rig) -> Links:
    """Two invoices of 482.90 and a credit memo of 55.00, of one customer, in the books."""
    rig.organisations = [at(rig, "Sydney")]
    Feed.objects.exclude(organisation__in=[*rig.organisations, rig.site]).delete()
    made = [close(rig), close(rig), close(rig, **CREDIT)]
    rig.sync()
    rows = Link.objects.select_related("document", "organisation")
    return [rows.get(document__external_id=str(one["id"])) for one in made]


@pytest.fixture
def bea(live_app: Any, page: Page, settings: Any) -> Page:
    person = Person.objects.create_user("bea@example.com", name="Bea", role=Role.BOOKKEEPER)
    return signed_in_as(person, page, live_app.url)


def bank(rig: Rig, link: Link) -> dict[str, str]:
    accounts = rig.in_books(link.organisation, "Accounts")["Accounts"]
    return {"AccountID": next(one["AccountID"] for one in accounts if one["Type"] == "BANK")}


def use(rig: Rig, kind: str, money: str, link: Link, amount: str) -> Any:
    """The bookkeeper applies an overpayment or prepayment."""
    body = {"Allocations": [{"Invoice": {"InvoiceID": link.books_id}, "Amount": amount}]}
    path = f"{kind}s/{money}/Allocations"
    return rig.write_books(link.organisation, path, body)["Allocations"][0]


def reconciled_with_the_bank(rig: Rig, links: Links) -> Paid:
    made = rig.pay(links[0], Decimal(100), FIRST)["Payments"][0]
    rig.sync()
    edit = {"kind": "Payments", "id": made["PaymentID"], "changes": {"IsReconciled": True}}
    call(
        f"{rig.books_url}/_control/edit",
        "POST",
        {"tenant": links[0].organisation.external_id, "raw": True, **edit},
    )
    return {0: ("100.00", "reconciled")}


def part_payments(rig: Rig, links: Links) -> Paid:
    rig.pay(links[0], Decimal(100), FIRST)
    rig.sync()
    rig.pay(links[0], Decimal(50), SECOND)
    return {0: ("150.00", "one payment of 2 parts")}


def one_payment_for_many(rig: Rig, links: Links) -> Paid:
    parts = [
        {"Invoice": {"InvoiceID": link.books_id}, "Amount": amount}
        for link, amount in zip(links, ("482.90", "17.10"), strict=False)
    ]
    body = {"Account": bank(rig, links[0]), "Date": FIRST, "Payments": parts}
    rig.write_books(links[0].organisation, "BatchPayments", body)
    return {0: ("482.90", "paid"), 1: ("17.10", "paid")}


def a_batch_is_removed(rig: Rig, links: Links) -> Paid:
    parts = [{"Invoice": {"InvoiceID": link.books_id}, "Amount": "20"} for link in links[:2]]
    body = {"Account": bank(rig, links[0]), "Date": FIRST, "Payments": parts}
    (made,) = rig.write_books(links[0].organisation, "BatchPayments", body)["BatchPayments"]
    rig.sync()
    assert balance(rig, links[1]) == Decimal("462.90")
    gone = {"BatchPaymentID": made["BatchPaymentID"], "Status": "DELETED"}
    rig.write_books(links[0].organisation, "BatchPayments", gone, "POST")
    return {0: ("0.00", "removed"), 1: ("0.00", "removed")}


def paid_too_much_and_the_rest_used_later(rig: Rig, links: Links) -> Paid:
    rig.pay(links[0], links[0].total, FIRST)
    made = money_comes_in(rig, links[0], "17.10")
    rig.sync()
    assert balance(rig, links[1]) == links[1].total
    use(rig, "Overpayment", made["OverpaymentID"], links[1], "17.10")
    return {0: ("482.90", "paid"), 1: ("17.10", "Overpayment")}


def paid_in_advance_and_used_on_two(rig: Rig, links: Links) -> Paid:
    made = money_comes_in(rig, links[0], "300", kind="PREPAYMENT")
    rig.sync()
    use(rig, "Prepayment", made["PrepaymentID"], links[0], "120")
    rig.sync()
    use(rig, "Prepayment", made["PrepaymentID"], links[1], "180")
    return {0: ("120.00", "Prepayment"), 1: ("180.00", "Prepayment")}


def a_credit_over_two_and_partly(rig: Rig, links: Links) -> Paid:
    allocate(rig, links[2], links[0], "30")
    allocate(rig, links[2], links[1], "20")
    # Applied as the credit memo that it is: no cash.
    return {
        0: ("0.00", "The PSA shows 30.00 AUD credited."),
        1: ("0.00", "Credit note"),
        2: ("0.00", "Applied to"),
    }


def a_payment_is_removed(rig: Rig, links: Links) -> Paid:
    made = rig.pay(links[0], Decimal(100), FIRST)["Payments"][0]
    rig.sync()
    assert balance(rig, links[0]) == links[0].total - 100
    rig.remove_payment(links[0], made["PaymentID"])
    return {0: ("0.00", "removed")}


def a_payment_is_moved(rig: Rig, links: Links) -> Paid:
    a_payment_is_removed(rig, links)
    rig.pay(links[1], Decimal(100), FIRST)
    return {0: ("0.00", "removed"), 1: ("100.00", "on 2 Oct 2026")}


CASES: tuple[Callable[[Rig, Links], Paid], ...] = (
    reconciled_with_the_bank,
    part_payments,
    one_payment_for_many,
    a_batch_is_removed,
    paid_too_much_and_the_rest_used_later,
    paid_in_advance_and_used_on_two,
    a_credit_over_two_and_partly,
    a_payment_is_removed,
    a_payment_is_moved,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_psa_has_what_the_books_have(rig, links, live_app, bea, console, case):
    said = case(rig, links)
    rig.sync()
    for link in links:
        assert abs(balance(rig, link)) == due(rig, link), link.number
    rig.sync()  # what we wrote to the PSA is read from there
    row = tie_out(links[0].organisation, "bea@example.com")
    assert row.state == "ties"
    assert not row.documents.exclude(cause="unapplied").exists()
    assert not Card.objects.filter(state="open", severity="error").exists()
    for place, (amount, word) in said.items():
        bea.goto(f"{live_app.url}/documents/{links[place].document_id}/")
        money = bea.locator("section.card", has=bea.get_by_role("heading", name=HEADING))
        if Decimal(amount):
            expect(money).to_contain_text(f"The PSA shows {amount} AUD paid")
        expect(money).to_contain_text(word)
    assert console == []


HEADING = re.compile("^(Payments|Use of the credit)$")


def due(rig: Rig, link: Link) -> Decimal:
    """What is open in the books."""
    if link.books_kind == "credit_note":
        (note,) = rig.in_books(link.organisation, f"CreditNotes/{link.books_id}")["CreditNotes"]
        return Decimal(str(note["RemainingCredit"]))
    (found,) = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"]
    return Decimal(str(found["AmountDue"]))
