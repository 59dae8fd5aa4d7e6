"""Each repair against both sandboxes: a document is held, repaired by its button, and in step."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from psaltery.accounts.models import Person, Role
from psaltery.mapping.models import Mapping, Route
from psaltery.posting.models import Link, Posting
from psaltery.review.models import Card
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writer(client: Client) -> Client:
    """A bookkeeper's browser."""
    bea = Person.objects.create_user("bea@example.com", name="Bea", role=Role.BOOKKEEPER)
    client.force_login(bea, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


LINES = [
    {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"},
    {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "165"},
]


def held(rig: Rig, code: str, **invoice) -> Card:
    """A new invoice is held for this reason; its card."""
    rig.close_invoice(
        **{"company": 1, "location": "Sydney", "tax_code": "GST", "lines": LINES, **invoice}
    )
    rig.sync()
    card = Card.objects.get(state="open")
    assert card.code == code, card.sentence
    return card


def press(writer: Client, card: Card, name: str, **answers: str) -> str:
    """Send a repair's form; the flash sentence that comes with the page after it."""
    address = reverse("review:repair", args=[card.pk, name])
    sent = {f"{name}-{field}": value for field, value in answers.items()}
    page = writer.post(address, sent, follow=True)
    assert page.status_code == 200
    said = [str(message) for message in page.context["messages"]]
    assert said, page.content.decode()
    return said[0]


def in_step(rig: Rig, card: Card) -> Posting:
    """The worker goes on; the document is in the books to the cent and the card is closed."""
    rig.work()
    posting = Posting.objects.select_related("document").get()
    assert posting.state == Posting.State.IN_STEP, posting.why
    link = Link.objects.get()
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert Decimal(invoice["Total"]) == posting.document.total
    card.refresh_from_db()
    assert card.state == Card.State.RESOLVED
    assert card.resolved_by == "bea@example.com"
    return posting


def test_an_account_is_mapped_for_all_that_no_other_mapping_takes(rig, writer):
    Mapping.objects.filter(list="account").delete()
    card = held(rig, "account_unmapped", lines=LINES[:1])
    page = writer.get(reverse("review:card", args=[card.pk]))
    form = page.context["ways"][0].form
    scopes = [value for value, _ in form.fields["scope"].choices]
    assert scopes[-1] == "any|"
    said = press(writer, card, "map_account", target="200", scope="any|")
    assert "Everything else → 200. 1 document was released" in said
    assert "AUD" in said
    in_step(rig, card)
    assert Mapping.objects.get(list="account").key_kind == "any"
