"""`psaltery notifications`: who is told what, a test, a digest now, and what was sent."""

from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, show_facts, show_rows, stop
from psaltery.commands.session import working

if TYPE_CHECKING:
    from psaltery.notify.models import Message, Recipient

app = typer.Typer(help="Who is told what: list, test, send a digest.", no_args_is_help=True)

Whom = Annotated[str, typer.Argument(help="A person's e-mail address, or a channel's name.")]

RULES = {"to": "To", "state": "State", "when": "When", "what": "What"}
MESSAGES = {
    "booked_at": "Booked",
    "to": "To",
    "kind": "Kind",
    "state": "State",
    "subject": "Subject",
    "why": "Why",
}


@app.command("list")
def list_(json: Json = False) -> None:
    """Show every rule: who is told what, and when."""
    with working(json=json):
        from psaltery.notify import service, wording
        from psaltery.notify.models import Rule

        # Rules are made when first asked for; without this the list would leave people out.
        service.make_missing()
        rules = Rule.objects.select_related("recipient__person").prefetch_related("organisations")
        rows = [
            {
                "to": rule.recipient.person.email if rule.recipient.person else str(rule.recipient),
                "kind": rule.recipient.kind,
                "state": _state(rule.recipient),
                "when": wording.when(rule),
                "what": wording.what(rule),
            }
            for rule in rules.order_by("recipient", "pk")
        ]
        show_rows(rows, RULES, json=json, empty="Nobody is told anything yet.")


@app.command("test")
def send_test(whom: Whom, json: Json = False) -> None:
    """Send a test now, and say what became of it."""
    with working(json=json):
        from psaltery.notify import outbox

        _show(outbox.send_trial(_found(whom, json=json)), json=json)


@app.command("send-digest")
def send_digest(whom: Whom, json: Json = False) -> None:
    """Send the digest now, beside the daily one; nothing is sent when all is well."""
    with working(json=json):
        from psaltery.notify import outbox
        from psaltery.notify.models import Rule

        rule = _found(whom, json=json).rules.filter(timing=Rule.Timing.DAILY).first()
        if rule is None:
            stop(f"{whom} has no rule for once a day.", ExitCode.PROBLEMS, json=json)
        _show(outbox.send_digest_now(rule), json=json)


@app.command()
def messages(
    most: Annotated[int, typer.Option(min=1, max=1000, help="Messages to show.")] = 20,
    state: Annotated[str, typer.Option(help="booked, sent, uncertain, failed, …")] = "",
    json: Json = False,
) -> None:
    """Show the newest messages with what became of them."""
    with working(json=json):
        from psaltery.notify.models import Message

        found = Message.objects.select_related("recipient__person").order_by("-booked_at", "-pk")
        if state:
            found = found.filter(state=state)
        rows = [_row(message) for message in found[:most]]
        show_rows(rows, MESSAGES, json=json, empty="Nothing was told yet.")


def _found(whom: str, *, json: bool) -> "Recipient":
    from psaltery.accounts.models import Person
    from psaltery.notify import mail, service
    from psaltery.notify.models import Recipient

    person = Person.objects.filter(email=whom.strip().lower(), is_active=True).first()
    if person is not None:
        # Without a server mail is written to the log, which would look like success.
        if not mail.is_set_up():
            stop("No mail server is set: PSALTERY_EMAIL_HOST.", ExitCode.USAGE, json=json)
        return service.recipient_of(person)
    # People first: an address is theirs alone, a channel may be called anything.
    channel = Recipient.objects.filter(person=None, name__iexact=whom.strip()).first()
    if channel is None:
        stop(f"There is no person and no channel {whom}.", ExitCode.USAGE, json=json)
    return channel


def _state(recipient: "Recipient") -> str:
    if recipient.paused:
        return "paused"
    return "failing" if recipient.failure else "works"


def _row(message: "Message") -> dict[str, object]:
    return {
        "number": message.pk,
        "booked_at": message.booked_at,
        "to": message.recipient.where if message.recipient.person else str(message.recipient),
        "kind": message.kind,
        "state": message.state,
        "tries": message.tries,
        "subject": message.subject,
        "why": message.why,
        "sent_at": message.sent_at,
    }


def _show(message: "Message", *, json: bool) -> None:
    show_facts(_row(message), json=json)
    # "uncertain" counts too: it may have arrived, and a script must not take that for sure.
    if message.state in ("failed", "uncertain", "booked"):
        raise typer.Exit(ExitCode.UNREACHABLE)
