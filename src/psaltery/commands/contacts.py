"""`psaltery contacts`: which contact of the books is which company of the PSA, for all at once."""

from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Organisation
    from psaltery.contacts.models import Decision, Suggestion
    from psaltery.desk.models import Company

app = typer.Typer(help="Pair contacts of the books with companies.", no_args_is_help=True)

OrganisationArgument = Annotated[str, typer.Argument(help="Name or number of the organisation.")]
OrganisationOption = Annotated[
    str, typer.Option("--organisation", "-o", help="Name or number; all when left out.")
]
ContactArgument = Annotated[str, typer.Argument(help="The contact's name or id in the books.")]
CompanyArgument = Annotated[str, typer.Argument(help="The company's name or identifier.")]
ROWS = {
    "organisation": "Organisation",
    "contact": "Contact",
    "best": "Score",
    "company": "May be",
    "why": "Because of",
    "others": "Others",
}
RESTING_ROWS = {
    "organisation": "Organisation",
    "company": "Company",
    "contact": "Contact",
    "why": "Which",
    "advice": "What to do",
}
DECISION_ROWS = {
    "id": "No.",
    "organisation": "Organisation",
    "contact": "Contact",
    "company": "Company",
    "action": "Decision",
    "why": "Why",
    "by": "By",
    "at": "When",
    "undone_at": "Undone",
}


@app.command()
def pair(organisation: OrganisationOption = "", json: Json = False) -> None:
    """Link what is sure, follow merges, and look again at the rest."""
    with working(json=json):
        from psaltery.sync import pairing

        rows = []
        for one in _organisations(organisation, json=json):
            # By the engine's own way, which also lets go again what waited for a pair.
            done = pairing.pair(one.pk)
            rows.append(
                {
                    "organisation": one.name,
                    "linked": done.linked,
                    "open": done.open,
                    "followed": done.followed,
                }
            )
        columns = {
            "organisation": "Organisation",
            "linked": "Linked",
            "open": "Wait for a person",
            "followed": "Followed a merge",
        }
        show_rows(rows, columns, json=json, empty="No books are connected.")


@app.command("list")
def list_(organisation: OrganisationOption = "", json: Json = False) -> None:
    """List the contacts that wait for a company, the surest first. Exit 3 when there are any."""
    with working(json=json):
        from psaltery.contacts import queries

        found = [
            row
            for one in _organisations(organisation, json=json)
            for row in queries.suggestions(one)
        ]
        told = [_row(row) for row in found]
        show_rows(told, ROWS, json=json, empty="No contact waits for a company.")
    # So that a nightly script can tell somebody; outside the block, which ends what it began.
    if found:
        raise typer.Exit(ExitCode.NEEDS_PERSON)


@app.command()
def link(
    organisation: OrganisationArgument,
    contact: ContactArgument,
    company: CompanyArgument,
    json: Json = False,
) -> None:
    """This contact is that company. Several companies may be one contact."""
    with working(json=json):
        from psaltery.contacts import service
        from psaltery.sync import push

        one = _organisation(organisation, json=json)
        firm = _company(company, json=json)
        decision = service.settle(one, _contact_id(one, contact, json=json), firm)
        # At once: the documents that waited for this pair are what it was made for.
        released = push.reconsider_companies(firm.connection, [firm.external_id])
        show_facts({**_told(decision), "released": released}, json=json)


@app.command()
def aside(organisation: OrganisationArgument, contact: ContactArgument, json: Json = False) -> None:
    """This contact is no customer of the PSA; it is not asked about any more."""
    with working(json=json):
        from psaltery.contacts import service
        from psaltery.contacts.models import Suggestion

        one = _organisation(organisation, json=json)
        contact_id = _contact_id(one, contact, json=json)
        row = Suggestion.objects.filter(organisation=one, contact_external_id=contact_id).first()
        if row is None:
            stop(f"{contact} does not wait for a company.", ExitCode.USAGE, json=json)
        show_facts(_told(service.set_aside(row)), json=json)


@app.command()
def split(organisation: OrganisationArgument, company: CompanyArgument, json: Json = False) -> None:
    """This company is not the contact that it is linked to."""
    with working(json=json):
        from psaltery.contacts import service
        from psaltery.mapping.models import ContactLink

        one, firm = _organisation(organisation, json=json), _company(company, json=json)
        found = ContactLink.objects.filter(organisation=one, company=firm).first()
        if found is None:
            stop(f"{firm.name} is not linked in {one.name}.", ExitCode.USAGE, json=json)
        show_facts(_told(service.split(found)), json=json)


@app.command()
def archived(organisation: OrganisationOption = "", json: Json = False) -> None:
    """List companies whose contact is archived, merged or gone. Exit 3 when there are any."""
    with working(json=json):
        from psaltery.contacts import queries

        found = [
            {
                "organisation": one.name,
                "company": row.link.company.name,
                "contact": row.link.contact_name,
                "why": row.why,
                "advice": row.advice,
            }
            for one in _organisations(organisation, json=json)
            for row in queries.resting(one)
        ]
        show_rows(found, RESTING_ROWS, json=json, empty="All linked contacts are active.")
    if found:
        raise typer.Exit(ExitCode.NEEDS_PERSON)


@app.command()
def decisions(
    organisation: OrganisationOption = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    json: Json = False,
) -> None:
    """List decisions about contacts, the newest first; their numbers are for `undo`."""
    with working(json=json):
        from psaltery.contacts import queries

        every = _organisations(organisation, json=json)
        rows = queries.decisions().filter(organisation__in=every).order_by("-pk")[:limit]
        told = [_told(row) for row in rows]
        show_rows(told, DECISION_ROWS, json=json, empty="Nothing was decided yet.")


@app.command()
def undo(
    decision: Annotated[int, typer.Argument(help="The number of the decision.")],
    json: Json = False,
) -> None:
    """Put back what was before a decision."""
    with working(json=json):
        from psaltery.contacts import queries, service

        row = queries.decisions().filter(pk=decision).first()
        if row is None:
            stop(f"There is no decision {decision}.", ExitCode.USAGE, json=json)
        service.undo(row)
        row.refresh_from_db()
        show_facts(_told(row), json=json)


def _row(row: "Suggestion") -> dict[str, object]:
    best = row.candidates[0] if row.candidates else None
    return {
        "organisation": row.organisation.name,
        "contact": row.contact_name,
        "contact_id": row.contact_external_id,
        "best": row.best,
        "company": best["name"] if best else "",
        "why": ", ".join(best["why"]) if best else "",
        "others": ", ".join(one["name"] for one in row.candidates[1:]),
    }


def _told(row: "Decision") -> dict[str, object]:
    return {
        "id": row.pk,
        "organisation": row.organisation.name,
        "contact": row.contact_name,
        "company": row.company.name if row.company else "",
        "action": row.action,
        "why": row.why,
        "by": row.by,
        "at": row.at,
        "undone_at": row.undone_at,
    }


def _organisations(name: str, *, json: bool) -> list["Organisation"]:
    from psaltery.mapping.queries import books_organisations

    return [_organisation(name, json=json)] if name else list(books_organisations())


def _organisation(name: str, *, json: bool) -> "Organisation":
    from psaltery.mapping.queries import books_organisations

    rows = list(books_organisations())
    found = [row for row in rows if name.casefold() in (row.name.casefold(), str(row.pk))]
    if len(found) != 1:
        known = ", ".join(row.name for row in rows[:20]) or "none"
        stop(f"No organisation “{name}”. Known: {known}.", ExitCode.USAGE, json=json)
    return found[0]


def _contact_id(organisation: "Organisation", text: str, *, json: bool) -> str:
    from django.db.models import Q

    from psaltery.ledger.models import Customer

    rows = Customer.objects.filter(organisation=organisation)
    # Two are enough to know that the name is not unique; guessing could pair the wrong customer.
    found = list(rows.filter(Q(external_id=text) | Q(name__iexact=text))[:2])
    if len(found) != 1:
        what = "Several contacts are" if found else "No contact is"
        stop(f"{what} called “{text}” in {organisation.name}.", ExitCode.USAGE, json=json)
    return str(found[0].external_id)


def _company(text: str, *, json: bool) -> "Company":
    from django.db.models import Q

    from psaltery.desk.models import Company

    rows = Company.objects.filter(deleted=False).select_related("connection")
    # By the PSA's short identifier too, for companies that share a name.
    found = list(rows.filter(Q(identifier__iexact=text) | Q(name__iexact=text))[:2])
    if len(found) != 1:
        what = "Several companies are" if found else "No company is"
        stop(f"{what} called “{text}”.", ExitCode.USAGE, json=json)
    return found[0]
