"""What procurement received becomes bills: to the cent, and nothing unseen."""

from decimal import Decimal

import pytest

from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Feed
from psaltery.mapping.models import ContactLink, Mapping
from psaltery.mapping.service import set_mapping
from psaltery.mapping.targets import Targets
from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import Policy, read_policy
from psaltery.records.books import Status
from psaltery.review.models import Card
from psaltery.sync import push
from psaltery.sync.coverage import coverage_of, lists_of
from psaltery.sync.organisations import Wanted, change
from psaltery.sync.repairs import repair
from psaltery.testing.orders import COSTS, order, receive, reprice, take_bills, vendor
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)
BOOKKEEPER = "robin@example.test"


def bills(rig: Rig, organisation):
    answer = rig.in_books(organisation, "Invoices", where='Type=="ACCPAY"')
    return [row for row in answer["Invoices"] if row["Status"] not in ("DELETED", "VOIDED")]


def states():
    return dict(Posting.objects.values_list("document__number", "state"))


def the_card(code: str) -> Card:
    found = list(Card.objects.filter(state="open"))
    assert [card.code for card in found] == [code], [card.sentence for card in found]
    return found[0]


def mend(rig: Rig, code: str, name: str, **answers: str) -> None:
    repair(the_card(code), name, answers, BOOKKEEPER)
    rig.work()


def set_status(rig: Rig, link: Link, status: str) -> None:
    rig.write_books(link.organisation, f"Invoices/{link.books_id}", {"Status": status}, "POST")


def by_hand(rig: Rig, organisation, contact: str, number: str, amount: str, **more):
    """The bookkeeper had entered the bill before Psaltery came."""
    line = {"Description": "Goods", "Quantity": 1, "UnitAmount": amount, "AccountCode": COSTS}
    body = {
        "Type": "ACCPAY",
        "InvoiceNumber": number,
        "Contact": {"ContactID": contact},
        "LineItems": [{**line, "TaxType": "INPUT"}],
        **more,
    }
    return rig.write_books(organisation, "Invoices", body)["Invoices"][0]


def contact(rig: Rig, organisation, name: str) -> str:
    made = rig.write_books(organisation, "Contacts", {"Name": name})["Contacts"][0]
    rig.read(Feed.objects.get(organisation=organisation, name="contacts"))
    return str(made["ContactID"])


def test_a_received_order_becomes_a_draft_bill_to_the_cent(rig: Rig):
    organisation = take_bills(rig)
    received = receive(rig, order(rig, vendor(rig), (3, "99.95"), freight="15"), "PS1", "INV-77")
    rig.sync()
    (bill,) = bills(rig, organisation)
    assert states() == {"INV-77": "in_step"}
    link = Link.objects.get()
    assert (link.books_kind, link.books_id) == ("bill", bill["InvoiceID"])
    assert bill["InvoiceNumber"] == "INV-77"
    assert bill["Status"] == "DRAFT"
    assert bill["Contact"]["Name"] == "Northgate Distribution"
    assert Decimal(bill["Total"]) == Decimal(received["total"]) == Decimal("344.84")
    whole = rig.in_books(organisation, f"Invoices/{bill['InvoiceID']}")["Invoices"][0]
    assert [line["AccountCode"] for line in whole["LineItems"]] == [COSTS, COSTS]
    assert [line["TaxType"] for line in whole["LineItems"]] == ["INPUT", "EXEMPTEXPENSES"]
    assert whole["Url"].endswith("#PS1")
    assert link.psa_batch_id
    assert not Card.objects.exists()


def test_bills_are_skipped_until_they_are_wanted(rig: Rig):
    organisation = take_bills(rig, bills=False)
    receive(rig, order(rig, vendor(rig)), "PS1", "INV-77")
    rig.sync()
    assert states() == {"INV-77": "skipped"}
    wanted = Policy(bills=True, bill_status=Status.SUBMITTED)
    change(organisation, Wanted(policy=wanted))
    assert read_policy(organisation.settings) == wanted
    rig.work()
    assert states() == {"INV-77": "in_step"}
    assert [bill["Status"] for bill in bills(rig, organisation)] == ["SUBMITTED"]


@pytest.fixture
def unmarked(monkeypatch):
    """Orders stay open for corrections: a line that is in a batch can't change in the PSA."""
    monkeypatch.setattr(push, "mark", lambda organisation: False)


def test_an_edit_is_written_through_to_a_draft(rig: Rig, unmarked):
    organisation = take_bills(rig)
    made = order(rig, vendor(rig), (1, "100"))
    receive(rig, made, "PS1", "INV-77")
    rig.sync()
    reprice(rig, made, "120")
    rig.sync()
    (bill,) = bills(rig, organisation)
    assert Decimal(bill["Total"]) == Decimal("132.00")
    assert states() == {"INV-77": "in_step"}


def test_an_approved_bill_is_not_changed_behind_who_approved_it(rig: Rig, unmarked):
    organisation = take_bills(rig)
    made = order(rig, vendor(rig), (1, "100"))
    receive(rig, made, "PS1", "INV-77")
    rig.sync()
    link = Link.objects.select_related("organisation").get()
    set_status(rig, link, "AUTHORISED")
    reprice(rig, made, "120")
    rig.sync()
    assert states() == {"INV-77": "held"}
    assert "was approved in the books" in the_card("status_not_editable").sentence
    assert Decimal(bills(rig, organisation)[0]["Total"]) == Decimal("110.00")
    mend(rig, "status_not_editable", "accept_books")
    assert states() == {"INV-77": "in_step"}


def test_an_account_that_is_missing_is_mapped_from_the_card_for_purchases_only(rig: Rig):
    organisation = take_bills(rig, mapped=False)
    receive(rig, order(rig, vendor(rig)), "PS1", "INV-77")
    rig.sync()
    card = the_card("account_unmapped")
    assert "no purchase account" in card.sentence
    coverage = coverage_of(
        organisation, "purchase_account", Targets(organisation, "purchase_account")
    )
    assert (coverage.lines, coverage.per_cent, coverage.gaps) == (1, 0, 1)
    mend(rig, "account_unmapped", "map_account", target=COSTS)
    assert states() == {"INV-77": "in_step"}
    row = Mapping.objects.get(organisation=organisation, list="purchase_account")
    assert row.target == COSTS
    assert len(bills(rig, organisation)) == 1


def test_a_revenue_account_is_refused_for_purchases(rig: Rig):
    organisation = take_bills(rig)
    for code in ("200", "090", "800"):
        with pytest.raises(BadSettings):
            set_mapping(organisation, "purchase_account", "any", "", code)
    assert dict(Targets(organisation, "purchase_account").choices()).keys() >= {"310", "630"}


def test_purchase_lists_show_only_where_bills_are_posted(rig: Rig):
    organisation = take_bills(rig)
    other = next(one for one in rig.organisations if one.pk != organisation.pk)
    assert [name for name, _ in lists_of(other)] == ["account", "tax", "tracking"]
    assert "purchase_tax" in dict(lists_of(organisation))


def test_a_vendor_that_the_books_lack_is_asked_for_where_that_is_wished(rig: Rig):
    organisation = take_bills(rig, create_contacts=False)
    receive(rig, order(rig, vendor(rig)), "PS1", "INV-77")
    rig.sync()
    mend(rig, "contact_missing", "create_contact")
    assert states() == {"INV-77": "in_step"}
    assert bills(rig, organisation)[0]["Contact"]["Name"] == "Northgate Distribution"


def test_a_bill_without_the_vendors_number_waits_for_a_person(rig: Rig):
    organisation = take_bills(rig)
    made = receive(rig, order(rig, vendor(rig)), "PS1")
    rig.sync()
    assert not bills(rig, organisation)
    mend(rig, "vendor_number_missing", "post_anyway")
    assert [bill["InvoiceNumber"] for bill in bills(rig, organisation)] == [
        f"{made['poNumber']}/PS1"
    ]


def test_one_invoice_of_a_vendor_received_twice_is_asked_about(rig: Rig):
    organisation = take_bills(rig)
    made = order(rig, vendor(rig), (4, "50"))
    receive(rig, made, "PS1", "INV-77", {1: 1})
    receive(rig, made, "PS2", "INV-77")
    rig.sync()
    assert sorted(Posting.objects.values_list("state", flat=True)) == ["held", "in_step"]
    assert "received twice" in the_card("bill_twice").sentence
    assert len(bills(rig, organisation)) == 1
    mend(rig, "bill_twice", "post_anyway")
    # The first one has the number already, at the same vendor's: it is linked, so it is another.
    totals = sorted(Decimal(bill["Total"]) for bill in bills(rig, organisation))
    assert totals == [Decimal("55.00"), Decimal("165.00")]


def test_two_vendors_may_use_one_number(rig: Rig):
    organisation = take_bills(rig)
    receive(rig, order(rig, vendor(rig, "Northgate Distribution")), "PS1", "1001")
    receive(rig, order(rig, vendor(rig, "Tasman Components")), "PS1", "1001")
    rig.sync()
    names = {bill["Contact"]["Name"] for bill in bills(rig, organisation)}
    assert names == {"Northgate Distribution", "Tasman Components"}
    for link in Link.objects.select_related("document"):
        there = rig.in_books(organisation, f"Invoices/{link.books_id}")["Invoices"][0]
        assert there["Contact"]["Name"] == link.document.company_name
    assert len(set(Link.objects.values_list("psa_batch_id", flat=True))) == 2


def test_a_bill_that_was_entered_by_hand_is_adopted(rig: Rig):
    organisation = take_bills(rig)
    known = contact(rig, organisation, "Northgate Distribution")
    there = by_hand(rig, organisation, known, "INV-77", "300")
    receive(rig, order(rig, vendor(rig), (3, "100")), "PS1", "INV-77")
    rig.sync()
    assert Link.objects.get().books_id == there["InvoiceID"]
    assert Link.objects.get().how == "adopted"
    assert len(bills(rig, organisation)) == 1


@pytest.mark.parametrize("choice", ["adopt", "post_anyway"])
def test_a_bill_that_agrees_partly_is_asked_about(rig: Rig, choice):
    organisation = take_bills(rig)
    known = contact(rig, organisation, "Northgate Distribution")
    there = by_hand(rig, organisation, known, "INV-77", "290")
    receive(rig, order(rig, vendor(rig), (3, "100")), "PS1", "INV-77")
    rig.sync()
    card = the_card("bill_taken")
    assert "319.00" in card.sentence
    assert "330.00" in card.sentence
    mend(rig, "bill_taken", choice)
    totals = sorted(Decimal(bill["Total"]) for bill in bills(rig, organisation))
    if choice == "adopt":
        assert Link.objects.get().books_id == there["InvoiceID"]
        assert totals == [Decimal("330.00")]
    else:
        assert totals == [Decimal("319.00"), Decimal("330.00")]


def test_another_vendors_bill_of_the_number_is_no_reason_to_wait(rig: Rig):
    organisation = take_bills(rig)
    other = contact(rig, organisation, "Somebody Else")
    by_hand(rig, organisation, other, "INV-77", "12")
    receive(rig, order(rig, vendor(rig), (3, "100")), "PS1", "INV-77")
    rig.sync()
    assert states() == {"INV-77": "in_step"}
    assert len(bills(rig, organisation)) == 2


def test_an_expense_is_owed_to_the_member_whom_a_person_has_named(rig: Rig):
    organisation = take_bills(rig, bills=False, expenses="bills")
    line = {"kind": "expense", "description": "Parking", "price": "24.50", "member": 1}
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=[line])
    rig.sync()
    card = the_card("contact_missing")
    member = card.subject
    rig.write_books(organisation, "Contacts", {"Name": member})
    rig.sync()
    (bill,) = bills(rig, organisation)
    assert (bill["Contact"]["Name"], Decimal(bill["Total"])) == (member, Decimal("24.50"))
    assert bill["InvoiceNumber"].startswith("EXP-")
    assert ContactLink.objects.get(company__external_id__startswith="member:").how == "name"
    assert set(states().values()) == {"in_step"}
    assert Link.objects.get(books_kind="bill").psa_batch_id
