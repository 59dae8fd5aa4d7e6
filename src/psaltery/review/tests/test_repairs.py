"""Each repair against both sandboxes: a document is held, repaired by its button, and in step."""

from decimal import Decimal

import httpx2
import pytest
from django.test import Client
from django.urls import reverse

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Feed, Organisation
from psaltery.desk.models import Company
from psaltery.ledger.models import BillingInvoice, Customer, LedgerTrackingOption
from psaltery.mapping.models import ContactLink, Mapping, Route
from psaltery.mapping.service import set_mapping
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)

PERSON = "bea@example.com"
LINES = [
    {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"},
    {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "165"},
]


@pytest.fixture
def writer(client: Client) -> Client:
    """A bookkeeper's browser."""
    bea = Person.objects.create_user(PERSON, name="Bea", role=Role.BOOKKEEPER)
    client.force_login(bea, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def sydney(rig: Rig) -> Organisation:
    return next(one for one in rig.organisations if "Sydney" in one.name)


def close(rig: Rig, **invoice):
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": LINES, **invoice}
    return rig.close_invoice(**given)


def held(rig: Rig, code: str, **invoice) -> Card:
    """A new invoice is held for this reason; its card."""
    close(rig, **invoice)
    rig.sync()
    return the_card(code)


def the_card(code: str) -> Card:
    found = list(Card.objects.filter(state="open").exclude(topic="drift"))
    assert [card.code for card in found] == [code], [card.sentence for card in found]
    return found[0]


def press(writer: Client, card: Card, name: str, /, **answers: str) -> str:
    """Send a repair's form; the flash sentence that comes with the page after it."""
    address = reverse("review:repair", args=[card.pk, name])
    sent = {f"{name}-{field}": value for field, value in answers.items()}
    page = writer.post(address, sent, follow=True)
    assert page.status_code == 200
    said = [str(message) for message in page.context["messages"]]
    errors = [way.form.errors for way in page.context["ways"] if way.form.is_bound]
    assert said, errors
    return said[0]


def refused(writer: Client, card: Card, name: str, /, **answers: str) -> str:
    """Send a form that is refused: what the page says beside it. The card stays open."""
    address = reverse("review:repair", args=[card.pk, name])
    page = writer.post(address, {f"{name}-{key}": value for key, value in answers.items()})
    card.refresh_from_db()
    assert card.state == Card.State.OPEN
    (way,) = (way for way in page.context["ways"] if way.form.is_bound)
    return " ".join(text for texts in way.form.errors.values() for text in texts)


def in_step(rig: Rig, card: Card) -> Posting:
    """The worker goes on; the document is in the books to the cent and the card is closed."""
    rig.work()
    posting = Posting.objects.select_related("document").get()
    assert posting.state == Posting.State.IN_STEP, posting.why
    link = Link.objects.get()
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert Decimal(invoice["Total"]) == posting.document.total
    closed(card)
    assert not Card.objects.exclude(state="resolved").exists()
    return posting


def closed(card: Card, by: str = PERSON) -> None:
    card.refresh_from_db()
    assert (card.state, card.resolved_by) == (Card.State.RESOLVED, by)


def scopes(writer: Client, card: Card) -> list[str]:
    page = writer.get(reverse("review:card", args=[card.pk]))
    return [value for value, _ in page.context["ways"][0].form.fields["scope"].choices]


def test_an_account_is_mapped_for_all_that_no_other_mapping_takes(rig, writer):
    Mapping.objects.filter(list="account").delete()
    close(rig)
    rig.sync()
    first, second = Card.objects.filter(state="open").order_by("pk")
    assert {first.code, second.code} == {"account_unmapped"}
    assert scopes(writer, first)[-1] == "any|"
    said = press(writer, first, "map_account", target="200", scope="any|")
    assert "Everything else → 200. 1 document was released" in said
    assert "AUD" in said
    # The same answer ends the other cause, too.
    in_step(rig, first)
    assert Mapping.objects.get(list="account").key_kind == "any"


def test_an_account_is_mapped_for_one_product(rig, writer):
    Mapping.objects.filter(list="account").delete()
    card = held(rig, "account_unmapped", lines=LINES[:1])
    product = scopes(writer, card)[0]
    assert product.startswith("product|")
    press(writer, card, "map_account", target="200", scope=product)
    in_step(rig, card)
    assert Mapping.objects.get(list="account").key == product.partition("|")[2]


def test_answers_are_checked_and_nothing_is_lost(rig, writer):
    Mapping.objects.filter(list="account").delete()
    card = held(rig, "account_unmapped", lines=LINES[:1])
    assert "required" in refused(writer, card, "map_account", target="", scope="any|")
    assert "not one of" in refused(writer, card, "map_account", target="999", scope="any|")
    assert not Mapping.objects.filter(list="account").exists()


def test_an_account_archived_in_the_books_is_replaced_wherever_it_is_mapped(rig, writer):
    organisation = sydney(rig)
    set_mapping(organisation, "account", "source", "product", "260")
    set_mapping(organisation, "account", "source", "time", "260")
    account = next(
        row for row in rig.in_books(organisation, "Accounts")["Accounts"] if row["Code"] == "260"
    )
    edit(rig, organisation, "Accounts", account["AccountID"], Status="ARCHIVED")
    rig.read(Feed.objects.get(organisation=organisation, name="settings"))
    card = held(rig, "account_archived")
    assert "Kind of line" in press(writer, card, "map_account", target="200")
    in_step(rig, card)
    assert not Mapping.objects.filter(target="260").exists()


def edit(rig: Rig, organisation: Organisation, kind: str, identifier: str, **changes):
    """A person changes something in the books' own pages."""
    body = {"tenant": organisation.external_id, "kind": kind, "id": identifier, "changes": changes}
    control(f"{rig.books_url}/_control/edit", body)


def control(address: str, body) -> None:
    with httpx2.Client() as browser:
        answer = browser.post(address, json=body)
    assert answer.is_success, answer.text


def test_a_tax_rate_is_mapped(rig, writer):
    Mapping.objects.filter(list="tax", key="GST").delete()
    card = held(rig, "tax_unmapped")
    assert "Tax code “GST” → OUTPUT. 1 document" in press(writer, card, "map_tax", target="OUTPUT")
    in_step(rig, card)


def test_a_tax_rate_that_gives_another_tax_is_replaced(rig, writer):
    set_mapping(sydney(rig), "tax", "tax_code", "GST", "EXEMPTOUTPUT")
    card = held(rig, "tax_mismatch")
    press(writer, card, "map_tax", target="OUTPUT")
    in_step(rig, card)


def test_a_tracking_option_is_mapped(rig, writer):
    option = LedgerTrackingOption.objects.filter(organisation=sydney(rig), active=True).first()
    set_mapping(sydney(rig), "tracking", "location", "Perth", option.external_id)
    card = held(rig, "tracking_unmapped")
    press(writer, card, "map_tracking", target=option.external_id)
    in_step(rig, card)


def test_a_route_is_added_for_the_location(rig, writer):
    Route.objects.all().delete()
    card = held(rig, "no_route")
    assert scopes(writer, card)[0] == "location|Sydney"
    assert scopes(writer, card)[-1] == "any|"
    target = str(sydney(rig).pk)
    said = press(writer, card, "add_route", organisation=target, scope="location|Sydney")
    assert "Location Sydney goes to" in said
    posting = in_step(rig, card)
    assert posting.trace["route"]["value"] == "Sydney"


def test_a_route_is_added_for_everything_else(rig, writer):
    Route.objects.all().delete()
    card = held(rig, "no_route")
    press(writer, card, "add_route", organisation=str(sydney(rig).pk), scope="any|")
    in_step(rig, card)
    assert Route.objects.get().field == "any"


def two_contacts(rig: Rig) -> None:
    """Two contacts of the books with the name of the company."""
    name = "Alder Legal"
    for suffix in ("Pty Ltd", "Limited"):
        rig.write_books(sydney(rig), "Contacts", {"Name": f"{name} {suffix}"})


def test_a_contact_is_linked_and_is_what_the_document_is_posted_to(rig, writer):
    two_contacts(rig)
    card = held(rig, "contact_ambiguous")
    page = writer.get(reverse("review:card", args=[card.pk]))
    shown = [one.name for one, _ in page.context["ways"][0].more["contacts"]]
    assert shown[:2] == ["Alder Legal Limited", "Alder Legal Pty Ltd"]
    chosen = Customer.objects.get(organisation=sydney(rig), name="Alder Legal Limited")
    press(writer, card, "link_contact", contact=chosen.external_id)
    in_step(rig, card)
    link = Link.objects.get()
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert invoice["Contact"]["ContactID"] == chosen.external_id


def test_contacts_are_searched(rig, writer):
    two_contacts(rig)
    rig.write_books(sydney(rig), "Contacts", {"Name": "Quite another"})
    card = held(rig, "contact_ambiguous")
    answer = writer.get(reverse("review:contacts", args=[card.pk]), {"contact_q": "quite"})
    assert b"Quite another" in answer.content
    assert b"Alder" not in answer.content
    assert refused(writer, card, "link_contact", contact="") == (
        "Choose the contact that the company is."
    )
    assert "no such contact" in refused(writer, card, "link_contact", contact="nonsense")


def test_a_contact_is_created_under_a_name_of_its_own(rig, writer):
    two_contacts(rig)
    card = held(rig, "contact_ambiguous")
    said = press(writer, card, "create_contact", name="Alder Legal (IT)")
    assert "Alder Legal (IT) was created" in said
    in_step(rig, card)
    assert ContactLink.objects.get().contact_name == "Alder Legal (IT)"


def test_a_name_in_use_is_refused_in_the_words_of_the_books(rig, writer):
    two_contacts(rig)
    card = held(rig, "contact_ambiguous")
    assert "already" in refused(writer, card, "create_contact", name="Alder Legal Limited")


def test_an_archived_contact_is_restored(rig, writer):
    organisation = sydney(rig)
    made = rig.write_books(organisation, "Contacts", {"Name": "Alder Legal"})["Contacts"][0]
    edit(rig, organisation, "Contacts", made["ContactID"], ContactStatus="ARCHIVED")
    card = held(rig, "contact_archived")
    said = press(writer, card, "restore_contact")
    assert "Alder Legal was restored" in said
    in_step(rig, card)
    there = rig.in_books(organisation, f"Contacts/{made['ContactID']}")["Contacts"][0]
    assert there["ContactStatus"] == "ACTIVE"


def clash(rig: Rig, amount: str) -> Card:
    """The books have an invoice of the number already."""
    line = {"Description": "By hand", "Quantity": 1, "UnitAmount": amount, "AccountCode": "200"}
    body = {
        "Type": "ACCREC",
        "InvoiceNumber": "INV-77",
        "Contact": {"Name": "Alder Legal"},
        "Date": "2026-11-01",
        "DueDate": "2026-11-20",
        "Status": "AUTHORISED",
        "LineItems": [{**line, "TaxType": "OUTPUT"}],
    }
    rig.write_books(sydney(rig), "Invoices", body)
    return held(rig, "number_taken", number="INV-77")


def test_a_document_of_the_books_is_adopted_and_brought_to_the_total(rig, writer):
    card = clash(rig, "50.00")
    page = writer.get(reverse("review:card", args=[card.pk]))
    assert page.context["ways"][0].more["books"].total == Decimal("55.00")
    press(writer, card, "adopt")
    in_step(rig, card)
    link = Link.objects.get()
    assert link.how == "adopted"
    assert link.books_id == card.details["books_id"]


def test_a_document_is_skipped_and_stays_so(rig, writer):
    card = clash(rig, "50.00")
    said = press(writer, card, "skip")
    assert "1 document was skipped" in said
    closed(card)
    posting = Posting.objects.get()
    assert (posting.state, posting.skipped_by) == (Posting.State.SKIPPED, PERSON)
    number = {"number": "INV-77", "fields": {"reference": "changed"}}
    control(f"{rig.psa_url}/_control/edit_invoice", number)
    rig.sync()
    posting.refresh_from_db()
    assert posting.state == Posting.State.SKIPPED
    assert not Link.objects.exists()


def posted_then_voided_then_changed(rig: Rig) -> Card:
    close(rig, number="INV-88")
    rig.sync()
    link = Link.objects.get()
    edit(rig, link.organisation, "Invoices", link.books_id, Status="VOIDED")
    body = {"number": "INV-88", "stale": True, "lines": [{**LINES[0], "quantity": "3"}]}
    control(f"{rig.psa_url}/_control/edit_invoice", body)
    rig.sync()
    return the_card("voided_in_books")


def test_a_voided_document_is_posted_again(rig, writer):
    card = posted_then_voided_then_changed(rig)
    old = Link.objects.get().books_id
    press(writer, card, "repost")
    rig.work()
    closed(card)
    # The sandbox does not give the number of a voided invoice free; Xero's own habit is unknown.
    card = the_card("number_taken")
    assert "voided" in refused(writer, card, "adopt")
    assert "taken" in refused(writer, card, "renumber", number="INV-88")
    said = press(writer, card, "renumber", number="INV-88-2")
    assert "INV-88 is posted as INV-88-2" in said
    in_step(rig, card)
    assert Link.objects.get().books_id != old
    assert Link.objects.get().number == "INV-88-2"


def test_a_document_whose_number_is_taken_is_posted_under_another(rig, writer):
    card = clash(rig, "50.00")
    press(writer, card, "renumber", number="INV-77-2")
    posting = in_step(rig, card)
    assert Link.objects.get().number == "INV-77-2"
    row = posting.document
    body = {"number": "INV-77", "stale": True, "lines": [{**LINES[0], "quantity": "3"}]}
    control(f"{rig.psa_url}/_control/edit_invoice", body)
    rig.sync()
    row.refresh_from_db()
    link = Link.objects.get()
    assert (link.number, link.total) == ("INV-77-2", row.total)
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert (invoice["InvoiceNumber"], Decimal(invoice["Total"])) == ("INV-77-2", row.total)


def test_the_books_are_kept_as_they_are(rig, writer):
    card = posted_then_voided_then_changed(rig)
    said = press(writer, card, "accept_books")
    assert "stay as they are for INV-88" in said
    rig.sync()
    closed(card)
    assert Posting.objects.get().state == Posting.State.IN_STEP
    assert BillingInvoice.objects.filter(number="INV-88", status="voided").count() == 1
    assert not Card.objects.filter(state="open").exists()


def test_it_is_tried_again_after_it_was_mended_elsewhere(rig, writer):
    saved = Mapping.objects.get(list="tax", key="GST", organisation=sydney(rig))
    Mapping.objects.filter(list="tax", key="GST").delete()
    card = held(rig, "tax_unmapped")
    saved.pk = None
    saved.save()
    assert "Tried again. 1 document was released" in press(writer, card, "retry")
    in_step(rig, card)


def test_settings_are_read_again_after_a_currency_was_added(rig, writer):
    organisation = sydney(rig)
    card = held(rig, "currency_not_subscribed", company=3)
    rig.write_books(organisation, "Currencies", {"Code": "NZD", "Description": "Dollar"})
    press(writer, card, "read_settings")
    rig.read(Feed.objects.get(organisation=organisation, name="settings"))
    rig.work()
    rig.work()
    assert Posting.objects.get().state == Posting.State.IN_STEP, Posting.objects.get().why
    assert Company.objects.exists()


def test_a_resolved_card_and_an_unknown_repair_are_refused(rig, writer):
    Mapping.objects.filter(list="tax", key="GST").delete()
    card = held(rig, "tax_unmapped")
    page = writer.post(reverse("review:repair", args=[card.pk, "adopt"]), follow=True)
    assert "offers" in str(next(iter(page.context["messages"])))
    press(writer, card, "retry")
    page = writer.post(reverse("review:repair", args=[card.pk, "retry"]), follow=True)
    assert page.status_code == 200
    card.refresh_from_db()
    assert card.resolution == "Tried again"
