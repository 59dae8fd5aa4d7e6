"""What tests of notifications are made of: a mail server, people, and cards as the engine opens
them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage

from psaltery.accounts import service as accounts
from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Document
from psaltery.notify.models import Rule
from psaltery.review.reasons import Reason
from psaltery.review.service import Held, hold

PASSWORD = "a long enough secret"


@dataclass
class MailServer:
    """What aiosmtpd calls a handler: takes mail, or refuses it as told."""

    mails: list[EmailMessage] = field(default_factory=list)
    refuse_recipient: str = ""  # the answer to RCPT
    refuse_data: str = ""  # the answer after the mail
    hang_up: bool = False  # take the mail and drop the line without an answer
    slow: float = 0
    port: int = 0
    taken: threading.Event = field(default_factory=threading.Event)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse_data:
            return self.refuse_data
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(mail)
        self.taken.set()
        if self.slow:
            import asyncio

            await asyncio.sleep(self.slow)
        if self.hang_up:
            server.transport.close()
            return "421 gone"
        return "250 taken"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def wait_for(self, number: int, seconds: float = 20) -> list[EmailMessage]:
        until = time.monotonic() + seconds
        while len(self.mails) < number and time.monotonic() < until:
            time.sleep(0.05)
        return self.mails


def parts(mail: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML."""
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def person(email: str, role: Role = Role.ADMIN, zone: str = "Australia/Sydney") -> Person:
    made = accounts.add_person(
        email, email.split("@", maxsplit=1)[0].title(), role, password=PASSWORD
    )
    Person.objects.filter(pk=made.pk).update(time_zone=zone)
    made.refresh_from_db()
    return made


def make_office(name: str) -> Organisation:
    books, _ = Connection.objects.get_or_create(
        kind="xero", name="Books", defaults={"state": "connected"}
    )
    return Organisation.objects.create(
        connection=books, external_id=name, name=name, chosen=True, base_currency="AUD"
    )


def document(number: str, total: str = "110.00", kind: str = "invoice") -> Document:
    psa, _ = Connection.objects.get_or_create(
        kind="connectwise", name="PSA", defaults={"state": "connected"}
    )
    return Document.objects.create(
        connection=psa,
        external_id=number,
        kind=kind,
        number=number,
        company_name="Reef & Sons",
        currency="AUD",
        issued_on="2026-11-20",
        closed=True,
        posted=False,
        **{name: Decimal(0) for name in ("subtotal", "tax", "payments", "credits", "balance")},
        total=Decimal(total),
    )


def open_card(office, numbers, code="account_unmapped", about="labour", total="110.00", **more):
    """A card about some documents, opened as the engine opens them."""
    reason = Reason(
        code=code, about=about, subject=about, sentence=f"No account for {about} in {office.name}."
    )
    found = [document(number, total, **more) for number in numbers]
    hold([Held(one, office, [reason]) for one in found])
    from psaltery.review.models import Card

    return Card.objects.get(subject_ref=about, state="open")


def impatient(**values) -> None:
    """All rules tell at once, without waiting to see whether it lasts."""
    Rule.objects.update(wait_minutes=0, **values)
