"""The pages: whose rules, whose messages, and what each may do."""

import pytest
from django.urls import reverse

from psaltery.accounts.models import Role
from psaltery.audit.models import Entry
from psaltery.notify import outbox, service
from psaltery.notify.models import Message, Recipient, Rule
from psaltery.notify.tests.world import impatient, open_card, person

pytestmark = pytest.mark.django_db

RULE = {
    "timing": "daily",
    "wait_minutes": "5",
    "hour": "6",
    "workdays": "on",
    "least_severity": "error",
    "topics": ["payment", "connection"],
    "least_amount": "500",
}


@pytest.fixture
def ada_client(client, ada):
    client.force_login(ada, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def ben(db):
    return person("ben@example.com", Role.BOOKKEEPER)


@pytest.fixture
def ben_client(client, ben):
    client.force_login(ben, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def mine(who) -> Recipient:
    return service.recipient_of(who)


def test_bookkeepers_and_administrators_begin_with_sensible_rules(ada_client, ada):
    page = ada_client.get(reverse("notify:index")).content.decode()
    assert "At once, when it has lasted 2 minutes" in page
    assert "Every day at 08:00" in page
    assert "Australia/Sydney" in page
    assert mine(ada).rules.count() == 2


def test_viewers_begin_with_none_and_may_choose(client):
    vic = person("vic@example.com", Role.VIEWER)
    client.force_login(vic, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("notify:index")).content.decode()
    assert "No rules" in page
    assert "Channels of Slack" not in page
    client.post(reverse("notify:add_rule", args=[mine(vic).pk]), RULE)
    assert mine(vic).rules.count() == 1


def test_removed_rules_do_not_come_back(ada_client, ada):
    for rule in mine(ada).rules.all():
        ada_client.post(reverse("notify:remove_rule", args=[rule.pk]))
    service.make_missing()
    ada_client.get(reverse("notify:index"))
    assert mine(ada).rules.count() == 0


def test_a_rule_is_added_changed_and_told_in_words(ada_client, ada, office):
    recipient = mine(ada)
    recipient.rules.all().delete()
    answer = ada_client.post(
        reverse("notify:add_rule", args=[recipient.pk]), {**RULE, "organisations": [office.pk]}
    )
    assert answer.status_code == 302
    rule = recipient.rules.get()
    assert (rule.timing, rule.hour, rule.workdays) == ("daily", 6, True)
    page = ada_client.get(reverse("notify:index")).content.decode()
    assert "On working days at 06:00" in page
    assert "Errors about payments and connections of Adelaide, from 500.00 on" in page
    ada_client.post(reverse("notify:rule", args=[rule.pk]), {**RULE, "hour": "23"})
    rule.refresh_from_db()
    assert (rule.hour, rule.organisations.count()) == (23, 0)
    assert Entry.objects.filter(operation="notify.rule", actor="ada@example.com").count() == 2


def test_what_can_t_be_is_said_beside_the_field(ada_client, ada):
    address = reverse("notify:add_rule", args=[mine(ada).pk])
    page = ada_client.post(address, {**RULE, "wait_minutes": "2000", "hour": "25"})
    assert page.status_code == 200
    assert "less than or equal to 1440" in page.content.decode()


def test_nobody_changes_what_others_are_told(ben_client, ada):
    recipient = mine(ada)
    rule = recipient.rules.first()
    for address in (
        reverse("notify:add_rule", args=[recipient.pk]),
        reverse("notify:rule", args=[rule.pk]),
        reverse("notify:remove_rule", args=[rule.pk]),
        reverse("notify:test", args=[recipient.pk]),
        reverse("notify:pause", args=[recipient.pk]),
    ):
        assert ben_client.post(address, RULE).status_code == 404
    assert ben_client.get(reverse("notify:add_channel")).status_code == 403
    assert Rule.objects.filter(recipient=recipient).count() == 2


def test_channels_are_the_administrators(ada_client, httpserver):
    httpserver.expect_request("/services/secret").respond_with_data("ok")
    address = httpserver.url_for("/services/secret")
    form = {"kind": "slack", "name": "#books", "address": address}
    ada_client.post(reverse("notify:add_channel"), form)
    channel = Recipient.objects.get(kind="slack")
    page = ada_client.get(reverse("notify:channel", args=[channel.pk])).content.decode()
    assert "services/secret" not in page
    assert "All errors; also when mended" in page
    ada_client.post(reverse("notify:channel", args=[channel.pk]), {"name": "#money"})
    channel.refresh_from_db()
    assert (channel.name, service.address_of(channel)) == ("#money", address)
    ada_client.post(reverse("notify:remove_channel", args=[channel.pk]))
    assert not Recipient.objects.filter(kind="slack").exists()


def test_a_channels_address_must_be_one(ada_client):
    form = {"kind": "slack", "name": "#books", "address": "http://example.com/x"}
    page = ada_client.post(reverse("notify:add_channel"), form).content.decode()
    assert "must begin with https://" in page


@pytest.mark.django_db(transaction=True)
def test_the_test_button_says_what_became_of_it(ada_client, ada, mail_server):
    address = reverse("notify:test", args=[mine(ada).pk])
    page = ada_client.post(address, follow=True).content.decode()
    assert "The test was sent to ada@example.com." in page
    assert mail_server.subjects() == ["Psaltery: this is a test"]
    mail_server.refuse_recipient = "550 who?"
    page = ada_client.post(address, follow=True).content.decode()
    assert "The test was not sent." in page
    assert "550 who?" in page


def test_without_a_mail_server_the_page_says_so(ada_client, ada, settings):
    settings.EMAIL_HOST = ""
    assert "No mail server is set" in ada_client.get(reverse("notify:index")).content.decode()
    page = ada_client.post(reverse("notify:test", args=[mine(ada).pk]), follow=True)
    assert "No mail server is set" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_history_shows_each_their_own_and_all_to_administrators(
    client, ada, ben, office, mail_server
):
    mine(ada), mine(ben)
    impatient()
    mail_server.refuse_recipient = "550 no"
    open_card(office, ["1"])
    outbox.book()
    outbox.send_due()
    assert Message.objects.filter(state="failed").count() == 2
    client.force_login(ben, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("notify:messages")).content.decode()
    assert "Ada" not in page.partition("<main")[2]
    others = Message.objects.get(recipient__person=ada)
    assert client.get(reverse("notify:message", args=[others.pk])).status_code == 404
    assert client.post(reverse("notify:send_again", args=[others.pk])).status_code == 404
    own = Message.objects.get(recipient__person=ben)
    page = client.get(reverse("notify:message", args=[own.pk])).content.decode()
    assert "550 no" in page
    assert "Send 1 message" in page
    client.post(reverse("notify:send_again", args=[own.pk]))
    own.refresh_from_db()
    assert own.state == "booked"
    client.force_login(ada, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("notify:messages")).content.decode()
    assert "Ada" in page
    assert "Ben" in page


def test_pausing_is_shown(ada_client, ada):
    ada_client.post(reverse("notify:pause", args=[mine(ada).pk]))
    assert "Paused: nothing is sent here." in (
        ada_client.get(reverse("notify:index")).content.decode()
    )
    ada_client.post(reverse("notify:pause", args=[mine(ada).pk]))
    assert not mine(ada).paused


def test_visitors_sign_in_first(client):
    assert client.get(reverse("notify:index")).status_code == 302


def test_looking_costs_a_fixed_number_of_queries(
    ada, ben, office, settings, django_assert_max_num_queries
):
    settings.EMAIL_HOST = "mail.example.com"
    mine(ada), mine(ben)
    for number in range(5):
        open_card(office, [str(number)], about=f"kind {number}")
    outbox.book()
    with django_assert_max_num_queries(25):
        outbox.book()
    for number in range(5, 40):
        open_card(office, [str(number)], about=f"kind {number}")
    outbox.book()
    with django_assert_max_num_queries(25):
        outbox.book()


def test_the_form_says_what_passes_whatever_is_ticked(ada_client, ada):
    page = ada_client.get(reverse("notify:add_rule", args=[mine(ada).pk])).content.decode()
    assert "Connections that stop are told whatever is ticked here" in page
    assert "tick only others under About" in page
    assert "and connections that stop, are told whatever is entered" in page
