"""An organisation's settings: checked, stored, audited, and obeyed by what is held."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from psaltery.accounts.models import Person
from psaltery.adapters.errors import BadSettings
from psaltery.audit.models import Entry
from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.ledger.models import LedgerAccount, LedgerBrandingTheme
from psaltery.posting.policy import Policy, read_policy
from psaltery.posting.tests.making import document, office
from psaltery.records.books import Status
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold
from psaltery.sync.forms import OrganisationForm
from psaltery.sync.organisations import Wanted, change, interval_text

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def sydney():
    connection = Connection.objects.create(kind="xero", name="Books", state="connected")
    one = Organisation.objects.create(
        connection=connection, external_id="t", name="Sydney", chosen=True, base_currency="AUD",
        settings={"kept": "by others"},
    )  # fmt: skip
    Budget.objects.create(organisation=one, per_minute=30)
    for name in ("invoices", "contacts"):
        Feed.objects.create(
            organisation=one, name=name, seconds=21_600, finished_at=now(),
            due_at=now() + timedelta(hours=6),
        )  # fmt: skip
    LedgerAccount.objects.create(
        organisation=one, external_id="a", code="860", name="Rounding", type="REVENUE",
        account_class="REVENUE", active=True, takes_payments=False,
    )  # fmt: skip
    LedgerBrandingTheme.objects.create(
        organisation=one, external_id="th-1", name="Standard", active=True
    )
    return one


def client_of(role):
    person = Person.objects.create_user(f"{role}@example.com", name=role, role=role)
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def form(organisation, **changes):
    """What a browser sends for the page as it stands, with these changes; None: an empty box."""
    feeds = list(organisation.feeds.all())
    values = {
        field.html_name: field.value() for field in OrganisationForm(None, organisation, feeds)
    }
    # A box that is not ticked is not sent.
    sent = {name: "on" if value is True else value for name, value in (values | changes).items()}
    return {
        name: "" if value is None else value
        for name, value in sent.items()
        if value is not False and not (value is None and name in changes)
    }


def url_of(organisation):
    return reverse("sync:organisation", args=[organisation.pk])


def test_policies_are_stored_and_told(sydney):
    answer = client_of("admin").post(
        url_of(sydney),
        form(sydney, status="draft", create_contacts=None, post_from="2026-07-01", due_days="7",
             adjustment_cap="0.10", adjustment_account="860", branding_theme_id="th-1",
             rates="usd 0.6512; EUR 0.61"),
        follow=True,
    )  # fmt: skip
    assert "Saved: status of posted documents authorised → draft" in answer.content.decode()
    sydney.refresh_from_db()
    policy = read_policy(sydney.settings)
    assert policy.status is Status.DRAFT
    assert policy.create_contacts is False
    assert (str(policy.post_from), policy.due_days) == ("2026-07-01", 7)
    assert policy.adjustment_cap == Decimal("0.10")
    assert (policy.adjustment_account, policy.branding_theme_id) == ("860", "th-1")
    assert policy.rates == "EUR 0.61, USD 0.6512"
    assert sydney.settings["kept"] == "by others"
    entry = Entry.objects.get(operation="organisation.settings")
    assert entry.actor == "admin@example.com"
    assert "due days 14 → 7" in entry.sentence


def test_an_interval_moves_the_next_run(sydney):
    answer = client_of("admin").post(
        url_of(sydney), form(sydney, every_invoices="900"), follow=True
    )
    assert "invoices every 6 hours → 15 minutes" in answer.content.decode()
    feed = Feed.objects.get(name="invoices")
    assert feed.seconds == 900
    assert timedelta(minutes=14) < feed.due_at - now() < timedelta(minutes=16)
    assert Feed.objects.get(name="contacts").due_at > now() + timedelta(hours=5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"per_minute": "61"}, "less than or equal to 60"),
        ({"per_minute": "0"}, "greater than or equal to 1"),
        ({"due_days": "-1"}, "greater than or equal to 0"),
        ({"adjustment_cap": "0.005"}, "no more than 2 decimal places"),
        ({"adjustment_account": "999"}, "not one of the available choices"),
        ({"every_invoices": "60"}, "not one of the available choices"),
        ({"status": "paid"}, "not one of the available choices"),
        ({"post_from": "yesterday"}, "Enter a valid date"),
        ({"rates": "USD half"}, "is no currency and rate"),
    ],
)
def test_what_is_not_allowed_is_refused_beside_its_field(sydney, changes, words):
    answer = client_of("admin").post(url_of(sydney), form(sydney, **changes))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Entry.objects.filter(operation="organisation.settings").exists()


def test_nothing_changed_is_not_told_to_the_log(sydney):
    answer = client_of("admin").post(url_of(sydney), form(sydney), follow=True)
    assert "Nothing was changed" in answer.content.decode()
    assert not Entry.objects.filter(operation="organisation.settings").exists()


def test_only_administrators_change_settings(sydney):
    bookkeeper = client_of("bookkeeper")
    assert bookkeeper.post(url_of(sydney), form(sydney, due_days="1")).status_code == 403
    shown = client_of("viewer").get(url_of(sydney)).content.decode()
    assert "Administrators can change this" in shown
    assert "Pause…" not in shown


def test_an_organisation_is_paused_and_resumed(sydney):
    client = client_of("bookkeeper")
    url = reverse("sync:pause", args=[sydney.pk])
    assert "is paused" in client.post(url, follow=True).content.decode()
    sydney.refresh_from_db()
    assert sydney.paused
    assert "is resumed" in client.post(url, follow=True).content.decode()


def test_a_psa_has_a_schedule_and_no_policies():
    psa = Connection.objects.create(kind="connectwise", name="PSA", state="connected")
    site = Organisation.objects.create(connection=psa, external_id="s", name="PSA", chosen=True)
    Budget.objects.create(organisation=site, per_minute=600)
    Feed.objects.create(organisation=site, name="tickets", seconds=3600)
    client = client_of("admin")
    text = client.get(url_of(site)).content.decode()
    assert "Posted documents are" not in text
    assert "allows 900" in text
    client.post(url_of(site), {"per_minute": "700", "every_tickets": "3600"})
    assert Budget.objects.get().per_minute == 700


def test_a_theme_that_is_gone_is_kept_until_another_is_chosen(sydney):
    change(sydney, Wanted(Policy(branding_theme_id="old")))
    text = client_of("admin").get(url_of(sydney)).content.decode()
    assert "old (no longer in the books)" in text


def test_an_interval_out_of_bounds_changes_nothing(sydney):
    with pytest.raises(BadSettings, match="at least 5 minutes"):
        change(sydney, Wanted(Policy(due_days=1), {"invoices": 10}))
    sydney.refresh_from_db()
    assert read_policy(sydney.settings).due_days == 14


@pytest.mark.parametrize(
    ("seconds", "words"), [(20, "20 s"), (300, "5 minutes"), (3600, "1 hour"), (5400, "90 minutes")]
)
def test_intervals_are_said_as_people_do(seconds, words):
    assert interval_text(seconds) == words


def test_a_feed_is_read_now_from_the_page(sydney):
    client = client_of("bookkeeper")
    assert "Read Invoices now" in client.get(url_of(sydney)).content.decode()
    answer = client.post(reverse("sync:read_feed", args=[sydney.pk, "invoices"]), follow=True)
    assert "are read now, ahead of everything else" in answer.content.decode()
    feed = Feed.objects.get(organisation=sydney, name="invoices")
    assert feed.state == Feed.State.QUEUED
    assert feed.due_at <= now()
    assert Entry.objects.filter(operation="force.feed").exists()
    assert client.post(reverse("sync:read_feed", args=[sydney.pk, "none"])).status_code == 404


def test_the_page_tells_what_became_of_its_documents(sydney):
    document("1001", "110.00", "in_step", sydney)
    held = document("1002", "220.00", "held", sydney)
    document("1003", "330.00", "held", office("Elsewhere"))
    reason = Reason(code="no_route", about="x", subject="1002", sentence="1002 has no route.")
    hold([Held(held, sydney, [reason])])
    client = client_of("viewer")
    figures = client.get(url_of(sydney)).context["figures"]
    told = {figure["label"]: (figure["value"], figure["detail"]) for figure in figures}
    assert told["documents in step"] == (1, "")
    assert told["held or refused"] == (1, "220.00 AUD")
    assert told["open exceptions"] == (1, "")
    assert told["calls today"][0] == 0
    for figure in figures:
        assert client.get(figure["url"]).status_code == 200
