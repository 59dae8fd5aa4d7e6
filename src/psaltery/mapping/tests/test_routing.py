"""Rules by what a document, its lines, company and ticket carry; the first that matches."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document as Row
from psaltery.mapping import queries
from psaltery.mapping.csv_io import check_routes, replace_routes, routes_csv
from psaltery.mapping.models import Route
from psaltery.mapping.routing import FIELDS, Rule, route
from psaltery.mapping.service import add_route
from psaltery.posting.models import Link, Posting
from psaltery.records.psa import Document, DocumentKind, DocumentLine
from psaltery.review.models import Card
from psaltery.sync.push import reroute
from psaltery.testing.http_calls import call

ZERO = Decimal(0)


def line(member: str) -> DocumentLine:
    return DocumentLine(
        key=member, source="time", description="", quantity=ZERO, unit_price=ZERO, amount=ZERO,
        member=member,
    )  # fmt: skip


DOCUMENT = Document(
    external_id="1", kind=DocumentKind.INVOICE, type="Standard", number="1", company_id="2",
    company_name="Blue Gum", currency="NZD", issued_on=date(2026, 10, 1), location="Sydney",
    department="Cloud", territory="South", agreement_type="Managed", board="Projects",
    tags=("vip", "Auckland office"), custom={"Region": "West", "Billing unit": "7"},
    lines=(line("hmoreau"), line("jsmith")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("location", "sydney"), ("department", "Cloud"), ("territory", "South"),
        ("company", "Blue Gum"), ("currency", "nzd"), ("agreement_type", "Managed"),
        ("type", "Standard"), ("member", "JSmith"), ("board", "projects"), ("tag", "VIP"),
        ("tag", "Auckland office"), ("custom_field", "Region: west"),
        ("custom_field", "Billing unit: 7"), ("any", ""),
    ],
)  # fmt: skip
def test_each_field_can_route(field, value):
    other = Rule(1, field, "something else", 1) if field != "any" else Rule(1, "tag", "no", 1)
    fired = route(DOCUMENT, [other, Rule(2, field, value, 2), Rule(3, "any", "", 3)]).rule
    assert fired is not None
    assert fired.id == 2


def test_a_document_without_the_value_is_not_taken():
    bare = msgspec.structs.replace(DOCUMENT, tags=(), custom={}, lines=(), board="", territory="")
    rules = [Rule(n, field, value, 1) for n, (field, value) in enumerate(
        [("tag", "vip"), ("custom_field", "Region: West"), ("member", "jsmith"),
         ("board", "Projects"), ("territory", "")])]  # fmt: skip
    assert route(bare, rules).rule is None


def close(rig, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def change(rig, collection, number, **fields):
    body = {"collection": collection, "id": number, "fields": fields}
    call(f"{rig.psa_url}/_control/change", "POST", body)


def custom(caption, value):
    return [{"id": 1, "caption": caption, "value": value, "type": "Text"}]


@pytest.mark.django_db(transaction=True)
def test_tags_and_custom_fields_of_the_psa_route_and_the_trace_says_so(rig):
    sydney = next(row for row in rig.organisations if "Sydney" in row.name)
    connection = rig.site.connection
    Route.objects.all().delete()
    change(rig, "companies", 1, integratorTags=["vip"])
    made = close(rig)
    rig.sync()
    assert Card.objects.get(state="open").code == "no_route"
    add_route(connection, "tag", "VIP", sydney)
    reroute(connection)
    rig.work()
    link = Link.objects.select_related("document__posting").get()
    assert link.organisation == sydney
    fired = link.document.posting.trace["route"]
    assert (fired["field"], fired["value"]) == ("tag", "VIP")
    # A field on the invoice itself: it may be filled in after the document was read and held.
    Route.objects.all().delete()
    add_route(connection, "custom_field", "Region: West", sydney)
    other = close(rig)
    assert other["id"] != made["id"]
    rig.sync()
    held = Posting.objects.get(document__external_id=str(other["id"]))
    assert held.organisation is None
    change(rig, "invoices", other["id"], customFields=custom("Region", "West"))
    rig.sync()
    assert Link.objects.count() == 2
    offered = queries.occurring(connection)
    assert offered["tag"] == ["vip"]
    assert offered["custom_field"] == ["Region: West"]
    assert offered["member"]
    assert offered["board"]


@pytest.mark.django_db(transaction=True)
def test_the_bench_and_the_file_know_these_fields(rig):
    sydney = next(row for row in rig.organisations if "Sydney" in row.name)
    connection = rig.site.connection
    change(rig, "companies", 1, integratorTags=["vip"])
    close(rig)
    close(rig, company=2)
    rig.sync()
    assert Row.objects.count() == 2
    since = date(2020, 1, 1)
    found = queries.trial(connection, [("tag", "vip", sydney.pk), ("any", "", sydney.pk)], since)
    assert found.by_rule == [1, 1]
    every = list(Organisation.objects.filter(chosen=True))
    text = f"field,value,organisation\nstaff,x,{sydney.name}\ntag,vip,{sydney.name}\n"
    report = check_routes(text, connection, every)
    assert [bool(row.problem) for row in report.rows] == [True, False]
    assert "member" in report.rows[0].problem
    replace_routes(connection, [row.wanted for row in report.rows if not row.problem])
    assert "tag,vip" in routes_csv(connection)
    assert set(FIELDS) >= {"member", "board", "tag", "custom_field"}
