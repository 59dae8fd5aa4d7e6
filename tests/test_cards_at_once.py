"""A document that comes to a card while somebody closes it is held by a card that people see."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from psaltery.notify.tests.world import document, make_office
from psaltery.review.models import Blocked, Card
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold, release, resolve

pytestmark = pytest.mark.django_db(transaction=True)
REASON = Reason(code="account_unmapped", about="labour", sentence="No account for labour.")


def meanwhile(act: Callable[[], object]) -> threading.Thread:
    """`act` on a connection of its own; given back when it is done, or waits for us."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.5)
    return thread


def live_cards(held: object) -> list[str]:
    found = Blocked.objects.filter(document=held).exclude(card__state="resolved")
    return list(found.values_list("card__code", flat=True))


@pytest.mark.parametrize("way", ["release", "resolve"])
def test_one_that_comes_to_a_card_that_is_being_closed_is_not_left_behind(db, way):
    office = make_office("Adelaide")
    old, new = document("1001"), document("1002")
    hold([Held(old, office, [REASON])])
    card = Card.objects.get()
    closing = {
        "release": lambda: release([old.pk], "It was posted."),
        "resolve": lambda: resolve(card, "ann@example.com", "The account was mapped."),
    }[way]
    with transaction.atomic():
        hold([Held(new, office, [REASON])])
        thread = meanwhile(closing)
    thread.join(10)
    card.refresh_from_db()
    if way == "release":
        assert (card.state, live_cards(new)) == ("open", ["account_unmapped"])
    else:
        # Closed with both on it: whoever closes it is told of both, and decides again about both.
        assert card.state == "resolved"
        assert set(card.blocked.values_list("document", flat=True)) == {old.pk, new.pk}


def test_one_that_is_held_while_its_card_is_closed_gets_a_new_one(db):
    office = make_office("Adelaide")
    old, new = document("1001"), document("1002")
    hold([Held(old, office, [REASON])])
    with transaction.atomic():
        resolve(Card.objects.get(), "ann@example.com", "The account was mapped.")
        thread = meanwhile(lambda: hold([Held(new, office, [REASON])]))
    thread.join(10)
    assert live_cards(new) == ["account_unmapped"]
    assert Card.objects.count() == 2
