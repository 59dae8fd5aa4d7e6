"""`psaltery customers` and `psaltery alerts`: for people and for programs."""

import json

import pytest
from typer.testing import CliRunner

from psaltery.cli import app
from psaltery.ledger.models import BillingInvoice
from psaltery.portfolio.models import Customer
from psaltery.signals.models import Alert
from psaltery.signals.tests.test_look import both, close
from psaltery.testing.situations import fell_due


@pytest.fixture
def run(monkeypatch):
    from psaltery import startup

    monkeypatch.setattr(startup, "start", lambda: None)

    def call(*arguments, code=0):
        answer = CliRunner().invoke(app, list(arguments))
        assert answer.exit_code == code, answer.output
        return answer.stdout

    return call


def test_customers_and_alerts(rig, run):
    close(rig)
    both(rig)
    fell_due(20)
    looked = {row["signal"]: row for row in json.loads(run("alerts", "look", "--json"))}
    assert looked["invoice_overdue"]["money"] == ["220.00 AUD"]
    rows = json.loads(run("customers", "list", "--json"))
    first = rows[0]
    assert (first["outstanding"], first["overdue"]) == ("220.00", "220.00")
    assert first["currency"] == "AUD"
    number = str(first["id"])
    shown = json.loads(run("customers", "show", number, "--json"))
    assert shown["money"][0]["days_30"] == "220.0000"
    assert shown["agreements"][0]["active"] is True
    invoice = BillingInvoice.objects.get()
    assert [(row["number"], row["open"]) for row in shown["invoices"]] == [
        (invoice.number, "220.00")
    ]
    assert "1 invoice overdue" in {row["sentence"].partition(",")[0] for row in shown["alerts"]}
    assert shown["people"][0]["email"]
    assert (shown["payments"], shown["exceptions"]) == ([], [])
    assert invoice.number in run("customers", "show", number)
    told = json.loads(run("customers", "timeline", number, "--kind", "invoice", "--json"))
    assert [event["kind"] for event in told["events"]] == ["invoice"]
    assert run("customers", "list", "--search", "nobody at all") == "No customers are known yet.\n"
    alert = str(Alert.objects.get(signal="invoice_overdue").pk)
    assert "20 days" in run("alerts", "list", "--signal", "invoice_overdue", "--json")
    assert json.loads(run("alerts", "show", alert, "--json"))["evidence_count"] == 1
    run("alerts", "snooze", alert, "--days", "3", "--note", "on holiday")
    assert Alert.objects.get(pk=alert).state == "snoozed"
    run("alerts", "reopen", alert)
    run("alerts", "acknowledge", alert)
    assert Alert.objects.get(pk=alert).state == "acknowledged"
    run("alerts", "limits", "overdue_grace", "30")
    run("alerts", "look")
    assert Alert.objects.get(pk=alert).state == "resolved"
    run("alerts", "acknowledge", alert, code=2)
    run("alerts", "limits", "overdue_grace", "-1", code=2)
    run("alerts", "limits", "nothing", "1", code=2)
    together = json.loads(run("customers", "overview", "--json"))
    owed = {row["currency"]: row["outstanding"] for row in together["currencies"]}
    assert owed["AUD"] == "220.0000"
    run("customers", "renewal", number, "--stage", "plan", "--note", "They pay in parts.")
    board = json.loads(run("customers", "renewals", "--json"))
    assert [(row["stage"], row["note"]) for row in board] == [("plan", "They pay in parts.")]
    run("customers", "renewal", number, "--stage", "elsewhere", code=2)
    run("customers", "renewal", number, "--owner", "nobody@example.com", code=2)
    run("customers", "billing", number, "charity")
    assert Customer.objects.get(pk=number).billing == "charity"
    run("customers", "billing", number, "parent", code=2)
