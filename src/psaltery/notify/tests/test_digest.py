"""The daily digest: in each person's zone, once a day, and none when all is well."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from psaltery.connections.models import Feed
from psaltery.kit.clock import now
from psaltery.notify import outbox, service
from psaltery.notify.models import Message, Rule
from psaltery.notify.tests.world import document, make_office, open_card, parts, person
from psaltery.posting.models import Link
from psaltery.review import service as review

pytestmark = pytest.mark.django_db(transaction=True)

# A Thursday; in Sydney it is 14:00, in New York 22:00 of Wednesday.
START = datetime(2026, 11, 19, 3, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def daily(who, **values) -> Rule:
    recipient = service.recipient_of(who)
    recipient.rules.filter(timing="at_once").delete()
    rule = recipient.rules.get()
    Rule.objects.filter(pk=rule.pk).update(**values)
    rule.refresh_from_db()
    return rule


def pass_hours(clock, hours: int) -> None:
    """Look every half hour, as a worker would more often."""
    for _ in range(hours * 2):
        clock.shift(timedelta(minutes=30))
        outbox.book()
        outbox.send_due()


def test_at_eight_in_each_persons_own_zone(office, mail_server, clock):
    daily(person("syd@example.com", zone="Australia/Sydney"))
    daily(person("nyc@example.com", zone="America/New_York"))
    open_card(office, ["1"])
    got: dict[str, list[str]] = {}
    for _ in range(48):
        pass_hours(clock, 1)
        for mail in mail_server.mails:
            got.setdefault(str(mail["To"]), []).append(f"{now():%d %H:%M}")
        mail_server.mails.clear()
    assert got == {
        "syd@example.com": ["19 21:00", "20 21:00"],  # 08:00 AEDT
        "nyc@example.com": ["19 13:00", "20 13:00"],  # 08:00 EST
    }


def test_what_a_digest_says(office, mail_server, clock):
    daily(person("ada@example.com"))
    open_card(office, ["1", "2"], total="1000.00")
    posted = document("3", "500.00")
    Link.objects.create(
        document=posted,
        organisation=office,
        books_kind="invoice",
        books_id="b3",
        number="3",
        total=Decimal("500.00"),
        tax=0,
        how="posted",
        fingerprint="x",
        written_at=now(),
    )
    review.resolve(open_card(office, ["4"], about="gone"), review.BY_ITSELF, "gone")
    Feed.objects.create(
        organisation=office,
        name="invoices",
        seconds=300,
        finished_at=START,
        failure="The other side has trouble.",
    )
    pass_hours(clock, 24)
    (mail,) = mail_server.mails
    text, html = parts(mail)
    assert mail["Subject"] == (
        "Psaltery: 1 exception waits for a person, holding 2,000.00 AUD; 1 feed late"
    )
    for told in (
        "2 documents, 2,000.00 AUD",
        "since 19 November",
        "Written to the books",
        "1 document, 500.00 AUD",
        "Mended by itself",
        "1 exception",
        "Adelaide, invoices",
        "last read 19 November 14:00. The other side has trouble.",
        "Thursday 19 November",
    ):
        assert told in html, told
    assert "Written to the books: 1 document, 500.00 AUD" in text


def test_quiet_when_all_is_well(office, mail_server, clock):
    daily(person("ada@example.com"))
    pass_hours(clock, 24)
    assert mail_server.mails == []
    assert [m.state for m in Message.objects.all()] == ["dropped"]
    # What opens later that day is told tomorrow, not at once.
    open_card(office, ["1"])
    pass_hours(clock, 8)
    assert mail_server.mails == []


def test_a_worker_that_was_down_in_the_morning_tells_in_the_evening(office, mail_server, clock):
    daily(person("ada@example.com"))
    open_card(office, ["1"])
    clock.shift(timedelta(hours=30))
    pass_hours(clock, 1)
    assert len(mail_server.mails) == 1


def test_a_digest_keeps_to_the_rules_organisations(office, mail_server, clock):
    rule = daily(person("ada@example.com"))
    perth = make_office("Perth")
    rule.organisations.add(perth)
    open_card(office, ["1"], about="here")
    open_card(perth, ["2"], about="there")
    pass_hours(clock, 24)
    text = parts(mail_server.mails[0])[0]
    assert "there in Perth" in text
    assert "Adelaide" not in text


def test_a_snoozed_card_is_in_no_digest(office, mail_server, clock):
    daily(person("ada@example.com"))
    review.snooze(open_card(office, ["1"]), START + timedelta(days=3), "ada@example.com")
    pass_hours(clock, 24)
    assert mail_server.mails == []


def test_a_digest_asked_for_leaves_the_days_own_alone(office, mail_server, clock):
    rule = daily(person("ada@example.com"))
    open_card(office, ["1"])
    assert outbox.send_digest_now(rule).state == "sent"
    assert outbox.send_digest_now(rule).state == "sent"
    pass_hours(clock, 24)
    assert len(mail_server.mails) == 3
