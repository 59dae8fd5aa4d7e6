"""Writes into the mirror of the books. Every function must run inside the page's transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from psaltery.connections.mirror import append, keep, store, written
from psaltery.connections.models import Organisation
from psaltery.kit.bulk import Rows
from psaltery.kit.text import comparable_name
from psaltery.ledger.models import (
    BillingCreditMemo,
    BillingInvoice,
    BillingInvoiceLine,
    BillingPayment,
    Customer,
    LedgerAccount,
    LedgerBrandingTheme,
    LedgerTaxRate,
    LedgerTrackingOption,
    Unallocated,
)
from psaltery.records import books

_KEY = ("organisation_id", "external_id")


class Stored(msgspec.Struct):
    """What a page changed: how many rows, and the invoices whose payments are different now."""

    changed: int = 0
    touched_invoices: set[str] = msgspec.field(default_factory=set)
    changed_invoices: set[str] = msgspec.field(default_factory=set)


class Prepared(msgspec.Struct):
    """A page of records as rows, with what else its storing needs to know of them."""

    customers: Rows
    invoices: Rows
    lines: Rows
    credit_memos: Rows
    unallocated: Rows
    settlements: Rows
    # A touch of money or credit → the invoice that it is on.
    invoice_of: dict[str, str]
    # Credit notes and unallocated money of the page, which come with all their touches.
    sources: list[str]


def prepare(organisation: Organisation, records: Sequence[Any]) -> Prepared:
    """Records of a feed as rows: customers, invoices, credit notes, money and its uses.

    This asks no database, so that one page can be prepared while another is stored.
    """
    by_type: dict[type, list[Any]] = defaultdict(list)
    for record in records:
        by_type[type(record)].append(record)
    source, settlements = organisation.connection.kind, by_type[books.Settlement]
    # Should an invoice be there twice, its lines must not be: its last state counts.
    invoices = {invoice.external_id: invoice for invoice in by_type[books.Invoice]}.values()
    sources = by_type[books.CreditNote] + by_type[books.Unallocated]
    return Prepared(
        customers=_customers(organisation, source, by_type[books.Customer]),
        invoices=_invoices(organisation, source, invoices),
        lines=_lines(organisation, invoices),
        credit_memos=_credit_memos(organisation, source, by_type[books.CreditNote]),
        unallocated=_unallocated(organisation, source, by_type[books.Unallocated]),
        settlements=_settlements(organisation, source, settlements),
        invoice_of={p.external_id: p.invoice_id for p in settlements},
        sources=[record.external_id for record in sources],
    )


def remember(organisation: Organisation, page: Prepared) -> Stored:
    """Store one page of a feed."""
    stored = Stored()
    stored.changed += len(keep(page.customers))
    stored.changed += _keep_invoices(organisation, page, stored)
    stored.changed += len(keep(page.credit_memos)) + len(keep(page.unallocated))
    # Only what is different wakes matching: a full pass reads every payment again.
    touched = [page.invoice_of[change.key[1]] for change in keep(page.settlements)]
    stored.changed += len(touched)
    stored.touched_invoices.update(filter(None, touched))
    # These come with all their allocations: what is stored and not among them was undone.
    stored.changed += _drop_missing(organisation, page, stored)
    return stored


_CUSTOMER = (
    *_KEY,
    *("source", "updated_at", "name", "email", "tax_number", "account_number", "contact_number"),
    *("phone", "website", "city", "country", "currency", "is_customer", "is_supplier", "state"),
    *("merged_into", "name_key"),
)


def _customers(organisation: Organisation, source: str, records: list[books.Customer]) -> Rows:
    rows = (
        (
            organisation.id, c.external_id, source, c.updated_at, c.name, c.email, c.tax_number,
            c.account_number, c.contact_number, c.phone, c.website, c.city, c.country, c.currency,
            c.is_customer, c.is_supplier, c.state, c.merged_into, comparable_name(c.name),
        )
        for c in records
    )  # fmt: skip
    return written(Customer, _KEY, _CUSTOMER, rows)


_INVOICE = (
    *_KEY,
    *("source", "updated_at", "kind", "number", "status", "customer_external_id", "customer_name"),
    *("currency", "issued_on", "due_on", "fully_paid_on", "reference", "tax_mode", "rate"),
    *("subtotal", "tax", "total", "amount_due", "amount_paid", "amount_credited", "url"),
    "repeating_id",
)


def _invoices(organisation: Organisation, source: str, records: Iterable[books.Invoice]) -> Rows:
    rows = (
        (
            organisation.id, i.external_id, source, i.updated_at, i.kind, i.number, i.status,
            i.customer_id, i.customer_name, i.currency, i.issued_on, i.due_on, i.fully_paid_on,
            i.reference, i.tax_mode, i.rate, i.subtotal, i.tax, i.total, i.amount_due,
            i.amount_paid, i.amount_credited, i.url, i.repeating_id,
        )
        for i in records
    )  # fmt: skip
    return written(BillingInvoice, _KEY, _INVOICE, rows)


_LINE = (
    *("organisation_id", "invoice_external_id", "position", "external_id", "description"),
    *("quantity", "unit_amount", "line_amount", "tax_amount", "tax_type", "account_code"),
    *("item_code", "tracking"),
)


_OF_INVOICE = ("organisation_id", "invoice_external_id")


def _lines(organisation: Organisation, invoices: Iterable[books.Invoice]) -> Rows:
    rows = _line_rows(organisation.id, invoices)
    return written(BillingInvoiceLine, _OF_INVOICE, _LINE, rows)


def _keep_invoices(organisation: Organisation, page: Prepared, stored: Stored) -> int:
    # The clock counts here: lines are compared through it, the header alone would miss them.
    changed = keep(page.invoices, aside=())
    fresh = {change.key for change in changed}
    stored.changed_invoices.update(key[1] for key in fresh)
    # Nothing to delete for new ones, and a first reading has only new ones.
    replaced = [change.key[1] for change in changed if not change.inserted]
    if replaced:
        BillingInvoiceLine.objects.filter(
            organisation=organisation, invoice_external_id__among=replaced
        ).delete()
    append(page.lines.of(fresh))
    return len(changed)


def _line_rows(organisation: int, invoices: Iterable[books.Invoice]) -> Iterable[tuple[Any, ...]]:
    for invoice in invoices:
        # The place keeps their order: the database promises none.
        for position, line in enumerate(invoice.lines):
            yield (
                organisation, invoice.external_id, position, line.external_id, line.description,
                line.quantity, line.unit_amount, line.line_amount, line.tax_amount, line.tax_type,
                line.account_code, line.item_code, _json(line.tracking),
            )  # fmt: skip


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode() if value else "[]"


_CREDIT = (
    *_KEY,
    *("source", "updated_at", "kind", "number", "status", "customer_external_id", "customer_name"),
    *("currency", "issued_on", "reference", "subtotal", "tax", "total", "remaining"),
)


def _credit_memos(organisation: Organisation, source: str, records: list[books.CreditNote]) -> Rows:
    rows = (
        (
            organisation.id, n.external_id, source, n.updated_at, n.kind, n.number, n.status,
            n.customer_id, n.customer_name, n.currency, n.issued_on, n.reference, n.subtotal,
            n.tax, n.total, n.remaining,
        )
        for n in records
    )  # fmt: skip
    return written(BillingCreditMemo, _KEY, _CREDIT, rows)


_UNALLOCATED = (
    *_KEY,
    *("source", "updated_at", "kind", "touch", "customer_external_id", "customer_name"),
    *("currency", "received_on", "total", "remaining", "status", "reference"),
)


def _unallocated(organisation: Organisation, source: str, records: list[books.Unallocated]) -> Rows:
    rows = (
        (
            organisation.id, u.external_id, source, u.updated_at, u.kind, u.source, u.customer_id,
            u.customer_name, u.currency, u.received_on, u.total, u.remaining, u.status,
            u.reference,
        )
        for u in records
    )  # fmt: skip
    return written(Unallocated, _KEY, _UNALLOCATED, rows)


_PAYMENT = (
    *_KEY,
    *("source", "updated_at", "kind", "touch", "touch_external_id", "touch_number"),
    *("invoice_external_id", "amount", "currency", "rate", "paid_on", "reference"),
    *("account_external_id", "batch_external_id", "reconciled", "state"),
)


def _settlements(organisation: Organisation, source: str, records: list[books.Settlement]) -> Rows:
    rows = (
        (
            organisation.id, p.external_id, source, p.updated_at, p.kind, p.source, p.source_id,
            p.source_number, p.invoice_id, p.amount, p.currency, p.rate, p.paid_on, p.reference,
            p.account_id, p.batch_id, p.reconciled, p.state,
        )
        for p in records
    )  # fmt: skip
    return written(BillingPayment, _KEY, _PAYMENT, rows)


def _drop_missing(organisation: Organisation, page: Prepared, stored: Stored) -> int:
    """Allocations that their credit note or payment no longer lists were removed in the books."""
    if not page.sources:
        return 0
    missing = BillingPayment.objects.filter(
        organisation=organisation,
        # Not payments: those are records of their own, and come back as deleted.
        touch__in=("credit_note", "overpayment", "prepayment"),
        touch_external_id__in=page.sources,
        state="active",
    ).exclude(external_id__in=list(page.invoice_of))
    invoices = list(missing.values_list("invoice_external_id", flat=True))
    stored.touched_invoices.update(filter(None, invoices))
    # Kept as deleted rather than taken away, so that a page can say what was undone.
    return missing.update(state="deleted") if invoices else 0


def remember_settings(organisation: Organisation, settings: books.BooksSettings) -> int:
    """Store the lists that mappings choose from; entries that are gone become inactive."""
    changed = _accounts(organisation, settings.accounts)
    changed += _tax_rates(organisation, settings.tax_rates)
    changed += _tracking(organisation, settings.tracking)
    changed += _themes(organisation, settings.branding_themes)
    currencies = list(settings.currencies)
    if organisation.currencies != currencies:
        organisation.currencies = currencies
        organisation.save(update_fields=["currencies"])
        changed += 1
    return changed


def _accounts(organisation: Organisation, accounts: Sequence[books.Account]) -> int:
    columns = (
        *("organisation_id", "external_id", "code", "name", "type", "account_class", "tax_type"),
        *("active", "takes_payments", "system", "currency"),
    )
    rows = (
        (
            organisation.id, a.external_id, a.code, a.name, a.type, a.account_class, a.tax_type,
            a.active, a.takes_payments, a.system, a.currency,
        )
        for a in accounts
    )  # fmt: skip
    # Xero gives these lists whole each time, so what is not in one is gone. Kept as inactive: a
    # mapping that still names it must be able to say so.
    changed = len(store(LedgerAccount, _KEY, columns, rows, aside=()))
    gone = LedgerAccount.objects.filter(organisation=organisation, active=True).exclude(
        external_id__in=[account.external_id for account in accounts]
    )
    return changed + gone.update(active=False)


def _tax_rates(organisation: Organisation, rates: Sequence[books.TaxRate]) -> int:
    columns = ("organisation_id", "tax_type", "name", "rate", "active", "classes")
    rows = (
        (organisation.id, r.tax_type, r.name, r.rate, r.active, _json(r.classes)) for r in rates
    )
    key = ("organisation_id", "tax_type")
    changed = len(store(LedgerTaxRate, key, columns, rows, aside=()))
    gone = LedgerTaxRate.objects.filter(organisation=organisation, active=True).exclude(
        tax_type__in=[rate.tax_type for rate in rates]
    )
    return changed + gone.update(active=False)


def _tracking(organisation: Organisation, categories: Sequence[books.TrackingCategory]) -> int:
    columns = (
        *("organisation_id", "external_id", "category_external_id", "category", "name", "active"),
    )
    options = [(category, option) for category in categories for option in category.options]
    rows = (
        # An option of an archived category can't be chosen, whatever it says itself.
        (organisation.id, o.external_id, c.external_id, c.name, o.name, o.active and c.active)
        for c, o in options
    )
    changed = len(store(LedgerTrackingOption, _KEY, columns, rows, aside=()))
    gone = LedgerTrackingOption.objects.filter(organisation=organisation, active=True).exclude(
        external_id__in=[option.external_id for _, option in options]
    )
    return changed + gone.update(active=False)


def _themes(organisation: Organisation, themes: Sequence[books.BrandingTheme]) -> int:
    columns = ("organisation_id", "external_id", "name", "active")
    rows = ((organisation.id, theme.external_id, theme.name, True) for theme in themes)
    changed = len(store(LedgerBrandingTheme, _KEY, columns, rows, aside=()))
    gone = LedgerBrandingTheme.objects.filter(organisation=organisation, active=True).exclude(
        external_id__in=[theme.external_id for theme in themes]
    )
    return changed + gone.update(active=False)
