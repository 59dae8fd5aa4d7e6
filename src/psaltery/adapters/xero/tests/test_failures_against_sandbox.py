"""What goes wrong against the sandbox: lost answers, locks, slow pages, lost rights."""

from collections.abc import Callable
from datetime import date

import httpx2
import pytest

from psaltery.adapters import xero
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.errors import NeedsReconnect, Rejected, TryLater
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.xero.books import XeroBooks
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.adapters.xero.tests.world import AMOUNTS, World, draft
from psaltery.records.drafts import (
    Action,
    BooksKind,
)


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones(world: World) -> None:
    hasty = Caller(
        world.url,
        credential=FixedCredential(world.caller()._credential.headers()),
        budget=NoBudget(),
        recorder=NoRecorder(),
        classify=xero.classify,
        timeouts=httpx2.Timeout(0.5),
    )
    world.control("faults", kind="slow", seconds=1.5, path="/Invoices", times=1)
    page = XeroBooks(hasty, world.tenant).pull("invoices", None)
    assert len(page.records) >= AMOUNTS["invoices"]
    assert '"size":200' in page.cursor or not page.more


def test_a_locked_period_refuses_and_is_told(world: World) -> None:
    customer = world.contact("Locked Dental")
    world.control("organisations", tenant=world.tenant, PeriodLockDate="2026-06-30")
    try:
        assert world.books.organisation().period_lock_on == date(2026, 6, 30)
        (refused,) = world.create(draft("L-1", customer, issued_on=date(2026, 6, 30)))
        assert [problem.code for problem in refused.problems] == ["period_locked"]
    finally:
        world.control("organisations", tenant=world.tenant, PeriodLockDate=None)


def test_a_lost_answer_is_uncertain_and_found_by_number(world: World) -> None:
    customer = world.contact("Lost Dental")
    world.control("faults", kind="lost_answer", method="PUT", path="/Invoices")
    with pytest.raises(TryLater) as failure:
        world.create(draft("LA-1", customer))
    assert failure.value.uncertain
    (found,) = world.books.find_documents(BooksKind.INVOICE, ["LA-1"])
    assert found.contact_id == customer


def test_the_same_key_gives_the_same_answer_and_no_second_invoice(world: World) -> None:
    customer = world.contact("Twice Dental")
    prepared = [world.books.prepare(Action.CREATE, draft("T-1", customer))]
    first = world.books.send(prepared, "twice")
    assert world.books.send(prepared, "twice") == first
    other = [world.books.prepare(Action.CREATE, draft("T-2", customer))]
    with pytest.raises(Rejected) as refused:
        world.books.send(other, "twice")
    assert refused.value.problems[0].code == "idempotency_conflict"


def test_a_page_of_html_is_tried_later_and_a_cut_one_at_once(world: World) -> None:
    world.control("faults", kind="html", path="/Contacts", times=1)
    with pytest.raises(TryLater) as failure:
        world.books.pull("contacts", None)
    assert failure.value.uncertain is False
    world.control("faults", kind="cut", path="/Contacts", times=1)
    assert len(world.books.pull("contacts", None).records) >= AMOUNTS["contacts"]


def test_a_missing_scope_needs_a_new_consent(caller_of: Callable[..., Caller]) -> None:
    # A sandbox of its own: scopes add up over a user's consents.
    sandbox = Sandbox(limits=False)
    server = sandbox.serve()
    narrow = sandbox.grant(scopes="accounting.contacts.read")["access_token"]
    books = XeroBooks(caller_of(server.url, narrow), sandbox.organisations()[0]["tenantId"])
    assert books.pull("contacts", None).records == ()
    with pytest.raises(NeedsReconnect) as failure:
        books.pull("invoices", None)
    assert failure.value.code == "scope_missing"
    server.stop()
    sandbox.close()


def test_a_removed_organisation_is_told(world: World) -> None:
    with pytest.raises(NeedsReconnect) as failure:
        XeroBooks(world.caller(), "00000000-0000-4000-8000-000000000000").organisation()
    assert failure.value.code == "tenant_removed"
