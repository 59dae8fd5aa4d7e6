"""An invoice of the books that Psaltery did not write, as a draft: so that it can be taken back."""

from collections.abc import Iterable
from decimal import Decimal

from psaltery.ledger.models import BillingInvoice, BillingInvoiceLine, LedgerTrackingOption
from psaltery.posting.arithmetic import line_amount
from psaltery.posting.models import Link
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import BooksKind, Draft, DraftLine, TrackingChoice
from psaltery.records.money import cents


def as_in_books(link: Link) -> Draft | None:
    """The linked invoice as the mirror has it, line by line.

    None where it can't be told to the cent: the mirror has no lines of it, or one without account.
    """
    row = BillingInvoice.objects.filter(
        organisation=link.organisation, external_id=link.books_id
    ).first()
    if row is None or row.issued_on is None:
        return None
    found = BillingInvoiceLine.objects.filter(
        organisation=link.organisation, invoice_external_id=link.books_id
    ).order_by("position")
    # Lines of text alone have no account, and nothing to take back.
    lines = [line for line in found if line.account_code or line.line_amount]
    if not lines or not all(line.account_code for line in lines):
        return None
    options = _options(link)
    return Draft(
        kind=BooksKind.INVOICE,
        number=row.number,
        contact_id=row.customer_external_id,
        status=Status(row.status),
        issued_on=row.issued_on,
        due_on=row.due_on,
        currency=row.currency,
        tax_mode=TaxMode(row.tax_mode),
        lines=tuple(_line(line, options) for line in lines),
        reference=row.reference,
        rate=row.rate,
        subtotal=cents(row.subtotal),
        tax=cents(row.tax),
        total=cents(row.total),
    )


def _options(link: Link) -> dict[str, TrackingChoice]:
    rows = LedgerTrackingOption.objects.filter(organisation=link.organisation, active=True)
    return {
        str(row): TrackingChoice(row.category_external_id, row.category, row.external_id, row.name)
        for row in rows
    }


def _line(line: BillingInvoiceLine, options: dict[str, TrackingChoice]) -> DraftLine:
    quantity, unit_amount = line.quantity, line.unit_amount
    # A discount, or more decimals than are written, and the product is not what was charged.
    if line_amount(quantity, unit_amount) != cents(line.line_amount):
        quantity, unit_amount = Decimal(1), cents(line.line_amount)
    return DraftLine(
        description=line.description,
        quantity=quantity,
        unit_amount=unit_amount,
        line_amount=cents(line.line_amount),
        account_code=line.account_code,
        tax_type=line.tax_type,
        # As it was charged: somebody may have overridden what the rate gives.
        tax_amount=cents(line.tax_amount),
        item_code=line.item_code,
        tracking=tuple(_known(line.tracking, options)),
    )


def _known(names: Iterable[str], options: dict[str, TrackingChoice]) -> Iterable[TrackingChoice]:
    # An option that was archived since is left out: the books would refuse it.
    return (options[name] for name in names if name in options)
