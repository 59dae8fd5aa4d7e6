"""What a failing step blocks is listed with its money, for as long as it waits."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

from psaltery.accounts.models import Person
from psaltery.adapters.errors import Failure, NeedsReconnect, TryLater
from psaltery.connections.models import Feed, Organisation
from psaltery.connections.organisations import choose
from psaltery.desk.models import Document
from psaltery.inbound.models import ConnectWiseEvent
from psaltery.kit.clock import now
from psaltery.posting.models import Attempt, Posting
from psaltery.posting.service import skip
from psaltery.review import queries
from psaltery.review.models import Card
from psaltery.sync import called, schedule
from psaltery.sync.arrivals import read_called
from psaltery.sync.failures import step_failed, step_works
from psaltery.sync.models import Run
from psaltery.sync.repairs import repair
from psaltery.testing.rig import Rig, call

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]


def close(rig: Rig) -> None:
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)


def fail_for_long(rig: Rig, organisation: Organisation) -> None:
    """The books don't answer, and have not for three quarters of an hour."""
    for minutes in (45, 20):
        begun = now() - timedelta(minutes=minutes)
        Run.objects.create(
            organisation=organisation, what="post", outcome="paused", started_at=begun
        )
    rig.fault(
        "books", method="PUT", path="/Contacts$|/Invoices$", kind="status", status=503, times=-1
    )


@pytest.fixture
def card(rig: Rig) -> Card:
    """The card of posting that fails, while two invoices wait."""
    rig.sync()
    close(rig)
    close(rig)
    sydney = next(one for one in rig.organisations if "Sydney" in one.name)
    fail_for_long(rig, sydney)
    rig.sync(quiet=True)
    return Card.objects.get(code="unreachable", state="open")


def blocked(card: Card) -> set[int]:
    return set(card.blocked.values_list("document_id", flat=True))


def test_the_card_lists_what_waits_with_its_money(rig: Rig, card: Card, client):
    found = queries.cards().get(pk=card.pk)
    assert found.documents == 2
    assert queries.money_of(found) == [(Decimal("440.0000"), "AUD")]
    person = Person.objects.create_user("ann@example.com", name="Ann", role="admin")
    client.force_login(person, backend=BACKEND)
    page = client.get(reverse("review:card", args=[card.pk])).content.decode()
    for posting in Posting.objects.select_related("document"):
        assert posting.document.number in page
    assert queries.totals()[1] == 2


def test_the_list_follows_what_waits(rig: Rig, card: Card):
    first = Posting.objects.order_by("pk").first().document
    skip([first.pk], "ann@example.com")
    close(rig)
    # The contact whose answer never came is looked up before it is tried again.
    Attempt.objects.update(booked_at=now() - timedelta(minutes=1))
    rig.sync(quiet=True)
    card.refresh_from_db()
    waiting = Posting.objects.exclude(pk=first.pk).values_list("pk", flat=True)
    assert (card.state, blocked(card)) == ("open", set(waiting))
    assert len(blocked(card)) == 2


def test_the_list_follows_without_another_try(rig: Rig, card: Card):
    first, second = Posting.objects.order_by("pk").values_list("pk", flat=True)
    skip([first], "ann@example.com")
    schedule.queue_due()
    assert blocked(card) == {second}
    Posting.objects.filter(pk=first).update(state="waiting")
    schedule.queue_due()
    assert blocked(card) == {first, second}
    step_works(card.organisation, "posting")
    skip([first], "ann@example.com")
    schedule.queue_due()
    card.refresh_from_db()
    assert (card.state, blocked(card)) == ("resolved", {first, second})


def test_it_closes_when_the_books_answer_and_keeps_what_it_had_blocked(rig: Rig, card: Card):
    call(f"{rig.books_url}/_control/faults", "DELETE")
    Attempt.objects.update(booked_at=now() - timedelta(minutes=1))
    rig.sync()
    card.refresh_from_db()
    assert (card.state, len(blocked(card))) == ("resolved", 2)
    assert set(Posting.objects.values_list("state", flat=True)) == {"in_step"}


def test_it_closes_when_nothing_waits_any_more(rig: Rig, card: Card):
    schedule.queue_due()
    card.refresh_from_db()
    assert card.state == "open"
    skip(blocked(card), "ann@example.com")
    schedule.queue_due()
    card.refresh_from_db()
    assert (card.state, card.resolution) == ("resolved", "Nothing waits for it any more.")


def test_trying_again_decides_about_nothing_that_is_posted(rig: Rig, card: Card):
    assert repair(card, "retry", {}, "ann@example.com") == 2
    assert set(Posting.objects.values_list("state", flat=True)) == {"waiting"}


def test_callbacks_that_can_not_be_read_for_long_are_told_of(rig: Rig):
    rig.sync()
    events = [
        ConnectWiseEvent(
            event_id=str(minutes),
            connection=rig.site.connection,
            category="Invoice",
            external_id="1",
            outcome="woke",
            received_at=now() - timedelta(minutes=minutes),
        )
        for minutes in (20, 40)
    ]
    rig.fault("psa", path="/finance/", kind="status", status=503, times=-1)
    events[0].save()
    with pytest.raises(TryLater):
        called.read_called(rig.site.pk)
    assert not Card.objects.exclude(state="resolved").exists()
    ConnectWiseEvent.objects.update(received_at=events[1].received_at)
    with pytest.raises(TryLater):
        called.read_called(rig.site.pk)
    card = Card.objects.get(code="unreachable", state="open")
    assert (card.subject_ref, card.organisation) == ("refresh", rig.site)


def test_the_card_of_a_feed_closes_when_it_is_not_read_any_more(rig: Rig):
    rig.sync()
    feed = Feed.objects.get(organisation=rig.organisations[0], name="contacts")
    rig.fault("books", path="/Contacts$", kind="status", status=404, times=-1)
    with pytest.raises(Failure):
        rig.read(feed)
    card = Card.objects.get(state="open", subject_ref="feed:contacts")
    schedule.queue_due()
    card.refresh_from_db()
    assert card.state == "open"
    choose(rig.connection, rig.organisations[1:])
    schedule.queue_due()
    card.refresh_from_db()
    assert (card.state, card.resolution) == ("resolved", "It is not read any more.")


def test_the_card_of_a_connection_is_one_and_closes_whatever_is_chosen_meanwhile(rig: Rig):
    rig.sync()
    first, second, *_ = rig.organisations
    refused = NeedsReconnect("The consent was withdrawn.", code="token_revoked")
    step_failed(first, refused, "posting")
    card = Card.objects.get(code="token_revoked")
    choose(rig.connection, rig.organisations[1:])
    step_failed(second, refused, "posting")
    assert Card.objects.get(code="token_revoked").pk == card.pk
    step_works(second, "posting")
    card.refresh_from_db()
    assert card.state == "resolved"


def test_a_callback_whose_record_is_refused_holds_up_no_other_and_is_asked_for_seldom(rig: Rig):
    rig.sync()
    bad, good = (
        rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)["id"]
        for _ in range(2)
    )
    for number in (bad, good):
        ConnectWiseEvent.objects.create(
            event_id=str(number),
            connection=rig.site.connection,
            category="Invoice",
            external_id=str(number),
            outcome="woke",
            received_at=now(),
        )
    body = {"code": "InvalidObject", "message": "It can't be shown."}
    rig.fault("psa", path=f"/{bad}$", kind="status", status=400, body=body, times=-1)
    read_called(rig.site.pk, "WEBHOOK")
    assert Document.objects.get().external_id == str(good)
    unread = ConnectWiseEvent.objects.filter(handled_at__isnull=True)
    assert [event.external_id for event in unread] == [str(bad)]
    assert Card.objects.get(subject_ref="refresh", state="open").code in ("rejected", "psa_refused")
    schedule.queue_due()
    (job,) = ProcrastinateJob.objects.filter(task_name="read_called", status="todo")
    assert job.scheduled_at > now() + timedelta(minutes=4)
