"""`psaltery items`: products of the PSA that are items of the books."""

from typing import Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

app = typer.Typer(help="Products of the PSA as items of the books.", no_args_is_help=True)
COLUMNS = {
    "product": "Product",
    "organisation": "Organisation",
    "code": "Code",
    "state": "State",
    "name": "Name",
    "why": "Why",
}


@app.callback()
def _group() -> None:
    """Products of the PSA as items of the books."""


@app.command("list")
def list_(
    organisation: Annotated[int | None, typer.Option(help="Only of this organisation.")] = None,
    state: Annotated[str, typer.Option(help="Only these: in_step, held, wanted.")] = "",
    json: Json = False,
) -> None:
    """List the products that are items of the books, with the code that each has there."""
    with working(json=json):
        from psaltery.posting.models import Item

        rows = Item.objects.select_related("organisation").order_by("organisation__name", "product")
        if organisation is not None:
            rows = rows.filter(organisation=organisation)
        if state:
            rows = rows.filter(state=state)
        found = [
            {
                "product": row.product,
                "organisation": row.organisation.name,
                "code": row.code,
                "state": row.state,
                "name": row.name,
                "how": row.how,
                "books_id": row.books_id,
                "why": row.why,
            }
            for row in rows
        ]
        show_rows(found, COLUMNS, json=json, empty="No product is an item yet.")


@app.command()
def choose(
    organisation: Annotated[int, typer.Argument(help="Number of the organisation.")],
    product: Annotated[str, typer.Argument(help="The product, as the PSA identifies it.")],
    code: Annotated[
        str, typer.Argument(help="Code of an item of the books; none: one of its own again.")
    ] = "",
    json: Json = False,
) -> None:
    """Say which item of the books a product is; what waited for that goes again."""
    with working(json=json):
        from psaltery.connections.models import Organisation
        from psaltery.sync import items

        row = Organisation.objects.filter(pk=organisation, chosen=True).first()
        if row is None:
            stop(f"There is no organisation {organisation}.", ExitCode.USAGE, json=json)
        sentence, released = items.choose(row, product, code)
        show_facts({"done": sentence, "decided_again": released}, json=json)
