"""`psaltery tieout`: whether the PSA's receivables and the books' agree, and why not."""

from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, as_json, say, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Organisation
    from psaltery.matching.models import TieOut

SUMS = {
    "organisation": "Organisation",
    "state": "State",
    "currency": "Currency",
    "psa": "PSA",
    "books": "Books",
    "difference": "Difference",
    "unexplained": "Unexplained",
}
CAUSES = {
    "organisation": "Organisation",
    "label": "Cause",
    "currency": "Currency",
    "amount": "Amount",
    "documents": "Documents",
}
DOCUMENTS = {
    "customer": "Customer",
    "number": "Document",
    "cause": "Cause",
    "currency": "Currency",
    "amount": "Amount",
    "sentence": "Why",
}


def tieout(
    organisation: Annotated[
        int | None, typer.Option(help="An organisation's number; 0: documents without one.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Compare now; else the last result.")] = False,
    documents: Annotated[
        bool, typer.Option("--documents", help="Show each document that makes a difference.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare the receivables of the PSA with the books'.

    Ends with 0 when every cent of difference is explained, 1 when one is not, 3 when a mirror is
    too old to say, or nothing was compared yet.
    """
    with working(json=json):
        from psaltery.matching.tieout import service

        wanted = _wanted(organisation, json=json)
        # By the mirrors as they are; how old they are is part of the result.
        if run:
            # In this process, so that the exit code is about this comparison and no other.
            found = [service.tie_out(one, "command line") for one in wanted]
        else:
            found = [row for one in wanted if (row := service.latest(one)) is not None]
        _show(found, documents=documents, json=json)
        raise typer.Exit(_code(found, len(wanted)))


def _wanted(organisation: int | None, *, json: bool) -> "list[Organisation | None]":
    from psaltery.matching.tieout.service import due_organisations

    every = due_organisations()
    if organisation is None:
        return every
    found = [one for one in every if (one.pk if one else 0) == organisation]
    if not found:
        stop(f"There are no books with the number {organisation}.", ExitCode.USAGE, json=json)
    return found


def _show(found: "list[TieOut]", *, documents: bool, json: bool) -> None:
    from psaltery.matching.tieout import queries

    if json:
        typer.echo(as_json([queries.as_data(row, documents=documents) for row in found]))
        return
    told = [queries.as_data(row, documents=documents) for row in found]
    sums = [{**one, **entry} for one in told for entry in one["sums"]]
    show_rows(sums, SUMS, json=False, empty="Nothing is open on either side.")
    causes = [{**one, **entry} for one in told for entry in one["causes"]]
    if causes:
        say("")
        show_rows(causes, CAUSES, json=False)
    if documents:
        show_rows([entry for one in told for entry in one["documents"]], DOCUMENTS, json=False)
    for one in told:
        say(one["sentence"])


def _code(found: "list[TieOut]", wanted: int) -> ExitCode:
    states = {row.state for row in found}
    # The worst first: a cent that nobody can explain outweighs what was not checked.
    if "unexplained" in states:
        return ExitCode.PROBLEMS
    if "not_checked" in states or len(found) < wanted:
        return ExitCode.NEEDS_PERSON
    return ExitCode.OK
