"""Where the PSA takes several payments an invoice, it may show each payment of the books."""

from decimal import Decimal
from typing import Any

import pytest
from tests.test_payments_taken import due, take_payments

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure, Rejected
from psaltery.connections.models import Feed
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.review.queries import cards, money_of
from psaltery.sync import payments
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at
from psaltery.testing.writes import balance, posted, want

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = "2026-10-02", "2026-10-09"


@pytest.fixture
def link(rig: Rig) -> Link:
    """An invoice that is in the books, in an office whose PSA shows each payment."""
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": True})
    rig.organisations = [at(rig, "Sydney")]
    Feed.objects.exclude(organisation__in=[*rig.organisations, rig.site]).delete()
    want(rig, payments_each=True)
    return posted(rig)


def shown(rig: Rig, link: Link) -> list[tuple[Decimal, str]]:
    rows = rig.psa_payments(link.document)
    return sorted((Decimal(str(row["amount"])), row["paymentDate"][:10]) for row in rows)


def in_step(rig: Rig, link: Link) -> None:
    assert PaymentBack.objects.get().state == "in_step"
    assert balance(rig, link) == due(rig, link)
    assert not Card.objects.filter(state="open").exists()


def test_each_payment_has_its_own_date_and_goes_by_itself(rig: Rig, link: Link):
    first = rig.pay(link, Decimal(60), FIRST)["Payments"][0]
    rig.sync()
    rig.pay(link, Decimal(30), SECOND)
    rig.sync()
    assert shown(rig, link) == [(Decimal(30), SECOND), (Decimal(60), FIRST)]
    in_step(rig, link)
    rig.remove_payment(link, first["PaymentID"])
    rig.sync()
    assert shown(rig, link) == [(Decimal(30), SECOND)]
    in_step(rig, link)


def test_the_setting_changes_with_the_next_change_of_the_money(rig: Rig, link: Link):
    want(rig, payments_each=False)
    rig.pay(link, Decimal(60), FIRST)
    rig.pay(link, Decimal(30), SECOND)
    rig.sync()
    assert shown(rig, link) == [(Decimal(90), SECOND)]
    want(rig, payments_each=True)
    rig.sync()
    assert shown(rig, link) == [(Decimal(90), SECOND)]
    rig.pay(link, Decimal(5), SECOND)
    rig.sync()
    each = [(Decimal(5), SECOND), (Decimal(30), SECOND), (Decimal(60), FIRST)]
    assert shown(rig, link) == each
    in_step(rig, link)
    want(rig, payments_each=False)
    rig.pay(link, Decimal(1), SECOND)
    rig.sync()
    assert shown(rig, link) == [(Decimal(96), SECOND)]
    in_step(rig, link)


def test_what_we_wrote_is_never_taken_for_a_persons(rig: Rig, link: Link):
    take_payments(link.organisation)
    rig.pay(link, Decimal(60), FIRST)
    rig.pay(link, Decimal(60), FIRST)
    for _ in range(3):
        rig.sync()
    assert not PaymentTaken.objects.exists()
    assert shown(rig, link) == [(Decimal(60), FIRST)] * 2
    in_step(rig, link)


def test_a_psa_that_takes_one_payment_an_invoice_says_so(rig: Rig, link: Link):
    call(f"{rig.psa_url}/_control/behaviour", "POST", {"several_payments": False})
    rig.pay(link, Decimal(60), FIRST)
    rig.pay(link, Decimal(30), SECOND)
    rig.sync()
    assert link.number in Card.objects.get(code="payment_refused", state="open").sentence
    # The way back, as the card's advice says: one payment with their sum.
    want(rig, payments_each=False)
    rig.pay(link, Decimal(1), SECOND)
    rig.sync()
    assert shown(rig, link) == [(Decimal(91), SECOND)]
    in_step(rig, link)


# The PSA does not say what is paid.


def refuse(rig: Rig, path: str) -> None:
    body = {"code": "InvalidObject", "message": "It can't be shown."}
    rig.fault("psa", method="GET", path=path, kind="status", status=400, body=body, times=-1)


def read_money(rig: Rig, link: Link) -> None:
    for feed in Feed.objects.filter(
        organisation=link.organisation, name__in=("payments", "invoices")
    ):
        rig.read(feed)


def the_card(link: Link) -> Any:
    """One card, of the document and its money, and none of the whole site."""
    card = cards().get(state="open")
    assert (card.code, card.topic, card.organisation) == (
        "payment_unread",
        "payment",
        link.organisation,
    )
    assert [one.document_id for one in card.blocked.all()] == [link.document_id]
    assert money_of(card) == [(link.total, "AUD")]
    assert link.number in card.sentence
    assert "can't be shown" in card.sentence
    return card


def test_a_balance_that_is_refused_is_told_with_the_document(rig: Rig, link: Link):
    rig.pay(link, Decimal(60), FIRST)
    read_money(rig, link)
    refuse(rig, f"/finance/invoices/{link.document.external_id}$")
    with pytest.raises(Rejected):
        payments.match(link.organisation.pk, Priority.SCHEDULE)
    card = the_card(link)
    call(f"{rig.psa_url}/_control/faults", "DELETE")
    rig.work()
    card.refresh_from_db()
    assert card.state == "resolved"
    in_step(rig, link)


def test_what_is_in_doubt_stays_so_while_the_psa_does_not_say(rig: Rig, link: Link, monkeypatch):
    from datetime import timedelta

    from psaltery.matching import carry_out

    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    rig.pay(link, Decimal(60), FIRST)
    read_money(rig, link)
    rig.fault("psa", method="POST", path="/payments$", kind="lost_answer", times=1)
    with pytest.raises(Failure):
        payments.match(link.organisation.pk, Priority.SCHEDULE)
    refuse(rig, "/payments$")
    with pytest.raises(Rejected):
        payments.match(link.organisation.pk, Priority.SCHEDULE)
    the_card(link)
    assert PaymentBack.objects.get().state == "uncertain"
    call(f"{rig.psa_url}/_control/faults", "DELETE")
    rig.work()
    assert shown(rig, link) == [(Decimal(60), FIRST)]
    in_step(rig, link)
