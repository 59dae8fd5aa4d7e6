"""Lists: paging, filters, projection, writes, and the shape of every record."""

from __future__ import annotations

import re

import pytest

from psaltery.adapters.connectwise.sandbox import Sandbox
from psaltery.adapters.connectwise.sandbox.fields import models
from psaltery.adapters.connectwise.sandbox.resources import RESOURCES
from psaltery.adapters.connectwise.tests.sandbox.conftest import signed_in


@pytest.fixture(scope="module")
def big():
    sandbox = Sandbox(companies=40, invoices=120, limits=False)
    server = sandbox.start()
    with signed_in(server) as client:
        _post_and_pay(client)
        yield client
    server.stop()


def _post_and_pay(client):
    chosen = {"exportInvoicesFlag": True, "includedInvoiceIds": [1]}
    transaction = client.post("/finance/accounting/export", json=chosen).json()["transactions"][0]
    ids = [int(one) for one in transaction["glEntryIds"].split(",")]
    ids += [row["id"] for row in transaction["detail"]]
    batch = {"exportInvoicesFlag": True, "processedRecordIds": ids}
    assert client.post("/finance/accounting/batches", json=batch).status_code == 201
    assert client.post("/finance/invoices/1/payments", json={"amount": 1}).status_code == 201


def links(answer):
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers.get("Link", ""))
    return {rel: address for address, rel in found}


def test_navigable_paging_follows_next_to_the_end(big):
    answer = big.get("/finance/invoices", params={"pageSize": 50})
    ids = [row["id"] for row in answer.json()]
    assert set(links(answer)) == {"next", "last"}
    while "next" in links(answer):
        answer = big.get(links(answer)["next"])
        ids += [row["id"] for row in answer.json()]
    assert ids == list(range(1, 121))
    assert set(links(answer)) == {"first", "prev"}


def test_the_default_page_has_25_rows_and_one_past_the_end_is_empty(big):
    assert len(big.get("/finance/invoices").json()) == 25
    assert big.get("/finance/invoices", params={"page": 99}).json() == []


def test_a_page_size_above_1000_is_cut(big):
    answer = big.get("/procurement/products", params={"pageSize": 5000})
    assert answer.status_code == 200
    assert len(answer.json()) <= 1000


def test_forward_only_paging_goes_by_id(big):
    headers = {"pagination-type": "forward-only"}
    answer = big.get("/finance/invoices", params={"pageSize": 50}, headers=headers)
    ids = [row["id"] for row in answer.json()]
    while "next" in links(answer):
        assert f"pageId={ids[-1]}" in links(answer)["next"]
        answer = big.get(links(answer)["next"], headers=headers)
        ids += [row["id"] for row in answer.json()]
    assert ids == list(range(1, 121))


def test_forward_only_paging_takes_no_order(big):
    headers = {"pagination-type": "forward-only"}
    answer = big.get("/finance/invoices", params={"orderBy": "id desc"}, headers=headers)
    assert answer.status_code == 400


def test_count_counts_what_the_conditions_leave(big):
    params = {"conditions": "company/id = 3"}
    listed = big.get("/finance/invoices", params=params | {"pageSize": 1000}).json()
    assert big.get("/finance/invoices/count", params=params).json() == {"count": len(listed)}
    assert 0 < len(listed) < 120


def test_order_by_goes_over_references_and_directions(big):
    params = {"orderBy": "company/name desc, total asc", "pageSize": 1000}
    rows = big.get("/finance/invoices", params=params).json()
    names = [row["company"]["name"].lower() for row in rows]
    assert names == sorted(names, reverse=True)
    same = [row["total"] for row in rows if row["company"]["name"].lower() == names[0]]
    assert same == sorted(same)


def test_fields_project_and_drop_info(big):
    row = big.get("/finance/invoices/1", params={"fields": "id,company/name"}).json()
    assert set(row) == {"id", "company"}
    assert set(row["company"]) == {"name"}
    named = big.get("/finance/invoices/1", params={"fields": "id,_info"}).json()
    assert "lastUpdated" in named["_info"]


@pytest.mark.parametrize(
    "params", [{"conditions": "colour=1"}, {"orderBy": "colour"}, {"fields": "colour"}]
)
def test_an_unknown_field_is_400(big, params):
    answer = big.get("/finance/invoices", params=params)
    assert answer.status_code == 400
    assert answer.json()["code"] == "ApiFindCondition"


def test_child_conditions_look_into_arrays(big):
    email = big.get("/company/contacts/3").json()["communicationItems"][0]["value"]
    text = f'communicationItems/value = "{email}" and communicationItems/communicationType="Email"'
    rows = big.get("/company/contacts", params={"childConditions": text}).json()
    assert 3 in [row["id"] for row in rows]
    assert all(row["communicationItems"][0]["value"] == email for row in rows)
    refused = big.get("/company/contacts", params={"conditions": 'types/name = "x"'})
    assert refused.status_code == 400


def test_nested_lists_belong_to_their_parent(big):
    rows = big.get("/finance/agreements/2/additions").json()
    assert {row["agreementId"] for row in rows} == {2}
    foreign = big.get("/finance/agreements/1/additions").json()[0]["id"]
    assert big.get(f"/finance/agreements/2/additions/{foreign}").status_code == 404
    assert big.get("/finance/agreements/9999/additions").status_code == 404


def test_tax_codes_have_their_levels(big):
    code = big.get("/finance/taxCodes", params={"conditions": 'identifier="US-CA"'}).json()[0]
    levels = big.get(f"/finance/taxCodes/{code['id']}/taxCodeLevels").json()
    assert [(row["taxLevel"], row["taxRate"]) for row in levels] == [(1, 0.06), (2, 0.0125)]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.path)
def test_every_list_answers_in_the_fields_of_its_model(big, resource):
    answer = big.get(resource.path.replace("{parent}", "1"), params={"pageSize": 100})
    assert answer.status_code == 200
    for row in answer.json():
        assert set(row) - set(models()[resource.model]) == set()
        _check_types(models()[resource.model], row)


def _check_types(model, row):
    kinds = {"int": int, "number": (int, float), "string": str, "bool": bool, "datetime": str}
    for name, field in model.items():
        value = row.get(name)
        if value is None or field.kind not in kinds or field.array:
            continue
        assert isinstance(value, kinds[field.kind]), name
        if field.choices:
            assert value in field.choices, name


def test_a_record_is_made_changed_replaced_and_deleted(client):
    body = {"identifier": "newco", "name": "New Co", "website": "https://newco.example"}
    made = client.post("/company/companies", json=body)
    assert made.status_code == 201
    address = f"/company/companies/{made.json()['id']}"
    patch = [
        {"op": "replace", "path": "name", "value": "Newer Co"},
        {"op": "replace", "path": "territory", "value": {"id": 2}},
        {"op": "replace", "path": "territory/id", "value": 3},
    ]
    changed = client.patch(address, json=patch).json()
    assert changed["name"] == "Newer Co"
    assert changed["territory"]["name"] == "Adelaide"
    assert changed["_info"]["updatedBy"] == "psaltery"
    put = client.put(address, json={"identifier": "newco", "name": "Newest Co"}).json()
    assert (put["name"], put["website"]) == ("Newest Co", None)
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_a_duplicate_identifier_is_object_exists(client):
    identifier = client.get("/company/companies/1").json()["identifier"]
    answer = client.post("/company/companies", json={"identifier": identifier, "name": "Twin"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidObject"
    assert answer.json()["errors"][0]["code"] == "ObjectExists"


def test_every_bad_field_of_a_body_is_named(client):
    body = {"identifier": "x" * 31, "territory": {"id": 99}, "deletedFlag": "no"}
    answer = client.post("/company/companies", json=body)
    named = {problem["field"] for problem in answer.json()["errors"]}
    assert named == {"identifier", "name", "territory", "deletedFlag"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b""])
def test_a_body_that_is_no_object_is_400(client, body):
    headers = {"Content-Type": "application/json"}
    assert client.post("/company/companies", content=body, headers=headers).status_code == 400


def test_other_media_types_and_methods_are_refused(client):
    headers = {"Content-Type": "text/xml"}
    answer = client.post("/company/companies", content=b"<x/>", headers=headers)
    assert answer.status_code == 415
    assert client.put("/finance/accounting/unpostedinvoices/1", json={}).status_code == 405
    assert client.get("/finance/nothing").status_code == 404


def test_tickets_are_searched_with_conditions_in_the_body(client):
    rows = client.post("/service/tickets/search", json={"conditions": "company/id=2"}).json()
    assert [row["company"]["id"] for row in rows] == [2]


def test_long_lists_are_compressed_when_asked(big):
    answer = big.get("/finance/invoices", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
