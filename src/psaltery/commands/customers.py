"""`psaltery customers`: each customer over all systems, its money, contracts and timeline."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from psaltery.commands.printing import ExitCode, Json, as_json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.portfolio.models import Customer

app = typer.Typer(help="Look at customers over all systems.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The customer's number.")]

ROWS = {
    "id": "No.",
    "name": "Customer",
    "outstanding": "Outstanding",
    "overdue": "Overdue",
    "invoiced": "Invoiced this month",
    "contracted": "Contracted MRR",
    "currency": "Currency",
    "alerts": "Alerts",
    "risk": "Risk",
}
MONEY = {
    "currency": "Currency",
    "outstanding": "Outstanding",
    "overdue": "Overdue",
    "invoiced_month": "Invoiced this month",
    "contracted_mrr": "Contracted MRR",
    "invoiced_mrr": "Invoiced MRR",
}
EVENTS = {"at": "When", "kind": "Kind", "title": "What", "amount": "Amount", "currency": "Currency"}
_ORDERS = {"money": "-outstanding", "overdue": "-overdue", "risk": "-risk_points", "name": "name"}


@app.command("list")
def list_(
    search: Annotated[str, typer.Option(help="Words of the name.")] = "",
    risk: Annotated[str, typer.Option(help="high, watch, none or unknown.")] = "",
    by: Annotated[str, typer.Option(help="Order: money, overdue, risk or name.")] = "money",
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Rows to show.")] = 100,
    json: Json = False,
) -> None:
    """List customers, those that owe most first."""
    if by not in _ORDERS:
        stop(f"Order by {', '.join(_ORDERS)}.", ExitCode.USAGE, json=json)
    with working(json=json):
        from psaltery.hub import queries
        from psaltery.web.searching import searched

        # The page's own search, so that both find the same.
        rows = searched(queries.customers(), ["name"], search)
        if risk:
            rows = rows.filter(risk=risk)
        found = [_row(row) for row in rows.order_by(_ORDERS[by], "pk")[:most]]
        show_rows(found, ROWS, json=json, empty="No customers are known yet.")


def _row(row: Any) -> dict[str, Any]:
    # As text with two places: a program that read floats would lose cents.
    money = {name: f"{getattr(row, name):.2f}" for name in ("outstanding", "overdue", "invoiced")}
    return {
        "id": row.pk,
        "name": row.name,
        **money,
        "contracted": f"{row.contracted:.2f}",
        "currency": row.currency,
        "alerts": row.open_alerts,
        "risk": row.risk,
    }


@app.command()
def show(number: Number, json: Json = False) -> None:
    """Show one customer as its page does: money now, alerts, exceptions, invoices, agreements, …"""
    with working(json=json):
        from django.utils import timezone

        from psaltery.hub import queries

        row = _customer(number, json=json)
        # Where people are: what is overdue turns with their midnight.
        today = timezone.localdate()
        money = [
            {
                "currency": one.currency,
                "outstanding": one.outstanding,
                "overdue": one.overdue,
                **one.row,
            }
            for one in queries.money_of(row, today)
        ]
        facts = _facts(row)
        contracts = [
            {"name": one.agreement.name, "monthly": one.monthly, "active": one.active}
            for one in queries.agreements(row, today)
        ]
        lists = _lists(row)
        if json:
            typer.echo(as_json({**facts, "money": money, "agreements": contracts, **lists}))
            return
        show_facts(facts, json=False)
        say("")
        show_rows(money, MONEY, json=False, empty="No money.")
        for name, rows in lists.items():
            if rows:
                say(f"\n{name.capitalize()}")
                show_rows(rows, {key: key.capitalize() for key in rows[0]}, json=False)


# What the page lists, in its order: of each row what tells it from the others.
_SHOWN = {
    "alerts": ("id", "severity", "state", "sentence"),
    "exceptions": ("id", "code", "sentence"),
    "invoices": ("id", "number", "status", "due", "total", "open", "currency", "source"),
    "payments": ("paid", "on", "touch", "amount", "currency", "source"),
    "tickets": ("number", "status", "summary"),
    "people": ("name", "email", "phone"),
}


def _lists(row: "Customer") -> dict[str, list[dict[str, Any]]]:
    from psaltery.hub import queries

    links = queries.links_of(row)
    most = queries.SHOWN
    values = {
        "alerts": (
            (one.pk, one.get_severity_display(), one.state, one.sentence)
            for one in queries.alerts(row)
        ),
        "exceptions": ((one.pk, one.code, one.sentence) for one in queries.cards(row)[:most]),
        "invoices": map(_invoice, queries.invoices(links)[:most]),
        "payments": map(_payment, queries.payments(links)[:most]),
        "tickets": (
            (one.external_id, one.status, one.summary) for one in queries.tickets(row)[:most]
        ),
        "people": (
            (f"{one.first_name} {one.last_name}".strip(), one.email, one.phone)
            for one in queries.people(row)[:most]
        ),
    }
    return {
        name: [dict(zip(_SHOWN[name], one, strict=True)) for one in rows]
        for name, rows in values.items()
    }


def _invoice(row: Any) -> tuple[Any, ...]:
    money = (f"{row.total:.2f}", f"{row.amount_due:.2f}", row.currency)
    return (row.pk, row.number, row.status, row.due_on, *money, row.organisation.name)


def _payment(row: Any) -> tuple[Any, ...]:
    money = (f"{row.amount:.2f}", row.currency)
    return (row.paid_on, row.invoice_number or "", row.touch, *money, row.organisation.name)


def _facts(row: "Customer") -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "known_since": row.known_since,
        "billing": row.billing,
        "risk": row.risk,
        "reasons": row.risk_reasons,
    }


def _customer(number: int, *, json: bool) -> "Customer":
    from psaltery.portfolio.models import Customer

    found = Customer.objects.select_related("company").filter(pk=number).first()
    if found is None:
        stop(f"There is no customer {number}.", ExitCode.USAGE, json=json)
    return found


@app.command()
def timeline(
    number: Number,
    kind: Annotated[list[str] | None, typer.Option(help="Only these kinds.")] = None,
    after: Annotated[str, typer.Option(help="Go on after this mark.")] = "",
    json: Json = False,
) -> None:
    """Show what happened around a customer, newest first, a stretch at a time."""
    with working(json=json):
        from psaltery.hub.timeline import KINDS, page_of

        if unknown := set(kind or ()) - set(KINDS):
            stop(f"There is no kind {sorted(unknown)[0]!r}.", ExitCode.USAGE, json=json)
        found = page_of(_customer(number, json=json), kind or list(KINDS), after)
        rows = [
            {
                # An invoice has a day and no hour: a midnight would look like one.
                "at": event.day if event.whole_day else event.at,
                "kind": event.kind,
                "title": event.title,
                "detail": event.detail,
                "amount": event.amount,
                "currency": event.currency,
            }
            for event in found.events
        ]
        if json:
            typer.echo(as_json({"events": rows, "after": found.after}))
            return
        show_rows(rows, EVENTS, json=False, empty="Nothing happened yet.")
        if found.after:
            say(f"Older: --after {found.after}")


@app.command()
def billing(
    number: Number,
    how: Annotated[str, typer.Argument(help="normal, internal, charity or parent.")],
    to: Annotated[int | None, typer.Option(help="The customer that is billed instead.")] = None,
    json: Json = False,
) -> None:
    """Say how a customer is billed: signals stay silent accordingly."""
    with working(json=json):
        from psaltery.portfolio.models import Customer
        from psaltery.portfolio.service import set_billing

        if how not in Customer.Billing.values or (how == Customer.Billing.PARENT and to is None):
            stop("Say normal, internal, charity, or parent with --to.", ExitCode.USAGE, json=json)
        # Looked up before anything is changed: a wrong number changes nothing.
        parent = _customer(to, json=json) if to is not None else None
        row = _customer(number, json=json)
        set_billing(row, how, parent)
        say(f"{row.name} is {row.get_billing_display()}.", json=json)


@app.command()
def refresh(json: Json = False) -> None:
    """Work out all customers and their money again, from the mirrors."""
    with working(json=json):
        from psaltery.portfolio import service
        from psaltery.portfolio.models import Customer

        if not service.refresh(thorough=True):
            stop("It is under way already.", ExitCode.PROBLEMS, json=json)
        show_facts({"customers": Customer.objects.count()}, json=json)


@app.command()
def overview(json: Json = False) -> None:
    """Show all customers together, by currency: recurring revenue, receivables by age, DSO."""
    with working(json=json):
        from django.utils import timezone

        from psaltery.hub.overview import portfolios, risks

        rows = [
            {
                "currency": one.currency,
                "customers": one.customers,
                "outstanding": one.outstanding,
                "overdue": one.overdue,
                "dso": one.dso,
                **one.sums,
            }
            for one in portfolios(timezone.localdate())
        ]
        if json:
            typer.echo(as_json({"currencies": rows, "risk": risks()}))
            return
        show_rows(rows, {**MONEY, "dso": "DSO"}, json=False, empty="No money yet.")
        show_facts(risks(), json=False)


@app.command()
def renewals(json: Json = False) -> None:
    """Show the board of renewals: customers at risk, the stage of each, whose it is."""
    with working(json=json):
        from psaltery.signals import renewals as board

        rows = [
            {
                "id": one.pk,
                "name": one.name,
                "stage": column.stage,
                "owner": _owner(one),
                "points": one.risk_points,
                # A list for programs, one cell for people.
                "reasons": one.risk_reasons if json else " ".join(one.risk_reasons),
                "note": one.said or "",
            }
            for column in board.board()
            for one in column.customers
        ]
        columns = ("id", "name", "stage", "owner", "points", "reasons", "note")
        headings = {name: name.capitalize() for name in columns}
        show_rows(rows, headings, json=json, empty="Nobody is at risk.")


def _owner(row: Any) -> str:
    renewal = getattr(row, "renewal", None)
    return renewal.owner.email if renewal and renewal.owner else ""


@app.command()
def renewal(
    number: Number,
    stage: Annotated[str, typer.Option(help="noticed, contacted, plan, saved or lost.")] = "",
    owner: Annotated[str, typer.Option(help="An e-mail address, or nobody.")] = "",
    note: Annotated[str, typer.Option(help="What was said or agreed.")] = "",
    json: Json = False,
) -> None:
    """Move a customer on the board of renewals, give it to somebody, or add a note."""
    with working(json=json):
        from psaltery.accounts.models import Person
        from psaltery.signals import renewals as board

        row = _customer(number, json=json)
        person = Person.objects.filter(email__iexact=owner).first()
        if owner not in ("", "nobody") and person is None:
            stop(f"There is nobody with the address {owner}.", ExitCode.USAGE, json=json)
        if stage:
            board.move(row, stage)
        if owner:
            board.assign(row, person)
        board.note(row, "command line", note)
        say(f"{row.name} is at {board.stage_of(row)}.", json=json)
