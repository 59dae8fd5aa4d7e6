"""The mapping pages of purchases: shown where bills are posted, apart from what is sold."""

import pytest
from django.urls import reverse

from psaltery.mapping.models import Mapping
from psaltery.mapping.service import set_mapping
from psaltery.posting.policy import Policy, stored_policy

pytestmark = pytest.mark.django_db(transaction=True)
ROUTER = {"product": "RT-1", "amount": "80"}


@pytest.fixture
def buyer(world):
    """Sydney takes bills, and has an account for costs."""
    world.sydney.settings = stored_policy(Policy(bills=True))
    world.sydney.save(update_fields=["settings"])
    world.account(world.sydney, "310", "Cost of Goods", type="DIRECTCOSTS", account_class="EXPENSE")
    world.document(world.sydney, ROUTER, kind="bill", vendor_number="V-1")
    world.document(world.sydney, {"product": "SOLD-1"})
    return world.sydney


def page(client, organisation, list_):
    query = {"organisation": organisation.pk, "list": list_}
    return client.get(reverse("mapping:index"), query)


def test_the_gap_of_a_bill_is_shown_with_its_purchase_list_only(world, buyer, signed_in):
    client = signed_in()
    bought = page(client, buyer, "purchase_account").content.decode()
    assert "Purchase accounts" in bought
    assert "RT-1" in bought
    assert "SOLD-1" not in bought
    assert "310 Cost of Goods" in bought
    assert "200 Sales" not in bought
    assert "RT-1" not in page(client, buyer, "account").content.decode()


def test_lists_of_purchases_are_hidden_where_none_are_posted(world, buyer, signed_in):
    assert "Purchase" not in page(signed_in(), world.auckland, "account").content.decode()


def test_a_mapping_of_purchases_is_saved_apart_and_refused_for_revenue(world, buyer, signed_in):
    set_mapping(buyer, "account", "any", "", "200")
    client = signed_in()
    url = f"{reverse('mapping:set')}?organisation={buyer.pk}&list=purchase_account"
    client.post(url, {"key": "product|RT-1", "target": "310 Cost of Goods"})
    client.post(url, {"key": "any|", "target": "200"})
    rows = Mapping.objects.values_list("list", "key_kind", "target").order_by("list")
    assert list(rows) == [("account", "any", "200"), ("purchase_account", "product", "310")]


def test_csv_brings_purchases_in_and_out(world, buyer, signed_in):
    from psaltery.mapping import csv_io

    text = (
        "organisation,list,key_kind,key,target\n"
        "Sydney,purchase_account,any,,310\n"
        "Sydney,purchase_account,source,freight,200\n"
    )
    report = csv_io.check_mappings(text, [buyer])
    assert [row.effect for row in report.rows] == ["new", ""]
    assert "wrong class" in report.bad[0].problem
    csv_io.save_mappings(report.good)
    assert "Sydney,purchase_account,any,,310,310 Cost of Goods" in csv_io.mappings_csv([buyer])
