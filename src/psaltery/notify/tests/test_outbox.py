"""Cards become mails over a real mail server: once, whatever fails."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction

from psaltery.audit.models import Entry
from psaltery.kit.clock import now
from psaltery.notify import mail, outbox, service
from psaltery.notify.models import Message, Notice, Recipient, Rule
from psaltery.notify.tests.world import impatient, open_card, parts, person
from psaltery.review import service as review
from psaltery.review.models import Card

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 20, 3, tzinfo=UTC)


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as moved:
        yield moved


@pytest.fixture
def mine(ada, clock) -> Recipient:
    """Ada's mailbox; she is told at once, and of nothing once a day."""
    recipient = service.recipient_of(ada)
    Rule.objects.filter(timing="daily").delete()
    impatient()
    return recipient


def look() -> None:
    outbox.book()
    outbox.send_due()


def states() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("state", flat=True))


def test_a_card_becomes_one_mail_with_sentence_money_and_link(mine, office, mail_server, settings):
    settings.PUBLIC_URL = "https://psaltery.example.com"
    card = open_card(office, ["1001", "1002"], total="1210.50")
    look()
    look()
    (sent,) = mail_server.mails
    text, html = parts(sent)
    assert sent["Subject"] == "Psaltery: No account for a kind of line (2 documents, 2,421.00 AUD)"
    assert sent["To"] == "ada@example.com"
    assert sent["Auto-Submitted"] == "auto-generated"
    for body in (text, html):
        assert "No account for labour in Adelaide." in body
        assert "2,421.00 AUD" in body
        assert f"https://psaltery.example.com/exceptions/{card.pk}/" in body
        assert "Choose the account of the books that these lines are posted to." in body
    assert "src=" not in html  # nothing is loaded from outside
    kept = Message.objects.get()
    assert (kept.state, kept.text) == ("sent", text.replace("\r\n", "\n"))
    told = Entry.objects.get(operation="notify.message")
    assert "was sent to ada@example.com" in told.sentence


def test_markup_in_a_name_stays_text(mine, office, mail_server):
    open_card(office, ["1001"], about="<script>alert(1)</script>")
    look()
    _, html = parts(mail_server.mails[0])
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_many_cards_are_one_mail_and_what_comes_soon_after_waits(mine, office, mail_server, clock):
    for number in range(5):
        open_card(office, [f"{number}"], about=f"kind {number}")
    look()
    assert mail_server.subjects() == [
        "Psaltery: 5 exceptions wait for a person, holding 550.00 AUD"
    ]
    clock.shift(30)
    open_card(office, ["6"], about="kind 6")
    open_card(office, ["7"], about="kind 7")
    look()
    assert len(mail_server.mails) == 1
    clock.shift(timedelta(minutes=5))
    look()
    assert len(mail_server.mails) == 2
    assert "2 exceptions" in mail_server.subjects()[1]


def test_money_of_a_document_that_two_cards_hold_counts_once(mine, office, mail_server):
    from psaltery.notify.tests.world import document
    from psaltery.review.reasons import Reason
    from psaltery.review.service import Held, hold

    reasons = [
        Reason(code="account_unmapped", about="labour", sentence="No account."),
        Reason(code="tax_unmapped", about="GST", sentence="No tax rate."),
    ]
    hold([Held(document("1", "110.00"), office, reasons)])
    look()
    assert mail_server.subjects() == [
        "Psaltery: 2 exceptions wait for a person, holding 110.00 AUD"
    ]


def test_what_mends_itself_in_time_is_never_told(mine, office, mail_server, clock):
    Rule.objects.update(wait_minutes=10)
    card = open_card(office, ["1"])
    look()
    clock.shift(timedelta(minutes=9))
    look()
    review.resolve(card, "Psaltery", "The cause is gone.")
    clock.shift(timedelta(minutes=9))
    look()
    assert mail_server.mails == []
    assert states() == []


def test_the_end_is_told_where_it_is_wanted(mine, office, mail_server, clock):
    Rule.objects.update(tell_resolved=True)
    card = open_card(office, ["1"])
    look()
    review.resolve(card, "ben@example.com", "Labour is posted to 200.")
    clock.shift(timedelta(minutes=6))
    look()
    look()
    assert mail_server.subjects()[1:] == ["Psaltery: mended: No account for a kind of line"]
    assert "resolved by ben@example.com: Labour is posted to 200." in parts(mail_server.mails[1])[0]


def test_a_snoozed_card_is_told_again_when_it_wakes(mine, office, mail_server, clock):
    card = open_card(office, ["1"])
    look()
    review.snooze(card, now() + timedelta(hours=1), "ada@example.com")
    clock.shift(timedelta(minutes=30))
    look()
    clock.shift(timedelta(minutes=31))
    review.wake()
    look()
    look()
    assert len(mail_server.mails) == 2
    assert "its snooze is over" in parts(mail_server.mails[1])[0]


def test_a_cause_that_comes_back_is_a_new_card_and_waits_longer(mine, office, mail_server, clock):
    review.resolve(open_card(office, ["1"]), "Psaltery", "gone")
    look()
    first = open_card(office, ["2"])
    look()
    review.resolve(first, "Psaltery", "gone")
    open_card(office, ["3"])
    clock.shift(timedelta(minutes=9))
    look()
    assert len(mail_server.mails) == 1
    clock.shift(timedelta(minutes=2))
    look()
    assert len(mail_server.mails) == 2


def test_each_hears_only_of_what_they_asked_for(ada, office, mail_server, clock):
    ben = person("ben@example.com")
    for who in (ada, ben):
        service.recipient_of(who)
    impatient()
    Rule.objects.filter(recipient__person=ada).update(topics=["payment"])
    Rule.objects.filter(recipient__person=ben).update(least_amount="100.00")
    open_card(office, ["1"], total="99.99", about="small")
    open_card(office, ["2"], total="100.00", about="large")
    look()
    assert [str(mail["To"]) for mail in mail_server.mails] == ["ben@example.com"]
    assert "large" in parts(mail_server.mails[0])[0]
    assert "small" not in parts(mail_server.mails[0])[0]


def test_whoever_may_not_sign_in_is_told_nothing(mine, ada, office, mail_server):
    ada.is_active = False
    ada.save()
    open_card(office, ["1"])
    look()
    assert mail_server.mails == []


def test_a_paused_recipient_is_told_what_is_still_open_afterwards(mine, office, mail_server):
    service.pause(mine, True)
    gone = open_card(office, ["1"], about="gone")
    open_card(office, ["2"], about="stays")
    look()
    review.resolve(gone, "Psaltery", "gone")
    service.pause(mine, False)
    look()
    (sent,) = mail_server.mails
    assert "stays" in parts(sent)[0]


# What goes wrong


def test_a_server_that_is_down_is_tried_again_and_what_is_mended_meanwhile_left_out(
    mine, office, mail_server, clock, settings
):
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 9  # discard: nobody listens
    gone = open_card(office, ["1"], about="gone")
    open_card(office, ["2"], about="stays")
    look()
    assert states() == ["booked"]
    mine.refresh_from_db()
    assert "can't be used" in mine.failure
    review.resolve(gone, "Psaltery", "gone")
    settings.EMAIL_PORT = port
    look()
    assert mail_server.mails == []  # not before its time
    clock.shift(timedelta(minutes=1))
    look()
    (sent,) = mail_server.mails
    assert sent["Subject"] == "Psaltery: No account for a kind of line (1 document, 110.00 AUD)"
    mine.refresh_from_db()
    assert (mine.failure, mine.failing_since) == ("", None)


def test_news_that_come_while_a_message_waits_join_it(mine, office, mail_server, clock, settings):
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 9
    open_card(office, ["1"], about="first")
    look()
    clock.shift(timedelta(seconds=30))
    open_card(office, ["2"], about="second")
    look()
    settings.EMAIL_PORT = port
    clock.shift(timedelta(minutes=1))
    look()
    assert states() == ["sent"]
    assert "2 exceptions" in mail_server.subjects()[0]


def test_a_message_with_nothing_left_to_tell_is_dropped(mine, office, mail_server, clock):
    card = open_card(office, ["1"])
    outbox.book()
    review.resolve(card, "Psaltery", "gone")
    outbox.send_due()
    assert states() == ["dropped"]
    Rule.objects.update(tell_resolved=True)
    clock.shift(timedelta(minutes=6))
    look()
    assert mail_server.mails == []


def test_a_refusal_for_good_is_shown_and_opens_a_card(mine, office, mail_server, clock):
    mail_server.refuse_recipient = "550 no such person"
    open_card(office, ["1"])
    look()
    assert states() == ["failed"]
    assert "550 no such person" in Message.objects.get().why
    card = Card.objects.get(code="notification_failed")
    assert "Notifications to Ada do not arrive" in card.sentence
    mail_server.refuse_recipient = ""
    outbox.send_trial(mine)
    card.refresh_from_db()
    assert card.state == "resolved"


def test_a_refusal_for_now_is_tried_again(mine, office, mail_server, clock):
    mail_server.refuse_data = "451 try later"
    open_card(office, ["1"])
    look()
    assert states() == ["booked"]
    mail_server.refuse_data = ""
    clock.shift(timedelta(minutes=1))
    look()
    assert states() == ["sent"]


def test_a_mail_server_that_stays_away_is_one_card_for_all(office, mail_server, clock, settings):
    for name in ("ada", "ben"):
        service.recipient_of(person(f"{name}@example.com"))
    impatient()
    Rule.objects.filter(timing="daily").delete()
    settings.EMAIL_PORT = 9
    open_card(office, ["1"])
    for _ in range(8):
        look()
        clock.shift(timedelta(minutes=16))
    assert Card.objects.filter(code="notification_failed").count() == 1
    assert not Notice.objects.filter(card__code="notification_failed").exists()
    assert "Notifications to people do not arrive" in (
        Card.objects.get(code="notification_failed").sentence
    )


def test_it_is_given_up_after_a_day(mine, office, mail_server, clock, settings):
    settings.EMAIL_PORT = 9
    open_card(office, ["1"])
    for _ in range(30):
        look()
        clock.shift(timedelta(hours=1))
    first = Message.objects.order_by("pk")[0]
    assert first.state == "failed"
    assert first.tries < 30


def test_a_line_that_breaks_after_the_mail_is_never_repeated_but_reminded_of(
    mine, office, mail_server, clock
):
    mail_server.hang_up = True
    open_card(office, ["1"])
    look()
    assert states() == ["uncertain"]
    mail_server.hang_up = False
    clock.shift(timedelta(minutes=14))
    look()
    assert len(mail_server.mails) == 1
    clock.shift(timedelta(minutes=2))
    look()
    look()
    clock.shift(timedelta(hours=2))
    look()
    assert len(mail_server.mails) == 2
    assert "an earlier message about this may not have arrived" in parts(mail_server.mails[1])[0]
    assert states() == ["uncertain", "sent"]


def test_no_reminder_of_what_is_mended(mine, office, mail_server, clock):
    mail_server.hang_up = True
    card = open_card(office, ["1"])
    look()
    review.resolve(card, "Psaltery", "gone")
    clock.shift(timedelta(hours=1))
    look()
    assert len(mail_server.mails) == 1


def test_a_worker_that_died_while_sending_leaves_it_uncertain(mine, office, mail_server, clock):
    open_card(office, ["1"])
    outbox.book()
    assert outbox._claim() is not None  # and then the process dies
    clock.shift(timedelta(minutes=4))
    outbox.send_due()
    assert states() == ["sending"]
    clock.shift(timedelta(minutes=2))
    outbox.send_due()
    assert states() == ["uncertain"]
    assert mail_server.mails == []
    clock.shift(timedelta(minutes=15))
    look()
    assert len(mail_server.mails) == 1


def test_sent_again_only_when_a_person_asks(mine, office, mail_server, clock):
    mail_server.refuse_recipient = "550 no"
    open_card(office, ["1"])
    look()
    mail_server.refuse_recipient = ""
    assert outbox.send_again(Message.objects.get())
    look()
    assert states() == ["sent"]
    assert not outbox.send_again(Message.objects.get())


def test_no_mail_inside_a_transaction(mine, mail_server):
    with pytest.raises(RuntimeError, match="transaction"), transaction.atomic():
        outbox.send_trial(mine)


def test_the_database_itself_refuses_to_tell_twice(mine, office, mail_server):
    card = open_card(office, ["1"])
    look()
    notice = Notice.objects.get(card=card)
    with pytest.raises(IntegrityError), transaction.atomic():
        Notice.objects.create(
            recipient=mine,
            card=card,
            event=notice.event,
            message=notice.message,
            booked_at=now(),
        )


def test_without_a_mail_server_nothing_is_booked_for_people(mine, office, settings):
    settings.EMAIL_HOST = ""
    open_card(office, ["1"])
    look()
    assert states() == []


def test_message_ids_are_the_installations_own_and_differ(mine, office, mail_server, settings):
    settings.PUBLIC_URL = "https://psaltery.example.com:8443"
    first, second = outbox.send_trial(mine), outbox.send_trial(mine)
    assert (first.state, second.state) == ("sent", "sent")
    ids = {str(mail["Message-ID"]) for mail in mail_server.mails}
    assert len(ids) == 2
    assert all(re.fullmatch(r"<[0-9a-f-]{36}@psaltery\.example\.com>", one) for one in ids)


def test_a_connection_that_broke_outside_any_feed_gets_its_card_and_mail(mine, office, mail_server):
    books = office.connection
    books.state, books.reason_code = "needs_reconnect", "token_revoked"
    books.reason = "The consent has ended. Reconnect."
    books.save()
    look()
    look()
    assert Card.objects.filter(code="token_revoked").count() == 1
    assert mail_server.subjects() == ["Psaltery: The connection was revoked"]
    assert "The consent has ended." in parts(mail_server.mails[0])[0]


def test_mail_says_when_it_is_set_up(settings):
    settings.EMAIL_HOST = ""
    assert not mail.is_set_up()


def test_old_messages_go_but_not_what_says_who_was_told(mine, office, mail_server, clock):
    over = open_card(office, ["1001"], about="labour")
    look()
    review.resolve(over, "ada@example.com", "Mapped.")
    clock.shift(timedelta(minutes=10))
    lasting = open_card(office, ["1002"], about="travel")
    look()
    assert len(mail_server.mails) == 2
    assert outbox.forget_old(30) == 0
    clock.shift(timedelta(days=31))
    assert outbox.forget_old(None) == 0
    assert outbox.forget_old(30) == 1
    assert not Notice.objects.filter(card=over).exists()
    # Whoever was told of what is still open is not told again.
    assert Notice.objects.filter(card=lasting).exists()
    look()
    assert len(mail_server.mails) == 2
    review.resolve(lasting, "ada@example.com", "Mapped.")
    clock.shift(timedelta(days=20))
    assert outbox.forget_old(30) == 0
    clock.shift(timedelta(days=11))
    assert outbox.forget_old(30) == 1
    assert not Message.objects.exists()


def test_what_waits_to_be_sent_is_never_forgotten(mine, office, mail_server, clock):
    card = open_card(office, ["1001"])
    outbox.book()
    review.resolve(card, "ada@example.com", "Mapped.")
    clock.shift(timedelta(days=400))
    assert outbox.forget_old(30) == 0
    assert states() == ["booked"]
