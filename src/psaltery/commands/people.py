"""`psaltery people`: add people, list them, set their passwords, from where the machine is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.accounts.models import Person

app = typer.Typer(help="Add people, list them, set their passwords.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The e-mail address they sign in with.")]
# A file or standard input, never an option: other users of the machine can read command lines.
PasswordFile = Annotated[
    str,
    typer.Option(help="File with the password, - for standard input. Without it a link is made."),
]

COLUMNS = {
    "email": "E-mail address",
    "name": "Name",
    "role": "Role",
    "may_sign_in": "May sign in",
    "last_login": "Last sign-in",
}


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="Their name.")],
    role: Annotated[str, typer.Option(help="viewer, bookkeeper or admin.")] = "viewer",
    time_zone: Annotated[str, typer.Option(help="Such as Australia/Sydney.")] = "",
    password_file: PasswordFile = "",
    json: Json = False,
) -> None:
    """Add somebody. The answer has the link where they choose a password, unless one is given."""
    with working(json=json), _refusals(json=json):
        from psaltery.accounts import service
        from psaltery.accounts.models import Role

        if role not in Role.values:
            stop(f"{role} is no role: viewer, bookkeeper or admin.", ExitCode.USAGE, json=json)
        password = _password(password_file, json=json)
        if password is not None:
            # Before the person is made: a refused password must not leave one without.
            service.validate_password(password)
        person = service.add_person(email, name, Role(role), password=password, time_zone=time_zone)
        show_facts(_facts(person, link=password is None), json=json)


@app.command("list")
def list_people(json: Json = False) -> None:
    """Show everybody, with their roles."""
    with working(json=json):
        from psaltery.accounts.models import Person

        rows = [_row(person) for person in Person.objects.order_by("email")]
        show_rows(rows, COLUMNS, json=json, empty="Nobody yet: psaltery people add")


@app.command()
def password(email: Email, password_file: PasswordFile = "", json: Json = False) -> None:
    """Set somebody's password, or print a link where they choose one."""
    with working(json=json), _refusals(json=json):
        from psaltery.accounts import service
        from psaltery.accounts.models import Person

        # Addresses are kept in small letters, so that one person can't be two.
        person = Person.objects.filter(email=email.strip().lower()).first()
        if person is None:
            stop(f"Nobody has the address {email}.", ExitCode.PROBLEMS, json=json)
        chosen = _password(password_file, json=json)
        if chosen is not None:
            service.validate_password(chosen, person)
            service.change_password(person, chosen)
        show_facts(_facts(person, link=chosen is None), json=json)


@contextmanager
def _refusals(*, json: bool) -> Iterator[None]:
    """End the command with the reason where a change is refused."""
    from django.core.exceptions import ValidationError

    from psaltery.accounts.service import Refused

    try:
        yield
    except Refused as refusal:
        stop(str(refusal), ExitCode.PROBLEMS, json=json)
    except ValidationError as problem:
        stop(" ".join(problem.messages), ExitCode.PROBLEMS, json=json)


def _password(file: str, *, json: bool) -> str | None:
    if not file:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        stop(f"Can't read {file}: {error.strerror}", ExitCode.USAGE, json=json)
    # The line's end alone: blanks may be part of a password.
    return text.rstrip("\r\n")


def _facts(person: "Person", *, link: bool) -> dict[str, object]:
    from psaltery.accounts.service import password_link

    facts = _row(person)
    if link:
        facts["password_link"] = password_link(person)
    return facts


def _row(person: "Person") -> dict[str, object]:
    return {
        "email": person.email,
        "name": person.name,
        "role": person.role,
        "may_sign_in": person.is_active,
        "time_zone": person.time_zone,
        "last_login": person.last_login,
    }
