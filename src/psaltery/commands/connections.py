"""`psaltery connections`: everything the connect pages do, for scripts and for remote machines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.connections.models import Connection, Organisation
    from psaltery.connections.service import Check

app = typer.Typer(help="Connect systems, choose organisations, test.", no_args_is_help=True)
add = typer.Typer(help="Add a connection.", no_args_is_help=True)
app.add_typer(add, name="add")

Name = Annotated[str, typer.Argument(help="The connection's name or number.")]
NewName = Annotated[str, typer.Option("--name", help="A name of your choice.")]
# A file, never an option: other users of the machine can read command lines.
SecretFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A file that holds the secret.")
]

ROWS = {
    "id": "No.",
    "name": "Name",
    "kind": "System",
    "state": "State",
    "organisations": "Organisations",
    "reason": "Why",
}
ORGANISATION_ROWS = {
    "id": "No.",
    "name": "Name",
    "chosen": "Synced",
    "state": "State",
    "base_currency": "Currency",
    "external_id": "Id",
}
CHECK_ROWS = {"ok": "", "organisation": "Organisation", "name": "What", "detail": "Detail"}


@add.command()
def xero(
    name: NewName,
    client_id: Annotated[str, typer.Option(help="Client id of the app at developer.xero.com.")],
    client_secret_file: SecretFile = None,
    mode: Annotated[
        str, typer.Option(help="web, pkce, or custom (client credentials, one organisation).")
    ] = "web",
    read_only: Annotated[bool, typer.Option("--read-only", help="Never write to Xero.")] = False,
    json: Json = False,
) -> None:
    """Add a Xero app and print the address at which to consent."""
    # Read before anything starts, so that a file that can't be read leaves nothing half done.
    values = {"client_id": client_id, "mode": mode, "client_secret": _secret(client_secret_file)}
    with working(json=json):
        from psaltery.connections import service

        connection = service.add("xero", name, values, read_only=read_only)
        _sign_in(connection, json=json)


@add.command()
def connectwise(
    name: NewName,
    site: Annotated[str, typer.Option(help="Address of the site.")],
    company: Annotated[str, typer.Option(help="The company entered when signing in.")],
    public_key: Annotated[str, typer.Option(help="Public key of the API member.")],
    private_key_file: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="A file that holds the private key.")
    ],
    client_id: Annotated[str, typer.Option(help="Client id from developer.connectwise.com.")],
    json: Json = False,
) -> None:
    """Add a ConnectWise PSA site, and try each permission that Psaltery needs."""
    values = {
        "site": site,
        "company": company,
        "public_key": public_key,
        "private_key": _secret(private_key_file),
        "client_id": client_id,
    }
    with working(json=json):
        from psaltery.connections import service

        connection = service.add("connectwise", name, values)
        _sign_in(connection, json=json)


@add.command()
def system(
    kind: Annotated[
        str, typer.Argument(help="The kind of any system that there is an adapter for.")
    ],
    name: NewName,
    field: Annotated[list[str] | None, typer.Option(help="name=value; repeatable.")] = None,
    field_file: Annotated[
        list[str] | None, typer.Option(help="name=file that holds the value; repeatable.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Never write to it.")] = False,
    json: Json = False,
) -> None:
    """Add any system by the fields of its manifest."""
    # Files before the start: a name that is misspelt costs no connection half made.
    files = {
        name: _content(file, json=json) for name, file in _pairs(field_file, json=json).items()
    }
    with working(json=json):
        from psaltery.connections import service

        values = {**_pairs(field, json=json), **files}
        _sign_in(service.add(kind, name, values, read_only=read_only), json=json)


def _content(name: str, *, json: bool) -> str:
    file = Path(name)
    if not file.is_file():
        stop(f"There is no file {name!r}.", ExitCode.USAGE, json=json)
    return _secret(file)


def _pairs(texts: Sequence[str] | None, *, json: bool) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        # The first sign alone: keys in base64 end with more of them.
        name, sign, value = text.partition("=")
        if not sign:
            stop(f"{text!r} must read name=value.", ExitCode.USAGE, json=json)
        pairs[name] = value
    return pairs


@app.command()
def complete(
    connection: Name,
    redirected_to: Annotated[
        str, typer.Option(help="The whole address that the browser was sent to, in quotes.")
    ],
    json: Json = False,
) -> None:
    """Finish a consent with the address that the browser ended at."""
    with working(json=json):
        from psaltery.connections import service

        # Bound to this connection: an address of another consent would give it somebody else's
        # books.
        found = service.complete_consent(redirected_to, connection=_found(connection, json=json))
        _show_organisations(list(found.organisations.all()), json=json)
        say(f"Now choose: psaltery connections organisations {found.pk} --choose all", json=json)


@app.command()
def organisations(
    connection: Name,
    choose: Annotated[
        list[str] | None,
        typer.Option(help="Sync these and no others: all, or a number, id or name; repeatable."),
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask the vendor first.")] = False,
    json: Json = False,
) -> None:
    """List the organisations of a connection, or choose which are synced."""
    with working(json=json):
        from psaltery.connections import service
        from psaltery.connections.models import Connection

        found = _found(connection, json=json)
        # Asked in any other state, the vendor could only refuse.
        if refresh and found.state == Connection.State.CONNECTED:
            service.refresh_organisations(found)
        every = list(found.organisations.all())
        if choose:
            service.choose(found, _chosen(every, choose, json=json))
            every = list(found.organisations.all())
        _show_organisations(every, json=json)


@app.command("test")
def examine(connection: Name, json: Json = False) -> None:
    """Ask the vendor whether everything works. Exit 1 when something does not."""
    with working(json=json):
        from psaltery.connections import service

        _show_checks(service.examine(_found(connection, json=json)), json=json)


@app.command()
def reconnect(
    connection: Name,
    client_id: Annotated[str, typer.Option(help="Replace the client id.")] = "",
    public_key: Annotated[str, typer.Option(help="Replace the public key.")] = "",
    secret_file: SecretFile = None,
    read_only: Annotated[
        bool | None,
        typer.Option("--read-only/--allow-writing", help="Ask for other permissions."),
    ] = None,
    json: Json = False,
) -> None:
    """Consent again, or replace keys; organisations, checkpoints and records are kept."""
    with working(json=json):
        from psaltery.adapters import registry
        from psaltery.connections import service

        found = _found(connection, json=json)
        # What is not given stays: organisations, checkpoints and records hang on this connection.
        values = {**found.fields}
        secret_names = [
            field.name for field in registry.manifest(found.kind).fields if field.secret
        ]
        given = {"client_id": client_id, "public_key": public_key}
        values.update({name: value for name, value in given.items() if value})
        values.update(dict.fromkeys(secret_names, _secret(secret_file)))
        service.reconnect_with(found, values)
        _sign_in(found, read_only=read_only, json=json)


@app.command()
def disconnect(
    connection: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Give the consent back, stop the feeds, forget the secrets; the records stay."""
    with working(json=json):
        from psaltery.connections import service
        from psaltery.inbound import service as inbound

        found = _found(connection, json=json)
        effects = service.disconnect_effects(found)
        question = (
            f"Disconnect {found.name}? {effects.feeds} feeds of {effects.organisations} "
            "organisations stop; their records stay."
        )
        # On standard error: what a program reads from the output stays clean.
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(ExitCode.USAGE)
        # First: callbacks can only be taken back with the keys that are then forgotten.
        inbound.leave(found)
        service.disconnect(found)
        show_facts({"name": found.name, "state": found.state}, json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the connections."""
    with working(json=json):
        from psaltery.connections.models import Connection

        rows = [_row(connection) for connection in Connection.objects.order_by("name")]
        show_rows(rows, ROWS, json=json, empty="No connections yet: psaltery connections add")


@app.command()
def reseal(json: Json = False) -> None:
    """Seal all secrets under the first of PSALTERY_SEAL_KEYS, after a key was added in front."""
    with working(json=json):
        from psaltery.connections import vault
        from psaltery.inbound import keys
        from psaltery.notify import service as notify
        from psaltery.rmm import keys as rmm

        # Every place of secrets: one that is left out could not be opened once the old key is gone.
        resealed = vault.reseal_all() + notify.reseal_all() + keys.reseal_all()
        resealed += rmm.reseal_all()
        show_facts({"resealed": resealed}, json=json)


def _sign_in(connection: "Connection", *, json: bool, read_only: bool | None = None) -> None:
    """The next step for a connection whose fields are entered: a consent, or trying the keys."""
    from psaltery.adapters import registry
    from psaltery.connections import consent, opening, service

    if not registry.manifest(connection.kind).oauth:
        _show_checks(service.connect_with_keys(connection), json=json)
    # Xero's custom connections: one organisation, no browser and no consent to begin here.
    # https://developer.xero.com/documentation/guides/oauth2/custom-connections
    elif opening.oauth_app(connection).client_credentials:
        # None leaves it as it is: to reconnect must not open a connection for writing by itself.
        if read_only is not None:
            service.set_read_only(connection, read_only)
        service.connect_app(connection)
        _show_organisations(list(connection.organisations.all()), json=json)
    else:
        # Shown as well: it must be registered with the app byte for byte, or Xero shows an error
        # page.
        redirect_uri = consent.callback_address()
        address = service.begin_consent(connection, redirect_uri=redirect_uri, read_only=read_only)
        facts = {"id": connection.pk, "redirect_uri": redirect_uri, "consent_address": address}
        show_facts(facts, json=json)
        say(
            "Open the consent address in a browser. If it can't come back to this machine, give "
            f"the address it ends at to: psaltery connections complete {connection.pk} "
            "--redirected-to '…'",
            json=json,
        )


def _secret(file: Path | None) -> str:
    # Editors end a file with a line break, which is no part of a secret.
    return file.read_text(encoding="utf-8").strip() if file else ""


def _found(text: str, *, json: bool) -> "Connection":
    from psaltery.connections.models import Connection

    # The name first: a connection may be called by a number.
    found = Connection.objects.filter(name=text).first()
    if found is None and text.isdecimal():
        found = Connection.objects.filter(pk=int(text)).first()
    if found is None:
        names = ", ".join(Connection.objects.values_list("name", flat=True)) or "none"
        stop(f"There is no connection {text!r}. There are: {names}.", ExitCode.USAGE, json=json)
    return found


def _chosen(
    every: Sequence["Organisation"], wanted: Sequence[str], *, json: bool
) -> list["Organisation"]:
    words = [word.strip() for text in wanted for word in text.split(",") if word.strip()]
    if words == ["all"]:
        # What Xero no longer lets us reach can't be synced, however it was chosen.
        return [one for one in every if one.state != "removed"]
    chosen = []
    for word in words:
        found = [one for one in every if word in (str(one.pk), one.external_id, one.name)]
        # Never the first of several: a wrong one would be written to.
        if len(found) != 1:
            stop(f"{len(found)} organisations are called {word!r}.", ExitCode.USAGE, json=json)
        chosen += found
    return chosen


def _row(connection: "Connection") -> Mapping[str, object]:
    return {
        "id": connection.pk,
        "name": connection.name,
        "kind": connection.kind,
        "state": connection.state,
        "organisations": connection.organisations.filter(chosen=True).count(),
        "reason": connection.reason,
        "reason_code": connection.reason_code,
        "read_only": connection.read_only,
        "authorised_by": connection.authorised_by,
    }


def _show_organisations(every: Sequence["Organisation"], *, json: bool) -> None:
    rows = [
        {
            "id": one.pk,
            "external_id": one.external_id,
            "name": one.name,
            "chosen": one.chosen,
            "state": one.state,
            "base_currency": one.base_currency,
            "reason": one.reason,
        }
        for one in every
    ]
    show_rows(rows, ORGANISATION_ROWS, json=json, empty="The consent reaches no organisation.")


def _show_checks(checks: Sequence["Check"], *, json: bool) -> None:
    rows: list[Mapping[str, object]] = [
        {
            "ok": check.ok if json else "✓" if check.ok else "✗",
            "organisation": check.organisation,
            "name": check.name,
            "detail": check.detail,
        }
        for check in checks
    ]
    show_rows(rows, CHECK_ROWS, json=json)
    if not all(check.ok for check in checks):
        # The rows are shown first: the exit code says that something is wrong, they say what.
        raise typer.Exit(ExitCode.PROBLEMS)
