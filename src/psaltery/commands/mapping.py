"""`psaltery mapping`: what keys become and where documents go, for scripts and spreadsheets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Connection, Organisation
    from psaltery.mapping.csv_io import Report
    from psaltery.mapping.queries import Bench

app = typer.Typer(
    help="Map accounts, tax rates and tracking; route documents.", no_args_is_help=True
)
routes = typer.Typer(
    help="The rules that say which organisation a document goes to.", no_args_is_help=True
)
app.add_typer(routes, name="routes")

LISTS_HELP = "account, tax, tracking, purchase_account or purchase_tax."
OrganisationArgument = Annotated[str, typer.Argument(help="Name or number of the organisation.")]
OrganisationOption = Annotated[
    str, typer.Option("--organisation", "-o", help="Name or number; all when left out.")
]
ListArgument = Annotated[str, typer.Argument(help=LISTS_HELP)]
KindArgument = Annotated[str, typer.Argument(help="Kind of key, e.g. category, tax_code, any.")]
KeyArgument = Annotated[str, typer.Argument(help="The PSA's value; empty for any and exempt.")]
PsaOption = Annotated[
    str, typer.Option("--connection", "-c", help="The PSA's connection, where there are several.")
]
FileArgument = Annotated[Path, typer.Argument(help="A CSV file.", exists=True, dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--check", help="Only say what each row would do.")]
GoodRows = Annotated[
    bool, typer.Option("--good-rows", help="Save the right rows though others are wrong.")
]
MAPPING_ROWS = {
    "organisation": "Organisation",
    "list": "List",
    "key_kind": "Kind",
    "key": "Key",
    "state": "State",
    "target": "Becomes",
    "documents": "Documents",
    "open": "Not covered",
}
RULE_ROWS = {"position": "", "field": "Field", "value": "Value", "organisation": "Goes to"}
PLACE_ROWS = {"organisation": "Organisation", "documents": "Documents", "money": "Money"}
REPORT_ROWS = {"line": "Line", "row": "Row", "result": "Result", "problem": ""}


@app.command("list")
def list_(
    organisation: OrganisationOption = "",
    only: Annotated[str, typer.Option("--list", "-l", help=LISTS_HELP)] = "",
    gaps: Annotated[bool, typer.Option("--gaps", help="Only what nothing answers for.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also keys not used and not mapped.")
    ] = False,
    json: Json = False,
) -> None:
    """List keys with what they become, and what of the last year nothing answers for.

    Ends with 3 when --gaps finds one.
    """
    with working(json=json):
        rows = [
            row
            for one in _organisations(organisation, json=json)
            for row in _keys(one, _shown(one, only, json=json), gaps=gaps, every=every)
        ]
        show_rows(rows, MAPPING_ROWS, json=json, empty="No gaps." if gaps else "Nothing is mapped.")
    # Outside the block: the table is complete before the exit code says that it is not empty.
    if gaps and rows:
        raise typer.Exit(ExitCode.NEEDS_PERSON)


def _lists(only: str, *, json: bool) -> list[str]:
    from psaltery.mapping.lookup import KEYS

    if only and only not in KEYS:
        stop(f"No list “{only}”. Known: {', '.join(KEYS)}.", ExitCode.USAGE, json=json)
    return [only] if only else list(KEYS)


def _shown(organisation: "Organisation", only: str, *, json: bool) -> list[str]:
    """The list that was asked for, or those that the organisation uses."""
    from psaltery.sync.coverage import lists_of

    return _lists(only, json=json) if only else [name for name, _ in lists_of(organisation)]


def _keys(
    organisation: "Organisation", lists: list[str], *, gaps: bool, every: bool
) -> list[dict[str, object]]:
    from psaltery.mapping.targets import Targets
    from psaltery.sync.coverage import coverage_of

    rows: list[dict[str, object]] = []
    for name in lists:
        targets = Targets(organisation, name)
        for row in coverage_of(organisation, name, targets).rows:
            # A broken target stops documents as a missing one does: both are gaps to whoever asks.
            wanted = row.state in ("gap", "broken") if gaps else row.lines or row.entry
            if not wanted and not (every and not gaps):
                continue
            money = " + ".join(f"{amount} {code}" for code, amount in row.open_money.items())
            rows.append(
                {
                    "organisation": organisation.name,
                    "list": name,
                    "key_kind": row.key.kind,
                    "key": row.key.value,
                    "state": row.state,
                    "target": targets.label(row.entry.target) if row.entry else "",
                    "documents": len(row.documents),
                    "open": money,
                    "problem": row.problem,
                }
            )
    return rows


@app.command("set")
def set_(
    organisation: OrganisationArgument,
    list_name: ListArgument,
    key_kind: KindArgument,
    key: KeyArgument,
    target: Annotated[str, typer.Argument(help="Account code, tax type or option; or its name.")],
    json: Json = False,
) -> None:
    """Map one key; what is held for it goes again."""
    with working(json=json):
        from psaltery.mapping.service import set_mapping
        from psaltery.mapping.targets import Targets

        one = _organisation(organisation, json=json)
        name = _lists(list_name, json=json)[0]
        targets = Targets(one, name)
        # Checked against the organisation's own lists: nothing that is not in the books gets
        # mapped.
        found = targets.resolve(target)
        row = set_mapping(one, name, key_kind, key, found)
        facts = {"organisation": one.name, "list": name, "key_kind": key_kind, "key": row.key}
        facts |= {"target": targets.label(found), "released": str(_again(one, [name]))}
        show_facts(facts, json=json)


@app.command()
def remove(
    organisation: OrganisationArgument,
    list_name: ListArgument,
    key_kind: KindArgument,
    key: KeyArgument = "",
    json: Json = False,
) -> None:
    """Take one mapping away; what is posted stays."""
    with working(json=json):
        from psaltery.mapping.models import Mapping
        from psaltery.mapping.service import remove_mapping

        one = _organisation(organisation, json=json)
        rows = Mapping.objects.filter(organisation=one, list=list_name, key_kind=key_kind)
        # Keys are compared as the mapping compares them, so that what was set can be removed.
        row = rows.filter(key__iexact=key.strip()).first()
        if row is None:
            stop(f"{one.name} maps no {key_kind} “{key}”.", ExitCode.USAGE, json=json)
        remove_mapping(row)
        facts = {"organisation": one.name, "list": list_name, "key_kind": key_kind, "key": key}
        show_facts({**facts, "removed": True}, json=json)


@app.command("export")
def export(organisation: OrganisationOption = "", json: Json = False) -> None:
    """Print all mappings as CSV, which `import` reads."""
    with working(json=json):
        from psaltery.mapping import csv_io

        _print_csv(csv_io.mappings_csv(_organisations(organisation, json=json)), json=json)


@app.command("import")
def import_(
    file: FileArgument, check: DryRun = False, good_rows: GoodRows = False, json: Json = False
) -> None:
    """Read mappings from a CSV file; nothing is saved unless every row is right.

    Ends with 1 when a row is wrong.
    """
    with working(json=json):
        from psaltery.mapping import csv_io

        text = csv_io.decoded(file.read_bytes())
        # Every row is judged before one is saved: half a file would leave nobody knows what.
        report = csv_io.check_mappings(text, _organisations("", json=json))
        saves = _saves(report, check=check, good_rows=good_rows)
        if saves:
            csv_io.save_mappings(report.good)
            # Once for each organisation, not for each row: every pass decides about all that it
            # holds.
            for one in {mapping.organisation for mapping in report.good}:
                lists = {mapping.list for mapping in report.good if mapping.organisation == one}
                _again(one, sorted(lists))
        _show_report(report, saved=saves, json=json)


def _print_csv(text: str, *, json: bool) -> None:
    if json:
        import csv
        import io

        # The same rows as the file's, so that programs need no second format.
        rows = list(csv.DictReader(io.StringIO(text)))
        show_rows(rows, {}, json=True)
    else:
        typer.echo(text, nl=False)


def _saves(report: "Report[Any]", *, check: bool, good_rows: bool) -> bool:
    # Nothing by default when a row is wrong: what a spreadsheet broke should be mended there.
    return not check and bool(report.good) and (good_rows or not report.bad)


def _show_report(report: "Report[Any]", *, saved: bool, json: bool) -> None:
    rows = [
        {
            "line": row.line,
            "row": ", ".join(row.cells),
            "result": row.effect or "wrong",
            "problem": row.problem,
        }
        for row in report.rows
    ]
    show_rows(rows, REPORT_ROWS, json=json, empty="The file has no rows.")
    done = f"{len(report.good)} rows saved." if saved else "Nothing was saved."
    say(f"{len(report.bad)} rows are wrong. {done}" if report.bad else done, json=json)
    if report.bad:
        raise typer.Exit(ExitCode.PROBLEMS)


# Routes


@routes.command("list")
def list_routes(connection: PsaOption = "", json: Json = False) -> None:
    """List the rules, in the order in which they are tried."""
    with working(json=json):
        show_rows(_rules(_psa(connection, json=json)), RULE_ROWS, json=json, empty="No rules.")


def _rules(connection: "Connection") -> list[dict[str, object]]:
    from psaltery.mapping.models import Route

    rows = Route.objects.filter(connection=connection).select_related("organisation")
    return [
        {"position": n, "field": r.field, "value": r.value, "organisation": r.organisation.name}
        for n, r in enumerate(rows, 1)
    ]


@routes.command("add")
def add_rule(
    field: Annotated[str, typer.Argument(help="location, department, company, …, any.")],
    value: Annotated[str, typer.Argument(help="The PSA's value; empty for any.")],
    organisation: OrganisationArgument,
    connection: PsaOption = "",
    json: Json = False,
) -> None:
    """Append a rule, or change where the one for this value leads; documents are routed anew."""
    with working(json=json):
        from psaltery.mapping.service import add_route
        from psaltery.sync.push import reroute

        psa = _psa(connection, json=json)
        add_route(psa, field, value, _organisation(organisation, json=json))
        say(f"{reroute(psa)} documents are routed anew.", json=json)
        show_rows(_rules(psa), RULE_ROWS, json=json)


@routes.command("remove")
def remove_rule(
    field: Annotated[str, typer.Argument(help="location, department, company, …, any.")],
    value: Annotated[str, typer.Argument(help="The PSA's value; empty for any.")] = "",
    connection: PsaOption = "",
    json: Json = False,
) -> None:
    """Remove a rule; documents that are not posted are routed anew."""
    with working(json=json):
        from psaltery.mapping.models import Route
        from psaltery.mapping.service import remove_route
        from psaltery.sync.push import reroute

        psa = _psa(connection, json=json)
        rows = Route.objects.filter(connection=psa, field=field, value__iexact=value.strip())
        rule = rows.select_related("organisation__connection").first()
        if rule is None:
            stop(f"There is no rule for {field} “{value}”.", ExitCode.USAGE, json=json)
        remove_route(rule)
        say(f"{reroute(psa)} documents are routed anew.", json=json)
        show_rows(_rules(psa), RULE_ROWS, json=json, empty="No rules.")


@routes.command("export")
def export_rules(connection: PsaOption = "", json: Json = False) -> None:
    """Print the rules as CSV, which `import` reads."""
    with working(json=json):
        from psaltery.mapping import csv_io

        _print_csv(csv_io.routes_csv(_psa(connection, json=json)), json=json)


@routes.command("import")
def import_rules(
    file: FileArgument,
    connection: PsaOption = "",
    check: DryRun = False,
    good_rows: GoodRows = False,
    json: Json = False,
) -> None:
    """Put the rules of a CSV file in the place of all rules; nothing unless every row is right."""
    with working(json=json):
        from psaltery.mapping import csv_io
        from psaltery.sync.push import reroute

        psa = _psa(connection, json=json)
        text = csv_io.decoded(file.read_bytes())
        report = csv_io.check_routes(text, psa, _organisations("", json=json))
        saves = _saves(report, check=check, good_rows=good_rows)
        if saves:
            # All at once: rules are tried in order, and a mixture of old and new could send
            # documents astray.
            csv_io.replace_routes(psa, report.good)
            say(f"{reroute(psa)} documents are routed anew.", json=json)
        _show_report(report, saved=saves, json=json)


@routes.command("try")
def try_rules(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Rules as `export` prints them; without it those in force.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Documents of how many days.")] = 31,
    connection: PsaOption = "",
    json: Json = False,
) -> None:
    """Say where the documents of the last days would have gone; nothing is saved.

    Ends with 1 when a row of the file is wrong, with 3 when documents would go nowhere.
    """
    with working(json=json):
        from datetime import timedelta

        from psaltery.kit.clock import now
        from psaltery.mapping import queries

        psa = _psa(connection, json=json)
        since = (now() - timedelta(days=days)).date()
        trial = queries.trial(psa, _rules_to_try(psa, file, json=json), since)
        show_rows([_place(one) for one in trial.benches], PLACE_ROWS, json=json)
    if any(one.organisation is None and one.documents for one in trial.benches):
        raise typer.Exit(ExitCode.NEEDS_PERSON)


def _rules_to_try(
    psa: "Connection", file: Path | None, *, json: bool
) -> list[tuple[str, str, int]]:
    from psaltery.mapping import csv_io
    from psaltery.mapping.models import Route

    if file is None:
        rows = Route.objects.filter(connection=psa).order_by("position")
        return list(rows.values_list("field", "value", "organisation_id"))
    report = csv_io.check_routes(
        csv_io.decoded(file.read_bytes()), psa, _organisations("", json=json)
    )
    # Half a file would be another set of rules than its writer has in mind.
    if report.bad:
        _show_report(report, saved=False, json=json)
    return [(rule.field, rule.value, rule.organisation.pk) for rule in report.good]


def _place(bench: "Bench") -> dict[str, object]:
    sums = [f"{amount:.2f} {currency}" for currency, amount in sorted(bench.money.items())]
    return {
        "organisation": bench.organisation.name if bench.organisation else "nowhere: held",
        "documents": bench.documents,
        "money": ", ".join(sums),
    }


def _psa(name: str, *, json: bool) -> "Connection":
    from psaltery.mapping.queries import psa_connections

    rows = list(psa_connections())
    found = [
        row for row in rows if not name or name.casefold() in (row.name.casefold(), str(row.pk))
    ]
    # With several PSAs none is taken for granted: rules of one must not land at another.
    if len(found) != 1:
        known = ", ".join(row.name for row in rows) or "none"
        problem = f"No PSA “{name}”." if name else "Name the PSA's connection."
        stop(f"{problem} Known: {known}.", ExitCode.USAGE, json=json)
    return found[0]


def _organisations(name: str, *, json: bool) -> list["Organisation"]:
    from psaltery.mapping.queries import books_organisations

    return [_organisation(name, json=json)] if name else list(books_organisations())


def _organisation(name: str, *, json: bool) -> "Organisation":
    from psaltery.mapping.queries import books_organisations

    rows = list(books_organisations())
    found = [row for row in rows if name.casefold() in (row.name.casefold(), str(row.pk))]
    if len(found) != 1:
        known = ", ".join(row.name for row in rows) or "none"
        stop(f"No organisation “{name}”. Known: {known}.", ExitCode.USAGE, json=json)
    return found[0]


def _again(organisation: "Organisation", lists: list[str]) -> int:
    from psaltery.sync.coverage import release

    return release(organisation, lists)
