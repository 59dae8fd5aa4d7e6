"""What somebody else does between a look and a write: no decision of yesterday may win."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F

from psaltery.adapters.budget import Priority
from psaltery.connections import service as connections
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import open_books
from psaltery.connections.organisations import pause
from psaltery.desk.models import Document
from psaltery.mapping.models import Mapping
from psaltery.posting import carry_out, leftovers, service
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.posting.plan import gather
from psaltery.review.models import Blocked, Card
from psaltery.sync import force, pull, push
from psaltery.testing.rig import Rig, call

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
DEARER = [{**LINES[0], "price": "300.00"}]


def close_one(rig: Rig) -> Document:
    """An invoice that is closed in the PSA and read, and not decided about yet."""
    rig.sync()
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    read_psa(rig)
    return Document.objects.get()


def read_psa(rig: Rig) -> None:
    for feed in Feed.objects.filter(organisation=rig.site):
        rig.read(feed)


def organisation_of(document: Document) -> Organisation:
    return Organisation.objects.get(postings__document=document)


def test_a_document_that_was_found_meanwhile_does_not_stay_in_doubt(rig: Rig, monkeypatch):
    document = close_one(rig)
    organisation = organisation_of(document)
    monkeypatch.setattr(leftovers, "GRACE", timedelta(0))
    doubt = carry_out.doubt

    def slow(*arguments):
        # The answer took so long that another process has looked it up by now.
        leftovers.settle_leftovers(organisation, open_books(organisation))
        doubt(*arguments)

    monkeypatch.setattr(carry_out, "doubt", slow)
    rig.fault("books", method="PUT", path="/Invoices", kind="lost_answer", times=1)
    rig.work(quiet=True)
    assert Attempt.objects.get(kind="invoice").state == "found"
    assert Posting.objects.get().state == "in_step"


def test_what_changed_while_it_was_refused_is_decided_about_again(rig: Rig, monkeypatch):
    document = close_one(rig)
    look, edited = carry_out._numbers_taken, []

    def edited_meanwhile(*arguments):
        if not edited:
            edited.append(True)
            body = {"id": int(document.external_id), "lines": DEARER}
            call(f"{rig.psa_url}/_control/edit_invoice", "POST", body)
            read_psa(rig)
        return look(*arguments)

    monkeypatch.setattr(carry_out, "_numbers_taken", edited_meanwhile)
    problem = {"ValidationErrors": [{"Message": "The description is too long"}]}
    body = {"ErrorNumber": 10, "Type": "ValidationException", "Message": "", "Elements": [problem]}
    rig.fault(
        "books",
        method="PUT",
        path="/Invoices",
        kind="status",
        status=400,
        body=body,
        headers={"Content-Type": "application/json"},
        times=1,
    )
    rig.work()
    assert Attempt.objects.filter(kind="invoice", state="rejected").count() == 1
    assert Posting.objects.get().state == "in_step"
    assert str(Link.objects.get().total) == "330.0000"
    assert not Card.objects.exclude(state="resolved").exists()


def test_what_was_skipped_meanwhile_comes_to_no_card(rig: Rig):
    document = close_one(rig)
    organisation = organisation_of(document)
    Mapping.objects.all().delete()
    planned = gather(organisation, [document.posting], lambda row: "")
    service.skip([document.pk], "ann@example.com")
    report = carry_out.carry_out(organisation, planned, open_books(organisation))
    assert Posting.objects.get().state == "skipped"
    assert report.held == 0
    assert not Blocked.objects.exists()


def test_what_was_written_anew_during_its_mark_is_marked_again(rig: Rig, monkeypatch):
    close_one(rig)
    organisation = organisation_of(Document.objects.get())
    push.post(organisation.pk, Priority.SCHEDULE)
    name = push.identifier

    def written_meanwhile(link):
        Link.objects.update(written_at=F("written_at") + timedelta(seconds=1))
        return name(link)

    monkeypatch.setattr(push, "identifier", written_meanwhile)
    assert push.mark(organisation.pk) is True
    assert Link.objects.get().psa_marked_at is None
    monkeypatch.setattr(push, "identifier", name)
    assert push.mark(organisation.pk) is False
    assert Link.objects.get().psa_marked_at is not None


def test_a_pause_and_a_policy_stand_that_were_set_while_the_settings_were_read(rig: Rig):
    stale = Organisation.objects.select_related("connection").get(pk=rig.organisations[0].pk)
    facts = open_books(stale).organisation()
    pause(Organisation.objects.get(pk=stale.pk), paused=True)
    Organisation.objects.filter(pk=stale.pk).update(settings={"due_days": 7})
    connections.pin(stale, facts)
    fresh = Organisation.objects.get(pk=stale.pk)
    assert (fresh.paused, fresh.settings) == (True, {"due_days": 7})
    assert fresh.name == facts.name


def test_a_connection_stays_as_it_was_named_and_set_while_it_was_connected(rig: Rig):
    stale = Connection.objects.get(pk=rig.site.connection_id)
    fresh = Connection.objects.get(pk=stale.pk)
    connections.rename(fresh, "The PSA of us all")
    connections.set_read_only(fresh, read_only=True)
    connections.connect_with_keys(stale)
    fresh.refresh_from_db()
    assert (fresh.name, fresh.read_only, fresh.state) == ("The PSA of us all", True, "connected")


def read_meanwhile(rig: Rig, monkeypatch, act) -> Feed:
    """The contacts are read, and something happens before their page is stored."""
    rig.sync()
    feed = Feed.objects.get(organisation=rig.organisations[0], name="contacts")
    keep, done = pull._keep, []

    def meanwhile(*arguments):
        if not done:
            done.append(True)
            act(Feed.objects.get(pk=feed.pk))
        return keep(*arguments)

    monkeypatch.setattr(pull, "_keep", meanwhile)
    pull.pull(feed.pk, Priority.SCHEDULE)
    feed.refresh_from_db()
    return feed


def test_a_feed_that_is_sent_back_to_its_start_begins_there(rig: Rig, monkeypatch):
    feed = read_meanwhile(rig, monkeypatch, lambda row: force.feed(row, full=True))
    assert (feed.cursor, feed.started_at, feed.full_pass_at) == (None, None, None)
    rig.read(feed)
    feed.refresh_from_db()
    contacts = rig.in_books(rig.organisations[0], "Contacts")["Contacts"]
    assert feed.full_pass_at is not None
    assert feed.done == len(contacts)


def test_an_interval_that_is_set_while_a_feed_is_read_stands(rig: Rig, monkeypatch):
    def seldom(row: Feed) -> None:
        Feed.objects.filter(pk=row.pk).update(seconds=43_200)

    feed = read_meanwhile(rig, monkeypatch, seldom)
    assert (feed.state, feed.seconds) == ("idle", 43_200)


def test_two_documents_that_are_one_in_the_books_stop_no_posting(rig: Rig):
    document = close_one(rig)
    organisation = organisation_of(document)
    line = {"Description": "Switch", "Quantity": "1", "UnitAmount": "200.00", "TaxType": "OUTPUT"}
    theirs = {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "InvoiceNumber": document.number,
        "Contact": {"Name": document.company_name},
        "Date": str(document.issued_on),
        "DueDate": str(document.issued_on),
        "LineItems": [{**line, "AccountCode": "200"}],
    }
    rig.write_books(organisation, "Invoices", {"Invoices": [theirs]})
    for feed in Feed.objects.filter(organisation=organisation):
        rig.read(feed)
    twin = Document.objects.get(pk=document.pk)
    twin.pk, twin.external_id = None, "990099"
    twin.save()
    with transaction.atomic():
        push.enqueue([twin.pk])
    rig.work()
    link = Link.objects.get()
    assert link.how == "adopted"
    states = dict(Posting.objects.values_list("pk", "state"))
    assert sorted(states.values()) == ["held", "in_step"]
    assert states[link.document_id] == "in_step"
    assert Card.objects.get(state="open").code == "number_taken"
