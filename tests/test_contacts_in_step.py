"""Linked contacts follow what changes in the PSA, where that is wanted; customers and suppliers."""

import msgspec
import pytest
from tests.test_payment_races import Interrupted

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.opening import open_books
from psaltery.mapping.contacts import changes
from psaltery.mapping.models import ContactLink
from psaltery.posting.contacts import keep_in_step
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import organisations
from psaltery.testing.http_calls import call
from psaltery.testing.orders import order, receive, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_what_changed_is_written_and_nothing_is_emptied():
    before = {"name": "Blue", "email": "a@blue.example", "city": "Perth", "address": ["1 Quay"]}
    assert changes(before, before, "c1") is None
    assert changes(before, {**before, "email": ""}, "c1") is None
    mail = changes(before, {**before, "email": "b@blue.example"}, "c1")
    assert (mail.name, mail.email, mail.city, mail.external_id) == ("", "b@blue.example", "", "c1")
    moved = changes(before, {**before, "city": "Hobart"}, "c1")
    assert (moved.city, moved.address, moved.email) == ("Hobart", ("1 Quay",), "")


def want(organisation: Organisation, **values) -> None:
    policy = msgspec.structs.replace(read_policy(organisation.settings), **values)
    organisations.change(organisation, organisations.Wanted(policy=policy))


def change(rig: Rig, company: int, **fields) -> None:
    body = {"collection": "companies", "id": company, "fields": fields}
    call(f"{rig.psa_url}/_control/change", "POST", body)


def contact(rig: Rig, link: ContactLink):
    path = f"Contacts/{link.contact_external_id}"
    return rig.in_books(link.organisation, path)["Contacts"][0]


@pytest.fixture
def link(rig: Rig) -> ContactLink:
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    return ContactLink.objects.select_related("organisation__connection", "company").get()


def test_a_change_in_the_psa_reaches_the_contact(rig: Rig, link: ContactLink):
    want(link.organisation, contacts="keep")
    before = contact(rig, link)
    theirs = {"ContactID": link.contact_external_id, "EmailAddress": "books@their.example"}
    rig.write_books(link.organisation, "Contacts", {"Contacts": [theirs]}, "POST")
    change(rig, 1, name="Renamed Holdings", phoneNumber="08 7000 0000")
    rig.sync()
    after = contact(rig, link)
    assert after["Name"] == "Renamed Holdings"
    assert [p["PhoneNumber"] for p in after["Phones"] if p["PhoneType"] == "DEFAULT"] == [
        "08 7000 0000"
    ]
    # What did not change in the PSA stays the bookkeeper's.
    assert after["EmailAddress"] == "books@their.example"
    assert after["ContactNumber"] == before["ContactNumber"]


def test_only_linked_means_that_nothing_is_written(rig: Rig, link: ContactLink):
    change(rig, 1, name="Renamed Holdings")
    rig.sync()
    assert contact(rig, link)["Name"] != "Renamed Holdings"
    # What differs already when it is switched on is not written either.
    want(Organisation.objects.get(pk=link.organisation_id), contacts="keep")
    rig.sync()
    assert contact(rig, link)["Name"] != "Renamed Holdings"


def test_a_supplier_is_kept_in_step_too(rig: Rig):
    organisation = take_bills(rig, contacts="keep")
    supplier = vendor(rig)
    receive(rig, order(rig, supplier), "PS1", "INV-1")
    rig.sync()
    link = ContactLink.objects.select_related("organisation").get(organisation=organisation)
    change(rig, supplier["id"], name="Northgate Global")
    rig.sync()
    assert contact(rig, link)["Name"] == "Northgate Global"


def test_what_the_books_refuse_is_told_and_closes_by_itself(rig: Rig, link: ContactLink):
    want(link.organisation, contacts="keep")
    rig.write_books(link.organisation, "Contacts", {"Name": "Taken Holdings"})
    change(rig, 1, name="Taken Holdings")
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "contact_name_taken"
    assert "Taken Holdings" in card.sentence
    change(rig, 1, name="Free Holdings")
    rig.sync()
    assert contact(rig, link)["Name"] == "Free Holdings"
    assert not Card.objects.filter(state="open").exists()


def test_a_change_that_comes_while_another_is_written_is_written_too(rig: Rig, link: ContactLink):
    want(link.organisation, contacts="keep")
    companies = Feed.objects.get(organisation=rig.site, name="companies")
    change(rig, 1, name="Renamed Holdings")
    rig.read(companies)

    def meanwhile() -> None:
        change(rig, 1, name="Renamed Again")
        rig.read(companies)

    organisation = Organisation.objects.get(pk=link.organisation_id)
    books = open_books(organisation, Priority.SCHEDULE)
    keep_in_step(organisation, Interrupted(books, "send", after=meanwhile))
    assert contact(rig, link)["Name"] == "Renamed Holdings"
    rig.sync()
    assert contact(rig, link)["Name"] == "Renamed Again"
