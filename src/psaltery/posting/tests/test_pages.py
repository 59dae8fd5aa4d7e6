"""The documents' list and pages, and their commands."""

import csv
import io
import json
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from typer.testing import CliRunner

from psaltery.accounts.models import Person, Role
from psaltery.audit.models import Entry
from psaltery.cli import app
from psaltery.desk.models import Document
from psaltery.posting.models import Attempt, Posting
from psaltery.posting.tests.making import document, office
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold
from psaltery.sync import force
from psaltery.testing.processes import due_jobs

pytestmark = pytest.mark.django_db

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
INDEX = "/documents/"


def signed_in(client, role=Role.BOOKKEEPER):
    person = Person.objects.create_user(f"{role}@example.com", name=str(role), role=role)
    client.force_login(person, backend=BACKEND)
    return client


@pytest.fixture
def writer(client):
    return signed_in(client)


def numbers(page) -> list[str]:
    shown = csv.DictReader(io.StringIO(page.getvalue().decode("utf-8-sig")))
    return [row["Number"] for row in shown]


def found(writer, **query: str) -> list[str]:
    return numbers(writer.get(INDEX, {**query, "format": "csv"}))


@pytest.fixture
def some(db):
    sydney, perth = office("Sydney"), office("Perth")
    document("1001", "110.00", "in_step", sydney, issued_on=date(2026, 11, 3))
    document("1002", "220.00", "held", sydney, company_name="Banksia Dental")
    document("1003", "330.00", "waiting", perth, type="Agreement", issued_on=date(2026, 9, 30))
    document("1004", "440.00", "failed", perth, kind="credit_memo", type="CreditMemo")
    document("1005", "550.00", "skipped", None, currency="NZD")
    return sydney, perth


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"1001", "1002", "1003", "1004", "1005"}),
        ({"q": "banksia"}, {"1002"}),
        ({"q": "1003"}, {"1003"}),
        ({"state": "held"}, {"1002"}),
        ({"state": "stopped"}, {"1002", "1004"}),
        ({"state": "moving"}, {"1003"}),
        ({"kind": "credit_memo"}, {"1004"}),
        ({"type": "Agreement"}, {"1003"}),
        ({"customer": "alder"}, {"1001", "1003", "1004", "1005"}),
        ({"date_from": "2026-11-02"}, {"1001"}),
        ({"date_to": "2026-09-30"}, {"1003"}),
        ({"state": "nonsense"}, {"1001", "1002", "1003", "1004", "1005"}),
    ],
)
def test_filters_and_search(writer, some, query, expected):
    assert set(found(writer, **query)) == expected


def test_organisation_filter_and_order(writer, some):
    sydney, _ = some
    assert found(writer, organisation=str(sydney.pk), sort="-total") == ["1002", "1001"]


def test_csv_has_what_the_page_shows(writer, some):
    page = writer.get(INDEX, {"format": "csv", "q": "1005"})
    (row,) = csv.DictReader(io.StringIO(page.getvalue().decode("utf-8-sig")))
    assert row["State"] == "Skipped"
    assert row["Total"] == "550.0000"
    assert row["Currency"] == "NZD"
    assert row["Customer"] == "Alder Legal"


def test_figures_lead_to_the_rows_behind_them(writer, some):
    page = writer.get(reverse("posting:figures"))
    figures = {row["label"]: row for row in page.context["figures"]}
    assert figures["held or refused"]["count"] == 2
    assert figures["held or refused"]["detail"] == "660.00 AUD"
    for row in figures.values():
        assert len(found(writer, state=row["state"])) == row["count"]


def test_the_list_costs_the_same_for_many_rows(writer, some):
    def cost() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert writer.get(INDEX).status_code == 200
        return len(caught)

    few = cost()
    for number in range(40):
        document(f"X{number}", organisation=some[0])
    assert cost() == few


def test_viewers_see_no_buttons_and_may_not_press_them(client, some):
    viewer = signed_in(client, Role.VIEWER)
    row = Document.objects.get(number="1002")
    page = viewer.get(reverse("posting:document", args=[row.pk])).content.decode()
    assert "Firewall" in page
    assert "Force-sync" not in page
    assert "Skip…" not in page
    assert "Force-sync" not in viewer.get(INDEX).content.decode()
    for name in ("force", "skip", "unskip"):
        assert viewer.post(reverse(f"posting:{name}", args=[row.pk])).status_code == 403
    assert viewer.post(reverse("posting:force_many")).status_code == 403


def test_a_held_document_names_its_exceptions_and_what_is_missing(writer, some):
    row = Document.objects.get(number="1002")
    reason = Reason(code="account_unmapped", about="x", sentence="Sydney has no account for it.")
    hold([Held(row, office("Sydney"), [reason])])
    page = writer.get(reverse("posting:document", args=[row.pk]))
    (card,) = page.context["cards"]
    assert card["card"].sentence == "Sydney has no account for it."
    assert card["here"] == [("retry", "Try again")]
    (pair,) = page.context["sides"].pairs
    account = next(why for why in pair.whys if why.list == "account")
    assert account.chosen == ""
    assert account.tried[:2] == ("Product “FW-100”", "Product category “Hardware”")
    assert page.context["sides"].books is None


def test_attempts_show_what_was_sent_and_said(writer, some):
    row = Document.objects.get(number="1004")
    Attempt.objects.create(
        organisation=office("Perth"),
        document=row,
        kind="invoice",
        action="create",
        number="1004",
        key="a-key",
        position=0,
        payload='{"Type":"ACCREC"}',
        state="rejected",
        booked_at=row.seen_at,
        problems=[{"code": "rejected", "message": "No such thing."}],
    )
    page = writer.get(reverse("posting:document", args=[row.pk])).content.decode()
    assert "No such thing." in page
    assert "&quot;Type&quot;: &quot;ACCREC&quot;" in page


def test_skip_and_take_up_again(writer, some):
    row = Document.objects.get(number="1002")
    reason = Reason(code="account_unmapped", about="x", sentence="No account.")
    hold([Held(row, office("Sydney"), [reason])])
    writer.post(reverse("posting:skip", args=[row.pk]))
    posting = Posting.objects.get(pk=row.pk)
    assert (posting.state, posting.skipped_by) == ("skipped", "bookkeeper@example.com")
    assert (
        "Take up again" in writer.get(reverse("posting:document", args=[row.pk])).content.decode()
    )
    writer.post(reverse("posting:unskip", args=[row.pk]))
    posting.refresh_from_db()
    # No rule sends it anywhere in this installation.
    assert (posting.state, posting.skipped_by) == ("held", "")
    said = Entry.objects.filter(documents__contains=["1002"]).values_list("operation", flat=True)
    assert {"document.skip", "document.unskip"} <= set(said)


def test_what_is_in_step_is_not_skipped(writer, some):
    row = Document.objects.get(number="1001")
    page = writer.post(reverse("posting:skip", args=[row.pk]), follow=True)
    assert "is in the books already" in page.content.decode()
    assert Posting.objects.get(pk=row.pk).state == "in_step"


def test_force_sync_of_one_is_queued_and_told(writer, some):
    row = Document.objects.get(number="1001")
    writer.post(reverse("posting:force", args=[row.pk]))
    assert due_jobs() == ["refresh_document"]
    entry = Entry.objects.get(operation="force.document")
    assert (entry.actor, entry.documents) == ("bookkeeper@example.com", ["1001"])


def test_force_sync_of_chosen_documents_asks_first_with_their_money(writer, some):
    ids = [str(pk) for pk in Document.objects.filter(currency="AUD").values_list("pk", flat=True)]
    address = reverse("posting:force_many") + "?" + "&".join(f"document={pk}" for pk in ids[:2])
    page = writer.get(address)
    assert "Force-sync 2 documents?" in page.content.decode()
    assert "330.00" in page.content.decode()
    assert due_jobs() == []
    assert writer.post(address).status_code == 302
    assert due_jobs() == ["refresh_document"] * 2


def test_force_sync_of_all_found_is_bounded(writer, some, monkeypatch):
    monkeypatch.setattr(force, "MOST", 2)
    address = reverse("posting:force_many") + "?customer=alder&all=1"
    page = writer.get(address).content.decode()
    assert "4 documents are found" in page
    assert "newest <b>2</b>" in page
    answer = writer.post(address)
    assert answer["Location"] == f"{INDEX}?customer=alder"
    assert len(due_jobs()) == 2


def test_force_sync_of_nothing_says_so(writer, some):
    page = writer.get(reverse("posting:force_many"), follow=True)
    assert "Choose at least one" in page.content.decode()


def test_a_document_that_is_not_there(writer):
    assert writer.get(reverse("posting:document", args=[999])).status_code == 404


# The same from the command line.


@pytest.fixture
def run(monkeypatch):
    """Runs a command; its JSON. The test database is migrated and started already."""
    from psaltery import startup

    monkeypatch.setattr(startup, "start", lambda *args, **kwargs: None)

    def run(*arguments: str, code: int = 0):
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == code, result.output + str(result.exception)
        return json.loads(result.stdout)

    return run


def test_documents_are_listed_and_shown(run, some):
    rows = run("documents", "list", "--state", "held")
    assert [row["number"] for row in rows] == ["1002"]
    assert run("documents", "list", "banksia", "--since", "2026-10-01")[0]["total"] == "220.00"
    shown = run("documents", "show", "1002")
    assert shown["state"] == "held"
    assert shown["lines"][0]["psa"] == "Firewall"
    assert shown["lines"][0]["tried"][0] == "Product “FW-100”"
    assert run("documents", "show", rows[0]["id"])["number"] == "1002"


def test_documents_are_forced_and_skipped(run, some):
    assert run("documents", "force", "1001", "1002")["forced"] == ["1001", "1002"]
    assert due_jobs() == ["refresh_document"] * 2
    assert run("documents", "skip", "1003") == {"skipped": 1, "of": 1}
    assert Posting.objects.get(document__number="1003").skipped_by == "command line"
    assert run("documents", "skip", "1001", code=1) == {"skipped": 0, "of": 1}
    assert run("documents", "skip", "--undo", "1003") == {"taken up": 1, "of": 1}


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (("--customer", "banksia"), {"1002"}),
        (("--kind", "credit_memo"), {"1004"}),
        (("--until", "2026-10-01"), {"1003"}),
        (("--customer", "alder", "--since", "2026-11-02"), {"1001"}),
        (("--state", "skipped"), {"1005"}),
    ],
)
def test_documents_of_a_filter_are_forced(run, some, filters, numbers):
    assert set(run("documents", "force", *filters)["forced"]) == numbers
    assert due_jobs() == ["refresh_document"] * len(numbers)


def test_how_many_are_forced_is_asked_first(run, some):
    number = str(some[0].pk)
    asked = CliRunner().invoke(app, ["documents", "force", "--organisation", number], input="n\n")
    assert asked.exit_code == 1
    assert "2 documents worth 330.00 AUD" in asked.output
    assert due_jobs() == []
    done = CliRunner().invoke(app, ["documents", "force", "--organisation", number, "--yes"])
    assert done.exit_code == 0, done.output
    assert len(due_jobs()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("force",), "and not both"),
        (("force", "1001", "--kind", "bill"), "and not both"),
        (("force", "--customer", "nobody"), "No document matches"),
        (("show", "nope"), "no document"),
        (("list", "--state", "lost"), "Known: waiting"),
        (("list", "--since", "yesterday"), "no day"),
    ],
)
def test_wrong_arguments_are_said(run, some, arguments, words):
    assert words in run("documents", *arguments, code=2)["error"]


def test_a_number_that_several_documents_have(run, some):
    document("1001", external_id="twin", kind="credit_memo")
    assert "Several documents" in run("documents", "show", "1001", code=2)["error"]
