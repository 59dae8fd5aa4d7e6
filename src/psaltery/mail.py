"""Mail while no mail server is set."""

from collections.abc import Sequence

import structlog
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class MailToLog(BaseEmailBackend):
    """Writes mail to the log instead of sending it, so that no link in it is lost."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Logs each message; gives how many."""
        log = structlog.get_logger("psaltery.mail")
        for message in email_messages:
            # A warning, so that it is seen at the usual log level: it may hold an invitation.
            log.warning(
                "mail not sent: no PSALTERY_EMAIL_HOST",
                to=message.to,
                subject=message.subject,
                text=str(message.body),
            )
        return len(email_messages)
