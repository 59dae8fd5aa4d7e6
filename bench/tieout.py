"""A tie-out with a million invoices on both sides: seconds and memory."""

from time import perf_counter
from typing import Any

from bench.measure import Measure, Size
from bench.rows import analyse, multiply
from bench.scratch import peak_megabytes

# All documents, and every so many of them open: a tenth is more than any MSP can bear.
ROWS = {Size.FULL: 1_000_000, Size.TINY: 300}
OPEN, APART, BOOKS_ONLY = 10, 100, 250
MOST_SECONDS, MOST_MEGABYTES = 60.0, 60.0


def run(size: Size) -> list[Measure]:
    """Tie out an organisation with all of them."""
    from bench import world

    count = ROWS[size]
    with world.rig(companies=4, contacts=2) as rig:
        organisation = _begin(rig)
        _fill(count)
        analyse()
        return [_measured(organisation, count)]


def _begin(rig: Any) -> Any:
    """One real document in both systems."""
    from bench import world
    from psaltery.posting.models import Link

    world.close_invoices(rig, 1, 1)
    rig.sync()
    rig.sync()
    return Link.objects.select_related("organisation").get().organisation


def _fill(count: int) -> None:
    from psaltery.desk.models import Document
    from psaltery.ledger.models import BillingInvoice
    from psaltery.posting.models import Link, Posting

    link = Link.objects.select_related("document").get()
    document = Document.objects.get(pk=link.document_id)
    invoice = BillingInvoice.objects.get(external_id=link.books_id)
    numbers = f"generate_series(1, {count}) AS n"
    is_open = f"n % {OPEN} = 0"
    multiply(
        "desk_documents",
        document.pk,
        among=numbers,
        external_id="'copy-' || n",
        number="'D-' || n",
        company_external_id="'company-' || (n % 5000)",
        company_name="'Customer ' || (n % 5000)",
        balance=f"CASE WHEN {is_open} THEN old.total ELSE 0 END",
    )
    copies = "(SELECT id, substr(external_id, 6) AS n FROM desk_documents"
    among = f"{copies} WHERE external_id LIKE 'copy-%') AS d"
    posting = Posting.objects.get(document=document)
    multiply("posting_posting", posting.pk, among=among, document_id="d.id")
    multiply(
        "posting_link",
        link.pk,
        among=among,
        document_id="d.id",
        books_id="'copy-' || d.n",
        linked_at="now() - interval '1 day'",
    )
    multiply(
        "billing_invoices",
        invoice.pk,
        among=f"generate_series(1, {count + count // BOOKS_ONLY}) AS n",
        external_id="'copy-' || n",
        number="'D-' || n",
        customer_external_id="'contact-' || (n % 5000)",
        status=f"CASE WHEN n % {APART} = 0 THEN 'voided' WHEN {is_open} OR n > {count}"
        " THEN 'authorised' ELSE 'paid' END",
        amount_due=f"CASE WHEN ({is_open} OR n > {count}) AND n % {APART} <> 0"
        " THEN old.total ELSE 0 END",
    )


def _measured(organisation: Any, count: int) -> Measure:
    from psaltery.matching.models import TieOut, TieOutDocument
    from psaltery.matching.tieout.service import tie_out

    tie_out(organisation, "bench")
    before, started = peak_megabytes(), perf_counter()
    row = tie_out(organisation, "bench")
    taken, grown = perf_counter() - started, peak_megabytes() - before
    assert row.state != TieOut.State.UNEXPLAINED, row.sums
    parts = TieOutDocument.objects.filter(tieout=row).count()
    return Measure(
        what=f"tie out {count:,} invoices on both sides",
        budget=f"< {MOST_SECONDS:g} s, constant memory",
        measured=f"{taken:.1f} s, {grown:.0f} MB more",
        kept=taken < MOST_SECONDS and grown < MOST_MEGABYTES,
        remark=f"{count // OPEN:,} open, {parts:,} parts of a difference explained",
        figures={"seconds": taken, "megabytes": grown, "parts": parts},
    )
