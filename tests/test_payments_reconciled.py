"""Where payments count once they are reconciled, the PSA hears of none before."""

from decimal import Decimal

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from tests.test_payments_taken import due, enter, take_payments

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Feed
from psaltery.connections.opening import open_psa
from psaltery.matching import carry_out
from psaltery.matching.models import PaymentBack
from psaltery.matching.tieout.service import tie_out
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.testing.http_calls import call
from psaltery.testing.processes import LiveApp
from psaltery.testing.rig import Rig
from psaltery.testing.signed_in import signed_in_as
from psaltery.testing.situations import at
from psaltery.testing.writes import balance, posted, want
from psaltery.web import assets

pytestmark = pytest.mark.django_db(transaction=True)
DAY = "2026-10-02"


@pytest.fixture
def link(rig: Rig) -> Link:
    """An invoice that is in the books, in an office that counts what is reconciled."""
    rig.organisations = [at(rig, "Sydney")]
    Feed.objects.exclude(organisation__in=[*rig.organisations, rig.site]).delete()
    want(rig, payments_reconciled=True)
    return posted(rig)


def pay(rig: Rig, link: Link, amount: str) -> str:
    paid: str = rig.pay(link, Decimal(amount), DAY)["Payments"][0]["PaymentID"]
    return paid


def reconcile(rig: Rig, link: Link, payment: str) -> None:
    """The bookkeeper matches it with the bank's statement."""
    tenant = link.organisation.external_id
    body = {"tenant": tenant, "kind": "Payments", "id": payment, "raw": True}
    call(f"{rig.books_url}/_control/edit", "POST", {**body, "changes": {"IsReconciled": True}})


def explained(link: Link) -> dict[str, Decimal]:
    """Cause → money, of a tie-out of now."""
    row = tie_out(link.organisation, "ann@example.com")
    return {part.cause: part.amount for part in row.documents.all()}


def open_in_psa(rig: Rig, link: Link) -> Decimal:
    assert not Card.objects.filter(state="open").exists()
    return balance(rig, link)


def test_a_payment_counts_when_the_bank_shows_it(rig: Rig, link: Link):
    total = link.total
    first, _ = pay(rig, link, "60"), pay(rig, link, "30")
    rig.sync()
    assert open_in_psa(rig, link) == total
    why = PaymentBack.objects.get().why
    assert why == "90.00 is paid in the books and waits to be reconciled with the bank."
    assert explained(link) == {"not_reconciled": Decimal(90)}
    reconcile(rig, link, first)
    rig.sync()
    assert open_in_psa(rig, link) == total - 60
    rig.sync()
    assert explained(link) == {"not_reconciled": Decimal(30)}


def test_the_switch_is_followed_at_once_both_ways(rig: Rig, link: Link):
    pay(rig, link, "60")
    rig.sync()
    assert open_in_psa(rig, link) == link.total
    want(rig, payments_reconciled=False)
    rig.sync()
    assert open_in_psa(rig, link) == due(rig, link) == link.total - 60
    want(rig, payments_reconciled=True)
    rig.sync()
    assert open_in_psa(rig, link) == link.total


def test_a_reconciled_payment_that_is_removed_goes_from_the_psa(rig: Rig, link: Link):
    payment = pay(rig, link, "60")
    reconcile(rig, link, payment)
    rig.sync()
    assert open_in_psa(rig, link) == link.total - 60
    tenant = link.organisation.external_id
    # Unreconciled and removed by hand, as Xero asks for.
    body = {"tenant": tenant, "kind": "Payments", "id": payment}
    undo = {**body, "raw": True, "changes": {"IsReconciled": False}}
    call(f"{rig.books_url}/_control/edit", "POST", undo)
    rig.remove_payment(link, payment)
    rig.sync()
    assert open_in_psa(rig, link) == link.total == due(rig, link)


@pytest.mark.journey
@pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup")
def test_it_is_switched_on_its_page_and_the_document_says_what_waits(
    rig: Rig, link: Link, page: Page, live_app: LiveApp, console: list[str]
):
    want(rig, payments_reconciled=False)
    pay(rig, link, "60")
    rig.sync()
    assert open_in_psa(rig, link) == link.total - 60
    bea = Person.objects.create_user("bea@example.com", name="Bea", role=Role.ADMIN)
    signed_in_as(bea, page, live_app.url)
    page.goto(f"{live_app.url}{reverse('sync:organisation', args=[link.organisation_id])}")
    page.get_by_label("Payments count once they are reconciled").check()
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("Saved: payments count once they are reconciled")).to_be_visible()
    rig.sync()
    assert open_in_psa(rig, link) == link.total
    page.goto(f"{live_app.url}{reverse('posting:document', args=[link.document_id])}")
    expect(page.get_by_text("waits to be reconciled with the bank").first).to_be_visible()
    assert console == []


def test_what_was_entered_in_the_psa_waits_for_no_bank(rig: Rig, link: Link):
    take_payments(link.organisation)
    enter(rig, link, "60", DAY)
    pay(rig, link, "30")
    for _ in range(2):
        rig.sync()
    assert open_in_psa(rig, link) == link.total - 60
    assert PaymentBack.objects.get().why.startswith("30.00 is paid")
    assert explained(link) == {"not_reconciled": Decimal(30)}


def test_a_setting_that_changes_while_it_is_decided_is_followed(rig: Rig, link: Link):
    pay(rig, link, "60")
    for feed in link.organisation.feeds.all():
        rig.read(feed)
    (chosen,) = carry_out.waiting(link.organisation, 5)
    want(rig, payments_reconciled=False)
    # By a worker that chose the row before: what it read of the organisation is old.
    carry_out.carry_out(chosen, open_psa(rig.site), carry_out.Report())
    assert open_in_psa(rig, link) == link.total - 60
