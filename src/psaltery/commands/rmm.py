"""`psaltery rmm`: keys of those who send RMM alerts, and what they sent."""

from typing import Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

app = typer.Typer(help="RMM alerts: keys of the senders, and what came.", no_args_is_help=True)

ROWS = {"at": "When", "company": "Customer", "severity": "Severity", "title": "Alert"}


@app.command("list")
def list_(
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to show.")] = 100,
    json: Json = False,
) -> None:
    """List alerts of remote monitoring, the newest first."""
    with working(json=json):
        from psaltery.rmm.models import RmmAlert

        rows = [
            {
                "id": row.external_id,
                "at": row.at,
                "company": row.company.name if row.company else row.company_text,
                "known": row.company is not None,
                "severity": row.severity,
                "device": row.device,
                "title": row.title,
                "resolved": row.resolved,
            }
            for row in RmmAlert.objects.select_related("company").order_by("-at", "-pk")[:most]
        ]
        show_rows(rows, ROWS, json=json, empty="No alerts came yet.")


@app.command()
def key(
    remove: Annotated[str, typer.Option(help="Remove the key that ends in these letters.")] = "",
    json: Json = False,
) -> None:
    """Make a key for a sender, and print it once; or remove one."""
    with working(json=json):
        from psaltery.rmm import keys
        from psaltery.rmm.models import RmmKey

        if not remove:
            # The only time that it is shown: it is kept sealed.
            show_facts({"key": keys.make()}, json=json)
            return
        row = RmmKey.objects.filter(hint=remove).first()
        if row is None:
            stop(f"No key ends in {remove}.", ExitCode.USAGE, json=json)
        keys.remove(row)
        say(f"The key ending in {remove} is removed.", json=json)
