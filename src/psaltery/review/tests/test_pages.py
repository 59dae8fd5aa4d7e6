"""The exceptions' list and cards, snoozing, assigning, commenting, and their commands."""

import csv
import io
import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob
from typer.testing import CliRunner

from psaltery.accounts.models import Person, Role
from psaltery.audit.models import Entry
from psaltery.audit.service import Decision, record_decision
from psaltery.audit.tests.test_log import XERO
from psaltery.cli import app
from psaltery.kit.clock import now
from psaltery.posting.models import Posting
from psaltery.posting.tests.making import document, office
from psaltery.review import queries, service
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold
from psaltery.sync import schedule

pytestmark = pytest.mark.django_db

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
INDEX = "/exceptions/"


def signed_in(client, role=Role.BOOKKEEPER):
    person = Person.objects.create_user(f"{role}@example.com", name=str(role), role=role)
    client.force_login(person, backend=BACKEND)
    return client


@pytest.fixture
def writer(client):
    return signed_in(client)


def held(code: str, organisation, *rows, sentence: str = "", **details) -> Card:
    sentence = sentence or f"{organisation.name if organisation else 'Nowhere'}: {code}."
    reason = Reason(code=code, about=code, subject=code, sentence=sentence, details=details)
    hold([Held(row, organisation, [reason]) for row in rows])
    Posting.objects.filter(document__in=rows).update(state="held")
    return Card.objects.get(code=code, organisation=organisation)


@pytest.fixture
def some(db):
    sydney, perth = office("Sydney"), office("Perth")
    key = {"key_kind": "tax_code", "key": "GST"}
    small = held("tax_unmapped", sydney, document("1", "11.00", organisation=sydney), **key)
    big = held(
        "account_unmapped",
        perth,
        document("2", "110.00", organisation=perth),
        document("3", "220.00", organisation=perth, currency="NZD"),
    )
    lost = held("no_route", None, document("4", "55.00"))
    return small, big, lost


def found(writer, **query: str) -> list[str]:
    page = writer.get(INDEX, {**query, "format": "csv"})
    shown = csv.DictReader(io.StringIO(page.getvalue().decode("utf-8-sig")))
    return [row["Exception"] for row in shown]


def test_the_most_money_comes_first(writer, some):
    assert found(writer) == [
        "Perth: account_unmapped.",
        "Nowhere: no_route.",
        "Sydney: tax_unmapped.",
    ]
    assert found(writer, sort="opened_at")[0] == "Sydney: tax_unmapped."
    page = writer.get(INDEX)
    assert page.context["open"] == 3
    assert page.context["documents"] == 4
    assert page.context["money"] == ["176.00 AUD", "220.00 NZD"]


def test_money_is_told_by_currency(some):
    _, big, _ = some
    card = queries.cards().get(pk=big.pk)
    assert card.documents == 2
    assert [(f"{amount:.2f}", code) for amount, code in queries.money_of(card)] == [
        ("220.00", "NZD"),
        ("110.00", "AUD"),
    ]


def test_filters_and_search(writer, some):
    small, big, _ = some
    perth = big.organisation
    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    service.assign(small, ann.pk)
    assert found(writer, code="no_route") == ["Nowhere: no_route."]
    assert found(writer, organisation=str(perth.pk)) == ["Perth: account_unmapped."]
    assert found(writer, q="sydney") == ["Sydney: tax_unmapped."]
    assert found(writer, owner=str(ann.pk)) == ["Sydney: tax_unmapped."]
    assert len(found(writer, owner="nobody")) == 2
    assert found(writer, mine="1") == []
    service.resolve(small, "ann@example.com", "Done.")
    assert found(writer, state="resolved") == ["Sydney: tax_unmapped."]
    assert len(found(writer, state="all")) == 3
    assert len(found(writer, severity="error")) == 2


def test_the_list_costs_the_same_for_many_cards(writer, some):
    def cost() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert writer.get(INDEX).status_code == 200
        return len(caught)

    few = cost()
    sydney = office("Sydney")
    for number in range(30):
        held(f"code_{number}", sydney, document(f"X{number}", organisation=sydney))
    assert cost() == few


def test_cards_are_brought_up_to_date_together(db):
    def told(count, word):
        about = [Reason(code="stale", about=str(n), sentence=f"{n} {word}.") for n in range(count)]
        with CaptureQueriesContext(connection) as queries:
            cards = service.open_cards([(None, reason) for reason in about], topic="alert")
        assert [card.sentence for card in cards] == [reason.sentence for reason in about]
        return cards, len(queries)

    first, _ = told(30, "is late")
    Card.objects.update(last_seen_at=now() - timedelta(days=1))
    again, few = told(2, "is later")
    assert [card.pk for card in again] == [card.pk for card in first[:2]]
    _, many = told(30, "is latest")
    assert many == few
    stored = Card.objects.order_by("pk")
    assert [card.sentence for card in stored] == [f"{n} is latest." for n in range(30)]
    assert stored.filter(last_seen_at__gt=now() - timedelta(hours=1)).count() == 30
    # What says nothing new costs no write.
    assert told(30, "is latest")[1] < many


def test_a_card_says_what_to_do_and_lists_what_it_blocks(writer, some):
    _, big, _ = some
    page = writer.get(reverse("review:card", args=[big.pk]))
    text = page.content.decode()
    assert "Choose the account of the books" in text
    assert "Map the account and release 2 documents" in text
    documents = writer.get(reverse("review:card", args=[big.pk]), {"format": "csv"})
    shown = csv.DictReader(io.StringIO(documents.getvalue().decode("utf-8-sig")))
    assert [row["Number"] for row in shown] == ["3", "2"]


def test_viewers_see_no_repairs_and_may_not_press_them(client, some):
    small, _, _ = some
    viewer = signed_in(client, Role.VIEWER)
    page = viewer.get(reverse("review:card", args=[small.pk]))
    assert page.context["ways"] == []
    assert "Snooze" not in page.content.decode()
    assert viewer.post(reverse("review:repair", args=[small.pk, "retry"])).status_code == 403
    for name in ("snooze", "wake", "assign", "comment"):
        assert viewer.post(reverse(f"review:{name}", args=[small.pk])).status_code == 403


def test_the_next_exception_is_the_one_with_less_money_and_then_round(some):
    small, big, lost = some
    assert queries.next_after(big) == lost
    assert queries.next_after(lost) == small
    assert queries.next_after(small) == big
    service.resolve(small, "x", "y")
    service.resolve(lost, "x", "y")
    assert queries.next_after(big) is None


def test_snoozed_cards_come_back_by_themselves(writer, some):
    small, _, _ = some
    page = writer.post(reverse("review:snooze", args=[small.pk]), {"span": "a week"})
    assert page.status_code == 302
    small.refresh_from_db()
    assert small.state == Card.State.SNOOZED
    assert timedelta(days=6) < small.snoozed_until - now() < timedelta(days=8)
    assert len(found(writer)) == 2
    schedule.queue_due()
    small.refresh_from_db()
    assert small.state == Card.State.SNOOZED
    Card.objects.filter(pk=small.pk).update(snoozed_until=now())
    schedule.queue_due()
    small.refresh_from_db()
    assert (small.state, small.snoozed_until) == (Card.State.OPEN, None)
    assert Entry.objects.filter(operation="card.snooze").count() == 1


def test_a_card_is_brought_back_early(writer, some):
    small, _, _ = some
    service.snooze(small, now() + timedelta(days=3), "x")
    writer.post(reverse("review:wake", args=[small.pk]))
    small.refresh_from_db()
    assert small.state == Card.State.OPEN


@pytest.mark.parametrize("sent", [{"until": "2020-01-01"}, {"until": "soon"}, {}])
def test_a_day_that_makes_no_sense_is_refused(writer, some, sent):
    small, _, _ = some
    page = writer.post(reverse("review:snooze", args=[small.pk]), sent, follow=True)
    assert any("day" in str(one) or "date" in str(one) for one in page.context["messages"])
    small.refresh_from_db()
    assert small.state == Card.State.OPEN


def test_a_card_is_given_to_somebody_who_may_act(writer, some):
    small, _, _ = some
    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    address = reverse("review:assign", args=[small.pk])
    writer.post(address, {"owner": ann.pk})
    small.refresh_from_db()
    assert small.owner == ann
    writer.post(address, {"owner": viewer.pk})
    small.refresh_from_db()
    assert small.owner == ann
    writer.post(address, {"owner": ""})
    small.refresh_from_db()
    assert small.owner is None


def test_comments_are_shown_with_their_author(writer, some):
    small, _, _ = some
    address = reverse("review:comment", args=[small.pk])
    writer.post(address, {"text": "Asked <b>Jo</b>."})
    writer.post(address, {"text": "  "})
    (remark,) = small.comments.all()
    assert remark.author == "bookkeeper@example.com"
    page = writer.get(reverse("review:card", args=[small.pk])).content.decode()
    assert "Asked &lt;b&gt;Jo&lt;/b&gt;." in page


def test_a_repair_from_a_documents_page_comes_back_to_it(writer, some):
    small, _, _ = some
    row = queries.blocked(small).get()
    back = reverse("posting:document", args=[row.pk])
    address = reverse("review:repair", args=[small.pk, "retry"])
    assert writer.post(address, {"next": back})["Location"] == back
    assert Card.objects.get(pk=small.pk).state == Card.State.RESOLVED


def test_nobody_is_sent_elsewhere(writer, some):
    small, _, _ = some
    address = reverse("review:repair", args=[small.pk, "retry"])
    answer = writer.post(address, {"next": "https://evil.example/"})
    assert answer["Location"] == reverse("review:card", args=[small.pk])


def test_an_empty_list_says_that_nothing_waits(writer):
    assert "Nothing waits for you" in writer.get(INDEX).content.decode()


def test_a_connection_to_reconnect_is_linked(writer):
    sydney = office("Sydney")
    reason = Reason(code="token_revoked", about="connection", sentence="It was revoked.")
    card = service.open_card(sydney, reason)
    page = writer.get(reverse("review:card", args=[card.pk])).content.decode()
    assert reverse("connections:detail", args=[sydney.connection_id]) in page


# The same from the command line.


@pytest.fixture
def run(monkeypatch):
    """Runs a command; its JSON. The test database is migrated and started already."""
    from psaltery import startup

    monkeypatch.setattr(startup, "start", lambda *args, **kwargs: None)

    def run(*arguments: str, code: int = 0):
        result = CliRunner().invoke(app, ["exceptions", *arguments, "--json"])
        assert result.exit_code == code, result.output + str(result.exception)
        return json.loads(result.stdout)

    return run


def test_cards_are_listed_and_shown(run, some):
    small, big, _ = some
    assert run("list")[0]["id"] == big.pk
    assert run("list", "--by", "age")[0]["id"] == small.pk
    assert run("list", "--code", "tax_unmapped")[0]["blocks"] == "11.00 AUD"
    assert len(run("list", "--owner", "nobody")) == 3
    shown = run("show", str(big.pk))
    assert shown["repairs"]["map_account"]["answers"] == ["target"]
    assert shown["blocked"] == ["3", "2"]


def test_a_card_is_repaired(run, some):
    small, _, _ = some
    assert run("repair", str(small.pk), "retry") == {"resolution": "Tried again", "released": 1}
    small.refresh_from_db()
    assert small.resolved_by == "command line"


def test_a_repair_that_is_refused_says_why(run, some):
    small, _, _ = some
    said = run("repair", str(small.pk), "map_tax", "--answer", "target=NONE", code=2)["error"]
    assert "Sydney has no active tax rate “NONE”" in said
    assert "offers" in run("repair", str(small.pk), "adopt", code=2)["error"]
    assert "NAME=VALUE" in run("repair", str(small.pk), "map_tax", "--answer", "x", code=2)["error"]
    assert "no exception" in run("repair", "999", "retry", code=2)["error"]


def test_a_card_is_snoozed_given_away_and_remarked_on(run, some):
    small, _, _ = some
    Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    day = (now() + timedelta(days=5)).date()
    run("snooze", str(small.pk), "--until", str(day))
    run("assign", str(small.pk), "ann@example.com")
    run("comment", str(small.pk), "On it.")
    small.refresh_from_db()
    assert small.snoozed_until.date() == day
    assert small.owner.email == "ann@example.com"
    assert small.comments.get().author == "command line"
    assert "day after" in run("snooze", str(small.pk), "--until", "2020-01-01", code=2)["error"]
    assert "nobody with" in run("assign", str(small.pk), "no@example.com", code=2)["error"]


def forced() -> set[int]:
    return {
        job.args["subject"]
        for job in ProcrastinateJob.objects.filter(task_name="refresh_document", status="todo")
    }


def test_what_a_card_blocks_is_forced_from_there(writer, some):
    _, big, _ = some
    address = f"{reverse('posting:force_many')}?card={big.pk}"
    card = f"/exceptions/{big.pk}/"
    assert f'href="{address}"' in writer.get(card).content.decode()
    asked = writer.get(address).content.decode()
    assert "Force-sync 2 documents" in asked
    assert f'href="{card}"' in asked
    assert not forced()
    answer = writer.post(address)
    assert (answer.status_code, answer["Location"]) == (302, card)
    assert forced() == set(big.blocked.values_list("document_id", flat=True))
    assert Entry.objects.get(operation="force.documents").documents == ["3", "2"]


def test_a_card_leads_to_what_the_log_has_of_its_documents(writer, some):
    _, big, _ = some
    record_decision(XERO, Decision(sentence="Held for account 2.", documents=("2",)))
    record_decision(XERO, Decision(sentence="Held for account 3.", documents=("3",)))
    record_decision(XERO, Decision(sentence="Held for the tax.", documents=("1",)))
    page = writer.get(f"/exceptions/{big.pk}/").content.decode()
    (address,) = re.findall(r'href="(/audit/[^"]+)"', page)
    log = writer.get(unescape(address)).content.decode()
    assert "Held for account 2." in log
    assert "Held for account 3." in log
    assert "Held for the tax." not in log


def test_what_a_card_blocks_is_forced_by_command(some):
    small, _, _ = some
    done = CliRunner().invoke(app, ["exceptions", "force", str(small.pk), "--json"])
    assert json.loads(done.stdout) == {"forced": ["1"]}
    assert forced() == set(small.blocked.values_list("document_id", flat=True))


@pytest.mark.parametrize("card", ["0", "x", "99999999999999999999", "-1"])
def test_a_card_that_is_none_forces_nothing(writer, some, card):
    answer = writer.get(reverse("posting:force_many"), {"card": card})
    assert answer.status_code == 302
    assert not forced()
