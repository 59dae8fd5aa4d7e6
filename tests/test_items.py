"""Products become items of the books: created when a line needs one, once, and kept in step."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from psaltery.accounts import service
from psaltery.accounts.models import Role
from psaltery.cli import app
from psaltery.connections.models import Organisation
from psaltery.mapping.products import CODE_MOST, item_code
from psaltery.posting.models import Item, Link, Posting
from psaltery.posting.policy import read_policy
from psaltery.review.models import Card
from psaltery.sync import items as sync_items
from psaltery.sync import organisations
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


@given(st.text(alphabet="ABC-123 ", max_size=80), st.text(alphabet="ABC-123 ", max_size=80))
def test_codes_are_short_and_stable_and_apart(one, other):
    assert len(item_code(one)) <= CODE_MOST
    assert item_code(one) == item_code(one)
    if " ".join(one.split()) != " ".join(other.split()):
        assert item_code(one) != item_code(other)


@pytest.fixture
def sydney(rig: Rig) -> Organisation:
    found = next(row for row in rig.organisations if "Sydney" in row.name)
    policy = msgspec.structs.replace(read_policy(found.settings), items=True)
    organisations.change(found, organisations.Wanted(policy=policy))
    return found


def close(rig: Rig, *items: int, **changes):
    lines = [
        {
            "kind": "product",
            "description": "As sold",
            "quantity": "2",
            "price": "50.00",
            "item": item,
        }
        for item in items
    ]
    return rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines, **changes)


def catalogue(rig: Rig, item: int, **fields):
    call(
        f"{rig.psa_url}/_control/change",
        "POST",
        {"collection": "catalog", "id": item, "fields": fields},
    )


def in_books(rig: Rig, organisation: Organisation):
    return {row["Code"]: row for row in rig.in_books(organisation, "Items")["Items"]}


def lines(rig: Rig):
    link = Link.objects.select_related("organisation").order_by("-pk").first()
    row = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    return row["LineItems"]


def test_a_line_names_its_product_which_is_created_once(rig: Rig, sydney):
    before = in_books(rig, sydney)
    catalogue(rig, 1, identifier="A-VERY-LONG-PRODUCT-CODE-OF-A-VENDOR-0001")
    catalogue(rig, 2, identifier="A-VERY-LONG-PRODUCT-CODE-OF-A-VENDOR-0002")
    close(rig, 1, 2)
    close(rig, 1)
    rig.sync()
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}
    made = set(in_books(rig, sydney)) - set(before)
    assert len(made) == 2
    assert all(len(code) == 30 for code in made)
    assert {line["ItemCode"] for line in lines(rig)} <= made
    one = in_books(rig, sydney)[sorted(made)[0]]
    line = lines(rig)[0]
    assert one["SalesDetails"]["AccountCode"] == line["AccountCode"]
    assert one["SalesDetails"]["TaxType"] == line["TaxType"]
    total = Link.objects.values_list("total", "document__total")
    assert all(books == psa for books, psa in total)
    rig.sync()
    assert set(in_books(rig, sydney)) - set(before) == made


def test_a_product_that_changes_is_brought_in_step(rig: Rig, sydney):
    close(rig, 1)
    rig.sync()
    item = Item.objects.get()
    catalogue(rig, 1, description="A better name", price=77)
    rig.sync()
    there = in_books(rig, sydney)[item.code]
    assert there["Name"] == "A better name"
    assert Decimal(str(there["SalesDetails"]["UnitPrice"])) == 77


def test_an_item_of_the_bookkeepers_is_used_and_never_changed(rig: Rig, sydney):
    code = next(row["identifier"] for row in rig.psa_documents("catalog") if row["id"] == 1)
    rig.write_books(sydney, "Items", {"Items": [{"Code": code, "Name": "Theirs"}]})
    close(rig, 1)
    rig.sync()
    catalogue(rig, 1, description="Ours")
    rig.sync()
    assert in_books(rig, sydney)[code]["Name"] == "Theirs"
    assert lines(rig)[0]["ItemCode"] == code
    assert Item.objects.get().how == "found"


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
def test_an_item_whose_answer_is_lost_is_made_once_and_stays_ours(rig: Rig, sydney, kind):
    before = set(in_books(rig, sydney))
    close(rig, 1)
    rig.fault("books", method="PUT", path="/Items", kind=kind, times=1)
    rig.sync(quiet=True)
    for _ in range(2):
        rig.work(quiet=True)
    assert len(set(in_books(rig, sydney)) - before) == 1
    assert Link.objects.count() == 1
    assert Item.objects.get().how == "created"


def test_an_item_that_was_deleted_in_the_books_is_made_again(rig: Rig, sydney):
    close(rig, 1)
    rig.sync()
    item = Item.objects.get()
    rig.write_books(sydney, f"Items/{item.books_id}", None, "DELETE")
    close(rig, 1)
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == "item_invalid"
    repair(card, "retry", {}, "somebody")
    rig.work()
    assert Link.objects.count() == 2
    assert item.code in in_books(rig, sydney)


def test_without_the_setting_lines_name_no_item(rig: Rig):
    close(rig, 1)
    rig.sync()
    assert not lines(rig)[0].get("ItemCode")
    assert not Item.objects.exists()


def test_page_and_command(rig: Rig, sydney, client):
    close(rig, 1)
    rig.sync()
    item = Item.objects.get()
    person = service.add_person("ada@example.com", "Ada", Role.VIEWER, password="a long enough one")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert item.code in client.get("/items/").content.decode()
    told = CliRunner().invoke(app, ["items", "list", "--json"], catch_exceptions=False)
    assert [row["code"] for row in json.loads(told.stdout)] == [item.code]


# A product that the books know by another code.


def product(rig: Rig, item: int) -> str:
    return next(row["identifier"] for row in rig.psa_documents("catalog") if row["id"] == item)


def test_products_are_mapped_to_an_item_of_the_books_and_back(rig: Rig, sydney, client):
    rig.write_books(sydney, "Items", {"Items": [{"Code": "HW", "Name": "Any hardware"}]})
    before = set(in_books(rig, sydney))
    close(rig, 1)
    rig.sync()
    own = Item.objects.get()
    person = service.add_person(
        "ada@example.com", "Ada", Role.BOOKKEEPER, password="a long enough one"
    )
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    listed = client.get("/items/").content.decode()
    assert f"/items/choose/?organisation={sydney.pk}&amp;product={own.product}" in listed
    given = {"organisation": sydney.pk, "product": own.product}
    wrong = client.post("/items/choose/", {**given, "code": "NO-SUCH"}).content.decode()
    assert "has no item “NO-SUCH”" in wrong
    client.post("/items/choose/", {**given, "code": "hw"})
    done = CliRunner().invoke(app, ["items", "choose", str(sydney.pk), product(rig, 2), "HW"])
    assert done.exit_code == 0, done.output
    close(rig, 1, 2)
    rig.sync()
    assert [line["ItemCode"] for line in lines(rig)] == ["HW", "HW"]
    assert set(in_books(rig, sydney)) - before == {own.code}
    catalogue(rig, 1, description="Ours")
    rig.sync()
    assert in_books(rig, sydney)["HW"]["Name"] == "Any hardware"
    assert "chosen by a person" in client.get("/items/").content.decode()
    client.post("/items/choose/", {**given, "code": ""})
    close(rig, 1)
    rig.sync()
    assert [line["ItemCode"] for line in lines(rig)] == [own.code]


def test_a_chosen_item_that_is_gone_is_told_and_another_releases_it(rig: Rig, sydney):
    rig.write_books(sydney, "Items", {"Items": [{"Code": "HW", "Name": "Any hardware"}]})
    wrong = CliRunner().invoke(app, ["items", "choose", str(sydney.pk), "NO-SUCH", "HW"])
    assert wrong.exit_code != 0
    assert "has no product “NO-SUCH”" in wrong.output
    close(rig, 1)
    rig.sync()
    name = Item.objects.get().product
    sync_items.choose(sydney, name, "HW")
    there = in_books(rig, sydney)["HW"]
    rig.write_books(sydney, f"Items/{there['ItemID']}", None, "DELETE")
    close(rig, 1)
    rig.sync()
    card = Card.objects.get(state="open")
    repair(card, "retry", {}, "somebody")
    rig.work()
    card = Card.objects.get(state="open")
    assert "choose another item" in card.sentence
    assert "HW" not in in_books(rig, sydney)
    _, released = sync_items.choose(sydney, name, "")
    assert released == 1
    rig.work()
    assert Link.objects.count() == 2
    assert not Card.objects.filter(state="open").exists()
