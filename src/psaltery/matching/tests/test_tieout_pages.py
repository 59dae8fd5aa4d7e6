"""The tie-out's pages, in the browser over both sandboxes, and what each role may do there."""

import csv
from decimal import Decimal

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from psaltery.accounts import service
from psaltery.accounts.models import Person, Role
from psaltery.desk.models import Document
from psaltery.matching.models import TieOut, TieOutDocument
from psaltery.matching.tieout.service import tie_out
from psaltery.posting.models import Link
from psaltery.web import assets

PASSWORD = "a long enough secret"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def close(rig, price, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def sign_in(page, url, role):
    person = service.add_person("ada@example.com", "Ada", role, password=PASSWORD)
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.journey
@pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup")
def test_from_the_organisation_to_the_document_and_back_to_zero(
    rig, page, live_app, worker, console
):
    close(rig, "200.00")
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    rig.pay(link, Decimal("70"), str(link.document.issued_on))
    for feed in link.organisation.feeds.all():
        rig.read(feed)
    # Somebody changed a payment in the PSA behind our back.
    Document.objects.filter(pk=link.document_id).update(balance=Decimal("219.99"))
    sign_in(page, live_app.url, Role.BOOKKEEPER)
    page.get_by_role("link", name="Tie-out").click()
    expect(page.get_by_text("Nothing has been compared yet")).to_be_visible()
    page.get_by_role("button", name="Tie out now").click()
    expect(page.get_by_text("The tie-out is on its way")).to_be_visible()
    worker.drain()
    card = page.get_by_role("region", name=link.organisation.name)
    expect(card.get_by_text("Ties out")).to_be_visible()
    card.get_by_role("link", name="Payment not in the PSA yet").click()
    expect(page.get_by_role("link", name=link.number)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=link.number)).to_contain_text("69.99")
    page.get_by_role("link", name=link.organisation.name).click()
    customer = page.get_by_role("row").filter(has_text=link.document.company_name)
    expect(customer).to_contain_text("219.99")
    expect(customer).to_contain_text("150.00")
    customer.get_by_role("link").click()
    page.get_by_role("link", name=link.number).click()
    expect(page.get_by_role("heading", name=link.number)).to_be_visible()
    Document.objects.filter(pk=link.document_id).update(balance=220)
    rig.sync()
    page.goto(f"{live_app.url}/tie-out/")
    page.get_by_role("button", name="Tie out now").click()
    expect(page.get_by_text("The tie-out is on its way")).to_be_visible()
    worker.drain()
    expect(page.get_by_role("region", name=link.organisation.name)).to_contain_text("150.00")
    expect(page.get_by_text("Payment not in the PSA yet")).to_be_hidden()
    assert console == []


@pytest.mark.django_db(transaction=True)
def test_the_file_holds_the_money_and_a_cent_without_cause_is_loud(rig, client):
    close(rig, "200.00")
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get()
    for feed in link.organisation.feeds.all():
        rig.read(feed)
    Document.objects.filter(pk=link.document_id).update(balance=Decimal("219.99"), payments=0)
    Link.objects.filter(pk=link.pk).update(books_id="gone")
    row = tie_out(link.organisation, "ann@example.com")
    assert row.state == TieOut.State.UNEXPLAINED
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    page = client.get(reverse("matching:index")).content.decode()
    assert "Unexplained difference" in page
    assert "219.99" in page
    address = reverse("matching:documents", args=[row.pk])
    file = b"".join(client.get(f"{address}?format=csv&cause=unexplained").streaming_content)
    lines = list(csv.DictReader(file.decode("utf-8-sig").splitlines()))
    assert [(line["Document"], line["Amount"], line["Currency"]) for line in lines] == [
        (link.number, "219.9900", "AUD")
    ]
    assert client.post(reverse("matching:run")).status_code == 403


@pytest.mark.django_db
def test_a_page_costs_the_same_for_one_document_and_for_many(client, django_assert_max_num_queries):
    row = TieOut.objects.create(at="2026-11-21T00:00:00Z", asked_by="Ann", state="ties")
    TieOutDocument.objects.bulk_create(
        TieOutDocument(
            tieout=row, customer="c", name="Acme", currency="AUD", cause="books_only", amount=-1,
            number=str(number), sentence="Why", books_kind="invoice", books_id=str(number),
        )
        for number in range(60)
    )  # fmt: skip
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    with django_assert_max_num_queries(20):
        answer = client.get(reverse("matching:documents", args=[row.pk]))
    assert "60" in answer.content.decode()
    assert client.get(reverse("matching:customers", args=[row.pk])).status_code == 200
    assert client.get(reverse("matching:customers", args=[row.pk + 1])).status_code == 404
