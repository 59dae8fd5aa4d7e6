"""Payments that are entered in the PSA are entered in the books: each once, none of ours."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from psaltery.accounts import service
from psaltery.accounts.models import Role
from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.adapters.xero.books import XeroBooks
from psaltery.cli import app
from psaltery.connections.models import Feed, Organisation
from psaltery.inbound.models import ConnectWiseEvent, Outcome
from psaltery.kit.clock import now
from psaltery.ledger.models import LedgerAccount
from psaltery.mapping.models import Mapping
from psaltery.mapping.service import set_mapping
from psaltery.mapping.targets import Targets
from psaltery.matching.models import PaymentBack, PaymentsToRead, PaymentTaken
from psaltery.matching.taken import carry_out
from psaltery.posting.models import Link
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import called, force, organisations, payments, schedule
from psaltery.sync.models import Run
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)
DAY = "2026-10-05"


def take_payments(organisation: Organisation) -> None:
    import msgspec

    account = LedgerAccount.objects.filter(organisation=organisation, type="BANK").first()
    set_mapping(organisation, "payment", "any", "", account.external_id)
    policy = msgspec.structs.replace(read_policy(organisation.settings), psa_payments=True)
    organisations.change(organisation, organisations.Wanted(policy=policy))


@pytest.fixture
def link(rig: Rig) -> Link:
    """An invoice of 220.00 that is in the books, where payments of the PSA are wanted."""
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": True})
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    found = Link.objects.select_related("document", "organisation").get()
    take_payments(found.organisation)
    return found


def enter(rig: Rig, link: Link, amount: str, day: str = DAY, **more):
    """A person enters a payment in the PSA."""
    given = {"amount": int(Decimal(amount)), "paymentDate": f"{day}T00:00:00Z", **more}
    return psa(rig, link, "enter_payment", given)


def psa(rig: Rig, link: Link, action: str, given):
    body = {"number": link.document.number, **given}
    return call(f"{rig.psa_url}/_control/{action}", "POST", body)


def in_books(rig: Rig, link: Link):
    where = f'Invoice.InvoiceID==guid("{link.books_id}")'
    rows = rig.in_books(link.organisation, "Payments", where=where)["Payments"]
    return [row for row in rows if row["Status"] != "DELETED"]


def due(rig: Rig, link: Link) -> Decimal:
    row = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    return Decimal(str(row["AmountDue"]))


def balance(rig: Rig, link: Link) -> Decimal:
    return Decimal(str(rig.psa_invoice(link.document)["balance"]))


def test_a_payment_entered_in_the_psa_is_entered_in_the_books_once(rig: Rig, link: Link):
    enter(rig, link, "120.00")
    for _ in range(3):
        rig.sync()
    (payment,) = in_books(rig, link)
    assert Decimal(str(payment["Amount"])) == 120
    row = PaymentTaken.objects.get()
    assert payment["Reference"] == f"PSA payment {row.psa_payment_id}"
    assert (row.state, row.books_payment_id) == ("in_step", payment["PaymentID"])
    # It does not come back as a payment of the books.
    assert len(rig.psa_payments(link.document)) == 1
    assert balance(rig, link) == due(rig, link) == 100


def test_what_we_write_to_the_psa_is_no_payment_of_the_psa(rig: Rig, link: Link):
    rig.pay(link, Decimal(50), DAY)
    for _ in range(3):
        rig.sync()
    assert not PaymentTaken.objects.exists()
    assert len(in_books(rig, link)) == len(rig.psa_payments(link.document)) == 1
    enter(rig, link, "50.00", "2026-10-09")
    for _ in range(3):
        rig.sync()
    # The same amount again, on both sides: the first is known, so this is a second one.
    assert len(in_books(rig, link)) == 2
    assert balance(rig, link) == due(rig, link) == 120


def test_both_directions_on_one_invoice_agree(rig: Rig, link: Link):
    enter(rig, link, "70.00")
    rig.pay(link, Decimal(60), DAY)
    for _ in range(3):
        rig.sync()
    assert balance(rig, link) == due(rig, link) == 90
    assert len(in_books(rig, link)) == len(rig.psa_payments(link.document)) == 2


def test_a_payment_that_was_entered_on_both_sides_counts_once(rig: Rig, link: Link):
    enter(rig, link, "80.00")
    rig.pay(link, Decimal(80), DAY)
    for _ in range(3):
        rig.sync()
    assert balance(rig, link) == due(rig, link) == 140
    assert PaymentTaken.objects.get().ours is False
    assert len(in_books(rig, link)) == len(rig.psa_payments(link.document)) == 1


@pytest.mark.parametrize(("name", "left"), [("payments_same", 140), ("payments_apart", 60)])
def test_equal_payments_of_different_days_are_asked_about(rig: Rig, link: Link, name, left):
    enter(rig, link, "80.00", "2026-10-05")
    rig.pay(link, Decimal(80), "2026-10-07")
    for _ in range(2):
        rig.sync()
    assert len(in_books(rig, link)) == len(rig.psa_payments(link.document)) == 1
    card = Card.objects.get(state="open")
    assert (card.code, card.topic) == ("payment_taken_twice", "taken")
    repair(card, name, {}, "somebody")
    for _ in range(3):
        rig.sync()
    assert balance(rig, link) == due(rig, link) == left
    assert not Card.objects.filter(state="open").exists()


def test_an_edit_in_the_psa_replaces_the_payment(rig: Rig, link: Link):
    made = enter(rig, link, "120.00")
    rig.sync()
    (first,) = in_books(rig, link)
    other = {"payment": made["id"], "amount": 100, "paymentDate": "2026-10-08T00:00:00Z"}
    psa(rig, link, "change_payment", other)
    for _ in range(2):
        rig.sync()
    (second,) = in_books(rig, link)
    assert second["PaymentID"] != first["PaymentID"]
    assert Decimal(str(second["Amount"])) == 100
    assert balance(rig, link) == due(rig, link) == 120


def test_a_removal_in_the_psa_removes_the_payment(rig: Rig, link: Link):
    made = enter(rig, link, "120.00")
    rig.sync()
    psa(rig, link, "remove_payment", {"payment": made["id"]})
    for _ in range(2):
        rig.sync()
    assert in_books(rig, link) == []
    assert balance(rig, link) == due(rig, link) == 220
    assert PaymentTaken.objects.get().state == "removed"


def test_a_removal_in_the_books_is_told_and_entered_again(rig: Rig, link: Link):
    enter(rig, link, "120.00")
    rig.sync()
    rig.sync()
    rig.remove_payment(link, in_books(rig, link)[0]["PaymentID"])
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "payment_taken_removed"
    repair(card, "enter_again", {}, "somebody")
    rig.work()
    assert len(in_books(rig, link)) == 1
    assert balance(rig, link) == due(rig, link) == 100


def test_too_much_is_held(rig: Rig, link: Link):
    rig.pay(link, Decimal(150), DAY)
    enter(rig, link, "100.00")
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "payment_exceeds_due"
    assert "only 70.00 is open" in card.sentence
    assert len(in_books(rig, link)) == 1


def test_without_an_account_one_card_holds_all_and_mapping_releases_them(rig: Rig, link: Link):
    Mapping.objects.filter(list="payment").delete()
    enter(rig, link, "20.00")
    enter(rig, link, "30.00", type="Payment")
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "payment_account_unmapped"
    assert in_books(rig, link) == []
    account = LedgerAccount.objects.filter(organisation=link.organisation, type="BANK").first()
    repair(card, "map_payment", {"target": account.external_id}, "somebody")
    rig.work()
    assert len(in_books(rig, link)) == 2
    assert balance(rig, link) == due(rig, link) == 170


def test_nothing_happens_where_it_is_not_wanted(rig: Rig, link: Link):
    Organisation.objects.filter(pk=link.organisation_id).update(settings={})
    enter(rig, link, "120.00")
    rig.sync()
    assert in_books(rig, link) == []
    assert not PaymentTaken.objects.exists()


def test_what_was_there_before_is_entered_when_it_is_switched_on(rig: Rig, link: Link):
    Organisation.objects.filter(pk=link.organisation_id).update(settings={})
    enter(rig, link, "120.00")
    rig.sync()
    take_payments(Organisation.objects.get(pk=link.organisation_id))
    rig.work()
    assert due(rig, link) == 100


def test_an_account_that_takes_no_payments_is_refused_when_it_is_saved(rig: Rig, link: Link):
    rows = LedgerAccount.objects.filter(organisation=link.organisation)
    sales = rows.filter(type__in=("REVENUE", "SALES"), takes_payments=False).first()
    with pytest.raises(BadSettings, match="takes no payments"):
        set_mapping(link.organisation, "payment", "payment_method", "Card", sales.external_id)
    with pytest.raises(BadSettings, match="has no account"):
        set_mapping(link.organisation, "payment", "any", "", "nothing")
    bank = rows.filter(type="BANK").first()
    assert Targets(link.organisation, "payment").resolve(bank.name) == bank.external_id


def test_a_site_that_takes_one_record_an_invoice_says_so(rig: Rig, link: Link):
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": False})
    enter(rig, link, "120.00")
    rig.pay(link, Decimal(50), DAY)
    for _ in range(2):
        rig.sync()
    assert Card.objects.get(state="open").code == "payment_refused"
    assert due(rig, link) == 50
    assert PaymentTaken.objects.get().state == "in_step"


# Once, whatever gets lost.


@pytest.fixture
def later(monkeypatch):
    """Minutes go by: no server can still be at a request."""
    return lambda: monkeypatch.setattr(carry_out, "GRACE", timedelta(0))


@pytest.mark.parametrize("kind", ["lost_answer", "drop", "cut", "html"])
def test_a_payment_whose_answer_is_lost_is_entered_once(rig: Rig, link: Link, later, kind):
    enter(rig, link, "120.00")
    rig.fault("books", method="PUT", path="/Payments", kind=kind, times=1)
    rig.sync(quiet=True)
    arrived = len(in_books(rig, link))
    assert PaymentTaken.objects.get().state == "uncertain"
    rig.sync(quiet=True)
    # What arrived is found at once; what did not is not sent again before it is sure.
    assert len(in_books(rig, link)) == arrived
    assert PaymentTaken.objects.get().state == ("in_step" if arrived else "uncertain")
    later()
    for _ in range(3):
        rig.sync(quiet=True)
    assert len(in_books(rig, link)) == 1
    assert PaymentTaken.objects.get().state == "in_step"
    assert len(rig.psa_payments(link.document)) == 1
    assert balance(rig, link) == due(rig, link) == 100


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
def test_a_removal_whose_answer_is_lost_ends_well(rig: Rig, link: Link, later, kind):
    made = enter(rig, link, "120.00")
    rig.sync()
    psa(rig, link, "change_payment", {"payment": made["id"], "amount": 90})
    rig.fault("books", method="POST", path="/Payments", kind=kind, times=1)
    rig.sync(quiet=True)
    later()
    for _ in range(3):
        rig.sync(quiet=True)
    (payment,) = in_books(rig, link)
    assert Decimal(str(payment["Amount"])) == 90
    assert balance(rig, link) == due(rig, link) == 130


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_enters_it_once(rig: Rig, link: Link, later, monkeypatch, when):
    enter(rig, link, "120.00")
    send = XeroBooks.send

    def dies(self, elements, key):
        if elements[0].kind == "payment":
            if when == "after":
                send(self, elements, key)
            raise SystemExit(9)
        return send(self, elements, key)

    with monkeypatch.context() as patched:
        patched.setattr(XeroBooks, "send", dies)
        with pytest.raises(SystemExit):
            rig.sync()
    assert PaymentTaken.objects.get().state == "posting"
    later()
    for _ in range(3):
        rig.sync()
    assert len(in_books(rig, link)) == 1
    assert balance(rig, link) == due(rig, link) == 100


def test_a_write_to_the_psa_in_doubt_is_never_taken_for_a_persons(rig: Rig, link: Link):
    """The answer to our own payment was lost: until it is found again nothing is entered."""
    rig.pay(link, Decimal(50), DAY)
    rig.fault("psa", method="POST", path="/payments", kind="lost_answer", times=1)
    rig.sync(quiet=True)
    assert PaymentBack.objects.get().state == "uncertain"
    for feed in Feed.objects.filter(organisation__chosen=True):
        rig.read(feed)
    rig.work(quiet=True)
    assert not PaymentTaken.objects.exists()
    PaymentBack.objects.update(booked_at=PaymentBack.objects.get().booked_at - timedelta(hours=1))
    for _ in range(3):
        rig.sync(quiet=True)
    assert len(in_books(rig, link)) == len(rig.psa_payments(link.document)) == 1
    assert not PaymentTaken.objects.exists()


# Where people see it.


def test_pages_and_command_show_it(rig: Rig, link: Link, client):
    enter(rig, link, "120.00", type="Card")
    rig.sync()
    person = service.add_person("ada@example.com", "Ada", Role.VIEWER, password="a long enough one")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    listed = client.get("/payments-of-the-psa/").content.decode()
    assert link.document.number in listed
    assert "Card" in listed
    rows = client.get("/payments-of-the-psa/?format=csv").getvalue().decode().splitlines()
    assert len(rows) == 2
    assert "120.00" in rows[1]
    shown = client.get(f"/documents/{link.document_id}/").content.decode()
    assert "was entered in the PSA" in shown
    mapping = client.get(f"/mapping/?organisation={link.organisation_id}&list=payment").content
    assert "Payment accounts" in mapping.decode()
    told = json.loads(
        CliRunner().invoke(app, ["payments", "list", "--json"], catch_exceptions=False).stdout
    )
    assert [(row["document"], row["state"]) for row in told] == [(link.document.number, "in_step")]


@pytest.fixture
def other(rig: Rig, link: Link) -> Link:
    """A second invoice of 220.00 in the same books."""
    lines = [{"kind": "product", "description": "Router", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    return Link.objects.select_related("document", "organisation").exclude(pk=link.pk).get()


def read_both(rig: Rig) -> None:
    for feed in Feed.objects.filter(organisation__chosen=True).order_by("pk"):
        rig.read(feed)


def test_books_that_fail_do_not_hold_up_what_goes_to_the_psa(rig: Rig, link: Link, other: Link):
    enter(rig, link, "120.00")
    rig.pay(other, Decimal(50), DAY)
    read_both(rig)
    rig.fault("books", method="PUT", path="/Payments", kind="status", status=503, times=-1)
    rig.work(quiet=True)
    assert in_books(rig, link) == []
    assert [row["amount"] for row in rig.psa_payments(other.document)] == [50]
    call(f"{rig.books_url}/_control/faults", "DELETE")
    PaymentTaken.objects.update(booked_at=now() - timedelta(minutes=5))
    rig.work()
    assert len(in_books(rig, link)) == 1


def test_one_document_that_the_psa_has_no_more_holds_up_no_other(rig: Rig, link: Link, other: Link):
    enter(rig, link, "120.00")
    enter(rig, other, "70.00")
    read_both(rig)
    rig.psa_sandbox.world.store.delete("invoices", link.document.external_id)
    with pytest.raises(Rejected):
        payments.match(link.organisation_id, Priority.SCHEDULE)
    assert len(in_books(rig, other)) == 1
    card = Card.objects.get(state="open", subject_ref="reading")
    assert card.organisation == rig.site
    assert [one.document for one in card.blocked.all()] == [link.document]
    # What could not be read is gone: nothing waits for it, and no success would close the card.
    PaymentsToRead.objects.all().delete()
    schedule.queue_due()
    card.refresh_from_db()
    assert card.state == "resolved"


@pytest.mark.parametrize(("side", "path", "step"), [
    ("psa", "/payments", "reading"), ("books", "/Payments", "taken"),
])  # fmt: skip
def test_a_side_that_stays_away_is_told_of_and_its_return_too(
    rig: Rig, link: Link, side, path, step
):
    enter(rig, link, "120.00")
    read_both(rig)
    for minutes in (45, 20):
        begun = now() - timedelta(minutes=minutes)
        Run.objects.create(
            organisation=link.organisation, what="taken", outcome="paused", started_at=begun
        )
    rig.fault(side, path=path, kind="status", status=503, times=-1)
    rig.work(quiet=True)
    card = Card.objects.get(code="unreachable", subject_ref=step, state="open")
    assert [one.document for one in card.blocked.all()] == [link.document]
    call(f"{rig.psa_url if side == 'psa' else rig.books_url}/_control/faults", "DELETE")
    PaymentTaken.objects.update(booked_at=now() - timedelta(minutes=5))
    rig.work()
    card.refresh_from_db()
    assert card.state == "resolved"
    assert len(in_books(rig, link)) == 1


@pytest.mark.parametrize("way", ["called", "forced"])
def test_one_of_a_document_that_was_read_by_itself_is_seen_too(rig: Rig, link: Link, way):
    """The feed that follows finds nothing new about it: it was stored already."""
    enter(rig, link, "120.00")
    if way == "called":
        told = {"event_id": "1", "external_id": link.document.external_id}
        told |= {"category": "Invoice", "action": "updated", "received_at": now()}
        ConnectWiseEvent.objects.create(
            connection=rig.site.connection, outcome=Outcome.WOKE, **told
        )
        called.read_called(rig.site.pk)
    else:
        force.refresh(link.document_id)
    rig.sync()
    assert len(in_books(rig, link)) == 1
    assert balance(rig, link) == due(rig, link) == 100
    assert PaymentTaken.objects.get().state == "in_step"
