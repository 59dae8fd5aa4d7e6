"""Slack and Teams over real HTTP: what is posted, what refusals mean, what stays secret."""

import json
import socket
from datetime import timedelta

import pytest
import time_machine
from werkzeug import Response

from psaltery.adapters.errors import BadSettings
from psaltery.audit.models import Entry
from psaltery.kit.sealing import SealBroken
from psaltery.notify import outbox, service
from psaltery.notify.models import Message, Recipient
from psaltery.notify.tests.test_outbox import START
from psaltery.notify.tests.world import impatient, open_card
from psaltery.notify.webhooks import problem_with
from psaltery.review import service as review
from psaltery.review.models import Card

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "/services/T000/B000/verysecretpath"


@pytest.fixture
def slack(httpserver) -> Recipient:
    return service.add_channel("slack", "#books", httpserver.url_for(SECRET))


@pytest.fixture
def teams(httpserver) -> Recipient:
    return service.add_channel("teams", "Books", httpserver.url_for("/workflows/x?sig=verysecret"))


def look() -> None:
    outbox.book()
    outbox.send_due()


def state() -> str:
    return Message.objects.get().state


def test_slack_gets_blocks_with_sentence_money_and_link(slack, office, httpserver, settings):
    httpserver.expect_request(SECRET, method="POST").respond_with_data("ok")
    impatient()
    card = open_card(office, ["1", "2"], total="50.00")
    look()
    look()
    ((request, _),) = httpserver.log
    body = json.loads(request.data)
    assert body["text"] == "Psaltery: No account for a kind of line (2 documents, 100.00 AUD)"
    text = json.dumps(body["blocks"])
    assert f"<{settings.PUBLIC_URL}/exceptions/{card.pk}/|No account for labour" in text
    assert "100.00 AUD" in text
    assert state() == "sent"


def test_teams_gets_an_adaptive_card(teams, office, httpserver, settings):
    httpserver.expect_request("/workflows/x", query_string="sig=verysecret").respond_with_data(
        "", status=202
    )
    impatient()
    card = open_card(office, ["1"])
    look()
    ((request, _),) = httpserver.log
    content = json.loads(request.data)["attachments"][0]["content"]
    assert content["type"] == "AdaptiveCard"
    assert f"{settings.PUBLIC_URL}/exceptions/{card.pk}/" in json.dumps(content)
    assert state() == "sent"


def test_a_channel_hears_of_the_end(slack, office, httpserver):
    httpserver.expect_request(SECRET).respond_with_data("ok")
    impatient()
    with time_machine.travel(START, tick=False) as clock:
        slack.rules.update(since=START)
        card = open_card(office, ["1"])
        look()
        review.resolve(card, "ada@example.com", "mapped")
        clock.shift(timedelta(minutes=6))
        look()
    assert json.loads(httpserver.log[1][0].data)["text"] == (
        "Psaltery: mended: No account for a kind of line"
    )


def test_the_address_is_sealed_and_in_no_log(slack, office, httpserver):
    httpserver.expect_request(SECRET).respond_with_data("no_service", status=404)
    sent = outbox.send_trial(slack)
    assert sent.state == "failed"
    assert "verysecret" not in Recipient.objects.get().address
    entries = Entry.objects.filter(system="slack")
    assert entries.filter(kind="request").exists()
    for entry in entries:
        told = " ".join(str(value) for value in vars(entry).values())
        assert "verysecret" not in told
    assert "verysecret" not in sent.why


def test_a_sealed_address_does_not_open_in_another_row(slack, teams):
    teams.address = slack.address
    with pytest.raises(SealBroken):
        service.address_of(teams)


def test_an_address_whose_key_is_gone_is_said(slack):
    Recipient.objects.update(address="v1:lost:AAAA")
    slack.refresh_from_db()
    sent = outbox.send_trial(slack)
    assert sent.state == "failed"
    assert "Enter it again." in sent.why


def test_addresses_are_sealed_anew_under_a_new_key(slack, settings, httpserver):
    from psaltery.connections.vault import key_ring

    settings.SEAL_KEYS = {"k2": b"2" * 32, **settings.SEAL_KEYS}
    key_ring.cache_clear()
    try:
        assert service.reseal_all() == 1
        assert service.reseal_all() == 0
        slack.refresh_from_db()
        assert slack.address.startswith("v1:k2:")
        assert service.address_of(slack) == httpserver.url_for(SECRET)
    finally:
        del settings.SEAL_KEYS
        key_ring.cache_clear()


@pytest.mark.parametrize(
    ("status", "text", "becomes"),
    [
        (404, "no_service", "booked"),  # the address may be corrected meanwhile
        (410, "channel_is_archived", "booked"),
        (400, "invalid_payload", "failed"),
        (500, "rollup_error", "uncertain"),
        (200, "Webhook message delivery failed with error: ... returned HTTP error 429", "booked"),
        (200, "Webhook message delivery failed with error: ... HTTP error 413", "failed"),
        (302, "", "booked"),
    ],
)
def test_what_answers_mean(slack, office, httpserver, status, text, becomes):
    httpserver.expect_request(SECRET).respond_with_data(text, status=status)
    impatient()
    open_card(office, ["1"])
    look()
    assert state() == becomes
    assert Message.objects.get().why


def test_a_limit_is_kept_as_long_as_slack_says(slack, office, httpserver):
    busy = Response("rate_limited", status=429, headers={"Retry-After": "300"})
    httpserver.expect_ordered_request(SECRET).respond_with_response(busy)
    httpserver.expect_ordered_request(SECRET).respond_with_data("ok")
    with time_machine.travel(START, tick=False) as clock:
        impatient(since=START)
        open_card(office, ["1"])
        look()
        clock.shift(timedelta(seconds=290))
        look()
        assert state() == "booked"
        clock.shift(timedelta(seconds=11))
        look()
        assert state() == "sent"


def test_a_channel_that_is_gone_is_a_card_until_its_address_is_right(slack, office, httpserver):
    httpserver.expect_request(SECRET).respond_with_data("no_service", status=404)
    httpserver.expect_request("/services/new").respond_with_data("ok")
    impatient()
    open_card(office, ["1"])
    look()
    card = Card.objects.get(code="notification_failed")
    assert "Notifications to #books do not arrive" in card.sentence
    service.change_channel(slack, "#books", httpserver.url_for("/services/new"))
    slack.refresh_from_db()
    assert outbox.send_trial(slack).state == "sent"
    card.refresh_from_db()
    assert card.state == "resolved"


def test_an_answer_that_never_comes_is_not_repeated(slack, office, httpserver):
    def hang_up(request):
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response("")

    httpserver.expect_request(SECRET).respond_with_handler(hang_up)
    impatient()
    open_card(office, ["1"])
    look()
    look()
    assert state() == "uncertain"
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://hooks.slack.com/services/T/B/X", True),
        ("http://localhost:9000/hook", True),
        ("http://hooks.slack.com/services/T/B/X", False),
        ("https://hooks.slack.com", False),
        ("hooks.slack.com/services", False),
        ("ftp://hooks.slack.com/x", False),
        ("https://user:pass@hooks.slack.com/x", False),
        ("", False),
    ],
)
def test_which_addresses_can_be_a_channels(address, fine):
    assert (problem_with(address) == "") is fine


def test_a_wrong_address_is_refused_and_nothing_is_stored():
    with pytest.raises(BadSettings):
        service.add_channel("slack", "x", "http://example.com/hook")
    assert not Recipient.objects.exists()
