"""Nothing posted twice, nothing lost: answers dropped at every write, over real HTTP."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from psaltery.connections.models import Budget, Feed
from psaltery.matching import carry_out as matching
from psaltery.matching.models import PaymentBack
from psaltery.posting import leftovers
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    """The look-up does not have to wait for requests under way: there are none here."""
    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    monkeypatch.setattr(matching, "GRACE", timedelta(0))


def close(rig: Rig, count: int = 1, company: int = 1, location: str = "Sydney", **changes):
    lines = [{"kind": "product", "description": "Router", "quantity": "3", "price": "99.95"}]
    given = {"company": company, "location": location, "tax_code": "GST", "lines": lines, **changes}
    return [rig.close_invoice(**given) for _ in range(count)]


def numbers_in_books(rig: Rig) -> Counter[str]:
    found: Counter[str] = Counter()
    for organisation in rig.organisations:
        answer = rig.in_books(organisation, "Invoices", page="1", pageSize="1000")
        found.update(row["InvoiceNumber"] for row in answer["Invoices"])
    return found


def each_once(rig: Rig, invoices) -> None:
    there = numbers_in_books(rig)
    assert {number: there[number] for number in there if there[number] != 1} == {}
    assert set(there) == {row["invoiceNumber"] for row in invoices}
    assert Link.objects.count() == len(invoices)
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}
    assert not Attempt.objects.filter(state__in=("booked", "uncertain")).exists()


@pytest.mark.parametrize("kind", ["lost_answer", "drop", "cut", "html"])
@pytest.mark.parametrize("path", ["/Contacts", "/Invoices"])
def test_a_write_whose_answer_is_lost_is_looked_up_and_not_repeated(rig: Rig, kind, path):
    invoices = close(rig, 4)
    rig.fault("books", method="PUT", path=path, kind=kind, times=1)
    rig.sync(quiet=True)
    for _ in range(3):
        rig.work(quiet=True)
    each_once(rig, invoices)
    contacts = rig.in_books(Link.objects.first().organisation, "Contacts", page="1")["Contacts"]
    assert max(Counter(contact["Name"] for contact in contacts).values()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_asked_again(rig: Rig, status):
    invoices = close(rig, 3)
    rig.fault("books", method="PUT", path="/Invoices", kind="status", status=status, times=2)
    rig.sync(quiet=True)
    for _ in range(4):
        Budget.objects.update(blocked_until=None)  # the minute that a 429 costs goes by
        rig.work(quiet=True)
    each_once(rig, invoices)


def test_several_lost_answers_in_a_row(rig: Rig):
    invoices = close(rig, 5)
    rig.fault("books", method="PUT", path="/Invoices", kind="drop", times=3)
    rig.sync(quiet=True)
    for _ in range(6):
        rig.work(quiet=True)
    each_once(rig, invoices)


def test_an_attempt_of_a_worker_that_died_before_sending_is_sent_once(rig: Rig, monkeypatch):
    """The process ends between commit 1 and the request."""
    from psaltery.adapters.xero.books import XeroBooks

    invoices = close(rig, 3)

    def die(*_):
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(XeroBooks, "send", die)
        with pytest.raises(SystemExit):
            rig.sync()
    assert Attempt.objects.filter(state="booked").exists()
    for _ in range(3):
        rig.work()
    each_once(rig, invoices)


def test_an_attempt_of_a_worker_that_died_after_sending_is_found(rig: Rig, monkeypatch):
    """The process ends between the answer and commit 2."""
    from psaltery.posting import carry_out

    invoices = close(rig, 3)

    def die(*_):
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(carry_out, "_answered", die)
        with pytest.raises(SystemExit):
            rig.sync()
    assert Attempt.objects.filter(state="booked", kind="invoice").count() == 3
    rig.work()
    each_once(rig, invoices)
    assert Attempt.objects.filter(state="found").count() == 3


def test_an_unchanged_document_costs_no_call(rig: Rig):
    close(rig, 3)
    rig.sync()
    from psaltery.testing.rig import call

    before = len(call(f"{rig.books_url}/_control/requests?since=0"))
    rig.work()
    rig.work()
    assert len(call(f"{rig.books_url}/_control/requests?since=0")) == before


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
@pytest.mark.parametrize("step", ["create", "update", "delete"])
def test_a_payment_whose_answer_is_lost_is_not_doubled(rig: Rig, kind, step):
    close(rig)
    rig.sync()
    link = Link.objects.get()
    day = str(link.document.issued_on)
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[step]
    paid = rig.pay(link, Decimal("50"), day)["Payments"][0]
    if step != "create":
        rig.sync()
    rig.fault("psa", method=method, path="/payments", kind=kind, times=1)
    if step == "update":
        rig.pay(link, Decimal("20"), day)
    if step == "delete":
        rig.remove_payment(link, paid["PaymentID"])
    rig.sync(quiet=True)
    for _ in range(3):
        rig.work(quiet=True)
    expected = {"create": Decimal("50"), "update": Decimal("70"), "delete": Decimal("0")}[step]
    invoice = rig.psa_invoice(link.document)
    assert Decimal(invoice["payments"]) == expected
    assert len(rig.psa_payments(link.document)) == (0 if step == "delete" else 1)
    assert PaymentBack.objects.get().state == "in_step"


def test_two_documents_of_one_new_customer_make_one_contact(rig: Rig):
    invoices = close(rig, 6, company=2)
    rig.sync()
    each_once(rig, invoices)
    assert Attempt.objects.filter(kind="contact").count() == 1


def test_a_refused_element_does_not_hold_up_its_batch(rig: Rig):
    """The books take the good ones and refuse one: a card for that one only."""
    invoices = close(rig, 3)
    organisation = next(o for o in rig.organisations if "Sydney" in o.name)
    rig.sync()
    later = close(rig, 3)
    taken = later[1]["invoiceNumber"]
    contact = Link.objects.first()
    theirs = rig.in_books(organisation, f"Invoices/{contact.books_id}")["Invoices"][0]
    line = {"Description": "x", "Quantity": 1, "UnitAmount": 1, "AccountCode": "200"}
    rig.write_books(
        organisation,
        "Invoices",
        {
            "Type": "ACCREC",
            "InvoiceNumber": taken,
            "Contact": {"ContactID": theirs["Contact"]["ContactID"]},
            "LineItems": [line],
        },
    )
    rig.read(Feed.objects.get(organisation=rig.site, name="invoices"))
    rig.work()
    states = Counter(Posting.objects.values_list("state", flat=True))
    assert states == {"in_step": len(invoices) + 2, "held": 1}
    card = Card.objects.get(state="open")
    assert card.code == "number_taken"
    assert taken in card.sentence
