"""What makes each of our writes necessary, and what must be outside when it was carried out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.connections.opening import open_psa
from psaltery.ledger.models import LedgerAccount
from psaltery.mapping.service import set_mapping
from psaltery.posting.models import Link
from psaltery.posting.policy import Policy, read_policy, stored_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import force, organisations
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import LINE, close
from psaltery.testing.tallies import contacts_of_books, invoices_of_books, marked_once

PERSON = "robin@example.test"


@dataclass(frozen=True)
class Begun:
    """`happen` makes the write necessary, `again` is what is done until all is well, `check`
    counts outside."""

    happen: Callable[[], Any]
    check: Callable[[], None]
    again: Callable[[], Any] = lambda: None


# What is outside afterwards.


def in_books(rig: Rig, kind: str, number: str) -> list[Any]:
    """The documents of a number, as the sandbox itself keeps them."""
    member = {"CreditNotes": "CreditNoteNumber"}.get(kind, "InvoiceNumber")
    tenant = rig.organisations[0].external_id
    rows = call(f"{rig.books_url}/_control/documents/{tenant}/{kind}")
    return [row for row in rows if row[member] == number]


def the_one(rig: Rig, kind: str, number: str, total: str, status: str = "AUTHORISED") -> None:
    """Asserts that there is one document of this number, of this total and status."""
    found = [(Decimal(row["Total"]), row["Status"]) for row in in_books(rig, kind, number)]
    assert found == [(Decimal(total), status)]


def balance(rig: Rig, link: Link) -> Decimal:
    """What is open in the PSA."""
    return Decimal(str(rig.psa_invoice(link.document)["balance"]))


def contacts_once(rig: Rig) -> None:
    """Asserts that no contact is there twice."""
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
    """The settings of the office."""
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
    """Two new customers."""
    made: list[Any] = []
    first, second = rig.companies("Sydney")[:2]

    def check() -> None:
        assert len(in_books(rig, "Invoices", made[0]["invoiceNumber"])) == 1
        assert len(in_books(rig, "Invoices", made[1]["invoiceNumber"])) == 1
        contacts_once(rig)

    return Begun(lambda: made.extend(close(rig, company=one) for one in (first, second)), check)


def a_contact_is_made_by_a_person(rig: Rig) -> Begun:
    """By the button of a card."""
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
    """By the button of a card."""
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
    """Three in one batch."""
    made: list[Any] = [posted(rig)]

    def happen() -> None:
        made[:] = [close(rig) for _ in range(3)]

    def check() -> None:
        for row in made:
            the_one(rig, "Invoices", row["invoiceNumber"], row["total"])
        assert len(invoices_of_books(rig.books_url)) == 4

    return Begun(happen, check)


def an_invoice_is_changed(rig: Rig) -> Begun:
    """An edit in the PSA."""
    link = posted(rig)
    unmark(rig, link)
    body = {"id": int(link.document.external_id), "lines": [{**LINE, "price": "300"}]}

    def check() -> None:
        the_one(rig, "Invoices", link.number, "660.00")
        (row,) = in_books(rig, "Invoices", link.number)
        assert len(row["LineItems"]) == 1

    return Begun(lambda: call(f"{rig.psa_url}/_control/edit_invoice", "POST", body), check)


def an_invoice_is_voided(rig: Rig, status: Status = Status.AUTHORISED) -> Begun:
    """It is deleted in the PSA."""
    policy(rig, status=status)
    link = posted(rig)
    ends = "VOIDED" if status is Status.AUTHORISED else "DELETED"
    return Begun(
        lambda: remove(rig, "invoices", link, link.document.external_id),
        lambda: the_one(rig, "Invoices", link.number, str(link.total), ends),
    )


def a_draft_is_deleted(rig: Rig) -> Begun:
    """The same, before it was approved."""
    return an_invoice_is_voided(rig, Status.DRAFT)


CREDIT: dict[str, Any] = {
    "type": "CreditMemo",
    "lines": [{**LINE, "quantity": "1", "price": "50.00"}],
}


def a_credit_note_is_made(rig: Rig) -> Begun:
    """A credit memo is closed."""
    made: list[Any] = []
    posted(rig)
    return Begun(
        lambda: made.append(close(rig, **CREDIT)),
        lambda: the_one(rig, "CreditNotes", made[0]["invoiceNumber"], "55.00"),
    )


def a_credit_note_is_voided(rig: Rig) -> Begun:
    """It is deleted in the PSA."""
    link = posted(rig, **CREDIT)
    return Begun(
        lambda: remove(rig, "invoices", link, link.document.external_id),
        lambda: the_one(rig, "CreditNotes", link.number, "55.00", "VOIDED"),
    )


def a_document_is_marked(rig: Rig) -> Begun:
    """The batch in the PSA."""
    made: list[Any] = []
    return Begun(
        lambda: made.append(close(rig)),
        lambda: marked_once(rig.psa_url, made),
    )


def payments_of(rig: Rig, link: Link) -> list[Decimal]:
    """The payment records of the PSA."""
    return [Decimal(str(row["amount"])) for row in rig.psa_payments(link.document)]


def a_payment_comes_back(rig: Rig) -> Begun:
    """A payment in the books."""
    link = posted(rig)

    def check() -> None:
        assert payments_of(rig, link) == [Decimal("50")]
        assert balance(rig, link) == link.total - 50

    return Begun(lambda: rig.pay(link, Decimal("50"), str(link.document.issued_on)), check)


def payments_come_back_each(rig: Rig) -> Begun:
    """Two payments of one amount and day, where each has a record of its own in the PSA."""
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": True})
    want(rig, payments_each=True)
    link = posted(rig)
    day = str(link.document.issued_on)

    def happen() -> None:
        for _ in range(2):
            rig.pay(link, Decimal("50"), day)

    def check() -> None:
        assert payments_of(rig, link) == [Decimal("50"), Decimal("50")]
        assert balance(rig, link) == link.total - 100

    return Begun(happen, check)


def a_payment_grows(rig: Rig) -> Begun:
    """A second one, which changes the record of the first."""
    link = posted(rig)
    day = str(link.document.issued_on)
    rig.pay(link, Decimal("50"), day)
    rig.sync()

    def check() -> None:
        assert payments_of(rig, link) == [Decimal("70")]
        assert balance(rig, link) == link.total - 70

    return Begun(lambda: rig.pay(link, Decimal("20"), day), check)


def a_payment_is_removed(rig: Rig) -> Begun:
    """The payment in the books is deleted."""
    link = posted(rig)
    paid = rig.pay(link, Decimal("50"), str(link.document.issued_on))["Payments"][0]
    rig.sync()

    def check() -> None:
        assert payments_of(rig, link) == []
        assert balance(rig, link) == link.total

    return Begun(lambda: rig.remove_payment(link, paid["PaymentID"]), check)


def allocate(rig: Rig, credit: Link, invoice: Link, amount: str) -> Any:
    """The bookkeeper allocates a credit note."""
    one = {"Invoice": {"InvoiceID": invoice.books_id}, "Amount": amount}
    body = {"Allocations": [{**one, "Date": str(invoice.document.issued_on)}]}
    path = f"CreditNotes/{credit.books_id}/Allocations"
    return rig.write_books(credit.organisation, path, body)["Allocations"][0]


def a_credit_is_applied(rig: Rig) -> Begun:
    """An allocation in the books."""
    invoice, credit = posted(rig), posted(rig, **CREDIT)

    def check() -> None:
        assert payments_of(rig, invoice) == [Decimal("55")]
        assert balance(rig, invoice) == invoice.total - 55
        assert balance(rig, credit) == 0

    return Begun(lambda: allocate(rig, credit, invoice, "55"), check)


def an_applied_credit_is_taken_back(rig: Rig) -> Begun:
    """The allocation is removed."""
    invoice, credit = posted(rig), posted(rig, **CREDIT)
    made = allocate(rig, credit, invoice, "30")
    rig.sync()

    def check() -> None:
        assert payments_of(rig, invoice) == []
        assert balance(rig, invoice) == invoice.total

    return Begun(lambda: rig.unallocate(credit, made["AllocationID"]), check)


def money_comes_in(
    rig: Rig, link: Link, amount: str, *, kind: str = "OVERPAYMENT", reference: str = ""
) -> Any:
    """The customer of an invoice pays without saying for what; the bookkeeper enters it so."""
    (invoice,) = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"]
    banks = rig.in_books(link.organisation, "Accounts")["Accounts"]
    bank = next(one for one in banks if one["Type"] == "BANK")
    line = {"Description": "On account", "Quantity": 1, "UnitAmount": amount}
    if kind == "PREPAYMENT":
        line |= {"AccountCode": "200"}
    body = {
        "Type": f"RECEIVE-{kind}",
        "Contact": {"ContactID": invoice["Contact"]["ContactID"]},
        "BankAccount": {"AccountID": bank["AccountID"]},
        "Date": str(link.document.issued_on),
        "Reference": reference,
        "LineAmountTypes": "NoTax",
        "LineItems": [line],
    }
    return rig.write_books(link.organisation, "BankTransactions", body)["BankTransactions"][0]


def money_is_applied(rig: Rig) -> Begun:
    """A person applies money of an overpayment, by the exception that asks what it is for."""
    link = posted(rig)
    made = money_comes_in(rig, link, "60")
    rig.sync()

    def press() -> None:
        card = Card.objects.filter(code="payment_unmatched", state="open").first()
        if card is not None:
            repair(card, "apply_money", {"invoice": link.books_id}, PERSON)

    def check() -> None:
        path = f"Overpayments/{made['OverpaymentID']}"
        (row,) = rig.in_books(link.organisation, path)["Overpayments"]
        assert [Decimal(str(one["Amount"])) for one in row["Allocations"]] == [60]
        assert balance(rig, link) == link.total - 60

    return Begun(press, check, press)


def want(rig: Rig, **changes: Any) -> None:
    """Settings of the office, changed as on its page."""
    (organisation,) = rig.organisations
    organisation.refresh_from_db()
    wanted = msgspec.structs.replace(read_policy(organisation.settings), **changes)
    organisations.change(organisation, organisations.Wanted(policy=wanted))


def a_payment_is_entered(rig: Rig) -> Begun:
    """A person enters it in the PSA."""
    link = _where_payments_are_taken(rig)

    def check() -> None:
        assert _paid_in_books(rig, link) == [Decimal("120")]
        assert payments_of(rig, link) == [Decimal("120")]

    return Begun(lambda: _enter(rig, link), check)


def a_payment_is_replaced(rig: Rig) -> Begun:
    """The person corrects its amount: the old one is deleted, a new one entered."""
    link = _where_payments_are_taken(rig)
    made = _enter(rig, link)
    rig.sync()
    change = {"number": link.number, "payment": made["id"], "amount": 90}

    def check() -> None:
        assert _paid_in_books(rig, link) == [Decimal("90")]
        assert payments_of(rig, link) == [Decimal("90")]

    return Begun(lambda: call(f"{rig.psa_url}/_control/change_payment", "POST", change), check)


def _where_payments_are_taken(rig: Rig) -> Link:
    link = posted(rig)
    bank = LedgerAccount.objects.filter(organisation=link.organisation, type="BANK")[0]
    set_mapping(link.organisation, "payment", "any", "", bank.external_id)
    want(rig, psa_payments=True)
    return link


def _enter(rig: Rig, link: Link) -> Any:
    day = f"{link.document.issued_on}T00:00:00Z"
    body = {"number": link.number, "amount": 120, "paymentDate": day}
    return call(f"{rig.psa_url}/_control/enter_payment", "POST", body)


def _paid_in_books(rig: Rig, link: Link) -> list[Decimal]:
    tenant = link.organisation.external_id
    rows = call(f"{rig.books_url}/_control/documents/{tenant}/Payments")
    mine = [row for row in rows if row["Invoice"]["InvoiceID"] == link.books_id]
    return [Decimal(row["Amount"]) for row in mine if row["Status"] != "DELETED"]


def an_item_is_made(rig: Rig) -> Begun:
    """A line sells a product that the books lack."""
    want(rig, items=True)
    posted(rig, lines=[{**LINE, "item": 1}])
    made: list[Any] = []
    before = set(_items(rig))

    def check() -> None:
        assert len(_items(rig)) == len(before) + 1
        the_one(rig, "Invoices", made[0]["invoiceNumber"], made[0]["total"])

    return Begun(lambda: made.append(close(rig, lines=[{**LINE, "item": 2}])), check)


def an_item_is_changed(rig: Rig) -> Begun:
    """The product gets another name in the PSA."""
    want(rig, items=True)
    posted(rig, lines=[{**LINE, "item": 1}])
    before = len(_items(rig))
    body = {"collection": "catalog", "id": 1, "fields": {"description": "Another name"}}

    def check() -> None:
        assert len(_items(rig)) == before
        assert _items(rig).count("Another name") == 1

    return Begun(lambda: call(f"{rig.psa_url}/_control/change", "POST", body), check)


def _items(rig: Rig) -> list[str]:
    tenant = rig.organisations[0].external_id
    return [row["Name"] for row in call(f"{rig.books_url}/_control/documents/{tenant}/Items")]
