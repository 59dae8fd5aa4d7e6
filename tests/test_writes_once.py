"""Every write of ours, in every trouble: carried out once, and not lost.

A row of WRITES is one call of an adapter that changes something outside. Xero keeps no second
payment, credit note or bill of a number away, ConnectWise no second payment: what guards them is
what we book before and look up after.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from psaltery.adapters.errors import Failure
from psaltery.adapters.http import Caller
from psaltery.connections.models import Budget, Feed
from psaltery.connections.opening import open_psa
from psaltery.matching.models import PaymentBack
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.policy import Policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import force
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.orders import order, receive, reprice, take_bills, vendor
from psaltery.testing.rig import Rig
from psaltery.testing.situations import LINE, at, close
from psaltery.testing.tallies import contacts_of_books, invoices_of_books, marked_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
READ = ("contacts", "invoices", "payments", "credit_notes", "companies", "purchase_orders")
PERSON = "robin@example.test"


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
class Begun:
    """`happen` makes the write necessary, `again` is what is done until all is well, `check`
    counts outside."""

    happen: Callable[[], Any]
    check: Callable[[], None]
    again: Callable[[], Any] = lambda: None


@dataclass(frozen=True)
class Write:
    """Where the write goes, and what brings it about."""

    side: str
    method: str
    path: str
    begin: Callable[[Rig], Begun]


# What is outside afterwards.


def in_books(rig: Rig, kind: str, number: str) -> list[Any]:
    """The documents of a number, as the sandbox itself keeps them."""
    member = {"CreditNotes": "CreditNoteNumber"}.get(kind, "InvoiceNumber")
    tenant = rig.organisations[0].external_id
    rows = call(f"{rig.books_url}/_control/documents/{tenant}/{kind}")
    return [row for row in rows if row[member] == number]


def the_one(rig: Rig, kind: str, number: str, total: str, status: str = "AUTHORISED") -> None:
    found = [(Decimal(row["Total"]), row["Status"]) for row in in_books(rig, kind, number)]
    assert found == [(Decimal(total), status)]


def balance(rig: Rig, link: Link) -> Decimal:
    return Decimal(str(rig.psa_invoice(link.document)["balance"]))


def contacts_once(rig: Rig) -> None:
    for contacts in contacts_of_books(rig.books_url).values():
        names = Counter(contact["Name"] for contact in contacts)
        assert {name: count for name, count in names.items() if count > 1} == {}


# What begins the writes.


def posted(rig: Rig, **changes: Any) -> Link:
    """A document that is in step."""
    made = close(rig, **changes)
    rig.sync()
    return Link.objects.select_related("document", "organisation").get(
        document__external_id=str(made["id"])
    )


def policy(rig: Rig, **values: Any) -> None:
    (organisation,) = rig.organisations
    organisation.settings = stored_policy(Policy(**values))
    organisation.save(update_fields=["settings"])


def unmark(rig: Rig, link: Link) -> None:
    """Who edits a posted document in ConnectWise deletes its batch first."""
    link.refresh_from_db()
    open_psa(rig.site).unmark_posted(link.psa_batch_id)


def remove(rig: Rig, collection: str, link: Link, external_id: str) -> None:
    """Somebody deletes it in the PSA, and the document is looked at again."""
    world = rig.psa_sandbox.world
    with world.store.transaction():
        world.remove(collection, world.get(collection, int(external_id)))
    force.refresh(link.document_id)


def contacts_are_made(rig: Rig) -> Begun:
    made: list[Any] = []
    first, second = rig.companies("Sydney")[:2]

    def check() -> None:
        assert len(in_books(rig, "Invoices", made[0]["invoiceNumber"])) == 1
        assert len(in_books(rig, "Invoices", made[1]["invoiceNumber"])) == 1
        contacts_once(rig)

    return Begun(lambda: made.extend(close(rig, company=one) for one in (first, second)), check)


def a_contact_is_made_by_a_person(rig: Rig) -> Begun:
    policy(rig, create_contacts=False)
    made = close(rig)
    rig.sync()

    def press() -> None:
        for card in Card.objects.filter(state="open", code="contact_missing"):
            repair(card, "create_contact", {}, PERSON)

    def check() -> None:
        the_one(rig, "Invoices", made["invoiceNumber"], made["total"])
        contacts_once(rig)

    return Begun(press, check, again=press)


def a_contact_is_restored(rig: Rig) -> Begun:
    link = posted(rig)
    (contact,) = rig.in_books(link.organisation, "Contacts")["Contacts"]
    archived = {"ContactID": contact["ContactID"], "ContactStatus": "ARCHIVED"}
    rig.write_books(link.organisation, "Contacts", archived, "POST")
    rig.sync()
    made = close(rig)
    rig.sync()

    def press() -> None:
        for card in Card.objects.filter(state="open", code="contact_archived"):
            repair(card, "restore_contact", {}, PERSON)

    def check() -> None:
        the_one(rig, "Invoices", made["invoiceNumber"], made["total"])
        contacts_once(rig)

    return Begun(press, check, again=press)


def invoices_are_made(rig: Rig) -> Begun:
    made: list[Any] = [posted(rig)]

    def happen() -> None:
        made[:] = [close(rig) for _ in range(3)]

    def check() -> None:
        for row in made:
            the_one(rig, "Invoices", row["invoiceNumber"], row["total"])
        assert len(invoices_of_books(rig.books_url)) == 4

    return Begun(happen, check)


def an_invoice_is_changed(rig: Rig) -> Begun:
    link = posted(rig)
    unmark(rig, link)
    body = {"id": int(link.document.external_id), "lines": [{**LINE, "price": "300"}]}

    def check() -> None:
        the_one(rig, "Invoices", link.number, "660.00")
        (row,) = in_books(rig, "Invoices", link.number)
        assert len(row["LineItems"]) == 1

    return Begun(lambda: call(f"{rig.psa_url}/_control/edit_invoice", "POST", body), check)


def an_invoice_is_voided(rig: Rig, status: Status = Status.AUTHORISED) -> Begun:
    policy(rig, status=status)
    link = posted(rig)
    ends = "VOIDED" if status is Status.AUTHORISED else "DELETED"
    return Begun(
        lambda: remove(rig, "invoices", link, link.document.external_id),
        lambda: the_one(rig, "Invoices", link.number, str(link.total), ends),
    )


def a_draft_is_deleted(rig: Rig) -> Begun:
    return an_invoice_is_voided(rig, Status.DRAFT)


CREDIT = {"type": "CreditMemo", "lines": [{**LINE, "quantity": "1", "price": "50.00"}]}


def a_credit_note_is_made(rig: Rig) -> Begun:
    made: list[Any] = []
    posted(rig)
    return Begun(
        lambda: made.append(close(rig, **CREDIT)),
        lambda: the_one(rig, "CreditNotes", made[0]["invoiceNumber"], "55.00"),
    )


def a_credit_note_is_voided(rig: Rig) -> Begun:
    link = posted(rig, **CREDIT)
    return Begun(
        lambda: remove(rig, "invoices", link, link.document.external_id),
        lambda: the_one(rig, "CreditNotes", link.number, "55.00", "VOIDED"),
    )


def a_received_order(rig: Rig) -> Any:
    take_bills(rig)
    rig.organisations = [at(rig, "Sydney")]
    (organisation,) = rig.organisations
    organisation.refresh_from_db()
    return order(rig, vendor(rig), (1, "100"))


def bills_are_made(rig: Rig) -> Begun:
    made = a_received_order(rig)
    other = order(rig, vendor(rig, "Tasman Components"), (1, "30"))

    def happen() -> None:
        receive(rig, made, "PS1", "INV-77")
        receive(rig, other, "PS1", "INV-78")

    def check() -> None:
        the_one(rig, "Invoices", "INV-77", "110.00", "DRAFT")
        the_one(rig, "Invoices", "INV-78", "33.00", "DRAFT")
        contacts_once(rig)

    return Begun(happen, check)


def a_posted_bill(rig: Rig) -> tuple[Any, Link]:
    made = a_received_order(rig)
    receive(rig, made, "PS1", "INV-77")
    rig.sync()
    return made, Link.objects.select_related("document").get(books_kind="bill")


def a_bill_is_changed(rig: Rig) -> Begun:
    made, link = a_posted_bill(rig)
    unmark(rig, link)
    return Begun(
        lambda: reprice(rig, made, "120"),
        lambda: the_one(rig, "Invoices", "INV-77", "132.00", "DRAFT"),
    )


def a_bill_is_deleted(rig: Rig) -> Begun:
    made, link = a_posted_bill(rig)
    unmark(rig, link)
    return Begun(
        lambda: remove(rig, "purchaseOrders", link, made["id"]),
        lambda: the_one(rig, "Invoices", "INV-77", "110.00", "DELETED"),
    )


def a_document_is_marked(rig: Rig) -> Begun:
    made: list[Any] = []
    return Begun(
        lambda: made.append(close(rig)),
        lambda: marked_once(rig.psa_url, made),
    )


def payments_of(rig: Rig, link: Link) -> list[Decimal]:
    return [Decimal(str(row["amount"])) for row in rig.psa_payments(link.document)]


def a_payment_comes_back(rig: Rig) -> Begun:
    link = posted(rig)

    def check() -> None:
        assert payments_of(rig, link) == [Decimal("50")]
        assert balance(rig, link) == link.total - 50

    return Begun(lambda: rig.pay(link, Decimal("50"), str(link.document.issued_on)), check)


def a_payment_grows(rig: Rig) -> Begun:
    link = posted(rig)
    day = str(link.document.issued_on)
    rig.pay(link, Decimal("50"), day)
    rig.sync()

    def check() -> None:
        assert payments_of(rig, link) == [Decimal("70")]
        assert balance(rig, link) == link.total - 70

    return Begun(lambda: rig.pay(link, Decimal("20"), day), check)


def a_payment_is_removed(rig: Rig) -> Begun:
    link = posted(rig)
    paid = rig.pay(link, Decimal("50"), str(link.document.issued_on))["Payments"][0]
    rig.sync()

    def check() -> None:
        assert payments_of(rig, link) == []
        assert balance(rig, link) == link.total

    return Begun(lambda: rig.remove_payment(link, paid["PaymentID"]), check)


def allocate(rig: Rig, credit: Link, invoice: Link, amount: str) -> Any:
    one = {"Invoice": {"InvoiceID": invoice.books_id}, "Amount": amount}
    body = {"Allocations": [{**one, "Date": str(invoice.document.issued_on)}]}
    path = f"CreditNotes/{credit.books_id}/Allocations"
    return rig.write_books(credit.organisation, path, body)["Allocations"][0]


def a_credit_is_applied(rig: Rig) -> Begun:
    invoice, credit = posted(rig), posted(rig, **CREDIT)

    def check() -> None:
        assert payments_of(rig, invoice) == [Decimal("55")]
        assert balance(rig, invoice) == invoice.total - 55
        assert balance(rig, credit) == 0

    return Begun(lambda: allocate(rig, credit, invoice, "55"), check)


def an_applied_credit_is_taken_back(rig: Rig) -> Begun:
    invoice, credit = posted(rig), posted(rig, **CREDIT)
    made = allocate(rig, credit, invoice, "30")
    rig.sync()

    def check() -> None:
        assert payments_of(rig, invoice) == []
        assert balance(rig, invoice) == invoice.total

    return Begun(lambda: rig.unallocate(credit, made["AllocationID"]), check)


WRITES = {
    "contacts": Write("books", "PUT", "/Contacts", contacts_are_made),
    "contact by a person": Write("books", "PUT", "/Contacts", a_contact_is_made_by_a_person),
    "contact restored": Write("books", "POST", "/Contacts", a_contact_is_restored),
    "invoices": Write("books", "PUT", "/Invoices", invoices_are_made),
    "invoice changed": Write("books", "POST", "/Invoices", an_invoice_is_changed),
    "invoice voided": Write("books", "POST", "/Invoices", an_invoice_is_voided),
    "draft deleted": Write("books", "POST", "/Invoices", a_draft_is_deleted),
    "credit note": Write("books", "PUT", "/CreditNotes", a_credit_note_is_made),
    "credit note voided": Write("books", "POST", "/CreditNotes", a_credit_note_is_voided),
    "bills": Write("books", "PUT", "/Invoices", bills_are_made),
    "bill changed": Write("books", "POST", "/Invoices", a_bill_is_changed),
    "bill deleted": Write("books", "POST", "/Invoices", a_bill_is_deleted),
    "mark": Write("psa", "POST", "/batches$", a_document_is_marked),
    "payment": Write("psa", "POST", "/payments$", a_payment_comes_back),
    "payment changed": Write("psa", "PATCH", "/payments/", a_payment_grows),
    "payment removed": Write("psa", "DELETE", "/payments/", a_payment_is_removed),
    "credit applied": Write("psa", "POST", "/payments$", a_credit_is_applied),
    "credit taken back": Write("psa", "DELETE", "/payments/", an_applied_credit_is_taken_back),
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
    import re

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
    for model in (Attempt, PaymentBack):
        model.objects.update(booked_at=F("booked_at") - timedelta(hours=1))
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
    doubts = Attempt.objects.filter(state__in=("booked", "uncertain"))
    return [*cards, *postings, *backs, *doubts.values_list("number", flat=True)]


def writes_to(rig: Rig, write: Write) -> list[Any]:
    url = rig.books_url if write.side == "books" else rig.psa_url
    sent = call(f"{url}/_control/requests")["requests"]
    return [one for one in sent if one["method"] == write.method]
