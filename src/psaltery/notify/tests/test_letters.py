"""What messages say, and that their forms keep to the limits of Slack and Teams."""

from decimal import Decimal

import msgspec
import pytest

from psaltery.notify import letters, slack, teams
from psaltery.notify.letters import Day, Line, Places

PLACES = Places(
    exceptions="https://x.example/exceptions/",
    settings="https://x.example/settings/notifications/",
    home="https://x.example",
)


def line(number: int = 1, **values) -> Line:
    given = {
        "sentence": f"No account for labour {number} in Adelaide.",
        "title": "No account for a kind of line",
        "advice": "Choose the account.",
        "url": f"https://x.example/exceptions/{number}/",
        "where": "Adelaide",
        "documents": 2,
        "money": ((Decimal("1210.5"), "AUD"),),
        **values,
    }
    return Line(**given)


def test_one_exception_is_its_own_subject():
    letter = letters.news([line()], ((Decimal("1210.5"), "AUD"),), PLACES, "why")
    assert letter.subject == "Psaltery: No account for a kind of line (2 documents, 1,210.50 AUD)"
    assert letter.url == "https://x.example/exceptions/1/"


def test_many_are_one_letter_the_gravest_and_dearest_first():
    found = [
        line(1, grave=False, money=((Decimal(9999), "AUD"),)),
        line(2, money=((Decimal(5), "AUD"),)),
        line(3, money=((Decimal(70), "NZD"),)),
        line(4, event="resolved", money=(), documents=0),
    ]
    held = ((Decimal("10004"), "AUD"), (Decimal(70), "NZD"))
    letter = letters.news(found, held, PLACES, "why")
    assert letter.subject == (
        "Psaltery: 3 exceptions wait for a person, holding 10,004.00 AUD + 70.00 NZD"
    )
    assert [part.title for part in letter.sections] == ["Waits for a person", "Mended"]
    assert [one.sentence[-14:-13] for one in letter.sections[0].lines] == ["3", "2", "1"]


def test_a_subject_is_one_line_whatever_stands_in_a_name():
    sentence = "A name\r\nBcc: thief@example.com " + "x" * 400
    letter = letters.news([line(sentence=sentence, title="")], (), PLACES, "why")
    assert "\n" not in letter.subject
    assert "\r" not in letter.subject
    assert len(letter.subject) <= 160


def test_money_is_written_to_the_minor_unit():
    money = ((Decimal("4210"), "AUD"), (Decimal("120000.4"), "JPY"))
    assert letters.money_text(money) == "120,000 JPY + 4,210.00 AUD"


def test_no_digest_when_all_is_well():
    quiet = Day(name="Friday 20 November", posted=120, mended=3)
    assert letters.digest([], (), quiet, PLACES, "why") is None


def test_a_digest_tells_what_waits_what_is_late_and_what_was_done():
    day = Day(
        name="Friday 20 November",
        posted=120,
        posted_money=((Decimal("48120"), "AUD"),),
        mended=3,
        late=(("Adelaide, invoices", "last read 19 November 10:00."),),
    )
    letter = letters.digest([line()], ((Decimal("1210.5"), "AUD"),), day, PLACES, "why")
    assert letter is not None
    assert letter.subject == (
        "Psaltery: 1 exception waits for a person, holding 1,210.50 AUD; 1 feed late"
    )
    text = letters.plain(letter)
    for told in ("120 documents, 48,120.00 AUD", "Mended by itself: 3 exceptions", "last read 19"):
        assert told in text


# Slack


def many(count: int) -> letters.Letter:
    long = "Reef & Sons <Pty> Ltd * _x_ " * 40
    found = [line(number, sentence=f"{number} {long}") for number in range(count)]
    return letters.news(found, ((Decimal(10), "AUD"),), PLACES, "why")


@pytest.mark.parametrize("count", [1, 7, 300])
def test_slack_blocks_keep_to_the_limits(count):
    body = slack.payload(many(count))
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        if block["type"] == "section":
            assert len(block["text"]["text"]) <= 3000
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150


def test_slack_text_can_mention_nobody():
    letter = letters.news(
        [line(sentence="<!channel> & <https://evil.example|click>")], (), PLACES, "w"
    )
    text = msgspec.json.encode(slack.payload(letter)).decode()
    assert "<!channel>" not in text
    assert "<https://evil.example" not in text
    assert "&lt;!channel&gt; &amp;" in text


# Teams


@pytest.mark.parametrize("count", [1, 7, 300])
def test_a_teams_message_keeps_to_its_size(count):
    body = teams.payload(many(count))
    assert len(msgspec.json.encode(body)) <= teams.MOST_BYTES
    card = body["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    assert any("AUD" in str(part) for part in card["body"])


def test_teams_text_is_shown_as_it_is():
    sentence = "[click](https://evil.example) *bold*"
    card = teams.payload(letters.news([line(sentence=sentence)], (), PLACES, "w"))
    body = card["attachments"][0]["content"]["body"]
    shown = [part for part in body if part["type"] == "RichTextBlock"]
    assert any(part["inlines"][0]["text"] == sentence for part in shown)
    assert not [part for part in body if part["type"] == "TextBlock"]
