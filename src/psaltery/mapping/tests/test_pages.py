"""The mapping pages over HTTP on a real database: reading, mapping, routing, linking, importing."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from psaltery.audit.models import Entry
from psaltery.desk.models import Company, Lookup
from psaltery.ledger.models import BillingInvoiceLine, Customer
from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.mapping.service import add_route, set_mapping
from psaltery.posting.models import Link, Posting

pytestmark = pytest.mark.django_db(transaction=True)

FIREWALL = {"product": "FW-60", "category": "Hardware", "amount": "1200.50"}


def address(name, **query):
    return f"{reverse(name)}?{urlencode(query)}"


def text_of(answer):
    return answer.content.decode()


def part(client, url, data=None, target="mapping"):
    headers = {"HX-Request": "true", "HX-Target": target}
    return client.post(url, data, headers=headers) if data else client.get(url, headers=headers)


def test_gaps_stand_first_with_their_money(world, signed_in):
    world.document(world.sydney, FIREWALL)
    world.document(world.sydney, {"source": "time", "work_type": "Remote", "amount": "80"})
    set_mapping(world.sydney, "account", "source", "time", "200")
    answer = signed_in().get(address("mapping:index", organisation=world.sydney.pk))
    text = text_of(answer)
    assert "50 %" in text
    assert "1 of 2 lines are not, in 1 document" in text
    assert "1,200.50" in text
    assert text.index("FW-60") < text.index("Remote")
    assert "200 Sales, by kind of line “Time”" in text


def test_old_skipped_and_foreign_documents_do_not_count(world, signed_in):
    world.document(world.sydney, FIREWALL, issued_on=timezone.localdate() - timedelta(days=400))
    world.document(world.sydney, FIREWALL, kind="bill")
    world.document(world.sydney, FIREWALL, gone=True)
    world.document(world.auckland, FIREWALL)
    text = text_of(signed_in().get(address("mapping:index", organisation=world.sydney.pk)))
    assert "No lines in the last year" in text


def test_lists_of_the_psa_are_offered_before_the_first_document(world, signed_in):
    for name, code in (("work_types", ""), ("catalog_items", "FW-60")):
        Lookup.objects.create(
            connection=world.psa, external_id=name, list=name, name=f"Name of {name}", code=code,
            active=True, details={"category": "Hardware"} if code else {},
        )  # fmt: skip
    text = text_of(signed_in().get(reverse("mapping:index")))
    for words in ("Name of work_types", "FW-60", "Hardware", "Everything else"):
        assert words in text


def test_a_key_is_mapped_in_place_and_what_it_held_goes_again(world, signed_in):
    add_route(world.psa, "location", "Sydney", world.sydney)
    held = world.document(world.sydney, FIREWALL)
    world.hold(held)
    other = world.document(world.sydney, FIREWALL)
    world.hold(other, "contact_ambiguous")
    url = address("mapping:set", organisation=world.sydney.pk, list="account", show="todo")
    data = {"key": "category|Hardware", "target": "230 Hardware Sales"}
    text = text_of(part(signed_in("bookkeeper"), url, data))
    assert "Hardware → 230 Hardware Sales. 1 held document goes again." in text
    assert 'id="mapping"' in text
    assert "<html" not in text
    row = Mapping.objects.get()
    assert (row.key_kind, row.key, row.target) == ("category", "Hardware", "230")
    assert row.changed_by == "bookkeeper@example.com"
    states = dict(Posting.objects.values_list("document", "state"))
    assert states == {held.pk: "waiting", other.pk: "held"}
    assert Entry.objects.get(operation="mapping.set").actor == "bookkeeper@example.com"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("999", "no account “999”"),
        ("260", "archived in the books"),
        ("610", "can&#x27;t be used on a line"),
        ("", "Choose the account"),
    ],
)
def test_a_wrong_target_is_refused_beside_its_field(world, signed_in, target, words):
    world.document(world.sydney, FIREWALL)
    url = address("mapping:set", organisation=world.sydney.pk)
    text = text_of(part(signed_in(), url, {"key": "product|FW-60", "target": target}))
    assert words in text
    assert f'value="{target}" aria-invalid="true"' in text
    assert not Mapping.objects.exists()


def test_many_keys_are_mapped_to_the_same(world, signed_in):
    world.document(world.sydney, FIREWALL)
    url = address("mapping:set", organisation=world.sydney.pk)
    client = signed_in()
    data = {"key": ["product|FW-60", "source|time"], "target": "200"}
    answer = client.post(url, data, follow=True)
    assert "2 keys → 200 Sales." in text_of(answer)
    assert Mapping.objects.count() == 2
    nothing = client.post(url, {"target": "200"})
    assert "Tick the keys to map first" in text_of(nothing)
    wrong = client.post(url, {**data, "target": "610"})
    assert "can&#x27;t be used" in text_of(wrong)


def test_a_mapping_is_removed_and_its_history_stays(world, signed_in):
    set_mapping(world.sydney, "tax", "tax_code", "GST", "OUTPUT")
    url = address("mapping:remove", organisation=world.sydney.pk, list="tax")
    answer = signed_in().post(url, {"key": "tax_code|gst"}, follow=True)
    assert not Mapping.objects.exists()
    text = text_of(answer)
    assert "Tax code “GST” → GST on Income (10 %)" in text
    assert "is no longer mapped" in text


def test_a_target_archived_in_the_books_is_shown_as_broken(world, signed_in):
    world.document(world.sydney, FIREWALL)
    set_mapping(world.sydney, "account", "category", "Hardware", "230")
    from psaltery.ledger.models import LedgerAccount

    LedgerAccount.objects.filter(code="230").update(active=False)
    text = text_of(signed_in().get(address("mapping:index", organisation=world.sydney.pk)))
    assert "Can't be used" in text
    assert "0 %" in text


def test_search_show_and_a_trace_lead_to_the_row(world, signed_in):
    world.document(world.sydney, FIREWALL, {"source": "time", "work_type": "Remote"})
    row = set_mapping(world.sydney, "account", "category", "Hardware", "230")
    client = signed_in()
    query = {"organisation": world.sydney.pk}
    assert "Remote" not in text_of(client.get(address("mapping:index", **query, q="fw-60")))
    todo = text_of(client.get(address("mapping:index", **query, show="todo")))
    assert "FW-60" not in todo
    assert "Remote" in todo
    answer = client.get(address("mapping:index", mapping=row.pk))
    assert answer.url == address(
        "mapping:index", organisation=world.sydney.pk, list="account", kind="category", q="Hardware"
    )


def test_viewers_see_and_change_nothing(world, signed_in):
    world.document(world.sydney, FIREWALL)
    client = signed_in("viewer")
    text = text_of(client.get(address("mapping:index", organisation=world.sydney.pk)))
    assert "FW-60" in text
    assert "mapping/set" not in text
    assert client.post(address("mapping:set"), {"key": "any|", "target": "200"}).status_code == 403
    assert client.get(reverse("mapping:import")).status_code == 403
    sent = {"field": "any", "value": "", "organisation": world.sydney.pk, "do": "save"}
    client.post(reverse("mapping:routes"), sent)
    assert not Route.objects.exists()


def test_the_page_costs_the_same_whatever_the_documents(world, signed_in):
    client = signed_in()
    world.document(world.sydney, FIREWALL)

    def cost():
        with CaptureQueriesContext(connection) as queries:
            client.get(address("mapping:index", organisation=world.sydney.pk))
        return len(queries)

    cost()
    before = cost()
    for number in range(20):
        world.document(world.sydney, {**FIREWALL, "product": f"P-{number}"})
    assert cost() == before


def test_nothing_connected_says_what_to_do(transactional_db, signed_in):
    client = signed_in()
    assert "No books are connected" in text_of(client.get(reverse("mapping:index")))
    assert "No PSA is connected" in text_of(client.get(reverse("mapping:routes")))
    assert "No books are connected" in text_of(client.get(reverse("mapping:contacts")))


# Routes


def sent(world, *rules, do=""):
    names = {"Sydney": world.sydney.pk, "Auckland": world.auckland.pk, "": ""}
    return {
        "field": [rule[0] for rule in rules],
        "value": [rule[1] for rule in rules],
        "organisation": [names[rule[2]] for rule in rules],
        "do": do,
    }


def test_rules_are_tried_before_they_are_saved(world, signed_in):
    world.document(world.sydney, FIREWALL, location="Sydney")
    world.document(None, {"amount": "40"}, location="Perth")
    client = signed_in()
    data = sent(world, ("location", "sydney", "Sydney"), ("location", "Perth", "Auckland"))
    text = text_of(part(client, reverse("mapping:routes"), data, target="bench"))
    assert "nothing is saved yet" in text
    assert text.index("Auckland") < text.index("40.00") < text.index("Sydney")
    assert 'id="takes-1" hx-swap-oob="true">1<' in text
    assert "Nowhere: held" not in text
    assert not Route.objects.exists()
    data = sent(world, ("location", "sydney", "Sydney"))
    assert "Nowhere: held" in text_of(part(client, reverse("mapping:routes"), data, "bench"))


def test_rules_are_moved_added_and_removed_on_the_page(world, signed_in):
    client, url = signed_in(), reverse("mapping:routes")
    rules = [("location", "A", "Sydney"), ("location", "B", "Auckland")]
    moved = text_of(part(client, url, sent(world, *rules, do="down:0"), "routes"))
    assert moved.index('value="B"') < moved.index('value="A"')
    removed = text_of(part(client, url, sent(world, *rules, do="remove:0"), "routes"))
    assert 'id="value-1"' not in removed
    behind = [*rules, ("any", "", "Sydney")]
    added = text_of(part(client, url, sent(world, *behind, do="add"), "routes"))
    assert added.index('id="value-2"') < added.index("whatever it is")
    for odd in ("up:0", "down:99", "remove:x", "dance:1"):
        assert part(client, url, sent(world, *rules, do=odd), "routes").status_code == 200
    assert not Route.objects.exists()


def test_saved_rules_route_what_is_not_posted_anew(world, signed_in):
    held = world.document(None, FIREWALL, location="Perth")
    data = sent(world, ("location", "Perth", "Auckland"), do="save")
    answer = signed_in().post(reverse("mapping:routes"), data, follow=True)
    assert "1 documents that are not posted yet are routed anew" in text_of(answer)
    assert Posting.objects.get(document=held).organisation == world.auckland
    assert Entry.objects.filter(operation="route.set").count() == 1


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (("location", "", "Sydney"), "The value is missing"),
        (("location", "Perth", ""), "Choose the organisation"),
        (("location", "A", "Sydney"), "A rule above is for the same location"),
    ],
)
def test_rules_with_something_wrong_are_not_saved(world, signed_in, rule, words):
    data = sent(world, ("location", "a", "Sydney"), rule, do="save")
    text = text_of(signed_in().post(reverse("mapping:routes"), data))
    assert words in text
    assert "Nothing is saved" in text
    assert not Route.objects.exists()


# CSV


def upload(client, url, text):
    return client.post(url, {"file": SimpleUploadedFile("a.csv", text.encode())})


def test_a_csv_with_a_wrong_row_saves_nothing_unless_asked(world, signed_in):
    client, url = signed_in(), reverse("mapping:import")
    text = (
        "organisation,list,key_kind,key,target\nSydney,account,any,,200\nSydney,account,any,x,999\n"
    )
    answer = text_of(upload(client, url, text))
    assert "no account “999”" in answer
    assert "Save only the 1 right rows" in answer
    # Somebody who presses the other button of an older page changes nothing either.
    client.post(url, {"text": text, "save": "all"})
    assert not Mapping.objects.exists()
    done = client.post(url, {"text": text, "save": "good"}, follow=True)
    assert "1 mappings are saved." in text_of(done)
    assert Mapping.objects.get().target == "200"


def test_a_csv_of_routes_replaces_them(world, signed_in):
    add_route(world.psa, "location", "Old", world.sydney)
    client = signed_in()
    url = address("mapping:import_routes", connection=world.psa.pk)
    text = "field,value,organisation\nlocation,New,Auckland\n"
    assert "Save 1 routes" in text_of(upload(client, url, text))
    client.post(url, {"text": text, "save": "all"})
    assert list(Route.objects.values_list("value", flat=True)) == ["New"]
    exported = client.get(address("mapping:export_routes", connection=world.psa.pk))
    assert "location,New,Auckland" in text_of(exported)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_file_that_is_none_is_told(world, signed_in, content):
    answer = upload(signed_in(), reverse("mapping:import"), content)
    assert "alert-danger" in text_of(answer)


# Contacts


@pytest.fixture
def company(world):
    return Company.objects.create(
        connection=world.psa, external_id="7", identifier="acme", name="Acme Dental",
        email="accounts@acme.example", is_vendor=False, deleted=False,
    )  # fmt: skip


def a_contact(world, name, **more):
    values = {"name_key": name.casefold(), "is_customer": True, "is_supplier": False}
    values |= {"state": "active"}
    return Customer.objects.create(
        organisation=world.sydney, source="xero", external_id=f"c-{name}", name=name,
        **values | more,
    )  # fmt: skip


def test_an_unlinked_company_is_listed_linked_and_unlinked(world, signed_in, company):
    held = world.document(world.sydney, FIREWALL)
    world.hold(held, "contact_ambiguous")
    a_contact(world, "Acme Dental Pty Ltd", email="ACCOUNTS@acme.example")
    gone = a_contact(world, "Acme Dental", state="archived")
    client = signed_in()
    query = {"organisation": world.sydney.pk, "linked": "no"}
    assert "Acme Dental" in text_of(client.get(address("mapping:contacts", **query)))
    url = reverse("mapping:contact", args=[world.sydney.pk, company.pk])
    page = text_of(client.get(url))
    assert "Acme Dental Pty Ltd" in page
    assert "1,200.50" in page
    refused = client.post(url, {"contact": gone.external_id}, follow=True)
    assert "is archived in the books" in text_of(refused)
    linked = client.post(url, {"contact": "c-Acme Dental Pty Ltd"}, follow=True)
    assert "Acme Dental is Acme Dental Pty Ltd. 1 held document goes again." in text_of(linked)
    assert ContactLink.objects.get().how == "person"
    assert "No companies match" in text_of(client.get(address("mapping:contacts", **query)))
    unlink = reverse("mapping:unlink", args=[world.sydney.pk, company.pk])
    client.post(unlink)
    assert not ContactLink.objects.exists()


def test_contacts_are_searched_by_every_word(world, signed_in, company):
    a_contact(world, "Zebra Dental Holdings")
    url = reverse("mapping:contact", args=[world.sydney.pk, company.pk])
    client = signed_in()
    assert "Zebra Dental" in text_of(client.get(url, {"q": "holdings zebra"}))
    assert "No contact resembles it" in text_of(client.get(url, {"q": "zebra bakery"}))


def test_history_of_the_books_is_suggested_and_taken_with_one_click(world, signed_in):
    for number in range(3):
        document = world.document(world.sydney, FIREWALL, state="in_step")
        BillingInvoiceLine.objects.create(
            organisation=world.sydney, invoice_external_id=f"i{number}", position=0,
            description="Firewall", quantity=1, unit_amount="1200.50", line_amount="1200.50",
            tax_amount=0, tax_type="OUTPUT", account_code="230",
        )  # fmt: skip
        Link.objects.create(
            document=document, organisation=world.sydney, books_kind="invoice",
            books_id=f"i{number}", number=document.number, total=document.total, tax=0,
            how="adopted",
        )  # fmt: skip
    client = signed_in()
    text = text_of(client.get(address("mapping:index", organisation=world.sydney.pk)))
    assert 'value="230 Hardware Sales"' in text
    assert "3 of 3" in text
    data = {"key": "category|Hardware", "target": "230 Hardware Sales"}
    client.post(address("mapping:set", organisation=world.sydney.pk), data)
    assert Mapping.objects.get().target == "230"
