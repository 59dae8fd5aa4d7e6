"""A lock date in the books: documents parked, moved to the first open day, forecast, let out."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from typer.testing import CliRunner

from psaltery.accounts.models import Person
from psaltery.audit.models import Entry
from psaltery.cli import app
from psaltery.connections.models import Feed, Organisation
from psaltery.kit.clock import now
from psaltery.posting.models import Attempt, Link, Posting
from psaltery.review.models import Card
from psaltery.sync.repairs import repair
from psaltery.testing.rig import Rig, call

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
LOCK = "2026-10-31"


def lock(rig: Rig, until: str | None) -> None:
    for organisation in rig.organisations:
        body = {"tenant": organisation.external_id, "PeriodLockDate": until}
        call(f"{rig.books_url}/_control/organisations", "POST", body)
    for feed in Feed.objects.filter(name="settings", organisation__in=rig.organisations):
        rig.read(feed)


def close(rig: Rig, day: str, **fields):
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": LINES, **fields}
    return rig.close_invoice(**{**given, "date": day})


def psaltery(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def sydney(rig: Rig):
    return next(one for one in rig.organisations if "Sydney" in one.name)


def set_lock_policy(rig: Rig, policy: str) -> None:
    done = psaltery("organisations", "set", str(sydney(rig).pk), "--lock", policy)
    assert done.exit_code == 0, done.output


def in_books(rig: Rig, link: Link):
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


@pytest.mark.parametrize(("policy", "status"), [("draft", "DRAFT"), ("next_day", "AUTHORISED")])
def test_parked_documents_go_on_the_first_open_day_when_the_policy_says_so(
    rig: Rig, policy, status
):
    lock(rig, LOCK)
    close(rig, "2026-10-15")
    rig.sync()
    assert Posting.objects.get().state == "held"
    assert Card.objects.get(state="open").code == "period_locked"
    set_lock_policy(rig, policy)
    rig.work()
    link = Link.objects.select_related("organisation").get()
    invoice = in_books(rig, link)
    assert invoice["Status"] == status
    assert invoice["DateString"].startswith("2026-11-01")
    assert invoice["Reference"].endswith("(PSA date 15 Oct 2026)")
    assert Decimal(str(invoice["Total"])) == Decimal("220.00")
    assert not Card.objects.filter(state="open").exists()
    told = Entry.objects.get(operation="organisation.settings")
    assert f"documents of a locked period hold → {policy}" in told.sentence
    rig.sync()
    assert not Card.objects.filter(state="open").exists()
    assert Posting.objects.get().state == "in_step"


@pytest.mark.parametrize("policy", ["hold", "draft", "next_day"])
def test_an_edit_behind_the_lock_waits_and_goes_when_the_lock_moves(rig: Rig, policy):
    close(rig, "2026-10-15")
    rig.sync()
    link = Link.objects.select_related("organisation", "document").get()
    set_lock_policy(rig, policy)
    lock(rig, LOCK)
    rig.edit(link, lines=[{**LINES[0], "price": "300.00"}])
    rig.sync()
    assert Card.objects.get(state="open").code == "locked_edit"
    assert Decimal(str(in_books(rig, link)["Total"])) == Decimal("220.00")
    lock(rig, None)
    rig.work()
    assert Decimal(str(in_books(rig, link)["Total"])) == Decimal("330.00")
    assert not Card.objects.filter(state="open").exists()


def test_a_lock_that_was_moved_a_moment_ago_is_read_before_anything_is_written(rig: Rig):
    rig.sync()
    for organisation in rig.organisations:
        body = {"tenant": organisation.external_id, "PeriodLockDate": LOCK}
        call(f"{rig.books_url}/_control/organisations", "POST", body)
    close(rig, "2026-10-15")
    Organisation.objects.update(checked_at=now() - timedelta(hours=1))
    for feed in Feed.objects.filter(organisation=rig.site):
        rig.read(feed)
    rig.work()
    assert Card.objects.get(state="open").code == "period_locked"
    # It was not the books that refused it: nothing was sent.
    assert not Attempt.objects.filter(kind="invoice").exists()
    assert sydney(rig).period_lock_on is None  # as the test knew it
    assert str(Organisation.objects.get(pk=sydney(rig).pk).period_lock_on) == LOCK


def test_the_card_lets_all_that_it_holds_go_on_the_first_open_day(rig: Rig):
    lock(rig, LOCK)
    for day in ("2026-10-15", "2026-10-16"):
        close(rig, day)
    rig.sync()
    card = Card.objects.get(state="open")
    assert repair(card, "next_day", {}, "ann@example.com") == 2
    rig.work()
    assert {in_books(rig, link)["DateString"][:10] for link in Link.objects.all()} == {"2026-11-01"}


def test_the_forecast_names_what_will_miss_the_next_lock_and_its_money(rig: Rig, client):
    lock(rig, LOCK)
    close(rig, "2026-10-15")
    close(rig, "2026-11-10")
    rig.sync()
    close(rig, "2026-11-12", lines=[{**LINES[0], "price": "50.00"}])
    number = str(sydney(rig).pk)
    done = psaltery("organisations", "set", number, "--next-lock", "2099-12-31", "--json")
    assert done.exit_code == 0, done.output
    for feed in Feed.objects.filter(name="invoices", organisation=rig.site):
        rig.read(feed)
    told = psaltery("organisations", "forecast", number, "--json")
    assert told.exit_code == 3
    (found,) = json.loads(told.stdout)
    assert (found["documents"], found["missed"]) == (2, 1)
    assert found["next_lock"] == "2099-12-31"
    held, free = found["causes"]
    assert (held["documents"], held["money"]) == (1, {"AUD": "220.00"})
    assert "locked up to 31 October 2026" in held["sentence"]
    assert (free["exception"], free["documents"]) == (None, 1)
    person = Person.objects.create_user("ann@example.com", name="Ann", role="viewer")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("posting:forecast")).content.decode()
    assert "2 documents</a>" in page
    assert held["sentence"] in page
    listed = client.get(
        reverse("posting:index"), {"state": "open", "date_to": "2099-12-31"}
    ).content.decode()
    assert listed.count("Waiting") + listed.count("Held") >= 2


def test_a_wrong_setting_is_refused_with_what_is_known(rig: Rig):
    number = str(sydney(rig).pk)
    for wrong in (["--lock", "never"], ["due_days=many"], ["nothing=1"], ["--every", "x=5"]):
        assert psaltery("organisations", "set", number, *wrong).exit_code == 2
    done = psaltery("organisations", "set", number, "--every", "invoices=5", "due_days=7")
    assert done.exit_code == 0, done.output
    shown = json.loads(psaltery("organisations", "show", number, "--json").stdout)
    assert shown["settings"]["due_days"] == 7
    (feed,) = [one for one in shown["feeds"] if one["feed"] == "invoices"]
    assert feed["seconds"] == 300
    assert date.fromisoformat(feed["next"][:10])
