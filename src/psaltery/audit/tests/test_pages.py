"""The audit log's pages: who may see them, filters in the address, bodies, streamed exports."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from psaltery.accounts.models import Person
from psaltery.audit import actor, service
from psaltery.audit.models import Entry
from psaltery.audit.tests.test_log import XERO, exchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor():
    client = Client()
    person = Person.objects.create_user("vic@example.com", name="Vic")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def entries():
    with actor.about(document_kind="invoice", documents=["4711"], customer="Acme"):
        service.record_exchange(
            XERO,
            exchange(
                write=True,
                status=400,
                failure="Account 200 is archived",
                request="idempotency-key: abc\n\n" + '{"Invoices":[{"Type":"ACCREC"}]}',
                response='{"Message":"<b>no</b>"}',
            ),
        )
    service.record_decision(XERO, service.Decision(sentence="Held.", documents=("4712",)))


def test_a_stranger_sees_nothing(client):
    assert client.get(reverse("audit:index")).status_code == 302
    assert client.get(reverse("audit:json")).status_code == 302


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("", "archived", "nothing"),
        ("outcome=failed", "4711", "4712"),
        ("document=4712", "Held", "archived"),
        ("document=4712,+4999", "Held", "archived"),
        ("document=4999,4711", "archived", "Held"),
        ("customer=Acme", "archived", "Held"),
        ("kind=decision", "Held", "archived"),
        ("document_kind=invoice", "archived", "Held"),
        ("q=archived+200", "4711", "4712"),
        ("at_from=2100-01-01", "No entries match", "archived"),
        ("actor=worker&system=xero", "archived", "nothing"),
    ],
)
def test_filters_stand_in_the_address(visitor, entries, query, shown, hidden):
    page = visitor.get(f"{reverse('audit:index')}?{query}").content.decode()
    body = page[page.index("list-body") :]
    assert shown in body
    assert hidden not in body


def test_an_entry_shows_its_bodies_harmlessly_and_on_lines(visitor, entries):
    entry = Entry.objects.get(kind="request")
    page = visitor.get(reverse("audit:entry", args=[entry.pk])).content.decode()
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "&quot;Type&quot;: &quot;ACCREC&quot;" in page
    assert "idempotency-key: abc" in page
    assert visitor.get(reverse("audit:entry", args=[entry.pk + 999])).status_code == 404


def test_exports_follow_the_view(visitor, entries):
    address = f"{reverse('audit:json')}?document=4711"
    told = json.loads(b"".join(visitor.get(address).streaming_content))
    assert [entry["documents"] for entry in told] == [["4711"]]
    assert "ACCREC" in told[0]["request"]
    csv = visitor.get(f"{reverse('audit:index')}?format=csv&outcome=failed")
    assert len(b"".join(csv.streaming_content).decode().strip().splitlines()) == 2
