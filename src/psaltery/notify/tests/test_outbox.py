"""Cards become mails over a real mail server: once, whatever fails."""

import pytest

from psaltery.notify import outbox, service
from psaltery.notify.models import Message
from psaltery.notify.tests.world import impatient, open_card, parts

pytestmark = pytest.mark.django_db(transaction=True)


def look() -> None:
    outbox.book()
    outbox.send_due()


def test_a_card_becomes_one_mail_with_sentence_money_and_link(ada, office, mail_server, settings):
    settings.PUBLIC_URL = "https://psaltery.example.com"
    service.recipient_of(ada)
    impatient()
    card = open_card(office, ["1001", "1002"], total="1210.50")
    look()
    look()
    (mail,) = mail_server.mails
    text, html = parts(mail)
    assert mail["Subject"] == (
        "Psaltery: No account for a kind of line (2 documents, 2,421.00 AUD)"
    )
    assert mail["To"] == "ada@example.com"
    for body in (text, html):
        assert "No account for labour in Adelaide." in body
        assert "2,421.00 AUD" in body
        assert f"https://psaltery.example.com/exceptions/{card.pk}/" in body
    assert Message.objects.get().state == "sent"
