"""`psaltery documents`: what became of each document, force-sync, skip."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from psaltery.desk.models import Document
    from psaltery.posting.models import Link

app = typer.Typer(help="List, show, force and skip documents.", no_args_is_help=True)

# Numbers repeat: a credit memo or another PSA may have the same one, so each row has its own id
# too.
Number = Annotated[str, typer.Argument(help="A document's number, or #id as the list shows it.")]
Numbers = Annotated[list[str], typer.Argument(help="Numbers of documents, or #id of the list.")]
Kind = Annotated[str, typer.Option(help="invoice, credit_memo, bill or expense.")]
InOrganisation = Annotated[int | None, typer.Option(help="An organisation's number.")]
Since = Annotated[str, typer.Option(help="First day, such as 2026-11-21.")]
Until = Annotated[str, typer.Option(help="Last day, included.")]
State = Annotated[
    str, typer.Option(help="in_step, waiting, held, posting, uncertain, failed or skipped.")
]

ROWS = {
    "id": "Id",
    "number": "Number",
    "customer": "Customer",
    "organisation": "Organisation",
    "type": "Type",
    "date": "Date",
    "state": "State",
    "total": "Total",
    "currency": "",
    "open": "Open",
}
ROUNDED = {
    "number": "Number",
    "customer": "Customer",
    "organisation": "Organisation",
    "date": "Date",
    "total": "Total",
    "line_added": "Line added",
    "tax_changed": "Tax changed",
    "currency": "",
}
LINES = {
    "psa": "PSA line",
    "psa_amount": "Amount",
    "account": "Account",
    "tax": "Tax",
    "why": "Because",
    "books_amount": "Books",
}


@app.command("list")
def list_(
    text: Annotated[str, typer.Argument(help="Words of the number or the customer.")] = "",
    state: State = "",
    kind: Kind = "",
    organisation: InOrganisation = None,
    since: Since = "",
    until: Until = "",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to show.")] = 50,
    json: Json = False,
) -> None:
    """List documents, the newest first."""
    with working(json=json):
        from psaltery.posting import queries

        exact = _filters(state, kind, organisation, since, until, json=json)
        rows = queries.documents().filter(**exact)
        found = _with_words(rows, text).order_by("-issued_on", "-pk")[:most]
        show_rows([_row(one) for one in found], ROWS, json=json, empty="No document matches.")


@app.command()
def rounding(
    organisation: InOrganisation = None,
    since: Since = "",
    until: Until = "",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to show.")] = 50,
    json: Json = False,
) -> None:
    """List every cent that was added so that the books come to the PSA's totals."""
    with working(json=json):
        from psaltery.posting import queries

        rows = queries.rounded()
        if organisation is not None:
            rows = rows.filter(organisation=organisation)
        if (first := _day(since, json=json)) is not None:
            rows = rows.filter(document__issued_on__gte=first)
        if (last := _day(until, json=json)) is not None:
            rows = rows.filter(document__issued_on__lte=last)
        found = [_rounded(one) for one in rows.order_by("-linked_at", "-pk")[:most]]
        show_rows(found, ROUNDED, json=json, empty="Nothing was rounded.")


@app.command()
def show(number: Number, json: Json = False) -> None:
    """Show one document: where it stands, both sides, why, and what was tried."""
    with working(json=json):
        from psaltery.posting import queries

        row = _one(number, json=json)
        both = queries.sides(row)
        lines = [_line(pair) for pair in both.pairs]
        facts = {**_row(row), **_standing(row), "route": both.route}
        if both.books:
            facts["books"] = f"{both.books.number} {both.books.total} {both.books.status}"
        if json:
            show_facts({**facts, "lines": lines, "attempts": _attempts(row)}, json=True)
            return
        show_facts(facts, json=False)
        typer.echo()
        show_rows(lines, LINES, json=False, empty="It has no lines.")


@app.command()
def force(
    numbers: Annotated[
        list[str] | None, typer.Argument(help="Numbers of documents, or #id of the list.")
    ] = None,
    customer: Annotated[str, typer.Option(help="Words of the customer's name.")] = "",
    state: State = "",
    kind: Kind = "",
    organisation: InOrganisation = None,
    since: Since = "",
    until: Until = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask how many first.")] = False,
    json: Json = False,
) -> None:
    """Read documents from the PSA again and decide about them, ahead of everything else.

    Those that are named, or all of a customer, kind, state, organisation and range of dates.
    """
    with working(json=json):
        from psaltery.sync import force as forcing

        filters = _filters(state, kind, organisation, since, until, json=json)
        # With neither it would be every document there is, each for a call to the PSA.
        if bool(numbers) == bool(filters or customer):
            stop("Give numbers, or filters, and not both.", ExitCode.USAGE, json=json)
        if numbers:
            rows = [_one(number, json=json) for number in numbers]
        else:
            rows = _found(filters, customer, yes=yes or json, json=json)
        # One line in the audit log for many: who forced them, and which.
        if len(rows) == 1:
            forcing.document(rows[0])
        else:
            forcing.documents(rows)
        show_facts({"forced": [row.number for row in rows]}, json=json)
        say("The worker does it next; psaltery documents show NUMBER tells.", json=json)


@app.command()
def skip(
    numbers: Numbers,
    undo: Annotated[bool, typer.Option("--undo", help="Take them up again.")] = False,
    json: Json = False,
) -> None:
    """Leave documents out until they are taken up again. Exit 1 when one can't be."""
    with working(json=json):
        from psaltery.audit.actor import actor
        from psaltery.posting import service
        from psaltery.sync import force as forcing

        ids = [_one(number, json=json).pk for number in numbers]
        count = forcing.take_up(ids) if undo else service.skip(ids, actor())
        show_facts({"taken up" if undo else "skipped": count, "of": len(ids)}, json=json)
        # What is being sent can't be skipped: it may be in the books already.
        if count < len(ids):
            raise typer.Exit(ExitCode.PROBLEMS)


def _filters(
    state: str, kind: str, organisation: int | None, since: str, until: str, *, json: bool
) -> dict[str, Any]:
    """Only what was given, as the query names it."""
    exact: dict[str, Any] = {
        "posting__state": _known_state(state, json=json),
        "kind": kind,
        "posting__organisation": organisation,
        "issued_on__gte": _day(since, json=json),
        "issued_on__lte": _day(until, json=json),
    }
    return {name: one for name, one in exact.items() if one}


def _found(filters: dict[str, Any], customer: str, *, yes: bool, json: bool) -> "list[Document]":
    """The documents of a filter, the newest first, after the person has agreed to so many."""
    from psaltery.desk.models import Document
    from psaltery.posting import queries
    from psaltery.sync import force as forcing
    from psaltery.web.searching import searched

    found = searched(queries.documents().filter(**filters), ["company_name"], customer)
    # The newest: somebody waits for those, and old ones rarely change.
    rows = list(found.order_by("-issued_on", "-pk")[: forcing.MOST])
    if not rows:
        stop("No document matches.", ExitCode.USAGE, json=json)
    sums = queries.money_by_currency(Document.objects.filter(pk__in=[one.pk for one in rows]))
    # Said before the question: how much is at stake, and how many calls it costs.
    money = " + ".join(f"{sum_:.2f} {currency}" for currency, sum_ in sums)
    say(f"{len(rows)} documents worth {money}, one call each.", json=json)
    if len(rows) == forcing.MOST:
        say("Older ones are left: give a shorter range for them.", json=json)
    if not yes:
        typer.confirm("Read them again?", abort=True, err=True)
    return rows


def _with_words(rows: "QuerySet[Document]", text: str) -> "QuerySet[Document]":
    from psaltery.web.searching import searched

    return searched(rows, ["number", "company_name"], text)


def _one(number: str, *, json: bool) -> "Document":
    """The document of this number; stops where there is none or more than one."""
    from psaltery.desk.models import Document

    rows = Document.objects.select_related("posting__organisation", "connection")
    identity = number.removeprefix("#")
    if number.startswith("#") and identity.isdecimal():
        found = list(rows.filter(pk=int(identity)))
    else:
        # Five are enough to be named in the answer.
        found = list(rows.filter(number=number).order_by("pk")[:5])
    if not found:
        stop(f"There is no document {number}.", ExitCode.USAGE, json=json)
    if len(found) > 1:
        which = ", ".join(f"#{one.pk} ({one.kind}, {one.company_name})" for one in found)
        stop(f"Several documents have the number {number}: {which}.", ExitCode.USAGE, json=json)
    return found[0]


def _row(row: "Document") -> dict[str, object]:
    from psaltery.posting import queries

    organisation = queries.organisation_of(row)
    return {
        "id": f"#{row.pk}",
        "number": row.number,
        "customer": row.company_name,
        "organisation": organisation.name if organisation else "",
        "kind": row.kind,
        "type": row.type,
        "date": row.issued_on,
        "state": queries.state_of(row),
        "total": f"{row.total:.2f}",
        "tax": f"{row.tax:.2f}",
        "open": f"{row.balance:.2f}",
        "currency": row.currency,
    }


def _rounded(link: "Link") -> dict[str, object]:
    document = link.document
    return {
        "number": document.number,
        "customer": document.company_name,
        "organisation": link.organisation.name,
        "date": document.issued_on,
        "total": f"{document.total:.2f}",
        "line_added": f"{link.rounding:.2f}",
        "tax_changed": f"{link.tax_rounding:.2f}",
        "currency": document.currency,
    }


def _standing(row: "Document") -> dict[str, object]:
    """Why it stands there, and the exceptions that hold it."""
    from psaltery.posting import queries

    posting = getattr(row, "posting", None)
    cards = [f"{card.pk}: {card.sentence}" for card in queries.cards(row)]
    return {"why": posting.why if posting else "", "exceptions": cards}


def _line(pair: Any) -> dict[str, object]:
    whys = {why.list: why for why in pair.whys}
    account, tax = whys.get("account"), whys.get("tax")
    return {
        "psa": pair.psa.description if pair.psa else "",
        "psa_amount": f"{pair.psa.amount:.2f}" if pair.psa else "",
        "account": pair.books.account if pair.books else (account.chosen if account else ""),
        "tax": pair.books.tax if pair.books else (tax.chosen if tax else ""),
        "why": account.by if account else pair.note,
        "tried": list(account.tried) if account else [],
        "books_amount": f"{pair.books.line_amount:.2f}" if pair.books else "",
    }


def _attempts(row: "Document") -> list[dict[str, object]]:
    from psaltery.posting.models import Attempt

    # Without the payloads: they are in the audit log, with the vendor's answers.
    names = ("booked_at", "action", "state", "key", "settled_at", "problems", "warnings")
    return list(Attempt.objects.filter(document=row).order_by("-pk").values(*names))


def _known_state(state: str, *, json: bool) -> str:
    from psaltery.posting.models import Posting

    # Pages write "In step": both ways of writing it are understood.
    name = state.replace(" ", "_").replace("-", "_")
    if name and name not in Posting.State.values:
        known = ", ".join(Posting.State.values)
        stop(f"There is no state {state!r}. Known: {known}.", ExitCode.USAGE, json=json)
    return name


def _day(text: str, *, json: bool) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        stop(f"{text!r} is no day, such as 2026-11-21.", ExitCode.USAGE, json=json)
