"""`psaltery payments`: payments entered in the PSA and where they stand in the books; refunds."""

from typing import Annotated

import typer

from psaltery.commands.printing import Json, show_rows
from psaltery.commands.session import working

app = typer.Typer(
    help="Payments that were entered in the PSA, on their way to the books.", no_args_is_help=True
)
COLUMNS = {
    "document": "Document",
    "organisation": "Organisation",
    "state": "State",
    "method": "Method",
    "paid_on": "Date",
    "amount": "Amount",
    "currency": "Currency",
    "why": "Why",
}


@app.callback()
def _group() -> None:
    """Payments that were entered in the PSA, on their way to the books."""


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="Only these: held, in_step, removed, …")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 100,
    json: Json = False,
) -> None:
    """List payments that people entered in the PSA, and what became of each in the books."""
    with working(json=json):
        from psaltery.matching.models import PaymentTaken

        rows = PaymentTaken.objects.select_related("document", "organisation")
        if state:
            rows = rows.filter(state=state)
        found = [_data(row) for row in rows.order_by("-paid_on", "-pk")[:limit]]
        show_rows(found, COLUMNS, json=json, empty="No payment was entered in the PSA.")


REFUNDS = {
    "paid_on": "Date",
    "customer": "Customer",
    "refund_of": "Refund of",
    "number": "Number",
    "organisation": "Organisation",
    "amount": "Amount",
    "currency": "Currency",
}


@app.command()
def refunds(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 100,
    json: Json = False,
) -> None:
    """List what the books paid back for credit notes and overpayments; no payment of a customer."""
    with working(json=json):
        from psaltery.ledger.queries import refunds as found

        # Deleted ones never happened: shown, money would seem to have gone out twice.
        rows = found().filter(state="active").order_by("-paid_on", "-pk")[:limit]
        told = [
            {
                "paid_on": row.paid_on,
                "customer": row.customer_name,
                "refund_of": row.touch,
                "number": row.credit_number,
                "organisation": row.organisation.name,
                "amount": row.amount,
                "currency": row.currency,
            }
            for row in rows
        ]
        show_rows(told, REFUNDS, json=json, empty="Nothing was refunded.")


def _data(row: object) -> dict[str, object]:
    from psaltery.matching.models import PaymentTaken

    assert isinstance(row, PaymentTaken)
    return {
        "document": row.document.number,
        "organisation": row.organisation.name,
        "state": row.state,
        "method": row.method,
        "paid_on": row.paid_on,
        "amount": row.amount,
        "currency": row.document.currency,
        # Both ids, so that either side's own record can be found from here.
        "psa_payment_id": row.psa_payment_id,
        "books_payment_id": row.books_payment_id,
        "why": row.why,
    }
