"""A letter as a mail: plain text and simple HTML, light and dark, with nothing loaded from outside.

Sending is told apart in three: it arrived, it certainly did not (raises), or nobody knows.
"""

import smtplib
from contextlib import suppress
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import connection as database
from django.template.loader import render_to_string

from psaltery.adapters.errors import BadSettings, Failure, Rejected, TryLater
from psaltery.adapters.http import CalledInsideTransaction
from psaltery.notify.letters import Letter, plain
from psaltery.records.drafts import Problem

# Failures of one message that the server named: it did not take the mail.
_REFUSED = (
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPDataError,
    smtplib.SMTPNotSupportedError,
)


def is_set_up() -> bool:
    """Whether there is a mail server to send to."""
    return bool(settings.EMAIL_HOST)


def made(letter: Letter, to: str, key: str) -> EmailMultiAlternatives:
    """The mail. `key` makes its Message-ID, the same at each try."""
    domain = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    mail = EmailMultiAlternatives(
        subject=letter.subject,
        body=plain(letter),
        to=[to],
        headers={
            "Message-ID": f"<{key}@{domain}>",
            # Keeps holiday replies away: https://www.rfc-editor.org/rfc/rfc3834#section-5
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    mail.attach_alternative(render_to_string("notify/mail.html", {"letter": letter}), "text/html")
    return mail


def send(mail: EmailMultiAlternatives) -> None:
    """Send one mail. Raises TryLater, Rejected or BadSettings.

    `TryLater.uncertain`: the connection broke while the mail was handed over; it may have arrived.
    """
    # A mail can't be rolled back: what it tells must be committed, and no lock waits for a server.
    if database.in_atomic_block:
        raise CalledInsideTransaction("A mail is sent while a transaction is open")
    # Opened apart from sending: until the mail is handed over a failure is certain, and may be
    # tried again.
    server = get_connection()
    try:
        server.open()
    except smtplib.SMTPAuthenticationError as wrong:
        raise BadSettings(
            f"The mail server refused user name or password: {_said(wrong)}.", which="email_user"
        ) from wrong
    except OSError as wrong:  # smtplib's own errors are among them
        raise TryLater(
            f"The mail server {settings.EMAIL_HOST}:{settings.EMAIL_PORT} can't be used: "
            f"{wrong or type(wrong).__name__}."
        ) from wrong
    try:
        server.send_messages([mail])
    except _REFUSED as wrong:
        raise _refusal(wrong) from wrong
    except OSError as wrong:
        raise TryLater(
            f"The mail server broke off while it took the mail ({wrong or type(wrong).__name__}).",
            uncertain=True,
        ) from wrong
    finally:
        # What the server took it keeps, however the farewell goes.
        with suppress(OSError):
            server.close()


def _refusal(wrong: Exception) -> Failure:
    """Answers from 500 on are final: https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1"""
    if isinstance(wrong, smtplib.SMTPRecipientsRefused):
        codes = [answer[0] for answer in wrong.recipients.values()]
    else:
        codes = [wrong.smtp_code] if isinstance(wrong, smtplib.SMTPResponseException) else [550]
    sentence = f"The mail server refused the mail: {_said(wrong)}."
    if codes and min(codes) >= 500:
        return Rejected([Problem(code="notification_failed", message=sentence)])
    return TryLater(sentence)


def _said(wrong: Exception) -> str:
    if isinstance(wrong, smtplib.SMTPRecipientsRefused):
        answers = [f"{code} {_text(text)}" for code, text in wrong.recipients.values()]
        return "; ".join(answers)
    if isinstance(wrong, smtplib.SMTPResponseException):
        return f"{wrong.smtp_code} {_text(wrong.smtp_error)}"
    return str(wrong)


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
