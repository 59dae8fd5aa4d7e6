"""Documents that were in the books before us, on both sides: what suggestions learn from."""

from collections import defaultdict
from datetime import date

import msgspec

from psaltery.connections.models import Organisation
from psaltery.ledger.models import BillingInvoiceLine
from psaltery.mapping.lookup import PURCHASE_LISTS
from psaltery.mapping.suggest import BooksLine, History
from psaltery.posting.models import Link
from psaltery.records.drafts import BooksKind
from psaltery.records.psa import DocumentLine

# The newest say best what people choose now, and more would not say more.
MOST = 1_000


def history(organisation: Organisation, since: date, list_: str) -> list[History]:
    """The newest documents that were linked to what the books had, issued since a day; two
    queries."""
    kind = BooksKind.BILL if list_ in PURCHASE_LISTS else BooksKind.INVOICE
    links = Link.objects.filter(
        organisation=organisation, books_kind=kind, how="adopted", document__issued_on__gte=since
    )
    rows = list(links.order_by("-pk").values_list("books_id", "document__lines")[:MOST])
    lines: dict[str, list[BooksLine]] = defaultdict(list)
    found = BillingInvoiceLine.objects.filter(
        organisation=organisation, invoice_external_id__in=[books_id for books_id, _ in rows]
    ).order_by("position")
    for line in found:
        lines[line.invoice_external_id].append(
            BooksLine(line.line_amount, line.description, line.account_code, line.tax_type)
        )
    return [
        History(
            msgspec.convert(psa, tuple[DocumentLine, ...], strict=False), tuple(lines[books_id])
        )
        for books_id, psa in rows
    ]
