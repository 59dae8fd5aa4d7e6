"""The page of a connection with more organisations than anybody reads at once."""

import html
import re

import pytest
from django.urls import reverse

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Budget, Connection, Feed, Organisation

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def many():
    connection = Connection.objects.create(kind="xero", name="All of them", state="connected")
    for number in range(40):
        one = Organisation.objects.create(
            connection=connection, external_id=f"t{number}", name=f"Office {number:02}", chosen=True
        )
        Budget.objects.create(organisation=one, per_minute=30)
        Feed.objects.create(organisation=one, name="invoices", seconds=21_600)
    Organisation.objects.filter(name="Office 39").update(state="removed", reason="It was removed.")
    Feed.objects.filter(organisation__name="Office 38").update(state="failed", failure="Refused.")
    return connection


@pytest.fixture
def reader(client):
    person = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(person, backend=BACKEND)
    return client


def shown(reader, connection, **query):
    page = reader.get(reverse("connections:detail", args=[connection.pk]), query)
    return re.findall(r'card-title">(Office \d\d)', html.unescape(page.content.decode()))


def test_those_in_trouble_come_first_and_the_others_by_pages(many, reader):
    first = shown(reader, many)
    assert first[:3] == ["Office 39", "Office 38", "Office 00"]
    pages = [shown(reader, many, page=number) for number in (1, 2, 3, 4)]
    every = [name for page in pages for name in page]
    assert sorted(every) == [f"Office {number:02}" for number in range(40)]
    assert [len(page) for page in pages] == [12, 12, 12, 4]


def test_one_is_found_by_its_name(many, reader):
    assert shown(reader, many, q="17") == ["Office 17"]
    assert shown(reader, many, q="elsewhere") == []


def test_it_costs_the_same_for_many(many, reader, django_assert_max_num_queries):
    address = reverse("connections:detail", args=[many.pk])
    reader.get(address)
    with django_assert_max_num_queries(30):
        reader.get(address)


def test_a_few_need_no_search(many, reader):
    Organisation.objects.filter(name__gte="Office 05").update(chosen=False)
    page = reader.get(reverse("connections:detail", args=[many.pk])).content.decode()
    assert "Search organisations" not in page
    assert page.count('card-title">Office') == 5
