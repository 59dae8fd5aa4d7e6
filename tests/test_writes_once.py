"""Every write of ours, in every trouble: carried out once, and not lost.

A row of WRITES is one call of an adapter that changes something outside. Xero keeps no second
payment, credit note or bill of a number away, ConnectWise no second payment: what guards them is
what we book before and look up after. What is issued anew in steps is in test_reissues.py.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from psaltery.adapters.errors import Failure
from psaltery.adapters.http import Caller
from psaltery.adapters.xero import elements
from psaltery.connections.models import Budget, Feed
from psaltery.kit.clock import now
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.posting.models import Attempt, Posting
from psaltery.records.drafts import BooksKind
from psaltery.review.models import Card
from psaltery.testing import writes, writes_bought
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at
from psaltery.testing.writes import Begun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
READ = (
    *("contacts", "invoices", "payments", "credit_notes", "settings"),
    *("companies", "purchase_orders", "expenses", "lookups", "overpayments"),
)


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """One organisation, and only what these writes need to be read."""
    rig.organisations = [at(rig, "Sydney")]
    wanted = Feed.objects.filter(organisation__in=[*rig.organisations, rig.site], name__in=READ)
    Feed.objects.exclude(pk__in=wanted).delete()
    Feed.objects.filter(organisation=rig.site, name="contacts").delete()
    rig.sync()
    return rig


@dataclass(frozen=True)
class Write:
    """Where the write goes, and what brings it about."""

    side: str
    method: str
    path: str
    begin: Callable[[Rig], Begun]


WRITES = {
    "contacts": Write("books", "PUT", "/Contacts", writes.contacts_are_made),
    "contact by a person": Write("books", "PUT", "/Contacts", writes.a_contact_is_made_by_a_person),
    "contact restored": Write("books", "POST", "/Contacts", writes.a_contact_is_restored),
    "invoices": Write("books", "PUT", "/Invoices", writes.invoices_are_made),
    "invoice changed": Write("books", "POST", "/Invoices", writes.an_invoice_is_changed),
    "invoice voided": Write("books", "POST", "/Invoices", writes.an_invoice_is_voided),
    "draft deleted": Write("books", "POST", "/Invoices", writes.a_draft_is_deleted),
    "credit note": Write("books", "PUT", "/CreditNotes", writes.a_credit_note_is_made),
    "credit note voided": Write("books", "POST", "/CreditNotes", writes.a_credit_note_is_voided),
    "bills": Write("books", "PUT", "/Invoices", writes_bought.bills_are_made),
    "bill changed": Write("books", "POST", "/Invoices", writes_bought.a_bill_is_changed),
    "bill deleted": Write("books", "POST", "/Invoices", writes_bought.a_bill_is_deleted),
    "mark": Write("psa", "POST", "/batches$", writes.a_document_is_marked),
    "payment": Write("psa", "POST", "/payments$", writes.a_payment_comes_back),
    "payment each": Write("psa", "POST", "/payments$", writes.payments_come_back_each),
    "payment changed": Write("psa", "PATCH", "/payments/", writes.a_payment_grows),
    "payment removed": Write("psa", "DELETE", "/payments/", writes.a_payment_is_removed),
    "credit applied": Write("psa", "POST", "/payments$", writes.a_credit_is_applied),
    "credit taken back": Write(
        "psa", "DELETE", "/payments/", writes.an_applied_credit_is_taken_back
    ),
    "item": Write("books", "PUT", "/Items", writes.an_item_is_made),
    "item changed": Write("books", "POST", "/Items", writes.an_item_is_changed),
    "order": Write("books", "PUT", "/PurchaseOrders", writes_bought.an_order_is_entered),
    "order changed": Write("books", "POST", "/PurchaseOrders", writes_bought.an_order_is_changed),
    "money spent": Write("books", "PUT", "/BankTransactions", writes_bought.money_is_spent),
    "money spent changed": Write(
        "books", "POST", "/BankTransactions", writes_bought.money_spent_is_changed
    ),
    "payment entered": Write("books", "PUT", "/Payments", writes.a_payment_is_entered),
    "money applied": Write("books", "PUT", "/Allocations$", writes.money_is_applied),
    "payment replaced": Write("books", "POST", "/Payments", writes.a_payment_is_replaced),
}

# Trouble.

FAULTS: dict[str, dict[str, Any]] = {
    "answer lost": {"kind": "lost_answer"},
    "a 500 after the write": {"kind": "lost_answer", "status": 500},
}
DEATHS = {"killed before it was sent": False, "killed before it was settled": True}


@contextmanager
def trouble(
    rig: Rig, write: Write, how: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], int]]:
    """Within, the write meets its trouble once; gives how often it has."""
    if how in FAULTS:
        rig.fault(write.side, method=write.method, path=write.path, times=1, **FAULTS[how])
        url = rig.books_url if write.side == "books" else rig.psa_url
        yield lambda: sum(rule["applied"] for rule in call(f"{url}/_control/faults"))
        return
    with monkeypatch.context() as patched:
        died: list[str] = []
        patched.setattr(Caller, "_exchange", dying(write, died, after=DEATHS[how]))
        yield lambda: len(died)


def dying(write: Write, died: list[str], *, after: bool) -> Any:
    """The process ends at the first such request: before it leaves, or after its answer."""
    exchange = Caller._exchange

    def exchanged(self: Caller, sent: Any, proof: Any) -> Any:
        if died or sent.method != write.method or not re.search(write.path, sent.path):
            return exchange(self, sent, proof)
        if after:
            exchange(self, sent, proof)
        died.append(sent.operation)
        raise SystemExit(9)

    return exchanged


def hours_pass() -> None:
    """No server can still be at a request, and no budget waits."""
    for model in (Attempt, PaymentBack, PaymentTaken):
        model.objects.update(booked_at=F("booked_at") - timedelta(hours=1))
    for card in Card.objects.filter(details__has_key="applying"):
        card.details["applying"]["at"] = str(now() - timedelta(hours=1))
        card.save(update_fields=["details"])
    Budget.objects.update(blocked_until=None)


@pytest.mark.parametrize("how", [*FAULTS, *DEATHS])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_carried_out_once(rig: Rig, name: str, how: str, monkeypatch):
    write = WRITES[name]
    begun = write.begin(rig)
    with trouble(rig, write, how, monkeypatch) as met:
        with suppress(SystemExit, Failure):
            begun.happen()
        with suppress(SystemExit):
            rig.sync(quiet=True)
        assert met() == 1
    for _ in range(4):
        hours_pass()
        # What a person presses may be told to wait for what is looked up first.
        with suppress(Failure):
            begun.again()
        rig.sync(quiet=True)
        if not amiss():
            break
    begun.check()
    assert amiss() == []
    # What was looked up is at rest: nothing is written once more.
    quiet = len(writes_to(rig, write))
    hours_pass()
    rig.work()
    assert len(writes_to(rig, write)) == quiet


def amiss() -> list[str]:
    """What is not as it should be in the end."""
    cards = Card.objects.filter(state="open").values_list("sentence", flat=True)
    postings = Posting.objects.exclude(state="in_step").values_list("why", flat=True)
    backs = PaymentBack.objects.exclude(state="in_step").values_list("why", flat=True)
    taken = PaymentTaken.objects.exclude(state__in=("in_step", "removed"))
    doubts = Attempt.objects.filter(state__in=("booked", "uncertain"))
    told = [*cards, *postings, *backs, *taken.values_list("why", flat=True)]
    return [*told, *doubts.values_list("number", flat=True)]


def writes_to(rig: Rig, write: Write) -> list[Any]:
    url = rig.books_url if write.side == "books" else rig.psa_url
    sent = call(f"{url}/_control/requests")["requests"]
    return [one for one in sent if one["method"] == write.method]


def test_everything_that_can_be_made_in_the_books_is_in_the_table():
    kinds = [*BooksKind, elements.CONTACT, elements.PAYMENT, elements.ITEM]
    made = {write.path for write in WRITES.values() if write.method == "PUT"}
    # Money that lies on no invoice is applied under the overpayment that it is.
    assert made == {f"/{elements.collection(kind)}" for kind in kinds} | {"/Allocations$"}
