"""The adapter against the sandbox, over HTTP: what is written is read back, to the cent."""

from datetime import timedelta
from decimal import Decimal

from psaltery.adapters import xero
from psaltery.adapters.xero.tests.world import AMOUNTS, TODAY, World, draft, line
from psaltery.records.books import BooksSettings, CreditNote, Status
from psaltery.records.drafts import (
    Action,
    BooksKind,
    TrackingChoice,
)


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
    lines = (line(tracking=(choice,)), line(quantity=Decimal(-1), unit_amount=Decimal("0.0333")))
    (made,) = world.create(draft("W-1", customer, lines=lines))
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
    world.create(draft("B-1", customer))
    drafts = [
        draft("B-2", customer),
        draft("B-1", customer),
        draft("B-3", customer, lines=(line(account_code="999"),)),
        draft("B-4", customer, lines=(line(tax_type="INPUT"),)),
        draft("B-5", customer, currency="EUR"),
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
        draft("E-1", customer), draft("E-2", customer, status=Status.SUBMITTED)
    )
    changed = draft(
        "E-1", customer, external_id=approved.external_id, lines=(line(quantity=Decimal(1)),)
    )
    (updated,) = world.books.send([world.books.prepare(Action.UPDATE, changed)], "update E-1")
    assert (updated.accepted, updated.total) == (True, Decimal("115.06"))
    voids = [
        world.books.prepare(
            Action.VOID,
            draft(one.number, customer, external_id=one.external_id, status=one.status),
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
    cost = (line(account_code="310", tax_type="INPUT"),)
    bills = world.create(
        draft("SUP-1", partner, kind=BooksKind.BILL, lines=cost, status=Status.DRAFT),
        draft("SUP-1", partner, kind=BooksKind.BILL, lines=cost, status=Status.DRAFT),
    )
    assert len({bill.external_id for bill in bills}) == 2
    found = world.books.find_documents(BooksKind.BILL, ["SUP-1"])
    assert {bill.external_id for bill in found} == {bill.external_id for bill in bills}
    assert world.books.find_documents(BooksKind.INVOICE, ["SUP-1"]) == ()
    (note,) = world.create(draft("CM-1", partner, kind=BooksKind.CREDIT_NOTE))
    assert note.accepted, note.problems
    assert note.amount_due == note.total == Decimal("287.64")
    (same,) = world.books.find_documents(BooksKind.CREDIT_NOTE, ["CM-1", "CM-none"])
    assert same.external_id == note.external_id
    got = world.books.get_document(BooksKind.CREDIT_NOTE, note.external_id)
    assert got is not None
    assert got.reference == "PO 77"


def test_a_long_list_of_numbers_is_asked_for_in_short_addresses(world: World) -> None:
    customer = world.contact("Many Dental")
    numbers = [f"MANY-WITH-A-LONG-NUMBER-{position:04}" for position in range(50)]
    world.create(*(draft(number, customer) for number in numbers))
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
