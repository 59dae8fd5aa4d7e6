"""The adapter against the sandbox, over HTTP: what is written is read back, to the cent."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from psaltery.adapters import xero
from psaltery.adapters.budget import NoBudget
from psaltery.adapters.errors import NeedsReconnect, Rejected, TryLater
from psaltery.adapters.exchange import NoRecorder
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.xero.books import XeroBooks, XeroConsent
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.records.books import BooksSettings, CreditNote, Settlement, Status, TaxMode
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    Draft,
    DraftLine,
    Outcome,
    TrackingChoice,
)

AMOUNTS = {"contacts": 30, "invoices": 120, "payments": 60, "credit_notes": 10}
TODAY = date(2026, 11, 20)


def _key(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


@dataclass
class World:
    """A served sandbox, and the adapter for its first organisation."""

    sandbox: Sandbox
    url: str
    tenant: str
    books: XeroBooks
    caller: Callable[..., Caller]

    def control(self, place: str, **sent: Any) -> Any:
        answer = httpx2.post(f"{self.url}/_control/{place}", json=sent)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def edit(self, kind: str, identity: str | None = None, **changes: Any) -> Any:
        told = {"tenant": self.tenant, "kind": kind, "id": identity, "changes": changes}
        return self.control("edit", **told)

    def contact(self, name: str, **more: Any) -> str:
        prepared = self.books.prepare(Action.CREATE, ContactDraft(name=name, **more))
        (made,) = self.books.send([prepared], _key(name))
        assert made.accepted, made.problems
        return made.external_id

    def create(self, *drafts: Draft) -> tuple[Outcome, ...]:
        prepared = [self.books.prepare(Action.CREATE, draft) for draft in drafts]
        return self.books.send(prepared, _key(*(one.body for one in prepared)))

    def everything(self, feed: str, cursor: str | None = None) -> tuple[list[Any], str]:
        found: list[Any] = []
        while True:
            page = self.books.pull(feed, cursor)
            found += page.records
            cursor = page.cursor
            if not page.more:
                return found, cursor


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(orgs=2, limits=False, **AMOUNTS)
    server = sandbox.serve()
    yield sandbox, server.url
    server.stop()
    sandbox.close()


@pytest.fixture
def world(served: tuple[Sandbox, str], caller_of: Callable[..., Caller]) -> World:
    sandbox, url = served
    token = sandbox.grant()["access_token"]
    tenant = sandbox.organisations()[0]["tenantId"]
    books = xero.open({"mode": "web"}, tenant, caller_of(url, token), {})
    return World(sandbox, url, tenant, books, lambda: caller_of(url, token))


def _line(**changes: Any) -> DraftLine:
    told: dict[str, Any] = {
        "description": "Managed service",
        "quantity": Decimal("2.5"),
        "unit_amount": Decimal("104.5955"),
        "account_code": "210",
        "tax_type": "OUTPUT",
    }
    return DraftLine(**(told | changes))


def _draft(number: str, contact_id: str, **changes: Any) -> Draft:
    told: dict[str, Any] = {
        "kind": BooksKind.INVOICE,
        "number": number,
        "contact_id": contact_id,
        "status": Status.AUTHORISED,
        "issued_on": TODAY,
        "due_on": TODAY + timedelta(days=14),
        "currency": "AUD",
        "tax_mode": TaxMode.EXCLUSIVE,
        "lines": (_line(),),
        "reference": "PO 77",
        "url": "https://hub.example/documents/1",
    }
    return Draft(**(told | changes))


def test_the_organisation_and_its_lists(world: World) -> None:
    page = world.books.pull("settings", None)
    (settings,) = page.records
    assert isinstance(settings, BooksSettings)
    assert settings.organisation.base_currency == "AUD"
    assert settings.organisation.time_zone == "Australia/Sydney"
    assert settings.organisation.short_code.startswith("!")
    accounts = {account.code: account for account in settings.accounts}
    assert accounts["090"].takes_payments
    assert accounts["200"].account_class == "REVENUE"
    rates = {rate.tax_type: rate for rate in settings.tax_rates}
    assert rates["OUTPUT"].rate == 10
    assert "REVENUE" in rates["OUTPUT"].classes
    assert len(settings.tracking) == 2
    assert "AUD" in settings.currencies


def test_every_feed_is_read_whole_and_then_only_what_changed(world: World) -> None:
    contacts, contacts_cursor = world.everything("contacts")
    invoices, invoices_cursor = world.everything("invoices")
    payments, _ = world.everything("payments")
    notes, _ = world.everything("credit_notes")
    assert len(contacts) >= AMOUNTS["contacts"]
    assert len(invoices) >= AMOUNTS["invoices"]
    assert len({invoice.external_id for invoice in invoices}) == len(invoices)
    assert all(invoice.lines and invoice.updated_at for invoice in invoices)
    assert {payment.source for payment in payments} == {"payment"}
    assert {payment.invoice_id for payment in payments} <= {one.external_id for one in invoices}
    assert any(isinstance(record, CreditNote) for record in notes)
    for feed in ("overpayments", "prepayments"):
        world.everything(feed)
    # Later than the overlap, one contact is changed: the next run has that one alone.
    world.sandbox.world.clock.offset += timedelta(minutes=10)
    world.edit("Contacts", contacts[0].external_id, Name="Renamed Dental")
    changed, _ = world.everything("contacts", contacts_cursor)
    assert [contact.name for contact in changed] == ["Renamed Dental"]
    unchanged = world.books.pull("invoices", invoices_cursor)
    assert (unchanged.records, unchanged.more) == ((), False)


def test_what_is_written_is_read_back_to_the_cent(world: World) -> None:
    settings = world.books.settings()
    category = settings.tracking[0]
    option = category.options[0]
    choice = TrackingChoice(category.external_id, category.name, option.external_id, option.name)
    customer = world.contact("Written Dental", contact_number="PSA-1")
    lines = (_line(tracking=(choice,)), _line(quantity=Decimal(-1), unit_amount=Decimal("0.0333")))
    (made,) = world.create(_draft("W-1", customer, lines=lines))
    assert made.accepted, made.problems
    # 2.5 × 104.5955 = 261.48875 → 261.49; -0.0333 → -0.03; tax a line: 26.15 and 0.00
    assert (made.subtotal, made.tax, made.total) == (
        Decimal("261.46"),
        Decimal("26.15"),
        Decimal("287.61"),
    )
    assert (made.number, made.status, made.contact_id) == ("W-1", Status.AUTHORISED, customer)
    (found,) = world.books.find_documents(BooksKind.INVOICE, ["W-1", "W-none"])
    assert (found.external_id, found.total, found.url) == (
        made.external_id,
        made.total,
        "https://hub.example/documents/1",
    )
    invoices, _ = world.everything("invoices")
    (read,) = [invoice for invoice in invoices if invoice.number == "W-1"]
    assert read.lines[0].unit_amount == Decimal("104.5955")
    assert read.lines[0].tracking == (f"{category.name}: {option.name}",)
    assert read.issued_on == TODAY


def test_good_and_bad_of_one_batch(world: World) -> None:
    customer = world.contact("Batch Dental")
    world.create(_draft("B-1", customer))
    drafts = [
        _draft("B-2", customer),
        _draft("B-1", customer),
        _draft("B-3", customer, lines=(_line(account_code="999"),)),
        _draft("B-4", customer, lines=(_line(tax_type="INPUT"),)),
        _draft("B-5", customer, currency="EUR"),
    ]
    outcomes = world.create(*drafts)
    codes = [one.problems[0].code if one.problems else "ok" for one in outcomes]
    assert codes == [
        "ok",
        "number_taken",
        "account_invalid",
        "tax_not_for_account",
        "currency_not_subscribed",
    ]
    assert outcomes[2].problems[0].subject == "999"
    assert outcomes[3].problems[0].subject == "INPUT/210"
    assert outcomes[4].problems[0].subject == "EUR"
    found = world.books.find_documents(BooksKind.INVOICE, ["B-1", "B-2", "B-3", "B-4", "B-5"])
    assert {one.number for one in found} == {"B-1", "B-2"}


def test_update_void_and_delete(world: World) -> None:
    customer = world.contact("Edit Dental")
    approved, waiting = world.create(
        _draft("E-1", customer), _draft("E-2", customer, status=Status.SUBMITTED)
    )
    changed = _draft(
        "E-1", customer, external_id=approved.external_id, lines=(_line(quantity=Decimal(1)),)
    )
    (updated,) = world.books.send([world.books.prepare(Action.UPDATE, changed)], "update E-1")
    assert (updated.accepted, updated.total) == (True, Decimal("115.06"))
    voids = [
        world.books.prepare(
            Action.VOID,
            _draft(one.number, customer, external_id=one.external_id, status=one.status),
        )
        for one in (approved, waiting)
    ]
    first, second = world.books.send(voids, "void E")
    assert (first.status, second.status) == (Status.VOIDED, Status.DELETED)
    again = world.books.get_document(BooksKind.INVOICE, approved.external_id)
    assert again is not None
    assert again.status is Status.VOIDED


def test_bills_and_credit_notes(world: World) -> None:
    partner = world.contact("Both Ways Dental")
    cost = (_line(account_code="310", tax_type="INPUT"),)
    bills = world.create(
        _draft("SUP-1", partner, kind=BooksKind.BILL, lines=cost, status=Status.DRAFT),
        _draft("SUP-1", partner, kind=BooksKind.BILL, lines=cost, status=Status.DRAFT),
    )
    assert len({bill.external_id for bill in bills}) == 2
    found = world.books.find_documents(BooksKind.BILL, ["SUP-1"])
    assert {bill.external_id for bill in found} == {bill.external_id for bill in bills}
    assert world.books.find_documents(BooksKind.INVOICE, ["SUP-1"]) == ()
    (note,) = world.create(_draft("CM-1", partner, kind=BooksKind.CREDIT_NOTE))
    assert note.accepted, note.problems
    assert note.amount_due == note.total == Decimal("287.64")
    (same,) = world.books.find_documents(BooksKind.CREDIT_NOTE, ["CM-1", "CM-none"])
    assert same.external_id == note.external_id
    got = world.books.get_document(BooksKind.CREDIT_NOTE, note.external_id)
    assert got is not None
    assert got.reference == "PO 77"


def test_payments_are_settlements_and_a_removed_one_says_so(world: World) -> None:
    customer = world.contact("Paying Dental")
    (made,) = world.create(_draft("P-1", customer))
    payment = world.edit(
        "Payments",
        Invoice={"InvoiceID": made.external_id},
        Account={"Code": "090"},
        Date=TODAY.isoformat(),
        Amount=100,
        Reference="thanks",
    )
    touches = _touches(world, made.external_id)
    assert [(one.amount, one.state, one.paid_on, one.reference) for one in touches] == [
        (Decimal(100), "active", TODAY, "thanks")
    ]
    assert touches[0].currency == "AUD"
    now = world.books.get_document(BooksKind.INVOICE, made.external_id)
    assert now is not None
    assert now.amount_due == made.total - 100
    world.edit("Payments", payment["PaymentID"], Status="DELETED")
    assert [one.state for one in _touches(world, made.external_id)] == ["deleted"]


def _touches(world: World, invoice_id: str) -> list[Settlement]:
    payments, _ = world.everything("payments")
    return [one for one in payments if one.invoice_id == invoice_id]


def _put(world: World, path: str, **body: Any) -> Any:
    """What the adapter does not write (yet): credit given to invoices."""
    token = world.sandbox.grant()["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "Xero-Tenant-Id": world.tenant,
        "Accept": "application/json",
    }
    answer = httpx2.put(f"{world.url}/api.xro/2.0/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _credit_touches(world: World, feed: str, source_id: str) -> dict[str, Decimal]:
    records, _ = world.everything(feed)
    return {
        one.invoice_id: one.amount
        for one in records
        if isinstance(one, Settlement) and one.source_id == source_id
    }


def test_a_credit_note_is_given_to_invoices_and_refunded(world: World) -> None:
    customer = world.contact("Credited Dental")
    first, second = world.create(_draft("CR-1", customer), _draft("CR-2", customer))
    (note,) = world.create(_draft("CR-N", customer, kind=BooksKind.CREDIT_NOTE))
    allocations = [
        {"Invoice": {"InvoiceID": first.external_id}, "Amount": 100},
        {"Invoice": {"InvoiceID": second.external_id}, "Amount": 50.25},
    ]
    _put(world, f"CreditNotes/{note.external_id}/Allocations", Allocations=allocations)
    refund = {"CreditNote": {"CreditNoteID": note.external_id}, "Account": {"Code": "090"}}
    world.edit("Payments", **refund, Date=TODAY.isoformat(), Amount=7)
    assert _credit_touches(world, "credit_notes", note.external_id) == {
        first.external_id: Decimal(100),
        second.external_id: Decimal("50.25"),
        "": Decimal(7),
    }
    left = world.books.get_document(BooksKind.CREDIT_NOTE, note.external_id)
    assert left is not None
    assert left.amount_due == Decimal("287.64") - Decimal("157.25")
    payments, _ = world.everything("payments")
    assert note.external_id not in {payment.source_id for payment in payments}


@pytest.mark.parametrize("word", ["Overpayment", "Prepayment"])
def test_money_without_an_invoice_and_its_later_use(world: World, word: str) -> None:
    customer = world.contact(f"{word} Dental")
    (invoice,) = world.create(_draft(f"{word}-1", customer))
    line = {"Description": "on account", "Quantity": 1, "UnitAmount": 110}
    made = world.edit(
        "BankTransactions",
        Type=f"RECEIVE-{word.upper()}",
        Contact={"ContactID": customer},
        BankAccount={"Code": "090"},
        Date=TODAY.isoformat(),
        LineAmountTypes="NoTax",
        LineItems=[line if word == "Overpayment" else line | {"AccountCode": "200"}],
    )
    credit, feed = made[f"{word}ID"], f"{word.lower()}s"
    assert _credit_touches(world, feed, credit) == {}
    target = {"Invoice": {"InvoiceID": invoice.external_id}, "Amount": 30}
    _put(world, f"{word}s/{credit}/Allocations", Allocations=[target])
    assert _credit_touches(world, feed, credit) == {invoice.external_id: Decimal(30)}
    (rest,) = [
        one for one in world.everything(feed)[0] if getattr(one, "external_id", "") == credit
    ]
    assert (rest.total, rest.remaining, rest.source) == (110, 80, word.lower())


def test_an_invoice_that_was_paid_is_not_edited(world: World) -> None:
    customer = world.contact("Paid Dental")
    (made,) = world.create(_draft("PD-1", customer))
    world.edit(
        "Payments",
        Invoice={"InvoiceID": made.external_id},
        Account={"Code": "090"},
        Date=TODAY.isoformat(),
        Amount=10,
    )
    lines = (_line(quantity=Decimal(3)),)
    changed = _draft("PD-1", customer, external_id=made.external_id, lines=lines)
    (refused,) = world.books.send([world.books.prepare(Action.UPDATE, changed)], "update PD-1")
    codes = {problem.code for problem in refused.problems}
    assert not refused.accepted
    assert codes & {"has_payments", "status_not_editable"}


def test_contacts_are_found_by_name_and_number(world: World) -> None:
    odd = 'Dr "Bob" O\'Neill & Söhne, Ltd'
    quoted = world.contact(odd, contact_number="PSA-77")
    plain = world.contact("Plain Dental")
    world.edit("Contacts", plain, ContactStatus="ARCHIVED")
    found = world.books.find_contacts(names=[odd, "plain dental", "Nobody at all"])
    assert {one.external_id for one in found} == {quoted, plain}
    assert {one.external_id: one.state for one in found}[plain] == "archived"
    (numbered,) = world.books.find_contacts(contact_numbers=["PSA-77", "PSA-none"])
    assert numbered.external_id == quoted
    assert world.books.get_contact("0d1e0000-0000-4000-8000-00000000dead") is None


def test_too_costly_a_search_goes_one_by_one(world: World) -> None:
    wanted = world.contact("Costly Dental", contact_number="PSA-C")
    world.control("organisations", tenant=world.tenant, settings={"high_volume": 1})
    try:
        found = world.books.find_contacts(contact_numbers=["PSA-C", "PSA-none"])
        assert [one.external_id for one in found] == [wanted]
    finally:
        world.control("organisations", tenant=world.tenant, settings={"high_volume": 100_000})


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


def test_an_archived_contact_blocks_until_it_is_restored(world: World) -> None:
    customer = world.contact("Sleeping Dental")
    world.edit("Contacts", customer, ContactStatus="ARCHIVED")
    (refused,) = world.create(_draft("S-1", customer))
    assert [problem.code for problem in refused.problems] == ["contact_archived"]
    restored = ContactDraft(name="Sleeping Dental", external_id=customer, restore=True)
    (answer,) = world.books.send([world.books.prepare(Action.UPDATE, restored)], "restore S")
    assert answer.accepted
    (made,) = world.create(_draft("S-2", customer))
    assert made.accepted


def test_a_name_is_taken_once(world: World) -> None:
    world.contact("Only Dental")
    prepared = world.books.prepare(Action.CREATE, ContactDraft(name="Only Dental"))
    (refused,) = world.books.send([prepared], "only again")
    (problem,) = refused.problems
    assert (problem.code, problem.subject) == ("contact_name_taken", "Only Dental")


def test_a_merged_contact_points_to_the_survivor(world: World) -> None:
    loser, winner = world.contact("Loser Dental"), world.contact("Winner Dental")
    world.control("merge_contact", tenant=world.tenant, loser=loser, winner=winner)
    merged = world.books.get_contact(loser)
    assert merged is not None
    assert merged.merged_into == winner


def test_a_locked_period_refuses_and_is_told(world: World) -> None:
    customer = world.contact("Locked Dental")
    world.control("organisations", tenant=world.tenant, PeriodLockDate="2026-06-30")
    try:
        assert world.books.organisation().period_lock_on == date(2026, 6, 30)
        (refused,) = world.create(_draft("L-1", customer, issued_on=date(2026, 6, 30)))
        assert [problem.code for problem in refused.problems] == ["period_locked"]
    finally:
        world.control("organisations", tenant=world.tenant, PeriodLockDate=None)


def test_a_lost_answer_is_uncertain_and_found_by_number(world: World) -> None:
    customer = world.contact("Lost Dental")
    world.control("faults", kind="lost_answer", method="PUT", path="/Invoices")
    with pytest.raises(TryLater) as failure:
        world.create(_draft("LA-1", customer))
    assert failure.value.uncertain
    (found,) = world.books.find_documents(BooksKind.INVOICE, ["LA-1"])
    assert found.contact_id == customer


def test_the_same_key_gives_the_same_answer_and_no_second_invoice(world: World) -> None:
    customer = world.contact("Twice Dental")
    prepared = [world.books.prepare(Action.CREATE, _draft("T-1", customer))]
    first = world.books.send(prepared, "twice")
    assert world.books.send(prepared, "twice") == first
    other = [world.books.prepare(Action.CREATE, _draft("T-2", customer))]
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


def test_tenants_leave_the_practice_out_and_can_be_removed(world: World) -> None:
    consent = XeroConsent(world.caller())
    tenants = consent.tenants()
    expected = {tenant["tenantId"] for tenant in world.sandbox.organisations()}
    assert {tenant.external_id for tenant in tenants} == expected
    second = next(tenant for tenant in tenants if tenant.external_id != world.tenant)
    consent.remove_tenant(second)
    consent.remove_tenant(second)
    assert second.external_id not in {tenant.external_id for tenant in consent.tenants()}


def test_a_long_list_of_numbers_is_asked_for_in_short_addresses(world: World) -> None:
    customer = world.contact("Many Dental")
    numbers = [f"MANY-WITH-A-LONG-NUMBER-{position:04}" for position in range(50)]
    world.create(*(_draft(number, customer) for number in numbers))
    found = world.books.find_documents(BooksKind.INVOICE, [*numbers, "WITH,COMMA"])
    assert {one.number for one in found} == set(numbers)


def test_the_sign_in_asks_for_granular_scopes_alone() -> None:
    fields = {"mode": "web", "client_id": "client-id-1", "client_secret": "s"}
    writer = xero.oauth(fields, {}, read_only=False)
    reader = xero.oauth(fields, {"identity": "http://localhost:9"}, read_only=True)
    assert reader.token_url == "http://localhost:9/connect/token"
    assert writer.authorise_url == "https://login.xero.com/identity/connect/authorize"
    assert "accounting.invoices" in writer.scopes
    assert "offline_access" in writer.scopes
    assert not any("transactions" in scope for scope in (*writer.scopes, *reader.scopes))
    accounting = [scope for scope in reader.scopes if scope.startswith("accounting")]
    assert all(scope.endswith(".read") for scope in accounting)
    custom = xero.oauth(fields | {"mode": "custom"}, {}, read_only=True)
    assert custom.client_credentials
    assert set(custom.scopes) == set(accounting)
